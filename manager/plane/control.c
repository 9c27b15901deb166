// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the map "control" holds, but for what is set once. Selectors and other managers read and
 * write it at the same time: each access is one atomic one.
 */
#include <errno.h>

#include "plane/pathlink.h"
#include "plane/plane.h"

uint64_t plane_word(const struct plane *plane)
{
	return __atomic_load_n(&plane_control(plane)->word, __ATOMIC_SEQ_CST);
}

int plane_swap_word(struct plane *plane, uint64_t expected, uint64_t desired)
{
	__u64 found = expected;

	if (!__atomic_compare_exchange_n(&plane_control(plane)->word, &found, desired, false,
					 __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		return -EAGAIN;
	pathlink_follow(plane);
	return 0;
}

void plane_remember(struct plane *plane, uint64_t previous_word, uint64_t previous_cookie)
{
	__atomic_store_n(&plane_control(plane)->previous_cookie, previous_cookie, __ATOMIC_SEQ_CST);
	__atomic_store_n(&plane_control(plane)->previous_word, previous_word, __ATOMIC_SEQ_CST);
}

void plane_previous(const struct plane *plane, uint64_t *ret_word, uint64_t *ret_cookie)
{
	*ret_word = __atomic_load_n(&plane_control(plane)->previous_word, __ATOMIC_SEQ_CST);
	*ret_cookie = __atomic_load_n(&plane_control(plane)->previous_cookie, __ATOMIC_SEQ_CST);
}

static void set_bit(uint32_t *bits, unsigned slot, bool on)
{
	if (on)
		__atomic_fetch_or(bits, 1U << slot, __ATOMIC_SEQ_CST);
	else
		__atomic_fetch_and(bits, ~(1U << slot), __ATOMIC_SEQ_CST);
}

bool plane_is_retired(const struct plane *plane, unsigned slot)
{
	return __atomic_load_n(&plane_control(plane)->retired, __ATOMIC_SEQ_CST) & (1U << slot);
}

void plane_set_retired(struct plane *plane, unsigned slot, bool retired)
{
	set_bit(&plane_control(plane)->retired, slot, retired);
}

bool plane_is_suspect(const struct plane *plane, unsigned slot)
{
	return __atomic_load_n(&plane_control(plane)->suspect, __ATOMIC_SEQ_CST) & (1U << slot);
}

void plane_set_suspect(struct plane *plane, unsigned slot, bool suspect)
{
	set_bit(&plane_control(plane)->suspect, slot, suspect);
}

void plane_advance_epoch(struct plane *plane, unsigned slot)
{
	__u64 epochs = __atomic_load_n(&plane_control(plane)->epochs, __ATOMIC_SEQ_CST);
	uint64_t shift = 4 * slot, next;

	do {
		next = ((epochs >> shift) + 1) & 0xf;
		next = (epochs & ~(UINT64_C(0xf) << shift)) | next << shift;
	} while (!__atomic_compare_exchange_n(&plane_control(plane)->epochs, &epochs, next, false,
					      __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
}

bool plane_has_preview(const struct plane *plane)
{
	return __atomic_load_n(&plane_control(plane)->preview, __ATOMIC_SEQ_CST);
}

void plane_set_preview(struct plane *plane, bool on)
{
	__atomic_store_n(&plane_control(plane)->preview, on, __ATOMIC_SEQ_CST);
}

unsigned plane_canary_mode(const struct plane *plane)
{
	return __atomic_load_n(&plane_control(plane)->canary_mode, __ATOMIC_SEQ_CST);
}

void plane_set_canary_mode(struct plane *plane, unsigned mode)
{
	__atomic_store_n(&plane_control(plane)->canary_mode, (uint8_t)mode, __ATOMIC_SEQ_CST);
}

#define UPGRADE_NOTED (UINT64_C(1) << 63)

void plane_set_upgrade(struct plane *plane, const struct plane_upgrade *upgrade)
{
	uint64_t noted = 0;

	if (upgrade)
		noted = UPGRADE_NOTED | upgrade->state | (uint64_t)upgrade->from << 8 |
			(uint64_t)upgrade->to << 16 | (uint64_t)upgrade->uid << 24;
	__atomic_store_n(&plane_control(plane)->upgrade, noted, __ATOMIC_SEQ_CST);
}

bool plane_upgrade(const struct plane *plane, struct plane_upgrade *ret_upgrade)
{
	uint64_t noted = __atomic_load_n(&plane_control(plane)->upgrade, __ATOMIC_SEQ_CST);

	if (!(noted & UPGRADE_NOTED))
		return false;
	*ret_upgrade = (struct plane_upgrade) {noted & 0xff, noted >> 8 & 0xff, noted >> 16 & 0xff,
					       (uint32_t)(noted >> 24)};
	return true;
}
