// SPDX-License-Identifier: GPL-2.0-or-later
/* drill: harms the service on purpose, measures from outside what clients see, and puts everything
 * back. */
#include <inttypes.h>
#include <signal.h>
#include <string.h>

#include "core/ledger.h"
#include "hsctl/drill/drill.h"
#include "hsctl/drill/order.h"
#include "hsctl/json.h"
#include "hsctl/verb/verb.h"
#include "hsctl/verb_functions.h"
#include "plane/plane_front.h"
#include "util/clock.h"
#include "util/macro.h"

/* Once it is clear that the limit is missed, by how much matters little: the harm ends. */
#define FLIP_WITHIN_MAX (30 * USEC_PER_SEC)

/* The service as it is, is judged by so many connections. */
#define LEAD_PROBES 100
#define LEAD_MIN    (300 * USEC_PER_MSEC)
#define LEAD_MAX    (2 * USEC_PER_SEC)

static void on_signal(int signal)
{
	static const char text[] = "hsctl: interrupted; everything is put back\n";
	ssize_t n;

	(void)signal;
	/* the second one does not wait; the guard does what is left */
	if (drill_interrupted)
		_exit(EXIT_FAILED);
	drill_interrupted = 1;
	n = write(STDERR_FILENO, text, sizeof(text) - 1);
	(void)n;
}

static void catch_signals(void)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
	struct sigaction action = {.sa_handler = on_signal};

	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		sigaction(signals[i], &action, NULL);
	/* a reader of our words who goes away does not end a drill in the middle */
	signal(SIGPIPE, SIG_IGN);
}

/* ---- asking before it hurts ---- */

static bool harms(enum drill_scenario scenario)
{
	return scenario != DRILL_SWITCHOVER;
}

static int confirm(const struct arguments *a, const struct drill_order *order, const char *service)
{
	char answer[16] = "";

	if (a->yes)
		return 0;
	if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO)) {
		complain("a drill harms %s on purpose; say --yes if that is meant", service);
		return EXIT_USAGE;
	}
	fprintf(stderr, "This is done to %s while it serves%s:\n", service,
		order->repeat > 1 ? ", again and again" : "");
	for (unsigned i = 0; i < DRILL_SCENARIO_COUNT; i++)
		if (order->scenarios[i])
			fprintf(stderr, "  %-14s %s%s\n", drill_scenario_to_string(i),
				drill_scenario_help(i),
				harms(i) ? "; connections may be lost" : "");
	fputs("Go on? [y/N] ", stderr);
	if (fgets(answer, sizeof(answer), stdin) && (answer[0] == 'y' || answer[0] == 'Y'))
		return 0;
	complain("nothing was done");
	return EXIT_REFUSED;
}

/* ---- the gate ---- */

static int refuse(const struct drill *drill, const char *reason, const char *remedy)
{
	complain("%s: %s, so nothing was done; %s", drill->service, reason, remedy);
	return EXIT_REFUSED;
}

static int gate(struct drill *drill)
{
	const struct drill_view *seen = &drill->seen;
	char remedy[SERVICE_NAME_MAX + 64];

	drill->broken.text[0] = drill->unmeasured.text[0] = '\0';
	if (drill_look(drill) < 0) {
		complain("%s", drill->broken.text);
		return EXIT_FAILED;
	}
	if (!seen->manager)
		return refuse(drill, "hsd does not run", "start it: systemctl start hsd");
	if (seen->spread)
		return refuse(drill,
			      "under policy hash there is no active slot whose loss a drill could "
			      "measure",
			      "kill a slot under load and see hsctl status and hsctl where");
	snprintf(remedy, sizeof(remedy), "see hsctl status %s", drill->service);
	if (!drill_is_ready(drill, seen->active) || drill_standby(drill) >= HS_SLOTS_MAX)
		return refuse(drill,
			      drill->direct.config.exclusive
				      ? "there is not one slot that is ready and healthy while the "
					"others are down, as Exclusive=yes has it"
				      : "there is no ready and healthy standby to fail over to",
			      remedy);
	if (seen->change[0])
		return refuse(drill, "a change is under way", remedy);
	if (seen->canary || seen->parked)
		return refuse(drill,
			      seen->canary ? "a canary is under way, which would end"
					   : "connections are held on purpose",
			      remedy);
	return EXIT_DONE;
}

static void note_before(struct drill *drill)
{
	drill->before = (struct drill_before) {.active = drill->seen.active};
	for (unsigned i = 0; i < drill->seen.n; i++)
		if (drill_is_ready(drill, i))
			drill->before.ready |= 1U << i;
}

/* ---- one run ---- */

static uint64_t moved_so_far(const struct drill *drill)
{
	struct plane_totals totals;
	uint64_t moved = 0;

	if (plane_totals(drill->direct.plane, &totals) < 0)
		return 0;
	for (unsigned i = 0; i < HS_SLOTS_MAX; i++)
		moved += totals.slots[i].migrated_in;
	return moved;
}

static void prepare_run(struct drill *drill, const struct drill_order *order)
{
	struct drill_run *run = drill->run;

	run->began_usec = now_real_usec();
	run->limits = drill_order_limits(order, run->scenario);
	run->of = order->repeat;
	run->rate = order->target.rate;
	run->timeout_usec = order->target.timeout_usec;
	run->lead_lost = order->limits.max_lost;
	snprintf(run->asked, sizeof(run->asked), "%s", order->asked);
	snprintf(run->service, sizeof(run->service), "%s", drill->service);
	run->record.moved = moved_so_far(drill);
	drill->harmed = 0;
	drill->lead = MIN(MAX(LEAD_PROBES * USEC_PER_SEC / run->rate, LEAD_MIN), LEAD_MAX);
	drill->flip_within = FLIP_WITHIN_MAX;
	if (run->limits.max_gap < FLIP_WITHIN_MAX)
		drill->flip_within =
			MIN(FLIP_WITHIN_MAX, 3 * run->limits.max_gap + 2 * USEC_PER_SEC);
}

/* For monitoring: the next look at the service has it. */
static void count_run(const struct drill *drill)
{
	struct ledger *ledger = plane_ledger(drill->direct.plane);

	if (ledger)
		ledger_drill(ledger, drill->run->verdict, now_real_usec());
}

static void explain_prober(int error, struct problem *ret_problem)
{
	if (error == -EOVERFLOW)
		problem_set(ret_problem, 0,
			    "it took longer than the %d connections last that a drill remembers; "
			    "ask for a lower --rate",
			    DRILLPROBER_PROBES_MAX);
	else
		problem_set(ret_problem, 0, "the prober could not do its work: %s",
			    error == -ECHILD ? "it was ended" : strerror(-error));
}

static void finish_run(struct drill *drill)
{
	struct drill_run *run = drill->run;
	struct drill_course course = {drill->broken.text, drill->unmeasured.text, false};
	int r = drillprober_stop(drill->prober, &run->record, &run->end);

	drill->prober = drillprober_free(drill->prober);
	run->record.moved = moved_so_far(drill) - run->record.moved;
	if (r < 0 && !drill->unmeasured.text[0])
		explain_prober(r, &drill->unmeasured);
	r = drill_summarize(&run->record, run->end, &run->summary);
	if (r < 0)
		problem_set(&drill->unmeasured, 0, "out of memory");
	course.interrupted = drill_interrupted;
	run->verdict = drill_judge(&run->summary, &run->limits, &course, &run->sentence);
	count_run(drill);
}

static int measure(struct drill *drill, const struct drill_order *order)
{
	int r;

	prepare_run(drill, order);
	r = drillprober_start(&order->target, &drill->prober);
	if (r < 0) {
		complain("the prober does not start: %s", strerror(-r));
		return EXIT_FAILED;
	}
	drill_begin_looking(drill);
	drill_play(drill);
	/* what an earlier run has left is put back by this one as well */
	if (drill_put_back(drill))
		drill->left_over.text[0] = '\0';
	else
		drill->left_over = drill->broken;
	finish_run(drill);
	return EXIT_DONE;
}

static void tell_harm(const struct drill_run *run)
{
	const struct drill_summary *s = &run->summary;

	if (!s->to_new_active)
		return;
	printf("  another slot active after %.1f ms, ", s->to_new_active / 1e3);
	if (s->to_answer)
		printf("first answer after %.1f ms, ", s->to_answer / 1e3);
	else
		fputs("no answer after that, ", stdout);
	printf("%" PRIu64 " connections moved\n", run->record.moved);
}

static void tell(const struct arguments *a, const struct drill_run *run)
{
	const struct drill_summary *s = &run->summary;

	if (a->json) {
		_cleanup_(json_object_putp) json_object *object = drill_report_json(run, false);

		puts(json_line(object));
		fflush(stdout);
		return;
	}
	printf("%-14s %-10s %s\n", drill_scenario_to_string(run->scenario),
	       drill_verdict_to_string(run->verdict), run->sentence.text);
	printf("  %zu connections: %zu refused, %zu reset, %zu timed out, %zu wrong; answer median "
	       "%.2f ms, worst %.1f ms\n",
	       s->total, s->outcomes[DRILL_REFUSED], s->outcomes[DRILL_RESET],
	       s->outcomes[DRILL_TIMEOUT], s->outcomes[DRILL_WRONG], s->median / 1e3,
	       s->worst / 1e3);
	tell_harm(run);
	for (size_t i = 0; i < run->record.n_marks; i++)
		printf("  %8.3f s  %s\n", run->record.marks[i].at / 1e6, run->record.marks[i].text);
	fflush(stdout);
}

/* ---- all of them ---- */

struct runs {
	struct drill_run *items;
	size_t n;
};

static void runs_done(struct runs *runs)
{
	for (size_t i = 0; i < runs->n; i++)
		drill_record_done(&runs->items[i].record);
	free(runs->items);
}

static int run_one(struct drill *drill, const struct drill_order *order, struct runs *runs)
{
	struct drill_run *run = drill->run;
	int r;

	drill->run = NULL;
	r = gate(drill);
	drill->run = run;
	if (!r)
		r = measure(drill, order);
	if (r)
		return r;
	runs->n++;
	tell(drill->arguments, run);
	if (run->verdict == DRILL_INTERRUPTED)
		return EXIT_UNDONE;
	return run->verdict == DRILL_PASSED ? EXIT_DONE : EXIT_FAILED;
}

static int run_all(struct drill *drill, const struct drill_order *order, struct runs *runs)
{
	int worst = 0, r;

	runs->items = calloc(order->repeat * DRILL_SCENARIO_COUNT, sizeof(*runs->items));
	if (!runs->items)
		return EXIT_FAILED;
	for (unsigned number = 1; number <= order->repeat; number++)
		for (unsigned i = 0; i < DRILL_SCENARIO_COUNT; i++) {
			if (!order->scenarios[i])
				continue;
			if (drill_interrupted)
				return worst == EXIT_FAILED ? worst : EXIT_UNDONE;
			drill->run = &runs->items[runs->n];
			drill->run->scenario = i;
			drill->run->number = number;
			r = run_one(drill, order, runs);
			drill->run = NULL;
			/* without a standby there is no use in going on */
			if (r == EXIT_REFUSED)
				return worst ?: r;
			worst = worst == EXIT_FAILED ? worst : r ?: worst;
		}
	return worst;
}

static void tell_spread(enum drill_scenario scenario, const struct drill_spread *s)
{
	printf("%-14s %zu of %zu passed; %zu of %zu connections lost; longest gap median %.0f ms, "
	       "worst %.0f ms",
	       drill_scenario_to_string(scenario), s->passed, s->n, s->lost, s->total,
	       s->gap_median / 1e3, s->gap_max / 1e3);
	if (s->n_moved)
		printf("; another slot active after median %.1f ms, worst %.1f ms",
		       s->new_median / 1e3, s->new_max / 1e3);
	putchar('\n');
}

static void tell_spreads(const struct drill_order *order, const struct runs *runs)
{
	for (unsigned i = 0; i < DRILL_SCENARIO_COUNT; i++) {
		struct drill_spread s;

		if (order->scenarios[i] && drill_runs_spread(runs->items, runs->n, i, &s) == 0)
			tell_spread(i, &s);
	}
}

static int write_report(const struct arguments *a, const struct runs *runs)
{
	const char *path = a->texts[TEXT_REPORT];
	struct problem problem;

	if (!path || !runs->n)
		return 0;
	if (drill_report_write(path, runs->items, runs->n, &problem) < 0) {
		complain("%s", problem.text);
		return EXIT_FAILED;
	}
	if (!a->json)
		printf("report: %s\n", path);
	return 0;
}

/* ---- what an earlier drill has left ---- */

static int complain_left_over(const struct drill *drill, const struct problem *why)
{
	complain("%s is not what it was before its drill: %s; when that is mended: hsctl drill %s "
		 "--put-back",
		 drill->service, why->text, drill->service);
	return EXIT_FAILED;
}

/* By what is written down. EXIT_DONE also when there is nothing to do. */
static int put_back(struct drill *drill)
{
	int r = drillguard_read(drill->service, &drill->before);

	if (r == -ENOENT)
		return EXIT_DONE;
	if (r < 0) {
		complain("what the last drill of %s has written down cannot be read: %s",
			 drill->service, strerror(-r));
		return EXIT_FAILED;
	}
	if (!drill_put_back(drill))
		return complain_left_over(drill, &drill->broken);
	drillguard_forget(drill->service);
	drillguard_forgive(drill->direct.systemd, drill->service);
	complain("a drill of %s died; %s is back to what it was", drill->service, drill->service);
	return EXIT_DONE;
}

/* ---- the whole of it ---- */

/* The prober's connections are this machine's own, and what a front does it does to packets that
 * come in by its device. */
static int may_be_measured(const struct drill *drill)
{
	if (!drill->direct.plane || !plane_is_front(drill->direct.plane))
		return EXIT_DONE;
	return refuse(
		drill,
		"its slots are hosts, and connections of this machine itself do not come in by "
		"the front's device",
		"let a client on another machine ask on and on, and meanwhile: hsctl "
		"switchover, drain; or on a host, as root there, hsctl drill, or hsctl leave and "
		"join");
}

/* From here on somebody puts things back whatever becomes of us. */
static int begin(struct drill *drill)
{
	struct problem problem = {0};

	note_before(drill);
	if (drillguard_note(drill->service, &drill->before, &problem) < 0 ||
	    drillguard_start(drill->direct.systemd, drill->service, &problem) < 0) {
		complain("there is nobody to put things back if the drill dies, so nothing was "
			 "done: %s",
			 problem.text);
		drillguard_forget(drill->service);
		return EXIT_FAILED;
	}
	catch_signals();
	return EXIT_DONE;
}

static int drill_through(struct drill *drill, struct drill_order *order)
{
	_cleanup_(runs_done) struct runs runs = {0};
	const struct arguments *a = drill->arguments;
	int r = put_back(drill);

	if (!r)
		r = may_be_measured(drill);
	if (!r)
		r = drill_order_aim(&drill->direct, order);
	if (!r)
		r = drill_order_fit(&drill->direct, order);
	if (!r)
		r = gate(drill);
	if (!r)
		r = confirm(a, order, drill->service);
	if (!r)
		r = gate(drill); /* an answer may take long */
	if (!r)
		r = begin(drill);
	if (r)
		return r;
	r = run_all(drill, order, &runs);
	if (drill->left_over.text[0])
		complain_left_over(drill, &drill->left_over);
	else
		drillguard_forget(drill->service);
	drillguard_stop(drill->direct.systemd, drill->service);
	if (order->repeat > 1 && !a->json)
		tell_spreads(order, &runs);
	return write_report(a, &runs) ?: r;
}

static int lock(const struct arguments *a, const char *service, int *ret_fd)
{
	struct problem problem = {0};
	int r = drillguard_lock(service, a->put_back, ret_fd, &problem);

	if (r < 0)
		complain("%s", problem.text);
	return r == -EBUSY ? EXIT_REFUSED : r < 0 ? EXIT_FAILED : EXIT_DONE;
}

int verb_drill(const struct arguments *arguments)
{
	_cleanup_(drill_close) struct drill drill = {.arguments = arguments};
	_cleanup_(close_fdp) int lock_fd = -1;
	struct drill_order order = {0};
	int r = verb_service(arguments, drill.service);

	if (!r && !arguments->put_back)
		r = drill_order_read(arguments, &order);
	if (!r)
		r = lock(arguments, drill.service, &lock_fd);
	if (!r)
		r = drill_open(&drill);
	if (r)
		return r;
	return arguments->put_back ? put_back(&drill) : drill_through(&drill, &order);
}
