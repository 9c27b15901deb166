// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The fast path (hs_fast.h). Four programs:
 *
 *   hs_fast_connect  on the control groups of the clients that are named: an end whose connection
 *                    may be to one of our services goes into the map, and is offered
 *   hs_fast_accept   on the root control group: an end of ours that was offered one is made a pair
 *                    with it
 *   hs_fast_send     on the map: each message of an end in it, by the one way or the other
 *   hs_fast_hold     on the root control group: holds back what is sent by TCP until what went the
 *                    fast way before has been read
 *
 * On this machine the client's end is established before the server's: so the latter finds the
 * offer. A client whose first byte is faster than that sends by TCP.
 *
 * An end is never taken out of the map: the kernel would throw away what waits in its queue. It
 * goes when it is closed, or connected anew.
 *
 * What is looked at of a socket, and never changed, is in structures of the kernel (hs_kernel.h).
 * The other end is looked at by an address that was noted, which may be another socket's by now,
 * or nobody's: to read there is harmless, and a socket tells by its cookie which one it is.
 */
#include "hs_fast.h"
#include "hs_kernel.h"
#include "hs_packet.h"
#include "hs_tags.h"

#include <bpf/bpf_core_read.h>

#define LET_GO 1
#define HOLD   0
/* TCP gives a connection up that gets nothing through: for a quarter of an hour (tcp_retries2), or,
 * once its process has closed it, for 51 s (tcp_orphan_retries: 8 tries, each after twice the
 * time; this is before the last but one). Bytes that nobody is told of are better than none. */
#define HOLD_MAX_NS 20000000000ULL

#define LOOPBACK    1 /* its interface index in every network namespace */
#define IPV4_HEADER 20
#define IPV6_HEADER 40
#define TCP_HEADER  20

#define TCP_ESTABLISHED 1
#define TCP_CLOSE	7
#define TCP_CLOSE_WAIT	8

typedef struct {
	atomic_t refs;
} OF_KERNEL refcount_t;

struct sock_common {
	atomic64_t skc_cookie;
} OF_KERNEL;

struct sock {
	struct sock_common __sk_common;
	struct {
		atomic_t rmem_alloc;
	} OF_KERNEL sk_backlog;
	int sk_rcvbuf;
	void *sk_user_data;
} OF_KERNEL;

struct inet_sock {
	struct sock sk;
} OF_KERNEL;

struct inet_connection_sock {
	struct inet_sock icsk_inet;
	const void *icsk_ulp_ops;
} OF_KERNEL;

struct tcp_sock {
	struct inet_connection_sock inet_conn;
	__u64 bytes_sent;
	__u32 write_seq;
	__u32 snd_nxt;
	__u32 snd_una;
	__u32 rcv_nxt;
	_Bool is_mptcp;
} OF_KERNEL;

struct list_head {
	struct list_head *next;
} OF_KERNEL;

struct sk_psock {
	struct list_head ingress_msg;
	refcount_t refcnt;
} OF_KERNEL;

int hs_fast_connect(struct bpf_sock_ops *ops);
int hs_fast_accept(struct bpf_sock_ops *ops);
int hs_fast_send(struct sk_msg_md *msg);
int hs_fast_hold(struct __sk_buff *skb);

/* For tests: enum hs_fast_without; and the one network namespace to act in, 0 = all. */
const volatile __u32 hs_fast_without = 0;
const volatile __u64 hs_fast_netns = 0;

struct {
	__uint(type, BPF_MAP_TYPE_SOCKHASH);
	__uint(max_entries, HS_FAST_ENDS_MAX);
	__type(key, struct hs_fast_end);
	__type(value, __u64);
} hs_fast_peers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, HS_FAST_OFFERS_MAX);
	__type(key, struct hs_fast_end);
	__type(value, struct hs_fast_offer);
} hs_fast_offers SEC(".maps");

/* What an end knows of itself. Programs of two builds may look at it: who changes it raises
 * HS_FAST_LAYOUT. */
struct end {
	__u64 pair;	 /* SO_COOKIE of the client's end */
	__u64 own, peer; /* addresses of both; `peer` 0 = not known yet */
	__u64 peer_cookie;
	__u64 client;
	/* when this thread and, before it, another one has sent */
	__u64 last_ns, other_ns;
	struct hs_fast_end peer_end;
	__u32 service_id, slot;
	__u32 thread; /* that has sent last */
	__u32 turn;   /* of hs_fast_state, when the service was last asked */
	__u8 side;    /* enum hs_fast_side */
	__u8 way;     /* enum hs_fast_way */
	__u8 why;     /* enum hs_fast_why */
	__u8 pad;
	/* of messages since the reader's queue was last empty: the size of the smallest, and how
	 * many; no more than fits in */
	__u16 smallest, since;
	/* since when what goes by TCP may have to be held back; 0 = it need not */
	__u64 holds_ns;
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct end);
} hs_fast_ways SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, HS_FAST_PAIRS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, struct hs_fast_pair);
} hs_fast_pairs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, HS_FAST_SERVICES_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct hs_fast_client);
	__type(value, __u32);
} hs_fast_services SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, HS_FAST_PORTS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct hs_fast_port);
	__type(value, __u32);
} hs_fast_ports SEC(".maps");

/* For user space alone. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, HS_FAST_PORTS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct hs_fast_want);
	__type(value, __u32);
} hs_fast_wants SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_CGROUP_STORAGE);
	__type(key, __u64);
	__type(value, struct hs_fast_group);
} hs_fast_clients SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, HS_FAST_COUNTS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct hs_fast_place);
	__type(value, struct hs_fast_counts);
} hs_fast_counts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct hs_fast_state);
} hs_fast_state SEC(".maps");

/* Which build of these programs is pinned. Writer: who pins them, last. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} hs_fast_build SEC(".maps");

/* ---- ends ---- */

/* Each field by itself: compilers that share what two branches have in common would have a pointer
 * into `ops` that the verifier refuses. */
static __always_inline void read_end(struct bpf_sock_ops *ops, struct hs_fast_end *end)
{
	volatile struct bpf_sock_ops *from = ops;
	__u32 *local = (__u32 *)end->local, *remote = (__u32 *)end->remote;
	__u32 local4 = from->local_ip4, remote4 = from->remote_ip4;

	end->netns_cookie = bpf_get_netns_cookie(ops);
	end->local_port = (__u16)from->local_port;
	end->remote_port = (__u16)bpf_ntohl(from->remote_port);
	local[0] = from->local_ip6[0];
	local[1] = from->local_ip6[1];
	local[2] = from->local_ip6[2];
	local[3] = from->local_ip6[3];
	remote[0] = from->remote_ip6[0];
	remote[1] = from->remote_ip6[1];
	remote[2] = from->remote_ip6[2];
	remote[3] = from->remote_ip6[3];
	if (from->family == AF_INET6)
		return;
	hs_map_ipv4(end->local, local4);
	hs_map_ipv4(end->remote, remote4);
}

static __always_inline void turn_round(const struct hs_fast_end *end, struct hs_fast_end *ret)
{
	ret->netns_cookie = end->netns_cookie;
	__builtin_memcpy(ret->local, end->remote, 16);
	__builtin_memcpy(ret->remote, end->local, 16);
	ret->local_port = end->remote_port;
	ret->remote_port = end->local_port;
	ret->pad = 0;
}

/* What is sent to an address of this machine has it as its source as well, unless the client has
 * bound another one: then it goes by TCP. */
static __always_inline int is_local(const struct hs_fast_end *end)
{
	const __u64 *local = (const __u64 *)end->local, *remote = (const __u64 *)end->remote;

	return hs_is_loopback(end->remote) || (local[0] == remote[0] && local[1] == remote[1]);
}

static __always_inline int is_elsewhere(const struct hs_fast_end *end)
{
	return hs_fast_netns && end->netns_cookie != hs_fast_netns;
}

/* NULL also for MPTCP, the sockets of which are another one's parts. */
static __always_inline struct tcp_sock *tcp_of(struct bpf_sock *sk)
{
	struct tcp_sock *tcp = bpf_skc_to_tcp_sock(sk);

	if (!tcp || (bpf_core_field_exists(tcp->is_mptcp) && tcp->is_mptcp))
		return NULL;
	return tcp;
}

static __always_inline __u64 cookie_at(__u64 address)
{
	struct sock *sk = (struct sock *)address;

	return (__u64)BPF_CORE_READ(sk, __sk_common.skc_cookie.counter);
}

static __always_inline struct hs_fast_counts *counts_of(__u32 service_id, __u32 slot)
{
	struct hs_fast_place place = {.service_id = service_id, .slot = slot};

	return bpf_map_lookup_elem(&hs_fast_counts, &place);
}

/* ---- the client's end ---- */

static __always_inline int is_wanted(__u64 client, __u16 to)
{
	struct hs_fast_port port = {.client = client, .port = to};

	return bpf_map_lookup_elem(&hs_fast_ports, &port) != NULL;
}

/* So that its end is told. */
static __always_inline int ask_for_end(struct bpf_sock_ops *ops)
{
	return bpf_sock_ops_cb_flags_set(ops,
					 ops->bpf_sock_ops_cb_flags | BPF_SOCK_OPS_STATE_CB_FLAG);
}

/* Offered last: who finds the offer finds the end in the map. */
static __always_inline void offer(struct bpf_sock_ops *ops, struct bpf_sock *sk,
				  struct hs_fast_end *end, __u64 client)
{
	struct hs_fast_offer mine = {.client = client, .cookie = bpf_get_socket_cookie(ops)};
	struct tcp_sock *tcp = tcp_of(sk);
	struct end *own;

	if (!tcp || ask_for_end(ops))
		return;
	mine.address = (__u64)tcp;
	own = bpf_sk_storage_get(&hs_fast_ways, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (!own)
		return;
	own->pair = mine.cookie;
	own->own = mine.address;
	own->client = client;
	own->side = HS_FAST_CLIENT;
	if (bpf_sock_hash_update(ops, &hs_fast_peers, end, BPF_NOEXIST)) {
		own->way = HS_FAST_TCP;
		return;
	}
	turn_round(end, &own->peer_end);
	bpf_map_update_elem(&hs_fast_offers, end, &mine, BPF_ANY);
}

/* A socket that was disconnected and has another connection now. What waits in its queue is of the
 * first one, and goes with its place in the map, if it got one. */
static __always_inline void leave_first(struct end *own)
{
	struct hs_fast_end end;

	turn_round(&own->peer_end, &end);
	bpf_map_delete_elem(&hs_fast_peers, &end);
	own->peer_end = (struct hs_fast_end) {};
}

static __always_inline void on_connected(struct bpf_sock_ops *ops)
{
	struct hs_fast_group *group = bpf_get_local_storage(&hs_fast_clients, 0);
	struct bpf_sock *sk = ops->sk;
	struct hs_fast_end end = {};
	struct end *own;

	own = sk ? bpf_sk_storage_get(&hs_fast_ways, sk, NULL, 0) : NULL;
	if (own) {
		leave_first(own);
		return;
	}
	if (!sk || !group->client || !is_wanted(group->client, (__u16)bpf_ntohl(ops->remote_port)))
		return;
	read_end(ops, &end);
	if (is_local(&end) && !is_elsewhere(&end))
		offer(ops, sk, &end, group->client);
}

/* ---- the server's end ---- */

static __always_inline int is_allowed(__u32 service_id, __u64 client)
{
	struct hs_fast_client key = {.client = client, .service_id = service_id};

	return bpf_map_lookup_elem(&hs_fast_services, &key) != NULL;
}

static __always_inline __u32 turn_now(void)
{
	struct hs_fast_state *state = bpf_map_lookup_elem(&hs_fast_state, &(__u32) {0});

	return state ? state->turn : 0;
}

static __always_inline struct end *make_end(struct bpf_sock *sk, const struct hs_tag *tag,
					    const struct hs_fast_pair *pair)
{
	struct end *own = bpf_sk_storage_get(&hs_fast_ways, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);

	if (!own)
		return NULL;
	own->pair = pair->client_cookie;
	own->own = pair->server_address;
	own->peer = pair->client_address;
	own->peer_cookie = pair->client_cookie;
	own->client = pair->client;
	own->service_id = tag->service_id;
	own->slot = tag->slot;
	own->side = HS_FAST_SERVER;
	return own;
}

/* The pair is there when all else is: who finds it may send. */
static __always_inline int make_pair(struct bpf_sock_ops *ops, struct bpf_sock *sk,
				     const struct hs_tag *tag, struct hs_fast_pair *pair)
{
	struct hs_fast_end end = pair->end;
	struct end *own;

	if (ask_for_end(ops))
		return -1;
	own = make_end(sk, tag, pair);
	if (!own)
		return -1;
	/* before the service is asked: whoever takes the client away meanwhile raises it */
	own->turn = turn_now();
	turn_round(&end, &own->peer_end);
	if (bpf_sock_hash_update(ops, &hs_fast_peers, &end, BPF_NOEXIST) ||
	    bpf_map_update_elem(&hs_fast_pairs, &pair->client_cookie, pair, BPF_NOEXIST)) {
		own->way = HS_FAST_TCP;
		return -1;
	}
	return 0;
}

/* Addresses and ports alone do not say so: a client bound to a device, one of another link of the
 * same address, or one whose packets are translated (NAT) may have those of another connection.
 * The server's end has sent nothing yet, and has told the client's of no byte. */
static __always_inline int are_of_one_connection(struct tcp_sock *server,
						 const struct hs_fast_offer *offer)
{
	struct tcp_sock *client = (struct tcp_sock *)offer->address;

	return BPF_CORE_READ(client, rcv_nxt) == BPF_CORE_READ(server, snd_nxt) &&
	       BPF_CORE_READ(client, snd_una) == BPF_CORE_READ(server, rcv_nxt) &&
	       cookie_at(offer->address) == offer->cookie;
}

static __always_inline void take(struct bpf_sock_ops *ops, struct bpf_sock *sk,
				 const struct hs_tag *tag, const struct hs_fast_offer *offer,
				 struct hs_fast_pair *pair)
{
	struct hs_fast_counts *counts = counts_of(tag->service_id, tag->slot);
	struct tcp_sock *tcp = tcp_of(sk);

	if (!tcp || !counts || !are_of_one_connection(tcp, offer))
		return;
	pair->client = offer->client;
	pair->client_cookie = offer->cookie;
	pair->client_address = offer->address;
	pair->server_cookie = bpf_get_socket_cookie(ops);
	pair->server_address = (__u64)tcp;
	pair->begun_ns = bpf_ktime_get_coarse_ns();
	pair->service_id = tag->service_id;
	pair->slot = tag->slot;
	if (make_pair(ops, sk, tag, pair))
		hs_count(counts->refused);
	else
		hs_count(counts->begun);
}

static __always_inline void on_accepted(struct bpf_sock_ops *ops)
{
	struct hs_fast_offer *found, offer;
	struct bpf_sock *sk = ops->sk;
	struct hs_fast_pair pair = {};
	struct hs_fast_end other = {};
	struct hs_tag *tag;

	tag = sk ? bpf_sk_storage_get(&hs_tags, sk, NULL, 0) : NULL;
	if (!tag)
		return;
	read_end(ops, &pair.end);
	turn_round(&pair.end, &other);
	found = bpf_map_lookup_elem(&hs_fast_offers, &other);
	if (!found)
		return;
	offer = *found;
	bpf_map_delete_elem(&hs_fast_offers, &other);
	if (is_allowed(tag->service_id, offer.client) && !is_elsewhere(&pair.end))
		take(ops, sk, tag, &offer, &pair);
}

/* ---- the end of either ---- */

static __always_inline void on_closed(struct bpf_sock_ops *ops)
{
	struct bpf_sock *sk = ops->sk;
	struct hs_fast_counts *counts;
	struct hs_fast_pair *pair;
	struct end *own;
	__u64 id;

	if (!sk || ops->args[1] != TCP_CLOSE)
		return;
	own = bpf_sk_storage_get(&hs_fast_ways, sk, NULL, 0);
	if (!own)
		return;
	/* the socket may be connected anew */
	own->way = HS_FAST_TCP;
	own->holds_ns = 0;
	id = own->pair;
	pair = bpf_map_lookup_elem(&hs_fast_pairs, &id);
	if (!pair)
		return;
	counts = counts_of(pair->service_id, pair->slot);
	/* the first of the two */
	if (!bpf_map_delete_elem(&hs_fast_pairs, &id) && counts)
		hs_count(counts->ended);
}

SEC("sockops")
int hs_fast_connect(struct bpf_sock_ops *ops)
{
	if (ops->op == BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB)
		on_connected(ops);
	return 1;
}

SEC("sockops")
int hs_fast_accept(struct bpf_sock_ops *ops)
{
	if (ops->op == BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB)
		on_accepted(ops);
	else if (ops->op == BPF_SOCK_OPS_STATE_CB)
		on_closed(ops);
	return 1;
}

/* ---- sending ---- */

/* The client's end learns of the pair at its first byte. */
static __always_inline void find_peer(struct end *own)
{
	struct hs_fast_pair *pair = bpf_map_lookup_elem(&hs_fast_pairs, &own->pair);

	if (!pair)
		return;
	/* it has not asked yet */
	own->turn = turn_now() - 1;
	own->service_id = pair->service_id;
	own->slot = pair->slot;
	own->peer_cookie = pair->server_cookie;
	own->peer = pair->server_address;
}

/* What the writer's own TCP says. */
static __always_inline void look_at_own(const struct end *own, struct hs_fast_look *look)
{
	struct tcp_sock *tcp = (struct tcp_sock *)own->own;

	look->started = BPF_CORE_READ(tcp, bytes_sent) ||
			BPF_CORE_READ(tcp, write_seq) != BPF_CORE_READ(tcp, snd_nxt);
	look->tls |= BPF_CORE_READ(tcp, inet_conn.icsk_ulp_ops) != NULL;
}

static __always_inline void look_at_peer(const struct end *own, struct hs_fast_look *look)
{
	struct tcp_sock *tcp = (struct tcp_sock *)own->peer;
	struct sock *sk = (struct sock *)own->peer;

	look->queued = (__u32)BPF_CORE_READ(sk, sk_backlog.rmem_alloc.counter);
	look->buffer = (__u32)BPF_CORE_READ(sk, sk_rcvbuf);
	look->tls |= BPF_CORE_READ(tcp, inet_conn.icsk_ulp_ops) != NULL;
	/* last: it is the peer that all of it was read of */
	look->peer = cookie_at(own->peer) == own->peer_cookie;
}

static __always_inline void look_at_messages(struct end *own, struct hs_fast_look *look)
{
	__u16 size = look->size < 0xffff ? (__u16)look->size : 0xffff;

	if (!look->queued)
		own->since = 0;
	if (!own->since || size < own->smallest)
		own->smallest = size;
	if (own->since < 0xffff)
		own->since++;
	look->smallest = own->smallest;
	look->since = own->since;
}

/* What the kernel has beside a socket of the map. NULL: it is in none any more. */
static __always_inline struct sk_psock *psock_at(__u64 address)
{
	struct sock *sk = (struct sock *)address;

	/* the lowest bits are flags */
	return (struct sk_psock *)((__u64)BPF_CORE_READ(sk, sk_user_data) & ~7ULL);
}

/* Whoever is in a call that sends or reads holds a reference; one is the map's, one is ours. */
static __always_inline int is_alone(const struct end *own)
{
	struct sk_psock *psock = psock_at(own->own);

	return BPF_CORE_READ(psock, refcnt.refs.counter) <= 2;
}

static __always_inline void look_at_threads(struct end *own, __u64 now, struct hs_fast_look *look)
{
	__u32 thread = (__u32)bpf_get_current_pid_tgid();

	if (own->thread && own->thread != thread)
		own->other_ns = own->last_ns;
	own->thread = thread;
	own->last_ns = now;
	look->quiet_ns = own->other_ns ? now - own->other_ns : ~0ULL;
	look->alone = look->quiet_ns >= HS_FAST_QUIET_NS || is_alone(own);
}

static __always_inline int is_tls(const struct sk_msg_md *msg)
{
	const __u8 *data = msg->data, *end = msg->data_end;
	__u8 first[HS_FAST_HELLO] = {};
	unsigned n = 0;

	if (data + HS_FAST_HELLO <= end) {
		__builtin_memcpy(first, data, HS_FAST_HELLO);
		return hs_fast_is_hello(first, HS_FAST_HELLO);
	}
#pragma unroll
	for (int i = 0; i < HS_FAST_HELLO - 1; i++) {
		if (data + i + 1 > end)
			break;
		first[i] = data[i];
		n = i + 1;
	}
	return hs_fast_is_hello(first, n);
}

static __always_inline int still_allowed(struct end *own)
{
	__u32 turn = turn_now();

	if (own->turn == turn)
		return 1;
	if (!is_allowed(own->service_id, own->client))
		return 0;
	own->turn = turn;
	return 1;
}

static __always_inline int is_open(const struct bpf_sock *sk)
{
	return sk->state == TCP_ESTABLISHED || sk->state == TCP_CLOSE_WAIT;
}

static __always_inline enum hs_fast_why decide(struct sk_msg_md *msg, struct bpf_sock *sk,
					       struct end *own, __u64 now)
{
	struct hs_fast_look look = {.size = msg->size, .way = own->way};

	if (!own->peer)
		find_peer(own);
	look.paired = own->peer != 0;
	if (look.paired) {
		look.open = is_open(sk);
		look.tls = is_tls(msg);
		look.allowed = still_allowed(own);
		look_at_own(own, &look);
		look_at_threads(own, now, &look);
		look_at_peer(own, &look);
		look_at_messages(own, &look);
	}
	return hs_fast_decide(&look, hs_fast_without);
}

static __always_inline void count_pair(const struct end *own, struct hs_fast_pair *pair, __u64 size,
				       __u64 now)
{
	struct hs_fast_direction *to = &pair->directions[own->side & 1];

	to->last_ns = now;
	to->way = own->way;
	to->why = own->why;
	if (own->way == HS_FAST_FAST)
		__sync_fetch_and_add(&to->fast_bytes, size);
	else
		__sync_fetch_and_add(&to->tcp_bytes, size);
}

/* `changed`: the direction has just been found to go this way. */
static __always_inline void count(struct end *own, __u64 size, __u64 now, int changed)
{
	struct hs_fast_pair *pair = bpf_map_lookup_elem(&hs_fast_pairs, &own->pair);
	__u32 side = own->side & 1, why = own->why;
	int fast = own->way == HS_FAST_FAST;
	struct hs_fast_counts *counts;

	if (pair && !own->service_id) {
		/* it was too early, and the pair was made since */
		own->service_id = pair->service_id;
		own->slot = pair->slot;
		changed = 1;
	}
	if (pair)
		count_pair(own, pair, size, now);
	counts = counts_of(own->service_id, own->slot);
	if (!counts)
		return;
	__sync_fetch_and_add(fast ? &counts->fast_bytes[side] : &counts->tcp_bytes[side], size);
	if (changed && !fast && why < HS_FAST_WHY_COUNT)
		hs_count(counts->why[why]);
}

SEC("sk_msg")
int hs_fast_send(struct sk_msg_md *msg)
{
	struct bpf_sock *sk = msg->sk;
	struct hs_fast_end peer;
	struct end *own;
	__u8 before;
	__u64 now;

	own = sk ? bpf_sk_storage_get(&hs_fast_ways, sk, NULL, 0) : NULL;
	if (!own)
		return SK_PASS;
	now = bpf_ktime_get_coarse_ns();
	before = own->way;
	if (before != HS_FAST_TCP || hs_fast_without & HS_FAST_WITHOUT_ORDER) {
		own->why = decide(msg, sk, own, now);
		own->way = own->why ? HS_FAST_TCP : HS_FAST_FAST;
		if (before == HS_FAST_FAST && own->way == HS_FAST_TCP)
			own->holds_ns = now;
	}
	peer = own->peer_end;
	if (own->way == HS_FAST_FAST &&
	    bpf_msg_redirect_hash(msg, &hs_fast_peers, &peer, BPF_F_INGRESS) != SK_PASS) {
		own->why = HS_FAST_WHY_GONE;
		own->way = HS_FAST_TCP;
	}
	count(own, msg->size, now, own->way != before);
	return SK_PASS;
}

/* ---- holding back ---- */

/* Whether nothing that came the fast way waits to be read at the other end. */
static __always_inline int is_read(const struct end *own)
{
	struct sk_psock *psock = psock_at(own->peer);
	struct list_head *first = psock ? BPF_CORE_READ(psock, ingress_msg.next) : NULL;

	/* a list that is empty leads back to itself */
	if (!first ||
	    (__u64)first == (__u64)psock + bpf_core_field_offset(struct sk_psock, ingress_msg))
		return 1;
	return cookie_at(own->peer) != own->peer_cookie;
}

static __always_inline int has_payload(const struct __sk_buff *skb)
{
	__u8 *data = (__u8 *)(long)skb->data, *end = (__u8 *)(long)skb->data_end;
	__u32 offset = IPV6_HEADER;

	if (data + IPV4_HEADER > end)
		return 1;
	if (skb->protocol == bpf_htons(ETH_P_IP))
		offset = (data[0] & 0xf) * 4;
	/* else clang proves a bound that the verifier cannot see */
	barrier_var(offset);
	offset &= 63;
	data += offset;
	if (data + TCP_HEADER > end)
		return 1;
	return skb->len > offset + (data[12] >> 4) * 4;
}

/* TCP takes it for a packet that the machine had no room for, and tries again: with the next thing
 * that it has to do for the connection, or by its timer. */
SEC("cgroup_skb/egress")
int hs_fast_hold(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->ifindex == LOOPBACK ? skb->sk : NULL;
	struct end *own;

	sk = sk ? bpf_sk_fullsock(sk) : NULL;
	own = sk ? bpf_sk_storage_get(&hs_fast_ways, sk, NULL, 0) : NULL;
	if (!own || !own->holds_ns || !has_payload(skb))
		return LET_GO;
	if (!is_read(own) && bpf_ktime_get_coarse_ns() - own->holds_ns < HOLD_MAX_NS &&
	    !(hs_fast_without & HS_FAST_WITHOUT_HOLD))
		return HOLD;
	own->holds_ns = 0;
	return LET_GO;
}

char _license[] SEC("license") = "GPL";
