/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Root's own way to hsd: the objects of the bus on a socket that only root can open, without a bus
 * in between. The hooks of units come by it, and what root looks at: however much others ask over
 * the bus, they do not wait in the same queue.
 *
 * Of the signals Progress alone is sent here as well.
 */
#pragma once

#include "hsd/manager.h"
#include "util/problem.h"

struct door;

/* Negative errno, and a sentence: then there is the bus alone. */
int door_open(struct manager *manager, struct door **ret_door, struct problem *problem);
struct door *door_close(struct door *door);

/* To all who are there. Without a door nobody is. */
void door_emit_progress(const struct door *door, const char *path, const char *json);
