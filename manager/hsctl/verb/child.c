// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsctl/verb/child.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "hsctl/hsctl.h"
#include "util/macro.h"

/* Who sends us one of these means the command. Stopping is not among them: the terminal stops the
 * two of us together. */
static const int passed_on[] = {SIGINT,	 SIGQUIT, SIGTERM, SIGHUP,
				SIGUSR1, SIGUSR2, SIGALRM, SIGWINCH};

static void block_signals(sigset_t *ret_ours, sigset_t *ret_before)
{
	sigemptyset(ret_ours);
	sigaddset(ret_ours, SIGCHLD);
	for (size_t i = 0; i < ARRAY_SIZE(passed_on); i++)
		sigaddset(ret_ours, passed_on[i]);
	sigprocmask(SIG_BLOCK, ret_ours, ret_before);
}

/* The pipe closes with a successful exec. */
static void become(char **command, const sigset_t *before, int errors)
{
	int error;

	sigprocmask(SIG_SETMASK, before, NULL);
	execvp(command[0], command);
	error = errno;
	if (write(errors, &error, sizeof(error)) < 0)
		_exit(EXIT_CANNOT_RUN);
	_exit(error == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_RUN);
}

static void complain_about(const char *command, int errors)
{
	int error;

	if (read(errors, &error, sizeof(error)) == sizeof(error))
		complain("cannot run %s: %s", command, strerror(error));
}

static int wait_for(pid_t child, const sigset_t *ours)
{
	siginfo_t info;
	int status;

	for (;;) {
		if (sigwaitinfo(ours, &info) < 0)
			continue;
		if (info.si_signo != SIGCHLD) {
			/* from the terminal the command has it, too */
			if (info.si_code != SI_KERNEL)
				kill(child, info.si_signo);
			continue;
		}
		if (waitpid(child, &status, WNOHANG) == child)
			return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	}
}

int child_run(char **command)
{
	_cleanup_(close_fdp) int report = -1;
	sigset_t ours, before;
	int errors[2], status;
	pid_t child;

	if (pipe2(errors, O_CLOEXEC) < 0) {
		complain("cannot run %s: %m", command[0]);
		return EXIT_CANNOT_RUN;
	}
	report = errors[0];
	block_signals(&ours, &before);
	child = fork();
	if (!child)
		become(command, &before, errors[1]);
	close_fd(errors[1]);
	if (child < 0) {
		complain("cannot run %s: %m", command[0]);
		return EXIT_CANNOT_RUN;
	}
	complain_about(command[0], report);
	status = wait_for(child, &ours);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return status;
}
