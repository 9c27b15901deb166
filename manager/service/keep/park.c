// SPDX-License-Identifier: GPL-2.0-or-later
#include "service/keep/park.h"

#include <syslog.h>

#include "plane/act/park.h"
#include "service/keep/park_place.h"
#include "service/keep/waking.h"
#include "service/slot/filtering.h"
#include "service/slot/instance.h"
#include "service/slot/states.h"
#include "system/fdstore.h"
#include "util/clock.h"
#include "util/macro.h"

/* How often a queue that is not empty is looked at. A slot that came without our doing is seen
 * then, and so is who has waited too long. */
#define LOOK_USEC_MIN (20 * USEC_PER_MSEC)
#define LOOK_USEC_MAX (1 * USEC_PER_SEC)
/* Of ParkTimeout=: the looks of one timeout fit into a struct queue_age. */
#define LOOKS_PER_TIMEOUT 48
/* How long an address stays that the service has slots for no more: servers open their listeners
 * one after the other. */
#define UNSERVED_USEC (4 * USEC_PER_SEC)
/* A stop and a start in two commands of a script are as good as a restart. */
#define PUT_DOWN_USEC (500 * USEC_PER_MSEC)
/* So many are turned away in one turn of the event loop; then it is the others' turn. */
#define TURN_AWAY_MAX 64

DEFINE_CLEANUP(struct park, park_free)

/* ---- adopted ---- */

/* One slot alone has it: until a moment ago none had. With others it was not needed. */
static bool was_needed(const struct listener *listener, const struct park_place *place)
{
	uint32_t live = listener_live_slots(listener);

	return !(live & (live - 1)) || park_waiting(place->fd) > 0;
}

/* Takes the twin over. */
static void on_adopted_socket(struct park *park, const struct held_socket *held, int twin)
{
	const struct address *address = &held->socket.address;
	struct listener *listener = park_listener(park, address);
	struct park_place *place = park_place_find(park, address);
	_cleanup_(close_fdp) int fd = twin;
	unsigned max = park_room(park, held->socket.backlog);

	if (!listener || fd < 0)
		return;
	if (!place) {
		if (park_open_at(park, address, fd, max) >= 0)
			park_place_add(park, address, steal_fd(&fd));
	} else if (!park_is_held(park) && was_needed(listener, place)) {
		park_place_replace(park, place, steal_fd(&fd), max);
	} else {
		park_copy_options(place->fd, fd);
		park_set_max(place->fd, -1, max);
	}
}

static void tell_unfit(const struct park *park, const char *filter)
{
	struct journal_scope scope = {park->service->name, -1, LOG_NOTICE};

	journal_log(JOURNAL_PARK, &scope,
		    "%s: %s filters addresses or interfaces (IPAddressDeny= or the like), which a "
		    "park would not: so there is none, and while no slot is ready clients are "
		    "refused",
		    park->service->name, filter);
}

static void on_adopted(struct park *park, struct adoption *adoption, const char *filter)
{
	if (filter && !park->unfit && park->service->config.park)
		tell_unfit(park, filter);
	park->unfit = filter;
	if (!park_is_wanted(park)) {
		park_look(park);
		return;
	}
	for (size_t i = 0; adoption->twins && i < adoption->n; i++)
		on_adopted_socket(park, &adoption->sockets[i].held, steal_fd(&adoption->twins[i]));
	park_look(park);
}

/* ---- how long a place stays ---- */

/* Who connects there reaches a slot when the park is gone. */
static bool is_covered(const struct park *park, const struct address *address)
{
	size_t n;
	struct listener **listeners = plane_listeners(park->service->plane, &n);

	for (size_t i = 0; i < n; i++)
		if (address_covers(&listeners[i]->address, address) &&
		    listener_live_slots(listeners[i]))
			return true;
	return false;
}

/* An address that the service has slots for no more: connections wait there for nothing. */
static uint64_t unserved_until(const struct park *park, struct park_place *place,
			       const struct listener *listener, uint64_t now)
{
	if (listener_live_slots(listener) || !plane_live_slots(park->service->plane)) {
		place->unserved_since = 0;
		return USEC_INFINITY;
	}
	if (!place->unserved_since)
		place->unserved_since = now;
	return is_covered(park, &place->address) ? now : place->unserved_since + UNSERVED_USEC;
}

/* When all places are to be given up until somebody starts a slot. */
static uint64_t down_at(const struct park *park)
{
	return park->put_down_since && !park_is_held(park) ? park->put_down_since + PUT_DOWN_USEC
							   : USEC_INFINITY;
}

/* When the place is to be given up; USEC_INFINITY: never, as things are. */
static uint64_t kept_until(const struct park *park, struct park_place *place, uint64_t now)
{
	const struct listener *listener = park_listener(park, &place->address);

	if (!listener || !config_has_port(&park->service->config, place->address.port, false))
		return now;
	if (park_is_held(park))
		return USEC_INFINITY;
	return unserved_until(park, place, listener, now);
}

/* No slot takes them, and none will; but a server runs that the kernel knows, beside the park: what
 * waits moves there when the park is closed. */
static bool is_in_the_way(const struct park *park)
{
	const struct service *service = park->service;
	bool unadopted = false;

	if (park_is_held(park) || plane_live_slots(service->plane))
		return false;
	for (unsigned slot = 0; slot < service->n_slots; slot++)
		unadopted |= instance_serves_unadopted(service->instances[slot]);
	return unadopted;
}

static void tell_in_the_way(const struct park *park, const struct park_place *place)
{
	struct journal_scope scope = {park->service->name, -1, LOG_WARNING};
	char text[ADDRESS_TEXT_MAX];

	journal_log(JOURNAL_PARK, &scope,
		    "%s: no slot is ready, and one that runs cannot be adopted: the park on %s is "
		    "closed, and the kernel alone leads connections to the server",
		    park->service->name, address_describe(&place->address, text));
}

/* ---- looking ---- */

static uint64_t grain(const struct park *park)
{
	uint64_t span = park->service->config.park_timeout_usec / LOOKS_PER_TIMEOUT;

	return MIN(MAX(span, LOOK_USEC_MIN), LOOK_USEC_MAX);
}

/* Closes properly who has waited too long. Returns when to look again. */
static uint64_t turn_away(struct park *park, struct park_place *place, uint64_t now)
{
	uint64_t timeout = park->service->config.park_timeout_usec;
	unsigned due = queue_age_due(&place->age, now, timeout);
	unsigned n = park_turn_away(place->fd, MIN(due, TURN_AWAY_MAX));

	queue_age_take(&place->age, n);
	park_log_turned_away(&park->log, park->service, n, now);
	if (due > n && n)
		return now;
	return MIN(queue_age_wake(&place->age, timeout), now + grain(park));
}

/* Returns when to look again. May free the place. */
static uint64_t look_at(struct park *park, struct park_place *place, uint64_t now)
{
	int waiting = park_waiting(place->fd);
	bool unwanted =
		!park_is_wanted(park) && (park_place_can_hand_over(park, place) || !waiting);
	uint64_t until = kept_until(park, place, now), down = down_at(park);

	if (waiting >= 0 && is_in_the_way(park)) {
		tell_in_the_way(park, place);
		park_place_give_up(park, place);
		return USEC_INFINITY;
	}
	if (waiting < 0 || unwanted || until <= now ||
	    (down <= now && !park_place_put_down(park, place))) {
		park_place_close(park, place, waiting);
		return USEC_INFINITY;
	}
	if (down > now)
		until = MIN(until, down);
	queue_age_look(&place->age, now, waiting, grain(park));
	if (!waiting) {
		sd_event_source_set_enabled(place->readable, SD_EVENT_ONESHOT);
		return until;
	}
	/* level triggered, it would wake us without end */
	sd_event_source_set_enabled(place->readable, SD_EVENT_OFF);
	if (park_place_can_hand_over(park, place)) {
		park_place_renew(park, place);
		return USEC_INFINITY;
	}
	waking_look(park->service);
	park_log_waits(&park->log, park->service, park_is_held(park));
	return MIN(until, turn_away(park, place, now));
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	(void)source;
	(void)usec;
	park_look(userdata);
	return 0;
}

static void note_put_down(struct park *park, uint64_t now)
{
	if (park->service->config.park_always || !service_is_put_down(park->service))
		park->put_down_since = 0;
	else if (!park->put_down_since)
		park->put_down_since = now;
	if (!park->put_down_since)
		park_rouse(park);
}

void park_look(struct park *park)
{
	uint64_t now = now_usec(), wake = USEC_INFINITY;

	if (!park)
		return;
	park_leave_due(park, now);
	note_put_down(park, now);
	/* from the end: a place that is freed is replaced by the last */
	for (size_t i = park->n_places; i > 0; i--) {
		uint64_t again = look_at(park, park->places[i - 1], now);

		wake = MIN(wake, again);
	}
	if (park->n_leaving)
		wake = MIN(wake, park->leaving[0].due);
	if (wake == USEC_INFINITY)
		sd_event_source_set_enabled(park->timer, SD_EVENT_OFF);
	else
		park_look_soon(park, now, wake);
}

/* ---- the whole ---- */

/* They have waited before we came: ParkTimeout= counts that as well. */
static void learn_ages(struct park_place *place, const struct listener *listener)
{
	const struct park *park = place->park;
	_cleanup_(freep) uint32_t *ages = NULL;
	uint64_t now;
	size_t n;

	if (park_waiting(place->fd) <= 0 ||
	    park_ages(park->service->plane, listener, &ages, &n) < 0 ||
	    n > (size_t)park_waiting(place->fd))
		return;
	/* not from before they were asked for: nobody has waited for longer than it was */
	now = now_usec();
	for (size_t i = 0; i < n; i++)
		queue_age_look(&place->age, now - MIN(now, ages[i] * USEC_PER_MSEC), i + 1,
			       grain(park));
}

/* Of two for one listener the later one is kept: the other was about to be closed. */
static int claim(int fd, uint64_t cookie, void *userdata)
{
	struct park *park = userdata;
	size_t n;
	struct listener **listeners = plane_listeners(park->service->plane, &n);

	for (size_t i = 0; i < n; i++) {
		const struct address *address = &listeners[i]->address;

		if (listener_owner(listeners[i], cookie) != HS_SLOT_PARK)
			continue;
		listener_learn_netns(listeners[i], fd);
		if (park_waiting(fd) < 0 || park_place_find(park, address) ||
		    park_put(park->service->plane, listeners[i], fd) < 0)
			park_let_leave(park, address, fd, cookie);
		else if (!park_place_add(park, address, fd))
			learn_ages(park_place_find(park, address), listeners[i]);
		return 1;
	}
	return 0;
}

static size_t sockets_of(const struct park *park, int fds[PLANE_LISTENERS_MAX])
{
	size_t n = 0;

	for (; park && n < park->n_places; n++)
		fds[n] = park->places[n]->fd;
	return n;
}

int park_new(struct service *service, struct park **ret_park)
{
	_cleanup_(park_freep) struct park *park = calloc(1, sizeof(*park));
	int r;

	if (!park)
		return -ENOMEM;
	park->service = service;
	r = sd_event_add_time(service->host->event, &park->timer, CLOCK_MONOTONIC, 0, 1, on_timer,
			      park);
	if (r < 0)
		return r;
	fdstore_claim(service->host->fdstore, claim, park);
	service->park_sockets = sockets_of;
	*ret_park = steal_ptr(&park);
	return 0;
}

struct park *park_free(struct park *park)
{
	if (!park)
		return NULL;
	/* half-way over is over: what leaves has nothing to stay for */
	park_leave_due(park, USEC_INFINITY);
	while (park->n_places)
		park_place_forget(park, park->places[0]);
	while (park->n_dormant)
		close_fd(park->dormant[--park->n_dormant].fd);
	sd_event_source_disable_unref(park->timer);
	free(park);
	return NULL;
}

void park_drop(struct park *park)
{
	if (!park)
		return;
	while (park->n_places)
		park_place_give_up(park, park->places[0]);
	park_leave_due(park, USEC_INFINITY);
}

/* While it is not known who is kept out nobody is let in. */
static void see_to_adopted(struct park *park, struct instance *instance)
{
	const char *unit;
	enum filtering filtering = filtering_look(instance, &unit);

	if (filtering != FILTERING_UNKNOWN && instance->adoption)
		on_adopted(park, instance->adoption, filtering == FILTERING_SOME ? unit : NULL);
	else
		park_look(park);
}

void park_heard(struct service *service, const struct event *event)
{
	if (event->kind == EVENT_ADOPTED && service->park)
		see_to_adopted(service->park, service->instances[event->slot]);
	else
		park_look(service->park);
}
