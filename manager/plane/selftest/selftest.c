// SPDX-License-Identifier: GPL-2.0-or-later
/* The frame of the self-tests: the child, its namespace, and its results in shared memory. */
#include "plane/selftest/selftest.h"

#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>

#include "plane/selftest/selftest_checks.h"
#include "util/macro.h"

struct selftest {
	struct ability_result *results; /* shared with the child */
	size_t size;			/* of these */
	pid_t child;			/* 0 = it has ended */
	int pidfd;
};

DEFINE_CLEANUP(struct selftest, selftest_free)

/* Those that are needed take a fiftieth of it; what is slower is no reason to refuse. */
#define REFUSAL_WAIT_MS 3000

static void (*const checks[])(struct ability_result *result) = {
	[ABILITY_SELECT] = selftest_select,
	[ABILITY_MIGRATION] = selftest_migration,
	[ABILITY_WAKEUP] = selftest_wakeup,
	[ABILITY_HANDSHAKES] = selftest_handshakes,
	[ABILITY_UDP] = selftest_udp,
	[ABILITY_COOKIES] = selftest_cookies,
	[ABILITY_MMAP] = selftest_mmap,
	[ABILITY_RING] = selftest_ring,
	[ABILITY_COUNTS] = selftest_counts,
	[ABILITY_BIND] = selftest_bind,
	[ABILITY_GETFD] = selftest_getfd,
	[ABILITY_FCHOWN] = selftest_fchown,
	[ABILITY_SETNS] = selftest_setns,
	[ABILITY_CENSUS] = selftest_census,
	[ABILITY_LOADS_SELECTOR] = selftest_loads_selector,
	[ABILITY_LOADS_UDP] = selftest_loads_selector_udp,
	[ABILITY_LOADS_ACCOUNTING] = selftest_loads_accounting,
	[ABILITY_LOADS_CENSUS] = selftest_loads_census,
	[ABILITY_LOADS_QUEUES] = selftest_loads_queues,
	[ABILITY_LOADS_MOTION] = selftest_loads_motion,
	[ABILITY_LOADS_FORCE] = selftest_loads_force,
	[ABILITY_LOADS_GUARD] = selftest_loads_guard,
	[ABILITY_LOADS_OWN] = selftest_loads_own,
	[ABILITY_LOADS_EXEC] = selftest_loads_exec,
	[ABILITY_LOADS_MPTCP] = selftest_loads_mptcp,
	[ABILITY_LOADS_FRONT_DEVICE] = selftest_loads_front_device,
	[ABILITY_LOADS_FRONT] = selftest_loads_front,
	[ABILITY_LOADS_LED] = selftest_loads_led,
	[ABILITY_LOADS_LED_EXEC] = selftest_loads_led_exec,
	[ABILITY_LOADS_DECAP] = selftest_loads_decap,
	[ABILITY_LOADS_FAST] = selftest_loads_fast,
};
_Static_assert(ARRAY_SIZE(checks) == ABILITY_COUNT, "a function for each test");

int selftest_loopback_up(void)
{
	_cleanup_(close_fdp) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP};

	return fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0 ? -errno : 0;
}

/* What hsd asks for. It may make no namespace, and tries these where it is: on a port of loopback.
 */
static bool is_tried_anywhere(unsigned what)
{
	return what == ABILITY_WAKEUP || ability_needed() & (1U << what);
}

/* A namespace for one test: one sets sysctls. To load a program none is needed. */
static int enter_namespace(unsigned what)
{
	if (what >= ABILITY_LOADS_SELECTOR)
		return 0;
	if (unshare(CLONE_NEWNET) == 0)
		return selftest_loopback_up();
	return errno == EPERM && is_tried_anywhere(what) ? 0 : -errno;
}

static void run_check(unsigned what, struct ability_result *result)
{
	int r = enter_namespace(what);

	if (r < 0)
		selftest_set(result, ABILITY_UNKNOWN, "no network namespace can be made: %s",
			     strerror(-r));
	else
		checks[what](result);
}

static const struct selftest_suite abilities = {ABILITY_COUNT, run_check};

static void run_suite(const struct selftest_suite *suite, uint32_t which,
		      struct ability_result *results)
{
	for (unsigned i = 0; i < suite->n; i++)
		if (which & (1U << i))
			suite->run(i, &results[i]);
}

/* In the child. It must not outlive its parent, nor keep a duplicate of anything: a listening
 * socket that its owner closes meanwhile would not be closed. Its end of the pipe, which goes with
 * the rest, tells that this is done. */
static void be_child(pid_t parent, const struct selftest_suite *suite, uint32_t which,
		     struct ability_result *results)
{
	sigset_t none;

	syscall(SYS_close_range, 3, ~0U, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (getppid() == parent)
		run_suite(suite, which, results);
}

static int start_child(struct selftest *selftest, const struct selftest_suite *suite,
		       uint32_t which)
{
	_cleanup_(close_fdp) int here = -1, there = -1;
	pid_t parent = getpid();
	int ends[2];
	char byte;

	if (pipe(ends) < 0)
		return -errno;
	here = ends[0];
	there = ends[1];
	selftest->child = fork();
	if (selftest->child < 0) {
		selftest->child = 0;
		return -errno;
	}
	if (!selftest->child) {
		be_child(parent, suite, which, selftest->results);
		_exit(0);
	}
	there = close_fd(there);
	(void)!read(here, &byte, 1);
	selftest->pidfd = (int)syscall(SYS_pidfd_open, selftest->child, 0);
	return selftest->pidfd < 0 ? -errno : 0;
}

int selftest_start_suite(const struct selftest_suite *suite, uint32_t which,
			 struct selftest **ret_selftest)
{
	_cleanup_(selftest_freep) struct selftest *selftest = calloc(1, sizeof(*selftest));
	void *memory;
	int r;

	if (!selftest)
		return -ENOMEM;
	selftest->pidfd = -1;
	selftest->size = suite->n * sizeof(*selftest->results);
	memory = mmap(NULL, selftest->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (memory == MAP_FAILED)
		return -errno;
	selftest->results = memory;
	for (unsigned i = 0; i < suite->n; i++)
		selftest_set(&selftest->results[i], ABILITY_UNKNOWN,
			     "the test did not come to its end");
	r = start_child(selftest, suite, which);
	if (r < 0)
		return r;
	*ret_selftest = steal_ptr(&selftest);
	return 0;
}

int selftest_start(uint32_t which, struct selftest **ret_selftest)
{
	return selftest_start_suite(&abilities, which, ret_selftest);
}

int selftest_fd(const struct selftest *selftest)
{
	return selftest->pidfd;
}

static void end_child(struct selftest *selftest)
{
	if (!selftest->child)
		return;
	kill(selftest->child, SIGKILL);
	while (waitpid(selftest->child, NULL, 0) < 0 && errno == EINTR)
		;
	selftest->child = 0;
}

const struct ability_result *selftest_finish(struct selftest *selftest, int timeout_ms)
{
	struct pollfd wait = {.fd = selftest->pidfd, .events = POLLIN};

	if (selftest->child)
		(void)poll(&wait, 1, timeout_ms);
	end_child(selftest);
	return selftest->results;
}

bool selftest_refuses(struct problem *ret_sentence)
{
	struct selftest *selftest;
	struct utsname name;
	bool refuses;

	if (uname(&name) < 0 || selftest_start(ability_needed(), &selftest) < 0)
		return false;
	refuses = ability_refuses(selftest_finish(selftest, REFUSAL_WAIT_MS), name.release,
				  ret_sentence);
	selftest_free(selftest);
	return refuses;
}

struct selftest *selftest_free(struct selftest *selftest)
{
	if (!selftest)
		return NULL;
	end_child(selftest);
	close_fd(selftest->pidfd);
	if (selftest->results)
		munmap(selftest->results, selftest->size);
	free(selftest);
	return NULL;
}
