/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is pinned for a device that fronts are on, and which service has what there. Several
 * services may; each has an index of its own. Made with the first one, taken away with the last.
 */
#pragma once

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#include "hs_front.h"
#include "plane/bpf/pins.h"
#include "plane/front/route.h"
#include "util/problem.h"

struct device_pins {
	char name[IFNAMSIZ];
	struct pin_path folder;
	int programs, ports, fragments, counts; /* maps */
	struct hs_front_device *state;		/* mapped */
};

/* Nothing, to begin with. */
#define DEVICE_PINS_NONE \
	((struct device_pins) {.programs = -1, .ports = -1, .fragments = -1, .counts = -1})

/* The lock of all that is below HS_PIN_FRONTS, which is made if need be. As pins_enter(). */
int device_pins_enter(int *ret_lock, struct problem *problem);

/* -ENOENT: nothing is pinned for it. */
int device_pins_open(const char *name, struct device_pins *ret_pins);
void device_pins_close(struct device_pins *pins);

/* Whether somebody else's XDP program is there, in which case there is a sentence. With -EBUSY. */
int device_pins_check(const char *name, uint32_t ifindex, struct problem *problem);

/* Whether our program is on the device with this number. */
bool device_pins_is_on(const struct device_pins *pins, uint32_t ifindex);

/* Makes what is missing, and has the program of this build on the device. With device_pins_enter(),
 * as for all that follow. */
int device_pins_prepare(const char *name, const struct device_facts *facts,
			struct device_pins *ret_pins, struct problem *problem);

/* The service's, or a free one. -ENOSPC. */
int device_pins_index(const struct device_pins *pins, uint32_t service_id, uint32_t *ret_index);

/* What is for the service: `keys` without those that stand for a whole address. -EEXIST: one of
 * them is another service's, and is left in `ret_taken`; nothing has changed. */
int device_pins_may_have(const struct device_pins *pins, uint32_t index,
			 const struct hs_front_port *keys, size_t n,
			 struct hs_front_port *ret_taken);
int device_pins_set_ports(const struct device_pins *pins, uint32_t index,
			  const struct hs_front_port *keys, size_t n);

/* Nothing on any device is for it any more, but on that of this name (NULL: none). Where it was the
 * last, all of it goes, the program, too. Also what somebody has left who was killed before he had
 * changed from one device to another. */
void device_pins_leave(const char *but, uint32_t service_id);
