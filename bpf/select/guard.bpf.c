// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Guard of the selector: the kernel lets every member of a group of sockets replace the group's
 * program or take it off, without any privilege. This program, on the cgroups of managed units, and
 * on the root cgroup where sockets come from elsewhere too, refuses that (EPERM) on the ports that
 * services listen on.
 *
 * Which cgroup's programs are asked goes by the socket, not by who calls: so they are asked when we
 * attach the selector through a borrowed socket, too. We mark that socket first, in a map that
 * takes privileges to write, and the mark is good for root alone.
 *
 * It is asked about each option that is set on these sockets: what is not about it goes on at once,
 * with the caller's own memory.
 */
#include "hs_bpf.h"

#include <asm/socket.h>

#ifndef SO_DETACH_REUSEPORT_BPF
#define SO_DETACH_REUSEPORT_BPF 68
#endif

#define SOCK_STREAM 1
#define SOCK_DGRAM  2

#define REFUSE 0
#define GO_ON  1

int hs_guard(struct bpf_sockopt *option);

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, HS_GUARDED_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct hs_guarded);
	__type(value, __u32);
} hs_guarded SEC(".maps");

/* Sockets through which we attach or detach just now. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, __u32);
} hs_guard_pass SEC(".maps");

/* Which build of this program is pinned. Writer: who pins it, last. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} hs_guard_build SEC(".maps");

static __always_inline int is_about_groups(const struct bpf_sockopt *option)
{
	return option->level == SOL_SOCKET && (option->optname == SO_ATTACH_REUSEPORT_CBPF ||
					       option->optname == SO_ATTACH_REUSEPORT_EBPF ||
					       option->optname == SO_DETACH_REUSEPORT_BPF);
}

static __always_inline int is_guarded(struct bpf_sockopt *option, struct bpf_sock *sk)
{
	struct hs_guarded key = {.udp = sk->type == SOCK_DGRAM};

	if (sk->family != AF_INET && sk->family != AF_INET6)
		return 0;
	/* MPTCP is among the streams */
	if (sk->type != SOCK_STREAM && sk->type != SOCK_DGRAM)
		return 0;
	key.port = (__u16)sk->src_port;
	key.netns_cookie = bpf_get_netns_cookie(option);
	return bpf_map_lookup_elem(&hs_guarded, &key) != NULL;
}

static __always_inline int is_let_pass(struct bpf_sock *sk)
{
	/* as the first user namespace has it: root of another one is somebody else */
	return !(__u32)bpf_get_current_uid_gid() &&
	       bpf_sk_storage_get(&hs_guard_pass, sk, NULL, 0) != NULL;
}

SEC("cgroup/setsockopt")
int hs_guard(struct bpf_sockopt *option)
{
	struct bpf_sock *sk = option->sk;

	/* what the caller gave goes on as it is, however long */
	option->optlen = 0;
	if (!is_about_groups(option) || !sk || !is_guarded(option, sk))
		return GO_ON;
	return is_let_pass(sk) ? GO_ON : REFUSE;
}

char _license[] SEC("license") = "GPL";
