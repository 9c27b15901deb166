/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The front of a plane, if the slots of its service are hosts; see plane/front/front.h. What a
 * slot's sockets are elsewhere is whether its host takes new flows: one, or none.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "plane/bpf/census.h"
#include "plane/front/front.h"

struct config_front;
struct plane;
struct slot_flows;

bool plane_is_front(const struct plane *plane);
/* Stays the plane's; NULL: it is none. */
struct front *plane_front(const struct plane *plane);

/* As front_apply(). */
int plane_front_apply(struct plane *plane, const struct config_front *config,
		      struct problem *problem);

/* Open connections and flows of each host. To ask is to go through all flows, so what is told may
 * be some hundred milliseconds old; of millions of flows seconds. */
const struct front_live *plane_front_live(const struct plane *plane);
/* The same as they were told last; it costs nothing. */
const struct front_live *plane_front_counted(const struct plane *plane);
/* For an event loop: what takes long is counted in portions of some milliseconds, with each call of
 * these two, and until it has come to its end the last counts are told. True: there is more. */
void plane_front_count_in_portions(const struct plane *plane);
bool plane_front_count_on(const struct plane *plane);
/* What was counted up to now does not count; until all have been counted anew it is behind. */
void plane_front_look_again(const struct plane *plane);
bool plane_front_is_behind(const struct plane *plane);

/* ---- for plane.c and plane_census.c ---- */

/* See plane/plane_census.h. Of TCP, as the packets tell that come from the clients. */
int plane_front_census(const struct plane *plane, uint64_t idle_usec,
		       struct place_census ret_places[HS_PLACES_MAX], struct problem *problem);
int plane_front_each(const struct plane *plane,
		     int (*each)(const struct connection *connection, void *userdata),
		     void *userdata);

void plane_front_open(struct plane *plane);
void plane_front_close(struct plane *plane);
/* Off its device; see front_remove(). */
int plane_front_remove(struct plane *plane);
