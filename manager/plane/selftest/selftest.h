/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What this kernel can do, found out by doing it: in a child process with a network namespace of
 * its own, which ends with it. Nothing is pinned, and nothing else on the machine is touched; the
 * programs for cgroups are attached to the root cgroup for milliseconds and act on the test's own
 * sockets only.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/doctor/ability.h"

#define SELFTEST_ALL (~UINT32_C(0))

struct selftest;

/* Starts the tests of this bit mask (1 << ABILITY_...). The child holds no descriptor of ours when
 * this returns. -errno of fork(2) and the like. */
int selftest_start(uint32_t which, struct selftest **ret_selftest);
/* Other tests in the same frame: `n` of them, and how one is run in the child, where it sets its
 * result. */
struct selftest_suite {
	unsigned n;
	void (*run)(unsigned what, struct ability_result *result);
};
int selftest_start_suite(const struct selftest_suite *suite, uint32_t which,
			 struct selftest **ret_selftest);
/* A descriptor that becomes readable at its end. Stays the selftest's. */
int selftest_fd(const struct selftest *selftest);
/* Waits for the end, at most `timeout_ms`; what was not done by then is unknown. The results are
 * the selftest's, ABILITY_COUNT of them, or as many as the suite has. */
const struct ability_result *selftest_finish(struct selftest *selftest, int timeout_ms);
/* Tries out what is needed, and waits for it: ability_refuses(). Some 50 ms. Where it cannot be
 * tried the answer is no. */
bool selftest_refuses(struct problem *ret_sentence);
/* Ends the child, if it still runs. Takes NULL. */
struct selftest *selftest_free(struct selftest *selftest);
