// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsctl/drill/prober.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "core/httpanswer.h"
#include "core/proxyheader.h"
#include "util/clock.h"
#include "util/macro.h"

/* Sockets that may be open at a time: rate times timeout, bounded. */
#define OPEN_MAX 16384

struct shared {
	atomic_size_t n, answered;
	atomic_bool stop;
	atomic_int error; /* why a connection could not be tried; 0 = all were */
	uint64_t began;	  /* CLOCK_MONOTONIC, microseconds */
	struct drill_probe probes[DRILLPROBER_PROBES_MAX];
};

struct drillprober {
	struct shared *shared;
	uint64_t interval, timeout;
	pid_t pid;
};

/* ---- in the child ---- */

struct attempt {
	int fd; /* -1 = free */
	bool sent;
	uint64_t begun;
	struct http_answer answer;
};

struct child {
	struct shared *shared;
	const struct prober_target *target;
	struct sockaddr_storage address;
	socklen_t address_size;
	char request[1024];
	int epoll_fd, timer_fd;
	struct attempt *attempts;
	size_t n_attempts; /* slots in use at the front, some of them free */
	size_t open;
};

static uint64_t elapsed(const struct shared *shared)
{
	return now_usec() - shared->began;
}

static void make_address(struct child *child)
{
	const struct address *address = &child->target->address;

	if (child->target->socket) {
		struct sockaddr_un *un = (struct sockaddr_un *)&child->address;

		un->sun_family = AF_UNIX;
		snprintf(un->sun_path, sizeof(un->sun_path), "%s", child->target->socket);
		child->address_size = sizeof(*un);
	} else if (address->family == AF_INET) {
		struct sockaddr_in *in = (struct sockaddr_in *)&child->address;

		in->sin_family = AF_INET;
		in->sin_port = htons(address->port);
		memcpy(&in->sin_addr, address->ip, 4);
		child->address_size = sizeof(*in);
	} else {
		struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&child->address;

		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(address->port);
		memcpy(&in6->sin6_addr, address->ip, 16);
		in6->sin6_scope_id = address->ifindex;
		child->address_size = sizeof(*in6);
	}
}

static void make_request(struct child *child)
{
	const struct prober_target *target = child->target;
	char text[ADDRESS_TEXT_MAX];

	if (!target->path)
		return;
	snprintf(child->request, sizeof(child->request),
		 "GET %.512s HTTP/1.1\r\nHost: %.255s\r\nUser-Agent: hotstandby-drill\r\n"
		 "Connection: close\r\n\r\n",
		 target->path,
		 target->health->host[0] ? target->health->host
		 : target->socket	 ? "localhost"
					 : address_format(&target->address, text));
}

static void end_attempt(struct child *child, struct attempt *attempt, enum drill_outcome outcome)
{
	size_t n = atomic_load(&child->shared->n);

	assert(n < DRILLPROBER_PROBES_MAX);
	close_fd(attempt->fd);
	attempt->fd = -1;
	child->open--;
	child->shared->probes[n] = (struct drill_probe) {
		.begun = attempt->begun, .ended = elapsed(child->shared), .outcome = outcome};
	atomic_store(&child->shared->n, n + 1);
	if (outcome == DRILL_ANSWERED)
		atomic_fetch_add(&child->shared->answered, 1);
}

/* A free place; NULL when too many are open already. */
static struct attempt *free_attempt(struct child *child)
{
	for (size_t i = 0; i < child->n_attempts; i++)
		if (child->attempts[i].fd < 0)
			return &child->attempts[i];
	return child->n_attempts < OPEN_MAX ? &child->attempts[child->n_attempts++] : NULL;
}

/* Ours, and not the server's: at a path EAGAIN says that its queue is full. */
static bool is_want(const struct child *child, int error)
{
	if (error == EAGAIN && child->target->socket)
		return false;
	return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM ||
	       error == EADDRNOTAVAIL || error == EAGAIN;
}

static void drop_attempt(struct child *child, struct attempt *attempt, int error)
{
	atomic_store(&child->shared->error, error);
	close_fd(attempt->fd);
	attempt->fd = -1;
	child->open--;
}

static int connect_attempt(struct child *child, struct attempt *attempt)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET | EPOLLRDHUP,
				    .data.ptr = attempt};

	attempt->fd =
		socket(child->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (attempt->fd < 0 || epoll_ctl(child->epoll_fd, EPOLL_CTL_ADD, attempt->fd, &event) < 0)
		return errno;
	if (connect(attempt->fd, (struct sockaddr *)&child->address, child->address_size) < 0 &&
	    errno != EINPROGRESS)
		return errno;
	return 0;
}

static void begin_attempt(struct child *child)
{
	struct attempt *attempt = free_attempt(child);
	int error;

	if (!attempt)
		return;
	/* not a word more than is remembered: those that are open still come */
	if (atomic_load(&child->shared->n) + child->open >= DRILLPROBER_PROBES_MAX) {
		atomic_store(&child->shared->error, EOVERFLOW);
		return;
	}
	memset(attempt, 0, offsetof(struct attempt, answer));
	attempt->answer.size = 0;
	attempt->begun = elapsed(child->shared);
	child->open++;
	error = connect_attempt(child, attempt);
	if (is_want(child, error))
		drop_attempt(child, attempt, error);
	else if (error)
		end_attempt(child, attempt, DRILL_REFUSED);
}

/* A few bytes, for which a new connection always has room. */
static int send_all(int fd, const char *text, size_t size)
{
	return !size || send(fd, text, size, MSG_NOSIGNAL) == (ssize_t)size ? 0 : -ECONNRESET;
}

/* The header of the PROXY protocol, where the server wants one. */
static int send_header(const struct child *child, int fd)
{
	struct sockaddr_storage source = {0}, dest = {0};
	socklen_t source_size = sizeof(source), dest_size = sizeof(dest);
	char header[PROXY_HEADER_MAX + 1];

	if (getsockname(fd, (struct sockaddr *)&source, &source_size) < 0 ||
	    getpeername(fd, (struct sockaddr *)&dest, &dest_size) < 0)
		return -ECONNRESET;
	return send_all(fd, header,
			proxy_header_make(child->target->health->proxy, &source, &dest, header));
}

/* Established: ask; without a question say at once that nothing comes. */
static int ask(struct child *child, struct attempt *attempt)
{
	int error = 0;
	socklen_t size = sizeof(error);

	if (getsockopt(attempt->fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0 || error)
		return -ECONNREFUSED;
	attempt->sent = true;
	if (send_header(child, attempt->fd) < 0)
		return -ECONNRESET;
	if (!child->request[0])
		return shutdown(attempt->fd, SHUT_WR) < 0 ? -ECONNRESET : 0;
	return send_all(attempt->fd, child->request, strlen(child->request));
}

/* The answer has ended, or failed with `error`. */
static enum drill_outcome judge(const struct child *child, const struct attempt *attempt, int error)
{
	unsigned status = http_answer_status(&attempt->answer);

	if (error)
		return DRILL_RESET;
	if (!child->target->path)
		return DRILL_ANSWERED;
	if (!attempt->answer.size)
		return DRILL_RESET;
	if (!status)
		return DRILL_WRONG;
	/* the connection of one that goes ends as that of one that has done its work does */
	if (!http_answer_is_whole(&attempt->answer))
		return DRILL_RESET;
	return config_health_takes(child->target->health, status) ? DRILL_ANSWERED : DRILL_WRONG;
}

/* Of what comes little is kept. True when the connection has ended. */
static bool read_answer(struct attempt *attempt, int *ret_error)
{
	char buffer[4096];
	ssize_t n;

	while ((n = recv(attempt->fd, buffer, sizeof(buffer), 0)) > 0)
		http_answer_add(&attempt->answer, buffer, (size_t)n);
	*ret_error = n < 0 ? errno : 0;
	return n == 0 || (errno != EAGAIN && errno != EINTR);
}

static void on_event(struct child *child, struct attempt *attempt, uint32_t events)
{
	int error = 0;

	if (!attempt->sent && events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) {
		int r = ask(child, attempt);

		if (r < 0) {
			end_attempt(child, attempt,
				    r == -ECONNREFUSED ? DRILL_REFUSED : DRILL_RESET);
			return;
		}
	}
	if (attempt->sent && read_answer(attempt, &error))
		end_attempt(child, attempt, judge(child, attempt, error));
	/* without HTTP, whatever it says is an answer: a greeting, for one */
	else if (attempt->answer.size && !child->target->path)
		end_attempt(child, attempt, DRILL_ANSWERED);
}

static void end_late_ones(struct child *child)
{
	uint64_t now = elapsed(child->shared);

	for (size_t i = 0; i < child->n_attempts; i++)
		if (child->attempts[i].fd >= 0 &&
		    now - child->attempts[i].begun > child->target->timeout_usec)
			end_attempt(child, &child->attempts[i], DRILL_TIMEOUT);
}

/* As many as the clock has asked for since: the rate holds also when we were late. */
static void on_timer(struct child *child)
{
	uint64_t due = 0;

	end_late_ones(child);
	if (read(child->timer_fd, &due, sizeof(due)) != sizeof(due))
		return;
	for (uint64_t i = 0; i < MIN(due, 100U) && !atomic_load(&child->shared->stop); i++)
		begin_attempt(child);
}

static void probe(struct child *child)
{
	struct epoll_event events[64];

	while (!atomic_load(&child->shared->stop) || child->open) {
		int n = epoll_wait(child->epoll_fd, events, ARRAY_SIZE(events), 200);
		bool due = n <= 0;

		for (int i = 0; i < n; i++) {
			struct attempt *attempt = events[i].data.ptr;

			/* the timer comes last: it gives away places that have ended in this round
			 */
			if (!attempt)
				due = true;
			else if (attempt->fd >= 0)
				on_event(child, attempt, events[i].events);
		}
		if (due)
			on_timer(child);
	}
}

static int set_up(struct child *child)
{
	uint64_t interval = UINT64_C(1000000000) / child->target->rate;
	struct itimerspec spec = {
		.it_interval = {interval / 1000000000, interval % 1000000000},
		.it_value = {0, 1},
	};
	struct epoll_event event = {.events = EPOLLIN};

	make_address(child);
	make_request(child);
	child->attempts = calloc(OPEN_MAX, sizeof(*child->attempts));
	child->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	child->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (!child->attempts || child->epoll_fd < 0 || child->timer_fd < 0 ||
	    epoll_ctl(child->epoll_fd, EPOLL_CTL_ADD, child->timer_fd, &event) < 0 ||
	    timerfd_settime(child->timer_fd, 0, &spec, NULL) < 0)
		return -errno;
	return 0;
}

static int run_child(struct shared *shared, const struct prober_target *target, pid_t parent)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
	struct child child = {.shared = shared, .target = target};
	struct rlimit limit;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* an interrupt is for the parent, which puts things back and then ends us */
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		signal(signals[i], SIG_IGN);
	/* connections that are not answered add up */
	if (!getrlimit(RLIMIT_NOFILE, &limit)) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
	if (getppid() != parent)
		return 1;
	if (target->netns_fd >= 0 && setns(target->netns_fd, CLONE_NEWNET) < 0)
		return 1;
	if (set_up(&child) < 0)
		return 1;
	probe(&child);
	return 0;
}

/* ---- in the parent ---- */

DEFINE_CLEANUP(struct drillprober, drillprober_free)

struct drillprober *drillprober_free(struct drillprober *prober)
{
	if (!prober)
		return NULL;
	if (prober->pid > 0) {
		kill(prober->pid, SIGKILL);
		waitpid(prober->pid, NULL, 0);
	}
	if (prober->shared)
		munmap(prober->shared, sizeof(*prober->shared));
	free(prober);
	return NULL;
}

int drillprober_start(const struct prober_target *target, struct drillprober **ret_prober)
{
	_cleanup_(drillprober_freep) struct drillprober *prober = calloc(1, sizeof(*prober));
	pid_t parent = getpid();
	void *memory;

	if (!prober)
		return -ENOMEM;
	memory = mmap(NULL, sizeof(struct shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED)
		return -errno;
	prober->shared = memory;
	prober->shared->began = now_usec();
	prober->interval = USEC_PER_SEC / target->rate;
	prober->timeout = target->timeout_usec;
	prober->pid = fork();
	if (prober->pid < 0)
		return -errno;
	if (!prober->pid)
		_exit(run_child(prober->shared, target, parent));
	*ret_prober = steal_ptr(&prober);
	return 0;
}

uint64_t drillprober_now(const struct drillprober *prober)
{
	return elapsed(prober->shared);
}

void drillprober_counts(const struct drillprober *prober, size_t *ret_total, size_t *ret_answered)
{
	*ret_total = atomic_load(&prober->shared->n);
	*ret_answered = atomic_load(&prober->shared->answered);
}

/* -ECHILD when it ended other than it should. */
static int wait_for_end(struct drillprober *prober)
{
	int status = 0;
	pid_t pid;

	do
		pid = waitpid(prober->pid, &status, 0);
	while (pid < 0 && errno == EINTR);
	prober->pid = 0;
	return pid > 0 && WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : -ECHILD;
}

int drillprober_stop(struct drillprober *prober, struct drill_record *record, uint64_t *ret_end)
{
	size_t n;
	int r;

	atomic_store(&prober->shared->stop, true);
	r = wait_for_end(prober);
	*ret_end = elapsed(prober->shared);
	record->interval_usec = prober->interval;
	n = atomic_load(&prober->shared->n);
	for (size_t i = 0; !r && i < n; i++)
		r = drill_record_probe(record, &prober->shared->probes[i]);
	return r ?: -atomic_load(&prober->shared->error);
}
