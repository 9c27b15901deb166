// SPDX-License-Identifier: GPL-2.0-or-later
/* tcp: the connection is made, and not ended by the server at once. */
#include <sys/epoll.h>
#include <sys/socket.h>

#include "probe/ask.h"

/* A server that does not want us ends the connection within this time. */
#define GRACE (20 * USEC_PER_MSEC)

static int on_grace_over(sd_event_source *source, uint64_t usec, void *userdata)
{
	(void)source;
	(void)usec;
	ask_end(userdata, PROBE_GOOD, "%s", "");
	return 0;
}

/* A server may speak first: that is a sign of life. It is read, so that the connection ends without
 * a reset. */
static int on_readable(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct ask *ask = userdata;
	char greeting[4096];
	ssize_t n = recv(fd, greeting, sizeof(greeting), 0);

	(void)source;
	(void)events;
	if (n > 0)
		ask_end(ask, PROBE_GOOD, "%s", "");
	else if (n == 0)
		ask_end(ask, PROBE_BAD, "the connection was closed at once");
	else if (errno != EAGAIN)
		ask_end(ask, PROBE_BAD, "%s", ask_error_words(errno));
	return 0;
}

void tcp_ask_connected(struct ask *ask)
{
	sd_event *event = ask->asking->event;

	if (sd_event_add_io(event, &ask->io, ask->fd, EPOLLIN | EPOLLRDHUP, on_readable, ask) < 0 ||
	    sd_event_add_time_relative(event, &ask->grace, CLOCK_MONOTONIC, GRACE, 1, on_grace_over,
				       ask) < 0)
		ask_end(ask, PROBE_VOID, "out of memory");
}
