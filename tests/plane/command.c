// SPDX-License-Identifier: GPL-2.0-or-later
#include "command.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client.h"
#include "plane/kernel/cgroup.h"
#include "server.h"
#include "util/macro.h"

static struct pin_path folder_of(const struct command *command)
{
	char mount[PATH_MAX];

	rig_check(!cgroup_mount(mount, sizeof(mount)));
	return pin_path("%s%s", mount, command->cgroup.text);
}

static void enter(const char *folder)
{
	FILE *file = fopen(pin_path("%s/cgroup.procs", folder).text, "we");

	if (!file || fprintf(file, "0\n") < 0 || fclose(file))
		_exit(99);
}

static void start(struct command *command, command_fn run, const void *userdata)
{
	struct pin_path folder = folder_of(command);
	int go[2], ready[2];
	char byte;

	rig_check(!pipe(go) && !pipe(ready));
	command->pid = fork();
	if (!command->pid) {
		enter(folder.text);
		close(go[1]);
		if (write(ready[1], "", 1) != 1 || read(go[0], &byte, 1) != 1)
			_exit(98);
		_exit(run(userdata));
	}
	rig_check(read(ready[0], &byte, 1) == 1);
	close(ready[0]);
	close(ready[1]);
	close(go[0]);
	command->go = go[1];
}

struct command command_start(struct rig *rig, command_fn run, const void *userdata)
{
	static unsigned number;
	struct command command = {
		.rig = rig,
		.cgroup = pin_path("%s/command%u", rig->group, number++),
		.counts = -1,
	};

	rig_check(!mkdir(folder_of(&command).text, 0755));
	start(&command, run, userdata);
	return command;
}

struct command command_start_beside(struct rig *rig, const struct server *server, command_fn run,
				    const void *userdata)
{
	struct command command = {
		.rig = rig,
		.cgroup = pin_path("%s", server->cgroup),
		.counts = -1,
	};

	start(&command, run, userdata);
	return command;
}

void command_go(struct command *command)
{
	rig_check(write(command->go, "", 1) == 1);
}

int command_wait(struct command *command)
{
	int status;

	rig_check(waitpid(command->pid, &status, 0) == command->pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void command_until_stopped(struct command *command)
{
	int status;

	rig_check(waitpid(command->pid, &status, WUNTRACED) == command->pid);
	rig_check(WIFSTOPPED(status));
}

void command_go_on(struct command *command)
{
	rig_check(kill(command->pid, SIGCONT) == 0);
}

void command_done(struct command *command)
{
	/* in a server's the server is still at home */
	rig_check(!rmdir(folder_of(command).text) || errno == EBUSY);
	command->go = close_fd(command->go);
	command->counts = close_fd(command->counts);
}

int command_ask_50(const void *userdata)
{
	struct tally tally = ask_often(userdata, 50);

	return tally.of['A'] + tally.of['B'] == 50 ? (int)tally.of['B'] : 255;
}

int command_refused_50(const void *userdata)
{
	return (int)ask_often(userdata, 50).of[ANSWER_REFUSED];
}

int command_ask_once(const void *userdata)
{
	return ask(userdata);
}

int command_hold_many(const void *userdata)
{
	static int fds[HS_OWN_RULES_MAX + 100];

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		fds[i] = client_connect(userdata);
	/* they are there until it has been looked */
	raise(SIGSTOP);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		if (fds[i] < 0 || client_ask(fds[i]) == ANSWER_LATE)
			return 1;
	return 0;
}
