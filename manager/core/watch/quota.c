// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/watch/quota.h"

#include <stdlib.h>
#include <string.h>

#include "util/macro.h"

#define MILLION	     UINT64_C(1000000)
#define LONGEST_USEC (24 * 3600 * USEC_PER_SEC) /* a product of it fits */
/* Longer than what one may have takes to come back. */
#define LATELY_USEC (2 * USEC_PER_SEC)

const struct quota_limit quota_of_user = {.burst_usec = 100 * USEC_PER_MSEC, .ppm = 100000};
const struct quota_limit quota_of_all = {.burst_usec = 150 * USEC_PER_MSEC, .ppm = 200000};
const struct quota_limit quota_ceiling = {.burst_usec = 200 * USEC_PER_MSEC, .ppm = 300000};

/* ---- one budget ---- */

static uint64_t came_back(const struct quota *quota, const struct quota_limit *limit,
			  uint64_t now_usec)
{
	uint64_t passed = now_usec > quota->since_usec ? now_usec - quota->since_usec : 0;

	return MIN(passed, LONGEST_USEC) * limit->ppm / MILLION;
}

static uint64_t spent_by(const struct quota *quota, const struct quota_limit *limit,
			 uint64_t now_usec)
{
	uint64_t back = came_back(quota, limit, now_usec);

	return back < quota->spent_usec ? quota->spent_usec - back : 0;
}

bool quota_may(struct quota *quota, const struct quota_limit *limit, uint64_t now_usec)
{
	uint64_t back = came_back(quota, limit, now_usec);

	/* the time that has given a part of a microsecond counts on: else nothing would come back
	 * to who asks again and again */
	if (back < quota->spent_usec)
		*quota = (struct quota) {quota->spent_usec - back,
					 quota->since_usec + back * MILLION / limit->ppm};
	else
		*quota = (struct quota) {0, now_usec};
	return quota->spent_usec < limit->burst_usec;
}

void quota_charge(struct quota *quota, uint64_t cost_usec, uint64_t now_usec)
{
	if (!quota->spent_usec)
		quota->since_usec = now_usec;
	quota->spent_usec += cost_usec;
}

/* ---- of all users ---- */

/* A small share comes back in no time, and who has had it asks for the next one: it shares on. */
static bool shares(const struct quota_user *user, uint64_t now_usec)
{
	return user->uid && (spent_by(&user->quota, &quota_of_user, now_usec) ||
			     now_usec < user->last_usec + LATELY_USEC);
}

static bool is_less(const struct quota_user *a, const struct quota_user *b, uint64_t now_usec)
{
	uint64_t one = spent_by(&a->quota, &quota_of_user, now_usec),
		 other = spent_by(&b->quota, &quota_of_user, now_usec);

	return one < other || (one == other && a->last_usec < b->last_usec);
}

struct quota_user *quotas_user(struct quotas *quotas, uint32_t uid, uint64_t now_usec)
{
	struct quota_user *least = &quotas->users[0];

	for (size_t i = 0; i < QUOTA_USERS_MAX; i++) {
		struct quota_user *user = &quotas->users[i];

		if (user->uid == uid)
			return user;
		if (is_less(user, least, now_usec))
			least = user;
	}
	*least = (struct quota_user) {
		.uid = uid, .quota.since_usec = now_usec, .last_usec = now_usec};
	return least;
}

/* What each may have so that all of them together have no more than is for all. */
static struct quota_limit share(const struct quotas *quotas, const struct quota_user *with,
				uint64_t now_usec)
{
	unsigned n = 0;

	for (size_t i = 0; i < QUOTA_USERS_MAX; i++)
		n += &quotas->users[i] == with || shares(&quotas->users[i], now_usec);
	return (struct quota_limit) {
		.burst_usec = MIN(quota_of_user.burst_usec, quota_of_all.burst_usec / n),
		.ppm = MIN(quota_of_user.ppm, quota_of_all.ppm / n),
	};
}

enum quota_answer quotas_may(struct quotas *quotas, struct quota_user *user, uint64_t now_usec)
{
	struct quota_limit limit = share(quotas, user, now_usec);

	if (!quota_may(&user->quota, &limit, now_usec))
		return limit.ppm < quota_of_user.ppm ? QUOTA_SHARE_SPENT : QUOTA_SPENT;
	return quota_may(&quotas->all, &quota_ceiling, now_usec) ? QUOTA_GRANTED : QUOTA_ALL_SPENT;
}

void quotas_charge(struct quotas *quotas, struct quota_user *user, uint64_t cost_usec,
		   uint64_t now_usec)
{
	user->last_usec = now_usec;
	quota_charge(&user->quota, cost_usec, now_usec);
	quota_charge(&quotas->all, cost_usec, now_usec);
}

/* ---- who is many ---- */

/* The line's first user if this is one of its users, else 0, which no such line can have. */
static uint32_t payer_by(const char *line, uint32_t uid)
{
	const char *colon = line + strcspn(line, ":\n");
	unsigned long first, count;
	char *end;

	if (*colon != ':')
		return 0;
	first = strtoul(colon + 1, &end, 10);
	count = *end == ':' ? strtoul(end + 1, NULL, 10) : 0;
	return uid >= first && uid - first < count ? (uint32_t)first : 0;
}

uint32_t quota_payer(const char *subuids, uint32_t uid)
{
	const char *line = subuids;

	while (*line) {
		uint32_t payer = payer_by(line, uid);

		if (payer)
			return payer;
		line += strcspn(line, "\n");
		line += *line == '\n';
	}
	return uid;
}
