// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Self-tests of the programs that are used: each object is loaded as it will be, into maps of its
 * own, and attached to nothing. A kernel may be able to do all that a small program tries out, and
 * yet its verifier refuse what a compiler has made of the large one.
 */
#include <bpf/libbpf.h>
#include <string.h>

#include "accounting.skel.h"
#include "census.skel.h"
#include "decap.skel.h"
#include "exec.skel.h"
#include "fast.skel.h"
#include "front.skel.h"
#include "front_device.skel.h"
#include "guard.skel.h"
#include "led.skel.h"
#include "led_exec.skel.h"
#include "motion.skel.h"
#include "own.skel.h"
#include "plane/act/force.h"
#include "plane/bpf/load.h"
#include "plane/bpf/mptcp.h"
#include "plane/selftest/selftest_checks.h"
#include "queues.skel.h"
#include "selector.skel.h"
#include "selector_udp.skel.h"
#include "util/macro.h"

/* What was not tried for want of permission says nothing about the kernel. */
static void judge(int error, const struct problem *refusal, struct ability_result *result)
{
	selftest_set(result,
		     !error				   ? ABILITY_WORKS
		     : error == -EPERM || error == -ENOMEM ? ABILITY_UNKNOWN
							   : ABILITY_FAILS,
		     "%s", error ? refusal->text : "");
}

static void try_object(struct bpf_object *object, const char *what, struct ability_result *result)
{
	struct problem refusal;
	int r = object ? load_object(object, what, &refusal) : -errno;

	if (!object)
		problem_set(&refusal, r, "%s cannot be opened: %s", what, strerror(-r));
	judge(r, &refusal, result);
}

#define SELFTEST_OBJECT(name, what)                                \
	void selftest_loads_##name(struct ability_result *result)  \
	{                                                          \
		struct name##_bpf *skel = name##_bpf__open();      \
                                                                   \
		try_object(skel ? skel->obj : NULL, what, result); \
		name##_bpf__destroy(skel);                         \
	}

SELFTEST_OBJECT(selector, "the selector")
SELFTEST_OBJECT(selector_udp, "the selector for UDP")
SELFTEST_OBJECT(accounting, "the accounting program")
SELFTEST_OBJECT(census, "the census")
SELFTEST_OBJECT(queues, "the look at accept queues")
SELFTEST_OBJECT(motion, "the look at what moves")
SELFTEST_OBJECT(guard, "the guard of the selector")
SELFTEST_OBJECT(own, "the programs of the own way")
SELFTEST_OBJECT(exec, "the programs for a command")
SELFTEST_OBJECT(front_device, "the program of a front's device")
SELFTEST_OBJECT(front, "the program of a front")
SELFTEST_OBJECT(led, "the programs for probes of hosts")
SELFTEST_OBJECT(led_exec, "the programs for a command to a host")
SELFTEST_OBJECT(decap, "the program that unpacks")
SELFTEST_OBJECT(fast, "the fast path")

/* Those that are loaded in another way where the kernel knows less. */
#define SELFTEST_OBJECT_BY(name, try)                             \
	void selftest_loads_##name(struct ability_result *result) \
	{                                                         \
		struct problem refusal;                           \
		int r = try(&refusal);                            \
                                                                  \
		judge(r, &refusal, result);                       \
	}

SELFTEST_OBJECT_BY(force, force_try)
SELFTEST_OBJECT_BY(mptcp, mptcp_try)
