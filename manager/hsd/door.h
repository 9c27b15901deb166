/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Root's own way to hsd: the objects of the bus on a socket that only root can open, without a bus
 * in between. The hooks of units come by it, and what root looks at: however much others ask over
 * the bus, they do not wait in the same queue.
 *
 * Of the signals Progress alone is sent here as well.
 */
#pragma once

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "util/problem.h"

struct door;

/* Puts the objects on the connection of one who has come in. */
typedef int (*door_publish_fn)(sd_bus *bus, void *userdata);

/* Negative errno, and a sentence: then there is the bus alone. */
int door_open(sd_event *event, door_publish_fn publish, void *userdata, struct door **ret_door,
	      struct problem *problem);
struct door *door_close(struct door *door);

/* Of the service of that name, to all who are there. Without a door nobody is. */
void door_emit_progress(const struct door *door, const char *service, const char *json);
