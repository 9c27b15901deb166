// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * command ROW CASE TIMES PAUSE COMMAND [ARGUMENT...]
 *
 * Runs a command so many times, one after the other with a pause between them, and measures each
 * from before its process is made until it has ended. Prints the times as the other programs here
 * do, and what the command wrote to its standard output before that, as it came. Ends with 1 at
 * once when the command fails.
 *
 * It stands alone: it is copied into a container.
 */
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "util/clock.h"
#include "util/parse.h"

extern char **environ;

#define TIMES_MAX 10000

static double milliseconds[TIMES_MAX];

static int run(char **command, double *ret_milliseconds)
{
	uint64_t begun = now_nsec();
	pid_t pid;
	int status, r = posix_spawnp(&pid, command[0], NULL, NULL, command, environ);

	if (r) {
		fprintf(stderr, "cannot run %s: %s\n", command[0], strerror(r));
		return -1;
	}
	if (waitpid(pid, &status, 0) != pid || status) {
		fprintf(stderr, "%s has failed\n", command[0]);
		return -1;
	}
	*ret_milliseconds = (now_nsec() - begun) / 1e6;
	return 0;
}

int main(int argc, char **argv)
{
	uint64_t times, pause;

	if (argc < 6 || parse_unsigned(argv[3], 1, TIMES_MAX, &times) ||
	    parse_span(argv[4], &pause)) {
		fprintf(stderr, "usage: command ROW CASE TIMES PAUSE COMMAND [ARGUMENT...]\n");
		return 2;
	}
	for (uint64_t i = 0; i < times; i++) {
		if (run(argv + 5, &milliseconds[i]) < 0)
			return 1;
		usleep(pause);
	}
	printf("{\"row\":\"%s\",\"case\":\"%s\",\"unit\":\"ms\",\"samples\":[", argv[1], argv[2]);
	for (uint64_t i = 0; i < times; i++)
		printf("%s%.6g", i ? "," : "", milliseconds[i]);
	printf("]}\n");
	return 0;
}
