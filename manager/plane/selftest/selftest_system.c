// SPDX-License-Identifier: GPL-2.0-or-later
/* Self-tests of system calls. */
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "plane/selftest/selftest_checks.h"
#include "util/macro.h"

#define SOMEBODY_ELSE 65534

static int borrow_from(pid_t pid, int number)
{
	_cleanup_(close_fdp) int pidfd = (int)syscall(SYS_pidfd_open, pid, 0), fd = -1;

	if (pidfd < 0)
		return -errno;
	fd = (int)syscall(SYS_pidfd_getfd, pidfd, number, 0);
	return fd < 0 ? -errno : 0;
}

/* From another process, as it will be. */
void selftest_getfd(struct ability_result *result)
{
	_cleanup_(close_fdp) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	pid_t other = fork();
	int r;

	if (!other) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	if (other < 0) {
		selftest_set(result, ABILITY_UNKNOWN, "fork: %m");
		return;
	}
	r = borrow_from(other, fd);
	kill(other, SIGKILL);
	waitpid(other, NULL, 0);
	if (r)
		selftest_set(result, ABILITY_FAILS, "pidfd_getfd: %s", strerror(-r));
	else
		selftest_set(result, ABILITY_WORKS, NULL);
}

/* A socket on the address that belongs to `owner` in the end. */
static int listen_as(struct sockaddr_in *at, uid_t owner, int *ret_fd)
{
	_cleanup_(close_fdp) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t size = sizeof(*at);
	int one = 1;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) < 0 ||
	    fchown(fd, SOMEBODY_ELSE, -1) < 0 || fchown(fd, owner, -1) < 0 ||
	    bind(fd, (struct sockaddr *)at, size) < 0 || listen(fd, 8) < 0 ||
	    getsockname(fd, (struct sockaddr *)at, &size) < 0)
		return -errno;
	*ret_fd = steal_fd(&fd);
	return 0;
}

void selftest_fchown(struct ability_result *result)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	_cleanup_(close_fdp) int first = -1, stranger = -1, second = -1;
	int r = listen_as(&at, geteuid(), &first);

	if (r) {
		selftest_set(result, ABILITY_UNKNOWN, "fchown: %s", strerror(-r));
		return;
	}
	r = listen_as(&at, SOMEBODY_ELSE, &stranger);
	if (r != -EADDRINUSE) {
		selftest_set(result, ABILITY_FAILS, "another owner was let into the group");
		return;
	}
	r = listen_as(&at, geteuid(), &second);
	if (r)
		selftest_set(result, ABILITY_FAILS, "the new owner was not let into the group: %s",
			     strerror(-r));
	else
		selftest_set(result, ABILITY_WORKS, NULL);
}

void selftest_setns(struct ability_result *result)
{
	_cleanup_(close_fdp) int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	if (own < 0 || unshare(CLONE_NEWNET) < 0)
		selftest_set(result, ABILITY_UNKNOWN, "another network namespace: %m");
	else if (setns(own, CLONE_NEWNET) < 0)
		selftest_set(result, ABILITY_FAILS, "setns: %m");
	else
		selftest_set(result, ABILITY_WORKS, NULL);
}
