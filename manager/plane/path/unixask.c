// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/path/unixask.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netlink.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/fdpass.h"
#include "util/macro.h"

/* Microseconds do, unless the machine is very busy or the kernel is kept waiting. */
#define PATIENCE_MSEC 200
#define REQUEST_MAX   256

static struct {
	int fd;	     /* to the process that asks */
	pid_t owner; /* whose it is; 0 = it asks for itself */
	pid_t child; /* the process that asks; 0 = none yet */
	bool waits;  /* for the end of the last request */
} asker = {.fd = -1};

bool unixask_is_needed(void)
{
	unsigned major, minor;
	struct utsname name;

	return !uname(&name) && sscanf(name.release, "%u.%u", &major, &minor) == 2 &&
	       (major < 6 || (major == 6 && minor < 9));
}

/* ---- the messages: a request, with the socket that it is sent by; its result ---- */

static int pass(int fd, int socket_fd, const void *request, size_t size)
{
	return fdpass_send(fd, request, size, &socket_fd, 1, MSG_DONTWAIT);
}

/* Its size; 0 = nobody will ask any more. */
static ssize_t take(int fd, char request[REQUEST_MAX], int *ret_socket)
{
	size_t n_fds = 1;

	*ret_socket = -1;
	return fdpass_receive(fd, request, REQUEST_MAX, ret_socket, &n_fds, 0);
}

/* ---- who asks ---- */

static int send_to_kernel(int socket_fd, const void *request, size_t size)
{
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};

	return sendto(socket_fd, request, size, 0, (struct sockaddr *)&kernel, sizeof(kernel)) < 0
		       ? -errno
		       : 0;
}

static void ask_for_another(int fd)
{
	char request[REQUEST_MAX];
	int socket_fd, r;
	ssize_t n;

	/* what others are waiting to see closed is not for this process to hold */
	dup2(fd, 3);
	syscall(SYS_close_range, 4, ~0U, 0);
	prctl(PR_SET_NAME, "hsd-ask");
	while ((n = take(3, request, &socket_fd)) > 0) {
		r = send_to_kernel(socket_fd, request, n);
		close_fd(socket_fd);
		if (send(3, &r, sizeof(r), MSG_NOSIGNAL) < 0)
			break;
	}
	_exit(0);
}

pid_t unixask_begin(void)
{
	int pair[2];
	pid_t pid;

	asker.fd = close_fd(asker.fd);
	/* one that somebody has killed */
	if (asker.owner == getpid() && asker.child > 0)
		waitpid(asker.child, NULL, WNOHANG);
	asker.owner = asker.child = 0;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	pid = fork();
	if (!pid)
		ask_for_another(pair[1]);
	close_fd(pair[1]);
	if (pid < 0) {
		close_fd(pair[0]);
		return -ENOMEM;
	}
	asker.fd = pair[0];
	asker.owner = getpid();
	asker.child = pid;
	asker.waits = false;
	return pid;
}

/* ---- for whom ---- */

/* -ETIME: it waits still; -EPIPE: it is gone. */
static int wait_for_end(int msec, int *ret_result)
{
	struct pollfd end = {.fd = asker.fd, .events = POLLIN};
	int n = poll(&end, 1, msec);

	if (n <= 0)
		return -ETIME;
	if (recv(asker.fd, ret_result, sizeof(*ret_result), MSG_DONTWAIT) != sizeof(*ret_result))
		return -EPIPE;
	asker.waits = false;
	return 0;
}

static int ask_by_another(int socket_fd, const void *request, size_t size)
{
	int result, r = asker.waits ? wait_for_end(0, &result) : 0;

	if (!r)
		r = pass(asker.fd, socket_fd, request, size);
	if (r)
		return r;
	asker.waits = true;
	r = wait_for_end(PATIENCE_MSEC, &result);
	return r ? r : result;
}

int unixask_send(const struct mnl_socket *socket, const void *request, size_t size)
{
	int fd = mnl_socket_get_fd(socket), r;

	if (asker.owner != getpid())
		return send_to_kernel(fd, request, size);
	r = ask_by_another(fd, request, size);
	/* somebody has killed it */
	if (r == -EPIPE && unixask_begin() > 0)
		r = ask_by_another(fd, request, size);
	return r;
}
