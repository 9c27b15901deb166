// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * load PORT PARALLEL SPAN
 *
 * A client that hammers 127.0.0.1: connects, sends one byte, waits for one, resets, and begins
 * again, PARALLEL times at once, for as long as SPAN says ("2s"; "0": until SIGTERM). Requests that
 * run at the end are waited for. Prints one line, what came of them:
 *
 *   answered N refused N reset N late N slow N seconds S
 *
 * refused: RST to the SYN. reset: RST or end instead of an answer. late: no answer in 5 s. slow: of
 * those answered, how many took longer than 0.9 s, because a SYN was lost.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "util/clock.h"
#include "util/macro.h"
#include "util/parse.h"

#define PARALLEL_MAX 1024
#define LATE_USEC    (5 * USEC_PER_SEC)
#define SLOW_USEC    (900 * USEC_PER_MSEC)
#define LOOK_MSEC    100

struct request {
	int fd; /* -1 = none */
	uint64_t begun;
	bool sent;
};

static struct {
	struct sockaddr_in server;
	int epoll;
	struct request requests[PARALLEL_MAX];
	unsigned parallel, running;
	uint64_t answered, refused, reset, late, slow;
} load;

static volatile sig_atomic_t stop;

static void on_signal(int number)
{
	(void)number;
	stop = 1;
}

/* Leaves no TIME_WAIT, so that ports never run out. */
static void hang_up(struct request *request)
{
	struct linger linger = {.l_onoff = 1};

	setsockopt(request->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	request->fd = close_fd(request->fd);
	load.running--;
}

static void count_failure(int error)
{
	if (error == ECONNREFUSED)
		load.refused++;
	else
		load.reset++;
}

static int begin(struct request *request)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLOUT, .data.ptr = request};

	request->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (request->fd < 0)
		return -errno;
	load.running++;
	request->begun = now_usec();
	request->sent = false;
	if (connect(request->fd, (struct sockaddr *)&load.server, sizeof(load.server)) < 0 &&
	    errno != EINPROGRESS) {
		if (errno == EADDRNOTAVAIL)
			return -errno;
		count_failure(errno);
		hang_up(request);
		return 0;
	}
	return epoll_ctl(load.epoll, EPOLL_CTL_ADD, request->fd, &event) < 0 ? -errno : 0;
}

static int socket_error(int fd)
{
	int error = 0;
	socklen_t size = sizeof(error);

	getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
	return error;
}

static void on_connected(struct request *request)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = request};
	int error = socket_error(request->fd);

	if (!error && send(request->fd, "?", 1, MSG_NOSIGNAL) != 1)
		error = errno;
	if (error) {
		count_failure(error);
		hang_up(request);
		return;
	}
	request->sent = true;
	epoll_ctl(load.epoll, EPOLL_CTL_MOD, request->fd, &event);
}

static void on_answer(struct request *request)
{
	char byte;
	ssize_t n = recv(request->fd, &byte, 1, 0);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n == 1) {
		load.answered++;
		load.slow += now_usec() - request->begun > SLOW_USEC;
	} else {
		count_failure(n < 0 ? errno : ECONNRESET);
	}
	hang_up(request);
}

static void drop_late(void)
{
	uint64_t now = now_usec();

	for (unsigned i = 0; i < load.parallel; i++) {
		struct request *request = &load.requests[i];

		if (request->fd < 0 || now - request->begun < LATE_USEC)
			continue;
		load.late++;
		hang_up(request);
	}
}

static int fill(void)
{
	int r = 0;

	for (unsigned i = 0; !r && i < load.parallel; i++)
		if (load.requests[i].fd < 0)
			r = begin(&load.requests[i]);
	return r;
}

static int run(uint64_t end)
{
	struct epoll_event events[64];
	uint64_t looked = now_usec();

	for (;;) {
		bool over = stop || now_usec() >= end;
		int n, r = over ? 0 : fill();

		if (r < 0)
			return r;
		if (over && !load.running)
			return 0;
		n = epoll_wait(load.epoll, events, ARRAY_SIZE(events), LOOK_MSEC);
		for (int i = 0; i < n; i++) {
			struct request *request = events[i].data.ptr;

			if (request->sent)
				on_answer(request);
			else
				on_connected(request);
		}
		if (now_usec() - looked < LOOK_MSEC * USEC_PER_MSEC)
			continue;
		looked = now_usec();
		drop_late();
	}
}

static int usage(void)
{
	fprintf(stderr, "usage: load PORT PARALLEL SPAN\n");
	return 2;
}

int main(int argc, char **argv)
{
	uint64_t port, parallel, span, begun = now_usec();
	int r;

	if (argc != 4 || parse_unsigned(argv[1], 1, UINT16_MAX, &port) ||
	    parse_unsigned(argv[2], 1, PARALLEL_MAX, &parallel) || parse_span(argv[3], &span))
		return usage();
	signal(SIGTERM, on_signal);
	load.server = (struct sockaddr_in) {.sin_family = AF_INET, .sin_port = htons(port)};
	load.server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	load.parallel = parallel;
	load.epoll = epoll_create1(EPOLL_CLOEXEC);
	for (unsigned i = 0; i < load.parallel; i++)
		load.requests[i].fd = -1;
	r = run(span ? begun + span : USEC_INFINITY);
	if (r < 0) {
		fprintf(stderr, "load: %s\n", strerror(-r));
		return 1;
	}
	printf("answered %lu refused %lu reset %lu late %lu slow %lu seconds %.6f\n", load.answered,
	       load.refused, load.reset, load.late, load.slow, (now_usec() - begun) / 1e6);
	return 0;
}
