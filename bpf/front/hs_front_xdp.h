/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the programs of a front that see frames have in common: reading them, and the ports of
 * fragments. Included once by each of them. */
#pragma once

#include "hs_bpf.h"
#include "hs_forward.h"

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, HS_FRONT_FRAGMENTS_MAX);
	__type(key, struct hs_front_fragment);
	__type(value, struct hs_front_fragment_ports);
} hs_front_frags SEC(".maps");

/* What can be read of it: as a rule all of it. */
static __always_inline struct hs_frame frame_of(struct xdp_md *ctx)
{
	return (struct hs_frame) {
		.data = (__u8 *)(long)ctx->data,
		.end = (__u8 *)(long)ctx->data_end,
		.length = (__u32)(ctx->data_end - ctx->data),
	};
}

/* A frame that seems to end before its packet does may go on elsewhere: a large one does. Apart, as
 * it costs more to ask than to read the headers. */
static __noinline int parse_whole(struct xdp_md *ctx, struct hs_packet *packet)
{
	struct hs_frame frame = frame_of(ctx);
	__u32 length = (__u32)bpf_xdp_get_buff_len(ctx);

	if (length == frame.length)
		return HS_MALFORMED;
	frame.length = length;
	__builtin_memset(packet, 0, sizeof(*packet));
	return hs_parse(&frame, packet);
}

static __always_inline void fragment_of(const struct hs_packet *packet,
					struct hs_front_fragment *fragment)
{
	__builtin_memset(fragment, 0, sizeof(*fragment));
	hs_copy_ip(fragment->source, packet->source);
	hs_copy_ip(fragment->dest, packet->dest);
	fragment->id = packet->id;
	fragment->protocol = packet->protocol;
}

static __always_inline void note_fragment(const struct hs_packet *packet)
{
	struct hs_front_fragment_ports ports = {packet->source_port, packet->dest_port};
	struct hs_front_fragment fragment;

	fragment_of(packet, &fragment);
	bpf_map_update_elem(&hs_front_frags, &fragment, &ports, BPF_ANY);
}

/* The ports of a later fragment. 0, or -1: its first one was not seen. */
static __always_inline int recall_fragment(struct hs_packet *packet)
{
	struct hs_front_fragment_ports *ports;
	struct hs_front_fragment fragment;

	fragment_of(packet, &fragment);
	ports = bpf_map_lookup_elem(&hs_front_frags, &fragment);
	if (!ports)
		return -1;
	packet->source_port = ports->source_port;
	packet->dest_port = ports->dest_port;
	return 0;
}
