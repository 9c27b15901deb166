// SPDX-License-Identifier: GPL-2.0-or-later
/* What a plane has: sockets per slot, totals, queues. The reading half of plane.h. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <string.h>

#include "hs_recent.h"
#include "plane/bpf/flows.h"
#include "plane/kernel/diag.h"
#include "plane/plane.h"
#include "plane/plane_front.h"
#include "plane/snapshot.h"
#include "util/clock.h"
#include "util/macro.h"

/* Of a front. */
static bool is_taking(const struct plane *plane, unsigned slot)
{
	return slot < HS_SLOTS_MAX && front_taking(plane_front(plane)) >> slot & 1;
}

unsigned plane_slot_sockets(const struct plane *plane, unsigned slot)
{
	uint64_t cookies[HS_SHARDS_MAX];
	size_t n;
	struct listener **listeners = plane_listeners(plane, &n);
	unsigned sockets = paths_sockets(plane_paths(plane), slot, cookies);

	if (plane_is_front(plane))
		return is_taking(plane, slot);
	for (size_t i = 0; i < n; i++)
		sockets += listener_sockets(listeners[i], slot, cookies);
	return sockets;
}

uint64_t plane_slot_cookie(const struct plane *plane, unsigned slot)
{
	uint64_t cookies[HS_SHARDS_MAX];
	size_t n;
	struct listener **listeners = plane_listeners(plane, &n);

	if (plane_is_front(plane))
		return is_taking(plane, slot) ? front_run(plane_front(plane), slot) : 0;
	for (size_t i = 0; i < n; i++)
		if (listener_sockets(listeners[i], slot, cookies))
			return cookies[0];
	return paths_sockets(plane_paths(plane), slot, cookies) ? cookies[0] : 0;
}

int plane_slot_has(const struct plane *plane, unsigned slot, uint64_t cookie)
{
	uint64_t cookies[HS_SHARDS_MAX];
	size_t n;
	struct listener **listeners = plane_listeners(plane, &n);

	if (plane_is_front(plane))
		return is_taking(plane, slot) && front_run(plane_front(plane), slot) == cookie;
	for (size_t i = 0; i < n; i++)
		for (unsigned k = listener_sockets(listeners[i], slot, cookies); k > 0; k--)
			if (cookies[k - 1] == cookie)
				return 1;
	for (unsigned k = paths_sockets(plane_paths(plane), slot, cookies); k > 0; k--)
		if (cookies[k - 1] == cookie)
			return 1;
	return 0;
}

uint32_t plane_live_slots(const struct plane *plane)
{
	uint32_t live = 0;

	for (unsigned slot = 0; slot < HS_SLOTS_MAX; slot++)
		if (plane_slot_sockets(plane, slot))
			live |= 1U << slot;
	return live;
}

bool plane_has_park(const struct plane *plane)
{
	return plane_slot_sockets(plane, HS_SLOT_PARK) > 0;
}

const struct address *plane_missing(const struct plane *plane, unsigned slot, unsigned other)
{
	uint64_t cookies[HS_SHARDS_MAX];
	size_t n;
	struct listener **listeners = plane_listeners(plane, &n);

	for (size_t i = 0; i < n; i++)
		if (listener_sockets(listeners[i], other, cookies) &&
		    !listener_sockets(listeners[i], slot, cookies))
			return &listeners[i]->address;
	return NULL;
}

bool plane_is_missing(const struct plane *plane, unsigned slot, unsigned other)
{
	return plane_missing(plane, slot, other) || paths_missing(plane_paths(plane), slot, other);
}

#define PORTS_TEXT_MAX 128

static bool serves_both(const struct listener *listener, unsigned slot, unsigned other)
{
	uint64_t cookies[HS_SHARDS_MAX];

	return listener_sockets(listener, slot, cookies) &&
	       listener_sockets(listener, other, cookies);
}

/* The first listener of a port speaks for all of them. */
static bool is_told(const struct plane *plane, size_t index, unsigned slot, unsigned other)
{
	size_t n;
	struct listener **listeners = plane_listeners(plane, &n);

	for (size_t i = 0; i < index; i++)
		if (listeners[i]->address.port == listeners[index]->address.port &&
		    serves_both(listeners[i], slot, other))
			return true;
	return false;
}

/* The ports that both serve, as Ports= takes them: "80 443". "" when there is none, or no room. */
static void list_common_ports(const struct plane *plane, unsigned slot, unsigned other,
			      char text[PORTS_TEXT_MAX])
{
	size_t n, length = 0, size = PORTS_TEXT_MAX;
	struct listener **listeners = plane_listeners(plane, &n);

	text[0] = '\0';
	for (size_t i = 0; i < n && length < size; i++)
		if (serves_both(listeners[i], slot, other) && !is_told(plane, i, slot, other))
			length += (size_t)snprintf(text + length, size - length, "%s%u",
						   length ? " " : "", listeners[i]->address.port);
	if (length >= size)
		text[0] = '\0';
}

static void describe_missing_path(const struct plane *plane, unsigned slot, unsigned other,
				  struct problem *ret_sentence)
{
	const char *path = paths_missing(plane_paths(plane), slot, other);

	if (path)
		problem_set(ret_sentence, 0,
			    "it has no socket at %s, which the active slot serves; let both serve "
			    "the same paths",
			    path);
}

void plane_describe_missing(const struct plane *plane, unsigned slot, unsigned other,
			    struct problem *ret_sentence)
{
	const struct address *missing = plane_missing(plane, slot, other);
	char address[ADDRESS_TEXT_MAX], ports[PORTS_TEXT_MAX];

	if (!missing) {
		describe_missing_path(plane, slot, other, ret_sentence);
		return;
	}
	list_common_ports(plane, slot, other, ports);
	problem_set(ret_sentence, 0,
		    "it has no socket on %s, which the active slot serves; let both serve the same "
		    "addresses, or name the common ports in Ports=%s%s%s",
		    address_describe(missing, address), ports[0] ? " (Ports=" : "", ports,
		    ports[0] ? ")" : "");
}

enum { FIELDS = sizeof(struct hs_counters) / sizeof(uint64_t) };
_Static_assert(offsetof(struct hs_counters, recent) == (FIELDS - 1) * sizeof(uint64_t),
	       "the last word is no count");

/* Adds up one entry: one value for each CPU. `sum` has as many fields as a value has words. The
 * last one is not summed: it becomes the number of connections in the last whole period. The type
 * is that of the fields: of another one the compiler might take them for untouched. */
static void sum_values(const struct hs_counters *values, int n_cpus, __u64 sum[FIELDS])
{
	uint32_t period = hs_recent_period(now_coarse_nsec());

	for (int cpu = 0; cpu < n_cpus; cpu++) {
		const __u64 *words = (const __u64 *)&values[cpu];

		for (int field = 0; field < FIELDS - 1; field++)
			sum[field] += words[field];
		sum[FIELDS - 1] += hs_recent_of(values[cpu].recent, period);
	}
}

static int sum_entry(int counters_fd, uint32_t index, __u64 sum[FIELDS])
{
	_cleanup_(freep) struct hs_counters *values = NULL;
	int r, n = libbpf_num_possible_cpus();

	if (n < 0)
		return n;
	values = calloc(n, sizeof(*values));
	if (!values)
		return -ENOMEM;
	r = bpf_map_lookup_elem(counters_fd, &index, values);
	if (!r)
		sum_values(values, n, sum);
	return r;
}

/* All entries, asked for at once: who describes hundreds of services would else spend most of the
 * time on system calls. Per-CPU arrays are read so since Linux 5.13. */
static int sum_all(int counters_fd, __u64 sums[HS_COUNTERS_MAX][FIELDS])
{
	_cleanup_(freep) struct hs_counters *values = NULL;
	uint32_t keys[HS_COUNTERS_MAX], n_entries = HS_COUNTERS_MAX, next;
	int r, n = libbpf_num_possible_cpus();

	if (n < 0)
		return n;
	values = calloc((size_t)n * HS_COUNTERS_MAX, sizeof(*values));
	if (!values)
		return -ENOMEM;
	r = bpf_map_lookup_batch(counters_fd, NULL, &next, keys, values, &n_entries, NULL);
	/* -ENOENT: that was the last of them */
	if (r < 0 && r != -ENOENT)
		return r;
	if (n_entries != HS_COUNTERS_MAX)
		return -EIO;
	for (uint32_t i = 0; i < n_entries; i++)
		sum_values(values + (size_t)i * n, n, sums[keys[i]]);
	return 0;
}

static void read_totals(const struct hs_counters *c, struct slot_totals *ret_totals)
{
	*ret_totals = (struct slot_totals) {
		.chosen = c->chosen,
		.fell_through = c->fell_through,
		.migrated_in = c->migrated_in,
		.select_failed = c->select_failed,
		.opened = c->opened,
		.closed = c->closed,
		.moved_in = c->moved_in,
		.moved_out = c->moved_out,
		.connections = c->opened + c->moved_in - c->moved_out - c->closed,
		.opened_per_second = (double)c->recent * NSEC_PER_SEC / (1 << HS_RECENT_SHIFT),
	};
	/* read while it changes, the CPUs' sums may be off by those in flight: never below zero */
	if ((int64_t)ret_totals->connections < 0)
		ret_totals->connections = 0;
}

int plane_slot_counted(const struct plane *plane, unsigned slot, struct slot_totals *ret_totals)
{
	struct hs_counters c = {0};
	int r = sum_entry(plane_counters_fd(plane), slot, (__u64 *)&c);

	if (!r)
		read_totals(&c, ret_totals);
	return r;
}

int plane_slot_totals(const struct plane *plane, unsigned slot, struct slot_totals *ret_totals)
{
	uint64_t at_paths[HS_SLOTS_MAX];
	int r = plane_slot_counted(plane, slot, ret_totals);

	if (r >= 0 && plane_is_front(plane) && slot < HS_SLOTS_MAX)
		ret_totals->connections = plane_front_live(plane)[slot].connections;
	if (r < 0 || slot >= HS_SLOTS_MAX || !plane_paths(plane)->entries)
		return r;
	paths_connections(plane_paths(plane), at_paths);
	ret_totals->connections += at_paths[slot];
	return 0;
}

int plane_asked_otherwise(const struct plane *plane, uint64_t *ret_asked)
{
	struct hs_service_counters c = {0};
	int r = sum_entry(plane_counters_fd(plane), HS_COUNTERS_SERVICE, (__u64 *)&c);

	*ret_asked = c.nothing_to_choose + c.previewed;
	return r;
}

int plane_totals(const struct plane *plane, struct plane_totals *ret_totals)
{
	union {
		struct hs_counters slots[HS_COUNTERS_MAX];
		__u64 words[HS_COUNTERS_MAX][FIELDS];
	} sums = {0};
	struct hs_service_counters c;
	struct plane_totals totals = {0};
	uint64_t at_paths[HS_SLOTS_MAX];
	int r = sum_all(plane_counters_fd(plane), sums.words);

	if (r < 0)
		return r;
	memcpy(&c, &sums.slots[HS_COUNTERS_SERVICE], sizeof(c));
	for (unsigned slot = 0; slot < HS_PLACES_MAX; slot++)
		read_totals(&sums.slots[slot], &totals.slots[slot]);
	paths_connections_lately(plane_paths(plane), at_paths);
	for (unsigned slot = 0; slot < HS_SLOTS_MAX; slot++)
		totals.slots[slot].connections += at_paths[slot];
	for (unsigned slot = 0; slot < HS_SLOTS_MAX && plane_is_front(plane); slot++)
		totals.slots[slot].connections = plane_front_live(plane)[slot].connections;
	totals.nothing_to_choose = c.nothing_to_choose;
	totals.events_lost = c.events_lost;
	totals.moves_missed = c.moves_missed;
	totals.flows_evicted = c.flows_evicted;
	totals.previewed = c.previewed;
	totals.preview_misses = c.preview_misses;
	*ret_totals = totals;
	return 0;
}

/* Adds what waits on the socket with this cookie to its slot. */
static void add_queued(const struct plane *plane, uint64_t cookie, uint32_t n,
		       uint32_t queued[HS_PLACES_MAX])
{
	for (unsigned slot = 0; n && slot < HS_PLACES_MAX; slot++) {
		if (!plane_slot_has(plane, slot, cookie))
			continue;
		queued[slot] += n;
		return;
	}
}

static int add_listener(const struct plane *plane, const struct listener *listener,
			uint32_t queued[HS_PLACES_MAX])
{
	const struct listening_socket *sockets;
	size_t n;
	int r;

	/* a namespace that is not known any more, or not yet */
	if (listener->address.udp || (listener->address.netns && listener->netns.fd < 0))
		return 0;
	r = snapshot_at(&listener->netns, listener->address.port, &sockets, &n);
	for (size_t i = 0; !r && i < n; i++)
		if (address_equal(&sockets[i].address, &listener->address))
			add_queued(plane, sockets[i].cookie, sockets[i].queued, queued);
	return r;
}

/* As the kernel tells of our own sockets: nobody has to be listed for it. */
static int add_own(const struct plane *plane, uint32_t queued[HS_PLACES_MAX])
{
	const struct hs_queue *queues;
	size_t n;
	int r = -ENODATA;

	if (plane_accounting(plane))
		r = snapshot_queues(plane_accounting(plane), &queues, &n);
	for (size_t i = 0; !r && i < n; i++)
		if (queues[i].service_id == plane_id(plane))
			add_queued(plane, queues[i].cookie, queues[i].queued, queued);
	return r;
}

/* For many planes: from what is listed once for all of them. */
static int add_shared(const struct plane *plane, uint32_t queued[HS_PLACES_MAX])
{
	size_t n;
	struct listener **listeners = plane_listeners(plane, &n);
	int r = 0;

	for (size_t i = 0; !r && i < n; i++)
		r = add_listener(plane, listeners[i], queued);
	return r;
}

/* Of the namespace that this listener is in. */
static int add_listed_there(const struct plane *plane, const struct listener *listener,
			    uint32_t queued[HS_PLACES_MAX])
{
	_cleanup_(freep) struct queue_length *queues = NULL;
	struct address addresses[PLANE_LISTENERS_MAX];
	struct diag_wanted wanted = {.addresses = addresses,
				     .n_addresses = plane_addresses(plane, addresses)};
	size_t n;
	int r = diag_queues(&listener->netns, &wanted, &queues, &n);

	for (size_t i = 0; !r && i < n; i++)
		add_queued(plane, queues[i].cookie, queues[i].queued, queued);
	return r;
}

static int add_listed(const struct plane *plane, uint32_t queued[HS_PLACES_MAX])
{
	size_t n;
	struct listener **listeners = plane_listeners(plane, &n);
	int r = 0;

	if (snapshot_is_shared()) {
		r = add_shared(plane, queued);
		if (r != -EOVERFLOW)
			return r;
		/* of all sockets there are too many: those of the service alone */
		memset(queued, 0, HS_PLACES_MAX * sizeof(*queued));
		r = 0;
	}
	for (size_t i = 0; !r && i < n; i++)
		if (listener_is_first_there(listeners, i))
			r = add_listed_there(plane, listeners[i], queued);
	return r;
}

static int add_paths(const struct plane *plane, unsigned slot, uint32_t queued[HS_PLACES_MAX])
{
	uint32_t waiting;
	int r = paths_queued(plane_paths(plane), slot, &waiting);

	queued[slot] = r ? QUEUED_UNKNOWN : queued[slot] + waiting;
	return r;
}

int plane_queued(const struct plane *plane, uint32_t queued[HS_PLACES_MAX])
{
	int r, unknown = 0;

	memset(queued, 0, HS_PLACES_MAX * sizeof(*queued));
	snapshot_begin();
	r = add_own(plane, queued);
	if (r < 0)
		r = add_listed(plane, queued);
	snapshot_end();
	if (r < 0)
		memset(queued, 0xff, HS_PLACES_MAX * sizeof(*queued));
	for (unsigned slot = 0; r >= 0 && slot < HS_SLOTS_MAX; slot++)
		unknown = add_paths(plane, slot, queued) ?: unknown;
	return r < 0 ? r : unknown;
}

bool plane_has_flows(const struct plane *plane)
{
	const struct hs_control *control = plane_control(plane);

	return (plane_flow_table(plane)->fd >= 0 || plane_is_front(plane)) &&
	       __atomic_load_n(&control->flow_mode, __ATOMIC_SEQ_CST) != HS_FLOW_NONE;
}

static bool serves_udp(const struct plane *plane, unsigned slot)
{
	uint64_t cookies[HS_SHARDS_MAX];
	size_t n;
	struct listener **listeners = plane_listeners(plane, &n);

	for (size_t i = 0; i < n; i++)
		if (listeners[i]->address.udp && listener_sockets(listeners[i], slot, cookies))
			return true;
	return false;
}

static void read_front_flows(const struct plane *plane, struct slot_flows flows[HS_SLOTS_MAX])
{
	const struct front_live *live = plane_front_live(plane);

	for (unsigned slot = 0; slot < HS_SLOTS_MAX; slot++)
		flows[slot].n = live[slot].flows;
}

void plane_flows(const struct plane *plane, struct slot_flows flows[HS_SLOTS_MAX])
{
	const struct hs_control *control = plane_control(plane);
	struct hs_flow_now now = {
		.epochs = __atomic_load_n(&control->epochs, __ATOMIC_SEQ_CST),
		.tick = flows_tick(),
		.idle = __atomic_load_n(&control->flow_idle, __ATOMIC_SEQ_CST),
	};

	memset(flows, 0, HS_SLOTS_MAX * sizeof(*flows));
	if (!plane_has_flows(plane))
		return;
	if (plane_is_front(plane)) {
		read_front_flows(plane, flows);
		return;
	}
	flows_count(plane_flow_table(plane), &now, flows);
	/* with no socket there, these will go elsewhere with their next datagram */
	for (unsigned slot = 0; slot < HS_SLOTS_MAX; slot++)
		if (flows[slot].n && !serves_udp(plane, slot))
			flows[slot] = (struct slot_flows) {0};
}

/* Of all listeners with this port. */
static int add_drops(const struct plane *plane, const struct listener *listener,
		     uint64_t drops[HS_SLOTS_MAX])
{
	_cleanup_(freep) struct listening_socket *sockets = NULL;
	int r, seen = 0;
	size_t n;

	if (listener->address.netns && listener->netns.fd < 0)
		return 0;
	r = diag_listening_at(&listener->netns, true, listener->address.port, -1, &sockets, &n);
	for (size_t i = 0; !r && i < n; i++)
		for (unsigned slot = 0; slot < HS_SLOTS_MAX; slot++) {
			if (!plane_find(plane, &sockets[i].address) ||
			    !plane_slot_has(plane, slot, sockets[i].cookie))
				continue;
			drops[slot] += sockets[i].dropped;
			seen++;
			break;
		}
	return r < 0 ? r : seen;
}

int plane_drops(const struct plane *plane, uint64_t drops[HS_SLOTS_MAX])
{
	size_t n;
	struct listener **listeners = plane_listeners(plane, &n);
	int r, seen = 0;

	memset(drops, 0, HS_SLOTS_MAX * sizeof(*drops));
	for (size_t i = 0; i < n; i++) {
		if (!listeners[i]->address.udp || !listener_is_first(listeners, i))
			continue;
		r = add_drops(plane, listeners[i], drops);
		if (r < 0)
			return r;
		seen += r;
	}
	return seen;
}
