// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/borrow/borrow_wire.h"

#include <string.h>
#include <sys/socket.h>

#include "util/macro.h"

int borrow_send(int socket, const void *data, size_t size, const int *fds, size_t n_fds)
{
	char control[CMSG_SPACE(LEND_NAMESPACES_MAX * sizeof(int))] = {0};
	struct iovec part = {(void *)data, size};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	struct cmsghdr *rights;

	if (n_fds) {
		message.msg_control = control;
		message.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		rights = CMSG_FIRSTHDR(&message);
		rights->cmsg_level = SOL_SOCKET;
		rights->cmsg_type = SCM_RIGHTS;
		rights->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(rights), fds, n_fds * sizeof(int));
	}
	return sendmsg(socket, &message, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static void take_fds(const struct msghdr *message, int *fds, size_t *n_fds)
{
	struct cmsghdr *rights = CMSG_FIRSTHDR(message);
	size_t room = *n_fds, n = 0;
	int fd;

	if (rights && rights->cmsg_level == SOL_SOCKET && rights->cmsg_type == SCM_RIGHTS)
		n = (rights->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	*n_fds = 0;
	for (size_t i = 0; i < n; i++) {
		memcpy(&fd, CMSG_DATA(rights) + i * sizeof(fd), sizeof(fd));
		if (i < room)
			fds[(*n_fds)++] = fd;
		else
			close_fd(fd);
	}
}

long borrow_receive(int socket, void *data, size_t size, int *fds, size_t *n_fds)
{
	char control[CMSG_SPACE(LEND_NAMESPACES_MAX * sizeof(int))];
	struct iovec part = {data, size};
	struct msghdr message = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	ssize_t n = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);

	if (n < 0)
		return errno == EAGAIN ? -ETIMEDOUT : -errno;
	take_fds(&message, fds, n_fds);
	return n;
}

int borrow_send_items(int socket, const void *items, size_t size)
{
	int r = 0;

	for (size_t done = 0; !r && done < size; done += BORROW_MESSAGE_MAX)
		r = borrow_send(socket, (const char *)items + done,
				MIN(size - done, (size_t)BORROW_MESSAGE_MAX), NULL, 0);
	return r;
}

int borrow_receive_items(int socket, size_t size, void **ret_items)
{
	_cleanup_(freep) char *items = malloc(size + 1);

	if (!items)
		return -ENOMEM;
	for (size_t done = 0; done < size;) {
		size_t none = 0;
		long n = borrow_receive(socket, items + done, size - done, NULL, &none);

		if (n <= 0)
			return n < 0 ? (int)n : -EPIPE;
		done += n;
	}
	*ret_items = steal_ptr(&items);
	return 0;
}
