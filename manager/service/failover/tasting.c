// SPDX-License-Identifier: GPL-2.0-or-later
#include "service/failover/tasting.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

#include "plane/preview/reach.h"
#include "service/later.h"
#include "service/rules.h"
#include "service/watch/hang.h"
#include "util/clock.h"
#include "util/macro.h"

/* When it is looked whether it is accepted: at first, and then twice as late each time. */
#define LOOK_FIRST (2 * USEC_PER_MSEC)
#define LOOK_LAST  (50 * USEC_PER_MSEC)

/* A connection on this machine is made at once, unless the queue is full, or somebody filters it:
 * who is not answered in this time has not come to the queue. */
#define UNANSWERED (200 * USEC_PER_MSEC)

/* One for each address, as a server may be at its limit on one of them alone; so many at most. */
#define TASTES_MAX 16

struct tasting {
	struct service *service;
	unsigned slot;
	tasting_fn on_accepted;
	void *userdata;
	sd_event_source *timer;
	struct hs_preview_owner_id owner; /* this process */
	struct reach tastes[TASTES_MAX];
	unsigned n;
	bool has_rules; /* selectors look for them */
	bool locked;	/* they cannot just now, and it has not begun */
	uint64_t given; /* to the slot when all had come there; 0 = they have not, or not known */
	uint64_t begun, pause;
};

DEFINE_CLEANUP(struct tasting, tasting_free)

struct tasting *tasting_free(struct tasting *tasting)
{
	const struct service *service;

	if (!tasting)
		return NULL;
	service = tasting->service;
	sd_event_source_disable_unref(tasting->timer);
	for (unsigned i = 0; i < tasting->n; i++) {
		close_fd(tasting->tastes[i].fd);
		preview_remove(service->plane, &tasting->tastes[i].key);
	}
	if (tasting->has_rules)
		rules_end(tasting->service);
	free(tasting);
	return NULL;
}

/* ---- the connections ---- */

static int begin(struct tasting *tasting)
{
	int r = rules_begin(tasting->service);

	tasting->has_rules = !r;
	tasting->locked = r == -EBUSY;
	return r;
}

static void taste(struct tasting *tasting, const struct listener *listener)
{
	struct preview_wish wish = {.owner = &tasting->owner, .slot = tasting->slot, .aside = true};
	struct reach *reach = &tasting->tastes[tasting->n];

	if (reach_open(tasting->service->plane, listener, &wish, reach) < 0)
		return;
	tasting->n++;
	/* what becomes of it is seen later */
	(void)connect(reach->fd, (struct sockaddr *)&reach->dest, reach_size(&reach->dest));
}

/* Those that can be reached from here. */
static void taste_all(struct tasting *tasting)
{
	size_t n;
	struct listener **listeners = plane_listeners(tasting->service->plane, &n);

	if (begin(tasting) < 0)
		return;
	for (size_t i = 0; i < n && tasting->n < TASTES_MAX; i++)
		if (!listeners[i]->address.udp && !listeners[i]->address.ifindex)
			taste(tasting, listeners[i]);
}

/* Not made yet. */
static bool is_on_its_way(const struct reach *reach)
{
	struct tcp_info info = {0};
	socklen_t size = sizeof(info);

	return !getsockopt(reach->fd, IPPROTO_TCP, TCP_INFO, &info, &size) &&
	       info.tcpi_state == TCP_SYN_SENT;
}

/* Who comes to the slot later does not matter. */
static void note_given(struct tasting *tasting)
{
	for (unsigned i = 0; i < tasting->n; i++)
		if (is_on_its_way(&tasting->tastes[i]))
			return;
	if (!tasting->given)
		tasting->given = hang_given(tasting->service->hang, tasting->slot);
}

/* Whether it waits for this slot: it may have been refused, or come to another program. */
static bool has_reached(const struct tasting *tasting, const struct reach *reach)
{
	struct preview_landing landing;

	return !preview_landed(tasting->service->plane, &reach->key, &landing) && landing.hits &&
	       !landing.misses;
}

static bool is_waiting(const struct tasting *tasting)
{
	struct hang *hang = tasting->service->hang;
	bool queued = hang_queued(hang, tasting->slot, tasting->given);
	bool young = now_usec() - tasting->begun < UNANSWERED;

	for (unsigned i = 0; i < tasting->n; i++) {
		const struct reach *reach = &tasting->tastes[i];

		if (is_on_its_way(reach) ? queued || young : queued && has_reached(tasting, reach))
			return true;
	}
	return false;
}

static int on_due(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct tasting *tasting = userdata;

	(void)usec;
	if (tasting->locked) {
		bool last = now_usec() - tasting->begun >= LATER_PATIENCE;

		taste_all(tasting);
		if (!tasting->locked)
			tasting->begun = now_usec();
		/* clients are not to wait for a process that was stopped while it had the lock */
		else if (last)
			tasting->locked = false;
	}
	if (!tasting->locked)
		note_given(tasting);
	if (tasting->locked || is_waiting(tasting)) {
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
	tasting->pause = LOOK_FIRST;
	tasting->begun = now_usec();
	r = owner_of_process(0, &tasting->owner);
	if (!r)
		r = sd_event_add_time_relative(service->host->event, &tasting->timer,
					       CLOCK_MONOTONIC, LOOK_FIRST, 1, on_due, tasting);
	if (r < 0)
		return r;
	taste_all(tasting);
	*ret_tasting = steal_ptr(&tasting);
	return 0;
}
