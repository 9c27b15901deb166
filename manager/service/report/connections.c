// SPDX-License-Identifier: GPL-2.0-or-later
#include "service/report/connections.h"

#include <netinet/tcp.h>

#include "core/change/slot.h"
#include "plane/fast/fast.h"
#include "plane/peers.h"
#include "plane/plane_census.h"
#include "util/clock.h"
#include "util/macro.h"

/* What is known of all places. */
struct survey {
	const struct plane *plane;
	struct plane_totals totals;
	uint32_t queued[HS_PLACES_MAX];
	struct slot_flows flows[HS_SLOTS_MAX];
	uint64_t peers[HS_SLOTS_MAX];
	bool has_peers, has_flows, counted, taken; /* the last: the census */
	struct place_census census[HS_PLACES_MAX];
	struct problem problem; /* why it was not */
};

static void take(struct survey *survey, const struct plane *plane, uint64_t idle_usec)
{
	survey->plane = plane;
	survey->counted = plane_accounting(plane) && !plane_totals(plane, &survey->totals);
	survey->has_flows = plane_has_flows(plane);
	plane_queued(plane, survey->queued);
	plane_flows(plane, survey->flows);
	survey->has_peers = plane_peers(plane, survey->peers) > 0;
	survey->taken = !plane_census(plane, idle_usec, survey->census, &survey->problem);
}

/* ---- per place ---- */

static void add_number(json_object *object, const char *key, bool known, uint64_t number)
{
	json_object_object_add(object, key, known ? json_object_new_uint64(number) : NULL);
}

/* With one digit behind the point: more would say more than is known. */
static void add_rate(json_object *object, const char *key, bool known, double rate)
{
	char text[32];

	snprintf(text, sizeof(text), "%.1f", rate);
	json_object_object_add(object, key, known ? json_object_new_double_s(rate, text) : NULL);
}

static void add_flows(json_object *object, const struct survey *survey, unsigned place)
{
	bool known = survey->has_flows && place < HS_SLOTS_MAX;
	struct slot_flows flows = known ? survey->flows[place] : (struct slot_flows) {0};

	add_number(object, "flows", known, flows.n);
	add_number(object, "flows_longest_idle_ms", known && flows.n,
		   flows.idlest_usec / USEC_PER_MSEC);
	add_number(object, "udp_clients", survey->has_peers && place < HS_SLOTS_MAX,
		   place < HS_SLOTS_MAX ? survey->peers[place] : 0);
}

static void add_place(json_object *object, const struct survey *survey, unsigned place)
{
	const struct slot_totals *totals = &survey->totals.slots[place];
	const struct place_census *census = &survey->census[place];
	bool taken = survey->taken, some = taken && census->connections > 0;

	add_number(object, "connections", survey->counted, totals->connections);
	add_number(object, "queued", survey->queued[place] != QUEUED_UNKNOWN,
		   survey->queued[place]);
	add_number(object, "half_open", taken, census->half_open);
	add_number(object, "opened", survey->counted, totals->opened);
	add_number(object, "closed", survey->counted, totals->closed);
	add_rate(object, "opened_per_s", survey->counted, totals->opened_per_second);
	add_number(object, "oldest_ms", some, census->oldest_usec / USEC_PER_MSEC);
	add_number(object, "idle", taken, census->idle);
	add_number(object, "longest_idle_ms", some, census->idlest_usec / USEC_PER_MSEC);
	add_flows(object, survey, place);
}

static json_object *slot_to_json(const struct survey *survey, unsigned slot)
{
	enum slot_role role = slot_role_of(plane_word(survey->plane), slot);
	json_object *object = json_object_new_object();

	json_object_object_add(object, "slot", json_object_new_int(slot));
	json_object_object_add(object, "role", json_object_new_string(slot_role_to_string(role)));
	add_place(object, survey, slot);
	return object;
}

static json_object *park_to_json(const struct survey *survey)
{
	json_object *object;

	uint32_t queued = survey->queued[HS_SLOT_PARK];

	if (!plane_has_park(survey->plane) && (!queued || queued == QUEUED_UNKNOWN) &&
	    !survey->totals.slots[HS_SLOT_PARK].connections)
		return NULL;
	object = json_object_new_object();
	add_place(object, survey, HS_SLOT_PARK);
	return object;
}

/* ---- one by one ---- */

static const char *tcp_state(uint8_t state)
{
	static const char *const names[] = {
		[TCP_ESTABLISHED] = "established", [TCP_SYN_SENT] = "syn-sent",
		[TCP_SYN_RECV] = "syn-received",   [TCP_FIN_WAIT1] = "fin-wait-1",
		[TCP_FIN_WAIT2] = "fin-wait-2",	   [TCP_CLOSE_WAIT] = "close-wait",
		[TCP_LAST_ACK] = "last-ack",	   [TCP_CLOSING] = "closing",
	};

	return state < ARRAY_SIZE(names) && names[state] ? names[state] : "other";
}

struct connection_list {
	const struct plane *plane;
	json_object *array;
	uint64_t now_nsec; /* as the accounting tells time */
	bool truncated;
};

/* The kernel counts ticks for one and reads a clock for the other, so that data may seem to be a
 * tick older than its connection. */
static void add_times(json_object *object, const struct connection *connection, uint64_t now_nsec)
{
	uint64_t begun = connection->tag.begun_ns, age = 0;
	uint64_t limit = UINT64_MAX, received, sent;

	if (begun && now_nsec > begun)
		age = (now_nsec - begun) / NSEC_PER_USEC / USEC_PER_MSEC;
	if (begun)
		limit = age;
	received = MIN(connection->received_ms, limit);
	sent = MIN(connection->sent_ms, limit);
	add_number(object, "age_ms", begun, age);
	add_number(object, "idle_ms", connection->timed, MIN(received, sent));
	add_number(object, "received_ms", connection->timed, received);
	add_number(object, "sent_ms", connection->timed, sent);
}

static json_object *direction_to_json(const struct hs_fast_direction *direction)
{
	json_object *object = json_object_new_object();

	json_object_object_add(object, "way",
			       json_object_new_string(fast_way_to_string(direction->way)));
	json_object_object_add(
		object, "why",
		direction->why ? json_object_new_string(fast_why_to_string(direction->why)) : NULL);
	add_number(object, "fast_bytes", true, direction->fast_bytes);
	add_number(object, "tcp_bytes", true, direction->tcp_bytes);
	return object;
}

/* As the server's end has it. */
static json_object *pair_to_json(const struct hs_fast_pair *pair)
{
	json_object *object = json_object_new_object();

	json_object_object_add(object, "received",
			       direction_to_json(&pair->directions[HS_FAST_CLIENT]));
	json_object_object_add(object, "sent",
			       direction_to_json(&pair->directions[HS_FAST_SERVER]));
	return object;
}

static int add_connection(const struct connection *connection, void *userdata)
{
	struct connection_list *list = userdata;
	struct accounting *accounting = plane_accounting(list->plane);
	char text[ADDRESS_TEXT_MAX];
	json_object *object;
	unsigned slot;

	list->truncated = json_object_array_length(list->array) >= CONNECTIONS_LIST_MAX;
	if (list->truncated)
		return 1;
	slot = accounting_slot_of(accounting, connection->cookie, &connection->tag);
	object = json_object_new_object();
	json_object_object_add(object, "slot",
			       slot < HS_SLOTS_MAX ? json_object_new_int(slot) : NULL);
	json_object_object_add(object, "peer",
			       json_object_new_string(address_format(&connection->peer, text)));
	json_object_object_add(object, "local",
			       json_object_new_string(address_format(&connection->local, text)));
	json_object_object_add(object, "state",
			       json_object_new_string(tcp_state(connection->state)));
	json_object_object_add(object, "accepted",
			       json_object_new_boolean(!connection_waits(connection)));
	add_times(object, connection, list->now_nsec);
	json_object_object_add(object, "fastpath",
			       connection->pair ? pair_to_json(connection->pair) : NULL);
	json_object_array_add(list->array, object);
	return 0;
}

static int list_connections(const struct plane *plane, json_object *array, bool *ret_truncated)
{
	struct connection_list list = {
		.plane = plane, .array = array, .now_nsec = now_coarse_nsec()};
	int r = plane_each_connection(plane, add_connection, &list);

	*ret_truncated = list.truncated;
	return MIN(r, 0);
}

static int add_list(const struct plane *plane, json_object *object)
{
	json_object *array = json_object_new_array();
	bool truncated;
	int r = list_connections(plane, array, &truncated);

	json_object_object_add(object, "connections", array);
	json_object_object_add(object, "truncated", json_object_new_boolean(truncated));
	return r;
}

static json_object *report(const struct survey *survey, unsigned n_slots, uint64_t idle_usec)
{
	json_object *object = json_object_new_object(), *slots = json_object_new_array();

	json_object_object_add(object, "service",
			       json_object_new_string(plane_service(survey->plane)));
	add_number(object, "idle_after_ms", true, idle_usec / USEC_PER_MSEC);
	for (unsigned i = 0; i < n_slots; i++)
		json_object_array_add(slots, slot_to_json(survey, i));
	json_object_object_add(object, "slots", slots);
	json_object_object_add(object, "park", park_to_json(survey));
	json_object_object_add(object, "problem",
			       survey->taken ? NULL : json_object_new_string(survey->problem.text));
	return object;
}

json_object *connections_report(const struct plane *plane, unsigned n_slots,
				const struct connections_query *query)
{
	_cleanup_(freep) struct survey *survey = calloc(1, sizeof(*survey));
	json_object *object;
	int r = 0;

	if (!survey)
		return NULL;
	take(survey, plane, query->idle_usec);
	object = report(survey, n_slots, query->idle_usec);
	if (query->list && query->withheld)
		json_object_object_add(object, "withheld", json_object_new_boolean(true));
	else if (query->list && plane_accounting(plane))
		r = add_list(plane, object);
	if (r < 0) {
		json_object_put(object);
		errno = -r;
		return NULL;
	}
	return object;
}
