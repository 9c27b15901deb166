// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsctl/agent.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <systemd/sd-login.h>
#include <unistd.h>

#include "util/clock.h"
#include "util/macro.h"

#define AGENT "/usr/bin/pkttyagent"
/* Until it has told polkit that it is there. */
#define PATIENCE_MS 10000

static pid_t agent;

/* Where there is no session polkit does not find an agent that merely stands in for another. */
static bool is_in_session(void)
{
	_cleanup_(freep) char *session = NULL;

	return sd_pid_get_session(0, &session) >= 0;
}

/* In a session another agent, of the desktop, say, comes first. */
static void become_agent(pid_t parent, int notify_fd)
{
	char fd[16];

	snprintf(fd, sizeof(fd), "%d", notify_fd);
	if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0 || getppid() != parent)
		_exit(1);
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	signal(SIGHUP, SIG_DFL);
	/* what we say is read by others, perhaps; it speaks to the terminal */
	if (dup2(STDERR_FILENO, STDOUT_FILENO) >= 0)
		execl(AGENT, AGENT, "--notify-fd", fd, is_in_session() ? "--fallback" : NULL,
		      (char *)NULL);
	_exit(1);
}

/* It closes its end when it is ready, or ends. */
static void await(int fd)
{
	struct pollfd end = {.fd = fd, .events = POLLIN};

	while (poll(&end, 1, PATIENCE_MS) < 0 && errno == EINTR)
		;
}

bool agent_open(void)
{
	pid_t parent = getpid();
	int ends[2];

	if (agent || !geteuid() || !isatty(STDIN_FILENO) || access(AGENT, X_OK) < 0 ||
	    pipe(ends) < 0)
		return agent;
	agent = fork();
	if (!agent) {
		close(ends[0]);
		become_agent(parent, ends[1]);
	}
	close(ends[1]);
	if (agent > 0)
		await(ends[0]);
	else
		agent = 0;
	close(ends[0]);
	return agent;
}

/* It sets the terminal right when it is asked to end in the middle of a password. */
void agent_close(void)
{
	if (!agent)
		return;
	kill(agent, SIGTERM);
	kill(agent, SIGCONT);
	while (waitpid(agent, NULL, 0) < 0 && errno == EINTR)
		;
	agent = 0;
}
