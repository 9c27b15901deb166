// SPDX-License-Identifier: GPL-2.0-or-later
/* tcp: the connection is made, and not ended by the server at once. */
#include <netinet/in.h>
#include <sys/epoll.h>

#include "system/prober_run.h"
#include "util/macro.h"

/* A server that does not want us ends the connection within this time. */
#define GRACE (20 * USEC_PER_MSEC)

struct tcp_probe {
	struct probe_run *run;
	bool connected;
	sd_event_source *io, *grace;
};

struct tcp_probe *tcp_probe_free(struct tcp_probe *tcp)
{
	if (!tcp)
		return NULL;
	sd_event_source_disable_unref(tcp->io);
	sd_event_source_disable_unref(tcp->grace);
	free(tcp);
	return NULL;
}

static void end(struct tcp_probe *tcp, enum probe_verdict verdict, const char *words)
{
	sd_event_source_set_enabled(tcp->io, SD_EVENT_OFF);
	probe_end(tcp->run, verdict, "%s", words);
}

static int on_grace_over(sd_event_source *source, uint64_t usec, void *userdata)
{
	(void)source;
	(void)usec;
	end(userdata, PROBE_GOOD, "");
	return 0;
}

static void on_connected(struct tcp_probe *tcp)
{
	tcp->connected = true;
	sd_event_source_set_io_events(tcp->io, EPOLLIN | EPOLLRDHUP);
	if (sd_event_add_time_relative(tcp->run->prober->event, &tcp->grace, CLOCK_MONOTONIC, GRACE,
				       1, on_grace_over, tcp) < 0)
		end(tcp, PROBE_VOID, "out of memory");
}

/* A server may speak first: that is a sign of life. It is read, so that the connection ends without
 * a reset. */
static void on_readable(struct tcp_probe *tcp, int fd)
{
	char greeting[4096];
	ssize_t n = recv(fd, greeting, sizeof(greeting), 0);

	if (n > 0)
		end(tcp, PROBE_GOOD, "");
	else if (n == 0)
		end(tcp, PROBE_BAD, "the connection was closed at once");
	else if (errno != EAGAIN)
		end(tcp, PROBE_BAD, probe_error_words(errno));
}

static int on_io(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct tcp_probe *tcp = userdata;
	socklen_t size = sizeof(int);
	int error = 0;

	(void)source;
	(void)events;
	if (tcp->connected) {
		on_readable(tcp, fd);
		return 0;
	}
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
		error = errno;
	if (error)
		end(tcp, PROBE_BAD, probe_error_words(error));
	else
		on_connected(tcp);
	return 0;
}

void tcp_probe_start(struct probe_run *run)
{
	socklen_t size;

	if (probe_open_socket(run) < 0)
		return;
	size = run->dest.ss_family == AF_INET6 ? sizeof(struct sockaddr_in6)
					       : sizeof(struct sockaddr_in);
	if (connect(run->fd, (struct sockaddr *)&run->dest, size) < 0 && errno != EINPROGRESS) {
		probe_end(run, PROBE_BAD, "%s", probe_error_words(errno));
		return;
	}
	run->tcp = calloc(1, sizeof(*run->tcp));
	if (!run->tcp || sd_event_add_io(run->prober->event, &run->tcp->io, run->fd, EPOLLOUT,
					 on_io, run->tcp) < 0) {
		probe_end(run, PROBE_VOID, "out of memory");
		return;
	}
	run->tcp->run = run;
}
