/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Holding new connections in the park on purpose, and letting them go: the same by hsd and by hsctl
 * without hsd. */
#pragma once

#include <json-c/json.h>

#include "core/change/slot.h"
#include "core/config/config.h"
#include "plane/plane.h"
#include "system/journal.h"

/* From now on all new TCP connections of the service wait. False: refused, as there is no park; and
 * then nothing has changed. `ret_message` has the sentence in either case; again is no harm. `by`:
 * who asks; NULL = nobody. */
bool parking_hold(struct plane *plane, const struct config *config, const struct journal_actor *by,
		  struct problem *ret_message);
/* No longer. What waits is handed over by hsd. */
void parking_release(struct plane *plane, const struct journal_actor *by,
		     struct problem *ret_message);

/* Where an exclusive change has them wait, and there is no hsd to carry it out: it is over, with a
 * slot that is ready as the active one. False: there is none, and nothing has changed. */
bool parking_give_up(struct plane *plane, const enum slot_state *states, unsigned n,
		     const struct journal_actor *by, struct problem *ret_message);

/* {"service",...,"park","parked","message"}: the fields of change_word_json(), whether connections
 * are held on purpose, and how many wait (null: not known). */
json_object *parking_json(const struct plane *plane, const char *message);

bool parking_is_held(const struct plane *plane);
/* How many connections wait in the parks of all listeners, or QUEUED_UNKNOWN. */
uint32_t parking_waiting(const struct plane *plane);
