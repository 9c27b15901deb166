/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What becomes of packets that a front sends on, found out by sending some, with the programs that
 * are used (front_stage.h), in the frame of plane/selftest/selftest.h. */
#pragma once

#include "core/doctor/frontability.h"
#include "plane/selftest/selftest.h"

/* In this mode (enum front_mode). selftest_finish() then has FRONT_ABILITY_COUNT results. It takes
 * some tenths of a second, most of them the kernel's to load the programs. */
int selftest_front_start(unsigned mode, struct selftest **ret_selftest);

/* What is sent: of each family a SYN, a packet of TCP with data and a datagram. */
#define FRONT_TRIED 6

struct front_frame;

/* That frame as it comes from a client, its checksum whole or, `half`, left to a card. */
void selftest_front_ask(unsigned which, bool half, struct front_frame *ret_frame);
/* What is wrong with what has become of it: "has a wrong checksum"; NULL: nothing. Pure. */
const char *selftest_front_judge(unsigned mode, unsigned which, const struct front_frame *got);
