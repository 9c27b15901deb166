// SPDX-License-Identifier: GPL-2.0-or-later
/* trace: what the selectors decide, as it falls. */
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "core/canary.h"
#include "hsctl/json.h"
#include "hsctl/show/decision.h"
#include "hsctl/verb/elsewhere.h"
#include "hsctl/verb/trace_pairs.h"
#include "hsctl/verb/verb.h"
#include "hsctl/verb_functions.h"
#include "plane/parts/trace.h"
#include "plane/plane.h"
#include "util/clock.h"
#include "util/macro.h"

struct show {
	struct render render;
	bool json;
	struct plane *plane;
	uint64_t real_ahead;	     /* of CLOCK_MONOTONIC, in microseconds */
	struct trace_pairs *pairs;   /* NULL: there is no fast path */
	uint64_t shown, lines, most; /* the first: decisions */
};

static volatile sig_atomic_t stopped;

static void on_signal(int number)
{
	stopped = number;
}

/* ---- one decision ---- */

static const struct address *find(const struct plane *plane, uint32_t name)
{
	struct listener **listeners;
	size_t n;

	listeners = plane_listeners(plane, &n);
	for (size_t i = 0; i < n; i++)
		if (trace_name(&listeners[i]->address) == name)
			return &listeners[i]->address;
	return NULL;
}

/* Also one that has come to be since. */
static const struct address *listener_of(struct plane *plane, uint32_t name)
{
	const struct address *found = find(plane, name);

	if (found || plane_refresh(plane))
		return found;
	return find(plane, name);
}

static void format_time(uint64_t usec, char *text, size_t size)
{
	time_t seconds = usec / USEC_PER_SEC;
	char time[16];
	struct tm tm;

	text[0] = '\0';
	if (localtime_r(&seconds, &tm) && strftime(time, sizeof(time), "%T", &tm))
		snprintf(text, size, "%s.%06u", time, (unsigned)(usec % USEC_PER_SEC));
}

/* A reader at the other end of a pipe wants each line at once; without one we are done. */
static int end_line(struct show *show)
{
	show->lines++;
	if (fflush(show->render.out))
		return -EPIPE;
	return show->lines == show->most ? -ECANCELED : 0;
}

static int on_record(const struct hs_trace_record *record, void *userdata)
{
	struct show *show = userdata;
	uint64_t usec = record->time_ns / NSEC_PER_USEC + show->real_ahead;
	_cleanup_(json_object_putp) json_object *decision = NULL;
	char time[32];

	if (show->lines == show->most)
		return -ECANCELED;
	decision = decision_to_json(record, listener_of(show->plane, record->listener), usec);
	format_time(usec, time, sizeof(time));
	if (show->json)
		fprintf(show->render.out, "%s\n", json_line(decision));
	else
		decision_print(&show->render, time, decision);
	show->shown++;
	return end_line(show);
}

static int on_pair(const struct hs_fast_pair *pair, void *userdata)
{
	struct show *show = userdata;
	uint64_t usec = pair->begun_ns / NSEC_PER_USEC + show->real_ahead;
	char time[32];
	int r = 0;

	format_time(usec, time, sizeof(time));
	for (unsigned side = 0; !r && side < HS_FAST_SIDES; side++) {
		_cleanup_(json_object_putp) json_object *end =
			decision_pair_to_json(pair, side, usec);

		if (show->lines == show->most)
			return -ECANCELED;
		if (show->json)
			fprintf(show->render.out, "%s\n", json_line(end));
		else
			decision_pair_print(&show->render, time, end);
		r = end_line(show);
	}
	return r;
}

/* ---- all of them ---- */

static void catch_signals(sigset_t *before)
{
	struct sigaction action = {.sa_handler = on_signal};
	sigset_t block;

	sigemptyset(&block);
	sigaddset(&block, SIGINT);
	sigaddset(&block, SIGTERM);
	sigaddset(&block, SIGHUP);
	sigprocmask(SIG_BLOCK, &block, before);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
}

/* Till there are some, or till then, or till a signal that came at any time since they were
 * blocked. -EPIPE: who reads what is shown has gone. */
static int wait_for_records(const struct trace *trace, uint64_t until, const sigset_t *unblocked)
{
	struct pollfd fds[] = {{.fd = trace_fd(trace), .events = POLLIN}, {.fd = STDOUT_FILENO}};
	uint64_t now = now_usec(), left = until > now ? until - now : 0;
	struct timespec span = {
		.tv_sec = left / USEC_PER_SEC,
		.tv_nsec = left % USEC_PER_SEC * NSEC_PER_USEC,
	};

	if (ppoll(fds, ARRAY_SIZE(fds), until == USEC_INFINITY ? NULL : &span, unblocked) < 0)
		return errno == EINTR ? 0 : -errno;
	return fds[1].revents ? -EPIPE : 0;
}

static int show_all(const struct arguments *arguments, struct trace *trace, struct show *show,
		    const sigset_t *unblocked)
{
	uint64_t until = arguments->timeout_usec, look = show->pairs ? 0 : USEC_INFINITY;
	int r = 0;

	if (until != USEC_INFINITY)
		until += now_usec();
	while (!r && !stopped && now_usec() < until) {
		r = wait_for_records(trace, MIN(until, look), unblocked);
		if (!r)
			r = trace_consume(trace);
		if (r || now_usec() < look)
			continue;
		r = trace_pairs_look(show->pairs, on_pair, show);
		look = now_usec() + TRACE_PAIRS_EVERY;
	}
	return r;
}

static void tell_sum(const struct show *show, const struct trace_counts *counts)
{
	uint64_t more = counts->matched - MIN(counts->matched, show->shown);
	json_object *sum;

	if (!show->json) {
		fprintf(stderr,
			"%" PRIu64 " decisions shown, %" PRIu64 " not: %" PRIu64
			" came too fast, %" PRIu64 " were lost",
			show->shown, more, counts->skipped, counts->lost);
		if (counts->foreign)
			fprintf(stderr, ", %" PRIu64 " are of selectors of another build",
				counts->foreign);
		fputc('\n', stderr);
		return;
	}
	sum = json_object_new_object();
	json_object_object_add(sum, "shown", json_object_new_uint64(show->shown));
	json_object_object_add(sum, "not_shown", json_object_new_uint64(more));
	json_object_object_add(sum, "skipped", json_object_new_uint64(counts->skipped));
	json_object_object_add(sum, "lost", json_object_new_uint64(counts->lost));
	json_object_object_add(sum, "foreign", json_object_new_uint64(counts->foreign));
	puts(json_line(sum));
	json_object_put(sum);
}

/* What may be missing is told before. */
static void tell_gaps(const char *service, const struct plane *plane)
{
	struct listener **listeners;
	char text[ADDRESS_TEXT_MAX];
	size_t n;

	listeners = plane_listeners(plane, &n);
	if (!n)
		complain("%s has no listener of TCP or UDP now; where its paths lead, a link says",
			 service);
	for (size_t i = 0; i < n; i++)
		if (listener_is_outdated(listeners[i]))
			complain("the selector at %s is of another build and may tell nothing; to "
				 "replace it: systemctl restart hsd",
				 address_describe(&listeners[i]->address, text));
}

static int run(const struct arguments *arguments, const struct trace_order *order,
	       struct show *show)
{
	struct trace_counts counts;
	struct problem problem = {0};
	struct trace *trace;
	sigset_t before;
	int r;

	catch_signals(&before);
	r = trace_begin(show->plane, order, &trace, &problem);
	if (r < 0) {
		complain("%s", problem.text);
		return r == -EBUSY ? EXIT_REFUSED : EXIT_FAILED;
	}
	if (!show->json)
		decision_print_head(&show->render);
	fflush(stdout);
	r = show_all(arguments, trace, show, &before);
	trace_end(trace, &counts);
	if (!r)
		r = trace_consume(trace);
	trace_free(trace);
	if (r < 0 && r != -EPIPE && r != -ECANCELED)
		complain("cannot read what the selectors tell: %s", strerror(-r));
	if (r != -EPIPE)
		tell_sum(show, &counts);
	return !r || r == -EPIPE || r == -ECANCELED ? EXIT_DONE : EXIT_FAILED;
}

static int parse_from(const struct arguments *arguments, struct hs_prefix *prefix)
{
	const char *text = arguments->texts[TEXT_FROM];

	if (!text || !prefix_parse(text, prefix))
		return 0;
	complain("\"%.60s\" is no value for --from; it takes an address or a prefix, such as "
		 "10.1.0.0/16 or 2001:db8::/32",
		 text);
	return EXIT_USAGE;
}

/* Without accounting, whose users a downgrade waits for. NULL after a complaint. */
static struct plane *open_plane(const char *service)
{
	struct problem problem = {0};
	struct plane *plane;
	int r;

	if (geteuid()) {
		complain("only root may do this: it has the kernel tell of each client of %s; run "
			 "it with sudo",
			 service);
		return NULL;
	}
	r = plane_open(service, NULL, &plane, &problem);
	if (!r)
		return plane;
	if (r == -ENOENT)
		complain("nothing is pinned in the kernel for %s; see hsctl list, or put it under "
			 "hotstandby: hsctl enable %s@.service",
			 service, service);
	else
		complain("%s", problem.text[0] ? problem.text : strerror(-r));
	return NULL;
}

int verb_trace(const struct arguments *arguments)
{
	struct hs_prefix prefix;
	struct show show = {
		.render = verb_render(arguments),
		.json = arguments->json,
		.real_ahead = now_real_usec() - now_usec(),
		.most = arguments->lines ?: UINT64_MAX,
	};
	struct trace_order order = {
		.from = arguments->texts[TEXT_FROM] ? &prefix : NULL,
		.per_second = TRACE_PER_SECOND,
		.on_record = on_record,
		.userdata = &show,
	};
	char service[SERVICE_NAME_MAX];
	int r;

	if (verb_service(arguments, service) || parse_from(arguments, &prefix))
		return EXIT_USAGE;
	if (arguments->host || arguments->machine)
		return elsewhere_run(arguments);
	show.plane = open_plane(service);
	if (!show.plane)
		return EXIT_FAILED;
	tell_gaps(service, show.plane);
	show.pairs = trace_pairs_new(plane_id(show.plane), order.from);
	r = run(arguments, &order, &show);
	trace_pairs_free(show.pairs);
	plane_free(show.plane);
	return r;
}
