// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Queues: what waits for accept(2) on our listening sockets, in one pass over them and nothing
 * else. No list of the machine's sockets is made, none is locked, and the network namespace does
 * not matter. This is asked many times a second.
 *
 * An iterator over socket storage, like the census; but over a storage of its own that only
 * listeners have, since connections inherit the tags of the accounting, and there may be a million
 * of them. A second iterator, over the tags, gives it to those that do not have it yet.
 *
 * As in the census, fields of the kernel are found by BTF.
 */
#include "hs_kernel.h"
#include "hs_tags.h"

#define TCP_LISTEN 10

struct sock_common {
	volatile unsigned char skc_state;
	__u32 skc_portpair;
	atomic64_t skc_cookie;
} OF_KERNEL;

struct sock {
	struct sock_common __sk_common;
	__u32 sk_ack_backlog;
} OF_KERNEL;

struct request_sock {
	struct sock *sk;
} OF_KERNEL;

struct request_sock_queue {
	struct request_sock *rskq_accept_head;
} OF_KERNEL;

struct inet_connection_sock {
	struct request_sock_queue icsk_accept_queue;
} OF_KERNEL;

struct tcp_sock {
	struct inet_connection_sock inet_conn;
	__u32 write_seq;
} OF_KERNEL;

struct bpf_iter_meta {
	__bpf_md_ptr(struct seq_file *, seq);
} OF_KERNEL;

/* What the kernel calls an iterator with; a contract of it. */
struct bpf_iter__bpf_sk_storage_map {
	__bpf_md_ptr(struct bpf_iter_meta *, meta);
	__bpf_md_ptr(void *, map);
	__bpf_md_ptr(struct sock *, sk);
	__bpf_md_ptr(void *, value);
};

int hs_queues(struct bpf_iter__bpf_sk_storage_map *ctx);
int hs_learn(struct bpf_iter__bpf_sk_storage_map *ctx);

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, __u32);
} hs_listening SEC(".maps");

/*
 * Who is the first in the queue. It sends nothing before it is accepted, so that the number which
 * its first byte will have stays what it is; that is drawn anew for each connection, so that one
 * with the same two ends has another. 0 = it has just been accepted.
 */
static __always_inline __u64 name_of_head(const struct tcp_sock *listener)
{
	struct request_sock *head = listener->inet_conn.icsk_accept_queue.rskq_accept_head;
	struct tcp_sock *tcp;
	struct sock *sk;

	sk = head ? head->sk : NULL;
	tcp = sk ? bpf_skc_to_tcp_sock(sk) : NULL;
	return tcp ? (__u64)tcp->write_seq << 32 | sk->__sk_common.skc_portpair : 0;
}

SEC("iter/bpf_sk_storage_map")
int hs_queues(struct bpf_iter__bpf_sk_storage_map *ctx)
{
	struct sock *sk = ctx->sk;
	struct hs_queue queue = {};
	struct tcp_sock *tcp;
	struct hs_tag *tag;

	if (!sk || !sk->sk_ack_backlog || sk->__sk_common.skc_state != TCP_LISTEN)
		return 0;
	tcp = bpf_skc_to_tcp_sock(sk);
	tag = bpf_sk_storage_get(&hs_tags, sk, NULL, 0);
	if (!tcp || !tag)
		return 0;
	queue.cookie = sk->__sk_common.skc_cookie.counter;
	queue.service_id = tag->service_id;
	queue.slot = tag->slot;
	queue.queued = sk->sk_ack_backlog;
	queue.head = name_of_head(tcp);
	bpf_seq_write(ctx->meta->seq, &queue, sizeof(queue));
	return 0;
}

SEC("iter/bpf_sk_storage_map")
int hs_learn(struct bpf_iter__bpf_sk_storage_map *ctx)
{
	struct sock *sk = ctx->sk;

	if (sk && ctx->value && sk->__sk_common.skc_state == TCP_LISTEN)
		bpf_sk_storage_get(&hs_listening, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	return 0;
}

char _license[] SEC("license") = "GPL";
