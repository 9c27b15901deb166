/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Connections of ours to one host of a front: what plane/front/led.h does, for who has a plane. */
#pragma once

#include "plane/front/led.h"
#include "plane/plane.h"

/* What leads there is made, if it is missing, and is on the devices by which the hosts are reached
 * now; *led is opened, if it is NULL. Again is cheap. With an error there is a sentence. */
int leading_open(const struct plane *plane, struct led **led, struct problem *problem);

/* Whether there is such a host: false, and why not. */
bool leading_may(const struct plane *plane, unsigned slot, struct problem *ret_refusal);

/* The path to a host by the first address of the service that is of its family. -EAFNOSUPPORT:
 * there is none; or as led_path(). */
int leading_path(const struct plane *plane, const struct config_front *front, unsigned slot,
		 uint16_t port, struct hs_led_path *ret_path);
