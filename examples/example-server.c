// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * hs-example-server: a small HTTP server that shows how a server behaves well under systemd and
 * hotstandby, and which the tests use. It takes the sockets that systemd passes, or opens its own;
 * tells when it is ready; and on SIGTERM lets go of the listening sockets and finishes what it has.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

#include "example-server.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

#define EVENTS_MAX 128
/* accepted in one go, before the connections have their turn */
#define ACCEPT_MAX 64
#define PAUSE_MS   100

uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void server_want_due(struct server *server, uint64_t due)
{
	if (due < server->next_due)
		server->next_due = due;
}

int source_watch(struct server *server, struct source *source, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = source};

	return epoll_ctl(server->epoll_fd, EPOLL_CTL_MOD, source->fd, &event) < 0 ? -errno : 0;
}

static int source_add(struct server *server, struct source *source)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = source};

	return epoll_ctl(server->epoll_fd, EPOLL_CTL_ADD, source->fd, &event) < 0 ? -errno : 0;
}

/* --- listening sockets
 * ---------------------------------------------------------------------------- */

static void set_accepting(struct server *server, bool accepting)
{
	struct listener *listener;

	for (listener = server->listeners; listener; listener = listener->next)
		source_watch(server, &listener->source, accepting ? EPOLLIN : 0);
	server->resume_due = accepting ? 0 : now_ms() + PAUSE_MS;
	if (!accepting)
		server_want_due(server, server->resume_due);
}

void server_resume_soon(struct server *server)
{
	if (!server->resume_due)
		return;
	server->resume_due = now_ms();
	server_want_due(server, server->resume_due);
}

static void listener_on_event(struct server *server, struct source *source)
{
	int i, fd;

	for (i = 0; i < ACCEPT_MAX; i++) {
		fd = accept4(source->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0)
			connection_new(server, fd);
		else if (errno != ECONNABORTED && errno != EINTR)
			break;
	}
	/* no descriptor or memory left: the queue keeps them until there is */
	if (i < ACCEPT_MAX && errno != EAGAIN)
		set_accepting(server, false);
}

/* Takes over the socket, also on failure. */
static int listener_new(struct server *server, int fd, bool extra)
{
	struct listener *listener = calloc(1, sizeof(*listener));
	int r = -ENOMEM;

	/* systemd passes blocking ones */
	if (listener && fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) == 0) {
		listener->source = (struct source) {.fd = fd, .on_event = listener_on_event};
		listener->extra = extra;
		r = source_add(server, &listener->source);
	}
	if (r < 0) {
		free(listener);
		close(fd);
		return r;
	}
	listener->next = server->listeners;
	server->listeners = listener;
	return 0;
}

/* Closes all listening sockets, or only those of --extra-listen=. Returns how many. */
static int listeners_close(struct server *server, bool only_extra)
{
	struct listener **link = &server->listeners, *listener;
	int closed = 0;

	while ((listener = *link)) {
		if (only_extra && !listener->extra) {
			link = &listener->next;
			continue;
		}
		*link = listener->next;
		close(listener->source.fd);
		free(listener);
		closed++;
	}
	return closed;
}

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

/* "127.0.0.1:80", "[::1]:80". Returns 0 or -EINVAL. */
static int parse_address(const char *text, union address *ret_address)
{
	const char *colon = strrchr(text, ':');
	union address address = {};
	char host[64], *end;
	unsigned long port;
	size_t length;

	if (!colon || colon[1] < '0' || colon[1] > '9')
		return -EINVAL;
	port = strtoul(colon + 1, &end, 10);
	length = (size_t)(colon - text);
	if (*end || port > 65535 || length >= sizeof(host) || length == 0)
		return -EINVAL;
	memcpy(host, text, length);
	host[length] = '\0';
	if (host[0] == '[' && host[length - 1] == ']') {
		host[length - 1] = '\0';
		address.v6.sin6_family = AF_INET6;
		address.v6.sin6_port = htons((uint16_t)port);
		if (inet_pton(AF_INET6, host + 1, &address.v6.sin6_addr) != 1)
			return -EINVAL;
	} else {
		address.v4.sin_family = AF_INET;
		address.v4.sin_port = htons((uint16_t)port);
		if (inet_pton(AF_INET, host, &address.v4.sin_addr) != 1)
			return -EINVAL;
	}
	*ret_address = address;
	return 0;
}

/* Returns a listening socket or -errno. */
static int open_socket(const struct settings *settings, const union address *address)
{
	int fd, r, yes = 1;

	fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
		    settings->mptcp ? IPPROTO_MPTCP : 0);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	if (settings->reuseport)
		setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &yes, sizeof(yes));
	if (bind(fd, &address->any, sizeof(*address)) < 0 || listen(fd, settings->backlog) < 0) {
		r = -errno;
		close(fd);
		return r;
	}
	return fd;
}

static int open_address(struct server *server, const char *text, bool extra)
{
	union address address;
	unsigned int shard;
	int r;

	r = parse_address(text, &address);
	for (shard = 0; r >= 0 && shard < server->settings.shards; shard++) {
		r = open_socket(&server->settings, &address);
		if (r >= 0)
			r = listener_new(server, r, extra);
	}
	if (r < 0)
		fprintf(stderr, "cannot listen on %s: %s\n", text, strerror(-r));
	return r;
}

static int open_addresses(struct server *server)
{
	size_t i;
	int r = 0;

	for (i = 0; r >= 0 && i < server->settings.n_listen; i++)
		r = open_address(server, server->settings.listen[i], false);
	return r;
}

static void toggle_extra(struct server *server)
{
	size_t i;

	if (listeners_close(server, true) > 0)
		return;
	for (i = 0; i < server->settings.n_extra_listen; i++)
		open_address(server, server->settings.extra_listen[i], true);
}

/* Returns how many sockets systemd passed, or -errno. */
static int take_passed_sockets(struct server *server)
{
	int i, r, n = sd_listen_fds(1);

	for (i = 0; i < n; i++) {
		int fd = SD_LISTEN_FDS_START + i;

		if (sd_is_socket(fd, AF_UNSPEC, SOCK_STREAM, 1) <= 0) {
			fprintf(stderr, "file descriptor %d is not a listening stream socket\n",
				fd);
			return -EINVAL;
		}
		r = listener_new(server, fd, false);
		if (r < 0)
			return r;
	}
	return n;
}

/* --- signals, time, loop
 * -------------------------------------------------------------------------- */

static void signals_on_event(struct server *server, struct source *source)
{
	struct signalfd_siginfo info;

	while (read(source->fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGHUP)
			server->toggle_extra = true;
		else
			server->stop = true;
	}
}

static int signals_open(struct server *server)
{
	sigset_t mask;

	sigemptyset(&mask);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGINT);
	sigaddset(&mask, SIGHUP);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	server->signals.on_event = signals_on_event;
	server->signals.fd = signalfd(-1, &mask, SFD_NONBLOCK | SFD_CLOEXEC);
	return server->signals.fd < 0 ? -errno : source_add(server, &server->signals);
}

static void server_stop(struct server *server)
{
	server->stopping = true;
	server->bind_due = server->resume_due = 0;
	sd_notify(0, "STOPPING=1");
	listeners_close(server, false);
	connections_stop(server);
}

static int run_due(struct server *server)
{
	uint64_t now = now_ms();
	int r = 0;

	if (now < server->next_due)
		return 0;
	server->next_due = UINT64_MAX;
	if (server->bind_due && server->bind_due <= now) {
		server->bind_due = 0;
		r = open_addresses(server);
		sd_notify(0, "READY=1");
	}
	if (server->bind_due)
		server_want_due(server, server->bind_due);
	if (server->resume_due && server->resume_due <= now)
		set_accepting(server, true);
	if (server->resume_due)
		server_want_due(server, server->resume_due);
	connections_run_due(server, now);
	return r;
}

static int wait_ms(const struct server *server)
{
	uint64_t now = now_ms();

	if (server->next_due == UINT64_MAX)
		return -1;
	if (server->next_due <= now)
		return 0;
	return server->next_due - now > 60000 ? 60000 : (int)(server->next_due - now);
}

static int server_run(struct server *server)
{
	struct epoll_event events[EVENTS_MAX];
	int i, n, r = 0;

	while (r >= 0 && !(server->stopping && !server->connections)) {
		n = epoll_wait(server->epoll_fd, events, EVENTS_MAX, wait_ms(server));
		for (i = 0; i < n; i++) {
			struct source *source = events[i].data.ptr;

			source->on_event(server, source);
		}
		/* these close others' sockets, so they wait until the batch is done */
		if (server->toggle_extra && !server->stopping)
			toggle_extra(server);
		server->toggle_extra = false;
		if (server->stop && !server->stopping)
			server_stop(server);
		r = run_due(server);
	}
	return r;
}

/* --- settings
 * ------------------------------------------------------------------------------------- */

static const char usage[] =
	"hs-example-server [OPTION...]\n"
	"\n"
	"Serves HTTP on the sockets that systemd passes and on those that it opens itself.\n"
	"\n"
	"  --slot=SLOT               what it answers (default: $HOTSTANDBY_SLOT, or 0)\n"
	"  --version=VERSION         likewise (default: 1)\n"
	"  --version-file=FILE       the first line of FILE is the version\n"
	"  --listen=ADDRESS:PORT     open a socket; may be given several times\n"
	"  --extra-listen=ADDRESS:PORT  one that every SIGHUP opens or closes\n"
	"  --shards=N                open N sockets for each address\n"
	"  --backlog=N               of the sockets that it opens (default: 4096)\n"
	"  --bind-delay=MS           open them so long after the start\n"
	"  --idle-grace=MS           when stopping, wait so long for one more request (default: "
	"500)\n"
	"  --no-reuseport            open them without SO_REUSEPORT\n"
	"  --mptcp                   open MPTCP sockets\n";

enum option_id {
	OPTION_SLOT = 256,
	OPTION_VERSION,
	OPTION_VERSION_FILE,
	OPTION_LISTEN,
	OPTION_EXTRA_LISTEN,
	OPTION_SHARDS,
	OPTION_BACKLOG,
	OPTION_BIND_DELAY,
	OPTION_IDLE_GRACE,
	OPTION_NO_REUSEPORT,
	OPTION_MPTCP,
	OPTION_HELP,
};

static const struct option options[] = {
	{"slot", required_argument, NULL, OPTION_SLOT},
	{"version", required_argument, NULL, OPTION_VERSION},
	{"version-file", required_argument, NULL, OPTION_VERSION_FILE},
	{"listen", required_argument, NULL, OPTION_LISTEN},
	{"extra-listen", required_argument, NULL, OPTION_EXTRA_LISTEN},
	{"shards", required_argument, NULL, OPTION_SHARDS},
	{"backlog", required_argument, NULL, OPTION_BACKLOG},
	{"bind-delay", required_argument, NULL, OPTION_BIND_DELAY},
	{"idle-grace", required_argument, NULL, OPTION_IDLE_GRACE},
	{"no-reuseport", no_argument, NULL, OPTION_NO_REUSEPORT},
	{"mptcp", no_argument, NULL, OPTION_MPTCP},
	{"help", no_argument, NULL, OPTION_HELP},
	{}};

static int set_number(const char *text, uint64_t min, uint64_t max, uint64_t *ret_value)
{
	unsigned long long value;
	char *end;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno || *text < '0' || *text > '9' || *end || value < min || value > max) {
		fprintf(stderr, "'%s' is not a number from %llu to %llu\n", text,
			(unsigned long long)min, (unsigned long long)max);
		return -EINVAL;
	}
	*ret_value = value;
	return 0;
}

static int set_address(const char *text, const char **list, size_t *n)
{
	union address address;

	if (*n == LISTEN_MAX || parse_address(text, &address) < 0) {
		fprintf(stderr, "'%s' is not of the form ADDRESS:PORT, or one too many\n", text);
		return -EINVAL;
	}
	list[(*n)++] = text;
	return 0;
}

static int read_version(const char *path, char *version)
{
	FILE *file = fopen(path, "re");
	int r = 0;

	if (!file || !fgets(version, VERSION_MAX, file)) {
		fprintf(stderr, "cannot read a version from %s\n", path);
		r = -EIO;
	}
	if (file)
		fclose(file);
	version[strcspn(version, "\r\n")] = '\0';
	return r;
}

static int set_option(struct settings *settings, int option, const char *value)
{
	uint64_t number = 0;
	int r = 0;

	switch (option) {
	case OPTION_SLOT:
		settings->slot = value;
		break;
	case OPTION_VERSION:
		snprintf(settings->version, VERSION_MAX, "%s", value);
		break;
	case OPTION_VERSION_FILE:
		return read_version(value, settings->version);
	case OPTION_LISTEN:
		return set_address(value, settings->listen, &settings->n_listen);
	case OPTION_EXTRA_LISTEN:
		return set_address(value, settings->extra_listen, &settings->n_extra_listen);
	case OPTION_SHARDS:
		r = set_number(value, 1, 64, &number);
		settings->shards = (unsigned int)number;
		break;
	case OPTION_BACKLOG:
		r = set_number(value, 0, 65535, &number);
		settings->backlog = (int)number;
		break;
	case OPTION_BIND_DELAY:
		return set_number(value, 0, 600000, &settings->bind_delay_ms);
	case OPTION_IDLE_GRACE:
		return set_number(value, 0, 600000, &settings->idle_grace_ms);
	case OPTION_NO_REUSEPORT:
		settings->reuseport = false;
		break;
	case OPTION_MPTCP:
		settings->mptcp = true;
		break;
	case OPTION_HELP:
		fputs(usage, stdout);
		return 1;
	default:
		return -EINVAL;
	}
	return r;
}

/* Returns 0, or 1 if there is nothing more to do, or -errno. */
static int settings_init(struct settings *settings, int argc, char **argv)
{
	const char *slot = getenv("HOTSTANDBY_SLOT");
	int option, r = 0;

	*settings = (struct settings) {
		.slot = slot ? slot : "0",
		.version = "1",
		.shards = 1,
		.backlog = 4096,
		.idle_grace_ms = 500,
		.reuseport = true,
	};
	while (r == 0 && (option = getopt_long(argc, argv, "", options, NULL)) >= 0)
		r = set_option(settings, option, optarg);
	if (r == 0 && optind < argc) {
		fprintf(stderr, "'%s' is not an option\n", argv[optind]);
		r = -EINVAL;
	}
	return r;
}

static int server_start(struct server *server)
{
	int r, passed;

	server->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (server->epoll_fd < 0)
		return -errno;
	r = signals_open(server);
	if (r < 0)
		return r;
	passed = take_passed_sockets(server);
	if (passed < 0)
		return passed;
	if (passed == 0 && server->settings.n_listen == 0) {
		fputs("nothing to listen on: no --listen=, and no socket from systemd\n", stderr);
		return -EINVAL;
	}
	server->bind_due = now_ms() + server->settings.bind_delay_ms;
	server_want_due(server, server->bind_due);
	return run_due(server);
}

int main(int argc, char **argv)
{
	struct server server = {.next_due = UINT64_MAX};
	int r;

	r = settings_init(&server.settings, argc, argv);
	if (r > 0)
		return 0;
	if (r < 0)
		return 2;
	r = server_start(&server);
	if (r >= 0)
		r = server_run(&server);
	if (r < 0)
		fprintf(stderr, "hs-example-server: %s\n", strerror(-r));
	listeners_close(&server, false);
	return r < 0;
}
