// SPDX-License-Identifier: GPL-2.0-or-later
/* drain: takes a slot out of service and waits until its connections have ended, bounded. */
#include <signal.h>
#include <string.h>

#include "hsctl/json.h"
#include "hsctl/standin.h"
#include "hsctl/verb/verb.h"
#include "hsctl/verb_functions.h"
#include "hsctl/wrap.h"
#include "service/change/drain_run.h"
#include "service/whole/calls.h"
#include "util/clock.h"
#include "util/macro.h"
#include "util/parse.h"

#define SPEAK_EVERY	 (5 * USEC_PER_SEC) /* where there is no terminal */
#define DEADLINE_DEFAULT (5 * 60 * USEC_PER_SEC)
/* On top of the deadline: for what comes before, and for what its end is. */
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

struct show {
	bool quiet, terminal;
	bool no_block;	 /* that it has begun is enough */
	uint64_t spoken; /* microseconds, monotonic */
};

static int on_step(const char *json, void *userdata)
{
	_cleanup_(json_object_putp) json_object *step = json_parse(json);
	struct show *show = userdata;
	const char *text = json_text(step, "text");
	uint64_t now = now_usec();

	/* somebody else's change may have been the last one to tell */
	if (strcmp(json_text(step, "step"), "drain"))
		return 0;
	if (show->quiet || show->no_block)
		return show->no_block;
	if (show->terminal) {
		printf("\r\033[K%.*s", wrap_fits(text, wrap_width(STDOUT_FILENO)), text);
	} else if (!show->spoken || now >= show->spoken + SPEAK_EVERY) {
		show->spoken = now;
		puts(text);
	}
	fflush(stdout);
	return 0;
}

static int read_order(const struct arguments *a, unsigned *ret_slot, uint64_t *ret_patience)
{
	const char *deadline = a->texts[TEXT_DEADLINE];
	uint64_t slot, span = DEADLINE_DEFAULT;

	if (parse_unsigned(a->given[1], 0, HS_SLOTS_MAX - 1, &slot) < 0) {
		complain("\"%.40s\" is not the number of a slot", a->given[1]);
		return EXIT_USAGE;
	}
	if (deadline && (parse_span(deadline, &span) < 0 || span > CONFIG_DRAIN_MAX)) {
		complain(
			"\"%.40s\" is no value for --deadline; it takes a time of at most 7d, such "
			"as 30s or 5min",
			deadline);
		return EXIT_USAGE;
	}
	*ret_slot = slot;
	*ret_patience = span;
	return 0;
}

static void on_refusal(const char *sentence, void *userdata)
{
	(void)userdata;
	complain("%s", sentence);
}

static int tell_under_way(const struct arguments *a, const char *service, unsigned slot)
{
	json_object *what = json_object_new_object();

	json_object_object_add(what, "service", json_object_new_string(service));
	json_object_object_add(what, "slot", json_object_new_int((int)slot));
	return verb_tell_under_way(a, what, "%s: the drain of slot %u goes on, see hsctl status %s",
				   service, slot, service);
}

/* ---- without hsd ---- */

/* As it is with hsd: too late, it goes on. */
static void cancel(struct standin *standin, uint64_t deadline)
{
	if (!drain_run_cancel(standin_service(standin)))
		complain("the deadline has passed, what is left is being ended");
	standin_wait(standin, NULL, deadline);
}

static void do_directly(const struct arguments *arguments, const char *service, unsigned slot,
			uint64_t patience, struct show *show, struct reply *reply)
{
	_cleanup_(standin_freep) struct standin *standin =
		show->no_block ? NULL : standin_new(service, reply);
	uint64_t deadline = now_usec() + verb_timeout(arguments, patience + FINISH_TIMEOUT);

	if (show->no_block)
		reply_fail(reply, EXIT_FAILED,
			   "%s: to drain slot %u without waiting for it needs hsd; start it "
			   "(systemctl start hsd), or leave out --no-block",
			   service, slot);
	if (!standin)
		return;
	standin_on_progress(standin, on_step, show);
	call_drain(standin_service(standin), slot, patience, standin_ask(standin, reply));
	if (!standin_wait(standin, &interrupted, deadline) && interrupted)
		cancel(standin, deadline);
	if (!standin_wait(standin, NULL, 0))
		reply_fail(reply, EXIT_FAILED,
			   "%s: the time is over; slot %u stays out of service, and hsd goes on "
			   "with it, as soon as it runs",
			   service, slot);
	standin_settle(standin);
}

/* ---- the verb ---- */

int verb_drain(const struct arguments *arguments)
{
	char service[SERVICE_NAME_MAX];
	struct show show = {
		.quiet = arguments->json,
		.terminal = isatty(STDOUT_FILENO) && !arguments->no_block,
		.no_block = arguments->no_block,
	};
	struct reply reply = {0};
	struct client_call call = {
		.service = service,
		.method = "Drain",
		.on_progress = on_step,
		.userdata = &show,
		.interrupted = &interrupted,
		.cancel_method = "CancelDrain",
		.on_refusal = on_refusal,
	};
	enum client_answer answer;
	uint64_t patience;
	unsigned slot;

	if (verb_service(arguments, service) || read_order(arguments, &slot, &patience))
		return EXIT_USAGE;
	catch_signals();
	call.timeout_usec = verb_timeout(arguments, patience + FINISH_TIMEOUT);
	answer = client_ask(arguments, &call, &reply, "ut", slot, patience);
	if (verb_may_do_directly(arguments, answer))
		do_directly(arguments, service, slot, patience, &show, &reply);
	if (show.terminal && !show.quiet)
		fputs("\r\033[K", stdout);
	if (answer == CLIENT_ANSWERED && !reply.text)
		return tell_under_way(arguments, service, slot);
	if (verb_may_do_directly(arguments, answer))
		verb_tell_direct(arguments, &reply);
	else if (answer == CLIENT_LOST)
		reply_fail(&reply, EXIT_FAILED,
			   "%s: hsd went away in the middle of it; the next hsd goes on with the "
			   "drain of slot %u, see hsctl status %s",
			   service, slot, service);
	return verb_end(arguments, &reply);
}
