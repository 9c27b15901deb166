// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsd/workers.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <syslog.h>

#include "system/journal.h"
#include "util/macro.h"

/* How long it may be about one socket before it is given up: nothing that is done with one takes
 * longer, but on a machine that hardly runs. */
#define STEP_PATIENCE (1500 * USEC_PER_MSEC)
/* Before the first one: processes are looked through then. */
#define LOOK_PATIENCE (10 * USEC_PER_SEC)
/* So many at the same time; those given up are not among them. */
#define RUNNING_MAX 16
/* So many processes of one slot that were given up may not have ended yet: whatever they wait for,
 * more would wait for the same. */
#define GIVEN_UP_MAX 4
/* The host has more than it can take: again after this. */
#define AGAIN_AFTER (5 * USEC_PER_MSEC)

enum work_state { WORK_WAITS, WORK_RUNS, WORK_GIVEN_UP };

struct work {
	struct workers *workers;
	struct work *next;
	enum work_state state;
	enum work_kind kind;
	char service[SERVICE_NAME_MAX];
	unsigned slot;
	int file;
	int fds[PLANE_LISTENERS_MAX];
	size_t n_fds;
	uint64_t patience;
	int pidfd;		     /* -1: it has not told yet */
	char step[WORK_MESSAGE_MAX]; /* what it is about; "" = it has told nothing yet */
	struct work_answer answer;
	sd_event_source *socket, *timer;
	work_fn on_done;
	void *userdata;
};

struct workers {
	sd_event *event;
	int host_fd;
	sd_event_source *kick;
	struct work *first; /* in the order in which they came */
	work_released_fn on_released;
	void *userdata;
};

DEFINE_CLEANUP(struct workers, workers_free)

static void work_free(struct work *work)
{
	sd_event_source_disable_unref(work->socket);
	sd_event_source_disable_unref(work->timer);
	work_answer_done(&work->answer);
	for (size_t i = 0; i < work->n_fds; i++)
		close_fd(work->fds[i]);
	close_fd(work->file);
	close_fd(work->pidfd);
	free(work);
}

DEFINE_CLEANUP(struct work, work_free)

static void unlink_work(struct work *work)
{
	struct work **place = &work->workers->first;

	while (*place != work)
		place = &(*place)->next;
	*place = work->next;
}

static void kick(struct workers *workers)
{
	sd_event_source_set_time(workers->kick, 0);
	sd_event_source_set_enabled(workers->kick, SD_EVENT_ONESHOT);
}

unsigned workers_busy(const struct workers *workers)
{
	unsigned n = 0;

	for (const struct work *work = workers->first; work; work = work->next)
		n += work->state != WORK_GIVEN_UP;
	return n;
}

struct work *work_forget(struct work *work)
{
	if (work)
		work->on_done = NULL;
	return NULL;
}

/* ---- the end ---- */

/* Once. */
static void answer(struct work *work, int result)
{
	work_fn on_done = work->on_done;
	struct work_answer taken = work->answer;

	work->on_done = NULL;
	work->answer = (struct work_answer) {0};
	if (result < 0)
		taken.result = result;
	if (taken.result < 0 && !taken.problem.text[0])
		problem_set(&taken.problem, 0, "hsd could not %s: %s",
			    work_kind_describe(work->kind), strerror(-taken.result));
	if (on_done)
		on_done(&taken, work->userdata);
	work_answer_done(&taken);
}

/* Frees it. */
static void finish(struct work *work, int result)
{
	struct workers *workers = work->workers;

	unlink_work(work);
	answer(work, result);
	work_free(work);
	kick(workers);
}

static void describe_held(struct work *work)
{
	problem_set(&work->answer.problem, 0,
		    "it could not %s: the lock of its socket on %.200s was held for %.1f s, which "
		    "only that process or one it shares the socket with can do; it is left alone "
		    "until the lock is released: restart the instance",
		    work_kind_describe(work->kind), work->step,
		    (double)work->patience / USEC_PER_SEC);
}

static int on_patience_ended(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct work *work = userdata;

	(void)usec;
	work->timer = sd_event_source_disable_unref(source);
	work->state = WORK_GIVEN_UP;
	/* when it wakes up it must not go on with what has been overtaken */
	if (work->pidfd >= 0)
		syscall(SYS_pidfd_send_signal, work->pidfd, SIGKILL, NULL, 0);
	if (work->step[0])
		describe_held(work);
	else
		problem_set(&work->answer.problem, 0,
			    "hsd could not %s: its processes have too many descriptors to be "
			    "looked through within %d s, or, before Linux 6.9, the kernel tells "
			    "nobody about sockets because somebody on this machine holds the lock "
			    "of one (see LIMITS in hotstandby(7))",
			    work_kind_describe(work->kind), (int)(LOOK_PATIENCE / USEC_PER_SEC));
	answer(work, -ETIMEDOUT);
	kick(work->workers);
	return 0;
}

/* ---- messages ---- */

static int keep_fds(struct work *work, const struct msghdr *message)
{
	struct work_answer *to = &work->answer;
	struct cmsghdr *rights = CMSG_FIRSTHDR(message);
	size_t n;
	int *more;

	if (!rights || rights->cmsg_type != SCM_RIGHTS)
		return 0;
	n = (rights->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	more = realloc(to->fds, (to->n_fds + n) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	memcpy(more + to->n_fds, CMSG_DATA(rights), n * sizeof(*more));
	to->fds = more;
	to->n_fds += n;
	return 0;
}

/* Its type; 0 = the process has ended; -EAGAIN: there is none yet. */
static int receive(struct work *work, int fd, char text[WORK_MESSAGE_MAX])
{
	char control[CMSG_SPACE(WORK_FDS_AT_ONCE * sizeof(int))];
	struct iovec part = {text, WORK_MESSAGE_MAX - 1};
	struct msghdr message = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	ssize_t n = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	int r;

	if (n <= 0)
		return n < 0 && (errno == EAGAIN || errno == EINTR) ? -EAGAIN : 0;
	text[n] = '\0';
	r = keep_fds(work, &message);
	return r < 0 ? 0 : text[0];
}

/* It may have come back long after it was given up. */
static void on_ended(struct work *work, int result)
{
	struct workers *workers = work->workers;
	bool given_up = work->state == WORK_GIVEN_UP;
	char service[SERVICE_NAME_MAX];
	unsigned slot = work->slot;

	memcpy(service, work->service, sizeof(service));
	finish(work, result);
	if (given_up)
		workers->on_released(service, slot, workers->userdata);
}

/* On a busy machine it may begin after it was given up. */
static void note_begun(struct work *work)
{
	work->pidfd = work->answer.fds[--work->answer.n_fds];
	if (work->state == WORK_GIVEN_UP)
		syscall(SYS_pidfd_send_signal, work->pidfd, SIGKILL, NULL, 0);
}

static void note_step(struct work *work, const char *text)
{
	if (work->state != WORK_RUNS)
		return;
	snprintf(work->step, sizeof(work->step), "%s", text);
	work->patience = STEP_PATIENCE;
	sd_event_source_set_time_relative(work->timer, work->patience);
}

static int on_message(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct work *work = userdata;
	char text[WORK_MESSAGE_MAX];
	int type;

	(void)source;
	(void)events;
	while ((type = receive(work, fd, text)) > 0) {
		if (type == WORK_DONE) {
			on_ended(work, work_read_answer(work->file, &work->answer));
			return 0;
		}
		if (type == WORK_BEGUN && work->answer.n_fds)
			note_begun(work);
		if (type == WORK_STEP)
			note_step(work, text + 1);
	}
	if (!type)
		on_ended(work, -ECHILD);
	return 0;
}

/* ---- the beginning ---- */

static int watch(struct work *work, int fd)
{
	sd_event *event = work->workers->event;
	int r = sd_event_add_io(event, &work->socket, fd, EPOLLIN, on_message, work);

	if (r >= 0)
		r = sd_event_source_set_io_fd_own(work->socket, true);
	if (r >= 0)
		r = sd_event_add_time_relative(event, &work->timer, CLOCK_MONOTONIC, work->patience,
					       USEC_PER_MSEC, on_patience_ended, work);
	return MIN(r, 0);
}

/* -EAGAIN: later. */
static int begin(struct work *work)
{
	int ends[2], fds[2 + ARRAY_SIZE(work->fds)], r;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	fds[0] = ends[1];
	fds[1] = work->file;
	memcpy(fds + 2, work->fds, work->n_fds * sizeof(*fds));
	r = work_host_order(work->workers->host_fd, fds, 2 + work->n_fds);
	close_fd(ends[1]);
	if (!r)
		r = watch(work, ends[0]);
	if (r < 0 && !work->socket)
		close_fd(ends[0]);
	return r;
}

static bool is_same_slot(const struct work *a, const struct work *b)
{
	return a->slot == b->slot && !strcmp(a->service, b->service);
}

/* One of the same slot that was given up, and might be met again. */
static const struct work *stuck_before(const struct work *work)
{
	unsigned n = 0;

	for (const struct work *other = work->workers->first; other; other = other->next) {
		if (other->state != WORK_GIVEN_UP || !is_same_slot(other, work))
			continue;
		if (work_kind_locks(work->kind) || ++n == GIVEN_UP_MAX)
			return other;
	}
	return NULL;
}

/* What gives sockets another owner concerns all slots, and who makes more of them meanwhile. */
static bool excludes(const struct work *a, const struct work *b)
{
	return is_same_slot(a, b) ||
	       (!strcmp(a->service, b->service) && (a->kind == WORK_GIVE || b->kind == WORK_GIVE));
}

static bool may_begin(const struct work *work)
{
	unsigned running = 0, own = 0;

	for (const struct work *other = work->workers->first; other; other = other->next) {
		running += other->state == WORK_RUNS;
		own += other->state == WORK_RUNS && !strcmp(other->service, work->service);
		if (other->state == WORK_RUNS && excludes(other, work))
			return false;
	}
	/* nobody takes the places of all */
	return running < RUNNING_MAX && own < RUNNING_MAX / 4;
}

static void refuse(struct work *work, const struct work *stuck)
{
	problem_set(&work->answer.problem, 0,
		    "hsd could not %s: the lock of its socket%s%.200s is held since an earlier "
		    "attempt; restart the instance",
		    work_kind_describe(work->kind), stuck->step[0] ? " on " : "", stuck->step);
	finish(work, -EBUSY);
}

/* The next one that can begin. False: none can. */
static bool begin_next(struct workers *workers)
{
	for (struct work *work = workers->first; work; work = work->next) {
		const struct work *stuck;
		int r;

		if (work->state != WORK_WAITS || !may_begin(work))
			continue;
		stuck = stuck_before(work);
		if (stuck) {
			refuse(work, stuck);
			return true;
		}
		r = begin(work);
		if (r == -EAGAIN) {
			sd_event_source_set_time_relative(workers->kick, AGAIN_AFTER);
			sd_event_source_set_enabled(workers->kick, SD_EVENT_ONESHOT);
			return false;
		}
		/* who makes the processes is gone: systemd starts hsd anew, and with it another */
		if (r == -EPIPE || r == -ECONNRESET)
			sd_event_exit(workers->event, r);
		work->state = WORK_RUNS;
		if (r < 0)
			finish(work, r);
		return true;
	}
	return false;
}

static int on_kick(sd_event_source *source, uint64_t usec, void *userdata)
{
	(void)source;
	(void)usec;
	while (begin_next(userdata))
		;
	return 0;
}

static int copy_fds(struct work *work, const int *fds, size_t n_fds)
{
	if (n_fds > ARRAY_SIZE(work->fds))
		return -E2BIG;
	for (size_t i = 0; i < n_fds; i++) {
		int copy = fcntl(fds[i], F_DUPFD_CLOEXEC, 3);

		if (copy < 0)
			return -errno;
		work->fds[work->n_fds++] = copy;
	}
	return 0;
}

int workers_order(struct workers *workers, const struct work_order *order, const int *fds,
		  size_t n_fds, work_fn on_done, void *userdata, struct work **ret_work)
{
	_cleanup_(work_freep) struct work *work = calloc(1, sizeof(*work));
	struct work **end = &workers->first;
	int r;

	if (!work)
		return -ENOMEM;
	work->workers = workers;
	work->file = work->pidfd = -1;
	work->kind = order->kind;
	work->slot = order->slot;
	work->patience = LOOK_PATIENCE + order->patience_usec;
	memcpy(work->service, order->service, sizeof(work->service));
	work->on_done = on_done;
	work->userdata = userdata;
	r = copy_fds(work, fds, n_fds);
	if (!r)
		r = work_write_order(order, &work->file);
	if (r < 0)
		return r;
	while (*end)
		end = &(*end)->next;
	*end = work;
	if (ret_work)
		*ret_work = work;
	work = NULL;
	kick(workers);
	return 0;
}

int workers_new(sd_event *event, int host_fd, work_released_fn on_released, void *userdata,
		struct workers **ret_workers)
{
	_cleanup_(workers_freep) struct workers *workers = calloc(1, sizeof(*workers));
	int r;

	if (!workers) {
		close_fd(host_fd);
		return -ENOMEM;
	}
	workers->event = event;
	workers->host_fd = host_fd;
	workers->on_released = on_released;
	workers->userdata = userdata;
	r = sd_event_add_time(event, &workers->kick, CLOCK_MONOTONIC, 0, 1, on_kick, workers);
	if (r >= 0)
		r = sd_event_source_set_enabled(workers->kick, SD_EVENT_OFF);
	if (r < 0)
		return r;
	*ret_workers = steal_ptr(&workers);
	return 0;
}

struct workers *workers_free(struct workers *workers)
{
	struct work *next;

	if (!workers)
		return NULL;
	for (struct work *work = workers->first; work; work = next) {
		next = work->next;
		work_free(work);
	}
	sd_event_source_disable_unref(workers->kick);
	close_fd(workers->host_fd);
	free(workers);
	return NULL;
}
