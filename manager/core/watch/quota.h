/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How much of hsd's time those may have who are not root. What one call costs depends on the call
 * and on the service, so calls are not counted: each user has a budget of processor time that fills
 * again steadily, each call takes from it what it has cost, and who has none left is refused.
 *
 * What there is for all of them is shared by those who have spent something lately: so who asks
 * little has not had its share, and is answered, however much others ask. Pure: the caller tells
 * the time.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Users that are remembered. */
#define QUOTA_USERS_MAX 256

struct quota_limit {
	uint64_t burst_usec; /* of processor time, when nothing was asked for long */
	uint64_t ppm;	     /* of the time that goes by comes back, in millionths */
};

/* Of one; what they share; and what they have in all at most, where there are more than can be
 * remembered, or their shares were larger a moment ago. */
extern const struct quota_limit quota_of_user, quota_of_all, quota_ceiling;

struct quota {
	uint64_t spent_usec; /* of the burst; above it only by the cost of one call */
	uint64_t since_usec; /* when that was so */
};

/* Whether another call is carried out, and not refused. */
bool quota_may(struct quota *quota, const struct quota_limit *limit, uint64_t now_usec);
/* The call has taken so much. */
void quota_charge(struct quota *quota, uint64_t cost_usec, uint64_t now_usec);

struct quota_user {
	uint32_t uid; /* 0 = a free place: root has no quota */
	struct quota quota;
	uint64_t last_usec; /* when it spent something, or came */
};

struct quotas {
	struct quota_user users[QUOTA_USERS_MAX];
	struct quota all;
};

enum quota_answer {
	QUOTA_GRANTED,
	QUOTA_SPENT,	   /* what a user may have */
	QUOTA_SHARE_SPENT, /* less than that: there are others */
	QUOTA_ALL_SPENT	   /* by others */
};

/* The user's place. Who has spent least, and that longest ago, is forgotten for it. Valid until the
 * next call. */
struct quota_user *quotas_user(struct quotas *quotas, uint32_t uid, uint64_t now_usec);
enum quota_answer quotas_may(struct quotas *quotas, struct quota_user *user, uint64_t now_usec);
void quotas_charge(struct quotas *quotas, struct quota_user *user, uint64_t cost_usec,
		   uint64_t now_usec);

/* Who pays for what a user asks: whom a line of subuid(5), "NAME:FIRST:COUNT", gives very many
 * users is one with all of them, FIRST. */
uint32_t quota_payer(const char *subuids, uint32_t uid);
