// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the map "control" holds, but for what is set once. Selectors and other managers read and
 * write it at the same time: each access is one atomic one.
 */
#include "plane/parts/control.h"

#include <assert.h>

#include "plane/parts/plane_state.h"
#include "plane/path/activelink.h"
#include "util/clock.h"

uint64_t plane_word(const struct plane *plane)
{
	return __atomic_load_n(&plane->control->word, __ATOMIC_SEQ_CST);
}

void plane_init_word(struct plane *plane)
{
	__atomic_store_n(&plane->control->word, WORD_INITIAL, __ATOMIC_SEQ_CST);
}

/* Before the word is written: should we end between the two, a rollback does nothing, rather than
 * what was meant for the switchover before. */
static void note(struct plane *plane, const struct plane_undo *undo, uint64_t found, uint64_t next)
{
	if (next == found)
		plane_remember(plane, undo->previous_word, undo->previous_cookie);
	else
		plane_remember(plane, undo->cookie ? found : 0, undo->cookie);
}

/* Sets `found` to what was found instead. */
static bool swap(struct plane *plane, __u64 *found, __u64 next)
{
	assert(word_may_follow(*found, next));
	return __atomic_compare_exchange_n(&plane->control->word, found, next, false,
					   __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

bool plane_edit_word(struct plane *plane, word_edit edit, const struct word_args *args,
		     struct plane_undo *undo)
{
	__u64 found = plane_word(plane), next;

	if (undo)
		plane_previous(plane, &undo->previous_word, &undo->previous_cookie);
	do {
		next = edit(found, args);
		if (undo)
			note(plane, undo, found, next);
		if (next == found)
			return false;
	} while (!swap(plane, &found, next));
	if (undo)
		undo->word = found;
	plane_lead_paths(plane);
	return true;
}

int plane_lead_paths(const struct plane *plane)
{
	return plane->paths.entries ? activelink_follow(plane->service, &plane->control->word) : 0;
}

void plane_remember(struct plane *plane, uint64_t previous_word, uint64_t previous_cookie)
{
	__atomic_store_n(&plane->control->previous_cookie, previous_cookie, __ATOMIC_SEQ_CST);
	__atomic_store_n(&plane->control->previous_word, previous_word, __ATOMIC_SEQ_CST);
}

void plane_previous(const struct plane *plane, uint64_t *ret_word, uint64_t *ret_cookie)
{
	*ret_word = __atomic_load_n(&plane->control->previous_word, __ATOMIC_SEQ_CST);
	*ret_cookie = __atomic_load_n(&plane->control->previous_cookie, __ATOMIC_SEQ_CST);
}

static bool has_bit(const uint32_t *bits, unsigned slot)
{
	assert(slot < HS_SLOTS_MAX);
	return __atomic_load_n(bits, __ATOMIC_SEQ_CST) & (1U << slot);
}

static void set_bits(uint32_t *bits, uint32_t which, bool on)
{
	if (on)
		__atomic_fetch_or(bits, which, __ATOMIC_SEQ_CST);
	else
		__atomic_fetch_and(bits, ~which, __ATOMIC_SEQ_CST);
}

static void set_bit(uint32_t *bits, unsigned slot, bool on)
{
	assert(slot < HS_SLOTS_MAX);
	set_bits(bits, 1U << slot, on);
}

/* In the upper half of `retired`. */
static uint32_t drained_bit(unsigned slot)
{
	assert(slot < HS_SLOTS_MAX);
	return 1U << (slot + HS_SLOTS_MAX);
}

bool plane_is_retired(const struct plane *plane, unsigned slot)
{
	return has_bit(&plane->control->retired, slot);
}

void plane_set_retired(struct plane *plane, unsigned slot, bool retired)
{
	uint32_t drained = drained_bit(slot);

	set_bits(&plane->control->retired, 1U << slot | (retired ? 0 : drained), retired);
}

bool plane_is_drained(const struct plane *plane, unsigned slot)
{
	return __atomic_load_n(&plane->control->retired, __ATOMIC_SEQ_CST) & drained_bit(slot);
}

void plane_set_drained(struct plane *plane, unsigned slot, bool drained)
{
	set_bits(&plane->control->retired, drained_bit(slot), drained);
}

bool plane_is_suspect(const struct plane *plane, unsigned slot)
{
	return has_bit(&plane->control->suspect, slot);
}

void plane_set_suspect(struct plane *plane, unsigned slot, bool suspect)
{
	set_bit(&plane->control->suspect, slot, suspect);
}

void plane_advance_epoch(struct plane *plane, unsigned slot)
{
	__u64 epochs = __atomic_load_n(&plane->control->epochs, __ATOMIC_SEQ_CST);
	uint64_t shift = 4 * slot, next;

	assert(slot < HS_SLOTS_MAX);
	do {
		next = ((epochs >> shift) + 1) & 0xf;
		next = (epochs & ~(UINT64_C(0xf) << shift)) | next << shift;
	} while (!__atomic_compare_exchange_n(&plane->control->epochs, &epochs, next, false,
					      __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
}

bool plane_has_preview(const struct plane *plane)
{
	return __atomic_load_n(&plane->control->preview, __ATOMIC_SEQ_CST);
}

void plane_set_preview(struct plane *plane, bool on)
{
	__atomic_store_n(&plane->control->preview, on, __ATOMIC_SEQ_CST);
}

unsigned plane_canary_mode(const struct plane *plane)
{
	return __atomic_load_n(&plane->control->canary_mode, __ATOMIC_SEQ_CST);
}

void plane_set_canary_mode(struct plane *plane, unsigned mode)
{
	__atomic_store_n(&plane->control->canary_mode, (uint8_t)mode, __ATOMIC_SEQ_CST);
}

void plane_set_upgrade(struct plane *plane, const struct plane_upgrade *upgrade)
{
	uint64_t noted = 0;

	assert(!upgrade || (upgrade->from < HS_SLOTS_MAX && upgrade->to < HS_SLOTS_MAX));
	if (upgrade)
		noted = HS_UPGRADE_NOTED | upgrade->state | (uint64_t)upgrade->from << 8 |
			(uint64_t)upgrade->to << 16 | (uint64_t)upgrade->uid << 24;
	__atomic_store_n(&plane->control->upgrade, noted, __ATOMIC_SEQ_CST);
}

bool plane_upgrade(const struct plane *plane, struct plane_upgrade *ret_upgrade)
{
	uint64_t noted = __atomic_load_n(&plane->control->upgrade, __ATOMIC_SEQ_CST);

	struct plane_upgrade upgrade = {noted & 0xff, noted >> 8 & 0xff, noted >> 16 & 0xff,
					(uint32_t)(noted >> 24)};

	if (!(noted & HS_UPGRADE_NOTED))
		return false;
	*ret_upgrade = upgrade;
	return upgrade.from < HS_SLOTS_MAX && upgrade.to < HS_SLOTS_MAX &&
	       upgrade.from != upgrade.to;
}

#define DRAIN_DEADLINE_SHIFT 4
#define DRAIN_DEADLINE_BITS  25
#define DRAIN_UID_SHIFT	     (DRAIN_DEADLINE_SHIFT + DRAIN_DEADLINE_BITS)

static uint64_t drain_note(const struct plane_drain *drain)
{
	uint64_t deadline = drain->deadline_sec & ((UINT64_C(1) << DRAIN_DEADLINE_BITS) - 1);

	assert(drain->slot < HS_SLOTS_MAX);
	return HS_DRAIN_NOTED | drain->slot | deadline << DRAIN_DEADLINE_SHIFT |
	       (uint64_t)drain->uid << DRAIN_UID_SHIFT;
}

/* The time near to now that is meant: half a year before, or after it. */
static uint64_t near(uint64_t deadline, uint64_t now)
{
	uint64_t half = UINT64_C(1) << (DRAIN_DEADLINE_BITS - 1);
	uint64_t ahead = (deadline - now + half) & (2 * half - 1);

	return now + ahead > half ? now + ahead - half : 0;
}

void plane_note_drain(struct plane *plane, const struct plane_drain *drain)
{
	__atomic_store_n(&plane->control->upgrade, drain_note(drain), __ATOMIC_SEQ_CST);
}

bool plane_drain(const struct plane *plane, struct plane_drain *ret_drain)
{
	uint64_t noted = __atomic_load_n(&plane->control->upgrade, __ATOMIC_SEQ_CST);

	if (!(noted & HS_DRAIN_NOTED) || noted & HS_UPGRADE_NOTED)
		return false;
	*ret_drain = (struct plane_drain) {
		.slot = noted & (HS_SLOTS_MAX - 1),
		.deadline_sec = near(noted >> DRAIN_DEADLINE_SHIFT, now_usec() / USEC_PER_SEC),
		.uid = (uint32_t)(noted >> DRAIN_UID_SHIFT),
	};
	return true;
}

bool plane_is_noted(const struct plane *plane, const struct plane_drain *drain)
{
	return __atomic_load_n(&plane->control->upgrade, __ATOMIC_SEQ_CST) == drain_note(drain);
}

bool plane_forget_drain(struct plane *plane, const struct plane_drain *drain)
{
	__u64 noted = drain_note(drain);

	return __atomic_compare_exchange_n(&plane->control->upgrade, &noted, 0, false,
					   __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}
