// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsctl/drill/order.h"

#include <libgen.h>
#include <string.h>
#include <sys/socket.h>

#include "hsctl/verb/verb.h"
#include "util/macro.h"
#include "util/parse.h"

#define RUNS_MAX	100
#define RATE_MAX	10000
#define RATE_DEFAULT	100
#define TIMEOUT_DEFAULT (10 * USEC_PER_SEC)
#define GAP_DEFAULT	(5 * USEC_PER_SEC)

static int wrong(const char *option, const char *value, const char *wanted)
{
	complain("\"%.60s\" is no value for %s; it takes %s", value, option, wanted);
	return EXIT_USAGE;
}

/* ---- the command line ---- */

static int read_scenarios(const struct arguments *a, struct drill_order *order)
{
	const char *list = a->texts[TEXT_SCENARIO];
	char word[32];

	order->all = a->all;
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
	char wanted[64];

	snprintf(wanted, sizeof(wanted), "a whole number from 1 to %llu", (unsigned long long)max);
	if (text && parse_unsigned(text, 1, max, number) < 0)
		return wrong(option, text, wanted);
	return 0;
}

static int read_limits(const struct arguments *a, struct drill_order *order)
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

static int read_probe(const struct arguments *a, struct drill_order *order)
{
	const char *text = a->texts[TEXT_PROBE];
	struct problem problem;

	if (!text)
		return 0;
	order->has_probe = true;
	if (probe_parse(text, &order->probe, &problem) < 0 ||
	    (order->probe.kind != PROBE_TCP && order->probe.kind != PROBE_HTTP))
		return wrong("--probe", text, "tcp, tcp:PORT, http:/PATH or http:PORT/PATH");
	return 0;
}

static int read_report(const struct arguments *a)
{
	const char *path = a->texts[TEXT_REPORT];

	_cleanup_(freep) char *copy = path ? strdup(path) : NULL;
	const char *folder;

	if (!path)
		return 0;
	if (drill_format_of(path) == DRILL_FORMAT_COUNT)
		return wrong("--report", path, "the name of a .json, .svg or .html file");
	/* better now than when all is done */
	folder = copy ? dirname(copy) : ".";
	if (access(folder, W_OK) < 0) {
		complain("no report can be written to %s: %m", folder);
		return EXIT_USAGE;
	}
	return 0;
}

int drill_order_read(const struct arguments *a, struct drill_order *ret_order)
{
	struct drill_order order = {0};
	uint64_t repeat = 1, rate = RATE_DEFAULT;
	int r = read_scenarios(a, &order);

	if (!r)
		r = read_number("--repeat", a->texts[TEXT_REPEAT], RUNS_MAX, &repeat);
	if (!r)
		r = read_number("--rate", a->texts[TEXT_RATE], RATE_MAX, &rate);
	if (!r)
		r = read_limits(a, &order);
	if (!r)
		r = read_probe(a, &order);
	if (!r)
		r = read_report(a);
	if (r)
		return r;
	order.repeat = repeat;
	order.target = (struct prober_target) {
		.netns_fd = -1,
		.rate = rate,
		.timeout_usec = verb_timeout(a, TIMEOUT_DEFAULT),
	};
	*ret_order = order;
	return 0;
}

/* ---- whom to ask ---- */

/* --probe, else the first Probe=http: of the settings, else a plain connection. */
static void choose_probe(const struct config_health *health, struct drill_order *order)
{
	if (order->has_probe)
		return;
	order->probe = (struct probe_spec) {.kind = PROBE_TCP};
	for (unsigned i = health->n_probes; i-- > 0;)
		if (health->probes[i].kind == PROBE_HTTP)
			order->probe = health->probes[i];
}

static bool can_be_asked(const struct listener *listener, const struct probe_spec *probe)
{
	const struct address *address = &listener->address;

	return !address->udp && !address->ifindex && (!address->netns || listener->netns.fd >= 0) &&
	       (!probe->port || probe->port == address->port) && plane_listener_is_live(listener);
}

static const struct listener *find_listener(const struct direct *direct,
					    const struct probe_spec *probe)
{
	const struct listener *best = NULL;
	struct listener **listeners;
	size_t n;

	direct_locate(direct);
	listeners = plane_listeners(direct->plane, &n);
	for (size_t i = 0; i < n; i++)
		if (can_be_asked(listeners[i], probe) &&
		    (!best || probe_port_rank(probe, listeners[i]->address.port) <
				      probe_port_rank(probe, best->address.port)))
			best = listeners[i];
	return best;
}

static bool has_udp_only(const struct direct *direct)
{
	struct listener **listeners;
	size_t n, udp = 0;

	listeners = plane_listeners(direct->plane, &n);
	for (size_t i = 0; i < n; i++)
		udp += listeners[i]->address.udp;
	return n && udp == n;
}

static int complain_unasked(const struct direct *direct, const struct drill_order *order)
{
	if (has_udp_only(direct)) {
		complain("%s has UDP addresses only, and a drill cannot tell whether a datagram of "
			 "its own deserved an answer, so nothing was done; measure with a client "
			 "of the protocol while hsctl switchover %s runs",
			 direct->service, direct->service);
		return EXIT_REFUSED;
	}
	if (order->probe.port)
		complain("%s has no TCP listener on port %u that could be asked; see hsctl status "
			 "%s",
			 direct->service, order->probe.port, direct->service);
	else
		complain("%s has no TCP listener that could be asked; is it running? See hsctl "
			 "status %s",
			 direct->service, direct->service);
	return EXIT_FAILED;
}

/* Where all addresses are listened on, the one that every machine has. */
static struct address nearest(const struct address *address)
{
	static const uint8_t any[16], four[16] = {127, 0, 0, 1}, six[16] = {[15] = 1};
	struct address own = *address;

	if (!memcmp(own.ip, any, sizeof(any)))
		memcpy(own.ip, own.family == AF_INET ? four : six, sizeof(own.ip));
	own.v6only = false;
	return own;
}

/* By the public path, as clients do. */
static bool aim_at_path(const struct direct *direct, struct drill_order *order)
{
	const char *live[HS_PATHS_MAX];

	if (order->probe.port || !paths_live(plane_paths(direct->plane), live))
		return false;
	snprintf(order->socket, sizeof(order->socket), "%.*s", HS_PATH_MAX - 1, live[0]);
	order->target.socket = order->socket;
	order->target.netns_fd = -1;
	snprintf(order->asked, sizeof(order->asked), "%s%s%s", order->socket,
		 order->target.path ? ":http:" : " (AF_UNIX)", order->target.path ?: "");
	return true;
}

int drill_order_aim(const struct direct *direct, struct drill_order *order)
{
	const struct listener *listener;
	char text[ADDRESS_TEXT_MAX];

	choose_probe(&direct->config.health, order);
	order->target.health = &direct->config.health;
	order->target.path = order->probe.kind == PROBE_HTTP ? order->probe.text : NULL;
	listener = find_listener(direct, &order->probe);
	if (!listener && aim_at_path(direct, order))
		return EXIT_DONE;
	if (!listener)
		return complain_unasked(direct, order);
	order->target.address = nearest(&listener->address);
	order->target.netns_fd = listener->netns.fd;
	address_format(&order->target.address, text);
	snprintf(order->asked, sizeof(order->asked), order->target.path ? "http://%s%s" : "%s%s",
		 text, order->target.path ?: " (TCP)");
	return EXIT_DONE;
}

/* A scenario that stops all slots, of a service that keeps its port no longer than they are asked
 * to run. */
static bool ends_on_purpose(const struct direct *direct, enum drill_scenario scenario)
{
	const struct config *config = &direct->config;

	return (scenario == DRILL_BOTH_DOWN || (scenario == DRILL_STOP && config->exclusive)) &&
	       config->park && !config->park_always;
}

/* Why it makes no sense for this service; NULL = it does. */
static const char *objection_of(const struct direct *direct, const struct drill_order *order,
				enum drill_scenario scenario)
{
	const char *objection = order->exclusive ? drill_scenario_objection(scenario) : NULL;

	if (objection)
		return objection;
	if (ends_on_purpose(direct, scenario))
		return "clients of what is stopped on purpose are refused, unless Park=always";
	return NULL;
}

int drill_order_fit(const struct direct *direct, struct drill_order *order)
{
	order->exclusive = direct->config.exclusive;
	for (unsigned i = 0; i < DRILL_SCENARIO_COUNT; i++) {
		const char *objection = objection_of(direct, order, i);

		if (!order->scenarios[i] || !objection)
			continue;
		complain("%s: %s%s: %s is left out%s", direct->service,
			 order->exclusive ? "only one slot may run (Exclusive=yes), and " : "",
			 objection, drill_scenario_to_string(i),
			 order->all ? "" : ", so nothing was done");
		if (!order->all)
			return EXIT_REFUSED;
		order->scenarios[i] = false;
	}
	return EXIT_DONE;
}

struct drill_limits drill_order_limits(const struct drill_order *order,
				       enum drill_scenario scenario)
{
	struct drill_limits limits = order->limits;

	/* an instance that dies takes along what it had in hand */
	if ((scenario == DRILL_CRASH || scenario == DRILL_MANAGER_CRASH ||
	     scenario == DRILL_HANG) &&
	    !order->limited_lost)
		limits.max_lost = UINT64_MAX;
	/* as long as they are down */
	if ((scenario == DRILL_BOTH_DOWN || (scenario == DRILL_STOP && order->exclusive)) &&
	    !order->limited_gap)
		limits.max_gap = UINT64_MAX;
	return limits;
}
