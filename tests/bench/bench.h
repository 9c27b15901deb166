/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the measuring programs share. Each prints lines of JSON, one for each case, with all that it
 * measured; bench-report.py makes figures of them. They judge nothing: exit status 0 says that
 * everything ran.
 */
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "../plane/rig.h"
#include "util/macro.h"

struct samples {
	const char *row, *name, *unit;
	double *values;
	size_t n, room;
};

static inline _unused_ void samples_add(struct samples *samples, double value)
{
	if (samples->n == samples->room) {
		samples->room = samples->room ? 2 * samples->room : 64;
		samples->values =
			realloc(samples->values, samples->room * sizeof(*samples->values));
		rig_check(samples->values);
	}
	samples->values[samples->n++] = value;
}

static inline _unused_ void samples_print(struct samples *samples)
{
	printf("{\"row\":\"%s\",\"case\":\"%s\",\"unit\":\"%s\",\"samples\":[", samples->row,
	       samples->name, samples->unit);
	for (size_t i = 0; i < samples->n; i++)
		printf("%s%.6g", i ? "," : "", samples->values[i]);
	printf("]}\n");
	fflush(stdout);
	free(samples->values);
	samples->values = NULL;
	samples->n = samples->room = 0;
}

/* The program "load", which stands beside this one, at work in this network namespace. */
struct load {
	pid_t pid;
	FILE *output;
};

/* What the client saw. See load.c. */
struct load_result {
	uint64_t answered, refused, reset, late, slow;
	double seconds;
};

static inline _unused_ void load_exec(const char *port, const char *parallel, const char *seconds)
{
	char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - sizeof("load"));
	char *slash;

	if (n < 0)
		_exit(127);
	path[n] = '\0';
	slash = strrchr(path, '/');
	strcpy(slash + 1, "load");
	execl(path, path, port, parallel, seconds, NULL);
	fprintf(stderr, "cannot run %s: %m\n", path);
	_exit(127);
}

/* `seconds` "0": until load_stop(). */
static inline _unused_ struct load load_start(const char *port, const char *parallel,
					      const char *seconds)
{
	struct load load = {0};
	int pipe_fds[2];

	rig_check(pipe2(pipe_fds, O_CLOEXEC) == 0);
	load.pid = fork();
	rig_check(load.pid >= 0);
	if (!load.pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(pipe_fds[1], STDOUT_FILENO);
		load_exec(port, parallel, seconds);
	}
	close(pipe_fds[1]);
	load.output = fdopen(pipe_fds[0], "r");
	rig_check(load.output);
	return load;
}

/* Waits for its end. */
static inline _unused_ struct load_result load_finish(struct load *load)
{
	struct load_result result = {0};
	int fields, status;

	fields = fscanf(load->output,
			"answered %lu refused %lu reset %lu late %lu slow %lu seconds %lf",
			&result.answered, &result.refused, &result.reset, &result.late,
			&result.slow, &result.seconds);
	fclose(load->output);
	rig_check(waitpid(load->pid, &status, 0) == load->pid);
	if (fields != 6 || status)
		rig_fail(__FILE__, __LINE__, "the load did not run to its end");
	return result;
}

static inline _unused_ struct load_result load_stop(struct load *load)
{
	kill(load->pid, SIGTERM);
	return load_finish(load);
}
