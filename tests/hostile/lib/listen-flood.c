// SPDX-License-Identifier: GPL-2.0-or-later
/* listen-flood SECONDS [RATE]: opens a socket, listens and closes it, again and again. RATE: at
 * most so often a second. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static int listen_once(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), r;

	if (fd < 0)
		return -1;
	r = listen(fd, 1);
	close(fd);
	return r;
}

int main(int argc, char **argv)
{
	double begun = now(), end = begun + (argc > 1 ? atof(argv[1]) : 1);
	long rate = argc > 2 ? atol(argv[2]) : 0, n = 0;

	while (now() < end) {
		if (listen_once() < 0) {
			perror("listen");
			return 1;
		}
		n++;
		while (rate && (double)n > (now() - begun) * (double)rate && now() < end)
			usleep(1000);
	}
	printf("%ld\n", n);
	return 0;
}
