/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How much of hsd's time those may have who are not root. What one call costs depends on the call
 * and on the service, so calls are not counted: each user has a budget of processor time that fills
 * again steadily, each call takes from it what it has cost, and who has none left is refused. Pure:
 * the caller tells the time.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct quota_limit {
	uint64_t burst_usec; /* of processor time, when nothing was asked for long */
	unsigned percent;    /* of the time that goes by comes back */
};

extern const struct quota_limit quota_of_user;
/* Of all of them together: there may be many. */
extern const struct quota_limit quota_of_all;

struct quota {
	uint64_t spent_usec; /* of the burst; above it only by the cost of one call */
	uint64_t since_usec; /* when that was so */
};

/* Whether another call is carried out, and not refused. */
bool quota_may(struct quota *quota, const struct quota_limit *limit, uint64_t now_usec);
/* The call has taken so much. */
void quota_charge(struct quota *quota, uint64_t cost_usec);
/* What is known of it can be forgotten: it is full. */
bool quota_is_full(const struct quota *quota, const struct quota_limit *limit, uint64_t now_usec);
