// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsctl/upgrade/upgrade.h"

#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "core/change/upgrade.h"
#include "hsctl/direct.h"
#include "hsctl/json.h"
#include "hsctl/unit/lastwords.h"
#include "hsctl/unit/outputfile.h"
#include "hsctl/verb/verb.h"
#include "hsctl/wrap.h"
#include "system/configfile.h"
#include "system/unit/scope.h"
#include "util/clock.h"
#include "util/macro.h"
#include "util/parse.h"

#define HOLD_DEFAULT	  (30 * USEC_PER_SEC)
#define PROBATION_DEFAULT (60 * USEC_PER_SEC)
#define SMOKE_DEFAULT	  (10 * 60 * USEC_PER_SEC)
/* Of systemd's own, for restarting both units, and of the drain. */
#define JOBS_TIMEOUT  (40 * 60 * USEC_PER_SEC)
#define JOURNAL_LINES 10

static volatile sig_atomic_t interrupted;

static void on_signal(int signal)
{
	(void)signal;
	interrupted = 1;
}

struct order {
	uint32_t canary[UPGRADE_CANARY_STEPS_MAX];
	unsigned n_canary;
	uint64_t hold, probation, ready, smoke;
};

/* ---- the order ---- */

static int wrong(const char *option, const char *value, const char *wanted)
{
	complain("\"%.60s\" is no value for %s; it takes %s", value, option, wanted);
	return EXIT_USAGE;
}

static int read_span(const char *option, const char *text, uint64_t otherwise, uint64_t *ret_usec)
{
	*ret_usec = otherwise;
	if (text && (parse_span(text, ret_usec) < 0 || *ret_usec > CONFIG_DRAIN_MAX))
		return wrong(option, text, "a time of at most 7d, such as 30s or 5min");
	return 0;
}

static int add_share(struct order *order, const char *word)
{
	uint32_t share;

	if (order->n_canary == UPGRADE_CANARY_STEPS_MAX || parse_percent(word, &share) < 0 ||
	    !share)
		return -EINVAL;
	order->canary[order->n_canary++] = share;
	return 0;
}

static int read_canary(const char *text, struct order *order)
{
	char word[16];

	for (const char *p = text ?: ""; *p; p += strspn(p, ",")) {
		size_t length = strcspn(p, ",");

		snprintf(word, sizeof(word), "%.*s", (int)MIN(length, sizeof(word) - 1), p);
		if (add_share(order, word) < 0)
			return wrong("--canary", text,
				     "up to 8 shares below 100%, such as 1%,10%,50%");
		p += length;
	}
	return 0;
}

static int read_order(const struct arguments *a, struct order *order)
{
	int r = read_canary(a->texts[TEXT_CANARY], order);

	if (!r)
		r = read_span("--hold", a->texts[TEXT_HOLD], HOLD_DEFAULT, &order->hold);
	if (!r)
		r = read_span("--probation", a->texts[TEXT_PROBATION], PROBATION_DEFAULT,
			      &order->probation);
	if (!r)
		r = read_span("--ready", a->texts[TEXT_READY], USEC_INFINITY, &order->ready);
	if (!r)
		r = read_span("--smoke-timeout", a->texts[TEXT_SMOKE_TIMEOUT], SMOKE_DEFAULT,
			      &order->smoke);
	return r;
}

/* ---- showing it ---- */

struct show {
	bool quiet, terminal;
	char step[16], last[16]; /* the one that runs, and the last that was on the way forward */
	double share;
	int slot;	     /* that it is about; -1 = not known yet */
	uint64_t began_usec; /* CLOCK_REALTIME */
	uint64_t asked_usec; /* CLOCK_MONOTONIC */
	bool no_block;	     /* that it has begun is enough */
	struct output_files outputs[HS_SLOTS_MAX];
	int from, to;
};

static void show_line(const struct show *show, json_object *progress)
{
	const char *text = json_text(progress, "text");
	char line[PROBLEM_TEXT_MAX + 32];

	snprintf(line, sizeof(line), "%s (%" PRId64 "s)", text,
		 json_number(progress, "elapsed_us", 0) / (int64_t)USEC_PER_SEC);
	if (show->terminal)
		printf("\r\033[K%.*s", wrap_fits(line, wrap_width(STDOUT_FILENO)), line);
	else
		puts(text);
	fflush(stdout);
}

/* Ctrl-C when there is no way back any more. */
static void on_refusal(const char *sentence, void *userdata)
{
	const struct show *show = userdata;

	if (show->terminal && !show->quiet)
		fputs("\r\033[K", stdout);
	complain("%s; waiting for its end", sentence);
}

/* How it ended is said by the answer. */
static bool is_end(const char *step)
{
	return !strcmp(step, "done") || !strcmp(step, "undone") || !strcmp(step, "failed");
}

static bool is_way_back(const char *step)
{
	return !strcmp(step, "undo") || !strcmp(step, "stop-new") || !strcmp(step, "start-old");
}

static int on_step(const char *json, void *userdata)
{
	_cleanup_(json_object_putp) json_object *object = json_parse(json);
	const char *step = json_text(object, "step");
	struct show *show = userdata;
	json_object *share = NULL;
	double value;
	bool same;

	/* another one is under way, so that ours will be refused */
	if (json_number(object, "elapsed_us", 0) > (int64_t)(now_usec() - show->asked_usec))
		return 0;
	/* its switchover tells of progress, too, without a share; that of an exclusive service says
	 * more than the upgrade itself */
	if (!json_object_object_get_ex(object, "share", &share) &&
	    (!json_is_true(object, "exclusive") || is_end(step)))
		return 0;
	value = share ? json_object_get_double(share) : 0;
	same = !strcmp(step, show->step) && value == show->share &&
	       json_number(object, "slot", -1) == show->slot;
	show->share = value;
	show->slot = json_number(object, "slot", -1);
	snprintf(show->step, sizeof(show->step), "%s", step);
	if (is_end(step))
		return 0;
	if (!is_way_back(step))
		snprintf(show->last, sizeof(show->last), "%s", step);
	if (!show->quiet && (show->terminal || !same))
		show_line(show, object);
	show->from = json_number(object, "from", -1);
	show->to = json_number(object, "to", -1);
	return show->no_block;
}

static void show_word(const char *line, void *userdata)
{
	const char **title = userdata;

	if (*title)
		fprintf(stderr, "last lines of %s:\n", *title);
	*title = NULL;
	fprintf(stderr, "  %s\n", line);
}

/* systemd may hear of the end of a process later than hsd does. Once it has answered, it has
 * written what it has to say of it. */
static void let_systemd_speak(const char *unit)
{
	_cleanup_(sd_bus_close_unrefp) sd_bus *systemd = direct_systemd();
	struct unit_facts facts;

	if (systemd && units_query(systemd, unit, &facts, NULL) >= 0)
		unit_facts_done(&facts);
}

/* Where the instances write to files instead of the journal. */
static void find_outputs(const struct arguments *arguments, const char *service, struct show *show)
{
	_cleanup_(sd_bus_close_unrefp) sd_bus *systemd = NULL;
	struct config config;
	char unit[UNIT_NAME_MAX];

	if (arguments->host || arguments->machine || configfile_load(service, &config, NULL) < 0)
		return;
	systemd = direct_systemd();
	for (unsigned slot = 0; systemd && slot < config.slots; slot++)
		if (!name_unit(service, slot, unit, sizeof(unit)))
			output_files_find(systemd, unit, &show->outputs[slot]);
}

static void forget_outputs(struct show *show)
{
	for (unsigned slot = 0; slot < HS_SLOTS_MAX; slot++)
		output_files_done(&show->outputs[slot]);
}

static void show_outputs(const struct show *show)
{
	const struct output_files *outputs = &show->outputs[show->slot];

	for (unsigned i = 0; i < outputs->n; i++) {
		const char *title = outputs->files[i].path;

		output_file_tail(&outputs->files[i], JOURNAL_LINES, show_word, &title);
	}
}

/* What the smoke test has said, where it is that which failed, or else the instance. */
static void show_journal(const char *service, const struct show *show, const char *failure)
{
	char name[UNIT_NAME_MAX];
	const char *title = name;
	struct lastwords wanted = {.since_usec = show->began_usec, .lines = JOURNAL_LINES};

	if (show->slot < 0 || show->slot >= HS_SLOTS_MAX ||
	    name_unit(service, show->slot, name, sizeof(name)) < 0)
		return;
	if (!strcmp(show->last, "smoke") && strstr(failure, "the smoke test")) {
		snprintf(name, sizeof(name), SCOPE_SMOKE_PREFIX "%.180s", service);
		wanted.identifier = name;
		title = "the smoke test";
	} else {
		let_systemd_speak(name);
		wanted.unit = name;
	}
	lastwords_read(&wanted, show_word, &title);
	if (wanted.unit)
		show_outputs(show);
}

static enum client_answer ask(const struct arguments *a, const struct client_call *call,
			      const struct order *order, struct reply *reply)
{
	const uint32_t *share = order->canary;

	/* the array comes last: what is beyond its count is not read */
	return client_ask(a, call, reply, "sbttttau", a->texts[TEXT_SMOKE] ?: "",
			  (int)a->smoke_may_be_silent, order->smoke, order->hold, order->probation,
			  order->ready, order->n_canary, share[0], share[1], share[2], share[3],
			  share[4], share[5], share[6], share[7]);
}

static int tell_under_way(const struct arguments *a, const char *service, const struct show *show)
{
	json_object *what = json_object_new_object();

	json_object_object_add(what, "service", json_object_new_string(service));
	json_object_object_add(what, "verb", json_object_new_string("upgrade"));
	json_object_object_add(what, "from", json_object_new_int(show->from));
	json_object_object_add(what, "to", json_object_new_int(show->to));
	return verb_tell_under_way(
		a, what, "%s: the upgrade goes on, see hsctl status %s and hsctl history %s",
		service, service, service);
}

/* Why there is no answer, where it is not hsd that says so. */
static void explain(enum client_answer answer, const char *service, struct reply *reply)
{
	if (answer == CLIENT_ABSENT)
		reply_fail(reply, EXIT_FAILED,
			   "an upgrade needs hsd; start it: systemctl start hsd");
	else if (answer == CLIENT_LOST)
		reply_fail(reply, EXIT_FAILED,
			   "%s: hsd went away in the middle of the upgrade; the next hsd finishes "
			   "or undoes it, see hsctl events %s",
			   service, service);
	else if (answer == CLIENT_TIMEOUT)
		reply_fail(reply, EXIT_FAILED,
			   "%s: no answer in time; the upgrade goes on, see hsctl status %s; "
			   "undo it with hsctl rollback %s",
			   service, service, service);
}

/* Into the array what else would go to stdout. */
static int keep_result(json_object *results, const char *service, struct reply *reply)
{
	json_object *object = json_parse(reply->text);
	int exit = reply->exit;

	if (!object) {
		object = json_object_new_object();
		json_object_object_add(object, "service", json_object_new_string(service));
	}
	json_object_object_add(object, "exit", json_object_new_int(exit));
	json_object_object_add(object, "problem",
			       exit ? json_object_new_string(reply->problem.text) : NULL);
	json_object_array_add(results, object);
	if (exit)
		complain("%s", reply->problem.text);
	reply_done(reply);
	return exit;
}

/* While there are senders that will not move, whatever the upgrade does. */
static void tell_of_flows(const struct arguments *arguments, const char *service)
{
	_cleanup_(json_object_putp) json_object *status = NULL;
	_cleanup_(reply_done) struct reply reply = {0};
	struct config config;
	json_object *slots;
	int64_t flows = 0;
	bool direct;

	if (arguments->host || arguments->machine || configfile_load(service, &config, NULL) < 0 ||
	    config.flow != HS_FLOW_CONNECTION || verb_describe(arguments, service, &reply, &direct))
		return;
	status = json_parse(reply.text);
	slots = json_array(status, "slots");
	for (size_t i = 0; i < json_count(slots); i++)
		flows += json_number(json_object_array_get_idx(slots, i), "flows", 0);
	if (flows > 0)
		fprintf(stderr, "note: %s has %" PRId64 " UDP flows, and Flow=connection: %s.\n",
			service, flows, CONFIG_FLOW_STAYS);
}

int upgrade_check(const struct arguments *arguments)
{
	struct order order = {0};

	return read_order(arguments, &order) ? EXIT_USAGE : EXIT_DONE;
}

bool upgrade_interrupted(void)
{
	return interrupted;
}

int upgrade_service(const struct arguments *arguments, const char *service, json_object *results)
{
	struct sigaction action = {.sa_handler = on_signal};
	struct show show = {.quiet = arguments->json || arguments->no_block, .slot = -1};
	struct order order = {0};
	struct reply reply = {0};
	struct client_call call = {
		.service = service,
		.method = "Upgrade",
		.on_progress = on_step,
		.userdata = &show,
		.interrupted = &interrupted,
		.cancel_method = "CancelUpgrade",
		.on_refusal = on_refusal,
	};
	enum client_answer answer;
	struct timespec now;

	if (read_order(arguments, &order))
		return EXIT_USAGE;
	tell_of_flows(arguments, service);
	find_outputs(arguments, service, &show);
	show.terminal = isatty(STDOUT_FILENO);
	show.no_block = arguments->no_block;
	clock_gettime(CLOCK_REALTIME, &now);
	show.asked_usec = now_usec();
	show.began_usec = now.tv_sec * USEC_PER_SEC + now.tv_nsec / NSEC_PER_USEC;
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	call.timeout_usec = verb_timeout(arguments, 2 * MIN(order.ready, CONFIG_DRAIN_MAX) +
							    order.probation + order.smoke +
							    UPGRADE_CANARY_STEPS_MAX * order.hold +
							    CONFIG_DRAIN_MAX + JOBS_TIMEOUT);
	answer = ask(arguments, &call, &order, &reply);
	/* at once: what comes next may go to stderr */
	if (show.terminal && !show.quiet)
		fputs("\r\033[K", stdout);
	fflush(stdout);
	if (answer == CLIENT_ANSWERED && !reply.text)
		return tell_under_way(arguments, service, &show);
	explain(answer, service, &reply);
	if ((reply.exit == EXIT_UNDONE || reply.exit == EXIT_FAILED) && answer == CLIENT_REFUSED &&
	    !arguments->host && !arguments->machine)
		show_journal(service, &show, reply.problem.text);
	forget_outputs(&show);
	return results ? keep_result(results, service, &reply) : verb_end(arguments, &reply);
}
