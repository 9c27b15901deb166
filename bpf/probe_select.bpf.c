// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * For finding out what a kernel can do (plane/selftest/selftest.h): the smallest selector there is.
 * It sends every look-up to the socket that `hs_pr_state.want` names, counts, and tells of each
 * move.
 */
#include "hs_bpf.h"
#include "hs_probe.h"

int hs_pr_select(struct sk_reuseport_md *md);
int hs_pr_move(struct sk_reuseport_md *md);

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct hs_probe);
} hs_pr_state SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_REUSEPORT_SOCKARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u64);
} hs_pr_sockets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} hs_pr_ring SEC(".maps");

static __always_inline int choose(struct sk_reuseport_md *md, int moving)
{
	__u32 zero = 0, want;
	struct hs_probe *state = bpf_map_lookup_elem(&hs_pr_state, &zero);

	if (!state)
		return SK_PASS;
	want = *(volatile __u32 *)&state->want;
	if (bpf_sk_select_reuseport(md, &hs_pr_sockets, &want, 0))
		return SK_PASS;
	hs_count(state->selected);
	if (moving) {
		hs_count(state->moved);
		bpf_ringbuf_output(&hs_pr_ring, &want, sizeof(want), 0);
	}
	return SK_PASS;
}

SEC("sk_reuseport")
int hs_pr_select(struct sk_reuseport_md *md)
{
	return choose(md, 0);
}

SEC("sk_reuseport/migrate")
int hs_pr_move(struct sk_reuseport_md *md)
{
	struct bpf_sock *moving = md->migrating_sk;

	return choose(md, moving != NULL);
}

char _license[] SEC("license") = "GPL";
