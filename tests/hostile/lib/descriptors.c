// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * descriptors PORT LISTENERS DESCRIPTORS PROCESSES shared|apart: a server with very many
 * descriptors in very many processes, which share one table, or have one each. Reports ready, and
 * tells each client on PORT the slot in $SLOT.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

static int listen_on(int port)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(fd, 128) < 0) {
		perror("listen");
		_exit(1);
	}
	return fd;
}

static void report_ready(void)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	const char *path = getenv("NOTIFY_SOCKET");
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (!path)
		return;
	snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
	(void)!sendto(fd, "READY=1", 7, 0, (struct sockaddr *)&at, sizeof(at));
	close(fd);
}

static void make_processes(int n, int flags)
{
	for (int i = 0; i < n; i++) {
		if (syscall(SYS_clone, flags | SIGCHLD, NULL, NULL, NULL, NULL))
			continue;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		while (1)
			pause();
	}
}

static void serve(int listener)
{
	char text[64], request[1024];

	snprintf(text, sizeof(text), "HTTP/1.0 200 OK\r\n\r\nslot=%s\n", getenv("SLOT"));
	while (1) {
		int fd = accept(listener, NULL, NULL);

		if (fd < 0)
			continue;
		(void)!read(fd, request, sizeof(request));
		(void)!write(fd, text, strlen(text));
		close(fd);
	}
}

int main(int argc, char **argv)
{
	int port, first, null = open("/dev/null", O_RDONLY);

	if (argc < 6)
		return 2;
	port = atoi(argv[1]);
	/* the listeners come last: who looks for them has to look at all */
	for (int i = atoi(argv[3]); i > 0; i--)
		if (dup(null) < 0)
			break;
	first = listen_on(port);
	for (int i = 1; i < atoi(argv[2]); i++)
		listen_on(port + i);
	make_processes(atoi(argv[4]), strcmp(argv[5], "shared") ? 0 : CLONE_FILES);
	report_ready();
	serve(first);
	return 0;
}
