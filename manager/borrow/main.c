// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * hs-borrow(8): the part of hotstandby that looks into the processes of instances and takes
 * duplicates of their sockets, for hsd, which may do neither. Started by systemd with its socket;
 * ends when it has not been asked for a while.
 *
 * One process for each who asks, ended when a request takes too long: an instance can make it wait,
 * even so that it cannot be ended; such processes are counted, and of one service there are no more
 * than a few.
 */
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "borrow/serve.h"
#include "plane/borrow/borrow_wire.h"
#include "util/macro.h"

#define LISTEN_FD 3 /* sd_listen_fds(3) */

#define CHILDREN_MAX	   256
#define CHILDREN_OF_ONE	   16
#define FIRST_WORD_SECONDS 5
#define IDLE_MS		   60000
#define LOOK_AGAIN_MS	   1000

static struct child {
	pid_t pid; /* 0 = a free place */
	char service[SERVICE_NAME_MAX];
} children[CHILDREN_MAX];

static void forget_ended(void)
{
	pid_t pid;

	while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
		for (unsigned i = 0; i < CHILDREN_MAX; i++)
			if (children[i].pid == pid)
				children[i].pid = 0;
}

static unsigned count(const char *service)
{
	unsigned n = 0;

	for (unsigned i = 0; i < CHILDREN_MAX; i++)
		n += children[i].pid && (!service || !strcmp(children[i].service, service));
	return n;
}

static struct child *free_place(const char *service)
{
	if (count(service) >= CHILDREN_OF_ONE)
		return NULL;
	for (unsigned i = 0; i < CHILDREN_MAX; i++)
		if (!children[i].pid)
			return &children[i];
	return NULL;
}

/* Whom it is for. Who asks says so at once, but may have to wait for a CPU before; who ends without
 * a word is not waited for. */
static int peek_service(int connection, char service[SERVICE_NAME_MAX])
{
	static const struct timeval patience = {.tv_sec = FIRST_WORD_SECONDS}, none = {0};
	struct borrow_request request;
	ssize_t n;

	setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	/* a child that ends meanwhile is no reason: with a timeout no signal restarts it by itself
	 */
	do
		n = recv(connection, &request, sizeof(request), MSG_PEEK);
	while (n < 0 && errno == EINTR);
	setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &none, sizeof(none));
	if (n != sizeof(request))
		return -EPIPE;
	snprintf(service, SERVICE_NAME_MAX, "%.*s", (int)sizeof(request.service) - 1,
		 request.service);
	return 0;
}

static void refuse(int connection)
{
	struct borrow_reply reply = {.result = -EBUSY};

	borrow_send(connection, &reply, sizeof(reply), NULL, 0);
}

static void begin(int connection)
{
	char service[SERVICE_NAME_MAX];
	struct child *child;

	if (peek_service(connection, service) < 0)
		return;
	child = free_place(service);
	if (!child) {
		refuse(connection);
		return;
	}
	child->pid = fork();
	if (!child->pid) {
		close_fd(LISTEN_FD);
		signal(SIGCHLD, SIG_DFL);
		serve(connection);
		_exit(0);
	}
	if (child->pid < 0)
		child->pid = 0;
	memcpy(child->service, service, sizeof(service));
}

static void on_child(int number)
{
	(void)number;
}

/* False: nobody has asked for long. */
static bool serve_next(void)
{
	struct pollfd wait = {.fd = LISTEN_FD, .events = POLLIN};
	int n = poll(&wait, 1, count(NULL) ? LOOK_AGAIN_MS : IDLE_MS);
	int connection;

	forget_ended();
	if (n <= 0)
		return n < 0 || count(NULL);
	connection = accept4(LISTEN_FD, NULL, NULL, SOCK_CLOEXEC);
	if (connection >= 0)
		begin(connection);
	close_fd(connection);
	return true;
}

int main(void)
{
	struct sigaction on_chld = {.sa_handler = on_child, .sa_flags = SA_NOCLDSTOP};
	const char *fds = getenv("LISTEN_FDS");

	if (!fds || strcmp(fds, "1")) {
		fputs("usage: none; started by systemd, see hs-borrow in hsd(8)\n", stderr);
		return 2;
	}
	sigaction(SIGCHLD, &on_chld, NULL);
	while (serve_next())
		;
	return 0;
}
