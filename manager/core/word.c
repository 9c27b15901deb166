// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/word.h"

#include <assert.h>
#include <string.h>

#include "util/macro.h"

static const char *const policy_names[] = {
	[HS_POLICY_STANDBY] = "standby",
	[HS_POLICY_PARITY] = "parity",
	[HS_POLICY_HASH] = "hash",
};
_Static_assert(ARRAY_SIZE(policy_names) == HS_POLICY_COUNT, "a name for each policy");

#define FLAGS_KNOWN (HS_FLAG_TRACE | HS_FLAG_COPY | HS_FLAG_PARK_ALL | HS_FLAG_EXCLUSIVE)

static uint64_t set_field(uint64_t word, unsigned shift, unsigned bits, uint64_t value)
{
	uint64_t mask = ((UINT64_C(1) << bits) - 1) << shift;

	return (word & ~mask) | ((value << shift) & mask);
}

static uint64_t set_active(uint64_t word, unsigned slot)
{
	return set_field(word, HS_WORD_ACTIVE_SHIFT, 8, slot);
}

static uint64_t set_canary(uint64_t word, unsigned slot, uint32_t share)
{
	word = set_field(word, HS_WORD_CANARY_SHIFT, 8, slot);
	return set_field(word, HS_WORD_SHARE_SHIFT, 16, share);
}

static uint64_t set_flags(uint64_t word, unsigned flags, bool on)
{
	unsigned now = hs_word_flags(word);

	return set_field(word, HS_WORD_FLAGS_SHIFT, 4, on ? now | flags : now & ~flags);
}

static bool has_canary(uint64_t word)
{
	return hs_word_canary(word) < HS_SLOTS_MAX && hs_word_share(word) &&
	       hs_word_canary(word) != hs_word_active(word);
}

/* How every edit ends: what others may have left there is put in order with what has changed. */
static uint64_t seal(uint64_t before, uint64_t word)
{
	if (word == before)
		return before;
	if (hs_word_active(word) >= HS_SLOTS_MAX)
		word = set_active(word, HS_SLOT_NONE);
	if (!has_canary(word))
		word = set_canary(word, HS_SLOT_NONE, 0);
	return set_field(word, HS_WORD_GENERATION_SHIFT, 24, word_generation(before) + 1);
}

uint32_t word_generation(uint64_t word)
{
	return word >> HS_WORD_GENERATION_SHIFT;
}

bool word_is_sound(uint64_t word)
{
	unsigned active = hs_word_active(word), canary = hs_word_canary(word);

	if (active >= HS_SLOTS_MAX && active != HS_SLOT_NONE)
		return false;
	return has_canary(word) || (canary == HS_SLOT_NONE && !hs_word_share(word));
}

bool word_may_follow(uint64_t before, uint64_t after)
{
	uint64_t next =
		set_field(before, HS_WORD_GENERATION_SHIFT, 24, word_generation(before) + 1);
	unsigned changed = hs_word_flags(before) ^ hs_word_flags(after);

	if (!word_is_sound(after) || word_generation(after) != word_generation(next))
		return false;
	if (hs_word_active(before) < HS_SLOTS_MAX && hs_word_active(after) == HS_SLOT_NONE)
		return false;
	return !(changed & ~FLAGS_KNOWN) && (hs_word_policy(after) < HS_POLICY_COUNT ||
					     hs_word_policy(after) == hs_word_policy(before));
}

/* ---- who is active ---- */

uint64_t word_activate(uint64_t word, const struct word_args *args)
{
	assert(args->to < HS_SLOTS_MAX);
	return seal(word, set_active(word, args->to));
}

uint64_t word_leave(uint64_t word, const struct word_args *args)
{
	assert(args->from != args->to);
	return hs_word_active(word) == args->from ? word_activate(word, args) : word;
}

uint64_t word_replace(uint64_t word, const struct word_args *args)
{
	return hs_word_flags(word) & HS_FLAG_EXCLUSIVE ? word : word_leave(word, args);
}

uint64_t word_abandon(uint64_t word, const struct word_args *args)
{
	uint64_t next = word;

	assert(args->from < HS_SLOTS_MAX && args->from != args->to);
	if (hs_word_canary(word) == args->from)
		next = set_canary(next, HS_SLOT_NONE, 0);
	if (hs_word_active(word) == args->from && args->to < HS_SLOTS_MAX)
		next = set_active(next, args->to);
	return seal(word, next);
}

/* ---- the canary ---- */

uint64_t word_set_canary(uint64_t word, const struct word_args *args)
{
	if (!args->share)
		return seal(word, set_canary(word, HS_SLOT_NONE, 0));
	assert(args->to < HS_SLOTS_MAX);
	if (hs_word_active(word) == args->to)
		return word;
	return seal(word, set_canary(word, args->to, MIN(args->share, WORD_SHARE_MAX)));
}

uint64_t word_drop_canary(uint64_t word, const struct word_args *args)
{
	assert(args->from < HS_SLOTS_MAX);
	if (hs_word_canary(word) != args->from)
		return word;
	return seal(word, set_canary(word, HS_SLOT_NONE, 0));
}

/* ---- policy and flags ---- */

uint64_t word_set_policy(uint64_t word, const struct word_args *args)
{
	assert(args->policy < HS_POLICY_COUNT);
	return seal(word, set_field(word, HS_WORD_POLICY_SHIFT, 4, args->policy));
}

uint64_t word_set_copy(uint64_t word, const struct word_args *args)
{
	return seal(word, set_flags(word, HS_FLAG_COPY, args->on));
}

uint64_t word_spread(uint64_t word, const struct word_args *args)
{
	uint64_t next = set_field(word, HS_WORD_POLICY_SHIFT, 4, HS_POLICY_HASH);

	return seal(word, set_flags(next, HS_FLAG_COPY, args->on));
}

uint64_t word_trace(uint64_t word, const struct word_args *args)
{
	return seal(word, set_flags(word, HS_FLAG_TRACE, args->on));
}

uint64_t word_park(uint64_t word, const struct word_args *args)
{
	return seal(word, set_flags(word, HS_FLAG_PARK_ALL, args->on));
}

uint64_t word_hold(uint64_t word, const struct word_args *args)
{
	(void)args;
	return seal(word, set_flags(word, HS_FLAG_PARK_ALL | HS_FLAG_EXCLUSIVE, true));
}

uint64_t word_release(uint64_t word, const struct word_args *args)
{
	uint64_t next = set_flags(word, HS_FLAG_PARK_ALL | HS_FLAG_EXCLUSIVE, false);

	assert(args->to < HS_SLOTS_MAX || args->to == HS_SLOT_NONE);
	return seal(word, args->to < HS_SLOTS_MAX ? set_active(next, args->to) : next);
}

/* ---- names ---- */

const char *policy_to_string(enum hs_policy policy)
{
	return policy < HS_POLICY_COUNT ? policy_names[policy] : "unknown";
}

enum hs_policy policy_from_string(const char *text)
{
	for (unsigned i = 0; i < HS_POLICY_COUNT; i++)
		if (!strcmp(text, policy_names[i]))
			return i;
	return HS_POLICY_COUNT;
}
