// SPDX-License-Identifier: GPL-2.0-or-later
/* listen-flood SECONDS [RATE [PORT]]: opens a socket, listens and closes it, again and again. RATE:
 * at most so often a second, 0 = as often as it can. PORT: on 127.0.0.2, else wherever. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
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

static int listen_once(unsigned short port)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_STREAM, 0), r = 0;

	if (fd < 0)
		return -1;
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1);
	if (port)
		r = bind(fd, (struct sockaddr *)&to, sizeof(to));
	if (!r)
		r = listen(fd, 1);
	close(fd);
	return r;
}

int main(int argc, char **argv)
{
	double begun = now(), end = begun + (argc > 1 ? atof(argv[1]) : 1);
	long rate = argc > 2 ? atol(argv[2]) : 0, n = 0;
	unsigned short port = argc > 3 ? (unsigned short)atoi(argv[3]) : 0;

	while (now() < end) {
		/* the last one is closed a moment late when somebody reads /proc/PID/fd just then
		 */
		if (!listen_once(port)) {
			n++;
		} else if (errno != EADDRINUSE) {
			perror("listen");
			return 1;
		}
		while (rate && (double)n > (now() - begun) * (double)rate && now() < end)
			usleep(1000);
	}
	printf("%ld\n", n);
	return 0;
}
