/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A connection on the fast path, for its self-tests. */
#pragma once

#include <stdbool.h>

#include "core/doctor/ability.h"
#include "plane/selftest/fast_stage.h"

/* Who waits in it waits no longer than this. */
#define FAST_WAIT_MS 500

struct fast_link {
	struct fast_stage stage;
	struct sockaddr_storage at;
	int listener;
	int ends[HS_FAST_SIDES];
};

/* False: there is none, and the result says why. */
bool fast_link_open(struct fast_link *link, struct ability_result *result);
void fast_link_close(struct fast_link *link);
/* Another connection of the same; its ends take the place of those before. */
bool fast_link_again(struct fast_link *link);
/* All of it is sent by this side; and, the other way round, comes next at the other end. */
bool fast_link_send(const struct fast_link *link, enum hs_fast_side side, const char *text);
bool fast_link_reads(const struct fast_link *link, enum hs_fast_side side, const char *text);
bool fast_link_is_fast(const struct fast_link *link, enum hs_fast_side side);
/* Works, or fails with this detail; unknown if what this side sent did not go the fast way. */
void fast_link_judge(const struct fast_link *link, enum hs_fast_side side, bool works,
		     const char *detail, struct ability_result *result);
/* Seconds since some beginning. */
double fast_link_clock(void);
