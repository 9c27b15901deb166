// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Accounting: attached to the root cgroup, once for all services, it keeps the live connections of
 * every slot and tells when a socket begins to listen where a service does. A second program, on
 * the cgroup of each managed unit, tells of the unit's listens on other ports. Nobody else's are
 * told: they may be as many as anybody likes.
 *
 * A listener carries a tag (service, slot), set by adoption in socket storage with BPF_F_CLONE;
 * every connection established on it inherits the tag. So what a connection belongs to needs no
 * look-up by address and no trust in cgroups (a connection has the cgroup of who made its
 * listener).
 *
 * Sockets without a tag cost one failed storage look-up when they are established, a short call
 * for each state after that, as connections inherit the request for it from their listener, and one
 * failed hash look-up at the end.
 */
#include "hs_moved.h"
#include "hs_recent.h"
#include "hs_tags.h"

#define TCP_CLOSE  7
#define TCP_LISTEN 10

int hs_account(struct bpf_sock_ops *ops);
int hs_listening(struct bpf_sock_ops *ops);

struct counters_template {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, HS_COUNTERS_MAX);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct hs_counters));
};

/* hs_control.service_id to the map "counters" of that service. Writer: who makes a service's pins.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__array(values, struct counters_template);
} hs_services SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 64 * 1024);
} hs_listens SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, HS_WATCHED_PORTS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, __u32);
} hs_watched SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct hs_telling);
} hs_telling SEC(".maps");

/* Which build of these programs is attached. Writer: who attaches it. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} hs_build SEC(".maps");

static __always_inline struct hs_counters *counters_of(__u32 service_id, __u32 slot)
{
	void *counters = bpf_map_lookup_elem(&hs_services, &service_id);

	if (!counters || slot >= HS_PLACES_MAX)
		return NULL;
	return bpf_map_lookup_elem(counters, &slot);
}

static __always_inline struct hs_tag *tag_of(struct bpf_sock_ops *ops)
{
	struct bpf_sock *sk = ops->sk;

	return sk ? bpf_sk_storage_get(&hs_tags, sk, NULL, 0) : NULL;
}

static __always_inline int is_watched(struct bpf_sock_ops *ops)
{
	__u32 port = ops->local_port;

	return bpf_map_lookup_elem(&hs_watched, &port) != NULL;
}

/* What is not told is counted: then hsd looks at all units. */
static __always_inline void tell_listen(struct bpf_sock_ops *ops, __u32 closed)
{
	struct hs_telling *telling = bpf_map_lookup_elem(&hs_telling, &(__u32) {0});
	__u64 tick = bpf_ktime_get_coarse_ns() >> HS_TRAFFIC_TICK_SHIFT;
	struct hs_listen listen = {
		.cookie = bpf_get_socket_cookie(ops),
		.port = (__u16)ops->local_port,
		.family = (__u8)ops->family,
		.closed = (__u8)closed,
	};

	if (!telling)
		return;
	if (telling->tick != tick) {
		telling->tick = tick;
		telling->told = 0;
	}
	if (telling->told >= HS_LISTENS_MAX ||
	    bpf_ringbuf_output(&hs_listens, &listen, sizeof(listen), 0))
		hs_count(telling->lost);
	else
		telling->told++;
}

static __always_inline void on_listen(struct bpf_sock_ops *ops)
{
	/* so that its end is told as well, should it be ours by then */
	bpf_sock_ops_cb_flags_set(ops, ops->bpf_sock_ops_cb_flags | BPF_SOCK_OPS_STATE_CB_FLAG);
	if (is_watched(ops))
		tell_listen(ops, 0);
}

static __always_inline void on_listen_ended(struct bpf_sock_ops *ops)
{
	if (tag_of(ops) || is_watched(ops))
		tell_listen(ops, 1);
}

/*
 * A manager that watches for hangs need not look where nothing happens: it is told when something
 * begins to. Not of each connection, but of the first one after a pause of this CPU; that it goes
 * on is in the counts.
 */
static __always_inline void tell_traffic(struct bpf_sock_ops *ops, __u32 service_id, __u64 now)
{
	void *counters = bpf_map_lookup_elem(&hs_services, &service_id);
	__u64 tick = now >> HS_TRAFFIC_TICK_SHIFT;
	struct hs_service_counters *service;
	__u32 index = HS_COUNTERS_SERVICE;
	struct hs_listen traffic = {
		.port = (__u16)ops->local_port,
		.family = (__u8)ops->family,
		.service_id = service_id,
	};

	service = counters ? bpf_map_lookup_elem(counters, &index) : NULL;
	if (!service || service->traffic_tick == tick)
		return;
	if (tick - service->traffic_tick == 1) {
		service->traffic_tick = tick;
		return;
	}
	traffic.cookie = bpf_get_socket_cookie(ops);
	/* with a full ring the next connection tells */
	if (!bpf_ringbuf_output(&hs_listens, &traffic, sizeof(traffic), 0))
		service->traffic_tick = tick;
}

static __always_inline void on_established(struct bpf_sock_ops *ops)
{
	struct hs_tag *tag = tag_of(ops);
	struct hs_counters *counters;
	__u64 now;

	if (!tag)
		return;
	counters = counters_of(tag->service_id, tag->slot);
	if (!counters)
		return;
	/* without the callback at its end a connection must not be counted as begun */
	if (bpf_sock_ops_cb_flags_set(ops, ops->bpf_sock_ops_cb_flags | BPF_SOCK_OPS_STATE_CB_FLAG))
		return;
	/* once a jiffy is exact enough, and the cheapest clock there is */
	now = bpf_ktime_get_coarse_ns();
	tag->counted = 1;
	tag->begun_ns = now;
	hs_count(counters->opened);
	counters->recent = hs_recent_add(counters->recent, hs_recent_period(now));
	tell_traffic(ops, tag->service_id, now);
}

/* A connection that is older than its listener's tag was not counted as begun, and so must not be
 * counted as ended; but as moved it was counted. This takes that back. */
static __always_inline void on_uncounted_closed(const struct hs_move *move)
{
	struct hs_counters *from = counters_of(move->service_id, move->from);
	struct hs_counters *to = counters_of(move->service_id, move->to);

	if (!from || !to)
		return;
	hs_count(from->opened);
	hs_count(to->closed);
}

static __always_inline void on_closed(struct bpf_sock_ops *ops)
{
	__u64 cookie = bpf_get_socket_cookie(ops);
	struct hs_move *moved = bpf_map_lookup_elem(&hs_moved, &cookie), move = {};
	struct hs_tag *tag = tag_of(ops);
	struct hs_counters *counters;

	if (moved) {
		move = *moved;
		bpf_map_delete_elem(&hs_moved, &cookie);
	}
	/* ends that nothing came before: a handshake that failed at its last step has a tag, too */
	if (!tag || !tag->counted) {
		if (moved)
			on_uncounted_closed(&move);
		return;
	}
	counters = counters_of(tag->service_id, moved ? move.to : tag->slot);
	if (counters)
		hs_count(counters->closed);
}

SEC("sockops")
int hs_account(struct bpf_sock_ops *ops)
{
	switch (ops->op) {
	case BPF_SOCK_OPS_TCP_LISTEN_CB:
		on_listen(ops);
		break;
	case BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB:
		on_established(ops);
		break;
	case BPF_SOCK_OPS_STATE_CB:
		if (ops->args[1] != TCP_CLOSE)
			break;
		if (ops->args[0] == TCP_LISTEN)
			on_listen_ended(ops);
		else
			on_closed(ops);
		break;
	}
	return 1;
}

SEC("sockops")
int hs_listening(struct bpf_sock_ops *ops)
{
	/* on a watched port the other one tells */
	if (ops->op == BPF_SOCK_OPS_TCP_LISTEN_CB && !is_watched(ops))
		tell_listen(ops, 0);
	return 1;
}

char _license[] SEC("license") = "GPL";
