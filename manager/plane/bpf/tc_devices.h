/* SPDX-License-Identifier: GPL-2.0-or-later */
/* On which devices programs of ours are in tc, noted in a pinned map (bpf/hs_tc.h), so that others
 * than who has put them there can replace them and take them off. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "plane/bpf/tc.h"

struct tc_program {
	enum tc_side side;
	enum tc_place place;
	int fd; /* -1 where it is taken off */
};

/* All of them, in this order. Again is no harm. As tc_attach(), or -errno of the map. */
int tc_devices_put(int devices_fd, uint32_t ifindex, const struct tc_program *programs, size_t n);
/* On all devices that have them; those that are no more are passed over. */
void tc_devices_renew(int devices_fd, const struct tc_program *programs, size_t n);
/* In the other order; and nothing is left, if nothing was there before. */
void tc_devices_take_off(int devices_fd, uint32_t ifindex, const struct tc_program *programs,
			 size_t n);
void tc_devices_clear(int devices_fd, const struct tc_program *programs, size_t n);

/* Calls `each` for every one of them; it may take it off. */
void tc_devices_each(int devices_fd, void (*each)(int devices_fd, uint32_t ifindex, void *data),
		     void *data);
