// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsd/tasting.h"

#include <netinet/tcp.h>
#include <netinet/in.h>

#include "hsd/hang.h"
#include "hsd/health.h"
#include "plane/pins.h"
#include "plane/reach.h"
#include "util/clock.h"
#include "util/macro.h"

/* When it is looked whether it is accepted: at first, and then twice as late each time. */
#define LOOK_FIRST (2 * USEC_PER_MSEC)
#define LOOK_LAST  (50 * USEC_PER_MSEC)

/* A connection on this machine is made at once, unless the queue is full, or somebody filters it:
 * who is not answered in this time has not come to the queue. */
#define UNANSWERED (200 * USEC_PER_MSEC)

struct tasting {
	struct service *service;
	unsigned slot;
	tasting_fn on_accepted;
	void *userdata;
	sd_event_source *timer;
	struct hs_preview_owner_id owner; /* this process */
	struct reach reach;
	bool has_rule;
	uint64_t begun, pause;
};

DEFINE_CLEANUP(struct tasting, tasting_free)

/* Selectors look for rules as long as somebody has some; the probes are ours, too. */
static void forget_rule(struct tasting *tasting)
{
	const struct service *service = tasting->service;

	if (!tasting->has_rule)
		return;
	tasting->has_rule = false;
	preview_remove(service->plane, &tasting->reach.key);
	if (!health_is_probing(service->health))
		preview_end(service->plane, &tasting->owner);
}

struct tasting *tasting_free(struct tasting *tasting)
{
	if (!tasting)
		return NULL;
	sd_event_source_disable_unref(tasting->timer);
	close_fd(tasting->reach.fd);
	forget_rule(tasting);
	free(tasting);
	return NULL;
}

/* ---- the connection ---- */

/* The one with the smallest port, of those that can be reached from here. */
static const struct listener *pick_listener(const struct tasting *tasting)
{
	const struct listener *best = NULL;
	size_t n;
	struct listener **listeners = plane_listeners(tasting->service->plane, &n);

	for (size_t i = 0; i < n; i++) {
		const struct address *address = &listeners[i]->address;

		if (!address->udp && !address->ifindex &&
		    (!best || address->port < best->address.port))
			best = listeners[i];
	}
	return best;
}

static int begin(struct tasting *tasting)
{
	struct plane *plane = tasting->service->plane;
	int r;

	/* the loop waits for nobody's lock */
	pins_set_waiting(false);
	r = preview_begin(plane, &tasting->owner);
	pins_set_waiting(true);
	return r;
}

static int connect_to_slot(struct tasting *tasting)
{
	struct preview_wish wish = {.owner = &tasting->owner, .slot = tasting->slot, .aside = true};
	const struct listener *listener = pick_listener(tasting);
	int r = listener ? begin(tasting) : -ENOENT;

	if (!r)
		r = reach_open(tasting->service->plane, listener, &wish, &tasting->reach);
	if (r < 0)
		return r;
	tasting->has_rule = true;
	if (connect(tasting->reach.fd, (struct sockaddr *)&tasting->reach.dest,
		    reach_size(&tasting->reach.dest)) < 0 &&
	    errno != EINPROGRESS)
		return -errno;
	return 0;
}

/* Not made yet. */
static bool is_on_its_way(const struct tasting *tasting)
{
	struct tcp_info info = {0};
	socklen_t size = sizeof(info);

	return !getsockopt(tasting->reach.fd, IPPROTO_TCP, TCP_INFO, &info, &size) &&
	       info.tcpi_state == TCP_SYN_SENT;
}

/* Whether it waits for this slot: it may have been refused, or come to another program. */
static bool reached(const struct tasting *tasting)
{
	struct preview_landing landing;

	return !preview_landed(tasting->service->plane, &tasting->reach.key, &landing) &&
	       landing.hits && !landing.misses;
}

static bool is_waiting(const struct tasting *tasting)
{
	bool queued = hang_queued(tasting->service->hang, tasting->slot);

	if (is_on_its_way(tasting))
		return queued || now_usec() - tasting->begun < UNANSWERED;
	return queued && reached(tasting);
}

static int on_due(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct tasting *tasting = userdata;

	(void)usec;
	if (tasting->has_rule && is_waiting(tasting)) {
		tasting->pause = MIN(2 * tasting->pause, LOOK_LAST);
		sd_event_source_set_time_relative(source, tasting->pause);
		return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
	}
	tasting->on_accepted(tasting->userdata);
	return 0;
}

int tasting_new(struct service *service, unsigned slot, tasting_fn on_accepted, void *userdata,
		struct tasting **ret_tasting)
{
	_cleanup_(tasting_freep) struct tasting *tasting = calloc(1, sizeof(*tasting));
	int r;

	if (!tasting)
		return -ENOMEM;
	tasting->service = service;
	tasting->slot = slot;
	tasting->on_accepted = on_accepted;
	tasting->userdata = userdata;
	tasting->reach.fd = -1;
	tasting->pause = LOOK_FIRST;
	tasting->begun = now_usec();
	r = preview_of_process(0, &tasting->owner);
	if (!r)
		r = sd_event_add_time_relative(service->context->event, &tasting->timer,
					       CLOCK_MONOTONIC, LOOK_FIRST, 1, on_due, tasting);
	if (r < 0)
		return r;
	if (connect_to_slot(tasting) < 0)
		forget_rule(tasting);
	*ret_tasting = steal_ptr(&tasting);
	return 0;
}
