// SPDX-License-Identifier: GPL-2.0-or-later
/* switchover, rollback, failover */
#include <signal.h>
#include <string.h>

#include "hsctl/direct.h"
#include "hsctl/json.h"
#include "hsctl/show/progress.h"
#include "hsctl/verb/verb.h"
#include "hsctl/verbs.h"
#include "util/macro.h"

/* On top of settling and draining: the time that systemd may need to stop or restart a unit. */
#define FINISH_TIMEOUT (15 * 60 * USEC_PER_SEC)

static volatile sig_atomic_t interrupted;

static void on_signal(int signal)
{
	(void)signal;
	interrupted = 1;
}

static void catch_signals(void)
{
	struct sigaction action = {.sa_handler = on_signal};

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
}

static uint64_t change_timeout(const struct arguments *a)
{
	uint64_t settle = a->settle_usec == USEC_INFINITY ? CONFIG_SETTLE_MAX : a->settle_usec;
	uint64_t drain = a->drain_usec == USEC_INFINITY ? CONFIG_DRAIN_MAX : a->drain_usec;

	return verb_timeout(a, settle + drain + FINISH_TIMEOUT);
}

static enum client_answer ask_hsd(const struct arguments *a, enum switchover_verb verb,
				  const struct client_call *call, struct reply *reply)
{
	const char *then = a->then == THEN_COUNT ? "" : switchover_then_to_string(a->then);

	switch (verb) {
	case VERB_ROLLBACK:
		return client_ask(a, call, reply, "");
	case VERB_FAILOVER:
		return client_ask(a, call, reply, "i", a->to);
	default:
		return client_ask(a, call, reply, "itts", a->to, a->settle_usec, a->drain_usec,
				  then);
	}
}

static void do_directly(const struct arguments *a, enum switchover_verb verb, const char *service,
			struct progress *progress, struct reply *reply)
{
	struct direct_order order = {
		.verb = verb,
		.to = a->to,
		.settle_usec = a->settle_usec,
		.drain_usec = a->drain_usec,
		.timeout_usec = a->timeout_usec,
		.then = a->then,
		.no_block = a->no_block,
		.on_progress = progress_on_step,
		.userdata = progress,
	};

	*reply = (struct reply) {0};
	direct_change(service, &order, reply);
}

/* hsd went away in the middle: only the kernel knows how far it came. */
static void tell_what_holds(const struct arguments *a, const char *service,
			    const struct progress *progress, struct reply *reply)
{
	_cleanup_(direct_close) struct direct direct = {0};
	unsigned active;

	if (a->host || a->machine || direct_open(service, &direct, NULL) < 0) {
		reply_fail(reply, EXIT_FAILED,
			   "%s: hsd went away in the middle of it; see hsctl status %s", service,
			   service);
		return;
	}
	active = hs_word_active(plane_word(direct.plane));
	if (hs_word_flags(plane_word(direct.plane)) & HS_FLAG_EXCLUSIVE) {
		reply_fail(reply, EXIT_FAILED,
			   "%s: hsd went away in the middle of it; the next hsd finishes it, or "
			   "undoes it, and says which: hsctl events %s",
			   service, service);
		return;
	}
	if (progress->from == (int)active) {
		reply_fail(reply, EXIT_UNDONE,
			   "%s: hsd went away in the middle of it; slot %u is active, as before",
			   service, active);
		return;
	}
	reply_fail(reply, EXIT_FAILED,
		   "%s: hsd went away in the middle of it; slot %u is active, and nobody waits for "
		   "the old instance any more; see hsctl status %s",
		   service, active, service);
}

/* Ctrl-C: nobody waits for it any more, that is all. */
static void tell_interrupted(const struct arguments *a, const char *service,
			     const struct progress *progress, struct reply *reply)
{
	char slot[32] = "";

	if (progress->to >= 0)
		snprintf(slot, sizeof(slot), " to slot %d", progress->to);
	if (!strcmp(a->verb->name, "rollback"))
		reply_fail(reply, EXIT_FAILED,
			   "%s: interrupted; hsd goes on with the rollback%s, see hsctl status %s",
			   service, slot, service);
	else
		reply_fail(
			reply, EXIT_FAILED,
			"%s: interrupted; hsd goes on with the %s%s, see hsctl status %s; when it "
			"has ended, hsctl rollback %s undoes it",
			service, a->verb->name, slot, service, service);
}

static void add_slot(json_object *object, const char *key, int slot)
{
	json_object_object_add(object, key, slot < 0 ? NULL : json_object_new_int(slot));
}

static void print_under_way(const struct arguments *a, const char *service,
			    const struct progress *progress)
{
	_cleanup_(json_object_putp) json_object *object = json_object_new_object();

	json_object_object_add(object, "service", json_object_new_string(service));
	json_object_object_add(object, "verb", json_object_new_string(a->verb->name));
	add_slot(object, "from", progress->from);
	add_slot(object, "to", progress->to);
	json_object_object_add(object, "outcome", json_object_new_string("under-way"));
	puts(json_line(object));
}

/* --no-block: the flip has happened, hsd goes on by itself. */
static int tell_under_way(const struct arguments *a, const char *service,
			  const struct progress *progress)
{
	if (a->json)
		print_under_way(a, service, progress);
	else if (progress->exclusive)
		printf("%s: the %s to slot %d goes on, see hsctl status %s\n", service,
		       a->verb->name, progress->to, service);
	else
		printf("%s: slot %d is active; the %s goes on, see hsctl status %s\n", service,
		       progress->to, a->verb->name, service);
	return EXIT_DONE;
}

static int change(const struct arguments *a, enum switchover_verb verb, const char *method)
{
	char service[SERVICE_NAME_MAX];
	struct progress progress;
	struct reply reply = {0};
	struct client_call call = {
		.service = service,
		.method = method,
		.timeout_usec = change_timeout(a),
		.on_progress = progress_on_step,
		.userdata = &progress,
		.interrupted = &interrupted,
	};
	enum client_answer answer;

	if (verb_service(a, service))
		return EXIT_USAGE;
	catch_signals();
	progress_init(&progress, a->json || a->no_block ? NULL : stdout);
	progress.until_flip = a->no_block;
	answer = ask_hsd(a, verb, &call, &reply);
	if (verb_may_do_directly(a, answer))
		do_directly(a, verb, service, &progress, &reply);
	else if (answer == CLIENT_LOST)
		tell_what_holds(a, service, &progress, &reply);
	else if (answer == CLIENT_INTERRUPTED)
		tell_interrupted(a, service, &progress, &reply);
	progress_end(&progress);
	if (verb_may_do_directly(a, answer))
		verb_tell_direct(a, &reply);
	if (answer == CLIENT_ANSWERED && !reply.text)
		return tell_under_way(a, service, &progress);
	return verb_end(a, &reply);
}

int verb_switchover(const struct arguments *arguments)
{
	return change(arguments, VERB_SWITCHOVER, "Switchover");
}

int verb_rollback(const struct arguments *arguments)
{
	return change(arguments, VERB_ROLLBACK, "Rollback");
}

int verb_failover(const struct arguments *arguments)
{
	return change(arguments, VERB_FAILOVER, "Failover");
}
