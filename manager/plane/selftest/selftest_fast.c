// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/selftest/selftest_fast.h"

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>

#include "plane/selftest/selftest_checks.h"
#include "plane/selftest/selftest_fast_checks.h"
#include "util/macro.h"

/* One that hangs has failed, and the others are tried all the same. */
#define TEST_MS	  5000
#define LARGE_MS  120000
#define REFUSE_MS 15000

static void (*const checks[])(struct ability_result *result) = {
	[FAST_ORDER] = selftest_fast_order,
	[FAST_FIN] = selftest_fast_fin,
	[FAST_RST] = selftest_fast_rst,
	[FAST_STALL] = selftest_fast_stall,
	[FAST_NAMESPACES] = selftest_fast_namespaces,
	[FAST_EDGE] = selftest_fast_edge,
	[FAST_HALF_CLOSE] = selftest_fast_half_close,
	[FAST_MOVED] = selftest_fast_moved,
	[FAST_DESTROY] = selftest_fast_destroy,
	[FAST_STAMPS] = selftest_fast_stamps,
	[FAST_TLS] = selftest_fast_tls,
	[FAST_MPTCP] = selftest_fast_mptcp,
	[FAST_TIMES] = selftest_fast_times,
	[FAST_EPOLL] = selftest_fast_epoll,
	[FAST_PEEK] = selftest_fast_peek,
	[FAST_SENDFILE] = selftest_fast_sendfile,
	[FAST_BLOCKING] = selftest_fast_blocking,
	[FAST_WAITALL] = selftest_fast_waitall,
	[FAST_LOWAT] = selftest_fast_lowat,
	[FAST_FIONREAD] = selftest_fast_fionread,
	[FAST_SPLICE] = selftest_fast_splice,
	[FAST_ZEROCOPY] = selftest_fast_zerocopy,
	[FAST_URGENT] = selftest_fast_urgent,
	[FAST_UNREAD] = selftest_fast_unread,
	[FAST_LARGE] = selftest_fast_large,
};
_Static_assert(ARRAY_SIZE(checks) == FAST_ABILITY_COUNT, "a function for each test");

/* Where none may be made the test is on ports of loopback of this one. */
static void run_here(unsigned what, struct ability_result *result)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGPIPE, SIG_IGN);
	if (unshare(CLONE_NEWNET) == 0)
		(void)selftest_loopback_up();
	checks[what](result);
}

static void wait_for(pid_t child, unsigned what, struct ability_result *result)
{
	_cleanup_(close_fdp) int fd = (int)syscall(SYS_pidfd_open, child, 0);
	struct pollfd wait = {.fd = fd, .events = POLLIN};

	if (fd >= 0 && poll(&wait, 1, what == FAST_LARGE ? LARGE_MS : TEST_MS) == 0)
		selftest_set(result, ABILITY_FAILS, "it hangs");
	kill(child, SIGKILL);
	while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
		;
}

static void run(unsigned what, struct ability_result *result)
{
	pid_t child = fork();

	if (child < 0) {
		selftest_set(result, ABILITY_UNKNOWN, "no process for it: %m");
		return;
	}
	if (!child) {
		run_here(what, result);
		_exit(0);
	}
	wait_for(child, what, result);
}

static const struct selftest_suite suite = {FAST_ABILITY_COUNT, run};

int selftest_fast_start(uint32_t which, struct selftest **ret_selftest)
{
	return selftest_start_suite(&suite, which, ret_selftest);
}

bool selftest_fast_refuses(struct problem *ret_sentence)
{
	static struct ability_result known[FAST_ABILITY_COUNT];
	static bool tried;
	struct selftest *selftest;
	struct utsname name = {0};

	(void)uname(&name);
	if (!tried && selftest_fast_start(fast_ability_vital(), &selftest) == 0) {
		memcpy(known, selftest_finish(selftest, REFUSE_MS), sizeof(known));
		selftest_free(selftest);
		tried = true;
	}
	return fast_ability_refuses(known, name.release, ret_sentence);
}
