// SPDX-License-Identifier: GPL-2.0-or-later
#include "plugin/serving.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/wire/errand.h"
#include "util/clock.h"
#include "util/macro.h"

#define EXIT_CANNOT_RUN 127

/* To end what a plugin has left: rounds of so long. */
#define ROUNDS	   50
#define ROUND_NSEC (10 * 1000 * 1000)

struct plugin {
	pid_t pid;
	int pid_fd, output_fd;
	uint64_t until;
	struct errand_plugin_end *end;
};

/* ---- the child ---- */

struct command {
	char *words[PROBE_WORDS_MAX], *environment[PROBE_WORDS_MAX];
};

static char *take_text(struct errand_plugin *errand, size_t *at)
{
	char *text = errand->text + *at;

	*at += strnlen(text, sizeof(errand->text) - *at) + 1;
	return *at <= sizeof(errand->text) ? text : NULL;
}

/* False: it is not what hsd sends. */
static bool read_command(struct errand_plugin *errand, struct command *ret_command)
{
	size_t at = 0;
	bool whole = errand->n_words && errand->n_words < PROBE_WORDS_MAX &&
		     errand->n_environment < PROBE_WORDS_MAX;

	*ret_command = (struct command) {0};
	for (unsigned i = 0; whole && i < errand->n_words; i++)
		whole = (ret_command->words[i] = take_text(errand, &at));
	for (unsigned i = 0; whole && i < errand->n_environment; i++)
		whole = (ret_command->environment[i] = take_text(errand, &at));
	return whole;
}

static void become(const struct command *command, int output_fd) __attribute__((noreturn));
static void become(const struct command *command, int output_fd)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	sigset_t signals;

	setsid();
	sigemptyset(&signals);
	sigprocmask(SIG_SETMASK, &signals, NULL);
	if (dup2(null, 0) >= 0 && dup2(null, 2) >= 0 && dup2(output_fd, 1) >= 0 && !chdir("/"))
		execve(command->words[0], command->words, command->environment);
	dprintf(output_fd, "cannot run it: %m\n");
	_exit(EXIT_CANNOT_RUN);
}

static int start(struct plugin *plugin, const struct command *command)
{
	int pipe_fds[2];

	if (pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	/* the plugin's end is an ordinary one */
	fcntl(pipe_fds[1], F_SETFL, 0);
	plugin->pid = fork();
	if (!plugin->pid)
		become(command, pipe_fds[1]);
	close_fd(pipe_fds[1]);
	plugin->output_fd = pipe_fds[0];
	if (plugin->pid < 0)
		return -errno;
	plugin->pid_fd = (int)syscall(SYS_pidfd_open, plugin->pid, 0);
	return plugin->pid_fd < 0 ? -errno : 0;
}

/* ---- while it runs ---- */

/* More than fits is read and forgotten, so that the plugin does not get stuck. False: there is
 * nothing. */
static bool read_some(struct plugin *plugin)
{
	struct errand_plugin_end *end = plugin->end;
	char rest[ERRAND_OUTPUT_MAX];
	size_t room = sizeof(end->output) - end->size;
	ssize_t n = read(plugin->output_fd, room ? end->output + end->size : rest,
			 room ? room : sizeof(rest));

	if (n > 0 && room)
		end->size += (uint32_t)n;
	return n > 0;
}

/* 0 = it has ended, or its time is up; -ECONNRESET: hsd is gone. */
static int follow(struct plugin *plugin, int fd)
{
	struct pollfd polled[] = {{.fd = plugin->pid_fd, .events = POLLIN},
				  {.fd = plugin->output_fd, .events = POLLIN},
				  {.fd = fd, .events = POLLRDHUP}};

	for (;;) {
		uint64_t now = now_usec();
		int left =
			now < plugin->until ? (int)((plugin->until - now) / USEC_PER_MSEC) + 1 : 0;

		if (!left) {
			plugin->end->timed_out = 1;
			return 0;
		}
		if (poll(polled, ARRAY_SIZE(polled), left) < 0 && errno != EINTR)
			return -errno;
		if (polled[2].revents)
			return -ECONNRESET;
		if (polled[1].revents && !read_some(plugin))
			polled[1].fd = -1;
		if (polled[0].revents)
			return 0;
	}
}

/* ---- the end ---- */

/* Orphans of the plugin become our own children. */
static void kill_children(void)
{
	char path[64], text[4096], *p = text;
	_cleanup_(close_fdp) int fd = -1;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	text[n > 0 ? n : 0] = '\0';
	for (char *word; (word = strsep(&p, " "));)
		if (*word && p) /* each number has a blank behind: else it was cut */
			kill((pid_t)strtol(word, NULL, 10), SIGKILL);
}

/* Kills the plugin and all that it has started, as deep as that goes. Of a user of their own that
 * is done at one stroke, which none escapes by forking on. False: something is left. */
static bool end_all(struct plugin *plugin, bool alone)
{
	const struct timespec round = {.tv_nsec = ROUND_NSEC};
	sigset_t child;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	for (unsigned i = 0; i < ROUNDS; i++) {
		int status;
		pid_t pid;

		if (alone)
			kill(-1, SIGKILL);
		else
			kill_children();
		while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
			if (pid == plugin->pid)
				plugin->end->status = status;
		if (pid < 0)
			return true;
		sigtimedwait(&child, NULL, &round);
	}
	return false;
}

/* -errno: this process is of no more use. */
static int serve(int fd, struct errand_plugin *errand)
{
	struct errand_plugin_end end = {.id = errand->id};
	struct plugin plugin = {.pid_fd = -1,
				.output_fd = -1,
				.until = now_usec() + errand->timeout_usec,
				.end = &end};
	struct command command;
	int r = read_command(errand, &command) ? start(&plugin, &command) : -EBADMSG;
	bool clean;

	if (!r)
		r = follow(&plugin, fd);
	if (!r && !end.timed_out)
		for (unsigned i = 0; i < 16 && read_some(&plugin); i++)
			;
	clean = end_all(&plugin, errand->alone);
	close_fd(plugin.pid_fd);
	close_fd(plugin.output_fd);
	if (!r && send(fd, &end, sizeof(end), MSG_NOSIGNAL) < 0)
		r = -errno;
	return clean ? r : -EBUSY;
}

int serving_run(int fd)
{
	struct errand_hello hello = {ERRAND_VERSION};
	struct errand_plugin errand;
	sigset_t child;
	ssize_t n;

	/* then systemd has not done what it was told to */
	if (!geteuid())
		return -EPERM;
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	/* the plugin is of our own user: it is not to look into us, but may end us */
	if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0 || prctl(PR_SET_DUMPABLE, 0) < 0 ||
	    sigprocmask(SIG_BLOCK, &child, NULL) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ||
	    send(fd, &hello, sizeof(hello), MSG_NOSIGNAL) < 0)
		return -errno;
	while ((n = recv(fd, &errand, sizeof(errand), 0)) == sizeof(errand))
		if (serve(fd, &errand) < 0)
			break;
	return 0;
}
