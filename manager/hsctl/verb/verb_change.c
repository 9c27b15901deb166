// SPDX-License-Identifier: GPL-2.0-or-later
/* switchover, rollback, failover */
#include <signal.h>
#include <string.h>
#include <syslog.h>

#include "hsctl/direct.h"
#include "hsctl/json.h"
#include "hsctl/show/progress.h"
#include "hsctl/standin.h"
#include "hsctl/verb/verb.h"
#include "hsctl/verb_functions.h"
#include "hsctl/verbs.h"
#include "service/whole/calls.h"
#include "system/journal.h"
#include "util/clock.h"
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

/* ---- without hsd ---- */

/* Nobody else goes on with it when we leave. To keep the old instance there is no need; to end it
 * there is. */
static bool may_leave_it(const struct arguments *a, const char *service, enum switchover_then then,
			 struct reply *reply)
{
	if (then == THEN_KEEP || !a->no_block)
		return true;
	reply_fail(
		reply, EXIT_FAILED,
		"%s: to %s the old instance afterwards without waiting for it needs hsd; start it "
		"(systemctl start hsd), or leave out --no-block",
		service, switchover_then_to_string(then));
	return false;
}

static void ask_switchover(const struct arguments *a, struct standin *standin, struct reply *reply,
			   uint64_t *deadline)
{
	struct service *service = standin_service(standin);
	const struct config *config = &service->config;
	enum switchover_then then = a->then == THEN_COUNT ? config->then : a->then;
	struct switchover_call call = {
		.to = a->to,
		.settle_usec = a->settle_usec,
		.drain_usec = a->drain_usec == USEC_INFINITY ? config->drain_usec : a->drain_usec,
		.then = switchover_then_to_string(then),
	};

	if (!may_leave_it(a, service->name, then, reply))
		return;
	if (then != THEN_KEEP && a->timeout_usec != USEC_INFINITY)
		*deadline = now_usec() + a->timeout_usec;
	else if (then == THEN_KEEP)
		call.drain_usec = a->no_block ? 0 : MIN(call.drain_usec, a->timeout_usec);
	call_switchover(service, &call, standin_ask(standin, reply));
}

static void ask_here(const struct arguments *a, enum switchover_verb verb, struct standin *standin,
		     struct reply *reply, uint64_t *deadline)
{
	struct service *service = standin_service(standin);

	switch (verb) {
	case VERB_ROLLBACK:
		call_rollback(service, standin_ask(standin, reply));
		return;
	case VERB_FAILOVER:
		call_failover(service, a->to, standin_ask(standin, reply));
		return;
	default:
		ask_switchover(a, standin, reply, deadline);
	}
}

/* What is left when the waiting was cut short: the word is as the flip left it. */
static void tell_cut_short(const char *service, const struct progress *progress,
			   struct reply *reply)
{
	struct journal_scope scope = {service, progress->to, LOG_WARNING};
	const char *why = interrupted ? "interrupted" : "the time is over";

	if (!progress->flipped) {
		reply_fail(reply, EXIT_FAILED, "%s: %s before anything was changed", service, why);
		return;
	}
	reply_fail(reply, EXIT_FAILED,
		   "%s: %s: slot %d is active since the flip, and what the old instance had to "
		   "finish was not waited for",
		   service, why, progress->to);
	journal_log(JOURNAL_SWITCHOVER, &scope, "%s", reply->problem.text);
}

static void do_directly(const struct arguments *a, enum switchover_verb verb, const char *service,
			struct progress *progress, struct reply *reply)
{
	_cleanup_(standin_freep) struct standin *standin = NULL;
	uint64_t deadline = USEC_INFINITY;

	standin = standin_new(service, reply);
	if (!standin)
		return;
	standin_on_progress(standin, progress_on_step, progress);
	ask_here(a, verb, standin, reply, &deadline);
	if (!standin_wait(standin, &interrupted, deadline))
		tell_cut_short(service, progress, reply);
	standin_settle(standin);
}

/* ---- hsd has begun it ---- */

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

static json_object *name_change(const struct arguments *a, const char *service,
				const struct progress *progress)
{
	json_object *what = json_object_new_object();

	json_object_object_add(what, "service", json_object_new_string(service));
	json_object_object_add(what, "verb", json_object_new_string(a->verb->name));
	add_slot(what, "from", progress->from);
	add_slot(what, "to", progress->to);
	return what;
}

/* The flip has happened, but for one that starts the other instance first. */
static int tell_under_way(const struct arguments *a, const char *service,
			  const struct progress *progress)
{
	json_object *what = name_change(a, service, progress);

	if (progress->exclusive)
		return verb_tell_under_way(a, what,
					   "%s: the %s to slot %d goes on, see hsctl status %s",
					   service, a->verb->name, progress->to, service);
	return verb_tell_under_way(a, what,
				   "%s: slot %d is active; the %s goes on, see hsctl status %s",
				   service, progress->to, a->verb->name, service);
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
