// SPDX-License-Identifier: GPL-2.0-or-later
//
// enter STATE-FOLDER CMD...: runs a command inside a container of container.sh, with a clean environment. Its end is
// ours: the status, or the signal. 1 where the container does not run.
//
// What nsenter(1) and env(1) do, and a process of its own control group besides, but one program less each, static and
// by a single setns(2): tests call it thousands of times, and where page tables are the hypervisor's an exec costs
// milliseconds.

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NO_COMMAND = 127, NOT_RUN = 126 };

static const char *state;

// The container has a leader while it is up.
static void not_running(void)
{
	const char *name = strrchr(state, '/');

	// the folder is called after its owner and the container
	name = name ? strchr(name, '.') : NULL;
	errx(1, "container %s: is not running", name ? name + 1 : state);
}

// read_line FILE of the state's folder
static void read_line(const char *file, char *line, size_t size)
{
	char path[512];
	FILE *stream;

	snprintf(path, sizeof(path), "%s/%s", state, file);
	stream = fopen(path, "re");
	if (!stream || !fgets(line, size, stream))
		not_running();
	fclose(stream);
	line[strcspn(line, "\n")] = '\0';
}

// enter: our root and our namespaces are those of the leader from here on; the PID namespace for children only
static void enter(pid_t leader)
{
	char path[64];
	int root, pidfd;

	snprintf(path, sizeof(path), "/proc/%d/root", (int)leader);
	root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	pidfd = syscall(SYS_pidfd_open, leader, 0);
	if (root < 0 || pidfd < 0)
		not_running();
	if (setns(pidfd, CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWCGROUP) != 0)
		err(NOT_RUN, "setns");
	// the root of a container's mount namespace is not that of its processes
	if (fchdir(root) != 0 || chroot(".") != 0)
		err(NOT_RUN, "chroot");
	close(root);
	close(pidfd);
}

// begin_in: fork(2) with the child in that control group, so that what is attached to the container's root sees it
static pid_t begin_in(int cgroup)
{
	struct clone_args args = {
		.flags = cgroup < 0 ? 0 : CLONE_INTO_CGROUP,
		.exit_signal = SIGCHLD,
		.cgroup = cgroup,
	};

	return syscall(SYS_clone3, &args, sizeof(args));
}

static int run(char **command)
{
	char term[64];
	char *environment[] = {
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LANG=C.UTF-8",
		"SYSTEMD_PAGER=cat", term, NULL,
	};

	snprintf(term, sizeof(term), "TERM=%s", getenv("TERM") ? getenv("TERM") : "dumb");
	environ = environment;
	execvp(command[0], command);
	warn("%s", command[0]);
	return errno == ENOENT ? NO_COMMAND : NOT_RUN;
}

// as it ended, so do we
static int end_as(int status)
{
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	signal(WTERMSIG(status), SIG_DFL);
	kill(getpid(), WTERMSIG(status));
	return 128 + WTERMSIG(status);
}

int main(int argc, char **argv)
{
	char leader[32], cgroup[512];
	int group, status;
	pid_t child;

	if (argc < 3)
		errx(2, "what is to run where?");
	state = argv[1];
	read_line("leader", leader, sizeof(leader));
	read_line("cgroup", cgroup, sizeof(cgroup));
	group = open(cgroup, O_PATH | O_DIRECTORY | O_CLOEXEC);
	enter(atoi(leader));
	child = begin_in(group);
	// one that is being removed takes nobody
	if (child < 0 && group >= 0)
		child = begin_in(-1);
	if (child == 0)
		_exit(run(argv + 2));
	if (child < 0)
		err(NOT_RUN, "clone3");
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			err(NOT_RUN, "waitpid");
	return end_as(status);
}
