// SPDX-License-Identifier: GPL-2.0-or-later
/* The process that makes those that do the work. */
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "system/work/work.h"
#include "system/work/work_do.h"
#include "util/macro.h"

/* The socket, the file, and a park for each listener. */
#define ORDER_FDS_MAX (2 + PLANE_LISTENERS_MAX)
/* Nobody waits that long: what is not done then is not wanted any more. Seconds. */
#define WORK_TIME_MAX 60

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
	char byte = 0, control[CMSG_SPACE(ORDER_FDS_MAX * sizeof(int))] = {0};
	struct iovec part = {&byte, 1};
	struct msghdr message = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = CMSG_SPACE(n_fds * sizeof(int)),
	};
	struct cmsghdr *rights = CMSG_FIRSTHDR(&message);

	if (n_fds > ORDER_FDS_MAX)
		return -E2BIG;
	rights->cmsg_level = SOL_SOCKET;
	rights->cmsg_type = SCM_RIGHTS;
	rights->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
	memcpy(CMSG_DATA(rights), fds, n_fds * sizeof(int));
	return sendmsg(host_fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

/* 0 = nobody will ask any more. */
static int receive(int host_fd, struct rights *ret_rights)
{
	char byte, control[CMSG_SPACE(ORDER_FDS_MAX * sizeof(int))];
	struct iovec part = {&byte, 1};
	struct msghdr message = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *rights;
	ssize_t n = recvmsg(host_fd, &message, MSG_CMSG_CLOEXEC);

	ret_rights->n = 0;
	if (n <= 0)
		return n < 0 ? -errno : 0;
	rights = CMSG_FIRSTHDR(&message);
	if (rights && rights->cmsg_type == SCM_RIGHTS) {
		ret_rights->n = (rights->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(ret_rights->fds, CMSG_DATA(rights), ret_rights->n * sizeof(int));
	}
	return 1;
}

static void begin(const struct rights *rights, int host_fd, struct accounting *accounting,
		  bool borrows)
{
	pid_t child = fork();

	if (child)
		return;
	close_fd(host_fd);
	signal(SIGCHLD, SIG_DFL);
	alarm(WORK_TIME_MAX);
	work_do(rights->fds[0], rights->fds[1], rights->fds + 2, rights->n - 2, accounting,
		borrows);
	_exit(0);
}

static void serve(int host_fd, bool borrows)
{
	struct accounting *accounting = NULL;
	struct rights rights;
	int r;

	while ((r = receive(host_fd, &rights)) != 0) {
		/* no memory, say: the next order may find some */
		if (r < 0)
			continue;
		/* the daemon has made it by the time of its first order */
		if (!accounting)
			(void)accounting_attach(&accounting);
		if (rights.n >= 2)
			begin(&rights, host_fd, accounting, borrows);
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

static void be_host(int host_fd, bool borrows)
{
	sigset_t none;

	/* what others are waiting to see closed is not for this process and its children to hold */
	dup2(host_fd, 3);
	if (!borrows)
		be_silent();
	syscall(SYS_close_range, 4, ~0U, 0);
	prctl(PR_SET_NAME, "hsd-work");
	unsetenv("NOTIFY_SOCKET");
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGCHLD, SIG_IGN);
	serve(3, borrows);
}

int work_host_new(bool borrows, int *ret_fd)
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
		be_host(there, borrows);
		_exit(0);
	}
	*ret_fd = steal_fd(&here);
	return 0;
}
