// SPDX-License-Identifier: GPL-2.0-or-later
/* What a front counts, and its flows. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <time.h>

#include "hs_forward.h"
#include "hs_recent.h"
#include "plane/front/front.h"
#include "plane/front/front_state.h"
#include "util/clock.h"
#include "util/macro.h"

#define BATCH 4096U
/* A connection may be silent for as long as TCP's keep-alive waits: two hours. */
#define SILENT_TICKS (7200 * NSEC_PER_SEC >> HS_FLOW_TICK_SHIFT)

static void add_count(struct front_count *to, const struct hs_front_traffic *from, uint32_t period)
{
	double seconds = (double)(1ULL << HS_RECENT_SHIFT) / (double)NSEC_PER_SEC;

	to->packets += from->packets;
	to->bytes += from->bytes;
	to->flows += from->flows;
	to->flows_per_second += hs_recent_of(from->recent, period) / seconds;
}

static void add_counts(struct front_totals *to, const struct hs_front_counts *from)
{
	to->unknown += from->unknown;
	to->unremembered += from->unremembered;
	to->fragments_lost += from->fragments_lost;
	to->too_big += from->too_big;
	to->passed += from->passed;
	to->no_host += from->no_host;
	to->no_way += from->no_way;
}

static int add_device(const struct front *front, unsigned cpus, struct front_totals *totals)
{
	_cleanup_(freep) struct hs_front_device_counts *values = calloc(cpus, sizeof(*values));
	uint32_t zero = 0;

	if (!values)
		return -ENOMEM;
	if (front->device.counts < 0)
		return 0;
	if (bpf_map_lookup_elem(front->device.counts, &zero, values))
		return -errno;
	for (unsigned i = 0; i < cpus; i++) {
		totals->malformed += values[i].malformed;
		totals->fragments_lost += values[i].fragments_lost;
		totals->passed += values[i].unserved;
		totals->other_ports += values[i].other_ports;
	}
	return 0;
}

int front_totals(const struct front *front, struct front_totals *ret_totals)
{
	unsigned cpus = (unsigned)libbpf_num_possible_cpus();
	_cleanup_(freep) struct hs_front_traffic *values = calloc(cpus, sizeof(*values));
	uint32_t period = hs_recent_period(now_nsec());
	struct front_totals totals = {0};
	int r;

	if (!values)
		return -ENOMEM;
	for (uint32_t host = 0; host < HS_FRONT_TRAFFIC_MAX; host++) {
		if (bpf_map_lookup_elem(front->load, &host, values))
			return -errno;
		for (unsigned i = 0; i < cpus; i++)
			if (host < HS_SLOTS_MAX)
				add_count(&totals.hosts[host], &values[i], period);
			else
				add_counts(&totals, (const void *)&values[i]);
	}
	r = add_device(front, cpus, &totals);
	if (!r)
		*ret_totals = totals;
	return r;
}

uint64_t front_other_ports(const struct front *front)
{
	struct front_totals totals = {0};

	(void)add_device(front, (unsigned)libbpf_num_possible_cpus(), &totals);
	return totals.other_ports;
}

DEFINE_CLEANUP(struct front_tally, front_tally_free)

/* ---- flows ---- */

/* A walk through one map, a batch at a time. */
struct walk {
	struct hs_front_flow_key *keys;
	struct hs_front_flow *flows;
	uint32_t token;
	bool begun;
};

static int walk_begin(struct walk *walk)
{
	*walk = (struct walk) {.keys = calloc(BATCH, sizeof(*walk->keys)),
			       .flows = calloc(BATCH, sizeof(*walk->flows))};
	return walk->keys && walk->flows ? 0 : -ENOMEM;
}

static void walk_done(struct walk *walk)
{
	free(walk->keys);
	free(walk->flows);
}

enum { WALK_LAST = 1, WALK_ENDED = 2 };

/* WALK_LAST: that was the last one. WALK_ENDED: no other one is wanted. */
static int walk_on(struct walk *walk, int map, front_flow_fn on_flow, void *userdata)
{
	uint32_t n = BATCH;
	int r = bpf_map_lookup_batch(map, walk->begun ? &walk->token : NULL, &walk->token,
				     walk->keys, walk->flows, &n, NULL);

	walk->begun = true;
	if (r && errno != ENOENT)
		return -errno;
	for (uint32_t i = 0; i < n; i++)
		if (on_flow(&walk->keys[i], &walk->flows[i], userdata))
			return WALK_ENDED;
	return r ? WALK_LAST : 0;
}

static int each_flow(int map, front_flow_fn on_flow, void *userdata)
{
	_cleanup_(walk_done) struct walk walk;
	int r = walk_begin(&walk);

	while (!r)
		r = walk_on(&walk, map, on_flow, userdata);
	return r == WALK_LAST ? 0 : r;
}

int front_each_flow(const struct front *front, front_flow_fn on_flow, void *userdata)
{
	int r = each_flow(front->flows, on_flow, userdata);

	if (!r && front->young >= 0)
		r = each_flow(front->young, on_flow, userdata);
	if (!r)
		r = each_flow(front->fresh, on_flow, userdata);
	return MIN(r, 0);
}

struct living {
	const struct front *front;
	struct front_live *live;
	uint32_t tick, idle;
};

static struct living living_now(const struct front *front, struct front_live *live)
{
	return (struct living) {.front = front,
				.live = live,
				.tick = hs_front_tick(now_nsec()),
				.idle = front->control ? front->control->flow_idle : 1};
}

static enum front_life life_of(const struct living *living, const struct hs_front_flow_key *key,
			       const struct hs_front_flow *flow)
{
	uint32_t age = hs_front_age(flow, living->tick);

	if (!hs_flow_has_host(living->front->shared, flow) || flow->marks & HS_FRONT_CLOSING)
		return FRONT_LIFE_OVER;
	if (!(flow->marks & HS_FRONT_ESTABLISHED))
		return age <= HS_FRONT_AGAIN_TICKS ? FRONT_LIFE_HALF_OPEN : FRONT_LIFE_OVER;
	return age < (key->protocol == IPPROTO_UDP ? living->idle : SILENT_TICKS) ? FRONT_LIFE_LIVES
										  : FRONT_LIFE_OVER;
}

enum front_life front_life_of(const struct front *front, const struct hs_front_flow_key *key,
			      const struct hs_front_flow *flow)
{
	const struct living living = living_now(front, NULL);

	return life_of(&living, key, flow);
}

static int add_living(const struct hs_front_flow_key *key, const struct hs_front_flow *flow,
		      void *userdata)
{
	struct living *living = userdata;

	if (life_of(living, key, flow) != FRONT_LIFE_LIVES)
		return 0;
	if (key->protocol == IPPROTO_UDP)
		living->live[flow->host].flows++;
	else
		living->live[flow->host].connections++;
	return 0;
}

uint32_t front_room(const struct front *front)
{
	return front_map_size(front->flows);
}

int front_live(const struct front *front, struct front_live live[HS_SLOTS_MAX])
{
	_cleanup_(front_tally_freep) struct front_tally *tally = front_tally_new(front);

	return tally ? MIN(front_tally_go_on(tally, USEC_INFINITY, live), 0) : -ENOMEM;
}

/* ---- in portions ---- */

struct front_tally {
	const struct front *front;
	int maps[2]; /* where those are that are established; -1 = none */
	unsigned map;
	struct walk walk;
	struct front_live live[HS_SLOTS_MAX];
};

struct front_tally *front_tally_new(const struct front *front)
{
	struct front_tally *tally = calloc(1, sizeof(*tally));

	if (!tally)
		return NULL;
	tally->front = front;
	tally->maps[0] = front->flows;
	tally->maps[1] = front->young;
	return walk_begin(&tally->walk) < 0 ? front_tally_free(tally) : tally;
}

struct front_tally *front_tally_free(struct front_tally *tally)
{
	if (tally)
		walk_done(&tally->walk);
	free(tally);
	return NULL;
}

int front_tally_go_on(struct front_tally *tally, uint64_t until_usec,
		      struct front_live live[HS_SLOTS_MAX])
{
	const struct front *front = tally->front;
	struct living living = living_now(front, tally->live);
	int r;

	while (tally->map < ARRAY_SIZE(tally->maps) && tally->maps[tally->map] >= 0) {
		r = walk_on(&tally->walk, tally->maps[tally->map], add_living, &living);
		if (r < 0)
			return r;
		tally->map += (unsigned)r;
		tally->walk.begun &= !r;
		if (now_usec() >= until_usec)
			break;
	}
	if (tally->map < ARRAY_SIZE(tally->maps) && tally->maps[tally->map] >= 0)
		return 0;
	memcpy(live, tally->live, sizeof(tally->live));
	return 1;
}
