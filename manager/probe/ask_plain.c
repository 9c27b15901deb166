// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * http at an AF_UNIX socket: libcurl takes no connection of that kind which somebody else has made.
 * One GET of HTTP/1.0, whose answer ends with the connection.
 */
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "probe/ask.h"

/* What is looked at of an answer, its header included. */
#define ANSWER_MAX (64 * 1024)

struct plain_ask {
	size_t size;
	char answer[ANSWER_MAX + 1]; /* NUL behind it */
};

struct plain_ask *plain_ask_free(struct plain_ask *plain)
{
	free(plain);
	return NULL;
}

/* "HTTP/1.1 200 OK": 200; 0 = it is none. */
static unsigned status_of(const struct plain_ask *plain)
{
	unsigned status = 0;

	return sscanf(plain->answer, "HTTP/%*1[0-9].%*1[0-9] %3u", &status) == 1 ? status : 0;
}

static bool has_text(const struct plain_ask *plain, const char *text)
{
	const char *body = strstr(plain->answer, "\r\n\r\n");

	if (!text[0])
		return true;
	return body &&
	       memmem(body, plain->size - (size_t)(body - plain->answer), text, strlen(text));
}

static void judge(struct ask *ask)
{
	const struct errand *errand = &ask->errand;
	const struct plain_ask *plain = ask->plain;
	unsigned status = status_of(plain);
	struct problem line;

	errand_first_line(plain->answer + strcspn(plain->answer, " "), plain->size, &line);
	if (!plain->size)
		ask_end(ask, PROBE_BAD, "the connection was closed without an answer");
	else if (!status)
		ask_end(ask, PROBE_BAD, "the answer is not HTTP");
	else if (!status_is_good(errand->status, MIN(errand->n_status, CONFIG_STATUS_MAX), status))
		ask_end(ask, PROBE_BAD, "HTTP%s", line.text);
	else if (!has_text(plain, errand->text))
		ask_end(ask, PROBE_BAD, "text \"%s\" not found in the answer", errand->text);
	else
		ask_end(ask, PROBE_GOOD, "%s", "");
}

static int on_answer(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct ask *ask = userdata;
	struct plain_ask *plain = ask->plain;
	ssize_t n = recv(fd, plain->answer + plain->size, ANSWER_MAX - plain->size, 0);

	(void)source;
	(void)events;
	if (n < 0) {
		if (errno != EAGAIN)
			ask_end(ask, PROBE_BAD, "%s", ask_error_words(errno));
		return 0;
	}
	plain->size += (size_t)n;
	plain->answer[plain->size] = '\0';
	if (!n || plain->size == ANSWER_MAX)
		judge(ask);
	return 0;
}

static int send_request(struct ask *ask)
{
	const struct errand *errand = &ask->errand;
	char request[PROBE_TEXT_MAX + CONFIG_HOST_MAX + 128];
	int n = snprintf(request, sizeof(request),
			 "GET %s HTTP/1.0\r\nHost: %s\r\nUser-Agent: hotstandby/" HS_VERSION
			 "\r\nConnection: close\r\n\r\n",
			 errand->path, errand->host[0] ? errand->host : "localhost");

	/* the socket's buffer is larger */
	return send(ask->fd, request, (size_t)n, MSG_NOSIGNAL) == n ? 0 : -errno;
}

void plain_ask_connected(struct ask *ask)
{
	int r;

	if (ask->errand.kind != PROBE_HTTP) {
		ask_end(ask, PROBE_VOID, "at a path there is no TLS; use Probe=http:");
		return;
	}
	ask->plain = calloc(1, sizeof(*ask->plain));
	if (!ask->plain || sd_event_add_io(ask->asking->event, &ask->io, ask->fd,
					   EPOLLIN | EPOLLRDHUP, on_answer, ask) < 0) {
		ask_end(ask, PROBE_VOID, "out of memory");
		return;
	}
	r = send_request(ask);
	if (r < 0)
		ask_end(ask, PROBE_BAD, "%s", ask_error_words(-r));
}
