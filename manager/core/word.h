/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The routing word in user space: taking it apart, and the edits that may be made to it. Reading
 * its fields one by one is bpf/select/hs_decide.h, shared with the selector. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "hs_abi.h"
#include "hs_decide.h"

/* The word of a service that has had no slot yet: no active, no canary, policy standby. */
#define WORD_INITIAL                                        \
	(((uint64_t)HS_SLOT_NONE << HS_WORD_ACTIVE_SHIFT) | \
	 ((uint64_t)HS_SLOT_NONE << HS_WORD_CANARY_SHIFT))

#define WORD_SHARE_MAX 0xffffU

uint32_t word_generation(uint64_t word);

/*
 * What holds of every word that is written, whatever was found there before, by another version or
 * by hand:
 *
 *   - the active slot is below HS_SLOTS_MAX; HS_SLOT_NONE only until the first one is adopted, and
 *     never again
 *   - a canary slot is below HS_SLOTS_MAX, is not the active one, and has a share above 0; without
 * a canary slot the share is 0
 *   - the generation is one more than it was, modulo 2^24, so that who has read the word before
 *     notices
 *   - bits that this version does not know, flags and policies of a later one, are as they were
 *
 * Not said here, for a word alone cannot tell: that the active slot had a live, ready socket when
 * it was written. That is for the caller who names it. The BPF side relies on none of this, it
 * takes any word: a slot that is none, or has no socket, is fallen through
 * (bpf/select/hs_decide.h). What relies on it is user space, where a slot has one role and a share
 * goes to somebody.
 */
bool word_is_sound(uint64_t word);
/* Whether `after` may be written over `before`. */
bool word_may_follow(uint64_t before, uint64_t after);

/* What an edit is told. Each reads the fields that it names, and asserts that they are in range. */
struct word_args {
	unsigned from, to; /* slots */
	uint32_t share;	   /* in 1/65536 */
	enum hs_policy policy;
	bool on;
};

/*
 * An edit: the word that is to be written over `word`, or the same word when there is nothing to
 * change. What they share: a slot that becomes active ceases to be the canary.
 */
typedef uint64_t word_edit(uint64_t word, const struct word_args *args);

/* For the last argument of an edit: WORD_ARGS(.from = 0, .to = 1) */
#define WORD_ARGS(...) (&(const struct word_args) {__VA_ARGS__})

/* `to` is active, whoever was. */
word_edit word_activate;
/* `to` is active, if `from` was (HS_SLOT_NONE: if none was). */
word_edit word_leave;
/* The same for a slot that is lost; not during an exclusive change, which stops the active one and
 * says itself who comes after it. */
word_edit word_replace;
/* `from` is neither the canary nor, if `to` can be, the active one any more. */
word_edit word_abandon;

/* `to` gets `share` of the new flows, at most WORD_SHARE_MAX; with a share of 0 nobody does. The
 * active slot is no canary: then all stays as it was. */
word_edit word_set_canary;
/* `from` is not the canary any more. */
word_edit word_drop_canary;

word_edit word_set_policy;
/* The policy is hash, by the second copy of the table if `on`, else by the first. */
word_edit word_spread;
/* The same, and the policy is what it was. */
word_edit word_set_copy;
/* Selectors tell what they decide, or not any more. */
word_edit word_trace;
/* New connections wait in the park, or not any more. */
word_edit word_park;

/* An exclusive change begins: connections wait until it ends. */
word_edit word_hold;
/* And ends: they go to `to`, which is active then; HS_SLOT_NONE: whoever was stays. */
word_edit word_release;

/* "standby", "parity", "hash"; "unknown" for a policy of a later version. */
const char *policy_to_string(enum hs_policy policy);
/* HS_POLICY_COUNT when there is no such policy. */
enum hs_policy policy_from_string(const char *text);
