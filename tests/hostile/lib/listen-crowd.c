// SPDX-License-Identifier: GPL-2.0-or-later
/* listen-crowd COUNT: has so many listening sockets, on addresses of loopback, in as many processes
 * as it takes, until it is ended. Says "there". */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* The rest of what a process may have is for other things. */
#define SPARE 16

static int listen_on(unsigned number)
{
	struct sockaddr_in at = {
		.sin_family = AF_INET,
		.sin_port = htons((unsigned short)(20000 + number % 5000)),
		.sin_addr.s_addr = htonl(0x7f020000U + number / 5000),
	};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	return fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 ? -1 : listen(fd, 1);
}

/* All from there on, in this process or those that it makes. */
static int gather(unsigned from, unsigned count, unsigned each)
{
	int status;
	pid_t child;

	for (unsigned number = from; number < count && number < from + each; number++)
		if (listen_on(number) < 0) {
			perror("listen");
			return 1;
		}
	if (count <= from + each) {
		puts("there");
		fflush(stdout);
		pause();
	}
	child = fork();
	if (child)
		return waitpid(child, &status, 0) < 0 || status;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (close_range(3, ~0U, 0) < 0)
		return 1;
	return gather(from + each, count, each);
}

int main(int argc, char **argv)
{
	unsigned count = argc > 1 ? (unsigned)atoi(argv[1]) : 1000;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return 1;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur <= SPARE)
		return 1;
	return gather(0, count, (unsigned)limit.rlim_cur - SPARE);
}
