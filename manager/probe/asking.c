// SPDX-License-Identifier: GPL-2.0-or-later
#include "probe/asking.h"

#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "probe/ask.h"
#include "util/clock.h"
#include "util/fdpass.h"

/* Who comes so late to the end of a timeout has been held up. */
#define LATE_USEC (100 * USEC_PER_MSEC)

/* ---- the end ---- */

static struct ask *ask_free(struct ask *ask)
{
	if (!ask)
		return NULL;
	sd_event_source_disable_unref(ask->timer);
	sd_event_source_disable_unref(ask->io);
	sd_event_source_disable_unref(ask->grace);
	plain_ask_free(ask->plain);
	http_ask_free(ask->http);
	close_fd(ask->fd);
	free(ask);
	return NULL;
}

DEFINE_CLEANUP(struct ask, ask_free)

/* Where we have not run, an answer may lie there unread: then nothing is known of who was asked.
 * `due`: when the time was over. */
static void end_without_answer(struct ask *ask, uint64_t due)
{
	char span[SPAN_TEXT_MAX];

	if (now_usec() > due + LATE_USEC)
		ask_end(ask, PROBE_VOID, "hs-probe was held up");
	else
		ask_end(ask, PROBE_BAD, "no answer in %s",
			span_format(ask->limit_usec, span, sizeof(span)));
}

/* The connection is closed before hsd hears of it: then nothing of it is under way any more. */
static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct ask *ask = userdata;
	struct asking *asking = ask->asking;
	struct errand_end end;

	(void)source;
	if (!ask->ended)
		end_without_answer(ask, usec);
	end = ask->end;
	ask_free(ask);
	if (send(asking->fd, &end, sizeof(end), MSG_NOSIGNAL) < 0)
		sd_event_exit(asking->event, 0);
	return 0;
}

/* ---- the beginning ---- */

/* A few bytes, which a new connection always has room for. */
static int send_header(const struct ask *ask, int fd)
{
	struct sockaddr_storage source = {0}, dest = {0};
	socklen_t source_size = sizeof(source), dest_size = sizeof(dest);
	char header[PROXY_HEADER_MAX + 1];
	size_t size;

	if (getsockname(fd, (struct sockaddr *)&source, &source_size) < 0 ||
	    getpeername(fd, (struct sockaddr *)&dest, &dest_size) < 0)
		return errno;
	size = proxy_header_make(ask->errand.proxy, &source, &dest, header);
	if (!size || send(fd, header, size, MSG_NOSIGNAL) == (ssize_t)size)
		return 0;
	return errno ?: EPIPE;
}

static int on_connected(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct ask *ask = userdata;
	socklen_t size = sizeof(int);
	int error = 0;

	(void)events;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
		error = errno;
	if (!error && ask->errand.proxy && ask->errand.kind != PROBE_AGENT)
		error = send_header(ask, fd);
	ask->io = NULL;
	sd_event_source_disable_unref(source);
	if (ask->limit_usec < ask->errand.timeout_usec) {
		ask->limit_usec = ask->errand.timeout_usec;
		sd_event_source_set_time(ask->timer, ask->until_usec);
	}
	if (error)
		ask_end(ask, PROBE_BAD, "%s", ask_error_words(error));
	else if (ask->errand.kind == PROBE_TCP)
		tcp_ask_connected(ask);
	else if (ask->errand.kind == PROBE_AGENT)
		agent_ask_connected(ask);
	else if (!ask->errand.address[0])
		plain_ask_connected(ask);
	else
		http_ask_connected(ask);
	return 0;
}

static int ask_new(struct asking *asking, const struct errand *errand, int *connection)
{
	_cleanup_(ask_freep) struct ask *ask = calloc(1, sizeof(*ask));
	int r;

	if (!ask)
		return -ENOMEM;
	ask->asking = asking;
	ask->errand = *errand;
	ask->end.id = errand->id;
	ask->fd = steal_fd(connection);
	ask->limit_usec = MIN(errand->connect_usec, errand->timeout_usec);
	ask->until_usec = now_usec() + errand->timeout_usec;
	r = sd_event_add_time_relative(asking->event, &ask->timer, CLOCK_MONOTONIC, ask->limit_usec,
				       1, on_timer, ask);
	if (r >= 0)
		r = sd_event_add_io(asking->event, &ask->io, ask->fd, EPOLLOUT, on_connected, ask);
	if (r < 0)
		return r;
	ask = NULL; /* frees itself */
	return 0;
}

/* ---- hsd ---- */

/* 1 = there was one, 0 = none is there, -errno: hsd is gone, or is another than we know. */
static int receive(struct asking *asking, struct errand *ret_errand, int *ret_connection)
{
	size_t n_fds = 1;
	ssize_t n;

	*ret_connection = -1;
	n = fdpass_receive(asking->fd, ret_errand, sizeof(*ret_errand), ret_connection, &n_fds,
			   MSG_DONTWAIT);
	if (n < 0)
		return n == -EAGAIN || n == -EINTR ? 0 : (int)n;
	if (n != sizeof(*ret_errand))
		return -ECONNRESET;
	return 1;
}

static int on_errand(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct asking *asking = userdata;
	_cleanup_(close_fdp) int connection = -1;
	struct errand errand;
	int r = receive(asking, &errand, &connection);

	(void)source;
	(void)fd;
	(void)events;
	if (r < 0)
		return sd_event_exit(asking->event, 0);
	/* without a descriptor: there are too many */
	if (r > 0 && (connection < 0 || ask_new(asking, &errand, &connection) < 0)) {
		struct errand_end end = {.id = errand.id, .verdict = PROBE_VOID};

		strcpy(end.words, "hs-probe has no room for it");
		if (send(asking->fd, &end, sizeof(end), MSG_NOSIGNAL) < 0)
			return sd_event_exit(asking->event, 0);
	}
	return 0;
}

int asking_run(int fd)
{
	struct errand_hello hello = {ERRAND_VERSION};
	struct asking asking = {.fd = fd};
	/* as root: then systemd has not done what it was told to */
	int r = geteuid() ? sd_event_new(&asking.event) : -EPERM;

	if (r >= 0)
		r = sd_event_add_io(asking.event, NULL, fd, EPOLLIN, on_errand, &asking);
	if (r >= 0 && send(fd, &hello, sizeof(hello), MSG_NOSIGNAL) < 0)
		r = -errno;
	if (r >= 0)
		r = sd_event_loop(asking.event);
	http_client_free(asking.http);
	sd_event_unref(asking.event);
	return r;
}
