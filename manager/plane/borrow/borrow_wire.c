// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/borrow/borrow_wire.h"

#include "util/fdpass.h"
#include "util/macro.h"

int borrow_send(int socket, const void *data, size_t size, const int *fds, size_t n_fds)
{
	return fdpass_send(socket, data, size, fds, n_fds, 0);
}

long borrow_receive(int socket, void *data, size_t size, int *fds, size_t *n_fds)
{
	ssize_t n = fdpass_receive(socket, data, size, fds, n_fds, 0);

	return n == -EAGAIN ? -ETIMEDOUT : n;
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
