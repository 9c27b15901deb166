/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the map "control" of a service holds, but for what is set once. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/word.h"

struct plane;

uint64_t plane_word(const struct plane *plane);
/* Of an edit that rollback can undo: what rollback is to know from then on, and what it takes to
 * have all as it was. */
struct plane_undo {
	uint64_t cookie; /* to be set before: of a socket of the slot that is left; 0 = there is
			  * nothing to go back to */
	uint64_t word;	 /* that the edit found; set if it changed something */
	uint64_t previous_word, previous_cookie; /* see plane_previous(), from before the edit */
};

/*
 * The one writer of the word: applies the edit to it, again and again until nobody else has changed
 * it meanwhile. False: there was nothing to change. Asserts word_may_follow() before it writes.
 *
 * The link of the service's paths follows, as by plane_lead_paths(); where it could not,
 * pathlink_is_right() tells. With `undo` (else NULL) rollback knows of this edit, if it changed
 * something, and only the holder of plane_lock() may ask for that.
 */
bool plane_edit_word(struct plane *plane, word_edit edit, const struct word_args *args,
		     struct plane_undo *undo);
/* Of a service that is being made: nobody else sees its word yet. */
void plane_init_word(struct plane *plane);

/* Makes the link of the service's paths lead to the active slot, unless it does already or the
 * service has no paths. */
int plane_lead_paths(const struct plane *plane);

/* Whether the slot has been retired, or was never adopted. Kept in the kernel, so that the next
 * manager knows as well whether an instance that is gone left on purpose. */
bool plane_is_retired(const struct plane *plane, unsigned slot);
void plane_set_retired(struct plane *plane, unsigned slot, bool retired);

/* Whether it was drained, or is to be: the instance that runs stays out of service until somebody
 * takes it back, whoever manages it. Over when it is not retired any more. */
bool plane_is_drained(const struct plane *plane, unsigned slot);
void plane_set_drained(struct plane *plane, unsigned slot, bool drained);

/* Whether the slot was found hanging. Kept in the kernel for the same reason. */
bool plane_is_suspect(const struct plane *plane, unsigned slot);
void plane_set_suspect(struct plane *plane, unsigned slot, bool suspect);

/* Another instance occupies the slot: UDP flows of the one before belong to nobody. Before its
 * first socket is put in the map. */
void plane_advance_epoch(struct plane *plane, unsigned slot);

/* The upgrade that is under way, for the next manager. NULL = none; false = there is none, or none
 * of two slots that there can be. */
struct plane_upgrade {
	unsigned state; /* enum upgrade_state */
	unsigned from, to;
	uint32_t uid; /* of who asked for it; UINT32_MAX = nobody */
};
void plane_set_upgrade(struct plane *plane, const struct plane_upgrade *upgrade);
bool plane_upgrade(const struct plane *plane, struct plane_upgrade *ret_upgrade);

/* The drain that is under way, likewise; of the two there is one at a time. */
struct plane_drain {
	unsigned slot;
	uint64_t deadline_sec; /* now_usec(), in seconds */
	uint32_t uid;	       /* as above */
};
void plane_note_drain(struct plane *plane, const struct plane_drain *drain);
bool plane_drain(const struct plane *plane, struct plane_drain *ret_drain);
/* It is still the one that is noted: nobody has ended it, or begun another change. */
bool plane_is_noted(const struct plane *plane, const struct plane_drain *drain);
/* It has ended. What somebody else has noted stays. False: it was noted no more. */
bool plane_forget_drain(struct plane *plane, const struct plane_drain *drain);

/* What rollback needs to know of the last switchover. */
void plane_remember(struct plane *plane, uint64_t previous_word, uint64_t previous_cookie);
void plane_previous(const struct plane *plane, uint64_t *ret_word, uint64_t *ret_cookie);

/* The mark that tells selectors to look at the rules of previews, and enum hs_canary_mode: both
 * under plane_preview_lock(). */
bool plane_has_preview(const struct plane *plane);
void plane_set_preview(struct plane *plane, bool on);
unsigned plane_canary_mode(const struct plane *plane);
void plane_set_canary_mode(struct plane *plane, unsigned mode);
