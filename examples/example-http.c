// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The connections of hs-example-server: HTTP/1.1 with keep-alive and pipelining, one request of a
 * connection at a time, no request of one connection in the way of another.
 *
 *   /               "slot=0 version=1 pid=123"
 *   /slow?ms=N      the same after N milliseconds
 *   /size?bytes=N   N bytes
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "example-server.h"

#define HEAD_MAX       (100 * 1024)
#define INPUT_START    2048
#define SLOW_MAX_MS    (10 * 60 * 1000)
#define SIZE_MAX_BYTES (UINT64_C(1) << 32)
#define LINGER_MS      1000
/* after so many steps of one connection, the others have their turn */
#define STEPS_MAX 64

enum phase {
	PHASE_READING,	 /* waits for a request, or reads one */
	PHASE_SLEEPING,	 /* the answer is due later */
	PHASE_WRITING,	 /* the answer is on its way */
	PHASE_LINGERING, /* the last answer is out; reads what still comes, so that no reset
			    destroys it */
};

struct connection {
	struct source source;
	struct connection *next, *previous;
	enum phase phase;
	uint32_t watched;
	uint64_t due; /* end of sleeping or lingering, or of the patience with an idle client; 0 =
			 never */
	bool last;    /* closes after this answer */
	bool head_only;
	bool broken;  /* the client's input makes no sense from here on */
	bool lingers; /* its end is sent, and due is set */

	char *input;
	size_t input_size, input_used;
	size_t searched; /* so much of the input has no end of a request head in it */
	uint64_t skip;	 /* bytes of request body still to throw away */

	char head[512]; /* of the answer, with its text */
	size_t head_used, head_sent;
	uint64_t filler; /* bytes to send after the head */
};

struct request {
	char *method, *target;
	bool close;
	bool transfer_encoding;
	uint64_t content_length;
};

enum step {
	STEP_AGAIN, /* go on at once */
	STEP_WAIT,  /* for what is watched */
	STEP_FREE,  /* the connection is at its end */
};

static const char *status_text(int status)
{
	switch (status) {
	case 200:
		return "OK";
	case 400:
		return "Bad Request";
	case 431:
		return "Request Header Fields Too Large";
	case 501:
		return "Not Implemented";
	default:
		return "HTTP Version Not Supported";
	}
}

/* The value of a number in the query of a target: 0 if it is missing or makes no sense, at most
 * `max`. */
static uint64_t query_number(const char *target, const char *name, uint64_t max)
{
	const char *query = strchr(target, '?');
	size_t length = strlen(name);
	unsigned long long value;

	while (query) {
		query++;
		if (!strncmp(query, name, length) && query[length] == '=' &&
		    query[length + 1] >= '0' && query[length + 1] <= '9') {
			value = strtoull(query + length + 1, NULL, 10);
			return value < max ? value : max;
		}
		query = strchr(query, '&');
	}
	return 0;
}

static bool target_is(const char *target, const char *path)
{
	size_t length = strlen(path);

	return !strncmp(target, path, length) && (!target[length] || target[length] == '?');
}

/* --- parsing; a head is split in place
 * ------------------------------------------------------------ */

/* "GET /target HTTP/1.1". Returns 200 or the status to refuse with. */
static int parse_request_line(char *line, struct request *request)
{
	char *version;

	request->method = strsep(&line, " ");
	request->target = strsep(&line, " ");
	version = strsep(&line, " ");
	if (!version || line || !*request->method || !*request->target)
		return 400;
	if (strncmp(version, "HTTP/1.", 7) != 0)
		return !strncmp(version, "HTTP/", 5) ? 505 : 400;
	request->close = !strcmp(version, "HTTP/1.0");
	return 200;
}

static int parse_content_length(const char *value, uint64_t *ret_length)
{
	unsigned long long length;
	char *end;

	if (*value < '0' || *value > '9')
		return 400;
	errno = 0;
	length = strtoull(value, &end, 10);
	if (errno || *end)
		return 400;
	*ret_length = length;
	return 200;
}

static int parse_header(char *line, struct request *request)
{
	char *value = strchr(line, ':');

	if (!value || value == line)
		return 400;
	*value++ = '\0';
	value += strspn(value, " \t");
	if (strcasecmp(line, "Content-Length") == 0)
		return parse_content_length(value, &request->content_length);
	if (strcasecmp(line, "Transfer-Encoding") == 0)
		request->transfer_encoding = true;
	if (strcasecmp(line, "Connection") == 0) {
		if (strcasestr(value, "close"))
			request->close = true;
		else if (strcasestr(value, "keep-alive"))
			request->close = false;
	}
	return 200;
}

/* Returns 200 or the status to refuse with. */
static int parse_head(char *head, struct request *request)
{
	char *line;
	int status;

	*request = (struct request) {};
	while ((line = strsep(&head, "\n"))) {
		line[strcspn(line, "\r")] = '\0';
		status = request->method ? parse_header(line, request)
					 : parse_request_line(line, request);
		if (status != 200)
			return status;
	}
	return request->transfer_encoding ? 501 : 200;
}

static void set_due(struct server *server, struct connection *c, uint64_t delay_ms)
{
	c->due = now_ms() + delay_ms;
	server_want_due(server, c->due);
}

/* --- answering
 * ------------------------------------------------------------------------------------ */

static void answer_head(struct server *server, struct connection *c, int status, uint64_t length)
{
	c->last |= server->stopping;
	c->head_sent = 0;
	c->head_used = (size_t)snprintf(
		c->head, sizeof(c->head),
		"HTTP/1.1 %d %s\r\nContent-Type: text/plain\r\nContent-Length: %llu\r\n"
		"X-Slot: %.32s\r\nX-Version: %.64s\r\nConnection: %s\r\n\r\n",
		status, status_text(status), (unsigned long long)length, server->settings.slot,
		server->settings.version, c->last ? "close" : "keep-alive");
	c->filler = 0;
	c->phase = PHASE_WRITING;
}

static void answer_text(struct server *server, struct connection *c, int status, const char *text)
{
	size_t length = strlen(text);

	answer_head(server, c, status, length);
	if (c->head_only)
		return;
	/* both have room by their limits: the head takes less than 320 bytes, the text less than
	 * 160 */
	memcpy(c->head + c->head_used, text, length);
	c->head_used += length;
}

static void answer_identity(struct server *server, struct connection *c)
{
	char text[160];

	snprintf(text, sizeof(text), "slot=%.32s version=%.64s pid=%d\n", server->settings.slot,
		 server->settings.version, (int)getpid());
	answer_text(server, c, 200, text);
}

/* Nothing after this can be understood, so it is the last answer. */
static void answer_error(struct server *server, struct connection *c, int status)
{
	char text[64];

	c->last = c->broken = true;
	c->head_only = false;
	snprintf(text, sizeof(text), "%d %s\n", status, status_text(status));
	answer_text(server, c, status, text);
}

static void answer_size(struct server *server, struct connection *c, uint64_t bytes)
{
	answer_head(server, c, 200, bytes);
	c->filler = c->head_only ? 0 : bytes;
}

static void answer_later(struct server *server, struct connection *c, uint64_t delay_ms)
{
	c->phase = PHASE_SLEEPING;
	set_due(server, c, delay_ms);
}

static void answer_request(struct server *server, struct connection *c,
			   const struct request *request)
{
	uint64_t delay = 0;

	c->last = request->close;
	c->head_only = !strcmp(request->method, "HEAD");
	c->due = 0;
	if (target_is(request->target, "/slow"))
		delay = query_number(request->target, "ms", SLOW_MAX_MS);
	if (target_is(request->target, "/size"))
		answer_size(server, c, query_number(request->target, "bytes", SIZE_MAX_BYTES));
	else if (delay)
		answer_later(server, c, delay);
	else
		answer_identity(server, c);
}

/* --- one step of a connection
 * --------------------------------------------------------------------- */

static void input_consume(struct connection *c, size_t length)
{
	c->input_used -= length;
	c->searched = 0;
	memmove(c->input, c->input + length, c->input_used);
}

static void skip_body(struct connection *c)
{
	size_t length = c->skip < c->input_used ? (size_t)c->skip : c->input_used;

	c->skip -= length;
	input_consume(c, length);
}

/* Clients may send empty lines between requests. */
static void skip_empty_lines(struct connection *c)
{
	size_t length = 0;

	while (length < c->input_used && (c->input[length] == '\r' || c->input[length] == '\n'))
		length++;
	if (length)
		input_consume(c, length);
}

/* Returns the length of the request head at the start of the input, its empty line included; 0 =
 * not all of it is there. */
static size_t find_head(struct connection *c)
{
	size_t from = c->searched > 3 ? c->searched - 3 : 0;
	char *end = memmem(c->input + from, c->input_used - from, "\r\n\r\n", 4);

	c->searched = c->input_used;
	return end ? (size_t)(end + 4 - c->input) : 0;
}

/* Returns whether there was a whole request; it is being answered then. */
static bool take_request(struct server *server, struct connection *c)
{
	struct request request;
	size_t length;
	int status = 400;

	if (c->skip)
		skip_body(c);
	if (!c->input_used)
		return false;
	if (!c->skip && c->searched == 0)
		skip_empty_lines(c);
	length = c->skip ? 0 : find_head(c);
	if (!length)
		return false;
	c->input[length - 4] = '\0';
	if (strlen(c->input) == length - 4)
		status = parse_head(c->input, &request);
	if (status != 200) {
		answer_error(server, c, status);
	} else {
		c->skip = request.content_length;
		answer_request(server, c, &request);
	}
	input_consume(c, length);
	return true;
}

static bool input_grow(struct connection *c)
{
	size_t size = c->input_size ? 2 * c->input_size : INPUT_START;
	char *input = realloc(c->input, size);

	if (!input)
		return false;
	c->input = input;
	c->input_size = size;
	return true;
}

static enum step read_more(struct server *server, struct connection *c)
{
	ssize_t length;

	if (c->input_used >= HEAD_MAX) {
		answer_error(server, c, 431);
		return STEP_AGAIN;
	}
	if (c->input_used == c->input_size && !input_grow(c))
		return STEP_FREE;
	length = recv(c->source.fd, c->input + c->input_used, c->input_size - c->input_used, 0);
	if (length > 0) {
		c->input_used += (size_t)length;
		return STEP_AGAIN;
	}
	return length < 0 && (errno == EAGAIN || errno == EINTR) ? STEP_WAIT : STEP_FREE;
}

static enum step step_reading(struct server *server, struct connection *c)
{
	return take_request(server, c) ? STEP_AGAIN : read_more(server, c);
}

static ssize_t send_some(struct connection *c)
{
	static const char filler[64 * 1024] = {[0 ... 64 * 1024 - 1] = 'x'};
	int more = c->filler ? MSG_MORE : 0;

	if (c->head_sent < c->head_used)
		return send(c->source.fd, c->head + c->head_sent, c->head_used - c->head_sent,
			    MSG_NOSIGNAL | more);
	return send(c->source.fd, filler, c->filler < sizeof(filler) ? c->filler : sizeof(filler),
		    MSG_NOSIGNAL);
}

static enum step step_writing(struct server *server, struct connection *c)
{
	ssize_t length;

	if (c->head_sent == c->head_used && !c->filler) {
		c->phase = c->last ? PHASE_LINGERING : PHASE_READING;
		if (server->stopping)
			set_due(server, c, server->settings.idle_grace_ms);
		return STEP_AGAIN;
	}
	length = send_some(c);
	if (length < 0)
		return errno == EAGAIN || errno == EINTR ? STEP_WAIT : STEP_FREE;
	if (c->head_sent < c->head_used)
		c->head_sent += (size_t)length;
	else
		c->filler -= (uint64_t)length;
	return STEP_AGAIN;
}

static enum step step_lingering(struct server *server, struct connection *c)
{
	char waste[16 * 1024];
	ssize_t length = recv(c->source.fd, waste, sizeof(waste), 0);

	if (length > 0) {
		c->broken = true;
		return STEP_AGAIN;
	}
	/* who has sent one well-formed request and nothing more will not send now */
	if (length == 0 || errno != EAGAIN || !(c->broken || c->skip))
		return STEP_FREE;
	if (!c->lingers) {
		c->lingers = true;
		shutdown(c->source.fd, SHUT_WR);
		set_due(server, c, LINGER_MS);
	}
	return STEP_WAIT;
}

static enum step connection_step(struct server *server, struct connection *c)
{
	switch (c->phase) {
	case PHASE_READING:
		return step_reading(server, c);
	case PHASE_WRITING:
		return step_writing(server, c);
	case PHASE_LINGERING:
		return step_lingering(server, c);
	default:
		return STEP_WAIT;
	}
}

/* --- the life of a connection
 * --------------------------------------------------------------------- */

static void connection_free(struct server *server, struct connection *c)
{
	if (c->previous)
		c->previous->next = c->next;
	else
		server->connections = c->next;
	if (c->next)
		c->next->previous = c->previous;
	close(c->source.fd);
	free(c->input);
	free(c);
	server_resume_soon(server);
}

static void connection_watch(struct server *server, struct connection *c, uint32_t events)
{
	if (c->watched != events && source_watch(server, &c->source, events) == 0)
		c->watched = events;
}

static void connection_run(struct server *server, struct connection *c)
{
	enum step step = STEP_AGAIN;
	int steps;

	for (steps = 0; step == STEP_AGAIN && steps < STEPS_MAX; steps++)
		step = connection_step(server, c);
	if (step == STEP_FREE)
		connection_free(server, c);
	else if (step == STEP_AGAIN || c->phase == PHASE_WRITING)
		connection_watch(server, c, EPOLLOUT);
	else if (c->phase == PHASE_SLEEPING)
		connection_watch(server, c, 0);
	else
		connection_watch(server, c, EPOLLIN);
}

static void connection_on_event(struct server *server, struct source *source)
{
	struct connection *c = (struct connection *)source;

	/* nothing is watched while it sleeps, so this is an error or the client's end */
	if (c->phase == PHASE_SLEEPING)
		connection_free(server, c);
	else
		connection_run(server, c);
}

void connection_new(struct server *server, int fd)
{
	struct connection *c = calloc(1, sizeof(*c));
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};

	if (!c || epoll_ctl(server->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) {
		free(c);
		close(fd);
		return;
	}
	c->source = (struct source) {.fd = fd, .on_event = connection_on_event};
	c->watched = EPOLLIN;
	c->next = server->connections;
	if (c->next)
		c->next->previous = c;
	server->connections = c;
}

static void connection_run_due(struct server *server, struct connection *c)
{
	if (c->phase != PHASE_SLEEPING) {
		connection_free(server, c);
		return;
	}
	c->due = 0;
	answer_identity(server, c);
	connection_run(server, c);
}

void connections_run_due(struct server *server, uint64_t now)
{
	struct connection *c, *next;

	for (c = server->connections; c; c = next) {
		next = c->next;
		if (c->due && c->due <= now)
			connection_run_due(server, c);
		else if (c->due)
			server_want_due(server, c->due);
	}
}

void connections_stop(struct server *server)
{
	uint64_t due = now_ms() + server->settings.idle_grace_ms;
	struct connection *c;

	for (c = server->connections; c; c = c->next) {
		if (c->phase == PHASE_READING)
			c->due = due;
	}
	server_want_due(server, due);
}
