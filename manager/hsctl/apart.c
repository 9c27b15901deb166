// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsctl/apart.h"

#include <signal.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "core/address.h"
#include "plane/borrow/scan.h"
#include "util/clock.h"
#include "util/macro.h"

/* How long it may be about one socket: nothing that is done with one takes longer, but on a machine
 * that hardly runs. What is left of a hook's time is for what the unit needs besides. */
#define STEP_PATIENCE (1500 * USEC_PER_MSEC)
/* Before the first one: processes are looked through then. */
#define LOOK_PATIENCE (10 * USEC_PER_SEC)
#define LOOK_EVERY_MS 1

/* Both processes have it. */
struct apart {
	atomic_uint steps;  /* sockets that were borrowed */
	atomic_bool paused; /* it is about none of them */
	bool ended;
	int result;
	char step[256];
	/* what `work` takes for a structure of its own */
	alignas(max_align_t) char data[];
};

static struct apart *shared; /* in the child */

/* What it prints. */
struct outputs {
	int out, error;
};

static void outputs_close(struct outputs *outputs)
{
	close_fd(outputs->out);
	close_fd(outputs->error);
}

void apart_pause(void)
{
	if (shared)
		atomic_store(&shared->paused, true);
}

static void on_borrow(const struct held_socket *held)
{
	char address[ADDRESS_TEXT_MAX];

	snprintf(shared->step, sizeof(shared->step), "%s of process %d",
		 address_describe(&held->socket.address, address), held->pid);
	atomic_fetch_add(&shared->steps, 1);
	atomic_store(&shared->paused, false);
}

/* Whoever waits for the end of our output is not to wait for this process. */
static void be_child(struct apart *apart, const struct outputs *outputs, apart_fn work)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGINT, SIG_DFL);
	signal(SIGALRM, SIG_DFL);
	dup2(outputs->out, STDOUT_FILENO);
	dup2(outputs->error, STDERR_FILENO);
	shared = apart;
	scan_on_borrow(on_borrow);
	apart->result = work(apart->data);
	fflush(NULL);
	apart->ended = true;
	_exit(0);
}

/* 0, or -ETIMEDOUT when nothing has happened for too long. */
static int await(struct apart *apart, pid_t child)
{
	uint64_t since = now_usec();
	unsigned steps = 0;

	while (waitpid(child, NULL, WNOHANG) != child) {
		unsigned now = atomic_load(&apart->steps);

		if (now != steps || atomic_load(&apart->paused))
			since = now_usec();
		steps = now;
		if (now_usec() - since >= (steps ? STEP_PATIENCE : LOOK_PATIENCE))
			return -ETIMEDOUT;
		usleep(LOOK_EVERY_MS * USEC_PER_MSEC);
	}
	return 0;
}

static int give_up(const struct apart *apart, pid_t child, struct problem *problem)
{
	/* when it wakes up it must not go on with what has been overtaken */
	kill(child, SIGKILL);
	if (!apart->step[0])
		return problem_set(problem, -ETIMEDOUT,
				   "its processes have too many descriptors to be looked through "
				   "within %d s",
				   (int)(LOOK_PATIENCE / USEC_PER_SEC));
	return problem_set(problem, -ETIMEDOUT,
			   "the lock of its socket on %.200s was held for %.1f s, which only that "
			   "process or one it shares the socket with can do; restart the instance",
			   apart->step, (double)STEP_PATIENCE / USEC_PER_SEC);
}

static void copy(int from, int to)
{
	char text[4096];
	ssize_t n;

	for (off_t at = 0; (n = pread(from, text, sizeof(text), at)) > 0; at += n)
		if (write(to, text, n) != n)
			break;
}

static int run(struct apart *apart, apart_fn work, struct problem *problem)
{
	_cleanup_(outputs_close) struct outputs outputs = {
		.out = memfd_create("hsctl-out", MFD_CLOEXEC),
		.error = memfd_create("hsctl-error", MFD_CLOEXEC),
	};
	pid_t child;
	int r;

	if (outputs.out < 0 || outputs.error < 0)
		return problem_set(problem, -errno, "no file in memory: %m");
	fflush(NULL);
	child = fork();
	if (child < 0)
		return problem_set(problem, -errno, "no process could be made for it: %m");
	if (!child)
		be_child(apart, &outputs, work);
	r = await(apart, child);
	if (r < 0)
		return give_up(apart, child, problem);
	copy(outputs.error, STDERR_FILENO);
	copy(outputs.out, STDOUT_FILENO);
	if (!apart->ended)
		return problem_set(problem, -ECHILD, "the process that did it has died");
	return apart->result;
}

int apart_run(apart_fn work, void *data, size_t size, struct problem *problem)
{
	size_t all = sizeof(struct apart) + size;
	struct apart *apart =
		mmap(NULL, all, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int r;

	if (apart == MAP_FAILED)
		return problem_set(problem, -errno, "no memory: %m");
	memcpy(apart->data, data, size);
	r = run(apart, work, problem);
	if (apart->ended)
		memcpy(data, apart->data, size);
	munmap(apart, all);
	return r;
}
