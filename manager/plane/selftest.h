/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What this kernel can do, found out by doing it: in a child process with a network namespace of
 * its own, which ends with it. Nothing is pinned, and nothing else on the machine is touched; the
 * programs for cgroups are attached to the root cgroup for milliseconds and act on the test's own
 * sockets only.
 */
#pragma once

#include <stdint.h>

enum selftest_what {
	SELFTEST_SELECT,     /* a program chooses the listener of a connection */
	SELFTEST_MIGRATION,  /* a queue moves when its listener closes */
	SELFTEST_WAKEUP,     /* and the server that got it is woken (not with CVE-2026-46015) */
	SELFTEST_HANDSHAKES, /* half-open handshakes move, too */
	SELFTEST_UDP,	     /* a program chooses the socket of a datagram */
	SELFTEST_COOKIES,    /* SYN cookies pass through the program */
	SELFTEST_MMAP,	     /* a map's memory is shared with user space */
	SELFTEST_RING,	     /* ring buffers */
	SELFTEST_COUNTS,     /* connections inherit socket storage, and sock_ops counts them */
	SELFTEST_BIND,	     /* cgroup programs can set SO_REUSEPORT at bind(2) */
	SELFTEST_GETFD,	     /* pidfd_getfd(2) */
	SELFTEST_FCHOWN,     /* fchown(2) of a socket changes the uid that its group asks for */
	SELFTEST_SETNS,	     /* network namespaces can be entered */
	SELFTEST_COUNT
};

#define SELFTEST_ALL (~UINT32_C(0))

enum selftest_verdict {
	SELFTEST_UNKNOWN, /* it could not be tried; `detail` says what stood against it */
	SELFTEST_WORKS,
	SELFTEST_FAILS, /* `detail` says at which step */
};

struct selftest_result {
	enum selftest_verdict verdict;
	char detail[160]; /* "" when it works */
};

struct selftest;

/* Starts the tests of this bit mask (1 << SELFTEST_...). The child holds no descriptor of ours when
 * this returns. -errno of fork(2) and the like. */
int selftest_start(uint32_t which, struct selftest **ret_selftest);
/* A descriptor that becomes readable at its end. Stays the selftest's. */
int selftest_fd(const struct selftest *selftest);
/* Waits for the end, at most `timeout_ms`; what was not done by then is unknown. The results are
 * the selftest's, SELFTEST_COUNT of them. */
const struct selftest_result *selftest_finish(struct selftest *selftest, int timeout_ms);
/* Ends the child, if it still runs. Takes NULL. */
struct selftest *selftest_free(struct selftest *selftest);
