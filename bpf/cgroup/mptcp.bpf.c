// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * MPTCP=no: attached to the cgroup of each slot's unit, it refuses sockets of MPTCP. The kernel
 * lets no program choose between listeners of MPTCP, so two slots would share the connections with
 * nobody in control. A server that is refused does as on a kernel without MPTCP: it takes plain TCP
 * (Go's standard library does, mptcpize and most others do), or says that it cannot.
 *
 * The kernel's own sockets of TCP below an MPTCP one do not come here.
 */
#include "hs_bpf.h"

#define IPPROTO_MPTCP	262
#define EPROTONOSUPPORT 93

#define REFUSE 0
#define GO_ON  1

#define ASKERS_MAX 1024

int hs_mptcp(struct bpf_sock *sk);

/* How many were refused, by the id of the cgroup. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, ASKERS_MAX);
	__type(key, __u64);
	__type(value, __u32);
} hs_mptcp_asked SEC(".maps");

/* Which build of this program is pinned. Writer: who pins it, last. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} hs_mptcp_build SEC(".maps");

/* Linux 5.18 or later: the error may be chosen. Before that it is EPERM, with which a server that
 * looks at the error may end, where others take plain TCP all the same. */
const volatile __u8 hs_tells_error = 0;

static __always_inline void count_asker(void)
{
	__u64 cgroup = bpf_get_current_cgroup_id();
	__u32 *asked = bpf_map_lookup_elem(&hs_mptcp_asked, &cgroup);
	__u32 one = 1;

	if (asked)
		__sync_fetch_and_add(asked, 1);
	else
		bpf_map_update_elem(&hs_mptcp_asked, &cgroup, &one, BPF_ANY);
}

SEC("cgroup/sock_create")
int hs_mptcp(struct bpf_sock *sk)
{
	if (sk->protocol != IPPROTO_MPTCP)
		return GO_ON;
	count_asker();
	if (hs_tells_error)
		bpf_set_retval(-EPROTONOSUPPORT);
	return REFUSE;
}

char _license[] SEC("license") = "GPL";
