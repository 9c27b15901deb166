// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/fast/fast_times.h"

#include <stdlib.h>

#include "plane/fast/fast.h"
#include "util/clock.h"
#include "util/macro.h"

struct fast_times {
	struct hs_fast_pair *pairs; /* by the cookie of the server's end, ascending */
	size_t n, room;
	uint64_t now_nsec;
};

struct fast_times *fast_times_free(struct fast_times *times)
{
	if (!times)
		return NULL;
	free(times->pairs);
	free(times);
	return NULL;
}

DEFINE_CLEANUP(struct fast_times, fast_times_free)

static int add(const struct hs_fast_pair *pair, void *userdata)
{
	struct fast_times *times = userdata;

	if (times->n == times->room) {
		size_t room = MAX(2 * times->room, (size_t)64);
		struct hs_fast_pair *pairs =
			reallocarray(times->pairs, room, sizeof(*times->pairs));

		if (!pairs)
			return -ENOMEM;
		times->pairs = pairs;
		times->room = room;
	}
	times->pairs[times->n++] = *pair;
	return 0;
}

static int compare(const void *a, const void *b)
{
	uint64_t one = ((const struct hs_fast_pair *)a)->server_cookie;
	uint64_t other = ((const struct hs_fast_pair *)b)->server_cookie;

	return one < other ? -1 : one > other;
}

int fast_times_take(uint32_t service_id, struct fast_times **ret_times)
{
	_cleanup_(fast_times_freep) struct fast_times *times = calloc(1, sizeof(*times));
	struct fast *fast;
	int r;

	*ret_times = NULL;
	if (!times)
		return -ENOMEM;
	if (fast_attach(&fast))
		return 0;
	r = fast_each_pair(fast, service_id, add, times);
	fast_free(fast);
	if (r || !times->n)
		return r;
	qsort(times->pairs, times->n, sizeof(*times->pairs), compare);
	times->now_nsec = now_coarse_nsec();
	*ret_times = steal_ptr(&times);
	return 0;
}

/* By whichever way came something later. */
static void correct(uint32_t *ms, const struct hs_fast_direction *direction, uint64_t now_nsec)
{
	uint64_t since = 0;

	if (!direction->last_ns)
		return;
	if (now_nsec > direction->last_ns)
		since = (now_nsec - direction->last_ns) / NSEC_PER_USEC / USEC_PER_MSEC;
	*ms = MIN((uint64_t)*ms, since);
}

void fast_times_correct(const struct fast_times *times, struct connection *connection)
{
	struct hs_fast_pair key = {.server_cookie = connection->cookie};
	const struct hs_fast_pair *pair;

	if (!times)
		return;
	pair = bsearch(&key, times->pairs, times->n, sizeof(*times->pairs), compare);
	if (!pair)
		return;
	connection->pair = pair;
	correct(&connection->received_ms, &pair->directions[HS_FAST_CLIENT], times->now_nsec);
	correct(&connection->sent_ms, &pair->directions[HS_FAST_SERVER], times->now_nsec);
}
