// SPDX-License-Identifier: GPL-2.0-or-later
#include "client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "rig.h"
#include "util/macro.h"

socklen_t address_to_sockaddr(const struct address *address, struct sockaddr_storage *ret)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)ret;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret;

	memset(ret, 0, sizeof(*ret));
	ret->ss_family = address->family;
	if (address->family == AF_INET) {
		v4->sin_port = htons(address->port);
		memcpy(&v4->sin_addr, address->ip, sizeof(v4->sin_addr));
		return sizeof(*v4);
	}
	v6->sin6_port = htons(address->port);
	memcpy(&v6->sin6_addr, address->ip, sizeof(v6->sin6_addr));
	return sizeof(*v6);
}

static int bind_port(int fd, const struct address *to, uint16_t port)
{
	struct address from = {.family = to->family, .port = port};
	struct sockaddr_storage address;
	socklen_t size = address_to_sockaddr(&from, &address);
	int one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	return bind(fd, (struct sockaddr *)&address, size) < 0 ? -errno : 0;
}

int client_connect_from(const struct address *to, uint16_t port)
{
	struct timeval deadline = {.tv_sec = RIG_DEADLINE_USEC / USEC_PER_SEC};
	struct sockaddr_storage address;
	socklen_t size = address_to_sockaddr(to, &address);
	_cleanup_(close_fdp) int fd =
		socket(to->family, (to->udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0);
	int r;

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &deadline, sizeof(deadline));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof(deadline));
	r = port ? bind_port(fd, to, port) : 0;
	if (r < 0)
		return r;
	if (connect(fd, (struct sockaddr *)&address, size) < 0)
		return -errno;
	return steal_fd(&fd);
}

int client_connect(const struct address *to)
{
	return client_connect_from(to, 0);
}

void client_send(int fd, char byte)
{
	/* whether it arrived shows at the answer */
	(void)!send(fd, &byte, 1, MSG_NOSIGNAL);
}

char client_read(int fd)
{
	char byte;

	switch (recv(fd, &byte, 1, 0)) {
	case 1:
		return byte;
	case 0:
		return ANSWER_RESET;
	default:
		return errno == EAGAIN ? ANSWER_LATE : ANSWER_RESET;
	}
}

char client_ask(int fd)
{
	client_send(fd, '?');
	return client_read(fd);
}

void client_reset(int fd)
{
	struct linger linger = {.l_onoff = 1};

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(fd);
}

char ask_from(const struct address *to, uint16_t port)
{
	int fd = client_connect_from(to, port);
	char answer;

	if (fd == -ECONNREFUSED)
		return ANSWER_REFUSED;
	if (fd < 0)
		return fd == -ECONNRESET ? ANSWER_RESET : ANSWER_LATE;
	answer = client_ask(fd);
	client_reset(fd);
	return answer;
}

char ask(const struct address *to)
{
	return ask_from(to, 0);
}

struct tally ask_often(const struct address *to, unsigned times)
{
	struct tally tally = {0};

	for (unsigned i = 0; i < times; i++)
		tally.of[(unsigned char)ask(to)]++;
	return tally;
}
