// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsd/park.h"

#include <inttypes.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <syslog.h>

#include "core/queue_age.h"
#include "hsd/instance.h"
#include "hsd/nudging.h"
#include "hsd/orders.h"
#include "hsd/park_log.h"
#include "plane/park.h"
#include "system/fdstore.h"
#include "util/clock.h"
#include "util/macro.h"

/* How often a queue that is not empty is looked at. A slot that came without our doing is seen
 * then, and so is who has waited too long. */
#define LOOK_USEC_MIN (20 * USEC_PER_MSEC)
#define LOOK_USEC_MAX (1 * USEC_PER_SEC)
/* Of ParkTimeout=: the looks of one timeout fit into a struct queue_age. */
#define LOOKS_PER_TIMEOUT 48
/* So many are turned away in one turn of the event loop; then it is the others' turn. */
#define TURN_AWAY_MAX 64

/* The park of one listener. */
struct place {
	struct park *park;
	struct address address;
	int fd;
	uint64_t cookie;
	sd_event_source *readable; /* on: nothing waits */
	struct work *renewal;	   /* another in its place is being made */
	struct queue_age age;
	uint64_t unserved_since; /* the service has slots, and none serves this address; 0 = no */
};

/* A park that was replaced, or is not needed any more: handshakes settle on it. */
struct leaving {
	struct address address;
	int fd;
	uint64_t cookie, due;
};

struct park {
	struct service *service;
	struct place *places[PLANE_LISTENERS_MAX];
	size_t n_places;
	struct leaving leaving[2 * PLANE_LISTENERS_MAX];
	size_t n_leaving;
	sd_event_source *timer;
	struct park_log log;
	bool unfit; /* its instances' units filter addresses */
};

DEFINE_CLEANUP(struct park, park_free)

static void look_soon(struct park *park, uint64_t now, uint64_t when);

/* ---- places ---- */

static int on_readable(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct place *place = userdata;

	(void)source;
	(void)fd;
	(void)events;
	park_look(place->park);
	return 0;
}

static struct listener *listener_of(const struct park *park, const struct address *address)
{
	return plane_find(park->service->plane, address);
}

static struct place *place_of(const struct park *park, const struct address *address)
{
	for (size_t i = 0; i < park->n_places; i++)
		if (address_equal(&park->places[i]->address, address))
			return park->places[i];
	return NULL;
}

/* Takes the descriptor over when it succeeds. */
static int set_socket(struct place *place, int fd)
{
	sd_event_source *source = NULL;
	int r = fdstore_cookie(fd, &place->cookie);

	if (r >= 0)
		r = sd_event_add_io(place->park->service->context->event, &source, fd, EPOLLIN,
				    on_readable, place);
	if (r >= 0)
		r = sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
	if (r < 0) {
		sd_event_source_disable_unref(source);
		return r;
	}
	place->readable = source;
	place->fd = fd;
	place->age = (struct queue_age) {0};
	return 0;
}

static void forget_place(struct park *park, struct place *place)
{
	size_t i = 0;

	while (park->places[i] != place)
		i++;
	park->places[i] = park->places[--park->n_places];
	sd_event_source_disable_unref(place->readable);
	work_forget(place->renewal);
	close_fd(place->fd);
	free(place);
}

/* ---- leaving ---- */

/* Where the kernel does not wake those that connections move to. */
static void nudge(const struct park *park, const struct listener *listener)
{
	uint32_t live = listener_live_slots(listener);

	for (unsigned slot = 0; slot < HS_SLOTS_MAX; slot++)
		if (live & (1U << slot))
			nudging_on_moved(park->service->nudging, slot);
}

static void leave_now(struct park *park, struct leaving *leaving)
{
	struct listener *listener = listener_of(park, &leaving->address);
	int moved = 0;

	if (listener)
		moved = park_close(listener, leaving->fd);
	else
		shutdown(leaving->fd, SHUT_RD);
	fdstore_remove(leaving->cookie);
	if (listener && moved > 0)
		nudge(park, listener);
	leaving->fd = close_fd(leaving->fd);
	park_log_moved(&park->log, MAX(moved, 0));
}

/* In the order in which they were given up, and all that are due at once. */
static void leave_due(struct park *park, uint64_t now)
{
	size_t n = 0;

	while (n < park->n_leaving && park->leaving[n].due <= now)
		leave_now(park, &park->leaving[n++]);
	park->n_leaving -= n;
	memmove(park->leaving, park->leaving + n, park->n_leaving * sizeof(*park->leaving));
	if (n && !park->n_leaving)
		park_log_handed_over(&park->log, park->service, now);
}

/* Takes the descriptor over. */
static void let_leave(struct park *park, const struct address *address, int fd, uint64_t cookie)
{
	uint64_t now = now_usec();

	if (park->n_leaving == ARRAY_SIZE(park->leaving))
		leave_due(park, USEC_INFINITY);
	park->leaving[park->n_leaving++] = (struct leaving) {
		.address = *address,
		.fd = fd,
		.cookie = cookie,
		.due = now + PARK_SETTLE_USEC,
	};
	look_soon(park, now, now + PARK_SETTLE_USEC);
}

static void give_up_place(struct park *park, struct place *place)
{
	let_leave(park, &place->address, steal_fd(&place->fd), place->cookie);
	forget_place(park, place);
}

/* ---- opening ---- */

static void tell_unopened(const struct park *park, const struct address *address, int error)
{
	struct journal_scope scope = {park->service->name, -1, LOG_WARNING};
	char text[ADDRESS_TEXT_MAX];

	journal_log(JOURNAL_PROBLEM, &scope,
		    "%s: no park could be opened on %s: %s; while no slot is ready clients are "
		    "refused there",
		    park->service->name, address_describe(address, text),
		    error == -EADDRINUSE ? "another user's socket has the address"
					 : strerror(-error));
}

/* One that cannot be watched: nobody would hand over what waits there. It leaves. */
static void take_out(struct park *park, const struct address *address, int fd, int error)
{
	uint64_t cookie = 0;

	tell_unopened(park, address, error);
	fdstore_cookie(fd, &cookie);
	let_leave(park, address, fd, cookie);
}

/* Takes the descriptor over, also when it fails. */
static int add_place(struct park *park, const struct address *address, int fd)
{
	_cleanup_(freep) struct place *place = calloc(1, sizeof(*place));
	int r = place ? 0 : -ENOMEM;

	if (!r && park->n_places == PLANE_LISTENERS_MAX)
		r = -ENOSPC;
	if (!r) {
		place->park = park;
		place->address = *address;
		r = set_socket(place, fd);
	}
	if (r < 0) {
		take_out(park, address, fd, r);
		return r;
	}
	park->places[park->n_places++] = steal_ptr(&place);
	return 0;
}

static void tell_unstored(const struct park *park, const struct address *address, int error)
{
	struct journal_scope scope = {park->service->name, -1, LOG_WARNING};
	char text[ADDRESS_TEXT_MAX];

	journal_log(JOURNAL_PROBLEM, &scope,
		    "%s: systemd was not told to keep the park on %s: %s; should hsd end, what "
		    "waits there is lost, until a restart of hsd opens another",
		    park->service->name, address_describe(address, text), strerror(-error));
}

/* The store first: from the moment that it is in the map connections may wait there. */
static int start_one(struct park *park, const struct address *address, int fd, unsigned max)
{
	uint64_t cookie;
	int r = park_start(park->service->plane, listener_of(park, address), fd, max);

	if (r < 0) {
		tell_unopened(park, address, r);
		return r;
	}
	r = fdstore_cookie(fd, &cookie);
	if (r >= 0)
		r = fdstore_put(fd, cookie);
	/* it serves all the same */
	if (r < 0)
		tell_unstored(park, address, r);
	return 0;
}

/* The new one in the place of the old one; takes it over. Where none can be opened the old one
 * leaves all the same: what waits there has waited long enough. */
static void replace(struct park *park, struct place *place, int fd, unsigned max)
{
	struct address address = place->address;
	int old = place->fd, r;
	uint64_t cookie = place->cookie;

	place->renewal = work_forget(place->renewal);
	park_log_wait(&park->log, &place->age, now_usec());
	if (fd < 0 || start_one(park, &place->address, fd, max) < 0) {
		close_fd(fd);
		give_up_place(park, place);
		return;
	}
	place->readable = sd_event_source_disable_unref(place->readable);
	place->fd = -1;
	let_leave(park, &place->address, old, cookie);
	r = set_socket(place, fd);
	if (r < 0) {
		forget_place(park, place);
		take_out(park, &address, fd, r);
	}
}

static bool is_held(const struct park *park)
{
	return hs_word_flags(plane_word(park->service->plane)) & HS_FLAG_PARK_ALL;
}

/* One slot alone has it: until a moment ago none had. With others it was not needed. */
static bool was_needed(const struct listener *listener, const struct place *place)
{
	uint32_t live = listener_live_slots(listener);

	return !(live & (live - 1)) || park_waiting(place->fd) > 0;
}

/* How many may wait, where the instance's own socket lets so many wait. */
static unsigned room(const struct park *park, unsigned backlog)
{
	unsigned max = park->service->config.park_max;

	return max ? max : backlog;
}

static void on_twin(struct work_answer *answer, void *userdata)
{
	struct place *place = userdata;
	struct park *park = place->park;
	int fd = -1;

	place->renewal = NULL;
	if (answer->result < 0)
		tell_unopened(park, &place->address, answer->result);
	if (answer->n_fds)
		fd = steal_fd(&answer->fds[0]);
	replace(park, place, fd, room(park, park_max(place->fd)));
	park_look(park);
}

/* Its owner may be another than we are, and its namespace: that another process makes. */
static void replace_by_like(struct park *park, struct place *place)
{
	struct order_scope scope = {.left_out = UINT32_MAX, .fds = &place->fd, .n_fds = 1};
	struct work_order order = {
		.kind = WORK_TWIN, .slot = HS_SLOT_NONE, .address = place->address};

	if (place->renewal)
		return;
	if (service_order(park->service, &scope, &order, on_twin, place, &place->renewal) < 0)
		replace(park, place, -1, 0);
}

/* Takes the twin over. */
static void on_adopted_socket(struct park *park, const struct held_socket *held, int twin)
{
	const struct address *address = &held->socket.address;
	struct listener *listener = listener_of(park, address);
	struct place *place = place_of(park, address);
	_cleanup_(close_fdp) int fd = twin;
	unsigned max = room(park, held->socket.backlog);

	if (!listener || fd < 0)
		return;
	if (!place) {
		if (start_one(park, address, fd, max) >= 0)
			add_place(park, address, steal_fd(&fd));
	} else if (!is_held(park) && was_needed(listener, place)) {
		replace(park, place, steal_fd(&fd), max);
	} else {
		park_copy_options(place->fd, fd);
		park_set_max(place->fd, -1, max);
	}
}

static void tell_unfit(const struct park *park)
{
	struct journal_scope scope = {park->service->name, -1, LOG_NOTICE};

	journal_log(JOURNAL_PARK, &scope,
		    "%s: its units filter addresses (IPAddressDeny= or the like), which a park "
		    "would not: so there is none, and while no slot is ready clients are refused",
		    park->service->name);
}

static bool is_wanted(const struct park *park)
{
	return park->service->config.park && !park->unfit;
}

void park_on_adopted(struct park *park, struct adoption *adoption, bool filtered)
{
	if (!park)
		return;
	if (filtered && !park->unfit && park->service->config.park)
		tell_unfit(park);
	park->unfit = filtered;
	if (!is_wanted(park)) {
		park_look(park);
		return;
	}
	for (size_t i = 0; adoption->twins && i < adoption->n; i++)
		on_adopted_socket(park, &adoption->sockets[i].held, steal_fd(&adoption->twins[i]));
	park_look(park);
}

/* ---- looking ---- */

static uint64_t grain(const struct park *park)
{
	uint64_t span = park->service->config.park_timeout_usec / LOOKS_PER_TIMEOUT;

	return MIN(MAX(span, LOOK_USEC_MIN), LOOK_USEC_MAX);
}

/* Closes properly who has waited too long. Returns when to look again. */
static uint64_t turn_away(struct park *park, struct place *place, uint64_t now)
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

/* An address that the service has given up: connections wait there for nothing. As long as one may
 * wait it has time to come back, for servers open their listeners one after the other. */
static bool is_given_up(const struct park *park, struct place *place, uint64_t now)
{
	const struct listener *listener = listener_of(park, &place->address);

	if (!listener)
		return true;
	if (listener_live_slots(listener) || !plane_live_slots(park->service->plane)) {
		place->unserved_since = 0;
		return false;
	}
	if (!place->unserved_since)
		place->unserved_since = now;
	return now - place->unserved_since > park->service->config.park_timeout_usec;
}

static bool can_hand_over(const struct park *park, const struct place *place)
{
	const struct listener *listener = listener_of(park, &place->address);

	return listener && listener_live_slots(listener) && !is_held(park);
}

/* No slot takes them, and none will; but a server runs that the kernel knows, beside the park: what
 * waits moves there when the park is closed. */
static bool is_in_the_way(const struct park *park)
{
	const struct service *service = park->service;
	bool unadopted = false;

	if (is_held(park) || plane_live_slots(service->plane))
		return false;
	for (unsigned slot = 0; slot < service->n_slots; slot++)
		unadopted |= instance_serves_unadopted(service->instances[slot]);
	return unadopted;
}

static void tell_in_the_way(const struct park *park, const struct place *place)
{
	struct journal_scope scope = {park->service->name, -1, LOG_WARNING};
	char text[ADDRESS_TEXT_MAX];

	journal_log(JOURNAL_PARK, &scope,
		    "%s: no slot is ready, and one that runs cannot be adopted: the park on %s is "
		    "closed, and the kernel alone leads connections to the server",
		    park->service->name, address_describe(&place->address, text));
}

/* Who waits at an address that nobody will serve is told so, not reset. */
static void close_place(struct park *park, struct place *place, int waiting, uint64_t now)
{
	if (waiting > 0 && !can_hand_over(park, place))
		park_log_turned_away(&park->log, park->service, park_turn_away(place->fd, waiting),
				     now);
	give_up_place(park, place);
}

/* Returns when to look again. May free the place. */
static uint64_t look_at(struct park *park, struct place *place, uint64_t now)
{
	int waiting = park_waiting(place->fd);
	bool unwanted = !is_wanted(park) && (can_hand_over(park, place) || !waiting);

	if (waiting >= 0 && is_in_the_way(park)) {
		tell_in_the_way(park, place);
		give_up_place(park, place);
		return USEC_INFINITY;
	}
	if (waiting < 0 || unwanted || is_given_up(park, place, now)) {
		close_place(park, place, waiting, now);
		return USEC_INFINITY;
	}
	queue_age_look(&place->age, now, waiting, grain(park));
	if (!waiting) {
		sd_event_source_set_enabled(place->readable, SD_EVENT_ONESHOT);
		return place->unserved_since
			       ? place->unserved_since + park->service->config.park_timeout_usec + 1
			       : USEC_INFINITY;
	}
	/* level triggered, it would wake us without end */
	sd_event_source_set_enabled(place->readable, SD_EVENT_OFF);
	if (can_hand_over(park, place)) {
		replace_by_like(park, place);
		return USEC_INFINITY;
	}
	park_log_waits(&park->log, park->service, is_held(park));
	return turn_away(park, place, now);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	(void)source;
	(void)usec;
	park_look(userdata);
	return 0;
}

/* The timer goes off at the earlier of this and what it is set to. */
static void look_soon(struct park *park, uint64_t now, uint64_t when)
{
	uint64_t set = USEC_INFINITY;
	int enabled = SD_EVENT_OFF;

	sd_event_source_get_enabled(park->timer, &enabled);
	if (enabled != SD_EVENT_OFF)
		sd_event_source_get_time(park->timer, &set);
	if (when >= set)
		return;
	sd_event_source_set_time(park->timer, MAX(when, now));
	sd_event_source_set_enabled(park->timer, SD_EVENT_ONESHOT);
}

void park_look(struct park *park)
{
	uint64_t now = now_usec(), wake = USEC_INFINITY;

	if (!park)
		return;
	leave_due(park, now);
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
		look_soon(park, now, wake);
}

/* ---- the whole ---- */

/* They have waited before we came: ParkTimeout= counts that as well. */
static void learn_ages(struct place *place, const struct listener *listener)
{
	const struct park *park = place->park;
	_cleanup_(freep) uint32_t *ages = NULL;
	uint64_t now = now_usec();
	size_t n;

	if (park_waiting(place->fd) <= 0 ||
	    park_ages(park->service->plane, listener, &ages, &n) < 0 ||
	    n > (size_t)park_waiting(place->fd))
		return;
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
		if (park_waiting(fd) < 0 || place_of(park, address) ||
		    park_put(park->service->plane, listeners[i], fd) < 0)
			let_leave(park, address, fd, cookie);
		else if (!add_place(park, address, fd))
			learn_ages(place_of(park, address), listeners[i]);
		return 1;
	}
	return 0;
}

int park_new(struct service *service, struct park **ret_park)
{
	_cleanup_(park_freep) struct park *park = calloc(1, sizeof(*park));
	int r;

	if (!park)
		return -ENOMEM;
	park->service = service;
	r = sd_event_add_time(service->context->event, &park->timer, CLOCK_MONOTONIC, 0, 1,
			      on_timer, park);
	if (r < 0)
		return r;
	fdstore_claim(service->context->fdstore, claim, park);
	*ret_park = steal_ptr(&park);
	return 0;
}

struct park *park_free(struct park *park)
{
	if (!park)
		return NULL;
	/* half-way over is over: what leaves has nothing to stay for */
	leave_due(park, USEC_INFINITY);
	while (park->n_places)
		forget_place(park, park->places[0]);
	sd_event_source_disable_unref(park->timer);
	free(park);
	return NULL;
}

void park_drop(struct park *park)
{
	if (!park)
		return;
	while (park->n_places)
		give_up_place(park, park->places[0]);
	leave_due(park, USEC_INFINITY);
}

size_t park_sockets(const struct park *park, int fds[PLANE_LISTENERS_MAX])
{
	size_t n = 0;

	for (; park && n < park->n_places; n++)
		fds[n] = park->places[n]->fd;
	return n;
}
