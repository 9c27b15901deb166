// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * command ROW CASE TIMES PAUSE COMMAND [ARGUMENT...]
 *
 * Runs a command so many times ("100"), or for so long ("8s"), one after the other with a pause
 * between them, and measures each from before its process is made until it has ended. Prints what
 * the command wrote to its standard output, as it came, and then the times as the other programs
 * here do. Ends with 1 at once when the command fails.
 */
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "util/clock.h"
#include "util/macro.h"
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

static void print(const char *row, const char *name, size_t n)
{
	printf("{\"row\":\"%s\",\"case\":\"%s\",\"unit\":\"ms\",\"samples\":[", row, name);
	for (size_t i = 0; i < n; i++)
		printf("%s%.6g", i ? "," : "", milliseconds[i]);
	printf("]}\n");
}

int main(int argc, char **argv)
{
	uint64_t times = TIMES_MAX, span = 0, pause, end, i;

	if (argc < 6 ||
	    (parse_unsigned(argv[3], 1, TIMES_MAX, &times) && parse_span(argv[3], &span)) ||
	    parse_span(argv[4], &pause)) {
		fprintf(stderr, "usage: command ROW CASE TIMES PAUSE COMMAND [ARGUMENT...]\n");
		return 2;
	}
	end = span ? now_usec() + span : USEC_INFINITY;
	for (i = 0; i < times && now_usec() < end; i++) {
		if (run(argv + 5, &milliseconds[i]) < 0)
			return 1;
		usleep(pause);
	}
	print(argv[1], argv[2], i);
	return 0;
}
