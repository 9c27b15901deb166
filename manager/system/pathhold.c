// SPDX-License-Identifier: GPL-2.0-or-later
#include "system/pathhold.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "core/path.h"
#include "system/pathsetup.h"
#include "util/macro.h"

/* Names can be added, and none removed. */
static int set_held(int folder, bool held)
{
	int flags, wanted;

	if (ioctl(folder, FS_IOC_GETFLAGS, &flags) < 0)
		return -errno;
	wanted = held ? flags | FS_APPEND_FL : flags & ~FS_APPEND_FL;
	/* what was so before stays so */
	if (wanted == flags)
		return -EALREADY;
	return ioctl(folder, FS_IOC_SETFLAGS, &wanted) < 0 ? -errno : 0;
}

/* The folder, to be let go of later; -1: it is not held. */
static int hold_folder(const char *path)
{
	_cleanup_(close_fdp) int public = -1, fd = -1;
	char folder[HS_PATH_MAX];

	path_folder(path, folder);
	public = pathsetup_open_public(folder);
	fd = public < 0 ? -1 : openat(public, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 || set_held(fd, true) < 0 ? -1 : steal_fd(&fd);
}

/* Ends when the other side closes its end. */
static void hold(const struct config *config, bool back, int other)
{
	int folders[HS_PATHS_MAX], r;
	struct problem problem;
	char byte = 0;

	r = pathsetup_enter_machine(&problem);
	if (r >= 0 && back)
		r = pathsetup_back(config, &problem);
	for (unsigned i = 0; i < config->n_paths; i++)
		folders[i] = r < 0 ? -1 : hold_folder(config->paths[i]);
	if (write(other, &r, sizeof(r)) == sizeof(r))
		while (read(other, &byte, 1) < 0 && errno == EINTR)
			;
	for (unsigned i = 0; i < config->n_paths; i++)
		if (folders[i] >= 0)
			set_held(folders[i], false);
}

static void run_child(const struct config *config, bool back, int other)
{
	sigset_t all;

	/* of a terminal, say, by which the other side is ended as well */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	hold(config, back, other);
	_exit(0);
}

int pathhold_begin(const struct config *config, bool back, struct pathhold *ret_hold,
		   struct problem *problem)
{
	int pair[2], r = -ECHILD;
	pid_t pid;

	*ret_hold = PATHHOLD_NONE;
	if (!config->n_paths)
		return 0;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return problem_set(problem, -errno, "%m");
	pid = fork();
	if (!pid) {
		close_fd(pair[0]);
		run_child(config, back, pair[1]);
	}
	close_fd(pair[1]);
	*ret_hold = (struct pathhold) {pid, pair[0]};
	if (pid > 0 && read(pair[0], &r, sizeof(r)) == sizeof(r) && r >= 0)
		return 0;
	pathhold_end(ret_hold);
	return problem_set(problem, r, "its paths cannot be kept meanwhile: %s", strerror(-r));
}

void pathhold_end(struct pathhold *hold)
{
	int status;

	close_fd(hold->fd);
	while (hold->pid > 0 && waitpid(hold->pid, &status, 0) < 0 && errno == EINTR)
		;
	*hold = PATHHOLD_NONE;
}
