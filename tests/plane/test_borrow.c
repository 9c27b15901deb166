// SPDX-License-Identifier: GPL-2.0-or-later
/* The deadline of hs-borrow is that of a request: of each, and of no more than it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "borrow/serve.h"
#include "plane/borrow/borrow_wire.h"
#include "util/clock.h"
#include "util/macro.h"

struct helper {
	pid_t pid;
	int fd;
};

static struct helper helper_start(void)
{
	struct helper helper;
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	helper = (struct helper) {fork(), ends[0]};
	assert_true(helper.pid >= 0);
	if (!helper.pid) {
		close(ends[0]);
		signal(SIGALRM, SIG_DFL);
		serve(ends[1]);
		_exit(0);
	}
	close(ends[1]);
	return helper;
}

static int helper_end(const struct helper *helper)
{
	int status = -1;

	close(helper->fd);
	assert_int_equal(waitpid(helper->pid, &status, 0), helper->pid);
	return status;
}

/* Which network namespace we are in. */
static void asks(const struct helper *helper)
{
	struct borrow_request request = {.what = BORROW_NETNS, .socket.place.pid = getpid()};
	struct borrow_reply reply = {.result = -1};
	size_t none = 0;

	assert_int_equal(borrow_send(helper->fd, &request, sizeof(request), NULL, 0), 0);
	assert_int_equal(borrow_receive(helper->fd, &reply, sizeof(reply), NULL, &none),
			 sizeof(reply));
	assert_int_equal(reply.result, 0);
}

static void test_each_request_has_its_own(void **state)
{
	struct borrow_request half = {.what = BORROW_FIND, .n = 5};
	struct helper held = helper_start(), other = helper_start();
	struct pollfd end = {.fd = held.fd, .events = POLLIN};
	uint64_t begun = now_usec(), took;
	int status;

	(void)state;
	asks(&held);
	/* the items never come: it waits, as it might for an instance */
	assert_int_equal(borrow_send(held.fd, &half, sizeof(half), NULL, 0), 0);
	while (!poll(&end, 1, 1000) && now_usec() < begun + 40 * USEC_PER_SEC)
		asks(&other);
	took = now_usec() - begun;
	assert_true(took >= BORROW_PATIENCE_SECONDS * USEC_PER_SEC);
	assert_true(took < (BORROW_DEADLINE_SECONDS + 10) * USEC_PER_SEC);
	status = helper_end(&held);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM);
	/* who asks again and again is answered for longer than that, by the same process, */
	while (now_usec() < begun + (BORROW_DEADLINE_SECONDS + 1) * USEC_PER_SEC)
		poll(NULL, 0, 100);
	asks(&other);
	/* which ends when it is asked no more */
	status = helper_end(&other);
	assert_true(WIFEXITED(status) && !WEXITSTATUS(status));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_request_has_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
