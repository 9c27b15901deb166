// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * hsctl exec with a front: attached to the cgroup of a command, these have what it begins with the
 * service's address go to the host that was asked for (hs_led.h). The command sees the address
 * that it has asked for: getpeername(2) and recvmsg(2) are told so.
 *
 * What cannot be led is refused with EPERM: another host would answer, the one that clients get.
 */
#include "hs_led_sockets.h"
#include "hs_packet.h"

#define LET_GO 1
#define REFUSE 0

#define IPPROTO_MPTCP 262
#define TCP_MAXSEG    2

int hs_led_conn4(struct bpf_sock_addr *ctx);
int hs_led_conn6(struct bpf_sock_addr *ctx);
int hs_led_send4(struct bpf_sock_addr *ctx);
int hs_led_send6(struct bpf_sock_addr *ctx);
int hs_led_recv4(struct bpf_sock_addr *ctx);
int hs_led_recv6(struct bpf_sock_addr *ctx);
int hs_led_peer4(struct bpf_sock_addr *ctx);
int hs_led_peer6(struct bpf_sock_addr *ctx);
int hs_led_release(struct bpf_sock *sk);

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, HS_LED_WAYS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct hs_led_way);
	__type(value, struct hs_led_path);
} hs_led_ways SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct hs_exec_counts);
} hs_led_counts SEC(".maps");

const volatile __u64 hs_owner = 0; /* id of the cgroup */
const volatile __u64 hs_netns = 0; /* SO_NETNS_COOKIE: programs on devices are there alone */
const volatile __u32 hs_mss = 0;   /* in ipip, what is left for a packet's data */

static __always_inline struct hs_exec_counts *counts(void)
{
	return bpf_map_lookup_elem(&hs_led_counts, &(__u32) {0});
}

static __always_inline int refuse(void)
{
	struct hs_exec_counts *count = counts();

	if (count)
		hs_count(count->blocked);
	return REFUSE;
}

/* ---- addresses ---- */

static __always_inline void read_ipv6(const struct bpf_sock_addr *ctx, __u8 ip[16])
{
	__u32 *words = (__u32 *)ip;

	words[0] = ctx->user_ip6[0];
	words[1] = ctx->user_ip6[1];
	words[2] = ctx->user_ip6[2];
	words[3] = ctx->user_ip6[3];
}

static __always_inline void write_ipv6(struct bpf_sock_addr *ctx, const __u8 ip[16])
{
	const __u32 *words = (const __u32 *)ip;

	ctx->user_ip6[0] = words[0];
	ctx->user_ip6[1] = words[1];
	ctx->user_ip6[2] = words[2];
	ctx->user_ip6[3] = words[3];
}

static __always_inline int is_same(const __u8 a[16], const __u8 b[16])
{
	const __u32 *x = (const __u32 *)a, *y = (const __u32 *)b;

	return x[0] == y[0] && x[1] == y[1] && x[2] == y[2] && x[3] == y[3];
}

/* ---- leading ---- */

/* Where what is asked for is led; NULL: it is not the service's. */
static __always_inline struct hs_led_path *find_path(const struct bpf_sock_addr *ctx,
						     const __u8 ip[16])
{
	struct hs_led_way way = {.port = ctx->user_port, .protocol = ctx->protocol};

	if (ctx->protocol == IPPROTO_MPTCP)
		way.protocol = IPPROTO_TCP;
	__builtin_memcpy(way.address, ip, 16);
	return bpf_map_lookup_elem(&hs_led_ways, &way);
}

/* Without a host in it there is no path: it has an address of the other family. Of MPTCP the
 * kernel's own sockets send, which nobody knows. */
static __always_inline int may_lead(struct bpf_sock_addr *ctx, const struct hs_led_path *path)
{
	return path->port && ctx->protocol != IPPROTO_MPTCP &&
	       bpf_get_netns_cookie(ctx) == hs_netns;
}

/* All that have begun and not ended. */
static __always_inline __u64 open_sockets(const struct hs_exec_counts *count)
{
	return count->begun - count->arrived - count->missed - count->unseen;
}

static __always_inline int note(struct bpf_sock_addr *ctx, const struct hs_led_path *path)
{
	struct hs_led_socket socket = {
		.owner = {.kind = HS_PREVIEW_CGROUP, .id = hs_owner},
		.path = *path,
	};
	__u64 cookie = bpf_get_socket_cookie(ctx);
	struct hs_led_socket *known = bpf_map_lookup_elem(&hs_led_sockets, &cookie);
	struct hs_exec_counts *count = counts();

	if (known) {
		known->path = *path;
		return 0;
	}
	if (!count || open_sockets(count) >= HS_LED_COMMAND_MAX)
		return -1;
	if (bpf_map_update_elem(&hs_led_sockets, &cookie, &socket, BPF_ANY))
		return -1;
	hs_count(count->begun);
	return 0;
}

/* Before the kernel has chosen one by the way to the host. */
static __always_inline void set_mss(struct bpf_sock_addr *ctx)
{
	int mss = hs_mss;

	if (mss && ctx->protocol == IPPROTO_TCP)
		bpf_setsockopt(ctx, IPPROTO_TCP, TCP_MAXSEG, &mss, sizeof(mss));
}

static __always_inline int lead4(struct bpf_sock_addr *ctx, int connects)
{
	struct hs_led_path *path;
	__u8 ip[16];

	hs_map_ipv4(ip, ctx->user_ip4);
	path = find_path(ctx, ip);
	if (!path)
		return LET_GO;
	if (!may_lead(ctx, path) || note(ctx, path))
		return refuse();
	if (connects)
		set_mss(ctx);
	ctx->user_ip4 = ((__be32 *)path->host)[3];
	return LET_GO;
}

static __always_inline int lead6(struct bpf_sock_addr *ctx, int connects)
{
	struct hs_led_path *path;
	__u8 ip[16];

	read_ipv6(ctx, ip);
	path = find_path(ctx, ip);
	if (!path)
		return LET_GO;
	if (!may_lead(ctx, path) || note(ctx, path))
		return refuse();
	if (connects)
		set_mss(ctx);
	write_ipv6(ctx, path->host);
	return LET_GO;
}

SEC("cgroup/connect4")
int hs_led_conn4(struct bpf_sock_addr *ctx)
{
	return lead4(ctx, 1);
}

SEC("cgroup/connect6")
int hs_led_conn6(struct bpf_sock_addr *ctx)
{
	return lead6(ctx, 1);
}

SEC("cgroup/sendmsg4")
int hs_led_send4(struct bpf_sock_addr *ctx)
{
	return lead4(ctx, 0);
}

SEC("cgroup/sendmsg6")
int hs_led_send6(struct bpf_sock_addr *ctx)
{
	return lead6(ctx, 0);
}

/* ---- what the command sees ---- */

static __always_inline struct hs_led_path *path_of(struct bpf_sock_addr *ctx, const __u8 ip[16])
{
	__u64 cookie = bpf_get_socket_cookie(ctx);
	struct hs_led_socket *socket = bpf_map_lookup_elem(&hs_led_sockets, &cookie);

	if (!socket || socket->path.port != ctx->user_port || !is_same(socket->path.host, ip))
		return NULL;
	return &socket->path;
}

static __always_inline int show4(struct bpf_sock_addr *ctx)
{
	struct hs_led_path *path;
	__u8 ip[16];

	hs_map_ipv4(ip, ctx->user_ip4);
	path = path_of(ctx, ip);
	if (path)
		ctx->user_ip4 = ((__be32 *)path->asked)[3];
	return LET_GO;
}

static __always_inline int show6(struct bpf_sock_addr *ctx)
{
	struct hs_led_path *path;
	__u8 ip[16];

	read_ipv6(ctx, ip);
	path = path_of(ctx, ip);
	if (path)
		write_ipv6(ctx, path->asked);
	return LET_GO;
}

SEC("cgroup/recvmsg4")
int hs_led_recv4(struct bpf_sock_addr *ctx)
{
	return show4(ctx);
}

SEC("cgroup/recvmsg6")
int hs_led_recv6(struct bpf_sock_addr *ctx)
{
	return show6(ctx);
}

SEC("cgroup/getpeername4")
int hs_led_peer4(struct bpf_sock_addr *ctx)
{
	return show4(ctx);
}

SEC("cgroup/getpeername6")
int hs_led_peer6(struct bpf_sock_addr *ctx)
{
	return show6(ctx);
}

/* ---- the end ---- */

static __always_inline void count_end(const struct hs_led_socket *socket)
{
	struct hs_exec_counts *count = counts();

	if (!count)
		return;
	if (socket->answered)
		hs_count(count->arrived);
	else if (socket->led || socket->held)
		hs_count(count->missed);
	else
		hs_count(count->unseen);
	if (socket->held)
		hs_count(count->blocked);
}

SEC("cgroup/sock_release")
int hs_led_release(struct bpf_sock *sk)
{
	__u64 cookie = bpf_get_socket_cookie(sk);
	struct hs_led_socket *socket = bpf_map_lookup_elem(&hs_led_sockets, &cookie);

	if (!socket || socket->owner.id != hs_owner)
		return LET_GO;
	count_end(socket);
	bpf_map_delete_elem(&hs_led_sockets, &cookie);
	return LET_GO;
}

char _license[] SEC("license") = "GPL";
