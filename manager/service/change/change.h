/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A change of a service as it is carried out on the kernel side, the same by hsd and by hsctl
 * without hsd: the gate, the flip, the way back, the figures. core/change/switchover.h says what
 * comes when; who drives it brings the clock, the waiting, and the jobs of systemd.
 *
 *   change_gate      may it begin, and to which slot
 *   change_init      from then on the driver holds plane_lock()
 *   change_begin     SWITCHOVER_DO_FLIP | ..._TELL
 *   change_flip      the word is changed
 *   change_tick      at switchover_wake(), and at once when a slot's sockets or the word changed
 *   change_result    once it has ended
 *
 * begin, flip and tick return the actions of switchover_step() that are left for the driver to do.
 */
#pragma once

#include <json-c/json.h>

#include "core/change/slot.h"
#include "core/change/switchover.h"
#include "plane/plane.h"
#include "system/journal.h"

struct change_request {
	enum switchover_verb verb;
	const enum slot_state *states; /* of all the service's slots, `n` of them */
	unsigned n;
	int to; /* a slot, or GATE_STANDBY; a rollback has no choice and ignores it */
	const struct slot_health *health; /* NULL: nobody asks the slots */
	bool busy; /* plane_lock() was refused, or the driver itself is at a change */
};

/*
 * Whether the change may begin, and to which slot: see gate_check(). A refusal has its sentence.
 * The plan leads from the slot that was active when the gate looked; how long it waits, and what
 * becomes of the old instance, is for the caller to set. A fail-over never drains and moves the old
 * queue, a rollback keeps the old instance, whatever is set.
 *
 * No change goes to a slot that is unhealthy, or not known to be healthy. Only a rollback or a
 * fail-over, which somebody has decided on by hand, does when the active slot is not well either.
 */
enum gate_answer change_gate(const struct plane *plane, const struct change_request *request,
			     struct switchover_plan *ret_plan, struct problem *ret_refusal);

struct service_change {
	struct plane *plane; /* not owned, must outlive the change */
	struct switchover machine;
	uint64_t flip_nsec;
	struct plane_undo undo; /* to take it all back; its word is 0 until the flip */
	uint64_t closed_before, migrated_before;
};

void change_init(struct service_change *change, struct plane *plane,
		 const struct switchover_plan *plan);
unsigned change_begin(struct service_change *change, uint64_t now);
/* One compare-and-swap, from plan.from to plan.to. Remembers what rollback needs. */
unsigned change_flip(struct service_change *change, uint64_t now);
/* Looks at the kernel first: a target that has no live socket left, or that the word names no more,
 * ends the change as undone, and the word is then back where it was if nobody else moved it. When
 * the old slot is gone as well, it ends as failed. */
unsigned change_tick(struct service_change *change, uint64_t now);

/* The new slot is not well, `why` says what is wrong: back to the old one as long as it is there. 0
 * when that is not possible (any more): then nothing has changed. */
unsigned change_give_up(struct service_change *change, uint64_t now, const char *why);

/* Figures, at any time after the flip; before it they are 0. */
void change_result(const struct service_change *change, uint64_t now,
		   struct switchover_result *ret_result);

/* True, and a refusal, for a service that listens at paths alone: a path leads to one slot at a
 * time, and nothing but the link stands between clients and that. Of one with other listeners, too,
 * those are meant, and its paths follow the active slot. `what`: "canary". */
bool change_refuses_paths(const struct plane *plane, const char *what, struct problem *ret_refusal);

/* The routing word's other fields. Both say in `ret_message` what is so now, or why not, and log.
 * False: refused. `by`: who asks; NULL = nobody. */
bool change_set_policy(struct plane *plane, enum hs_policy policy, const struct journal_actor *by,
		       struct problem *ret_message);

struct canary_request {
	const enum slot_state *states;
	unsigned n;
	const struct slot_health *health;   /* NULL: nobody asks the slots */
	int to;				    /* a slot, or GATE_STANDBY */
	uint32_t share;			    /* in 1/65536; 0 = no canary */
	const struct canary_filter *filter; /* whom it is for; NULL = anybody, by connection */
	const struct journal_actor *by;	    /* who asks; NULL = nobody */
};
/* Refused unless the slot is ready and not the active one; share 0 is never refused. GATE_BUSY: it
 * could not be written, for another process is at it. */
enum gate_answer change_set_canary(struct plane *plane, const struct canary_request *request,
				   struct problem *ret_message);

/* What both of these answer with: {"service","policy","generation","active","canary",
 * "canary_share","canary_by","canary_from","message"}. The caller owns it. */
json_object *change_word_json(const struct plane *plane, const char *message);
