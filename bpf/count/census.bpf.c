// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Census: looks at each tagged socket of the machine once, when somebody asks, and adds up what
 * the connections of one service are doing. An iterator over the socket storage of the accounting:
 * sockets that are not ours, of which there may be many more, cost nothing, and no list has to be
 * handed to user space. A second one tells them one by one.
 *
 * No socket is locked: an instance may hold the lock of its own for as long as it likes, and who
 * asks sock_diag for the same figures waits for it.
 *
 * They look into structures of the kernel. Their few fields are named here, and
 * found at load time by the kernel's own description of itself (BTF): there is no vmlinux.h, and a
 * kernel that does not describe itself is one on which only this is not known.
 */
#include "hs_kernel.h"
#include "hs_moved.h"

#define TCP_CLOSE  7
#define TCP_LISTEN 10

/* Of the user space API, and so the same everywhere. */
struct ip6 {
	__u32 words[4];
};

struct ns_common {
	__u32 inum;
} OF_KERNEL;

struct net {
	struct ns_common ns;
} OF_KERNEL;

typedef struct {
	struct net *net;
} OF_KERNEL possible_net_t;

struct sock_common {
	volatile unsigned char skc_state;
	__u16 skc_family;
	__u32 skc_daddr, skc_rcv_saddr;
	__be16 skc_dport;
	__u16 skc_num;
	int skc_bound_dev_if;
	possible_net_t skc_net;
	struct ip6 skc_v6_daddr, skc_v6_rcv_saddr;
	atomic64_t skc_cookie;
} OF_KERNEL;

struct sock {
	struct sock_common __sk_common;
	void *sk_socket;
} OF_KERNEL;

struct bpf_iter_meta {
	__bpf_md_ptr(struct seq_file *, seq);
} OF_KERNEL;

struct request_sock_queue {
	atomic_t qlen;
} OF_KERNEL;

struct inet_connection_sock {
	struct request_sock_queue icsk_accept_queue;
	struct {
		__u32 lrcvtime;
	} OF_KERNEL icsk_ack;
} OF_KERNEL;

struct tcp_sock {
	struct inet_connection_sock inet_conn;
	__u32 lsndtime;
} OF_KERNEL;

/* What the kernel calls an iterator with; a contract of it. */
struct bpf_iter__bpf_sk_storage_map {
	__bpf_md_ptr(struct bpf_iter_meta *, meta);
	__bpf_md_ptr(void *, map);
	__bpf_md_ptr(struct sock *, sk);
	__bpf_md_ptr(struct hs_tag *, value);
};

int hs_census(struct bpf_iter__bpf_sk_storage_map *ctx);
int hs_list(struct bpf_iter__bpf_sk_storage_map *ctx);

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct hs_census);
} hs_census_map SEC(".maps");

static __always_inline struct hs_census_place *place_of(struct hs_census *census,
							const struct hs_tag *tag, __u64 cookie)
{
	__u32 place = hs_place_now(tag, cookie);

	if (place >= HS_PLACES_MAX)
		return NULL;
	/* the check stays before the use, where the verifier wants it */
	__asm__ volatile("" : "+r"(place));
	return &census->places[place];
}

/* Ticks since `then`. A socket that is used on another CPU may be ahead of us. */
static __always_inline __u32 ticks_since(__u32 then)
{
	__u32 ticks = (__u32)bpf_jiffies64() - then;

	return ticks > HS_CENSUS_TICKS_MAX ? 0 : ticks;
}

static __always_inline void add_connection(const struct hs_census *census,
					   struct hs_census_place *place, const struct hs_tag *tag,
					   const struct tcp_sock *tcp)
{
	__u32 received = ticks_since(tcp->inet_conn.icsk_ack.lrcvtime);
	__u32 sent = ticks_since(tcp->lsndtime), idle = received < sent ? received : sent;

	place->connections++;
	if (!place->oldest_ns || tag->begun_ns < place->oldest_ns)
		place->oldest_ns = tag->begun_ns;
	if (idle >= census->idle_ticks)
		place->idle++;
	if (idle > place->idlest_ticks)
		place->idlest_ticks = idle;
}

/* NULL: it is none of the service that is asked for. */
static __always_inline struct hs_census *asked_for(const struct hs_tag *tag)
{
	struct hs_census *census = bpf_map_lookup_elem(&hs_census_map, &(__u32) {0});

	return census && tag->service_id == census->service_id ? census : NULL;
}

SEC("iter/bpf_sk_storage_map")
int hs_census(struct bpf_iter__bpf_sk_storage_map *ctx)
{
	struct sock *sk = ctx->sk;
	struct hs_tag *tag = ctx->value;
	struct hs_census_place *place;
	struct hs_census *census;
	struct tcp_sock *tcp;

	if (!sk || !tag)
		return 0;
	census = asked_for(tag);
	if (!census)
		return 0;
	tcp = bpf_skc_to_tcp_sock(sk);
	if (!tcp)
		return 0;
	place = place_of(census, tag, sk->__sk_common.skc_cookie.counter);
	if (!place)
		return 0;
	if (sk->__sk_common.skc_state == TCP_LISTEN)
		place->half_open += tcp->inet_conn.icsk_accept_queue.qlen.counter;
	else if (sk->__sk_common.skc_state != TCP_CLOSE && tag->counted)
		add_connection(census, place, tag, tcp);
	return 0;
}

static __always_inline void copy_ip6(__u8 to[16], const struct ip6 *from)
{
	/* word by word: the verifier allows no more at once */
	for (int i = 0; i < 4; i++)
		((volatile __u32 *)to)[i] = ((volatile const __u32 *)from->words)[i];
}

static __always_inline void copy_addresses(struct hs_connection *to, struct sock *sk)
{
	to->family = sk->__sk_common.skc_family;
	to->local_port = sk->__sk_common.skc_num;
	to->peer_port = bpf_ntohs(sk->__sk_common.skc_dport);
	if (to->family == AF_INET6) {
		copy_ip6(to->local_ip, &sk->__sk_common.skc_v6_rcv_saddr);
		copy_ip6(to->peer_ip, &sk->__sk_common.skc_v6_daddr);
	} else {
		*(__u32 *)to->local_ip = sk->__sk_common.skc_rcv_saddr;
		*(__u32 *)to->peer_ip = sk->__sk_common.skc_daddr;
	}
}

SEC("iter/bpf_sk_storage_map")
int hs_list(struct bpf_iter__bpf_sk_storage_map *ctx)
{
	struct hs_connection connection = {};
	struct sock *sk = ctx->sk;
	struct hs_tag *tag = ctx->value;
	struct tcp_sock *tcp;

	if (!sk || !tag || !asked_for(tag))
		return 0;
	tcp = bpf_skc_to_tcp_sock(sk);
	if (!tcp)
		return 0;
	connection.state = sk->__sk_common.skc_state;
	if (connection.state == TCP_LISTEN || connection.state == TCP_CLOSE)
		return 0;
	connection.cookie = sk->__sk_common.skc_cookie.counter;
	connection.tag = *tag;
	connection.netns = sk->__sk_common.skc_net.net->ns.inum;
	connection.ifindex = sk->__sk_common.skc_bound_dev_if;
	connection.received_ticks = ticks_since(tcp->inet_conn.icsk_ack.lrcvtime);
	connection.sent_ticks = ticks_since(tcp->lsndtime);
	connection.held = sk->sk_socket != NULL;
	copy_addresses(&connection, sk);
	bpf_seq_write(ctx->meta->seq, &connection, sizeof(connection));
	return 0;
}

char _license[] SEC("license") = "GPL";
