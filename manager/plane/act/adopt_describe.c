// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/act/adopt.h"

#include <string.h>

#include "plane/act/adopt_judge.h"
#include "util/macro.h"

static const struct {
	const char *name, *remedy;
} verdicts[] = {
	[ADOPT_OK] = {"ok", NULL},
	[ADOPT_PORT_LEFT_OUT] = {"not in Ports=", NULL},
	[ADOPT_NO_REUSEPORT] =
		{"no SO_REUSEPORT",
		 "let the server set it (nginx: listen … reuseport) or use a socket unit "
		 "with ReusePort=yes"},
	[ADOPT_MPTCP] =
		{"MPTCP",
		 "the kernel lets no program choose between listeners of MPTCP; restart the "
		 "instance: unless MPTCP=keep it is refused MPTCP then, and takes plain "
		 "TCP"},
	[ADOPT_NOT_OURS] = {"not of this slot", NULL},
	[ADOPT_BELONGS] = {"it belongs to another service", NULL},
	[ADOPT_OTHER_UID] = {"it belongs to another user than the other slots' sockets there did",
			     "restart its unit, whose ExecStartPre=hs-hook prepare gives them one "
			     "owner"},
	[ADOPT_RESERVED] =
		{"conmon keeps the published port to itself and never accepts there, and the "
		 "server is in another network namespace",
		 "publish no port: give the container the host's network (--network=host "
		 "--cgroups=split), or all slots' containers one network namespace "
		 "(--network=ns:PATH)"},
	[ADOPT_FULL] = {"no room",
			"a slot may have 64 sockets on each of 64 addresses; use fewer workers, or "
			"name the ports that matter in Ports="},
	[ADOPT_ERROR] = {"refused by the kernel", "see the kernel's reason"},
};
_Static_assert(ARRAY_SIZE(verdicts) == ADOPT_VERDICT_COUNT, "a name for each verdict");

const char *adopt_verdict_to_string(enum adopt_verdict verdict)
{
	return verdict < ADOPT_VERDICT_COUNT ? verdicts[verdict].name : "unknown";
}

void adopt_describe(const struct adopted_socket *socket, struct problem *ret_sentence)
{
	char address[ADDRESS_TEXT_MAX];

	ret_sentence->text[0] = '\0';
	if (adopt_is_no_matter(socket->verdict))
		return;
	if (socket->verdict == ADOPT_BELONGS) {
		claim_describe(&socket->held.socket.address, &socket->owner, ret_sentence);
		return;
	}
	if (socket->reason.text[0]) {
		problem_set(ret_sentence, 0, "%s is not switched: %s",
			    address_describe(&socket->held.socket.address, address),
			    socket->reason.text);
		return;
	}
	problem_set(ret_sentence, 0, "%s is not switched: %s%s%s; %s",
		    address_describe(&socket->held.socket.address, address),
		    adopt_verdict_to_string(socket->verdict), socket->error ? ": " : "",
		    socket->error ? strerror(-socket->error) : "",
		    verdicts[socket->verdict].remedy);
}

/* What it listens on, and no reason that is anybody's fault. */
static void explain_left_out(const struct adopted_socket *socket, struct problem *ret_reason)
{
	char address[ADDRESS_TEXT_MAX];

	address_describe(&socket->held.socket.address, address);
	if (socket->verdict == ADOPT_NOT_OURS)
		problem_set(ret_reason, 0,
			    "what it listens on (%s) belongs to another slot: one instance has "
			    "been given the socket of another",
			    address);
	else
		problem_set(ret_reason, 0,
			    "none of what it listens on is an address of the service, as %s is "
			    "not: it is not in Ports=, or is a UDP port that the kernel chose, or "
			    "for many (multicast)",
			    address);
}

void adoption_explain(const struct adoption *adoption, struct problem *ret_reason)
{
	*ret_reason = adoption->blind;
	if (adoption->adopted) {
		ret_reason->text[0] = '\0';
		return;
	}
	for (size_t i = 0; i < adoption->n && !ret_reason->text[0]; i++)
		adopt_describe(&adoption->sockets[i], ret_reason);
	if (!ret_reason->text[0])
		*ret_reason = adoption->path_problem;
	if (!ret_reason->text[0] && adoption->n)
		explain_left_out(&adoption->sockets[0], ret_reason);
	if (!ret_reason->text[0])
		problem_set(ret_reason, 0,
			    "no process of its unit listens anywhere yet; if one does, it is in "
			    "another control group (docker, systemd-run): see ss -lptn");
}

void adoption_describe(const char *service, unsigned slot, const struct adoption *adoption,
		       struct problem *ret_sentence)
{
	struct problem why = adoption->blind;

	for (size_t i = 0; i < adoption->n && !why.text[0]; i++)
		adopt_describe(&adoption->sockets[i], &why);
	if (!why.text[0])
		why = adoption->path_problem;
	if (adoption->suspect)
		problem_set(ret_sentence, 0,
			    "%s: slot %u hangs: its sockets stay out until it serves again.",
			    service, slot);
	else if (adoption->adopted)
		problem_set(ret_sentence, 0, "%s: slot %u has %u socket%s adopted, %u of them new.",
			    service, slot, adoption->adopted, adoption->adopted == 1 ? "" : "s",
			    adoption->fresh);
	else if (why.text[0])
		problem_set(ret_sentence, 0, "%s: no socket of slot %u can be switched: %.400s.",
			    service, slot, why.text);
	else
		problem_set(ret_sentence, 0,
			    "%s: slot %u does not listen yet; hsd adopts its sockets as soon as it "
			    "does.",
			    service, slot);
}
