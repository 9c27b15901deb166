// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/watch/quota.h"

#include "util/macro.h"

const struct quota_limit quota_of_user = {.burst_usec = 100 * USEC_PER_MSEC, .percent = 10};
const struct quota_limit quota_of_all = {.burst_usec = 200 * USEC_PER_MSEC, .percent = 20};

static uint64_t spent_by(const struct quota *quota, const struct quota_limit *limit,
			 uint64_t now_usec)
{
	uint64_t passed = now_usec > quota->since_usec ? now_usec - quota->since_usec : 0;
	uint64_t back = passed / 100 * limit->percent;

	return back < quota->spent_usec ? quota->spent_usec - back : 0;
}

bool quota_may(struct quota *quota, const struct quota_limit *limit, uint64_t now_usec)
{
	uint64_t spent = spent_by(quota, limit, now_usec);

	/* else nothing would come back to who asks again within 100 us */
	if (spent != quota->spent_usec || !spent) {
		quota->spent_usec = spent;
		quota->since_usec = now_usec;
	}
	return spent < limit->burst_usec;
}

void quota_charge(struct quota *quota, uint64_t cost_usec)
{
	quota->spent_usec += cost_usec;
}

bool quota_is_full(const struct quota *quota, const struct quota_limit *limit, uint64_t now_usec)
{
	return !spent_by(quota, limit, now_usec);
}
