// SPDX-License-Identifier: GPL-2.0-or-later
#include "system/probe/prober_run.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <string.h>

#include "plane/plane_front.h"
#include "util/clock.h"
#include "util/macro.h"

/* An asker that is in time has a little more: the machine may be busy. */
#define LATE_USEC (2 * USEC_PER_SEC)
/* Until it runs: system/probe/asker.c gives up before. */
#define READY_USEC (12 * USEC_PER_SEC)

#define RETRY_MIN (100 * USEC_PER_MSEC)
#define RETRY_MAX (10 * USEC_PER_SEC)

/* ---- trying again ---- */

void retry_later(struct retry *retry, const char *why)
{
	retry->delay = MIN(MAX(2 * retry->delay, RETRY_MIN), RETRY_MAX);
	retry->at = now_usec() + retry->delay;
	problem_set(&retry->why, 0, "%s", why);
}

bool retry_is_due(const struct retry *retry)
{
	return now_usec() >= retry->at;
}

void retry_reset(struct retry *retry)
{
	retry->at = retry->delay = 0;
}

/* ---- the end ---- */

static void forget_rule(struct probe_run *run)
{
	if (run->has_rule)
		preview_remove(run->target.plane, &run->key);
	run->has_rule = false;
}

struct probe_run *probe_run_free(struct probe_run *run)
{
	if (!run)
		return NULL;
	sd_event_source_disable_unref(run->timer);
	run->way->done(run);
	if (run->target.is_connected)
		close_fd(run->target.fd);
	forget_rule(run);
	free(run);
	return NULL;
}

/* Whether a server's machine has taken the connection, whoever serves. Of our own: the kernel
 * counts the first packet as acknowledged, too, and goes on to tell when the connection has ended.
 */
static bool is_connected(const struct probe_run *run)
{
	struct tcp_info info = {0};
	socklen_t size = sizeof(info);

	return run->fd >= 0 && !getsockopt(run->fd, IPPROTO_TCP, TCP_INFO, &info, &size) &&
	       info.tcpi_bytes_acked > 0;
}

static void make_void(struct probe_run *run, const char *template, unsigned host)
{
	run->result.verdict = PROBE_VOID;
	problem_set(&run->result.words, 0, template, host);
}

/* Whatever has answered: it counts only by the path that clients' packets take. */
static void check_path(struct probe_run *run)
{
	struct led_landing landing;

	if (run->fd < 0 || !run->prober->led || led_landed(run->prober->led, run->fd, &landing) < 0)
		return;
	if (landing.held)
		make_void(run, "packets could not be sent to host %u as those of clients are",
			  run->target.slot);
	else if (!landing.led && (run->result.verdict == PROBE_GOOD || is_connected(run)))
		make_void(run,
			  "did not go to host %u as packets of clients do: its route leads by "
			  "another device, or another program took it",
			  run->target.slot);
}

/* Whatever has answered: it counts only if it was the slot. Where the selector was not asked, that
 * is no slot's fault. */
static void check_landing(struct probe_run *run)
{
	struct preview_landing landing = {0};

	if (run->is_led && run->result.verdict != PROBE_VOID)
		check_path(run);
	if (!run->has_rule || run->result.verdict == PROBE_VOID ||
	    preview_landed(run->target.plane, &run->key, &landing) < 0)
		return;
	if (landing.misses) {
		run->result.verdict = PROBE_BAD;
		problem_set(&run->result.words, 0,
			    "did not reach slot %u, which has no socket there any more",
			    run->target.slot);
	} else if (!landing.hits && (run->result.verdict == PROBE_GOOD || is_connected(run))) {
		run->result.verdict = PROBE_VOID;
		run->result.stray = true;
		problem_set(&run->result.words, 0,
			    "did not reach slot %u: another program listens there, or decides",
			    run->target.slot);
	}
}

static int on_ended(struct probe_run *run)
{
	struct probe_result result;
	probe_fn on_end = run->on_end;
	void *userdata = run->userdata;

	check_landing(run);
	result = run->result;
	probe_run_free(run);
	on_end(&result, userdata);
	return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct probe_run *run = userdata;

	(void)source;
	(void)usec;
	if (!run->ended) {
		/* the end that is known comes with the next look at the timer */
		sd_event_source_set_enabled(run->timer, SD_EVENT_ONESHOT);
		run->way->late(run);
		return 0;
	}
	return on_ended(run);
}

void probe_sent(struct probe_run *run)
{
	sd_event_source_set_time_relative(run->timer, run->target.health->timeout_usec + LATE_USEC);
}

void probe_end(struct probe_run *run, enum probe_verdict verdict, const char *template, ...)
{
	va_list list;

	if (run->ended)
		return;
	run->ended = true;
	run->result.verdict = verdict;
	va_start(list, template);
	vsnprintf(run->result.words.text, sizeof(run->result.words.text), template, list);
	va_end(list);
	sd_event_source_set_time(run->timer, 0);
}

/* ---- which listener ---- */

static bool is_meant(const struct probe_run *run, const struct address *address, bool udp)
{
	/* one that is bound to a device cannot be reached from here */
	return (udp || !address->udp) && !address->ifindex &&
	       (!run->target.spec->port || run->target.spec->port == address->port);
}

/* Whatever the order in which they were found: every hsd asks the same. */
static bool is_before(const struct probe_run *run, const struct address *a, const struct address *b)
{
	unsigned rank_a = probe_port_rank(run->target.spec, a->port);
	unsigned rank_b = probe_port_rank(run->target.spec, b->port);

	if (rank_a != rank_b)
		return rank_a < rank_b;
	return a->family != b->family ? a->family < b->family
				      : memcmp(a->ip, b->ip, sizeof(a->ip)) < 0;
}

const struct listener *probe_find_listener(struct probe_run *run, bool udp)
{
	char port[24] = "any TCP address";
	uint64_t cookies[HS_SHARDS_MAX];
	size_t n;
	struct listener **listeners = plane_listeners(run->target.plane, &n), *best = NULL;

	for (size_t i = 0; i < n; i++)
		if (is_meant(run, &listeners[i]->address, udp) &&
		    listener_sockets(listeners[i], run->target.slot, cookies) &&
		    (!best || is_before(run, &listeners[i]->address, &best->address)))
			best = listeners[i];
	if (best)
		return best;
	if (run->target.spec->port)
		snprintf(port, sizeof(port), "TCP port %u", run->target.spec->port);
	probe_end(run, PROBE_BAD, "it does not listen on %s", port);
	return NULL;
}

/* ---- fronts ---- */

/* 0: none. */
static uint16_t find_port(const struct probe_run *run, bool udp)
{
	const struct config_front *front = run->target.front;
	const struct probe_spec *spec = run->target.spec;
	uint16_t best = 0;

	for (unsigned i = 0; i < front->n_ports; i++) {
		const struct config_port *port = &front->ports[i];

		if ((!port->tcp && !udp) || (spec->port && spec->port != port->port))
			continue;
		if (!best || probe_port_rank(spec, port->port) < probe_port_rank(spec, best))
			best = port->port;
	}
	return best;
}

uint16_t probe_find_port(struct probe_run *run, bool udp)
{
	uint16_t port = find_port(run, udp);

	if (!port && run->target.spec->port)
		probe_end(run, PROBE_VOID, "TCP port %u is none of Ports=", run->target.spec->port);
	else if (!port)
		probe_end(run, PROBE_VOID, "none of Ports= is one of TCP");
	return port;
}

bool probe_can_lead(struct probe_run *run)
{
	struct problem problem = {0};
	bool first;
	int r;

	if (run->prober->led && led_is_stale(run->prober->led))
		run->prober->led = led_free(run->prober->led);
	first = !run->prober->led;
	r = plane_is_front(run->target.plane)
		    ? leading_open(run->target.plane, &run->prober->led, &problem)
		    : problem_set(&problem, -ENODEV, "its front is not there");

	/* what the hsd before has left */
	if (!r && first)
		(void)led_sweep(run->prober->led);
	if (!r && first)
		r = led_begin(run->prober->led, &run->prober->owner);
	if (r && first)
		run->prober->led = led_free(run->prober->led);
	if (r)
		probe_end(run, PROBE_VOID, "host %u cannot be probed: %s", run->target.slot,
			  problem.text[0] ? problem.text : strerror(-r));
	return !r;
}

/* ---- the beginning ---- */

int probe_run_new(struct prober *prober, const struct probe_target *target, probe_fn on_end,
		  void *userdata, const struct probe_way *way, struct probe_run **ret_run)
{
	_cleanup_(freep) struct probe_run *run = calloc(1, sizeof(*run));
	int r;

	if (!run)
		return -ENOMEM;
	run->fd = -1;
	run->prober = prober;
	run->way = way;
	run->target = *target;
	run->on_end = on_end;
	run->userdata = userdata;
	r = sd_event_add_time_relative(prober->event, &run->timer, CLOCK_MONOTONIC, READY_USEC, 1,
				       on_timer, run);
	if (r < 0)
		return r;
	*ret_run = steal_ptr(&run);
	return 0;
}
