/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What goes into the decision and comes out of it, for both sides of test_decide_tc. */
#pragma once

#include "hs_abi.h"

struct decide_input {
	__u64 word, key, bits;
	__u32 hash, ready;
	__u16 sport;
	__u16 pad[3];
	struct hs_shards shards;
};

struct decide_output {
	__u32 wanted, ready, next, shard, mixed, pad;
};
