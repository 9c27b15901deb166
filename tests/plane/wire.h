/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A client made of single packets, on a TUN device of the rig: a handshake can be stopped half-way
 * for as long as the test likes, which no socket can do. Its own kernel never sees it.
 *
 * The test's side of the device is 192.0.2.1 and 2001:db8::1; clients are at .2 and ::2.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum wire_flag {
	WIRE_FIN = 0x01,
	WIRE_SYN = 0x02,
	WIRE_RST = 0x04,
	WIRE_PSH = 0x08,
	WIRE_ACK = 0x10,
};

/* One connection: host byte order. */
struct wire_flow {
	int family;
	uint16_t from, to; /* ports: the client's, the server's */
	uint32_t sequence; /* next byte of ours */
	uint32_t expected; /* next byte of theirs */
};

/* Makes the device in this network namespace. The caller closes the descriptor, and with it the
 * device. -errno when there is no /dev/net/tun. */
int wire_open(void);

void wire_send(int wire, struct wire_flow *flow, unsigned flags, const char *text);
/* Waits for a packet of this flow with all of these flags, takes its numbers, and copies one byte
 * of what it carries ('\0' for none), which is returned. Fails at the deadline. */
char wire_expect(int wire, struct wire_flow *flow, unsigned flags);

/* SYN, SYN+ACK: half open from here on. */
void wire_begin(int wire, struct wire_flow *flow);
/* The final ACK. */
void wire_finish(int wire, struct wire_flow *flow);
/* Sends a byte and returns the server's answer. */
char wire_ask(int wire, struct wire_flow *flow);
void wire_reset(int wire, struct wire_flow *flow);
