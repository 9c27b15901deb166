// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/plane_front.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <netinet/tcp.h>
#include <string.h>

#include "core/config/config_front.h"
#include "plane/front/led.h"
#include "plane/parts/plane_state.h"
#include "util/clock.h"
#include "util/macro.h"

/* Of what was counted; and so often as it takes longer to count than that, no more than one part in
 * eleven of the time goes into it. */
#define LIVE_USEC  (200 * USEC_PER_MSEC)
#define LIVE_SHARE 10
/* A portion, and how much of the time goes into these while it is counted: one part in four. */
#define PORTION_USEC  (5 * USEC_PER_MSEC)
#define PORTION_SHARE 3

struct plane_front {
	struct front *front;
	struct front_live live[HS_SLOTS_MAX];
	uint64_t live_until;
	bool in_portions, is_behind;
	struct front_tally *tally; /* NULL: none is under way */
	uint64_t spent, next;	   /* what it has taken; when it goes on */
};

bool plane_is_front(const struct plane *plane)
{
	return plane->front;
}

struct front *plane_front(const struct plane *plane)
{
	return plane->front ? plane->front->front : NULL;
}

static int take(struct plane *plane, struct front *front)
{
	if (!plane->front)
		plane->front = calloc(1, sizeof(*plane->front));
	if (!plane->front) {
		front_free(front);
		return -ENOMEM;
	}
	plane->front->front = front;
	return 0;
}

void plane_front_open(struct plane *plane)
{
	struct front *front;

	if (!front_open(plane->folder.text, &front))
		(void)take(plane, front);
}

/* It is of maps that go, or of what has been since. */
static void drop_tally(struct plane_front *state)
{
	state->tally = front_tally_free(state->tally);
	state->next = 0;
}

void plane_front_close(struct plane *plane)
{
	if (plane->front) {
		drop_tally(plane->front);
		front_free(plane->front->front);
	}
	free(plane->front);
	plane->front = NULL;
}

int plane_front_remove(struct plane *plane)
{
	bool was = plane_is_front(plane);
	int r;

	plane_front_close(plane);
	r = front_remove(plane->folder.text, plane->control->service_id);
	/* was it the last one? */
	return r || !was || !access(HS_PIN_ROOT "/" HS_PIN_FRONTS, F_OK) ? r : led_remove();
}

int plane_front_apply(struct plane *plane, const struct config_front *config,
		      struct problem *problem)
{
	const struct front_maps maps = {
		.control = plane->control_fd,
		.counters = plane->counters_fd,
		.events = plane->events_fd,
		.preview = plane->preview_fd,
		.prefixes = plane->prefixes_fd,
		.tables = plane->tables_fd,
		.pinned = plane->pinned_fd,
		.trace_rings = plane->trace_rings_fd,
		.trace_terms = plane->trace_terms_fd,
	};
	struct front *front = plane_front(plane);
	int r;

	if (plane->front)
		drop_tally(plane->front);
	r = front_apply(plane->folder.text, plane->control->service_id, &maps, config, &front,
			problem);

	return r < 0 ? r : take(plane, front);
}

static void count_on(struct plane_front *state)
{
	uint64_t begun = now_usec(), now;
	int r;

	if (begun < state->next)
		return;
	if (!state->tally) {
		state->tally = front_tally_new(state->front);
		state->spent = 0;
	}
	if (!state->tally)
		return;
	r = front_tally_go_on(state->tally,
			      state->in_portions ? begun + PORTION_USEC : USEC_INFINITY,
			      state->live);
	now = now_usec();
	state->spent += now - begun;
	state->next = now + PORTION_SHARE * (now - begun);
	if (!r)
		return;
	drop_tally(state);
	state->is_behind = false;
	state->live_until = now + MAX(LIVE_USEC, LIVE_SHARE * state->spent);
}

const struct front_live *plane_front_live(const struct plane *plane)
{
	struct plane_front *state = plane->front;

	if (state->tally || now_usec() >= state->live_until)
		count_on(state);
	return state->live;
}

const struct front_live *plane_front_counted(const struct plane *plane)
{
	return plane->front->live;
}

bool plane_front_count_on(const struct plane *plane)
{
	if (plane->front && plane->front->tally)
		count_on(plane->front);
	return plane->front && plane->front->tally;
}

void plane_front_count_in_portions(const struct plane *plane)
{
	if (plane->front)
		plane->front->in_portions = true;
}

void plane_front_look_again(const struct plane *plane)
{
	if (!plane->front)
		return;
	drop_tally(plane->front);
	plane->front->live_until = 0;
	plane->front->is_behind = true;
}

bool plane_front_is_behind(const struct plane *plane)
{
	return plane->front && plane->front->is_behind;
}

/* ---- one by one ---- */

static enum front_life life_of(const struct plane *plane, const struct hs_front_flow_key *key,
			       const struct hs_front_flow *flow)
{
	return key->protocol == IPPROTO_TCP ? front_life_of(plane_front(plane), key, flow)
					    : FRONT_LIFE_OVER;
}

/* Since a packet of its client was seen last, microseconds. */
static uint64_t idle_of(const struct hs_front_flow *flow)
{
	uint32_t now = (uint32_t)(now_coarse_nsec() >> HS_FLOW_TICK_SHIFT),
		 ticks = now - flow->seen;

	/* one that was seen behind our reading of the clock */
	if ((int32_t)ticks < 0)
		return 0;
	return ((uint64_t)ticks << HS_FLOW_TICK_SHIFT) / NSEC_PER_USEC;
}

static uint64_t age_of(const struct hs_front_flow *flow)
{
	uint64_t now = now_coarse_nsec();

	return now > flow->begun_ns ? (now - flow->begun_ns) / NSEC_PER_USEC : 0;
}

struct survey {
	const struct plane *plane;
	struct place_census *places;
	uint64_t idle_usec;
};

static int add_flow(const struct hs_front_flow_key *key, const struct hs_front_flow *flow,
		    void *userdata)
{
	const struct survey *survey = userdata;
	enum front_life life = life_of(survey->plane, key, flow);
	uint64_t age = age_of(flow), idle = idle_of(flow);
	struct place_census *place;

	if (life == FRONT_LIFE_OVER)
		return 0;
	place = &survey->places[flow->host];
	if (life == FRONT_LIFE_HALF_OPEN) {
		place->half_open++;
		return 0;
	}
	place->connections++;
	place->idle += idle >= survey->idle_usec;
	place->oldest_usec = MAX(place->oldest_usec, age);
	place->idlest_usec = MAX(place->idlest_usec, idle);
	return 0;
}

int plane_front_census(const struct plane *plane, uint64_t idle_usec,
		       struct place_census ret_places[HS_PLACES_MAX], struct problem *problem)
{
	struct survey survey = {plane, ret_places, idle_usec};
	int r;

	memset(ret_places, 0, HS_PLACES_MAX * sizeof(*ret_places));
	r = front_each_flow(plane_front(plane), add_flow, &survey);
	return r < 0 ? problem_set(problem, r, "its flows cannot be read: %s", strerror(-r)) : 0;
}

struct listing {
	int (*each)(const struct connection *connection, void *userdata);
	void *userdata;
	const struct plane *plane;
	struct hs_front values; /* for the service's addresses */
	int ended;		/* what `each` has returned */
};

static struct address end_of(const uint8_t ip[16], uint16_t port)
{
	struct address address = {.family = AF_INET6, .port = ntohs(port)};

	if (front_address_is_ipv4(ip)) {
		address.family = AF_INET;
		memcpy(address.ip, ip + 12, 4);
	} else {
		memcpy(address.ip, ip, 16);
	}
	return address;
}

static int list_flow(const struct hs_front_flow_key *key, const struct hs_front_flow *flow,
		     void *userdata)
{
	struct listing *listing = userdata;
	enum front_life life = life_of(listing->plane, key, flow);
	unsigned index = MIN(key->address, HS_FRONT_ADDRESSES_MAX - 1);
	struct connection connection = {
		.tag = {.service_id = listing->plane->control->service_id,
			.slot = flow->host,
			.begun_ns = flow->begun_ns},
		.state = life == FRONT_LIFE_LIVES ? TCP_ESTABLISHED : TCP_SYN_RECV,
		.held = true, /* as far as can be seen from here */
		.timed = true,
		.received_ms = (uint32_t)(idle_of(flow) / USEC_PER_MSEC),
	};

	if (life == FRONT_LIFE_OVER)
		return 0;
	/* answers do not come this way, and acknowledgements do */
	connection.sent_ms = connection.received_ms;
	connection.peer = end_of(key->client, key->client_port);
	connection.local = end_of(listing->values.addresses[index], key->port);
	listing->ended = listing->each(&connection, listing->userdata);
	return listing->ended;
}

int plane_front_each(const struct plane *plane,
		     int (*each)(const struct connection *connection, void *userdata),
		     void *userdata)
{
	struct listing listing = {.each = each, .userdata = userdata, .plane = plane};
	_cleanup_(close_fdp) int fd = -1;
	uint32_t zero = 0;
	int r = pin_open(pin_path("%s/" HS_PIN_FRONT "/front", plane->folder.text).text, &fd);

	if (!r && bpf_map_lookup_elem(fd, &zero, &listing.values))
		r = -errno;
	if (!r)
		r = front_each_flow(plane_front(plane), list_flow, &listing);
	return r < 0 ? r : listing.ended;
}
