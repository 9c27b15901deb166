// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Who does the work that may hang does not outlive whoever has ordered it for longer than it was
 * told.
 */
#include "cases.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "system/work/work.h"
#include "util/clock.h"

/* Waits an hour for sockets of a server that opens none, and for nobody's sake. Returns the socket
 * that it tells by. */
static int begin_what_never_ends(const struct server *server, int host_fd)
{
	struct work_order order = {
		.kind = WORK_ADOPT,
		.service = "web",
		.patience_usec = 3600 * USEC_PER_SEC,
		.n_cgroups = 1,
	};
	char cgroup[PATH_MAX];
	int ends[2], fds[2];

	snprintf(cgroup, sizeof(cgroup), "%s", server->cgroup);
	order.cgroups = (const char(*)[PATH_MAX]) & cgroup;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	fds[0] = ends[1];
	assert_int_equal(work_write_order(&order, &fds[1]), 0);
	assert_int_equal(work_host_order(host_fd, fds, ARRAY_SIZE(fds)), 0);
	close_fd(fds[0]);
	close_fd(fds[1]);
	return ends[0];
}

static void await_end(int fd)
{
	struct pollfd wait = {.fd = fd, .events = POLLIN};
	char message[WORK_MESSAGE_MAX];

	do
		assert_int_equal(poll(&wait, 1, RIG_DEADLINE_USEC / USEC_PER_MSEC), 1);
	while (recv(fd, message, sizeof(message), 0) > 0 && message[0] != WORK_DONE);
}

static void what_hangs_ends_at_the_time_that_was_said(void **state)
{
	struct rig *rig = *state;
	struct server *server = server_start(rig, 0);
	uint64_t begun = now_usec();
	int host_fd, fd;

	assert_int_equal(work_host_new(false, begun + 500 * USEC_PER_MSEC, &host_fd), 0);
	fd = begin_what_never_ends(server, host_fd);
	/* nobody orders anything any more, and yet it goes on */
	close_fd(host_fd);
	await_end(fd);
	assert_in_range(now_usec() - begun, 450 * USEC_PER_MSEC, 5 * USEC_PER_SEC);
	close_fd(fd);
}

static void what_is_ordered_later_is_not_begun(void **state)
{
	struct rig *rig = *state;
	struct server *server = server_start(rig, 0);
	uint64_t begun = now_usec();
	int host_fd, fd;

	assert_int_equal(work_host_new(false, begun - 1, &host_fd), 0);
	fd = begin_what_never_ends(server, host_fd);
	await_end(fd);
	close_fd(fd);
	close_fd(host_fd);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(what_hangs_ends_at_the_time_that_was_said),
		CASE(what_is_ordered_later_is_not_begun),
	};

	return cases_run("work", tests);
}
