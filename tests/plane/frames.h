/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Ethernet frames made of what is said of them, with all lengths and checksums as they have to be:
 * what a front makes of one is compared with another one that is made here. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAME_MAX 4096

struct frame {
	uint8_t bytes[FRAME_MAX];
	size_t n;
};

enum frame_protocol {
	FRAME_ICMP = 1,
	FRAME_TCP = 6,
	FRAME_UDP = 17,
	FRAME_ICMP6 = 58,
};

/* What is left out is 0, and has the meaning that is behind it. */
struct frame_spec {
	const char *to_mac, *from_mac; /* "02:00:00:00:00:01" */
	uint16_t vlans[2];	       /* 0: no such tag */
	const char *source, *dest;     /* of both one family */
	enum frame_protocol protocol;  /* FRAME_TCP */
	uint16_t source_port, dest_port;
	uint8_t flags; /* of TCP; these two likewise: some numbers */
	uint32_t sequence, expected;
	uint8_t ttl; /* 64 */
	uint8_t tos;
	unsigned options;  /* bytes of options: of IPv4, or of a header for destination options */
	unsigned payload;  /* bytes behind the transport header */
	bool may_fragment; /* IPv4 */
	bool no_checksum;  /* UDP */
	uint32_t id;	   /* of fragments */
	unsigned from, length; /* the fragment of so many bytes from there; 0: all of it */
	/* of ICMP, which has no ports: type, code, the four bytes behind the checksum, and what is
	 * quoted: so many bytes of another frame's IP packet */
	uint8_t type, code;
	uint32_t rest;
	const struct frame *quoted;
	unsigned quote;
	/* ports, payload and all that are those of this one, which is put into it; IP in IP */
	const struct frame *inner;
	const char *second; /* of IP in IP: the address that the outer header names */
	uint32_t flow_label;
};

struct frame frame_make(const struct frame_spec *spec);
/* Where its IP header begins. */
size_t frame_l3(const struct frame *frame);
/* Prints both when they differ, and says so. */
bool frame_equal(const struct frame *is, const struct frame *wanted);
