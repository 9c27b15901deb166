// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * http and https: one GET by libcurl, whose multi interface asks our event loop to watch its
 * sockets. It gets a connection that leads to the slot, and an address as text: it looks nothing
 * up and connects to nothing.
 */
#include <curl/curl.h>
#include <string.h>
#include <sys/epoll.h>

#include "probe/ask.h"
#include "util/files.h"

/* What is looked at of an answer, and how long its header may be. */
#define BODY_MAX   (64 * 1024)
#define HEADER_MAX (64 * 1024)

/* One for all probes. */
struct http_client {
	sd_event *event;
	CURLM *multi;
	sd_event_source *timer;
};

struct http_ask {
	struct ask *ask;
	CURL *easy;
	struct curl_slist *headers, *connect_to;
	char *url;
	char error[CURL_ERROR_SIZE];
	struct problem status; /* "503 Service Unavailable" */
	size_t header_size, body_size;
	bool header_full, body_full;
	char *body; /* NULL: nobody asked for its text */
};

DEFINE_CLEANUP(struct http_client, http_client_free)

/* ---- the verdict ---- */

static bool has_text(const struct http_ask *http, const char *text)
{
	return !text[0] || (http->body && memmem(http->body, http->body_size, text, strlen(text)));
}

static void judge_answer(struct http_ask *http)
{
	const struct errand *errand = &http->ask->errand;
	long status = 0;

	curl_easy_getinfo(http->easy, CURLINFO_RESPONSE_CODE, &status);
	if (!status_is_good(errand->status, MIN(errand->n_status, CONFIG_STATUS_MAX),
			    (unsigned)status))
		ask_end(http->ask, PROBE_BAD, "HTTP %s", http->status.text);
	else if (!has_text(http, errand->text))
		ask_end(http->ask, PROBE_BAD, "text \"%s\" not found in the answer", errand->text);
	else
		ask_end(http->ask, PROBE_GOOD, "%s", "");
}

static const char *error_words(const struct http_ask *http, CURLcode code)
{
	long error = 0;

	/* by whichever call curl finds that out, which differs from release to release */
	curl_easy_getinfo(http->easy, CURLINFO_OS_ERRNO, &error);
	if (error == ECONNRESET || error == EPIPE)
		return ask_error_words((int)error);
	switch (code) {
	case CURLE_GOT_NOTHING:
		return "the connection was closed without an answer";
	case CURLE_PARTIAL_FILE:
		return "the answer was cut short";
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_WEIRD_SERVER_REPLY:
		return "the answer is not HTTP";
	default:
		return http->error[0] ? http->error : curl_easy_strerror(code);
	}
}

static void judge(struct http_ask *http, CURLcode code)
{
	struct problem words;

	if (code == CURLE_OK || http->body_full) {
		judge_answer(http);
		return;
	}
	if (http->header_full)
		snprintf(http->error, sizeof(http->error), "the header of the answer is too long");
	errand_first_line(http->header_full ? http->error : error_words(http, code),
			  CURL_ERROR_SIZE, &words);
	ask_end(http->ask, code == CURLE_OUT_OF_MEMORY ? PROBE_VOID : PROBE_BAD, "%s", words.text);
}

/* ---- the answer ---- */

static size_t on_header(char *data, size_t size, size_t n, void *userdata)
{
	struct http_ask *http = userdata;
	const char *phrase;

	size *= n;
	http->header_size += size;
	http->header_full = http->header_size > HEADER_MAX;
	if (http->header_full)
		return 0;
	phrase = size > 5 && !memcmp(data, "HTTP/", 5) ? memchr(data, ' ', size) : NULL;
	if (phrase)
		errand_first_line(phrase + 1, size - (size_t)(phrase + 1 - data), &http->status);
	return size;
}

/* More than is looked at is not fetched. */
static size_t on_body(char *data, size_t size, size_t n, void *userdata)
{
	struct http_ask *http = userdata;
	size_t taken;

	size *= n;
	taken = MIN(size, BODY_MAX - http->body_size);
	if (http->body)
		memcpy(http->body + http->body_size, data, taken);
	http->body_size += taken;
	http->body_full = taken < size;
	return taken;
}

/* The connection is curl's from here on. */
static curl_socket_t on_open(void *userdata, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct ask *ask = userdata;

	(void)address;
	return purpose == CURLSOCKTYPE_IPCXN && ask->fd >= 0 ? steal_fd(&ask->fd) : CURL_SOCKET_BAD;
}

static int on_opened(void *userdata, curl_socket_t fd, curlsocktype purpose)
{
	(void)userdata, (void)fd, (void)purpose;
	return CURL_SOCKOPT_ALREADY_CONNECTED;
}

/* ---- curl in the event loop ---- */

/* A callback of a run may begin others, never end them inside of curl. */
static void take_ended(struct http_client *client)
{
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(client->multi, &left))) {
		struct http_ask *http = NULL;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &http);
		if (http)
			judge(http, message->data.result);
	}
}

static int on_socket_ready(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct http_client *client = userdata;
	int what = 0, running;

	(void)source;
	what |= events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP) ? CURL_CSELECT_IN : 0;
	what |= events & EPOLLOUT ? CURL_CSELECT_OUT : 0;
	what |= events & EPOLLERR ? CURL_CSELECT_ERR : 0;
	curl_multi_socket_action(client->multi, fd, what, &running);
	take_ended(client);
	return 0;
}

static int on_client_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct http_client *client = userdata;
	int running;

	(void)source;
	(void)usec;
	curl_multi_socket_action(client->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	take_ended(client);
	return 0;
}

static int on_watch(CURL *easy, curl_socket_t fd, int what, void *userdata, void *watched)
{
	struct http_client *client = userdata;
	sd_event_source *source = watched;
	uint32_t events = what == CURL_POLL_IN	  ? EPOLLIN
			  : what == CURL_POLL_OUT ? EPOLLOUT
						  : EPOLLIN | EPOLLOUT;

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		sd_event_source_disable_unref(source);
		return 0;
	}
	if (source)
		return sd_event_source_set_io_events(source, events) < 0 ? -1 : 0;
	if (sd_event_add_io(client->event, &source, fd, events, on_socket_ready, client) < 0)
		return -1;
	curl_multi_assign(client->multi, fd, source);
	return 0;
}

static int on_set_timer(CURLM *multi, long ms, void *userdata)
{
	struct http_client *client = userdata;

	(void)multi;
	if (ms < 0)
		return sd_event_source_set_enabled(client->timer, SD_EVENT_OFF) < 0 ? -1 : 0;
	if (sd_event_source_set_time_relative(client->timer, (uint64_t)ms * USEC_PER_MSEC) < 0)
		return -1;
	return sd_event_source_set_enabled(client->timer, SD_EVENT_ONESHOT) < 0 ? -1 : 0;
}

struct http_client *http_client_free(struct http_client *client)
{
	if (!client)
		return NULL;
	if (client->multi)
		curl_multi_cleanup(client->multi);
	sd_event_source_disable_unref(client->timer);
	free(client);
	return NULL;
}

static struct http_client *client_new(sd_event *event)
{
	_cleanup_(http_client_freep) struct http_client *client = calloc(1, sizeof(*client));

	if (!client || curl_global_init(CURL_GLOBAL_DEFAULT))
		return NULL;
	client->event = event;
	client->multi = curl_multi_init();
	if (!client->multi || sd_event_add_time(event, &client->timer, CLOCK_MONOTONIC, 0, 1,
						on_client_timer, client) < 0)
		return NULL;
	sd_event_source_set_enabled(client->timer, SD_EVENT_OFF);
	curl_multi_setopt(client->multi, CURLMOPT_SOCKETFUNCTION, on_watch);
	curl_multi_setopt(client->multi, CURLMOPT_SOCKETDATA, client);
	curl_multi_setopt(client->multi, CURLMOPT_TIMERFUNCTION, on_set_timer);
	curl_multi_setopt(client->multi, CURLMOPT_TIMERDATA, client);
	return steal_ptr(&client);
}

/* ---- the request ---- */

struct http_ask *http_ask_free(struct http_ask *http)
{
	if (!http)
		return NULL;
	if (http->easy) {
		curl_multi_remove_handle(http->ask->asking->http->multi, http->easy);
		curl_easy_cleanup(http->easy);
	}
	curl_slist_free_all(http->headers);
	curl_slist_free_all(http->connect_to);
	free(http->url);
	free(http->body);
	free(http);
	return NULL;
}

/* The name that is asked for stands in the URL, and goes to TLS from there; where to connect is
 * told apart from it. */
static int set_address(struct http_ask *http)
{
	const struct errand *errand = &http->ask->errand;
	const char *host = errand->host;
	_cleanup_(freep) char *to = format("::%s:%u", errand->address, errand->port);
	_cleanup_(freep) char *header = format("Host: %s", host);

	http->url = format("%s://%s:%u%s", probe_kind_to_string(errand->kind),
			   host[0] ? host : errand->address, errand->port, errand->path);
	if (!http->url || !to || !header)
		return -ENOMEM;
	http->connect_to = curl_slist_append(NULL, to);
	http->headers = curl_slist_append(NULL, "Connection: close");
	if (host[0])
		http->headers = curl_slist_append(http->headers, header);
	return http->connect_to && http->headers ? 0 : -ENOMEM;
}

static void set_options(struct http_ask *http)
{
	CURL *easy = http->easy;

	curl_easy_setopt(easy, CURLOPT_PRIVATE, http);
	curl_easy_setopt(easy, CURLOPT_URL, http->url);
	curl_easy_setopt(easy, CURLOPT_CONNECT_TO, http->connect_to);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, http->headers);
	curl_easy_setopt(easy, CURLOPT_USERAGENT, "hotstandby/" HS_VERSION);
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
	curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, http->ask);
	curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, on_opened);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, http);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, http);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, http->error);
	/* whose certificate it is does not matter: the kernel has chosen the process. Without these
	 * files curl does not read all of the machine's authorities for each connection */
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
	curl_easy_setopt(easy, CURLOPT_CAINFO, NULL);
	curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
	curl_easy_setopt(easy, CURLOPT_SSL_SESSIONID_CACHE, 0L);
}

static int begin(struct ask *ask)
{
	struct asking *asking = ask->asking;
	struct http_ask *http = calloc(1, sizeof(*http));
	int r;

	ask->http = http;
	if (!asking->http)
		asking->http = client_new(asking->event);
	if (!http || !asking->http)
		return -ENOMEM;
	http->ask = ask;
	http->body = ask->errand.text[0] ? malloc(BODY_MAX) : NULL;
	http->easy = curl_easy_init();
	if (!http->easy || (ask->errand.text[0] && !http->body))
		return -ENOMEM;
	r = set_address(http);
	if (r < 0)
		return r;
	set_options(http);
	return curl_multi_add_handle(asking->http->multi, http->easy) ? -ENOMEM : 0;
}

void http_ask_connected(struct ask *ask)
{
	if (begin(ask) < 0)
		ask_end(ask, PROBE_VOID, "out of memory");
}
