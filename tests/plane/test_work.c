// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Who does the work that may hang does not outlive whoever has ordered it for longer than it was
 * told, and needs nothing that it has left behind.
 */
#include "cases.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "system/work/work.h"
#include "util/clock.h"

#define PORT 8080

/* Adoption of what this server has. Returns the socket that it tells by, and the file for its
 * answer. */
static int begin_adoption(const struct server *server, int host_fd, struct work_order order,
			  int *ret_file)
{
	char cgroup[PATH_MAX];
	int ends[2], fds[2];

	order.kind = WORK_ADOPT;
	order.n_cgroups = 1;
	snprintf(order.service, sizeof(order.service), "web");
	snprintf(cgroup, sizeof(cgroup), "%s", server->cgroup);
	order.cgroups = (const char(*)[PATH_MAX]) & cgroup;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	fds[0] = ends[1];
	assert_int_equal(work_write_order(&order, &fds[1]), 0);
	assert_int_equal(work_host_order(host_fd, fds, ARRAY_SIZE(fds)), 0);
	close_fd(fds[0]);
	*ret_file = fds[1];
	return ends[0];
}

/* Waits an hour for sockets of a server that opens none, and for nobody's sake. */
static int begin_what_never_ends(const struct server *server, int host_fd)
{
	int file, fd = begin_adoption(server, host_fd,
				      (struct work_order) {.patience_usec = 3600 * USEC_PER_SEC},
				      &file);

	close_fd(file);
	return fd;
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

/* Who orders has attached selectors itself before. None of its descriptors is there any more. */
static void nothing_that_is_kept_goes_along(void **state)
{
	struct rig *rig = *state;
	struct server *server = server_start(rig, 0);
	struct address at = rig_local(PORT);
	struct work_answer answer = {0};
	struct adoption *adoption;
	int host_fd, fd, file;

	assert_true(server_listen(server, &at, 0) >= 0);
	assert_int_equal(rig_adopt(rig, server), 1);
	assert_int_equal(work_host_new(false, 0, &host_fd), 0);
	fd = begin_adoption(server, host_fd, (struct work_order) {.commit = true}, &file);
	await_end(fd);
	assert_int_equal(work_read_answer(file, &answer), 0);
	adoption = work_take_adoption(&answer);
	assert_non_null(adoption);
	assert_int_equal(adoption->n, 1);
	assert_int_equal(adoption->sockets[0].error, 0);
	assert_int_equal(adoption->adopted, 1);
	adoption_free(adoption);
	work_answer_done(&answer);
	close_fd(file);
	close_fd(fd);
	close_fd(host_fd);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(what_hangs_ends_at_the_time_that_was_said),
		CASE(what_is_ordered_later_is_not_begun),
		CASE(nothing_that_is_kept_goes_along),
	};

	return cases_run("work", tests);
}
