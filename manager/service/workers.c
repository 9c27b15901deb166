// SPDX-License-Identifier: GPL-2.0-or-later
#include "service/workers.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <syslog.h>

#include "system/journal.h"
#include "util/fdpass.h"
#include "util/macro.h"

/* How long it may be about one socket before it is given up: nothing that is done with one takes
 * longer, but on a machine that hardly runs; not even one wait for who makes pins (pins_lock()),
 * and before the second one it is told anew. */
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

enum task_state { TASK_WAITS, TASK_RUNS, TASK_GIVEN_UP };

struct task {
	struct workers *workers;
	struct task *next;
	enum task_state state;
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
	struct work work; /* of whoever has ordered it */
};

struct workers {
	sd_event *event;
	int host_fd;
	sd_event_source *kick;
	struct task *first; /* in the order in which they came */
	work_released_fn on_released;
	void *userdata;
};

DEFINE_CLEANUP(struct workers, workers_free)

static void unwatch(struct task *task)
{
	task->socket = sd_event_source_disable_unref(task->socket);
	task->timer = sd_event_source_disable_unref(task->timer);
}

static void task_free(struct task *task)
{
	unwatch(task);
	work_answer_done(&task->answer);
	for (size_t i = 0; i < task->n_fds; i++)
		close_fd(task->fds[i]);
	close_fd(task->file);
	close_fd(task->pidfd);
	free(task);
}

DEFINE_CLEANUP(struct task, task_free)

static void unlink_task(struct task *task)
{
	struct task **place = &task->workers->first;

	while (*place != task)
		place = &(*place)->next;
	*place = task->next;
}

static void kick(struct workers *workers)
{
	sd_event_source_set_time(workers->kick, 0);
	sd_event_source_set_enabled(workers->kick, SD_EVENT_ONESHOT);
}

unsigned workers_busy(const struct workers *workers)
{
	unsigned n = 0;

	for (const struct task *task = workers->first; task; task = task->next)
		n += task->state != TASK_GIVEN_UP;
	return n;
}

/* ---- the end ---- */

/* Once. */
static void answer(struct task *task, int result)
{
	work_fn on_done = task->work.on_done;
	struct work_answer taken = task->answer;

	task->work.on_done = NULL;
	task->answer = (struct work_answer) {0};
	if (result < 0)
		taken.result = result;
	if (taken.result < 0 && !taken.problem.text[0])
		problem_set(&taken.problem, 0, "it was not possible to %s: %s",
			    work_kind_describe(task->kind), strerror(-taken.result));
	if (on_done)
		on_done(&taken, task->work.userdata);
	work_answer_done(&taken);
}

/* Frees it. */
static void finish(struct task *task, int result)
{
	struct workers *workers = task->workers;

	unlink_task(task);
	answer(task, result);
	task_free(task);
	kick(workers);
}

static void describe_held(struct task *task)
{
	problem_set(&task->answer.problem, 0,
		    "it could not %s: the lock of its socket on %.200s was held for %.1f s, which "
		    "only that process or one it shares the socket with can do; it is left alone "
		    "until the lock is released: restart the instance",
		    work_kind_describe(task->kind), task->step,
		    (double)task->patience / USEC_PER_SEC);
}

static int on_patience_ended(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct task *task = userdata;

	(void)usec;
	task->timer = sd_event_source_disable_unref(source);
	task->state = TASK_GIVEN_UP;
	/* when it wakes up it must not go on with what has been overtaken */
	if (task->pidfd >= 0)
		syscall(SYS_pidfd_send_signal, task->pidfd, SIGKILL, NULL, 0);
	if (task->step[0])
		describe_held(task);
	else
		problem_set(
			&task->answer.problem, 0,
			"it was not possible to %s: its processes have too many descriptors to be "
			"looked through within %d s, or, before Linux 6.9, the kernel tells "
			"nobody about sockets because somebody on this machine holds the lock "
			"of one (see LIMITS in hotstandby(7))",
			work_kind_describe(task->kind), (int)(LOOK_PATIENCE / USEC_PER_SEC));
	answer(task, -ETIMEDOUT);
	kick(task->workers);
	return 0;
}

/* ---- messages ---- */

static int keep_fds(struct task *task, const int *fds, size_t n)
{
	struct work_answer *to = &task->answer;
	int *more;

	if (!n)
		return 0;
	more = realloc(to->fds, (to->n_fds + n) * sizeof(*more));
	if (!more) {
		for (size_t i = 0; i < n; i++)
			close_fd(fds[i]);
		return -ENOMEM;
	}
	memcpy(more + to->n_fds, fds, n * sizeof(*more));
	to->fds = more;
	to->n_fds += n;
	return 0;
}

/* Its type; 0 = the process has ended; -EAGAIN: there is none yet. */
static int receive(struct task *task, int fd, char text[WORK_MESSAGE_MAX])
{
	int fds[WORK_FDS_AT_ONCE], r;
	size_t n_fds = ARRAY_SIZE(fds);
	ssize_t n = fdpass_receive(fd, text, WORK_MESSAGE_MAX - 1, fds, &n_fds, MSG_DONTWAIT);

	if (n <= 0)
		return n == -EAGAIN || n == -EINTR ? -EAGAIN : 0;
	text[n] = '\0';
	r = keep_fds(task, fds, n_fds);
	return r < 0 ? 0 : text[0];
}

/* It may have come back long after it was given up. */
static void on_ended(struct task *task, int result)
{
	struct workers *workers = task->workers;
	bool given_up = task->state == TASK_GIVEN_UP;
	char service[SERVICE_NAME_MAX];
	unsigned slot = task->slot;

	memcpy(service, task->service, sizeof(service));
	finish(task, result);
	if (given_up)
		workers->on_released(service, slot, workers->userdata);
}

/* On a busy machine it may begin after it was given up. */
static void note_begun(struct task *task)
{
	task->pidfd = task->answer.fds[--task->answer.n_fds];
	if (task->state == TASK_GIVEN_UP)
		syscall(SYS_pidfd_send_signal, task->pidfd, SIGKILL, NULL, 0);
}

static void note_step(struct task *task, const char *text)
{
	if (task->state != TASK_RUNS)
		return;
	snprintf(task->step, sizeof(task->step), "%s", text);
	task->patience = STEP_PATIENCE;
	sd_event_source_set_time_relative(task->timer, task->patience);
}

static int on_message(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct task *task = userdata;
	char text[WORK_MESSAGE_MAX];
	int type;

	(void)source;
	(void)events;
	while ((type = receive(task, fd, text)) > 0) {
		if (type == WORK_DONE) {
			on_ended(task, work_read_answer(task->file, &task->answer));
			return 0;
		}
		if (type == WORK_BEGUN && task->answer.n_fds)
			note_begun(task);
		if (type == WORK_STEP)
			note_step(task, text + 1);
	}
	if (!type)
		on_ended(task, -ECHILD);
	return 0;
}

/* ---- the beginning ---- */

static int watch(struct task *task, int fd)
{
	sd_event *event = task->workers->event;
	int r = sd_event_add_io(event, &task->socket, fd, EPOLLIN, on_message, task);

	if (r < 0) {
		close_fd(fd);
		return r;
	}
	sd_event_source_set_io_fd_own(task->socket, true);
	r = sd_event_add_time_relative(event, &task->timer, CLOCK_MONOTONIC, task->patience,
				       USEC_PER_MSEC, on_patience_ended, task);
	return MIN(r, 0);
}

/* Who cannot be watched does not begin: nobody would know what he does. -EAGAIN: later. */
static int begin(struct task *task)
{
	int ends[2], fds[2 + ARRAY_SIZE(task->fds)], r;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	fds[0] = ends[1];
	fds[1] = task->file;
	memcpy(fds + 2, task->fds, task->n_fds * sizeof(*fds));
	r = watch(task, ends[0]);
	if (!r)
		r = work_host_order(task->workers->host_fd, fds, 2 + task->n_fds);
	close_fd(ends[1]);
	if (r < 0)
		unwatch(task);
	return r;
}

static bool is_same_slot(const struct task *a, const struct task *b)
{
	return a->slot == b->slot && !strcmp(a->service, b->service);
}

/* One of the same slot that was given up, and might be met again. */
static const struct task *stuck_before(const struct task *task)
{
	unsigned n = 0;

	for (const struct task *other = task->workers->first; other; other = other->next) {
		if (other->state != TASK_GIVEN_UP || !is_same_slot(other, task))
			continue;
		if (work_kind_locks(task->kind) || ++n == GIVEN_UP_MAX)
			return other;
	}
	return NULL;
}

/* What gives sockets another owner concerns all slots, and who makes more of them meanwhile. */
static bool excludes(const struct task *a, const struct task *b)
{
	return is_same_slot(a, b) ||
	       (!strcmp(a->service, b->service) && (a->kind == WORK_GIVE || b->kind == WORK_GIVE));
}

static bool may_begin(const struct task *task)
{
	unsigned running = 0, own = 0;

	for (const struct task *other = task->workers->first; other; other = other->next) {
		running += other->state == TASK_RUNS;
		own += other->state == TASK_RUNS && !strcmp(other->service, task->service);
		if (other->state == TASK_RUNS && excludes(other, task))
			return false;
	}
	/* nobody takes the places of all */
	return running < RUNNING_MAX && own < RUNNING_MAX / 4;
}

static void refuse(struct task *task, const struct task *stuck)
{
	problem_set(&task->answer.problem, 0,
		    "it was not possible to %s: the lock of its socket%s%.200s is held since an "
		    "earlier "
		    "attempt; restart the instance",
		    work_kind_describe(task->kind), stuck->step[0] ? " on " : "", stuck->step);
	finish(task, -EBUSY);
}

/* The next one that can begin. False: none can. */
static bool begin_next(struct workers *workers)
{
	for (struct task *task = workers->first; task; task = task->next) {
		const struct task *stuck;
		int r;

		if (task->state != TASK_WAITS || !may_begin(task))
			continue;
		stuck = stuck_before(task);
		if (stuck) {
			refuse(task, stuck);
			return true;
		}
		r = begin(task);
		if (r == -EAGAIN) {
			sd_event_source_set_time_relative(workers->kick, AGAIN_AFTER);
			sd_event_source_set_enabled(workers->kick, SD_EVENT_ONESHOT);
			return false;
		}
		/* who makes the processes is gone: systemd starts hsd anew, and with it another */
		if (r == -EPIPE || r == -ECONNRESET)
			sd_event_exit(workers->event, r);
		task->state = TASK_RUNS;
		if (r < 0)
			finish(task, r);
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

static int copy_fds(struct task *task, const int *fds, size_t n_fds)
{
	if (n_fds > ARRAY_SIZE(task->fds))
		return -E2BIG;
	for (size_t i = 0; i < n_fds; i++) {
		int copy = fcntl(fds[i], F_DUPFD_CLOEXEC, 3);

		if (copy < 0)
			return -errno;
		task->fds[task->n_fds++] = copy;
	}
	return 0;
}

int workers_order(struct workers *workers, const struct work_order *order, const int *fds,
		  size_t n_fds, const struct work *work, struct work **ret_work)
{
	_cleanup_(task_freep) struct task *task = calloc(1, sizeof(*task));
	struct task **end = &workers->first;
	int r;

	if (!task)
		return -ENOMEM;
	task->workers = workers;
	task->file = task->pidfd = -1;
	task->kind = order->kind;
	task->slot = order->slot;
	task->patience = LOOK_PATIENCE + order->patience_usec;
	memcpy(task->service, order->service, sizeof(task->service));
	task->work = *work;
	r = copy_fds(task, fds, n_fds);
	if (!r)
		r = work_write_order(order, &task->file);
	if (r < 0)
		return r;
	while (*end)
		end = &(*end)->next;
	*end = task;
	if (ret_work)
		*ret_work = &task->work;
	task = NULL;
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
	struct task *next;

	if (!workers)
		return NULL;
	for (struct task *task = workers->first; task; task = next) {
		next = task->next;
		task_free(task);
	}
	sd_event_source_disable_unref(workers->kick);
	close_fd(workers->host_fd);
	free(workers);
	return NULL;
}
