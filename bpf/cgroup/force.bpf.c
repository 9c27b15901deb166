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
 * Nor where the kernel would give the first connection to another service's socket, as the tags of
 * adoption tell: with the option a server with the wrong port would join the other service's group,
 * without it gets EADDRINUSE, as it should.
 *
 * Nor to sockets of MPTCP, which no program can choose between: with the option two slots would
 * share the connections with nobody in control; without it the second one gets EADDRINUSE.
 *
 * It fails open: every bind goes on as the server meant it. Where the kernel refuses the option the
 * sockets of one slot cannot be joined by those of another, which is counted and told at adoption.
 */
#include "hs_packet.h"
#include "hs_tags.h"

#include <asm/socket.h>
#include <bpf/bpf_endian.h>

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

/* Linux 5.19 or later, with MPTCP: its sockets can be told. Here it is the socket of TCP below. */
const volatile __u8 hs_tells_mptcp = 0;

static __always_inline __u64 is_served(const struct hs_ports *ports, __u32 protocol, __u16 port)
{
	__u64 bits = 0;

	if (protocol == IPPROTO_TCP)
		bits = ports->tcp[port / 64];
	else if (protocol == IPPROTO_UDP)
		bits = ports->udp[port / 64];
	return bits >> (port % 64) & 1;
}

static __always_inline struct bpf_sock *look_up(struct bpf_sock_addr *bind,
						struct bpf_sock_tuple *to, __u32 size)
{
	if (bind->protocol == IPPROTO_UDP)
		return bpf_sk_lookup_udp(bind, to, size, BPF_F_CURRENT_NETNS, 0);
	return bpf_sk_lookup_tcp(bind, to, size, BPF_F_CURRENT_NETNS, 0);
}

/* Whose socket gets what is sent to this address now. */
static __always_inline int is_of_another(struct bpf_sock_addr *bind, struct bpf_sock_tuple *to,
					 __u32 size, __u32 service_id)
{
	struct bpf_sock *sk = look_up(bind, to, size);
	struct hs_tag *tag;
	int other = 0;

	if (!sk)
		return 0;
	tag = bpf_sk_storage_get(&hs_tags, sk, NULL, 0);
	if (tag)
		other = tag->service_id && tag->service_id != service_id;
	bpf_sk_release(sk);
	return other;
}

static __always_inline int is_taken4(struct bpf_sock_addr *bind, __u32 service_id)
{
	struct bpf_sock_tuple to = {};

	to.ipv4.daddr = bind->user_ip4;
	to.ipv4.dport = (__be16)bind->user_port;
	return is_of_another(bind, &to, sizeof(to.ipv4), service_id);
}

static __always_inline int is_taken6(struct bpf_sock_addr *bind, __u32 service_id)
{
	struct bpf_sock_tuple to = {};

	to.ipv6.daddr[0] = bind->user_ip6[0];
	to.ipv6.daddr[1] = bind->user_ip6[1];
	to.ipv6.daddr[2] = bind->user_ip6[2];
	to.ipv6.daddr[3] = bind->user_ip6[3];
	to.ipv6.dport = (__be16)bind->user_port;
	return is_of_another(bind, &to, sizeof(to.ipv6), service_id);
}

static __always_inline int on_bind(struct bpf_sock_addr *bind, int v6)
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
	if (hs_tells_mptcp && bpf_skc_to_mptcp_sock(bind->sk))
		return GO_ON;
	if (ports->service_id &&
	    (v6 ? is_taken6(bind, ports->service_id) : is_taken4(bind, ports->service_id)))
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
	return on_bind(bind, 0);
}

SEC("cgroup/bind6")
int hs_bind6(struct bpf_sock_addr *bind)
{
	return on_bind(bind, 1);
}

char _license[] SEC("license") = "GPL";
