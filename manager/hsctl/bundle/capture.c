// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsctl/bundle/capture.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "util/clock.h"
#include "util/macro.h"

#define TEXT_MAX    ((size_t)16 << 20)
#define LOOK_EVERY  200 /* ms */
#define STATUS_NONE 127
#define ERRORS_MAX  4096
/* One that is killed is gone at once, unless it hangs in the kernel, which may be for good. */
#define KILLED_TIME (2 * USEC_PER_SEC)
#define KILLED_LOOK 10 /* ms */

/* Nothing that is asked shall ask somebody, page, or paint. A group of its own ends as a whole. */
static void become(const char *const *command, int out, int errors)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	setpgid(0, 0);
	dup2(null, STDIN_FILENO);
	dup2(out, STDOUT_FILENO);
	dup2(errors, STDERR_FILENO);
	setenv("SYSTEMD_PAGER", "", true);
	setenv("SYSTEMD_COLORS", "0", true);
	setenv("NO_COLOR", "1", true);
	setenv("LC_ALL", "C.UTF-8", true);
	execvp(command[0], (char *const *)command);
	_exit(STATUS_NONE);
}

struct text {
	char *bytes;
	size_t n, room;
};

/* Reads on. 0: it has ended. */
static ssize_t read_more(int fd, struct text *text)
{
	size_t room = text->room ? text->room * 2 : 16384;
	char *grown;
	ssize_t n;

	if (text->n + 1 >= text->room) {
		grown = realloc(text->bytes, room);
		if (!grown)
			return -ENOMEM;
		text->bytes = grown;
		text->room = room;
	}
	n = read(fd, text->bytes + text->n, text->room - text->n - 1);
	if (n > 0)
		text->n += (size_t)n;
	return n < 0 ? -errno : n;
}

/* 0 at the end, or a negative errno: -EFBIG, -ETIMEDOUT, -EINTR when it was interrupted. */
static int read_all(int fd, uint64_t deadline, const volatile sig_atomic_t *interrupted,
		    struct text *text)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
	ssize_t n = 1;

	while (n) {
		if (*interrupted)
			return -EINTR;
		if (now_usec() >= deadline)
			return -ETIMEDOUT;
		if (text->n >= TEXT_MAX)
			return -EFBIG;
		if (poll(&poll_fd, 1, LOOK_EVERY) <= 0)
			continue;
		n = read_more(fd, text);
		if (n < 0 && n != -EINTR && n != -EAGAIN)
			return (int)n;
	}
	return 0;
}

static int wait_for(pid_t child, bool killed)
{
	uint64_t deadline = now_usec() + KILLED_TIME;
	int status;
	pid_t r;

	while ((r = waitpid(child, &status, killed ? WNOHANG : 0)) <= 0) {
		if ((r < 0 && errno != EINTR) || (killed && now_usec() >= deadline))
			return STATUS_NONE;
		if (!r)
			poll(NULL, 0, KILLED_LOOK);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Text has no NUL in it. */
static char *end_text(struct text *text)
{
	if (!text->bytes)
		return strdup("");
	for (size_t i = 0; i < text->n; i++)
		if (!text->bytes[i])
			text->bytes[i] = '?';
	text->bytes[text->n] = '\0';
	return text->bytes;
}

static char *read_errors(int fd)
{
	struct text text = {.bytes = malloc(ERRORS_MAX)};
	ssize_t n = text.bytes ? pread(fd, text.bytes, ERRORS_MAX - 1, 0) : 0;

	text.n = n > 0 ? (size_t)n : 0;
	return end_text(&text);
}

void capture_done(struct capture *capture)
{
	free(capture->text);
	free(capture->errors);
	*capture = (struct capture) {0};
}

/* A process, and the end of the pipe by which it speaks. */
static int start(const char *const *command, int errors, pid_t *ret_child)
{
	int pipes[2];
	pid_t child;

	if (pipe2(pipes, O_CLOEXEC) < 0)
		return -errno;
	child = fork();
	if (!child)
		become(command, pipes[1], errors);
	close_fd(pipes[1]);
	if (child < 0)
		return close_fd(pipes[0]), -errno;
	/* it may have to be killed before it comes to that itself */
	(void)setpgid(child, child);
	*ret_child = child;
	return pipes[0];
}

int capture_run(const char *const *command, uint64_t timeout_usec,
		const volatile sig_atomic_t *interrupted, struct capture *ret_capture)
{
	_cleanup_(close_fdp) int errors = memfd_create("errors", MFD_CLOEXEC), in = -1;
	_cleanup_(capture_done) struct capture capture = {0};
	struct text text = {0};
	pid_t child = 0;
	int r;

	if (errors < 0)
		return -errno;
	in = start(command, errors, &child);
	if (in < 0)
		return in;
	r = read_all(in, now_usec() + timeout_usec, interrupted, &text);
	if (r < 0)
		kill(-child, SIGKILL);
	capture.status = wait_for(child, r < 0);
	capture.cut = r == -EFBIG;
	capture.late = r == -ETIMEDOUT;
	capture.text = end_text(&text);
	capture.errors = read_errors(errors);
	if (!capture.text || !capture.errors)
		return -ENOMEM;
	if (r < 0 && !capture.cut && !capture.late)
		return r;
	*ret_capture = capture;
	capture = (struct capture) {0};
	return 0;
}
