// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsctl/path/pathhold.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "core/path.h"
#include "hsctl/path/folderflag.h"
#include "hsctl/path/pathsetup.h"
#include "util/macro.h"

static struct folderlock take_folder(const char *path)
{
	struct folderlock lock = FOLDERLOCK_NONE;
	_cleanup_(close_fdp) int public = -1;
	char folder[HS_PATH_MAX];

	path_folder(path, folder);
	public = pathsetup_open_public(folder);
	if (public >= 0)
		(void)folderflag_take(public, &lock);
	return lock;
}

/* Two paths may be in one folder. */
static bool is_first_there(const struct config *config, unsigned i)
{
	char folder[HS_PATH_MAX], other[HS_PATH_MAX];

	path_folder(config->paths[i], folder);
	for (unsigned before = 0; before < i; before++) {
		path_folder(config->paths[before], other);
		if (!strcmp(folder, other))
			return false;
	}
	return true;
}

/* Who makes links meanwhile has ended before the paths are given back, and does not begin after. */
static int hold_folders(const struct config *config, bool back, struct folderlock *locks)
{
	struct problem problem;
	int r = 0;

	for (unsigned i = 0; i < config->n_paths; i++)
		if (is_first_there(config, i))
			locks[i] = take_folder(config->paths[i]);
	if (back)
		r = pathsetup_back(config, &problem);
	for (unsigned i = 0; i < config->n_paths; i++)
		if (locks[i].folder >= 0 && (r < 0 || folderflag_set(&locks[i]) < 0))
			folderflag_release(&locks[i]);
	return r;
}

/* Ends when the other side closes its end. */
static void hold(const struct config *config, bool back, int other)
{
	struct folderlock locks[HS_PATHS_MAX];
	struct problem problem;
	char byte = 0;
	int r;

	for (unsigned i = 0; i < HS_PATHS_MAX; i++)
		locks[i] = FOLDERLOCK_NONE;
	r = pathsetup_enter_machine(&problem);
	if (r >= 0)
		r = hold_folders(config, back, locks);
	if (write(other, &r, sizeof(r)) == sizeof(r))
		while (read(other, &byte, 1) < 0 && errno == EINTR)
			;
	for (unsigned i = 0; i < HS_PATHS_MAX; i++)
		folderflag_release(&locks[i]);
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
	*ret_hold = (struct pathhold) {pid, pair[0], config};
	if (pid > 0 && read(pair[0], &r, sizeof(r)) == sizeof(r) && r >= 0)
		return 0;
	pathhold_end(ret_hold);
	return problem_set(problem, r, "its paths cannot be kept meanwhile: %s", strerror(-r));
}

void pathhold_end(struct pathhold *hold)
{
	struct problem problem;
	int status = 0;

	close_fd(hold->fd);
	while (hold->pid > 0 && waitpid(hold->pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFSIGNALED(status))
		(void)pathsetup_settle(hold->config, &problem);
	*hold = PATHHOLD_NONE;
}
