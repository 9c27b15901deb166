// SPDX-License-Identifier: GPL-2.0-or-later
/* What hs-probe says of a server that ends the connection, whoever sees it first, and of one that
 * does not answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "probe/ask.h"
#include "probe/asking.h"
#include "util/fdpass.h"
#include "util/macro.h"

#define WAIT_USEC 5000000

static struct rig {
	int listener;
	struct asking asking;
	struct ask ask;
} rig;

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	(void)source;
	(void)usec;
	(void)userdata;
	return sd_event_exit(rig.asking.event, 0);
}

static int set_up(void **state)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);

	(void)state;
	rig = (struct rig) {.ask.asking = &rig.asking, .asking.fd = -1};
	rig.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(bind(rig.listener, (struct sockaddr *)&address, size) == 0);
	assert_true(listen(rig.listener, 1) == 0);
	assert_true(getsockname(rig.listener, (struct sockaddr *)&address, &size) == 0);
	/* as hsd does: curl 7.88 calls connect() again, which after one that blocked is an error */
	rig.ask.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_true(connect(rig.ask.fd, (struct sockaddr *)&address, size) < 0 &&
		    errno == EINPROGRESS);
	snprintf(rig.ask.errand.address, sizeof(rig.ask.errand.address), "127.0.0.1");
	snprintf(rig.ask.errand.path, sizeof(rig.ask.errand.path), "/");
	rig.ask.errand.port = ntohs(address.sin_port);
	assert_true(sd_event_new(&rig.asking.event) >= 0);
	assert_true(sd_event_add_time_relative(rig.asking.event, &rig.ask.timer, CLOCK_MONOTONIC,
					       WAIT_USEC, 1, on_timer, NULL) >= 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	http_ask_free(rig.ask.http);
	http_client_free(rig.asking.http);
	sd_event_source_disable_unref(rig.ask.timer);
	sd_event_unref(rig.asking.event);
	close_fd(rig.ask.fd);
	close_fd(rig.listener);
	return 0;
}

/* Before anybody looks at the connection. */
static void server_ends(bool by_reset)
{
	struct linger linger = {.l_onoff = by_reset};
	int fd = accept4(rig.listener, NULL, NULL, SOCK_CLOEXEC);

	assert_true(fd >= 0);
	assert_true(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)) == 0);
	close(fd);
}

static void assert_bad(enum probe_kind kind, const char *words)
{
	rig.ask.errand.kind = kind;
	http_ask_connected(&rig.ask);
	assert_true(sd_event_loop(rig.asking.event) >= 0);
	assert_true(rig.ask.ended);
	assert_int_equal(rig.ask.end.verdict, PROBE_BAD);
	assert_string_equal(rig.ask.end.words, words);
}

static void test_http_finds_it_reset(void **state)
{
	(void)state;
	server_ends(true);
	assert_bad(PROBE_HTTP, "the connection was reset");
}

static void test_https_finds_it_reset(void **state)
{
	(void)state;
	server_ends(true);
	assert_bad(PROBE_HTTPS, "the connection was reset");
}

static void test_http_finds_it_closed(void **state)
{
	(void)state;
	server_ends(false);
	assert_bad(PROBE_HTTP, "the connection was closed without an answer");
}

/* ---- all of hs-probe, as hsd has it ---- */

#define TIMEOUT_USEC (200 * USEC_PER_MSEC)

struct program {
	pid_t pid;
	int fd; /* to it */
};

static struct program begin_program(void)
{
	struct program program;
	int pair[2];

	assert_true(!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair));
	program = (struct program) {fork(), pair[0]};
	assert_true(program.pid >= 0);
	if (!program.pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(pair[0]);
		/* as root it does nothing */
		_exit(!geteuid() && setuid(65534) ? 2 : asking_run(pair[1]) < 0);
	}
	close(pair[1]);
	return program;
}

static void end_program(struct program *program)
{
	close(program->fd);
	assert_int_equal(waitpid(program->pid, NULL, 0), program->pid);
}

static void receive(const struct program *program, void *packet, size_t size)
{
	struct timeval patience = {.tv_sec = WAIT_USEC / 1000000};

	setsockopt(program->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	assert_int_equal(recv(program->fd, packet, size, 0), (ssize_t)size);
}

static void wait_usec(uint64_t usec)
{
	poll(NULL, 0, (int)(usec / USEC_PER_MSEC));
}

/* A server that is asked and says nothing. */
static int be_asked(void)
{
	int fd = accept4(rig.listener, NULL, NULL, SOCK_CLOEXEC);
	char request[4096];

	assert_true(fd >= 0);
	assert_true(recv(fd, request, sizeof(request), 0) > 0);
	return fd;
}

/* `stopped_usec`: for so long it does not run meanwhile. */
static struct errand_end ask_silent_server(uint64_t stopped_usec)
{
	struct program program = begin_program();
	struct errand errand = rig.ask.errand;
	struct errand_hello hello;
	struct errand_end end;
	int status, server;

	errand.kind = PROBE_HTTP;
	errand.timeout_usec = errand.connect_usec = TIMEOUT_USEC;
	receive(&program, &hello, sizeof(hello));
	assert_true(fdpass_send(program.fd, &errand, sizeof(errand), &rig.ask.fd, 1, 0) >= 0);
	server = be_asked();
	if (stopped_usec) {
		kill(program.pid, SIGSTOP);
		assert_int_equal(waitpid(program.pid, &status, WUNTRACED), program.pid);
		wait_usec(stopped_usec);
		kill(program.pid, SIGCONT);
	}
	receive(&program, &end, sizeof(end));
	close(server);
	end_program(&program);
	return end;
}

static void test_no_answer_is_bad_for_who_has_looked(void **state)
{
	struct errand_end end = ask_silent_server(0);

	(void)state;
	assert_int_equal(end.verdict, PROBE_BAD);
	assert_string_equal(end.words, "no answer in 200ms");
}

static void test_who_was_held_up_knows_nothing(void **state)
{
	struct errand_end end = ask_silent_server(3 * TIMEOUT_USEC);

	(void)state;
	assert_int_equal(end.verdict, PROBE_VOID);
	assert_string_equal(end.words, "hs-probe was held up");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_http_finds_it_reset, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_https_finds_it_reset, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_http_finds_it_closed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_answer_is_bad_for_who_has_looked, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_who_was_held_up_knows_nothing, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
