// SPDX-License-Identifier: GPL-2.0-or-later
/* bad-name PORT NAME: listens on the port, beside a server that does, by this name (printf-like
 * escapes "\xHH" are read). */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

static void unescape(char *text)
{
	char *to = text;

	for (const char *p = text; *p;) {
		unsigned c;

		if (sscanf(p, "\\x%2x", &c) == 1) {
			*to++ = (char)c;
			p += 4;
		} else {
			*to++ = *p++;
		}
	}
	*to = '\0';
}

int main(int argc, char **argv)
{
	struct sockaddr_in at = {.sin_family = AF_INET};
	int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);

	if (argc != 3)
		return 2;
	at.sin_port = htons((uint16_t)atoi(argv[1]));
	unescape(argv[2]);
	if (prctl(PR_SET_NAME, argv[2]) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) < 0 ||
	    bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(fd, 16) < 0) {
		perror("bad-name");
		return 1;
	}
	while (1)
		pause();
}
