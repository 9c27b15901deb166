/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a front does to frames that somebody has sent: nothing is read or written outside of the
 * frame, what comes out is for a host that is one, and but for what has to change it is what came
 * in, with checksums as right or wrong as they were.
 *
 * The first bytes of the input are what the front is like, the rest is the frame.
 */
#include <string.h>

#include "fuzz.h"
#include "hs_forward.h"
#include "util/macro.h"

#define ROOM 128

struct input {
	uint8_t mode, outer_is_ipv4, has_second, hidden;
	uint8_t taking[2], wanted, second;
	uint8_t host[16], own[16];
};

/* A frame in memory of its very size, so that a byte too far is noticed. */
struct copy {
	uint8_t *memory;
	struct hs_frame frame;
};

static struct copy copy_of(const uint8_t *data, size_t size, size_t room, uint32_t hidden)
{
	struct copy copy = {.memory = malloc(room + size + 1)};

	check(copy.memory);
	memset(copy.memory, 0xee, room);
	memcpy(copy.memory + room, data, size);
	copy.frame.data = copy.memory;
	copy.frame.end = copy.memory + room + size;
	copy.frame.length = (uint32_t)(room + size) + hidden;
	return copy;
}

static uint32_t fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	/* two numbers for nothing */
	return sum == 0xffff ? 0 : sum;
}

static uint32_t sum(const uint8_t *bytes, size_t n)
{
	uint32_t value = 0;

	for (size_t i = 0; i < n; i++)
		value += i % 2 ? bytes[i] : (uint32_t)bytes[i] << 8;
	return fold(value);
}

static bool is_mapped(const uint8_t ip[16])
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	return !memcmp(ip, mapped, sizeof(mapped));
}

static void as_family(uint8_t ip[16], bool ipv4)
{
	if (ipv4)
		hs_set_ipv4(ip, hs_get32(ip + 12));
	else if (is_mapped(ip))
		ip[0] = 0x20;
}

static void fuzz_choice(const struct input *in)
{
	uint32_t taking = in->taking[0] | (uint32_t)in->taking[1] << 8;
	uint32_t host = hs_taking_host(taking, in->wanted, in->second);

	check(taking ? host < HS_SLOTS_MAX && taking >> host & 1 : host == HS_SLOT_NONE);
	if (in->wanted < HS_SLOTS_MAX && taking >> in->wanted & 1)
		check(host == in->wanted);
}

/* What was read lies in the frame, and what it says of its length, too. */
static void check_packet(const struct hs_packet *packet, const struct hs_frame *frame)
{
	size_t size = (size_t)(frame->end - frame->data);

	check(packet->l3 >= HS_ETHERNET && packet->l3 <= HS_ETHERNET + 8);
	check(packet->l4 > packet->l3 && packet->l4 <= packet->l3 + packet->size);
	check(packet->l3 + (uint32_t)packet->size <= frame->length);
	check(packet->protocol == HS_PROTO_TCP || packet->protocol == HS_PROTO_UDP);
	check(packet->family == 4 || packet->family == 6);
	check((packet->family == 4) == is_mapped(packet->source) || packet->family == 6);
	if (packet->marks & HS_PACKET_ERROR)
		check(packet->inner_l3 >= packet->l4 + HS_ICMP_HEADER && packet->inner_l3 < size);
	else if (!(packet->marks & HS_PACKET_LATER))
		check(packet->l4 + 8U <= size);
	check(!(packet->marks & HS_PACKET_ERROR) || !(packet->marks & HS_PACKET_LATER));
}

/* All sums that a receiver may look at are what they were: header, and transport with its
 * addresses. Of ICMP errors the outer ones. */
struct sums {
	uint32_t header, transport, quoted;
};

static struct sums sums_of(const struct hs_frame *frame, const struct hs_packet *packet)
{
	const uint8_t *ip = frame->data + packet->l3;
	size_t size = (size_t)(frame->end - frame->data);
	size_t end = MIN(size, (size_t)packet->l3 + packet->size);
	struct sums sums = {0};

	/* the rest of it is elsewhere */
	if (packet->l4 > end)
		return sums;
	if (packet->family == 4)
		sums.header = sum(ip, packet->l4 - packet->l3);
	if (packet->marks & HS_PACKET_LATER)
		return sums;
	sums.transport = sum(frame->data + packet->l4, end - packet->l4);
	if (packet->family == 6)
		sums.transport = fold(sums.transport + sum(ip + 8, 32));
	else if (!(packet->marks & HS_PACKET_ERROR))
		sums.transport = fold(sums.transport + sum(ip + 12, 8));
	if (packet->marks & HS_PACKET_ERROR && packet->family == 4)
		sums.quoted = sum(frame->data + packet->inner_l3, HS_IPV4);
	return sums;
}

static bool has_checksum(const struct hs_frame *frame, const struct hs_packet *packet)
{
	return packet->protocol != HS_PROTO_UDP || packet->marks & HS_PACKET_ERROR ||
	       hs_get16(frame->data + packet->l4 + 6);
}

static void fuzz_nat(const struct input *in, const uint8_t *data, size_t size, uint32_t hidden)
{
	for (int end = HS_END_SOURCE; end <= HS_END_DEST; end++) {
		struct copy copy = copy_of(data, size, 0, hidden);
		struct hs_packet packet = {0}, after = {0};
		uint8_t from[16], to[16];
		struct sums before, behind;
		bool has;

		check(hs_parse(&copy.frame, &packet) == HS_PARSED);
		before = sums_of(&copy.frame, &packet);
		has = packet.marks & HS_PACKET_LATER || has_checksum(&copy.frame, &packet);
		memcpy(to, in->host, 16);
		as_family(to, packet.family == 4);
		memcpy(from, end == HS_END_DEST ? packet.dest : packet.source, 16);
		if (!hs_nat(&copy.frame, &packet, (enum hs_end)end, from, to)) {
			check(hs_parse(&copy.frame, &after) == HS_PARSED);
			check(hs_same_ip(end == HS_END_DEST ? after.dest : after.source, to));
			check(hs_same_ip(end == HS_END_DEST ? after.source : after.dest,
					 end == HS_END_DEST ? packet.source : packet.dest));
			check(after.source_port == packet.source_port &&
			      after.dest_port == packet.dest_port && after.l4 == packet.l4 &&
			      after.size == packet.size && after.marks == packet.marks);
			behind = sums_of(&copy.frame, &after);
			check(before.header == behind.header);
			check(!has || before.transport == behind.transport);
			check(before.quoted == behind.quoted);
		} else {
			check(size == 0 || !memcmp(copy.memory, data, size));
		}
		free(copy.memory);
	}
}

static void fuzz_outer(const struct input *in, const struct hs_packet *packet, const uint8_t *data,
		       size_t size, uint32_t hidden)
{
	struct hs_outer outer = {.has_second = in->has_second & 1, .flow_label = 0xfffff};
	struct hs_packet inner = {.family = packet->family}, again = {0};
	uint32_t room, header;
	struct copy copy;
	bool ipv4 = in->outer_is_ipv4 & 1;

	memcpy(outer.dest, in->host, 16);
	memcpy(outer.second, in->own, 16);
	memcpy(outer.source, in->own, 16);
	as_family(outer.dest, ipv4);
	as_family(outer.second, ipv4);
	as_family(outer.source, ipv4);
	room = hs_outer_size(&outer);
	if (packet->size + room > 0xffff)
		return;
	copy = copy_of(data, size, room, hidden);
	check(!hs_write_outer(&copy.frame, &outer, packet));
	check(!memcmp(copy.memory + room + packet->l3, data + packet->l3, size - packet->l3));
	check(!hs_set_macs(&copy.frame, 0x112233445566, 0x665544332211));
	/* it is for the host, whole, and the one in it is the same */
	check(hs_parse(&copy.frame, &again) == HS_OTHER);
	header = packet->l3 + (ipv4 ? 16 : 24);
	check(!memcmp(copy.memory + header, outer.dest + (ipv4 ? 12 : 0), ipv4 ? 4 : 16));
	if (ipv4)
		check(!sum(copy.memory + packet->l3, room));
	check(hs_parse_from(&copy.frame, &inner, packet->l3 + room) == HS_PARSED);
	check(hs_same_ip(inner.dest, packet->dest) && inner.size == packet->size);
	free(copy.memory);
}

static void fuzz_too_big(const struct hs_packet *packet, const uint8_t *data, size_t size,
			 uint32_t hidden)
{
	uint32_t room = hs_too_big_size(packet), quote = hs_quote_size(packet);
	struct copy copy = copy_of(data, size, room, hidden);
	struct hs_packet answer = {0};
	int r = hs_write_too_big(&copy.frame, packet, 1400);

	check(quote || r);
	if (!r) {
		copy.frame.end = copy.frame.data + packet->l3 + room + quote;
		copy.frame.length = packet->l3 + room + quote;
		check(copy.frame.end <= copy.memory + room + size);
		check(hs_parse(&copy.frame, &answer) == HS_PARSED);
		check(answer.marks & HS_PACKET_ERROR);
		check(hs_same_ip(answer.source, packet->dest));
		check(hs_same_ip(answer.dest, packet->source));
		check(!memcmp(copy.memory, data + 6, 6) && !memcmp(copy.memory + 6, data, 6));
	}
	free(copy.memory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {0};
	struct hs_packet packet = {0};
	struct copy copy;
	int r;

	memcpy(&in, data, MIN(size, sizeof(in)));
	data += MIN(size, sizeof(in));
	size -= MIN(size, sizeof(in));
	fuzz_choice(&in);
	copy = copy_of(data, size, 0, in.hidden);
	r = hs_parse(&copy.frame, &packet);
	check(!size || !memcmp(copy.memory, data, size));
	if (r == HS_PARSED)
		check_packet(&packet, &copy.frame);
	free(copy.memory);
	if (r != HS_PARSED)
		return 0;
	fuzz_nat(&in, data, size, in.hidden);
	fuzz_outer(&in, &packet, data, size, in.hidden);
	fuzz_too_big(&packet, data, size, in.hidden);
	return 0;
}
