// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * hs-echo-server: prints what arrives, by TCP and UDP, and answers who it is:
 *
 *   slot=2 from=192.0.2.7:41234 to=192.0.2.1:7777 bytes=12
 *
 * One process, one loop, one socket for each protocol and address; it knows nothing of
 * SO_REUSEPORT, so hotstandby forces it. After SIGTERM nothing new is taken; what has arrived is
 * answered, and connections have a second of silence to end.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "echo-address.h"

#define LISTEN_MAX	16
#define EVENTS_MAX	64
#define MESSAGE_MAX	65536
#define STOP_SILENCE_MS 1000
#define BACKLOG		4096

/* what epoll tells of a descriptor, in the upper half of its data */
enum kind { KIND_SIGNALS, KIND_LISTENER, KIND_DATAGRAMS, KIND_CONNECTION };

struct server {
	const char *slot;
	const char *listen[LISTEN_MAX];
	size_t n_listen;
	bool dual_stack; /* an IPv6 socket serves IPv4, too */
	bool quiet;
	bool stopping;
	int epoll_fd;
	int own[1 + 2 * LISTEN_MAX]; /* what serves */
	enum kind own_kind[1 + 2 * LISTEN_MAX];
	size_t n_own;
	size_t connections;
};

static int watch(struct server *server, int fd, enum kind kind)
{
	struct epoll_event event = {.events = EPOLLIN,
				    .data.u64 = (uint64_t)kind << 32 | (uint32_t)fd};

	return epoll_ctl(server->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

/* Prints what has arrived, and makes the answer. Returns its length. */
static int tell(struct server *server, const char *protocol, const union address *from,
		const union address *to, ssize_t bytes, char *answer, size_t size)
{
	char client[ADDRESS_TEXT_MAX], own[ADDRESS_TEXT_MAX];

	address_text(from, client);
	address_text(to, own);
	if (!server->quiet)
		printf("%s %s -> %s %zd bytes\n", protocol, client, own, bytes);
	return snprintf(answer, size, "slot=%.32s from=%s to=%s bytes=%zd\n", server->slot, client,
			own, bytes);
}

/* --- datagrams
 * ------------------------------------------------------------------------------------ */

/* A socket at 0.0.0.0 or [::] has no address of its own: which one a datagram came to stands beside
 * it, and the same words beside the answer send it from there. */
static void own_address(struct msghdr *message, union address *to)
{
	struct cmsghdr *c;

	for (c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			struct in_pktinfo *info = (struct in_pktinfo *)CMSG_DATA(c);

			to->in.sin_addr = info->ipi_addr;
			info->ipi_ifindex = 0;
			info->ipi_spec_dst = info->ipi_addr;
		} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			to->in6.sin6_addr = ((struct in6_pktinfo *)CMSG_DATA(c))->ipi6_addr;
		}
	}
}

/* Returns whether there may be more. */
static bool answer_datagram(struct server *server, int fd)
{
	char answer[3 * ADDRESS_TEXT_MAX];
	static char bytes[MESSAGE_MAX];
	union {
		struct cmsghdr align;
		char room[256];
	} control;
	union address from, to;
	socklen_t length = sizeof(to);
	struct iovec part = {.iov_base = bytes, .iov_len = sizeof(bytes)};
	struct msghdr message = {.msg_name = &from,
				 .msg_namelen = sizeof(from),
				 .msg_iov = &part,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = sizeof(control)};
	ssize_t received = recvmsg(fd, &message, 0);

	if (received < 0)
		return errno == EINTR || errno == ECONNREFUSED;
	if (getsockname(fd, &to.any, &length) < 0)
		return false;
	own_address(&message, &to);
	part = (struct iovec) {
		.iov_base = answer,
		.iov_len =
			(size_t)tell(server, "udp", &from, &to, received, answer, sizeof(answer)),
	};
	/* a client that is gone is no matter of ours */
	if (sendmsg(fd, &message, MSG_DONTWAIT) < 0 && !server->quiet)
		printf("udp: no answer could be sent: %s\n", strerror(errno));
	return true;
}

/* --- connections
 * ---------------------------------------------------------------------------------- */

static void accept_connection(struct server *server, int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0)
		return;
	if (watch(server, fd, KIND_CONNECTION) < 0)
		close(fd);
	else
		server->connections++;
}

/* Answers what has arrived as one message; false: the connection is at its end. */
static bool answer_connection(struct server *server, int fd)
{
	char answer[3 * ADDRESS_TEXT_MAX];
	static char bytes[MESSAGE_MAX];
	union address from, to;
	socklen_t from_length = sizeof(from), to_length = sizeof(to);
	ssize_t received = recv(fd, bytes, sizeof(bytes), 0);
	int length;

	if (received < 0)
		return errno == EAGAIN || errno == EINTR;
	if (received == 0 || getpeername(fd, &from.any, &from_length) < 0 ||
	    getsockname(fd, &to.any, &to_length) < 0)
		return false;
	length = tell(server, "tcp", &from, &to, received, answer, sizeof(answer));
	/* who asks on and on and reads nothing is left */
	return send(fd, answer, (size_t)length, MSG_NOSIGNAL) == length;
}

static void connection_event(struct server *server, int fd)
{
	if (answer_connection(server, fd))
		return;
	close(fd);
	server->connections--;
}

/* --- sockets
 * -------------------------------------------------------------------------------------- */

static int set_options(struct server *server, int fd, int family, int type)
{
	int on = 1, v6only = !server->dual_stack;

	if (family == AF_INET6 &&
	    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, sizeof(v6only)) < 0)
		return -errno;
	/* restarted, it gets its port although old connections are still in TIME_WAIT */
	if (type == SOCK_STREAM)
		return setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ? -errno : 0;
	if (family == AF_INET6)
		return setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on)) < 0 ? -errno
											   : 0;
	return setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on)) < 0 ? -errno : 0;
}

static int open_one(struct server *server, const union address *address, int type)
{
	int family = address->any.sa_family, r;
	int fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	r = set_options(server, fd, family, type);
	if (r == 0 && (bind(fd, &address->any, address_size(address)) < 0 ||
		       (type == SOCK_STREAM && listen(fd, BACKLOG) < 0)))
		r = -errno;
	if (r == 0)
		r = watch(server, fd, type == SOCK_STREAM ? KIND_LISTENER : KIND_DATAGRAMS);
	if (r < 0) {
		close(fd);
		return r;
	}
	server->own[server->n_own] = fd;
	server->own_kind[server->n_own++] = type == SOCK_STREAM ? KIND_LISTENER : KIND_DATAGRAMS;
	return 0;
}

static int open_all(struct server *server)
{
	union address address;
	size_t i;
	int r;

	for (i = 0; i < server->n_listen; i++) {
		r = address_parse(server->listen[i], &address);
		if (r == 0)
			r = open_one(server, &address, SOCK_STREAM);
		if (r == 0)
			r = open_one(server, &address, SOCK_DGRAM);
		if (r < 0) {
			fprintf(stderr, "hs-echo-server: cannot listen at %s: %s\n",
				server->listen[i], strerror(-r));
			return r;
		}
	}
	return 0;
}

static int open_signals(struct server *server)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	return watch(server, fd, KIND_SIGNALS);
}

/* Nothing new; datagrams that are in a buffer are answered, or they would be lost. */
static void stop(struct server *server)
{
	size_t i;

	server->stopping = true;
	for (i = 0; i < server->n_own; i++) {
		while (server->own_kind[i] == KIND_DATAGRAMS &&
		       answer_datagram(server, server->own[i]))
			;
		close(server->own[i]);
	}
	server->n_own = 0;
}

/* --- the loop
 * ------------------------------------------------------------------------------------- */

static void handle(struct server *server, enum kind kind, int fd)
{
	switch (kind) {
	case KIND_LISTENER:
		accept_connection(server, fd);
		break;
	case KIND_DATAGRAMS:
		answer_datagram(server, fd);
		break;
	case KIND_CONNECTION:
		connection_event(server, fd);
		break;
	case KIND_SIGNALS:
		break;
	}
}

static void run(struct server *server)
{
	struct epoll_event events[EVENTS_MAX];
	int i, n;

	while (!server->stopping || server->connections) {
		bool signalled = false;

		n = epoll_wait(server->epoll_fd, events, EVENTS_MAX,
			       server->stopping ? STOP_SILENCE_MS : -1);
		if (n == 0)
			return;
		for (i = 0; i < n; i++) {
			enum kind kind = (enum kind)(events[i].data.u64 >> 32);

			signalled |= kind == KIND_SIGNALS;
			handle(server, kind, (int)(uint32_t)events[i].data.u64);
		}
		/* closes sockets of which this batch may have told, so it comes last; a second
		 * signal ends it */
		if (signalled && server->stopping)
			return;
		if (signalled)
			stop(server);
	}
}

/* --- settings
 * ------------------------------------------------------------------------------------- */

static const char usage[] =
	"hs-echo-server [OPTION...]\n"
	"\n"
	"Prints what arrives by TCP and UDP, and answers with its slot.\n"
	"\n"
	"  --slot=SLOT            what it answers (default: $HOTSTANDBY_SLOT, or 0)\n"
	"  --listen=ADDRESS:PORT  where; may be given several times (default: 0.0.0.0:7777 and "
	"[::]:7777)\n"
	"  --dual-stack           IPv6 sockets serve IPv4, too\n"
	"  --quiet                prints nothing\n";

static const struct option options[] = {
	{"slot", required_argument, NULL, 's'}, {"listen", required_argument, NULL, 'l'},
	{"dual-stack", no_argument, NULL, 'd'}, {"quiet", no_argument, NULL, 'q'},
	{"help", no_argument, NULL, 'h'},	{}};

/* Returns 0, or 1 if there is nothing more to do, or -EINVAL. */
static int set_option(struct server *server, int option, const char *value)
{
	union address address;

	switch (option) {
	case 's':
		server->slot = value;
		return 0;
	case 'l':
		if (server->n_listen == LISTEN_MAX || address_parse(value, &address) < 0 ||
		    address_port(&address) == 0) {
			fprintf(stderr, "'%s' is not of the form ADDRESS:PORT, or one too many\n",
				value);
			return -EINVAL;
		}
		server->listen[server->n_listen++] = value;
		return 0;
	case 'd':
		server->dual_stack = true;
		return 0;
	case 'q':
		server->quiet = true;
		return 0;
	case 'h':
		fputs(usage, stdout);
		return 1;
	default:
		return -EINVAL;
	}
}

static int read_options(struct server *server, int argc, char **argv)
{
	int option, r = 0;

	while (r == 0 && (option = getopt_long(argc, argv, "", options, NULL)) >= 0)
		r = set_option(server, option, optarg);
	if (r == 0 && optind < argc) {
		fprintf(stderr, "'%s' is not an option\n", argv[optind]);
		return -EINVAL;
	}
	if (server->n_listen == 0) {
		if (!server->dual_stack)
			server->listen[server->n_listen++] = "0.0.0.0:7777";
		server->listen[server->n_listen++] = "[::]:7777";
	}
	return r;
}

int main(int argc, char **argv)
{
	const char *slot = getenv("HOTSTANDBY_SLOT");
	struct server server = {.slot = slot ? slot : "0"};
	int r = read_options(&server, argc, argv);

	if (r != 0)
		return r < 0 ? 2 : 0;
	setlinebuf(stdout);
	server.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	r = server.epoll_fd < 0 ? -errno : open_signals(&server);
	if (r < 0)
		fprintf(stderr, "hs-echo-server: %s\n", strerror(-r));
	else
		r = open_all(&server);
	if (r < 0)
		return 1;
	sd_notify(false, "READY=1");
	run(&server);
	return 0;
}
