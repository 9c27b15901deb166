/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A pair of veth devices in the network namespace that we are in: what is sent here comes in at the
 * one that a front may be on, and what that sends out comes back here. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/problem.h"

#define FRONT_WIRE_MAX 2048

/* Of the front's device. */
#define FRONT_WIRE_MAC 0x010000000002

struct front_frame {
	uint8_t bytes[FRONT_WIRE_MAX];
	size_t n;
	/* the checksum is left to a card: all from `start` goes into the field `at` behind it */
	bool half;
	uint16_t start, at;
};

struct front_wire {
	int socket;
	uint32_t device; /* the front's */
	uint32_t end;	 /* ours */
};

/* The devices go with the namespace. -errno and a sentence. */
int front_wire_open(struct front_wire *ret_wire, struct problem *problem);
void front_wire_close(struct front_wire *wire);
/* 0, or -errno. */
int front_wire_send(const struct front_wire *wire, const struct front_frame *frame);
/* The next one to this MAC address, as struct hs_front_host has them; waits so long at most.
 * False: there was none. */
bool front_wire_receive(const struct front_wire *wire, uint64_t mac, int ms,
			struct front_frame *ret_frame);
