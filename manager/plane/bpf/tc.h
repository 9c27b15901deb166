/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Programs on devices, in tc (clsact): they see each packet that a device hands to this machine, or
 * that this machine hands to it. They stay when we end, and go with the device.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum tc_side { TC_INGRESS, TC_EGRESS, TC_SIDES };

/* A place in the order in which programs on a device are asked, and a name in it. Two of ours have
 * different ones. */
enum tc_place { TC_PLACE_DECAP = 1, TC_PLACE_LED = 2 };

/*
 * Attaches to the device of our own network namespace, or takes the place of what is attached at
 * this place; there already, it is left alone. `made_qdisc` is set when the device had no clsact
 * before: tc_clear() is for that. -errno: -ENODEV, -ENOENT or -EOPNOTSUPP of a kernel without it.
 */
int tc_attach(uint32_t ifindex, enum tc_side side, enum tc_place place, int program_fd,
	      bool *made_qdisc);
/* 0 also when there was none, or no device. */
int tc_detach(uint32_t ifindex, enum tc_side side, enum tc_place place);
/* The id of the program at this place, 0 = none. */
uint32_t tc_program(uint32_t ifindex, enum tc_side side, enum tc_place place);
/* Takes clsact off the device if no program or filter of anybody is there any more. */
void tc_clear(uint32_t ifindex);
