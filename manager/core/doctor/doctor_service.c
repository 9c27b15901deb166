// SPDX-License-Identifier: GPL-2.0-or-later
/* Judging a service: its units, its slots, its sockets and what stands in their way. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/doctor/doctor.h"
#include "core/doctor/doctor_front.h"
#include "core/setup/collector.h"
#include "util/clock.h"
#include "util/macro.h"
#include "util/parse.h"

/* ExecStop= may take this long to move what waits (hsctl retire). */
#define RETIRE_MAX (5 * USEC_PER_SEC)
/* The kernel's default of net.core.somaxconn: a backlog cut by it is cut on purpose. */
#define SOMAXCONN_NORMAL 4096

/* ---- settings and units ---- */

static void judge_settings(struct doctor_report *report, const struct doctor_service *service)
{
	doctor_settings(report, &service->config_problem, &service->unsettled,
			"The last good settings hold, after a start of hsd the defaults");
}

static void judge_lint(struct doctor_report *report, const struct lint_finding *lint)
{
	struct doctor_advice advice = {"unit.lint", lint->why, lint->remedy};

	/* what enable only notes is no fault */
	doctor_add(report, lint->refuses ? DOCTOR_FINDING : DOCTOR_OK, &advice, "%s%s%s",
		   lint->file ?: "", lint->file ? ": " : "", lint->what);
}

static void judge_files(struct doctor_report *report, const struct doctor_service *service)
{
	static const struct doctor_advice reload = {"unit.reload",
						    "systemd works with what the files said before",
						    "Run: systemctl daemon-reload"};
	struct doctor_advice advice = {.id = "unit.drop-in"};
	char remedy[SERVICE_NAME_MAX + 64];

	if (service->needs_reload)
		doctor_add(report, DOCTOR_FINDING, &reload,
			   "Unit files have changed since systemd read them");
	if (!service->pending) {
		doctor_add(report, DOCTOR_OK, &advice, "The files of hsctl enable are in place");
		return;
	}
	snprintf(remedy, sizeof(remedy), "Write them anew: hsctl enable %s@.service",
		 report->service);
	advice.why = "Instances then start or stop without hotstandby, or with what an earlier "
		     "version did: one that runs hsctl as root with the environment of the "
		     "service, which may be another user's to write";
	advice.remedy = remedy;
	doctor_add(report, DOCTOR_FINDING, &advice,
		   "%u of the files that hsctl enable writes %s missing or not as it would write "
		   "them",
		   service->pending, service->pending == 1 ? "is" : "are");
}

static void judge_units(struct doctor_report *report, const struct doctor_service *service)
{
	if (!service->lint)
		return;
	for (size_t i = 0; i < service->lint->n; i++)
		/* the settings were judged already */
		if (!service->config_problem.text[0] ||
		    strcmp(service->lint->items[i].why, service->config_problem.text))
			judge_lint(report, &service->lint->items[i]);
	if (!service->lint->refused)
		judge_files(report, service);
}

static void judge_plain(struct doctor_report *report, const struct doctor_service *service)
{
	struct doctor_advice advice = {"unit.plain", service->plain_why, NULL};
	char remedy[2 * UNIT_NAME_MAX];

	if (!service->plain.text[0])
		return;
	snprintf(remedy, sizeof(remedy),
		 "Let the slots take over without a loss: hsctl enable %s@.service --from=%.200s",
		 report->service, service->plain_unit);
	advice.remedy = remedy;
	doctor_add(report, DOCTOR_FINDING, &advice, "%s", service->plain.text);
}

static void judge_exclusive_boot(struct doctor_report *report, const struct doctor_service *service)
{
	struct doctor_advice advice = {
		"unit.boot",
		"With Exclusive=yes only one instance may run, and a boot would start more", NULL};
	char remedy[UNIT_NAME_MAX + 32];
	bool some = false;

	for (unsigned i = 0; i < service->config.slots; i++) {
		if (service->slots[i].boot != BOOT_YES)
			continue;
		snprintf(remedy, sizeof(remedy), "Run: systemctl disable %s",
			 service->slots[i].unit);
		advice.remedy = remedy;
		if (some)
			doctor_add(report, DOCTOR_FINDING, &advice,
				   "%s is started at boot, and so is another slot",
				   service->slots[i].unit);
		some = true;
	}
}

/* Some and not others: after a boot there is no standby. None at all may be meant that way. */
static void judge_boot(struct doctor_report *report, const struct doctor_service *service)
{
	struct doctor_advice advice = {
		"unit.boot", "After a boot this slot is missing, and there is no standby", NULL};
	char remedy[UNIT_NAME_MAX + 32];
	bool some = false;

	if (service->config.exclusive) {
		judge_exclusive_boot(report, service);
		return;
	}
	for (unsigned i = 0; i < service->config.slots; i++)
		some |= service->slots[i].boot == BOOT_YES;
	for (unsigned i = 0; some && i < service->config.slots; i++) {
		if (service->slots[i].boot != BOOT_NO)
			continue;
		snprintf(remedy, sizeof(remedy), "Run: systemctl enable %s",
			 service->slots[i].unit);
		advice.remedy = remedy;
		doctor_add(report, DOCTOR_FINDING, &advice,
			   "%s is not started at boot, but other slots are",
			   service->slots[i].unit);
	}
}

static void judge_outdated(struct doctor_report *report, const struct doctor_service *service)
{
	struct doctor_advice advice = {
		"slot.outdated",
		"What was mended in the new version is not in service, and the slots may run "
		"different ones: the next crash brings in what is on the disk",
		NULL};
	char remedy[SERVICE_NAME_MAX + 32], text[OUTDATED_TEXT_MAX];
	unsigned n = 0;

	snprintf(remedy, sizeof(remedy), "Run: hsctl upgrade %s", report->service);
	for (unsigned i = 0; i < service->config.slots; i++) {
		if (!service->slots[i].outdated.files)
			continue;
		advice.remedy = remedy;
		doctor_add(report, DOCTOR_FINDING, &advice, "%s: %s", service->slots[i].unit,
			   outdated_describe(&service->slots[i].outdated, text));
		n++;
	}
	advice.why = NULL;
	if (!n)
		doctor_add(report, DOCTOR_OK, &advice, "The slots run what is on the disk");
}

static void judge_kill_mode(struct doctor_report *report, const struct doctor_slot *slot)
{
	static const struct doctor_advice none = {
		"unit.kill-mode",
		"Processes that stay behind keep the listening socket open, so what waits on it is "
		"not moved, and the next start finds it there",
		"Set KillMode=control-group, or mixed"};

	if (!strcmp(slot->kill_mode, "none"))
		doctor_add(report, DOCTOR_FINDING, &none, "%s has KillMode=none", slot->unit);
}

static void judge_stop_time(struct doctor_report *report, const struct doctor_slot *slot)
{
	static const struct doctor_advice brief = {
		"unit.stop-timeout",
		"A stop first moves what waits to another slot, which may take 5 s; systemd would "
		"end that half-way",
		"Set TimeoutStopSec=10s, or more if the server needs time to finish"};
	char span[SPAN_TEXT_MAX];

	if (slot->timeout_stop_usec && slot->timeout_stop_usec < RETIRE_MAX)
		doctor_add(report, DOCTOR_FINDING, &brief, "%s has TimeoutStopSec=%s", slot->unit,
			   span_format(slot->timeout_stop_usec, span, sizeof(span)));
}

/* ---- slots ---- */

static bool may_rest(const struct doctor_service *service, unsigned slot)
{
	return service->config.exclusive && slot != service->active &&
	       service->slots[slot].state == SLOT_DOWN;
}

static void judge_slot(struct doctor_report *report, const struct doctor_service *service,
		       unsigned number)
{
	const struct doctor_slot *slot = &service->slots[number];
	struct doctor_advice advice = {.id = "slot.ready"};
	char remedy[UNIT_NAME_MAX + 160];

	if (slot->state == SLOT_READY || may_rest(service, number)) {
		doctor_add(report, DOCTOR_OK, &advice, "Slot %u (%s) is %s", number, slot->unit,
			   slot_state_to_string(slot->state));
		return;
	}
	advice.why = number == service->active ? "It is the active one: clients may be refused"
					       : "It cannot take over when the active one ends";
	if (slot->state == SLOT_DOWN)
		snprintf(remedy, sizeof(remedy), "Start it: systemctl start %s", slot->unit);
	else if (slot->state == SLOT_FAILED || slot->state == SLOT_STARTING)
		snprintf(remedy, sizeof(remedy),
			 "See why: journalctl -u %s; a server that finds a file, folder or port of "
			 "its other copy in use is to have its own, with %%i",
			 slot->unit);
	else
		snprintf(remedy, sizeof(remedy), "See: hsctl status %.240s", report->service);
	advice.remedy = remedy;
	doctor_add(report, DOCTOR_FINDING, &advice, "Slot %u (%s) is %s%s%s", number, slot->unit,
		   slot_state_to_string(slot->state), slot->problem.text[0] ? ": " : "",
		   slot->problem.text);
}

static void judge_slots(struct doctor_report *report, const struct doctor_service *service)
{
	for (unsigned i = 0; i < service->config.slots; i++) {
		judge_slot(report, service, i);
		judge_kill_mode(report, &service->slots[i]);
		judge_stop_time(report, &service->slots[i]);
	}
	judge_boot(report, service);
	judge_plain(report, service);
	judge_outdated(report, service);
}

/* ---- sockets ---- */

/* The first socket of a lower slot on the same address: what this one is compared with. NULL for
 * the first, and for further shards. */
static const struct doctor_socket *partner_of(const struct doctor_service *service,
					      const struct doctor_socket *socket)
{
	const struct doctor_socket *first = NULL;

	for (const struct doctor_socket *s = service->sockets; s < socket; s++) {
		if (!address_equal(&s->address, &socket->address))
			continue;
		if (s->slot == socket->slot)
			return NULL;
		if (!first)
			first = s;
	}
	return first;
}

static unsigned list_differences(const struct doctor_socket *a, const struct doctor_socket *b,
				 char *text, size_t size)
{
	unsigned n = 0;
	size_t length = 0;

	for (unsigned i = 0; i < DOCTOR_OPTION_COUNT; i++) {
		if (!strcmp(a->options[i], b->options[i]))
			continue;
		length += (size_t)snprintf(text + length, size - length, "%s%s %s and %s",
					   n++ ? ", " : "",
					   doctor_option_to_string((enum doctor_option)i),
					   a->options[i], b->options[i]);
		length = MIN(length, size - 1);
	}
	return n;
}

static void judge_options(struct doctor_report *report, const struct doctor_socket *a,
			  const struct doctor_socket *b, const char *address)
{
	static const struct doctor_advice differ = {
		"service.options",
		"Connections inherit them from the socket that they began on, and some decide what "
		"becomes of a handshake that moves: a switchover changes how clients are served",
		"Let both instances set the same options, by the same configuration; then restart "
		"the one that is behind"};
	char text[400];

	if (a->borrowed && b->borrowed && list_differences(a, b, text, sizeof(text)))
		doctor_add(report, DOCTOR_FINDING, &differ, "%s, slots %u and %u: %s", address,
			   a->slot, b->slot, text);
}

static void judge_pair(struct doctor_report *report, const struct doctor_socket *a,
		       const struct doctor_socket *b)
{
	static const struct doctor_advice backlog = {
		"service.backlog-differs",
		"What waits on the slot with the longer queue may not find room on the other",
		"Give both the same backlog"};
	static const struct doctor_advice uid = {
		"service.uid",
		"The kernel lets only sockets of one user into a group, so the next start may fail",
		"Run both slots as the same user, or keep hsd running, which evens it out"};
	char address[ADDRESS_TEXT_MAX];

	address_describe(&b->address, address);
	if (a->backlog != b->backlog && !b->address.udp)
		doctor_add(report, DOCTOR_FINDING, &backlog,
			   "On %s slot %u has a backlog of %u and slot %u one of %u", address,
			   a->slot, a->backlog, b->slot, b->backlog);
	if (a->uid != b->uid)
		doctor_add(report, DOCTOR_FINDING, &uid,
			   "On %s the socket of slot %u belongs to user %u and that of slot %u to "
			   "user %u",
			   address, a->slot, a->uid, b->slot, b->uid);
	judge_options(report, a, b, address);
}

static void judge_backlog(struct doctor_report *report, const struct doctor_socket *socket,
			  const struct doctor_sysctls *sysctls)
{
	static const struct doctor_advice cut = {
		"service.backlog-cut",
		"Connections that arrive while the queue is full are put off or lost; after a move "
		"it holds those of both slots",
		"Set the kernel's default: sysctl -w net.core.somaxconn=4096, and restart the "
		"instances one after the other"};
	int64_t most = sysctls->values[SYSCTL_SOMAXCONN];
	char address[ADDRESS_TEXT_MAX];

	if (socket->address.udp || most < 0 || most >= SOMAXCONN_NORMAL || socket->backlog < most)
		return;
	doctor_add(report, DOCTOR_FINDING, &cut,
		   "On %s net.core.somaxconn cuts the backlog of slot %u to %u",
		   address_describe(&socket->address, address), socket->slot, socket->backlog);
}

static void judge_kind(struct doctor_report *report, const struct doctor_socket *socket)
{
	static const struct doctor_advice mptcp = {
		"service.mptcp", "The kernel lets a program choose between plain TCP sockets only",
		"Restart the instance: without MPTCP=keep it is refused MPTCP, and takes plain "
		"TCP. Or name other ports in Ports="};
	static const struct doctor_advice alone = {
		"service.reuseport", "Only one slot can listen on the address at a time",
		"Let hsctl enable find the right intake, and restart the instance"};
	char address[ADDRESS_TEXT_MAX];

	address_describe(&socket->address, address);
	if (socket->mptcp)
		doctor_add(report, DOCTOR_FINDING, &mptcp, "On %s slot %u listens by MPTCP",
			   address, socket->slot);
	else if (socket->borrowed && !socket->reuseport)
		doctor_add(report, DOCTOR_FINDING, &alone,
			   "On %s the socket of slot %u has no SO_REUSEPORT", address,
			   socket->slot);
}

/* True if "80,8000-8010" names the port. */
static bool is_reserved(const char *list, uint16_t port)
{
	unsigned from, to;
	int n;

	for (const char *p = list; sscanf(p, "%u%n", &from, &n) == 1;) {
		p += n;
		to = from;
		if (sscanf(p, "-%u%n", &to, &n) == 1)
			p += n;
		if (port >= from && port <= to)
			return true;
		if (*p++ != ',')
			break;
	}
	return false;
}

static void judge_port(struct doctor_report *report, const struct doctor_socket *socket,
		       const struct doctor_sysctls *sysctls)
{
	uint16_t port = socket->address.port;
	struct doctor_advice advice = {
		"service.local-ports",
		"While no instance listens an outgoing connection may get this port, and then no "
		"instance can",
		NULL};
	char remedy[128];

	if (port < sysctls->ports_from || port > sysctls->ports_to ||
	    is_reserved(sysctls->reserved, port))
		return;
	snprintf(remedy, sizeof(remedy),
		 "Keep it free: add %u to net.ipv4.ip_local_reserved_ports in /etc/sysctl.d", port);
	advice.remedy = remedy;
	doctor_add(report, DOCTOR_FINDING, &advice,
		   "Port %u lies in net.ipv4.ip_local_port_range (%u to %u)", port,
		   sysctls->ports_from, sysctls->ports_to);
}

/* Of the first socket on an address only: it is about the address. */
static bool is_first_there(const struct doctor_service *service, const struct doctor_socket *socket)
{
	for (const struct doctor_socket *s = service->sockets; s < socket; s++)
		if (s->address.port == socket->address.port)
			return false;
	return true;
}

static bool has_earlier_shard(const struct doctor_service *service,
			      const struct doctor_socket *socket)
{
	for (const struct doctor_socket *s = service->sockets; s < socket; s++)
		if (s->slot == socket->slot && address_equal(&s->address, &socket->address))
			return true;
	return false;
}

/* That is how it is meant; but whoever meant it otherwise waits in vain. */
static void judge_flow(struct doctor_report *report, const struct doctor_service *service)
{
	static const struct doctor_advice stays = {.id = "service.flow"};
	const char *protocol = NULL;
	bool udp = false;

	for (size_t i = 0; i < service->n_sockets; i++) {
		const struct address *address = &service->sockets[i].address;

		udp |= address->udp;
		if (address->udp && !protocol)
			protocol = collector_protocol(address->port);
	}
	if (udp && service->config.flow == HS_FLOW_CONNECTION)
		doctor_add(report, DOCTOR_OK, &stays, "UDP, Flow=connection: %s%s%s%s",
			   CONFIG_FLOW_STAYS, protocol ? "; here is a port of " : "",
			   protocol ? protocol : "", protocol ? ": " COLLECTOR_REMEDY : "");
}

/* What is remembered of exporters. Without hsd nobody knows, and that is found already. */
static void judge_replay(struct doctor_report *report, const struct doctor_service *service)
{
	static const struct doctor_advice fine = {.id = "service.replay"};
	static const struct doctor_advice broken = {
		.id = "service.replay",
		.why = "exporters that move to another slot say their templates again only when "
		       "they are due, and what they send until then cannot be decoded",
		.remedy = "it takes policy hash and a UDP address in hsd's own network; see "
			  "journalctl -u hsd"};

	if (service->config.replay == CONFIG_REPLAY_NO || !service->replays)
		return;
	if (service->replay_problem.text[0])
		doctor_add(report, DOCTOR_FINDING, &broken,
			   "Replay=templates is set and does not work: %s",
			   service->replay_problem.text);
	else
		doctor_add(report, DOCTOR_OK, &fine,
			   "Replay=templates works: the templates of %u exporters are remembered",
			   service->replay_exporters);
}

/* Likewise. */
static void judge_fastpath(struct doctor_report *report, const struct doctor_service *service)
{
	static const struct doctor_advice fine = {.id = "service.fastpath"};
	static const struct doctor_advice slow = {
		.id = "service.fastpath",
		.why = "its connections go by TCP, as without [FastPath]",
		.remedy = "start the unit, in the network namespace of the service; or take it out "
			  "of From="};

	if (!service->config.fastpath.n_units || !service->fast_told)
		return;
	if (service->fast_problem.text[0])
		doctor_add(report, DOCTOR_FINDING, &slow, "Fast path: %s",
			   service->fast_problem.text);
	else
		doctor_add(report, DOCTOR_OK, &fine,
			   "Connections of every unit in From= may be on the fast path");
}

static void judge_sockets(struct doctor_report *report, const struct doctor_service *service)
{
	static const struct doctor_advice fine = {.id = "service.sockets"};
	size_t before = report->findings;

	for (size_t i = 0; i < service->n_sockets; i++) {
		const struct doctor_socket *socket = &service->sockets[i];
		const struct doctor_socket *partner = partner_of(service, socket);

		if (partner)
			judge_pair(report, partner, socket);
		if (is_first_there(service, socket))
			judge_port(report, socket, &service->sysctls);
		if (has_earlier_shard(service, socket))
			continue;
		judge_kind(report, socket);
		judge_backlog(report, socket, &service->sysctls);
	}
	if (before == report->findings && service->n_sockets)
		doctor_add(report, DOCTOR_OK, &fine,
			   "Its %zu sockets are alike in backlog, owner and options",
			   service->n_sockets);
}

static bool is_new_address(const struct doctor_service *service, const struct doctor_socket *socket)
{
	for (const struct doctor_socket *s = service->sockets; s < socket; s++)
		if (address_equal(&s->address, &socket->address))
			return false;
	return true;
}

static void judge_room(struct doctor_report *report, const struct doctor_service *service)
{
	static const struct doctor_advice advice = {
		"service.listeners",
		"Those for which there is no room are not switched: each slot serves them for "
		"itself, and the slots are not alike",
		"Name the ports that matter in Ports= and reload: systemctl reload hsd"};
	unsigned n = 0;

	for (size_t i = 0; i < service->n_sockets; i++)
		n += is_new_address(service, &service->sockets[i]);
	if (n > CONFIG_LISTENERS_MAX)
		doctor_add(report, DOCTOR_FINDING, &advice,
			   "Its instances listen on %u addresses, and a service can have %u", n,
			   CONFIG_LISTENERS_MAX);
}

static bool is_served(const struct doctor_service *service, uint16_t port, bool udp)
{
	for (size_t i = 0; i < service->n_sockets; i++)
		if (service->sockets[i].address.port == port &&
		    service->sockets[i].address.udp == udp)
			return true;
	return false;
}

static void judge_ports(struct doctor_report *report, const struct doctor_service *service)
{
	static const struct doctor_advice unused = {
		"service.ports",
		"It is named in Ports= to be switched, so it is missing or mistyped",
		"Correct Ports=, or let the instances listen there"};

	for (unsigned i = 0; service->n_sockets && i < service->config.n_ports; i++) {
		const struct config_port *port = &service->config.ports[i];

		if (!(port->tcp && is_served(service, port->port, false)) &&
		    !(port->udp && is_served(service, port->port, true)))
			doctor_add(report, DOCTOR_FINDING, &unused,
				   "No instance listens on port %u", port->port);
	}
}

static void judge_park(struct doctor_report *report, const struct doctor_service *service)
{
	static const struct doctor_advice missing = {
		"service.park",
		"While no slot is ready clients are refused there instead of waiting",
		"See hsctl events; hsd opens it when it takes the service up: systemctl reload "
		"hsd"};
	static const struct doctor_advice unfit = {
		"service.park",
		"What waits there would not be filtered like the instances' own; so while no slot "
		"is ready clients are refused",
		NULL};
	static const struct doctor_advice fine = {.id = "service.park"};
	char address[ADDRESS_TEXT_MAX];

	if (!service->config.park || !service->n_sockets)
		return;
	if (service->unparked && service->filtered)
		doctor_add(report, DOCTOR_SKIPPED, &unfit,
			   "There is no park, as its units, their slices or socket units filter "
			   "addresses or interfaces (IPAddressDeny= and the like)");
	else if (service->unparked)
		doctor_add(report, DOCTOR_FINDING, &missing, "%s has no park",
			   address_describe(&service->without_park, address));
	else
		doctor_add(report, DOCTOR_OK, &fine, "Its parks are open");
}

static void judge_held(struct doctor_report *report, const struct doctor_service *service)
{
	static const struct doctor_advice held = {
		"service.folder",
		"A hsctl that was killed has left it append-only: who starts there cannot replace "
		"his socket, and root cannot remove it either",
		"Restart hsd or a slot, which take it back: systemctl restart hsd"};

	if (service->held[0])
		doctor_add(report, DOCTOR_FINDING, &held,
			   "Nothing can be removed from the folder of %s", service->held);
}

/* ---- others ---- */

static void judge_foreign(struct doctor_report *report, const struct doctor_service *service)
{
	static const struct doctor_advice in_front = {"service.foreign-in-front",
						      "The kernel prefers its address, so it gets "
						      "the connections to it, and no slot does",
						      "Stop it, or let it listen on another port"};
	static const struct doctor_advice beside = {
		"service.foreign",
		"It gets no connection while a slot is ready, and keeps the address when all are "
		"gone",
		"Stop it, or start it as a slot"};
	static const struct doctor_advice fine = {.id = "service.foreign"};

	for (size_t i = 0; i < service->n_foreign; i++)
		doctor_add(report, DOCTOR_FINDING,
			   service->foreign[i].in_front ? &in_front : &beside, "%s",
			   service->foreign[i].text.text);
	if (!service->n_foreign)
		doctor_add(report, DOCTOR_OK, &fine, "Nobody else listens on its addresses");
}

void doctor_service(struct doctor_report *report, const struct doctor_service *service)
{
	judge_settings(report, service);
	judge_units(report, service);
	judge_slots(report, service);
	judge_sockets(report, service);
	judge_room(report, service);
	judge_flow(report, service);
	judge_replay(report, service);
	doctor_decap(report, &service->config.front);
	judge_fastpath(report, service);
	judge_ports(report, service);
	judge_park(report, service);
	judge_held(report, service);
	judge_foreign(report, service);
}
