// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Forced intake: attached to the cgroup of each slot's unit, it sets SO_REUSEPORT on the sockets
 * that a server binds, so that the other slot's server can bind the same address. The server knows
 * nothing of it; one that sets the option itself is left as it is.
 *
 * Only on ports that the service is to serve: the bits of map "ports". And never on port 0, with
 * which a server asks for any free port: with the option, the kernel would take one that another
 * socket with it has, of the other slot say, for free, and replies to one would reach the other.
 *
 * It fails open: every bind goes on as the server meant it. Where the kernel refuses the option the
 * sockets of one slot cannot be joined by those of another, which is counted and told at adoption.
 */
#include "hs_bpf.h"

#include <asm/socket.h>
#include <bpf/bpf_endian.h>

#define IPPROTO_TCP 6
#define IPPROTO_UDP 17

#define GO_ON 1

int hs_bind4(struct bpf_sock_addr *bind);
int hs_bind6(struct bpf_sock_addr *bind);

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct hs_ports);
} hs_ports SEC(".maps");

static __always_inline __u64 is_served(const struct hs_ports *ports, __u32 protocol, __u16 port)
{
	__u64 bits = 0;

	if (protocol == IPPROTO_TCP)
		bits = ports->tcp[port / 64];
	else if (protocol == IPPROTO_UDP)
		bits = ports->udp[port / 64];
	return bits >> (port % 64) & 1;
}

static __always_inline int on_bind(struct bpf_sock_addr *bind)
{
	struct hs_ports *ports = bpf_map_lookup_elem(&hs_ports, &(__u32) {0});
	__u32 swapped = bpf_ntohs(bind->user_port);
	__u16 port;
	int value = 0, one = 1;

	/* Linux 6.1 does not know how large a swapped number can be: the cut to 16 bits stays */
	barrier_var(swapped);
	port = (__u16)swapped;
	if (!ports || !port || !is_served(ports, bind->protocol, port))
		return GO_ON;
	/* kernels that cannot tell (value stays 0) can set all the same */
	bpf_getsockopt(bind, SOL_SOCKET, SO_REUSEPORT, &value, sizeof(value));
	if (value)
		hs_count(ports->had);
	else if (bpf_setsockopt(bind, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)))
		hs_count(ports->refused);
	else
		hs_count(ports->forced);
	return GO_ON;
}

SEC("cgroup/bind4")
int hs_bind4(struct bpf_sock_addr *bind)
{
	return on_bind(bind);
}

SEC("cgroup/bind6")
int hs_bind6(struct bpf_sock_addr *bind)
{
	return on_bind(bind);
}

char _license[] SEC("license") = "GPL";
