/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The routing word in user space: taking it apart, and the changes that may be made to it. Reading
 * its fields one by one is bpf/hs_decide.h, shared with the selector. */
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

/* Each returns the changed word with the next generation. Arguments out of range are a caller's
 * defect and leave the field as it was. A slot that becomes active ceases to be the canary. */
uint64_t word_with_active(uint64_t word, unsigned slot);
uint64_t word_with_policy(uint64_t word, enum hs_policy policy);
/* slot HS_SLOT_NONE or share 0: no canary. share in 1/65536. */
uint64_t word_with_canary(uint64_t word, unsigned slot, uint32_t share);

/* Sets or clears one flag. */
uint64_t word_with_flag(uint64_t word, enum hs_word_flag flag, bool on);

/* "standby", "parity", "hash"; "unknown" for a policy of a later version. */
const char *policy_to_string(enum hs_policy policy);
/* HS_POLICY_COUNT when there is no such policy. */
enum hs_policy policy_from_string(const char *text);
