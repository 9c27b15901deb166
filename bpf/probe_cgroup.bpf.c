// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * For finding out what a kernel can do (plane/selftest/selftest.h): socket storage that connections
 * inherit, as accounting needs it, and SO_REUSEPORT set as a socket binds, as a forced intake needs
 * it. They are attached to the root cgroup for milliseconds, and touch only sockets of the
 * namespace with the cookie `hs_pr_netns`.
 */
#include "hs_bpf.h"
#include "hs_probe.h"

#define SOL_SOCKET   1
#define SO_REUSEPORT 15
#define TCP_CLOSE    7

int hs_pr_count(struct bpf_sock_ops *ops);
int hs_pr_bind4(struct bpf_sock_addr *ctx);
int hs_pr_bind6(struct bpf_sock_addr *ctx);

const volatile __u64 hs_pr_netns = 0;

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
	__type(key, __u32);
	__type(value, __u64);
} hs_pr_tags SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct hs_probe);
} hs_pr_counts SEC(".maps");

SEC("sockops")
int hs_pr_count(struct bpf_sock_ops *ops)
{
	struct bpf_sock *sk = ops->sk;
	__u32 zero = 0;
	struct hs_probe *counts = bpf_map_lookup_elem(&hs_pr_counts, &zero);

	/* no socket but the test's has this storage */
	if (!counts || !sk || !bpf_sk_storage_get(&hs_pr_tags, sk, NULL, 0))
		return 1;
	if (ops->op == BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB) {
		bpf_sock_ops_cb_flags_set(ops, BPF_SOCK_OPS_STATE_CB_FLAG);
		hs_count(counts->opened);
	} else if (ops->op == BPF_SOCK_OPS_STATE_CB && ops->args[1] == TCP_CLOSE) {
		hs_count(counts->closed);
	}
	return 1;
}

static __always_inline void force(struct bpf_sock_addr *ctx)
{
	int one = 1;

	if (bpf_get_netns_cookie(ctx) == hs_pr_netns)
		bpf_setsockopt(ctx, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
}

SEC("cgroup/bind4")
int hs_pr_bind4(struct bpf_sock_addr *ctx)
{
	force(ctx);
	return 1;
}

SEC("cgroup/bind6")
int hs_pr_bind6(struct bpf_sock_addr *ctx)
{
	force(ctx);
	return 1;
}

char _license[] SEC("license") = "GPL";
