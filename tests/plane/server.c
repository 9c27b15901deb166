// SPDX-License-Identifier: GPL-2.0-or-later
#include "server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "client.h"
#include "plane/bpf/pins.h"
#include "plane/kernel/cgroup.h"
#include "util/macro.h"

#define LISTENERS_MAX	80
#define DESCRIPTORS_MAX 16384

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

enum verb {
	LISTEN,
	CLOSE,
	SHUTDOWN,
	SERVE,
	HANG,
	ACCEPT,
	READ,
	HANG_UP,
	STATE,
	BLOCK,
	FORK,
	BECOME,
	ISOLATE,
	TAKE
};

struct order {
	enum verb verb;
	int value; /* a socket's number, or yes and no */
	unsigned flags;
	struct address address;
};

struct reply {
	int result;
	char text[SERVER_TEXT_MAX];
	struct server_state state;
};

/* The server's own side: one of these in each child process. */
static struct {
	char name;
	int control, watched, work; /* epolls: listeners for trouble only; all there is to serve */
	bool serving, hanging;
	int listeners[LISTENERS_MAX];
	int n_listeners;
	bool is_connection[DESCRIPTORS_MAX], is_udp[DESCRIPTORS_MAX];
	unsigned open, hang_ups;
	atomic_uint accept_errors;
} me;

static void watch(int epoll, int fd, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.fd = fd};

	rig_check(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0);
}

/* The lowest number that is free. */
static int add_listener(int fd)
{
	socklen_t size = sizeof(int);
	int number = 0, type = 0;

	rig_check(getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0);
	me.is_udp[fd] = type == SOCK_DGRAM;

	while (number < me.n_listeners && me.listeners[number] >= 0)
		number++;
	if (number == LISTENERS_MAX)
		return -ENOSPC;
	watch(me.watched, fd, 0);
	watch(me.work, fd, EPOLLIN);
	me.listeners[number] = fd;
	me.n_listeners = MAX(me.n_listeners, number + 1);
	return number;
}

static int set_options(int fd, const struct order *order)
{
	int one = 1, v6only = order->address.v6only;

	if (!(order->flags & SERVER_NO_REUSEADDR) &&
	    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0)
		return -errno;
	if (!(order->flags & (SERVER_NO_REUSEPORT | SERVER_LATE_REUSEPORT)) &&
	    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) < 0)
		return -errno;
	if (order->address.family == AF_INET6 &&
	    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, sizeof(v6only)) < 0)
		return -errno;
	if (order->flags & SERVER_FAST_OPEN &&
	    setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN, &(int) {16}, sizeof(int)) < 0)
		return -errno;
	return 0;
}

static int on_listen(const struct order *order)
{
	struct sockaddr_storage address;
	socklen_t size = address_to_sockaddr(&order->address, &address);
	_cleanup_(close_fdp) int fd = socket(order->address.family,
					     (order->address.udp ? SOCK_DGRAM : SOCK_STREAM) |
						     SOCK_NONBLOCK | SOCK_CLOEXEC,
					     order->flags & SERVER_MPTCP ? IPPROTO_MPTCP : 0);
	int r = fd < 0 ? -errno : set_options(fd, order);

	if (r < 0)
		return r;
	if (bind(fd, (struct sockaddr *)&address, size) < 0)
		return -errno;
	if (!(order->flags & SERVER_BIND_ONLY) && !order->address.udp &&
	    listen(fd, order->flags & SERVER_SMALL_BACKLOG ? 8 : 4096) < 0)
		return -errno;
	if (order->flags & SERVER_LATE_REUSEPORT &&
	    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &(int) {1}, sizeof(int)) < 0)
		return -errno;
	r = add_listener(fd);
	if (r >= 0)
		steal_fd(&fd);
	return r;
}

static void drop_connection(int fd)
{
	me.is_connection[fd] = false;
	me.open--;
	close(fd);
}

static void answer(int fd)
{
	char bytes[64];
	ssize_t n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0 || send(fd, &me.name, 1, MSG_NOSIGNAL) < 0)
		drop_connection(fd);
}

/* Answers each datagram that waits; 'Q' is to be read only. Returns how many there were. */
static int answer_datagrams(int fd)
{
	struct sockaddr_storage from;
	socklen_t size = sizeof(from);
	char bytes[64];
	int n = 0;

	for (; recvfrom(fd, bytes, sizeof(bytes), 0, (struct sockaddr *)&from, &size) >= 0; n++) {
		if (bytes[0] != 'Q')
			(void)!sendto(fd, &me.name, 1, 0, (struct sockaddr *)&from, size);
		size = sizeof(from);
	}
	return n;
}

static char first_byte(int fd)
{
	char byte;

	return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 1 ? byte : '-';
}

/* Accepts what waits on one socket; the first bytes are added to `reply` when there is one. */
static void accept_all(int listener, struct reply *reply)
{
	int fd;

	if (me.is_udp[listener]) {
		fd = answer_datagrams(listener);
		if (reply)
			reply->result += fd;
		return;
	}
	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		rig_check(fd < DESCRIPTORS_MAX);
		me.is_connection[fd] = true;
		me.open++;
		if (reply && reply->result < SERVER_TEXT_MAX - 1)
			reply->text[reply->result] = first_byte(fd);
		if (reply)
			reply->result++;
		watch(me.work, fd, EPOLLIN);
	}
	if (errno != EAGAIN && errno != ECONNABORTED)
		me.accept_errors++;
}

static void on_accept(struct reply *reply)
{
	for (int i = 0; i < me.n_listeners; i++)
		if (me.listeners[i] >= 0)
			accept_all(me.listeners[i], reply);
}

static int on_read(int most)
{
	char bytes[256];
	int total = 0;

	for (int fd = 0; fd < DESCRIPTORS_MAX; fd++)
		if (me.is_connection[fd]) {
			ssize_t n = recv(fd, bytes, MIN((size_t)most, sizeof(bytes)), MSG_DONTWAIT);

			total += MAX(n, 0);
		}
	return total;
}

static void on_hang_up(bool reset)
{
	struct linger linger = {.l_onoff = reset};

	for (int fd = 0; fd < DESCRIPTORS_MAX; fd++) {
		if (!me.is_connection[fd])
			continue;
		if (reset)
			setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
		drop_connection(fd);
	}
}

static void *accept_forever(void *userdata)
{
	int listener = (int)(intptr_t)userdata;

	for (;;) {
		int fd = accept(listener, NULL, NULL);
		char byte;

		if (fd < 0) {
			me.accept_errors++;
			return NULL;
		}
		if (recv(fd, &byte, 1, 0) == 1 && send(fd, &me.name, 1, MSG_NOSIGNAL) < 0)
			me.accept_errors++;
		close(fd);
	}
}

static int on_block(int fd)
{
	pthread_t thread;

	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
	return -pthread_create(&thread, NULL, accept_forever, (void *)(intptr_t)fd);
}

static int on_fork(void)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	close(me.control);
	for (;;)
		pause();
}

static int on_isolate(pid_t with)
{
	_cleanup_(close_fdp) int fd = -1;

	if (!with) {
		if (unshare(CLONE_NEWNET) < 0)
			return -errno;
		rig_loopback_up();
		return 0;
	}
	fd = open(pin_path("/proc/%d/ns/net", with).text, O_RDONLY | O_CLOEXEC);
	return fd < 0 || setns(fd, CLONE_NEWNET) < 0 ? -errno : 0;
}

/* A program of its own, which has every connection come to the group's first socket; or none. */
static int on_take(int option)
{
	struct sock_filter first[] = {{.code = BPF_RET | BPF_K}};
	struct sock_fprog program = {ARRAY_SIZE(first), first};
	bool classic = option == SO_ATTACH_REUSEPORT_CBPF;
	int none = 0;

	return setsockopt(me.listeners[0], SOL_SOCKET, option,
			  classic ? (const void *)&program : &none,
			  classic ? sizeof(program) : sizeof(none)) < 0
		       ? -errno
		       : 0;
}

static void obey(const struct order *order, struct reply *reply)
{
	int *listener = &me.listeners[order->verb >= BECOME ? 0 : order->value];

	switch (order->verb) {
	case LISTEN:
		reply->result = on_listen(order);
		break;
	case CLOSE:
		*listener = close_fd(*listener);
		break;
	case SHUTDOWN:
		reply->result = shutdown(*listener, SHUT_RD);
		break;
	case SERVE:
		me.serving = order->value;
		break;
	case HANG:
		me.hanging = order->value;
		break;
	case ACCEPT:
		on_accept(reply);
		break;
	case READ:
		reply->result = on_read(order->value);
		break;
	case HANG_UP:
		on_hang_up(order->value);
		break;
	case BLOCK:
		reply->result = on_block(*listener);
		break;
	case FORK:
		reply->result = on_fork();
		break;
	case ISOLATE:
		reply->result = on_isolate(order->value);
		break;
	case TAKE:
		reply->result = on_take(order->value);
		break;
	case BECOME:
		reply->result = seteuid(0) < 0 || seteuid(order->value) < 0 ? -errno : 0;
		break;
	case STATE:
		reply->state = (struct server_state) {me.hang_ups, me.accept_errors, me.open};
		break;
	}
}

static void on_control(void)
{
	struct reply reply = {0};
	struct order order;

	if (recv(me.control, &order, sizeof(order), 0) != sizeof(order))
		_exit(0);
	obey(&order, &reply);
	if (send(me.control, &reply, sizeof(reply), MSG_NOSIGNAL) < 0)
		_exit(0);
}

static void on_trouble(void)
{
	struct epoll_event events[16];
	int n = epoll_wait(me.watched, events, 16, 0);

	for (int i = 0; i < n; i++) {
		me.hang_ups++;
		/* seen once is enough; it would be reported for ever */
		epoll_ctl(me.watched, EPOLL_CTL_DEL, events[i].data.fd, NULL);
	}
}

static void on_work(void)
{
	struct epoll_event events[64];
	int n = epoll_wait(me.work, events, 64, 0);

	for (int i = 0; i < n; i++) {
		int fd = events[i].data.fd;

		if (me.is_connection[fd])
			answer(fd);
		else
			accept_all(fd, NULL);
	}
}

static void run(char name, int control, int inherited)
{
	enum { CONTROL, WATCHED, WORK };

	me.name = name;
	me.control = control;
	me.watched = epoll_create1(EPOLL_CLOEXEC);
	me.work = epoll_create1(EPOLL_CLOEXEC);
	if (inherited >= 0) {
		fcntl(inherited, F_SETFL, O_NONBLOCK);
		add_listener(inherited);
	}
	for (;;) {
		struct pollfd fds[] = {
			[CONTROL] = {.fd = control, .events = POLLIN},
			[WATCHED] = {.fd = me.hanging ? -1 : me.watched, .events = POLLIN},
			[WORK] = {.fd = me.serving && !me.hanging ? me.work : -1, .events = POLLIN},
		};

		if (poll(fds, ARRAY_SIZE(fds), -1) < 0)
			continue;
		if (fds[WATCHED].revents)
			on_trouble();
		if (fds[WORK].revents)
			on_work();
		if (fds[CONTROL].revents)
			on_control();
	}
}

/* Of all that the parent has open the child keeps two: a client's connection, say, must end when
 * the parent closes it. */
static void close_others(int control, int inherited)
{
	int low = MIN(control, inherited), high = MAX(control, inherited);

	close_range(3, low < 3 ? high - 1 : low - 1, 0);
	if (low >= 3)
		close_range(low + 1, high - 1, 0);
	close_range(high + 1, ~0U, 0);
}

static void enter_group(const char *folder)
{
	FILE *procs = fopen(pin_path("%s/cgroup.procs", folder).text, "we");

	rig_check(procs && fprintf(procs, "%d", getpid()) > 0 && !fclose(procs));
}

static void end_child(const char *file, int line, const char *text)
{
	fprintf(stderr, "server %c: %s:%d: %s\n", me.name, file, line, text);
	_exit(1);
}

static void child(const struct server *server, const char *folder, int control, int inherited)
{
	struct rlimit limit = {DESCRIPTORS_MAX, DESCRIPTORS_MAX};

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* a failure in here ends the child, not the test; the parent notices that */
	rig_on_failure = end_child;
	for (int i = 1; i < NSIG; i++)
		signal(i, SIG_DFL);
	close_others(control, inherited);
	enter_group(folder);
	setrlimit(RLIMIT_NOFILE, &limit);
	run(server->name, control, inherited);
}

struct server *server_start_holding(struct rig *rig, unsigned slot, int socket_fd)
{
	struct server *server = calloc(1, sizeof(*server));
	struct pin_path folder;
	char mount[PATH_MAX];
	int pair[2];

	rig_check(server && rig->n_servers < RIG_SERVERS_MAX);
	server->name = 'A' + slot;
	server->slot = slot;
	snprintf(server->cgroup, sizeof(server->cgroup), "%s/%u", rig->group, rig->n_started++);
	rig->servers[rig->n_servers++] = server;
	rig_check(cgroup_mount(mount, sizeof(mount)) == 0);
	folder = pin_path("%s%s", mount, server->cgroup);
	rig_check(mkdir(folder.text, 0755) == 0);
	rig_check(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
	server->pid = fork();
	rig_check(server->pid >= 0);
	if (!server->pid)
		child(server, folder.text, pair[1], socket_fd);
	close(pair[1]);
	server->control = pair[0];
	/* it is in its cgroup when it answers */
	server_state(server);
	return server;
}

struct server *server_start(struct rig *rig, unsigned slot)
{
	return server_start_holding(rig, slot, -1);
}

void server_kill(struct server *server)
{
	if (!server->pid)
		return;
	kill(server->pid, SIGKILL);
	waitpid(server->pid, NULL, 0);
	server->pid = 0;
}

void server_free(struct server *server)
{
	if (!server)
		return;
	server_kill(server);
	close_fd(server->control);
	free(server);
}

void server_drop(struct rig *rig, struct server *server)
{
	size_t place = 0;

	while (rig->servers[place] != server)
		place++;
	rig->servers[place] = rig->servers[--rig->n_servers];
	server_free(server);
}

static struct reply give(struct server *server, const struct order *order)
{
	struct pollfd control = {.fd = server->control, .events = POLLIN};
	struct reply reply;

	rig_check(send(server->control, order, sizeof(*order), MSG_NOSIGNAL) == sizeof(*order));
	if (poll(&control, 1, RIG_DEADLINE_USEC / 1000) != 1)
		rig_fail(__FILE__, __LINE__, "server %c does not answer", server->name);
	if (recv(server->control, &reply, sizeof(reply), 0) != sizeof(reply))
		rig_fail(__FILE__, __LINE__, "server %c has ended", server->name);
	return reply;
}

int server_listen(struct server *server, const struct address *address, unsigned flags)
{
	struct order order = {.verb = LISTEN, .flags = flags, .address = *address};

	return give(server, &order).result;
}

void server_close(struct server *server, int number)
{
	give(server, &(struct order) {.verb = CLOSE, .value = number});
}

void server_shutdown(struct server *server, int number)
{
	rig_check(give(server, &(struct order) {.verb = SHUTDOWN, .value = number}).result == 0);
}

void server_serve(struct server *server, bool serve)
{
	give(server, &(struct order) {.verb = SERVE, .value = serve});
}

void server_hang(struct server *server, bool hang)
{
	give(server, &(struct order) {.verb = HANG, .value = hang});
}

unsigned server_accept(struct server *server, char *text)
{
	struct reply reply = give(server, &(struct order) {.verb = ACCEPT});

	if (text)
		memcpy(text, reply.text, sizeof(reply.text));
	return reply.result;
}

int server_read(struct server *server, int most)
{
	return give(server, &(struct order) {.verb = READ, .value = most}).result;
}

void server_hang_up(struct server *server, bool reset)
{
	give(server, &(struct order) {.verb = HANG_UP, .value = reset});
}

struct server_state server_state(struct server *server)
{
	return give(server, &(struct order) {.verb = STATE}).state;
}

void server_block(struct server *server, int number)
{
	rig_check(give(server, &(struct order) {.verb = BLOCK, .value = number}).result == 0);
}

pid_t server_fork(struct server *server)
{
	int pid = give(server, &(struct order) {.verb = FORK}).result;

	rig_check(pid > 0);
	return pid;
}

void server_become(struct server *server, uid_t uid)
{
	rig_check(give(server, &(struct order) {.verb = BECOME, .value = uid}).result == 0);
}

void server_isolate(struct server *server, const struct server *with)
{
	struct order order = {.verb = ISOLATE, .value = with ? with->pid : 0};

	rig_check(give(server, &order).result == 0);
}

int server_take(struct server *server, int option)
{
	return give(server, &(struct order) {.verb = TAKE, .value = option}).result;
}
