// SPDX-License-Identifier: GPL-2.0-or-later
/* drill: harms the service on purpose, measures from outside what clients see, and puts everything
 * back. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "core/config.h"
#include "core/probe.h"
#include "hsctl/direct.h"
#include "hsctl/drill.h"
#include "hsctl/json.h"
#include "hsctl/verb.h"
#include "hsctl/verbs.h"
#include "system/configfile.h"
#include "util/macro.h"
#include "util/parse.h"

#define RUNS_MAX	100
#define RATE_DEFAULT	100
#define TIMEOUT_DEFAULT (10 * USEC_PER_SEC)
#define GAP_DEFAULT	(5 * USEC_PER_SEC)

/* What the command line asks for. */
struct order {
	bool scenarios[DRILL_SCENARIO_COUNT];
	unsigned repeat;
	bool limited_gap, limited_lost;
	struct drill_limits limits;
	struct prober_target target;
	struct probe_spec probe;
	struct config config;
};

static void on_signal(int signal)
{
	(void)signal;
	/* the second one does not wait for anything to be put back */
	if (drill_interrupted)
		_exit(128 + SIGINT);
	drill_interrupted = 1;
}

static int wrong(const char *option, const char *value, const char *wanted)
{
	complain("\"%.60s\" is no value for %s; it takes %s", value, option, wanted);
	return EXIT_USAGE;
}

/* ---- the order ---- */

static int read_scenarios(const struct arguments *a, struct order *order)
{
	const char *list = a->texts[TEXT_SCENARIO];
	char word[32];

	if (a->all) {
		memset(order->scenarios, true, sizeof(order->scenarios));
		return 0;
	}
	if (!list) {
		complain("which scenario? See hsctl drill --help, or say --all");
		return EXIT_USAGE;
	}
	for (const char *p = list; *p; p += strspn(p, ",")) {
		size_t length = strcspn(p, ",");
		enum drill_scenario scenario;

		snprintf(word, sizeof(word), "%.*s", (int)MIN(length, sizeof(word) - 1), p);
		scenario = drill_scenario_from_string(word);
		if (scenario == DRILL_SCENARIO_COUNT)
			return wrong("--scenario", word,
				     "switchover, stop, crash, hang, slow-start, bad-build, "
				     "manager-crash or both-down, or several with commas");
		order->scenarios[scenario] = true;
		p += length;
	}
	return 0;
}

static int read_number(const char *option, const char *text, uint64_t max, uint64_t *number)
{
	if (text && parse_unsigned(text, 1, max, number) < 0)
		return wrong(option, text, "a whole number from 1 on");
	return 0;
}

static int read_limits(const struct arguments *a, struct order *order)
{
	const char *gap = a->texts[TEXT_MAX_GAP], *lost = a->texts[TEXT_MAX_LOST];

	order->limits = (struct drill_limits) {GAP_DEFAULT, 0};
	order->limited_gap = gap;
	order->limited_lost = lost;
	if (gap && parse_span(gap, &order->limits.max_gap) < 0)
		return wrong("--max-gap", gap, "a time, such as 50ms or 2s");
	if (lost && parse_unsigned(lost, 0, UINT32_MAX, &order->limits.max_lost) < 0)
		return wrong("--max-lost", lost, "a number of connections");
	return 0;
}

/* --probe, else the first HTTP probe of the settings, else a plain connection. */
static int read_probe(const struct arguments *a, struct order *order)
{
	const char *text = a->texts[TEXT_PROBE];
	struct problem problem;

	order->probe = (struct probe_spec) {.kind = PROBE_TCP};
	if (!text)
		return 0;
	if (probe_parse(text, &order->probe, &problem) < 0 ||
	    (order->probe.kind != PROBE_TCP && order->probe.kind != PROBE_HTTP))
		return wrong("--probe", text, "tcp, tcp:PORT, http:/PATH or http:PORT/PATH");
	return 0;
}

static int read_order(const struct arguments *a, struct order *order)
{
	uint64_t repeat = 1, rate = RATE_DEFAULT;
	int r = read_scenarios(a, order);

	if (!r)
		r = read_number("--repeat", a->texts[TEXT_REPEAT], RUNS_MAX, &repeat);
	if (!r)
		r = read_number("--rate", a->texts[TEXT_RATE], 10000, &rate);
	if (!r)
		r = read_limits(a, order);
	if (!r)
		r = read_probe(a, order);
	if (!r && a->texts[TEXT_REPORT] &&
	    drill_format_of(a->texts[TEXT_REPORT]) == DRILL_FORMAT_COUNT)
		r = wrong("--report", a->texts[TEXT_REPORT],
			  "the name of a .json, .svg or .html file");
	order->repeat = repeat;
	order->target = (struct prober_target) {
		.netns_fd = -1,
		.path = order->probe.kind == PROBE_HTTP ? order->probe.text : NULL,
		.status_min = 200,
		.status_max = 399,
		.rate = rate,
		.timeout_usec = TIMEOUT_DEFAULT,
	};
	return r;
}

/* ---- whom to ask ---- */

/* The first TCP listener of the service, or the one with the probe's port. */
static int find_target(const char *service, struct order *order)
{
	_cleanup_(direct_close) struct direct direct = {0};
	struct problem problem = {0};
	struct listener **listeners;
	size_t n;

	if (direct_open(service, &direct, &problem) < 0) {
		complain("%s", problem.text);
		return EXIT_FAILED;
	}
	order->config = direct.config;
	listeners = plane_listeners(direct.plane, &n);
	for (size_t i = 0; i < n; i++) {
		const struct address *address = &listeners[i]->address;

		if (address->udp || address->netns ||
		    (order->probe.port && order->probe.port != address->port) ||
		    !plane_listener_is_live(listeners[i]))
			continue;
		order->target.address = *address;
		return 0;
	}
	complain("%s has no TCP listener to ask; is it running? See hsctl status %s", service,
		 service);
	return EXIT_FAILED;
}

/* ---- asking before it hurts ---- */

static bool harms(enum drill_scenario scenario)
{
	return scenario != DRILL_SWITCHOVER;
}

static int confirm(const struct arguments *a, const struct order *order, const char *service)
{
	char answer[16] = "";

	if (a->yes)
		return 0;
	if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO)) {
		complain("a drill harms %s on purpose; say --yes if that is meant", service);
		return EXIT_USAGE;
	}
	fprintf(stderr, "This is done to %s while it serves:\n", service);
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

/* ---- one run ---- */

/* What nobody can promise to keep is not held against the service unless it is asked for: a crash
 * takes along what the instance had in hand. */
static struct drill_limits limits_of(const struct order *order, enum drill_scenario scenario)
{
	struct drill_limits limits = order->limits;
	bool dies = scenario == DRILL_CRASH || scenario == DRILL_MANAGER_CRASH ||
		    scenario == DRILL_HANG;

	if (dies && !order->limited_lost)
		limits.max_lost = UINT64_MAX;
	if (scenario == DRILL_BOTH_DOWN && !order->limited_gap)
		limits.max_gap = UINT64_MAX;
	return limits;
}

static uint64_t now_realtime(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec * USEC_PER_SEC + now.tv_nsec / NSEC_PER_USEC;
}

static uint64_t moved_so_far(const char *service)
{
	_cleanup_(direct_close) struct direct direct = {0};
	struct plane_totals totals = {0};
	uint64_t moved = 0;

	if (direct_open(service, &direct, NULL) < 0 || plane_totals(direct.plane, &totals) < 0)
		return 0;
	for (unsigned i = 0; i < HS_SLOTS_MAX; i++)
		moved += totals.slots[i].migrated_in;
	return moved;
}

static int gate(struct drill *drill)
{
	if (drill_look(drill) < 0) {
		complain("%s", drill->broken.text);
		return EXIT_FAILED;
	}
	if (drill->seen.active >= HS_SLOTS_MAX || drill_standby(drill) >= HS_SLOTS_MAX) {
		complain(
			"%s: there is no ready and healthy standby to fail over to, so nothing was "
			"done; see hsctl status %s",
			drill->service, drill->service);
		return EXIT_REFUSED;
	}
	drill->before = drill->seen;
	return 0;
}

static int measure(struct drill *drill, const struct order *order)
{
	struct drill_run *run = drill->run;
	int r;

	run->began_usec = now_realtime();
	run->limits = limits_of(order, run->scenario);
	run->record.moved = moved_so_far(drill->service);
	r = drillprober_start(&order->target, &drill->prober);
	if (r < 0) {
		complain("the prober does not start: %s", strerror(-r));
		return EXIT_FAILED;
	}
	drill_play(drill);
	drill_put_back(drill);
	r = drillprober_stop(drill->prober, &run->record, &run->end);
	drill->prober = drillprober_free(drill->prober);
	run->record.moved = moved_so_far(drill->service) - run->record.moved;
	if (r < 0)
		drill_break(drill, "the prober ended before its time");
	r = drill_summarize(&run->record, run->end, &run->summary);
	if (r < 0)
		drill_break(drill, "out of memory");
	if (drill_interrupted)
		drill_break(drill, "it was interrupted; everything was put back");
	run->verdict =
		drill_judge(&run->summary, &run->limits,
			    drill->broken.text[0] ? drill->broken.text : NULL, &run->sentence);
	return 0;
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
	if (s->to_new_active)
		printf("  another slot active after %.1f ms, first answer after %.1f ms, %llu "
		       "connections moved\n",
		       s->to_new_active / 1e3, s->to_answer / 1e3,
		       (unsigned long long)run->record.moved);
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

static int run_one(struct drill *drill, const struct order *order, struct runs *runs)
{
	struct drill_run *run = drill->run;
	int r = gate(drill);

	if (r)
		return r;
	drill->broken.text[0] = '\0';
	r = measure(drill, order);
	runs->n++;
	if (r)
		return r;
	tell(drill->arguments, run);
	return run->verdict == DRILL_PASSED ? 0 : EXIT_FAILED;
}

static int run_all(struct drill *drill, const struct order *order, struct runs *runs)
{
	int worst = 0, r;

	runs->items = calloc(RUNS_MAX * DRILL_SCENARIO_COUNT, sizeof(*runs->items));
	if (!runs->items)
		return EXIT_FAILED;
	for (unsigned number = 1; number <= order->repeat; number++)
		for (unsigned i = 0; i < DRILL_SCENARIO_COUNT; i++) {
			if (!order->scenarios[i] || drill_interrupted)
				continue;
			drill->run = &runs->items[runs->n];
			drill->run->scenario = i;
			drill->run->number = number;
			drill->run->of = order->repeat;
			snprintf(drill->run->service, sizeof(drill->run->service), "%s",
				 drill->service);
			r = run_one(drill, order, runs);
			/* without a standby there is no use in going on */
			if (r == EXIT_REFUSED)
				return worst ?: r;
			worst = r ?: worst;
		}
	return worst;
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

int verb_drill(const struct arguments *arguments)
{
	_cleanup_(sd_bus_close_unrefp) sd_bus *systemd = NULL;
	_cleanup_(runs_done) struct runs runs = {0};
	struct drill drill = {.arguments = arguments};
	struct sigaction action = {.sa_handler = on_signal};
	struct order order = {0};
	int r = read_order(arguments, &order);

	if (!r)
		r = verb_service(arguments, drill.service);
	if (!r)
		r = find_target(drill.service, &order);
	if (!r)
		r = gate(&drill);
	if (!r)
		r = confirm(arguments, &order, drill.service);
	if (r)
		return r;
	systemd = drill.systemd = direct_systemd();
	if (!systemd) {
		complain("systemd cannot be asked; is this a booted system?");
		return EXIT_FAILED;
	}
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	r = run_all(&drill, &order, &runs);
	return write_report(arguments, &runs) ?: r;
}
