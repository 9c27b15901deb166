// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsctl/verb/trace_pairs.h"

#include <stdlib.h>

#include "plane/fast/fast.h"
#include "util/clock.h"
#include "util/macro.h"

/* The clock that they have is read at ticks: by then all of one tick are there. */
#define TICKS_NSEC (20 * USEC_PER_MSEC * NSEC_PER_USEC)

struct trace_pairs {
	struct fast *fast;
	uint32_t service_id;
	const struct hs_prefix *from;
	uint64_t after_nsec, until_nsec; /* when those that are told of began */
	int (*each)(const struct hs_fast_pair *pair, void *userdata);
	void *userdata;
};

struct trace_pairs *trace_pairs_new(uint32_t service_id, const struct hs_prefix *from)
{
	struct trace_pairs *pairs = calloc(1, sizeof(*pairs));

	if (pairs && fast_attach(&pairs->fast)) {
		free(pairs);
		pairs = NULL;
	}
	if (!pairs)
		return NULL;
	pairs->service_id = service_id;
	pairs->from = from;
	pairs->until_nsec = now_coarse_nsec();
	return pairs;
}

struct trace_pairs *trace_pairs_free(struct trace_pairs *pairs)
{
	if (!pairs)
		return NULL;
	fast_free(pairs->fast);
	free(pairs);
	return NULL;
}

static bool is_from(const struct hs_prefix *prefix, const uint8_t ip[16])
{
	for (unsigned bit = 0; prefix && bit < MIN(prefix->length, 128U); bit++)
		if ((prefix->ip[bit / 8] ^ ip[bit / 8]) & (0x80 >> bit % 8))
			return false;
	return true;
}

static int on_pair(const struct hs_fast_pair *pair, void *userdata)
{
	const struct trace_pairs *pairs = userdata;

	if (pair->begun_ns < pairs->after_nsec || pair->begun_ns >= pairs->until_nsec ||
	    !is_from(pairs->from, pair->end.remote))
		return 0;
	return pairs->each(pair, pairs->userdata);
}

int trace_pairs_look(struct trace_pairs *pairs,
		     int (*each)(const struct hs_fast_pair *pair, void *userdata), void *userdata)
{
	pairs->after_nsec = pairs->until_nsec;
	pairs->until_nsec = MAX(now_coarse_nsec() - TICKS_NSEC, pairs->after_nsec);
	pairs->each = each;
	pairs->userdata = userdata;
	return fast_each_pair(pairs->fast, pairs->service_id, on_pair, pairs);
}
