// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/word.h"

#include <string.h>

#include "util/macro.h"

static const char *const policy_names[] = {
	[HS_POLICY_STANDBY] = "standby",
	[HS_POLICY_PARITY] = "parity",
	[HS_POLICY_HASH] = "hash",
};
_Static_assert(ARRAY_SIZE(policy_names) == HS_POLICY_COUNT, "a name for each policy");

static uint64_t set_field(uint64_t word, unsigned shift, unsigned bits, uint64_t value)
{
	uint64_t mask = ((UINT64_C(1) << bits) - 1) << shift;

	return (word & ~mask) | ((value << shift) & mask);
}

static uint64_t next_generation(uint64_t word)
{
	return set_field(word, HS_WORD_GENERATION_SHIFT, 24, word_generation(word) + 1);
}

uint32_t word_generation(uint64_t word)
{
	return word >> HS_WORD_GENERATION_SHIFT;
}

uint64_t word_with_active(uint64_t word, unsigned slot)
{
	if (slot < HS_SLOTS_MAX)
		word = set_field(word, HS_WORD_ACTIVE_SHIFT, 8, slot);
	if (hs_word_canary(word) == slot)
		word = word_with_canary(word, HS_SLOT_NONE, 0);
	else
		word = next_generation(word);
	return word;
}

uint64_t word_with_policy(uint64_t word, enum hs_policy policy)
{
	if (policy < HS_POLICY_COUNT)
		word = set_field(word, HS_WORD_POLICY_SHIFT, 4, policy);
	return next_generation(word);
}

uint64_t word_with_canary(uint64_t word, unsigned slot, uint32_t share)
{
	bool none = slot >= HS_SLOTS_MAX || !share;

	word = set_field(word, HS_WORD_CANARY_SHIFT, 8, none ? HS_SLOT_NONE : slot);
	word = set_field(word, HS_WORD_SHARE_SHIFT, 16, none ? 0 : MIN(share, WORD_SHARE_MAX));
	return next_generation(word);
}

uint64_t word_with_flag(uint64_t word, enum hs_word_flag flag, bool on)
{
	uint64_t flags = hs_word_flags(word) & ~(uint64_t)flag;

	return next_generation(set_field(word, HS_WORD_FLAGS_SHIFT, 4, on ? flags | flag : flags));
}

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
