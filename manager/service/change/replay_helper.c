// SPDX-License-Identifier: GPL-2.0-or-later
#include "service/change/replay_helper.h"

#include <netinet/in.h>
#include <string.h>
#include <syslog.h>

#include "plane/parts/table.h"
#include "system/journal.h"
#include "system/probe/asker.h"
#include "util/macro.h"

/* When one that has ended is started again: later each time. */
#define RETRY_MIN (100 * USEC_PER_MSEC)
#define RETRY_MAX (60 * USEC_PER_SEC)

struct replay_helper {
	struct service *service;
	const struct replay_helper_calls *calls;
	void *userdata;
	struct asker *asker;	/* NULL: see `timer`, or there is nothing to remember */
	sd_event_source *timer; /* when it is tried again */
	uint64_t delay;
	struct replay_watch watched; /* as it was told */
	struct exporters_counts counts;
	struct problem problem;
};

/* ---- the addresses ---- */

static void add_listener(struct replay_watch *watch, const struct address *address)
{
	struct replay_listener *one = &watch->listeners[watch->n];
	bool ipv4 = address->family == AF_INET;
	static const uint8_t any[16];

	*one = (struct replay_listener) {.port = address->port, .ipv4 = ipv4, .ipv6 = !ipv4};
	if (!memcmp(address->ip, any, sizeof(any))) {
		one->ipv4 |= !address->v6only;
	} else if (ipv4) {
		memset(one->ip + 10, 0xff, 2);
		memcpy(one->ip + 12, address->ip, 4);
	} else {
		memcpy(one->ip, address->ip, sizeof(one->ip));
	}
	watch->n++;
}

/* Of UDP, and of our own network: elsewhere it could neither hear nor send. */
static void list_addresses(const struct service *service, struct replay_watch *watch)
{
	size_t n;
	struct listener **listeners = plane_listeners(service->plane, &n);

	memset(watch, 0, sizeof(*watch));
	watch->kind = REPLAY_WATCH;
	for (size_t i = 0; i < n && watch->n < REPLAY_LISTENERS_MAX; i++) {
		const struct address *address = &listeners[i]->address;

		if (address->udp && !address->netns && !address->ifindex)
			add_listener(watch, address);
	}
}

static void tell_addresses(struct replay_helper *helper, const struct replay_watch *watch)
{
	if (!memcmp(&helper->watched, watch, sizeof(*watch)))
		return;
	helper->watched = *watch;
	replay_helper_send(helper, watch, sizeof(*watch));
}

/* ---- what it says ---- */

static void on_ready(void *userdata)
{
	struct replay_helper *helper = userdata;
	struct replay_watch watch;

	helper->problem.text[0] = '\0';
	list_addresses(helper->service, &watch);
	tell_addresses(helper, &watch);
}

static void on_packet(const void *packet, size_t size, void *userdata)
{
	struct replay_helper *helper = userdata;
	enum replay_kind kind = replay_check(packet, size);

	if (kind == REPLAY_KINDS) {
		asker_give_up(helper->asker, "it sent what is no answer");
		return;
	}
	helper->delay = 0;
	if (kind == REPLAY_COUNTS)
		helper->counts = ((const struct replay_counts *)packet)->counts;
	else
		helper->calls->on_packet(kind, packet, helper->userdata);
}

static void end(struct replay_helper *helper)
{
	helper->asker = asker_free(helper->asker);
	helper->watched = (struct replay_watch) {0};
	helper->counts = (struct exporters_counts) {0};
	helper->calls->on_gone(helper->userdata);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct replay_helper *helper = userdata;

	(void)usec;
	helper->timer = sd_event_source_disable_unref(source);
	replay_helper_follow(helper);
	return 0;
}

static void try_later(struct replay_helper *helper, const char *why)
{
	struct journal_scope scope = {helper->service->name, -1, LOG_WARNING};
	struct problem problem;

	problem_set(&problem, 0,
		    "hs-replay does not run: %.300s; templates that exporters send are not "
		    "remembered, see hsd(8)",
		    why);
	if (strcmp(problem.text, helper->problem.text))
		journal_log(JOURNAL_PROBLEM, &scope, "%s: %s", helper->service->name, problem.text);
	helper->problem = problem;
	helper->delay = MIN(MAX(2 * helper->delay, RETRY_MIN), RETRY_MAX);
	helper->timer = sd_event_source_disable_unref(helper->timer);
	sd_event_add_time_relative(helper->service->host->event, &helper->timer, CLOCK_MONOTONIC,
				   helper->delay, 0, on_timer, helper);
}

static void on_gone(const char *why, void *userdata)
{
	struct replay_helper *helper = userdata;

	try_later(helper, why);
	end(helper);
}

/* ---- its life ---- */

static void begin(struct replay_helper *helper)
{
	static const struct asker_calls calls = {on_ready, on_packet, on_gone};
	const struct confined_order order = {
		.prefix = CONFINED_REPLAY_PREFIX,
		.description = "hotstandby: templates of exporters",
		.program = "hs-replay",
		.service = helper->service->name,
		.user = "",
		.raw = true,
	};
	const struct host *host = helper->service->host;
	int r = asker_new(host->event, host->bus, &order, &calls, helper, &helper->asker);

	if (r < 0)
		try_later(helper, strerror(-r));
}

void replay_helper_follow(struct replay_helper *helper)
{
	const struct service *service = helper->service;
	struct replay_watch watch = {0};

	if (service->plane && plane_is_spread(service->plane))
		list_addresses(service, &watch);
	if (!watch.n) {
		if (helper->asker)
			end(helper);
		helper->timer = sd_event_source_disable_unref(helper->timer);
		return;
	}
	if (!helper->asker && !helper->timer && service->host->bus)
		begin(helper);
	else if (asker_is_ready(helper->asker))
		tell_addresses(helper, &watch);
}

struct replay_helper *replay_helper_new(struct service *service,
					const struct replay_helper_calls *calls, void *userdata)
{
	struct replay_helper *helper = calloc(1, sizeof(*helper));

	if (helper)
		*helper = (struct replay_helper) {
			.service = service, .calls = calls, .userdata = userdata};
	return helper;
}

struct replay_helper *replay_helper_free(struct replay_helper *helper)
{
	if (!helper)
		return NULL;
	asker_free(helper->asker);
	sd_event_source_disable_unref(helper->timer);
	free(helper);
	return NULL;
}

/* ---- while it runs ---- */

bool replay_helper_is_ready(const struct replay_helper *helper)
{
	return asker_is_ready(helper->asker);
}

int replay_helper_send(struct replay_helper *helper, const void *packet, size_t size)
{
	int r = asker_send(helper->asker, packet, size, -1);

	if (r < 0)
		asker_give_up(helper->asker, "it takes nothing");
	return r;
}

void replay_helper_give_up(struct replay_helper *helper, const char *why)
{
	if (helper->asker)
		asker_give_up(helper->asker, why);
}

const struct exporters_counts *replay_helper_counts(const struct replay_helper *helper)
{
	return &helper->counts;
}

const char *replay_helper_problem(const struct replay_helper *helper)
{
	if (helper->problem.text[0] || asker_is_ready(helper->asker))
		return helper->problem.text;
	return helper->asker ? "hs-replay is being started"
			     : "there is no table, or no UDP address in this network";
}
