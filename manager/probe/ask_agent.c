// SPDX-License-Identifier: GPL-2.0-or-later
/* The agent of a host: it is sent nothing, and says one line (see core/presence.h). */
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "probe/ask.h"

static void tell(struct ask *ask, const char *line, size_t size)
{
	struct problem words;

	errand_first_line(line, size, &words);
	if (words.text[0])
		ask_end(ask, PROBE_GOOD, "%s", words.text);
	else
		ask_end(ask, PROBE_BAD, "it says nothing");
}

/* The line is short, and comes in one piece or not at all: what is read at once is judged. */
static int on_line(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct ask *ask = userdata;
	char line[PROBLEM_TEXT_MAX];
	ssize_t n = recv(fd, line, sizeof(line), 0);

	(void)source;
	(void)events;
	if (n >= 0)
		tell(ask, line, (size_t)n);
	else if (errno != EAGAIN)
		ask_end(ask, PROBE_BAD, "%s", ask_error_words(errno));
	return 0;
}

void agent_ask_connected(struct ask *ask)
{
	if (sd_event_add_io(ask->asking->event, &ask->io, ask->fd, EPOLLIN | EPOLLRDHUP, on_line,
			    ask) < 0)
		ask_end(ask, PROBE_VOID, "out of memory");
}
