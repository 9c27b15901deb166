// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Motion: whether anything moves on the connections that the slots of one service have accepted,
 * and whether a slot has left unread what it was sent. Asked when a slot does not accept, to tell
 * one that stands still from one that is full.
 *
 * An iterator over the tags of the accounting, as the census is, and as there, fields of the kernel
 * are found by BTF.
 */
#include "hs_kernel.h"
#include "hs_moved.h"

#define TCP_ESTABLISHED 1
#define TCP_FIN_WAIT1	4
#define TCP_FIN_WAIT2	5
#define TCP_CLOSE_WAIT	8
#define TCP_LISTEN	10

struct sock_common {
	volatile unsigned char skc_state;
	atomic64_t skc_cookie;
} OF_KERNEL;

struct socket;

struct sk_buff {
	unsigned char cb[48]; /* begins with the number of its first byte (struct tcp_skb_cb) */
} OF_KERNEL;

struct sk_buff_head {
	struct sk_buff *next;
} OF_KERNEL;

struct sock {
	struct sock_common __sk_common;
	struct sk_buff_head sk_receive_queue;
	struct socket *sk_socket;
} OF_KERNEL;

struct tcp_sock {
	__u32 copied_seq;
	__u32 rcv_nxt;
	__u32 write_seq;
	__u32 snd_una;
} OF_KERNEL;

/* What the kernel calls an iterator with; a contract of it. */
struct bpf_iter__bpf_sk_storage_map {
	__bpf_md_ptr(void *, meta);
	__bpf_md_ptr(void *, map);
	__bpf_md_ptr(struct sock *, sk);
	__bpf_md_ptr(struct hs_tag *, value);
};

int hs_motion(struct bpf_iter__bpf_sk_storage_map *ctx);

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct hs_motion);
} hs_motion_map SEC(".maps");

static __always_inline struct hs_motion_place *place_of(struct hs_motion *motion,
							const struct hs_tag *tag, __u64 cookie)
{
	__u32 place = hs_place_now(tag, cookie);

	if (place >= HS_PLACES_MAX)
		return NULL;
	/* the check stays before the use, where the verifier wants it */
	__asm__ volatile("" : "+r"(place));
	return &motion->places[place];
}

/* Bytes; the client's end is none, though it takes a number. None either while the client does not
 * take what it was sent: then the server may be waiting for that. */
static __always_inline __u32 unread(const struct tcp_sock *tcp, unsigned char state)
{
	__u32 bytes = tcp->rcv_nxt - tcp->copied_seq;

	if (tcp->write_seq != tcp->snd_una)
		return 0;
	if (state == TCP_CLOSE_WAIT)
		return bytes > 1 ? bytes - 1 : 0;
	return state == TCP_ESTABLISHED || state == TCP_FIN_WAIT1 || state == TCP_FIN_WAIT2 ? bytes
											    : 0;
}

/*
 * Whether what is unread is the rest of something that was read in part. Who has left it there was
 * there, and works on what it has read: FastCGI servers leave the end of each request, others read
 * an upload as they need it.
 */
static __always_inline int is_rest(const struct sock *sk, const struct tcp_sock *tcp)
{
	const struct sk_buff *first = sk->sk_receive_queue.next;
	__u32 begin;

	if (!first)
		return 0;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	begin = first->cb[0] | first->cb[1] << 8 | first->cb[2] << 16 | (__u32)first->cb[3] << 24;
#else
	begin = first->cb[3] | first->cb[2] << 8 | first->cb[1] << 16 | (__u32)first->cb[0] << 24;
#endif
	return (__s32)(tcp->copied_seq - begin) > 0;
}

/* Spreads a number over 64 bits, so that a sum of them tells what it is a sum of. */
static __always_inline __u64 spread(__u64 number)
{
	number ^= number >> 31;
	number *= 0x9e3779b97f4a7c15ULL;
	number ^= number >> 29;
	number *= 0xbf58476d1ce4e5b9ULL;
	return number ^ number >> 32;
}

SEC("iter/bpf_sk_storage_map")
int hs_motion(struct bpf_iter__bpf_sk_storage_map *ctx)
{
	struct sock *sk = ctx->sk;
	struct hs_tag *tag = ctx->value;
	struct hs_motion_place *place;
	struct hs_motion *motion;
	struct tcp_sock *tcp;
	unsigned char state;
	__u64 number;
	__u32 zero = 0;

	if (!sk || !tag)
		return 0;
	motion = bpf_map_lookup_elem(&hs_motion_map, &zero);
	tcp = bpf_skc_to_tcp_sock(sk);
	if (!motion || !tcp || tag->service_id != motion->service_id)
		return 0;
	state = sk->__sk_common.skc_state;
	/* who waits for accept(2), or was closed, has none */
	if (state == TCP_LISTEN || !sk->sk_socket)
		return 0;
	number = sk->__sk_common.skc_cookie.counter;
	place = place_of(motion, tag, number);
	if (!place)
		return 0;
	place->accepted++;
	if (unread(tcp, state) && !is_rest(sk, tcp))
		place->unread++;
	number = spread(number + tag->begun_ns);
	number = spread(number ^ ((__u64)tcp->copied_seq << 32 | tcp->write_seq));
	place->mark += spread(number ^ tcp->snd_una);
	return 0;
}

char _license[] SEC("license") = "GPL";
