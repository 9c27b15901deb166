// SPDX-License-Identifier: GPL-2.0-or-later
#include "frames.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "rig.h"
#include "util/macro.h"

static void put(struct frame *frame, const void *bytes, size_t n)
{
	rig_check(frame->n + n <= FRAME_MAX);
	memcpy(frame->bytes + frame->n, bytes, n);
	frame->n += n;
}

static void put8(struct frame *frame, unsigned value)
{
	put(frame, &(uint8_t) {(uint8_t)value}, 1);
}

static void put16(struct frame *frame, unsigned value)
{
	put8(frame, value >> 8);
	put8(frame, value & 0xff);
}

static void put32(struct frame *frame, uint32_t value)
{
	put16(frame, value >> 16);
	put16(frame, value & 0xffff);
}

static void set16(struct frame *frame, size_t at, unsigned value)
{
	frame->bytes[at] = (uint8_t)(value >> 8);
	frame->bytes[at + 1] = (uint8_t)value;
}

static void put_mac(struct frame *frame, const char *text)
{
	unsigned mac[6];

	rig_check(sscanf(text, "%x:%x:%x:%x:%x:%x", &mac[0], &mac[1], &mac[2], &mac[3], &mac[4],
			 &mac[5]) == 6);
	for (unsigned i = 0; i < 6; i++)
		put8(frame, mac[i]);
}

static bool is_ipv6(const char *address)
{
	return strchr(address, ':');
}

static void put_address(struct frame *frame, const char *text)
{
	uint8_t ip[16];

	rig_check(inet_pton(is_ipv6(text) ? AF_INET6 : AF_INET, text, ip) == 1);
	put(frame, ip, is_ipv6(text) ? 16 : 4);
}

/* Words as they are written on paper: the highest byte first. */
static uint32_t sum(const uint8_t *bytes, size_t n, uint32_t before)
{
	for (size_t i = 0; i < n; i++)
		before += i % 2 ? bytes[i] : (uint32_t)bytes[i] << 8;
	return before;
}

static unsigned fold(uint32_t value)
{
	while (value >> 16)
		value = (value & 0xffff) + (value >> 16);
	return ~value & 0xffff;
}

/* Of the transport, with the addresses before it. */
static uint32_t pseudo(const struct frame_spec *spec, size_t length)
{
	struct frame addresses = {.n = 0};
	uint32_t value = spec->protocol + (uint32_t)length;

	put_address(&addresses, spec->source);
	put_address(&addresses, spec->dest);
	return sum(addresses.bytes, addresses.n, value);
}

static void put_payload(struct frame *frame, const struct frame_spec *spec)
{
	for (unsigned i = 0; i < spec->payload; i++)
		put8(frame, i * 7 + 1);
}

static void make_tcp(struct frame *to, const struct frame_spec *spec)
{
	put16(to, spec->source_port);
	put16(to, spec->dest_port);
	put32(to, spec->sequence ?: 0x01020304);
	put32(to, spec->expected ?: 0x0a0b0c0d);
	put16(to, 0x5000 | spec->flags);
	put32(to, 0x40000000);
	put16(to, 0);
	put_payload(to, spec);
	set16(to, 16, fold(sum(to->bytes, to->n, pseudo(spec, to->n))));
}

static void make_udp(struct frame *to, const struct frame_spec *spec)
{
	unsigned checksum;

	put16(to, spec->source_port);
	put16(to, spec->dest_port);
	put16(to, 8 + spec->payload);
	put16(to, 0);
	put_payload(to, spec);
	checksum = fold(sum(to->bytes, to->n, pseudo(spec, to->n)));
	set16(to, 6, spec->no_checksum ? 0 : checksum ?: 0xffff);
}

static void make_icmp(struct frame *to, const struct frame_spec *spec)
{
	put8(to, spec->type);
	put8(to, spec->code);
	put16(to, 0);
	put32(to, spec->rest);
	if (spec->quoted)
		put(to, spec->quoted->bytes + frame_l3(spec->quoted), spec->quote);
	set16(to, 2,
	      fold(sum(to->bytes, to->n, spec->protocol == FRAME_ICMP6 ? pseudo(spec, to->n) : 0)));
}

static struct frame make_transport(const struct frame_spec *spec)
{
	struct frame transport = {.n = 0};

	if (spec->inner)
		put(&transport, spec->inner->bytes + frame_l3(spec->inner),
		    spec->inner->n - frame_l3(spec->inner));
	else if (spec->protocol == FRAME_UDP)
		make_udp(&transport, spec);
	else if (spec->protocol == FRAME_ICMP || spec->protocol == FRAME_ICMP6)
		make_icmp(&transport, spec);
	else
		make_tcp(&transport, spec);
	return transport;
}

static unsigned protocol_of(const struct frame_spec *spec)
{
	if (spec->inner)
		return spec->inner->bytes[frame_l3(spec->inner)] >> 4 == 4 ? 4 : 41;
	return spec->protocol;
}

static void put_ipv4_options(struct frame *frame, const struct frame_spec *spec)
{
	for (unsigned i = 0; i < spec->options; i++)
		put8(frame, 1); /* no operation */
	if (!spec->second)
		return;
	put8(frame, 0x9e);
	put8(frame, 8);
	put16(frame, 0);
	put_address(frame, spec->second);
}

static void put_ipv4(struct frame *frame, const struct frame_spec *spec, size_t length, bool more)
{
	size_t l3 = frame->n, header = 20 + spec->options + (spec->second ? 8 : 0);
	unsigned fragment = spec->length ? (more ? 0x2000 : 0) | spec->from / 8 : 0;

	put8(frame, 0x40 | header / 4);
	put8(frame, spec->tos);
	put16(frame, header + length);
	put16(frame, spec->id);
	put16(frame, fragment | (spec->may_fragment || spec->length ? 0 : 0x4000));
	put8(frame, spec->ttl ?: 64);
	put8(frame, protocol_of(spec));
	put16(frame, 0);
	put_address(frame, spec->source);
	put_address(frame, spec->dest);
	put_ipv4_options(frame, spec);
	set16(frame, l3 + 10, fold(sum(frame->bytes + l3, header, 0)));
}

/* One header of destination options: the named host's, or of padding. */
static void put_destination(struct frame *frame, const struct frame_spec *spec, unsigned next)
{
	put8(frame, next);
	if (spec->second) {
		put8(frame, 2);
		put16(frame, 0x1e10);
		put_address(frame, spec->second);
		put32(frame, 0x01020000);
		return;
	}
	put8(frame, spec->options / 8 - 1);
	put8(frame, 1);
	put8(frame, spec->options - 4);
	for (unsigned i = 4; i < spec->options; i++)
		put8(frame, 0);
}

static void put_ipv6(struct frame *frame, const struct frame_spec *spec, size_t length, bool more)
{
	unsigned last = protocol_of(spec), options = spec->second ? 24 : spec->options;
	unsigned fragment = spec->length ? 8 : 0;

	put32(frame, 0x60000000 | (uint32_t)spec->tos << 20 | spec->flow_label);
	put16(frame, options + fragment + length);
	put8(frame, options ? 60 : fragment ? 44 : last);
	put8(frame, spec->ttl ?: 64);
	put_address(frame, spec->source);
	put_address(frame, spec->dest);
	if (options)
		put_destination(frame, spec, fragment ? 44 : last);
	if (!fragment)
		return;
	put8(frame, last);
	put8(frame, 0);
	put16(frame, spec->from | more);
	put32(frame, spec->id);
}

struct frame frame_make(const struct frame_spec *given)
{
	struct frame_spec spec = *given;
	struct frame frame = {.n = 0}, transport;
	size_t length;
	bool more;

	if (!spec.protocol)
		spec.protocol = FRAME_TCP;
	transport = make_transport(&spec);
	length = spec.length ? MIN(spec.length, transport.n - spec.from) : transport.n;
	more = spec.from + length < transport.n;
	put_mac(&frame, spec.to_mac);
	put_mac(&frame, spec.from_mac);
	for (unsigned i = 0; i < 2; i++)
		if (spec.vlans[i]) {
			put16(&frame, !i && spec.vlans[1] ? 0x88a8 : 0x8100);
			put16(&frame, spec.vlans[i]);
		}
	put16(&frame, is_ipv6(spec.source) ? 0x86dd : 0x0800);
	if (is_ipv6(spec.source))
		put_ipv6(&frame, &spec, length, more);
	else
		put_ipv4(&frame, &spec, length, more);
	put(&frame, transport.bytes + spec.from, length);
	return frame;
}

size_t frame_l3(const struct frame *frame)
{
	size_t at = 12;

	while (frame->bytes[at] == 0x81 || frame->bytes[at] == 0x88)
		at += 4;
	return at + 2;
}

static void print(const char *what, const struct frame *frame)
{
	printf("# %s, %zu bytes:", what, frame->n);
	for (size_t i = 0; i < frame->n && i < 160; i++)
		printf("%s%02x", i % 16 ? " " : "\n#   ", frame->bytes[i]);
	printf("\n");
}

bool frame_equal(const struct frame *is, const struct frame *wanted)
{
	if (is->n == wanted->n && !memcmp(is->bytes, wanted->bytes, is->n))
		return true;
	print("is", is);
	print("wanted", wanted);
	return false;
}
