/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The table of a service with policy hash: how its buckets are given to slots, and the changes that
 * may be made to what it is made from (struct hs_spread). Pure, and the same on every machine: what
 * is wanted, the slots that are in service, and the key give the same table, bit by bit.
 *
 * Filling is weighted rendezvous hashing (highest random weight): for each bucket every slot draws
 * a number from a hash of key, bucket and slot, and the buckets of a slot that goes are won by
 * those who came second there, while nobody else's move; a slot that comes takes what it wins, from
 * each of the others its part. With weight w the draw is -log(u) / w and the lowest wins, so that a
 * slot wins in proportion to its weight (Schindelhauer and Schomaker, 2005).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "hs_abi.h"
#include "hs_spread.h"
#include "util/problem.h"

#define SPREAD_PERCENT_MAX 8 /* "1000%" */

/* "client", "connection" */
const char *spread_by_to_string(uint32_t by);
/* 0 when it is neither. */
enum hs_by spread_by_from_string(const char *text);

/* The key that the text of a file stands for; blanks at its end do not count. -EINVAL: it is too
 * short to be one. */
#define SPREAD_KEY_MIN 8
int spread_key_of(const char *text, uint64_t *ret_key);

/* Weights as they are unless said otherwise, nobody pinned, nothing moved. */
void spread_init(struct hs_spread *spread, uint64_t key, enum hs_by by, unsigned slots);
/* Whether it can be worked with, whoever has written it: all numbers are in range. */
bool spread_is_sound(const struct hs_spread *spread);

/* By another key, or kind, other clients are in a bucket: what was moved is so no more. */
void spread_set_key(struct hs_spread *spread, uint64_t key);
void spread_set_by(struct hs_spread *spread, enum hs_by by);

/* "50%", "50", "1000%". -EINVAL. */
int spread_parse_weight(const char *text, unsigned *ret_percent);

/*
 * Edits. -EINVAL and a sentence without the service's name, and nothing is changed, where it cannot
 * be: a slot that does not take part, weights that add up to nothing, a prefix that overlaps one
 * that is pinned to another slot, more than there is room for.
 */
int spread_set_weight(struct hs_spread *spread, unsigned slot, unsigned percent,
		      struct problem *problem);
/* HS_SLOT_NONE: the prefix is not pinned any more. */
int spread_pin(struct hs_spread *spread, const struct hs_prefix *prefix, unsigned slot,
	       struct problem *problem);
/* Slots below `slots` take part. Not below a slot that somebody is pinned to. */
int spread_set_slots(struct hs_spread *spread, unsigned slots, struct problem *problem);

/* The slots that get buckets, of those that are in service: they take part, are not held, and have
 * a weight. If that leaves none, all that take part and are not held, then all that take part; if
 * none does, all that are in service. */
uint32_t spread_members(const struct hs_spread *spread, uint32_t in_service);

/* Fills the buckets for these members, at least one. */
void spread_fill(const struct hs_spread *spread, uint32_t members, uint8_t buckets[HS_BUCKETS]);

/* Whether both fill them alike: filling takes milliseconds. */
bool spread_fills_alike(const struct hs_spread *a, const struct hs_spread *b);

/* How many buckets each slot is the first of. */
void spread_count(const uint8_t buckets[HS_BUCKETS], uint32_t counts[HS_SLOTS_MAX]);
/* How many go to another slot. */
uint32_t spread_moved(const uint8_t before[HS_BUCKETS], const uint8_t after[HS_BUCKETS]);

/* The pinned prefix that an address is in; NULL for most. The longest of them, of members only. */
const struct hs_pinned *spread_pinned(const struct hs_spread *spread, uint32_t members,
				      const uint8_t ip[16]);

/* The slot that a client belongs to; `port` (host byte order) counts where connections are spread.
 */
unsigned spread_first(const struct hs_table_copy *copy, const uint8_t ip[16], uint16_t port);

/* Names what decides: two tables with the same one lead each client to the same slot. */
uint64_t spread_fingerprint(const struct hs_table_copy *copy);
