// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporter/web.h"

#include <errno.h>
#include <limits.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "exporter/facts.h"

/* Who sends nothing for so long, or does not read, is sent away; and there is room for so many, of
 * one address for half of them. */
#define PATIENCE_SECONDS	10
#define CLIENTS_MAX		32
#define CLIENTS_PER_ADDRESS_MAX 16U
/* For the head of a request, and our answer's. */
#define CLIENT_MEMORY 16384

#define TYPE_PLAIN	 "text/plain; charset=utf-8"
#define TYPE_TEXT	 "text/plain; version=0.0.4; charset=utf-8"
#define TYPE_OPENMETRICS "application/openmetrics-text; version=1.0.0; charset=utf-8"

struct web {
	struct MHD_Daemon *daemon;
	unsigned long served;
	int listen_fd; /* MHD would close it */
};

/* ---- answers ---- */

/* `text` is allocated and goes along. */
static enum MHD_Result answer_with(struct MHD_Connection *connection, unsigned status, char *text,
				   const char *type)
{
	struct MHD_Response *response =
		MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_FREE);
	enum MHD_Result r;

	if (!response) {
		free(text);
		return MHD_NO;
	}
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	r = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return r;
}

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned status, const char *text)
{
	char *copy = strdup(text);

	return copy ? answer_with(connection, status, copy, TYPE_PLAIN) : MHD_NO;
}

static char *render(enum metrics_form form, const struct metrics_facts *facts)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	metrics_write(out, form, facts);
	if (fclose(out)) {
		free(text);
		return NULL;
	}
	return text;
}

/* Prometheus names both, and likes this one better; who names neither gets what it can read. */
static bool wants_openmetrics(struct MHD_Connection *connection)
{
	const char *accept =
		MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT);

	return accept && strstr(accept, "application/openmetrics-text");
}

static enum MHD_Result answer_metrics(struct MHD_Connection *connection)
{
	bool openmetrics = wants_openmetrics(connection);
	struct metrics_facts facts;
	struct problem problem;
	char *text, line[sizeof(problem.text) + 2];

	if (facts_get(&facts, &problem) < 0) {
		snprintf(line, sizeof(line), "%s\n", problem.text);
		return answer(connection, MHD_HTTP_SERVICE_UNAVAILABLE, line);
	}
	text = render(openmetrics ? METRICS_OPENMETRICS : METRICS_TEXT, &facts);
	return text ? answer_with(connection, MHD_HTTP_OK, text,
				  openmetrics ? TYPE_OPENMETRICS : TYPE_TEXT)
		    : MHD_NO;
}

/* ---- requests ---- */

/* Called for the head of a request, again for each part of its body, and at its end: then it is
 * answered. Nobody has to send us a body, and what comes is not kept. */
static enum MHD_Result on_request(void *userdata, struct MHD_Connection *connection,
				  const char *path, const char *method, const char *version,
				  const char *body, size_t *size, void **state)
{
	static int seen;

	(void)userdata, (void)version, (void)body;
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
		return answer(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "GET and HEAD only\n");
	if (!*state || *size) {
		*state = &seen;
		*size = 0;
		return MHD_YES;
	}
	if (!strcmp(path, "/metrics"))
		return answer_metrics(connection);
	if (!strcmp(path, "/"))
		return answer(connection, MHD_HTTP_OK,
			      "hotstandby-exporter: the metrics are at /metrics\n");
	return answer(connection, MHD_HTTP_NOT_FOUND, "there is /metrics, and nothing else\n");
}

static void on_connection(void *userdata, struct MHD_Connection *connection, void **state,
			  enum MHD_ConnectionNotificationCode code)
{
	struct web *web = userdata;

	(void)connection, (void)state;
	web->served += code == MHD_CONNECTION_NOTIFY_STARTED;
}

/* ---- the whole ---- */

int web_new(int listen_fd, struct web **ret_web)
{
	_cleanup_(web_freep) struct web *web = calloc(1, sizeof(*web));

	if (!web)
		return -ENOMEM;
	web->listen_fd = listen_fd;
	web->daemon = MHD_start_daemon(
		MHD_USE_EPOLL, 0, NULL, NULL, on_request, NULL, MHD_OPTION_LISTEN_SOCKET, listen_fd,
		MHD_OPTION_CONNECTION_TIMEOUT, PATIENCE_SECONDS, MHD_OPTION_CONNECTION_LIMIT,
		CLIENTS_MAX, MHD_OPTION_PER_IP_CONNECTION_LIMIT, CLIENTS_PER_ADDRESS_MAX,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CLIENT_MEMORY,
		MHD_OPTION_NOTIFY_CONNECTION, on_connection, web, MHD_OPTION_END);
	if (!web->daemon)
		return errno ? -errno : -EIO;
	*ret_web = steal_ptr(&web);
	return 0;
}

struct web *web_free(struct web *web)
{
	if (!web)
		return NULL;
	/* else MHD closes it: whoever waits there waits on, for the next one that is started */
	web_quiesce(web);
	if (web->daemon)
		MHD_stop_daemon(web->daemon);
	free(web);
	return NULL;
}

int web_fd(const struct web *web)
{
	return MHD_get_daemon_info(web->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
}

int web_timeout(const struct web *web)
{
	MHD_UNSIGNED_LONG_LONG milliseconds;

	if (MHD_get_timeout(web->daemon, &milliseconds) != MHD_YES)
		return -1;
	return (int)MIN(milliseconds, (MHD_UNSIGNED_LONG_LONG)INT_MAX);
}

void web_run(struct web *web)
{
	MHD_run(web->daemon);
}

bool web_is_busy(const struct web *web)
{
	return MHD_get_daemon_info(web->daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS)
		       ->num_connections > 0;
}

unsigned long web_served(const struct web *web)
{
	return web->served;
}

void web_quiesce(struct web *web)
{
	if (web->daemon && web->listen_fd >= 0)
		(void)MHD_quiesce_daemon(web->daemon);
	web->listen_fd = -1;
}
