// SPDX-License-Identifier: GPL-2.0-or-later
#include "system/prober.h"

#include <netinet/in.h>
#include <stdarg.h>
#include <string.h>

#include "plane/netns.h"
#include "system/prober_run.h"
#include "util/clock.h"
#include "util/macro.h"

#define LINE_MAX_SHOWN 200

DEFINE_CLEANUP(struct probe_run, probe_run_free)

int prober_new(sd_event *event, struct prober **ret_prober)
{
	_cleanup_(freep) struct prober *prober = calloc(1, sizeof(*prober));
	int r;

	if (!prober)
		return -ENOMEM;
	prober->event = event;
	r = preview_of_process(0, &prober->owner);
	if (r < 0)
		return r;
	*ret_prober = steal_ptr(&prober);
	return 0;
}

struct prober *prober_free(struct prober *prober)
{
	if (!prober)
		return NULL;
	plugin_groups_free(prober, NULL);
	http_client_free(prober->http);
	free(prober);
	return NULL;
}

int prober_begin(struct prober *prober, struct plane *plane)
{
	return preview_begin(plane, &prober->owner);
}

void prober_end(struct prober *prober, struct plane *plane)
{
	plugin_groups_free(prober, plane);
	preview_end(plane, &prober->owner);
}

/* ---- words ---- */

const char *probe_error_words(int error)
{
	switch (error) {
	case ECONNREFUSED:
		return "connection refused";
	case ECONNRESET:
	case EPIPE:
		return "the connection was reset";
	case ETIMEDOUT:
		return "no answer";
	default:
		return strerror(error);
	}
}

void probe_first_line(const char *text, size_t size, struct problem *ret_line)
{
	char line[LINE_MAX_SHOWN + 1];
	size_t n = 0;

	for (size_t i = 0; i < size && n < LINE_MAX_SHOWN && text[i] && text[i] != '\n'; i++)
		if (text[i] != '\r')
			line[n++] = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
	while (n && line[n - 1] == ' ')
		n--;
	line[n] = '\0';
	problem_set(ret_line, 0, "%s", line);
}

/* ---- the end ---- */

static void forget_rule(struct probe_run *run)
{
	if (run->has_rule)
		preview_remove(run->target.plane, &run->key);
	run->has_rule = false;
}

struct probe_run *probe_run_free(struct probe_run *run)
{
	if (!run)
		return NULL;
	sd_event_source_disable_unref(run->timer);
	tcp_probe_free(run->tcp);
	http_probe_free(run->http);
	exec_probe_free(run->exec);
	close_fd(run->fd);
	forget_rule(run);
	free(run);
	return NULL;
}

/* Whatever has answered: it counts only if it was the slot. */
static void check_landing(struct probe_run *run)
{
	struct preview_landing landing = {0};

	if (!run->has_rule || preview_landed(run->target.plane, &run->key, &landing) < 0)
		return;
	if (landing.misses || (!landing.hits && run->result.verdict == PROBE_GOOD)) {
		run->result.verdict = PROBE_BAD;
		problem_set(&run->result.words, 0, "did not reach slot %u%s", run->target.slot,
			    landing.misses ? ", which has no socket there any more"
					   : ": another program listens there");
	}
}

static int on_ended(struct probe_run *run)
{
	struct probe_result result;
	probe_fn on_end = run->on_end;
	void *userdata = run->userdata;

	check_landing(run);
	result = run->result;
	probe_run_free(run);
	on_end(&result, userdata);
	return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct probe_run *run = userdata;
	char span[SPAN_TEXT_MAX];

	(void)source;
	(void)usec;
	if (!run->ended) {
		run->result.verdict = PROBE_BAD;
		problem_set(&run->result.words, 0, "no answer in %s",
			    span_format(run->target.health->timeout_usec, span, sizeof(span)));
	}
	return on_ended(run);
}

void probe_end(struct probe_run *run, enum probe_verdict verdict, const char *template, ...)
{
	va_list list;

	if (run->ended)
		return;
	run->ended = true;
	run->result.verdict = verdict;
	va_start(list, template);
	vsnprintf(run->result.words.text, sizeof(run->result.words.text), template, list);
	va_end(list);
	sd_event_source_set_time(run->timer, 0);
}

/* ---- the connection ---- */

static bool is_meant(const struct probe_run *run, const struct address *address, bool udp)
{
	/* one that is bound to a device cannot be reached from here */
	return (udp || !address->udp) && !address->ifindex &&
	       (!run->target.spec->port || run->target.spec->port == address->port);
}

/* Whatever the order in which they were found: every hsd asks the same. */
static bool is_before(const struct probe_run *run, const struct address *a, const struct address *b)
{
	unsigned rank_a = probe_port_rank(run->target.spec, a->port);
	unsigned rank_b = probe_port_rank(run->target.spec, b->port);

	if (rank_a != rank_b)
		return rank_a < rank_b;
	return a->family != b->family ? a->family < b->family
				      : memcmp(a->ip, b->ip, sizeof(a->ip)) < 0;
}

const struct listener *probe_find_listener(struct probe_run *run, bool udp)
{
	char port[24] = "any TCP address";
	uint64_t cookies[HS_SHARDS_MAX];
	size_t n;
	struct listener **listeners = plane_listeners(run->target.plane, &n), *best = NULL;

	for (size_t i = 0; i < n; i++)
		if (is_meant(run, &listeners[i]->address, udp) &&
		    listener_sockets(listeners[i], run->target.slot, cookies) &&
		    (!best || is_before(run, &listeners[i]->address, &best->address)))
			best = listeners[i];
	if (best)
		return best;
	if (run->target.spec->port)
		snprintf(port, sizeof(port), "TCP port %u", run->target.spec->port);
	probe_end(run, PROBE_BAD, "it does not listen on %s", port);
	return NULL;
}

static const uint8_t any_ip[16];

/* A wildcard stands for this host. `ipv4`: also to a socket of both families. */
static void set_dest(struct probe_run *run, const struct address *address, bool ipv4)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)&run->dest;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&run->dest;
	bool any = !memcmp(address->ip, any_ip, sizeof(any_ip));

	memset(&run->dest, 0, sizeof(run->dest));
	if (ipv4) {
		*v4 = (struct sockaddr_in) {.sin_family = AF_INET,
					    .sin_port = htons(address->port),
					    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
		if (!any)
			memcpy(&v4->sin_addr, address->ip, sizeof(v4->sin_addr));
		return;
	}
	*v6 = (struct sockaddr_in6) {.sin6_family = AF_INET6,
				     .sin6_port = htons(address->port),
				     .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	if (!any)
		memcpy(&v6->sin6_addr, address->ip, sizeof(v6->sin6_addr));
}

static int direct(struct probe_run *run)
{
	struct preview_wish wish = {
		.owner = &run->prober->owner,
		.slot = run->target.slot,
		.netns = run->key.netns,
	};
	int r;

	run->fd = socket(run->dest.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (run->fd < 0)
		return -errno;
	r = preview_direct(run->target.plane, &wish, run->fd, (struct sockaddr *)&run->dest,
			   &run->key);
	if (r < 0)
		run->fd = close_fd(run->fd);
	run->has_rule = r >= 0;
	return r;
}

struct opening {
	struct probe_run *run;
	const struct address *address;
};

/* Inside the listener's network. */
static int open_inside(void *userdata)
{
	const struct opening *opening = userdata;
	const struct address *address = opening->address;
	bool dual = address->family == AF_INET6 && !address->v6only &&
		    !memcmp(address->ip, any_ip, sizeof(any_ip));
	int r;

	set_dest(opening->run, address, address->family == AF_INET);
	r = direct(opening->run);
	/* a machine without an IPv6 address of its own has such sockets, too */
	if (!dual || (r != -EADDRNOTAVAIL && r != -ENETUNREACH && r != -EAFNOSUPPORT))
		return r;
	set_dest(opening->run, address, true);
	return direct(opening->run);
}

int probe_open_socket(struct probe_run *run)
{
	const struct listener *listener = probe_find_listener(run, false);
	struct opening opening = {.run = run};
	char text[ADDRESS_TEXT_MAX];
	int r = -ENOTCONN;

	if (!listener)
		return -ENOENT;
	opening.address = &listener->address;
	run->key.netns = listener->address.netns;
	if (!listener->address.netns || listener->netns.fd >= 0)
		r = netns_run(&listener->netns, open_inside, &opening);
	if (r < 0)
		probe_end(run, PROBE_VOID, "%s cannot be probed from here: %s",
			  address_describe(&listener->address, text), strerror(-r));
	return r;
}

/* ---- the beginning ---- */

int prober_start(struct prober *prober, const struct probe_target *target, probe_fn on_end,
		 void *userdata, struct probe_run **ret_run)
{
	static void (*const starts[])(struct probe_run *) = {
		[PROBE_TCP] = tcp_probe_start,
		[PROBE_HTTP] = http_probe_start,
		[PROBE_HTTPS] = http_probe_start,
		[PROBE_EXEC] = exec_probe_start,
	};
	_cleanup_(probe_run_freep) struct probe_run *run = calloc(1, sizeof(*run));
	int r;

	_Static_assert(ARRAY_SIZE(starts) == PROBE_KIND_COUNT, "a way to do each");
	if (!run)
		return -ENOMEM;
	run->fd = -1;
	run->prober = prober;
	run->target = *target;
	run->on_end = on_end;
	run->userdata = userdata;
	r = sd_event_add_time_relative(prober->event, &run->timer, CLOCK_MONOTONIC,
				       target->health->timeout_usec, 1, on_timer, run);
	if (r < 0)
		return r;
	starts[target->spec->kind](run);
	*ret_run = steal_ptr(&run);
	return 0;
}
