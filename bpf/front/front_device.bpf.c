// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The program of a device that fronts are on: it finds which service a frame is for, and leaves it
 * to that service's program. All else goes to the kernel, as if nobody were here; so does what
 * cannot be read, and what is for a service whose program is not there.
 */
#include "hs_front_xdp.h"

int hs_front_dev(struct xdp_md *ctx);

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, HS_FRONT_INDICES_MAX);
	__type(key, __u32);
	__type(value, __u32);
} hs_front_progs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, HS_FRONT_PORTS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct hs_front_port);
	__type(value, __u32);
} hs_front_ports SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct hs_front_device);
} hs_front_state SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct hs_front_device_counts);
} hs_front_counts SEC(".maps");

static __always_inline struct hs_front_device_counts *device_counts(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&hs_front_counts, &zero);
}

/* Whether any service has answers come back through here. */
static __always_inline int has_answers(void)
{
	__u32 zero = 0;
	struct hs_front_device *state = bpf_map_lookup_elem(&hs_front_state, &zero);

	return state && state->answers;
}

/* `exact`: with the port; else whatever has the address. */
static __always_inline __u32 *index_at(const __u8 ip[16], __u16 port, __u8 protocol, __u8 direction)
{
	struct hs_front_port key = {.port = port, .protocol = protocol, .direction = direction};

	hs_copy_ip(key.ip, ip);
	return bpf_map_lookup_elem(&hs_front_ports, &key);
}

static __always_inline __u32 *index_of(const struct hs_packet *packet)
{
	__u32 *index =
		index_at(packet->dest, packet->dest_port, packet->protocol, HS_FRONT_TO_HOST);

	if (index || !has_answers())
		return index;
	return index_at(packet->source, packet->source_port, packet->protocol, HS_FRONT_FROM_HOST);
}

/* Of an address, whatever the port. */
static __always_inline __u32 *index_of_address(const struct hs_packet *packet)
{
	__u32 *index = index_at(packet->dest, 0, 0, HS_FRONT_TO_HOST);

	if (index || !has_answers())
		return index;
	return index_at(packet->source, 0, 0, HS_FRONT_FROM_HOST);
}

/* For an address of a service, on a port that is none's: nobody here wants it, and it is counted.
 */
static __noinline int count_other(const struct hs_packet *packet)
{
	struct hs_front_device_counts *counts = device_counts();

	if (counts && index_at(packet->dest, 0, 0, HS_FRONT_TO_HOST))
		hs_count(counts->other_ports);
	return -1;
}

/*
 * The first of several fragments has the ports, which are kept for the others: also where they are
 * no service's, for then the others are none's either. One whose first was not seen is for the only
 * service of its address, if that can do without ports, else for the kernel.
 */
static __noinline int fragment_index(struct hs_packet *packet)
{
	struct hs_front_device_counts *counts = device_counts();
	__u32 *index = index_of_address(packet);

	if (!index)
		return -1;
	if (packet->marks & HS_PACKET_FIRST) {
		note_fragment(packet);
	} else if (recall_fragment(packet)) {
		if (*index < HS_FRONT_INDICES_MAX)
			return (int)*index;
		if (counts)
			hs_count(counts->fragments_lost);
		return -1;
	}
	index = index_of(packet);
	return index ? (int)*index : count_other(packet);
}

/* Which service the frame is for; -1: none. */
static __noinline int service_of(struct xdp_md *ctx)
{
	struct hs_frame frame = frame_of(ctx);
	struct hs_front_device_counts *counts;
	struct hs_packet packet = {};
	int r = hs_parse(&frame, &packet);
	__u32 *index;

	if (r == HS_MALFORMED)
		r = parse_whole(ctx, &packet);
	if (r == HS_MALFORMED) {
		counts = device_counts();
		if (counts)
			hs_count(counts->malformed);
	}
	if (r != HS_PARSED)
		return -1;
	if (packet.marks & (HS_PACKET_FIRST | HS_PACKET_LATER))
		return fragment_index(&packet);
	index = index_of(&packet);
	return index ? (int)*index : count_other(&packet);
}

/* The first ones by jumps that the kernel writes for us: what is looked up costs more, most of all
 * where indirect jumps are made safe. */
static __always_inline void hand_over(struct xdp_md *ctx, int index)
{
	switch (index) {
	case 0:
		bpf_tail_call_static(ctx, &hs_front_progs, 0);
		break;
	case 1:
		bpf_tail_call_static(ctx, &hs_front_progs, 1);
		break;
	case 2:
		bpf_tail_call_static(ctx, &hs_front_progs, 2);
		break;
	case 3:
		bpf_tail_call_static(ctx, &hs_front_progs, 3);
		break;
	default:
		bpf_tail_call(ctx, &hs_front_progs, index);
	}
}

SEC("xdp.frags")
int hs_front_dev(struct xdp_md *ctx)
{
	struct hs_front_device_counts *counts;
	int index = service_of(ctx);

	if (index < 0)
		return XDP_PASS;
	hand_over(ctx, index);
	counts = device_counts();
	if (counts)
		hs_count(counts->unserved);
	return XDP_PASS;
}

char _license[] SEC("license") = "GPL";
