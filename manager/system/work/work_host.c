// SPDX-License-Identifier: GPL-2.0-or-later
/* The process that makes those that do the work. */
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>

#include "system/work/work.h"
#include "system/work/work_do.h"
#include "util/clock.h"
#include "util/fdpass.h"
#include "util/macro.h"

/* The socket, the file, and a park for each listener. */
#define ORDER_FDS_MAX (2 + PLANE_LISTENERS_MAX)
/* Nobody waits that long: what is not done then is not wanted any more. */
#define WORK_TIME_MAX (60 * USEC_PER_SEC)

struct work_host {
	int fd;
	bool borrows;
	uint64_t until;
	struct accounting *accounting; /* NULL: not made yet */
};

struct rights {
	int fds[ORDER_FDS_MAX];
	size_t n;
};

static void close_all(struct rights *rights)
{
	while (rights->n)
		close_fd(rights->fds[--rights->n]);
}

int work_host_order(int host_fd, const int *fds, size_t n_fds)
{
	char byte = 0;

	if (n_fds > ORDER_FDS_MAX)
		return -E2BIG;
	return fdpass_send(host_fd, &byte, 1, fds, n_fds, MSG_DONTWAIT);
}

/* 0 = nobody will ask any more. */
static int receive(int host_fd, struct rights *ret_rights)
{
	char byte;
	ssize_t n;

	ret_rights->n = ARRAY_SIZE(ret_rights->fds);
	n = fdpass_receive(host_fd, &byte, 1, ret_rights->fds, &ret_rights->n, 0);
	if (n <= 0)
		ret_rights->n = 0;
	return n < 0 ? (int)n : n > 0;
}

static void set_alarm(uint64_t until)
{
	uint64_t now = now_usec(), time = WORK_TIME_MAX;
	struct itimerval timer = {0};

	if (until)
		time = until > now ? MIN(time, until - now) : 1;
	timer.it_value.tv_sec = (time_t)(time / USEC_PER_SEC);
	timer.it_value.tv_usec = (suseconds_t)(time % USEC_PER_SEC);
	setitimer(ITIMER_REAL, &timer, NULL);
}

static void begin(const struct work_host *host, const struct rights *rights)
{
	pid_t child = fork();

	if (child)
		return;
	close_fd(host->fd);
	signal(SIGCHLD, SIG_DFL);
	signal(SIGALRM, SIG_DFL);
	set_alarm(host->until);
	work_do(rights->fds[0], rights->fds[1], rights->fds + 2, rights->n - 2, host->accounting,
		host->borrows);
	_exit(0);
}

static void serve(struct work_host *host)
{
	struct rights rights;
	int r;

	while ((r = receive(host->fd, &rights)) != 0) {
		/* no memory, say: the next order may find some */
		if (r < 0)
			continue;
		/* the daemon has made it by the time of its first order */
		if (!host->accounting)
			(void)accounting_attach(&host->accounting);
		if (rights.n >= 2)
			begin(host, &rights);
		close_all(&rights);
	}
}

/* Whoever waits for the end of a command's output is not to wait for what it has given up. */
static void be_silent(void)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int i = STDIN_FILENO; fd >= 0 && i <= STDERR_FILENO; i++)
		dup2(fd, i);
}

static void be_host(struct work_host *host)
{
	sigset_t none;

	/* what others are waiting to see closed is not for this process and its children to hold */
	dup2(host->fd, 3);
	host->fd = 3;
	if (!host->borrows)
		be_silent();
	syscall(SYS_close_range, 4, ~0U, 0);
	prctl(PR_SET_NAME, "hsd-work");
	unsetenv("NOTIFY_SOCKET");
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGCHLD, SIG_IGN);
	serve(host);
}

int work_host_new(bool borrows, uint64_t until, int *ret_fd)
{
	_cleanup_(close_fdp) int here = -1, there = -1;
	int ends[2];
	pid_t child;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	here = ends[0];
	there = ends[1];
	child = fork();
	if (child < 0)
		return -errno;
	if (!child) {
		struct work_host host = {.fd = there, .borrows = borrows, .until = until};

		be_host(&host);
		_exit(0);
	}
	*ret_fd = steal_fd(&here);
	return 0;
}
