// SPDX-License-Identifier: GPL-2.0-or-later
#include "util/fdpass.h"

#include <string.h>
#include <sys/socket.h>

#include "util/macro.h"

/* cmsg(3): aligned as a header is. */
union control {
	struct cmsghdr header;
	char space[CMSG_SPACE(FDPASS_MAX * sizeof(int))];
};

int fdpass_send(int socket, const void *data, size_t size, const int *fds, size_t n_fds, int flags)
{
	union control control = {0};
	struct iovec part = {(void *)data, size};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

	if (n_fds > FDPASS_MAX)
		return -E2BIG;
	if (n_fds) {
		message.msg_control = &control;
		message.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(&control.header), fds, n_fds * sizeof(int));
	}
	return sendmsg(socket, &message, flags | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static void take(const struct cmsghdr *rights, int *fds, size_t room, size_t *n)
{
	size_t came = (rights->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	int fd;

	for (size_t i = 0; i < came; i++) {
		memcpy(&fd, CMSG_DATA(rights) + i * sizeof(fd), sizeof(fd));
		if (*n < room)
			fds[(*n)++] = fd;
		else
			close_fd(fd);
	}
}

ssize_t fdpass_receive(int socket, void *data, size_t size, int *fds, size_t *n_fds, int flags)
{
	union control control;
	struct iovec part = {data, size};
	struct msghdr message = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	size_t room = n_fds ? *n_fds : 0, n = 0;
	ssize_t got = recvmsg(socket, &message, flags | MSG_CMSG_CLOEXEC);

	if (got < 0)
		return -errno;
	for (struct cmsghdr *each = CMSG_FIRSTHDR(&message); each;
	     each = CMSG_NXTHDR(&message, each))
		if (each->cmsg_level == SOL_SOCKET && each->cmsg_type == SCM_RIGHTS)
			take(each, fds, room, &n);
	if (n_fds)
		*n_fds = n;
	return got;
}
