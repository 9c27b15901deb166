/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a kernel may be able to do, and how that came out when it was tried
 * (plane/selftest/selftest.h). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "util/problem.h"

enum ability {
	ABILITY_SELECT,	    /* a program chooses the listener of a connection */
	ABILITY_MIGRATION,  /* a queue moves when its listener closes */
	ABILITY_WAKEUP,	    /* and the server that got it is woken (not with CVE-2026-46015) */
	ABILITY_HANDSHAKES, /* half-open handshakes move, too */
	ABILITY_UDP,	    /* a program chooses the socket of a datagram */
	ABILITY_COOKIES,    /* SYN cookies pass through the program */
	ABILITY_MMAP,	    /* a map's memory is shared with user space */
	ABILITY_RING,	    /* ring buffers */
	ABILITY_COUNTS,	    /* connections inherit socket storage, and sock_ops counts them */
	ABILITY_BIND,	    /* cgroup programs can set SO_REUSEPORT at bind(2) */
	ABILITY_GETFD,	    /* pidfd_getfd(2) */
	ABILITY_FCHOWN,	    /* fchown(2) of a socket changes the uid that its group asks for */
	ABILITY_SETNS,	    /* network namespaces can be entered */
	ABILITY_CENSUS,	    /* an iterator sees what connections are doing */
	/* the programs that hotstandby itself uses pass this kernel's verifier */
	ABILITY_LOADS_SELECTOR,
	ABILITY_LOADS_UDP,
	ABILITY_LOADS_ACCOUNTING,
	ABILITY_LOADS_CENSUS,
	ABILITY_LOADS_QUEUES,
	ABILITY_LOADS_MOTION,
	ABILITY_LOADS_FORCE,
	ABILITY_LOADS_GUARD,
	ABILITY_LOADS_OWN,
	ABILITY_LOADS_EXEC,
	ABILITY_LOADS_MPTCP,
	ABILITY_LOADS_FRONT_DEVICE,
	ABILITY_LOADS_FRONT,
	ABILITY_LOADS_LED,
	ABILITY_LOADS_LED_EXEC,
	ABILITY_LOADS_DECAP,
	ABILITY_LOADS_FAST,
	ABILITY_COUNT
};

enum ability_verdict {
	ABILITY_UNKNOWN, /* it could not be tried; `detail` says what stood against it */
	ABILITY_WORKS,
	ABILITY_FAILS, /* `detail` says at which step */
};

struct ability_result {
	enum ability_verdict verdict;
	char detail[PROBLEM_TEXT_MAX]; /* "" when it works */
};

/* "kernel.migration-wakeup", as hsctl doctor has it. */
const char *ability_to_string(enum ability ability);

/* Bit mask of those without which nothing can be done at all. */
uint32_t ability_needed(void);

/*
 * Whether hotstandby is of no use on this kernel; then the sentence says what it lacks, and from
 * which version on Linux has it. What could not be tried is not held against it. `release` is the
 * kernel's, as uname(2) has it.
 */
bool ability_refuses(const struct ability_result *results, const char *release,
		     struct problem *ret_sentence);
