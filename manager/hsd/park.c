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
#include "hsd/waking.h"
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
/* How long an address stays that the service has slots for no more: servers open their listeners
 * one after the other. */
#define UNSERVED_USEC (4 * USEC_PER_SEC)
/* A stop and a start in two commands of a script are as good as a restart. */
#define PUT_DOWN_USEC (500 * USEC_PER_MSEC)
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
	struct work *spare;	   /* likewise, for when the address is wanted again */
	struct queue_age age;
	uint64_t unserved_since; /* the service has slots, and none serves this address; 0 = no */
};

/* A park that was replaced, or is not needed any more: handshakes settle on it. */
struct leaving {
	struct address address;
	int fd;
	uint64_t cookie, due;
};

/* Where a park was, until all slots were stopped on purpose: a socket like it that has nothing of
 * the address. */
struct dormant {
	struct address address;
	int fd;
	unsigned max;
};

struct park {
	struct service *service;
	struct place *places[PLANE_LISTENERS_MAX];
	size_t n_places;
	struct leaving leaving[2 * PLANE_LISTENERS_MAX];
	size_t n_leaving;
	struct dormant dormant[PLANE_LISTENERS_MAX];
	size_t n_dormant;
	sd_event_source *timer;
	struct park_log log;
	bool unfit;		 /* its instances' units filter addresses */
	uint64_t put_down_since; /* all slots were stopped on purpose; 0 = no */
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
	work_forget(place->spare);
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

static bool is_wanted(const struct park *park)
{
	return park->service->config.park && !park->unfit;
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
static int order_twin(struct park *park, struct place *place, bool spare, work_fn on_done,
		      struct work **ret_work)
{
	struct order_scope scope = {.left_out = UINT32_MAX, .fds = &place->fd, .n_fds = 1};
	struct work_order order = {
		.kind = WORK_TWIN,
		.slot = HS_SLOT_NONE,
		.address = place->address,
		.spare = spare,
	};

	return service_order(park->service, &scope, &order, on_done, place, ret_work);
}

static void replace_by_like(struct park *park, struct place *place)
{
	if (place->renewal)
		return;
	if (order_twin(park, place, false, on_twin, &place->renewal) < 0)
		replace(park, place, -1, 0);
}

/* ---- when all slots were stopped on purpose ---- */

static void close_place(struct park *park, struct place *place, int waiting);

static void lay_down(struct park *park, struct place *place)
{
	place->spare = NULL;
	close_place(park, place, park_waiting(place->fd));
	park_look(park);
}

static void on_spare(struct work_answer *answer, void *userdata)
{
	struct place *place = userdata;
	struct park *park = place->park;

	place->spare = NULL;
	/* one has been started meanwhile */
	if (!park->put_down_since)
		return;
	if (answer->n_fds && park->n_dormant < ARRAY_SIZE(park->dormant))
		park->dormant[park->n_dormant++] = (struct dormant) {
			.address = place->address,
			.fd = steal_fd(&answer->fds[0]),
			.max = park_max(place->fd),
		};
	lay_down(park, place);
}

static void put_down(struct park *park, struct place *place)
{
	if (!place->spare && order_twin(park, place, true, on_spare, &place->spare) < 0)
		lay_down(park, place);
}

/* Its group is empty by now, and has no selector. */
static void rouse(struct park *park, struct dormant *dormant)
{
	struct listener *listener = listener_of(park, &dormant->address);
	_cleanup_(close_fdp) int fd = steal_fd(&dormant->fd);

	/* another has the address now: its server will tell */
	if (!listener || place_of(park, &dormant->address) ||
	    park_bind(&dormant->address, fd) < 0 ||
	    park_set_max(fd, -1, room(park, dormant->max)) < 0 || listener_attach(listener, fd) < 0)
		return;
	if (start_one(park, &dormant->address, fd, room(park, dormant->max)) >= 0)
		add_place(park, &dormant->address, steal_fd(&fd));
}

static void rouse_all(struct park *park)
{
	bool wanted = is_wanted(park);

	while (park->n_dormant) {
		struct dormant *dormant = &park->dormant[--park->n_dormant];

		if (wanted)
			rouse(park, dormant);
		close_fd(dormant->fd);
	}
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

static void tell_unfit(const struct park *park, const char *filter)
{
	struct journal_scope scope = {park->service->name, -1, LOG_NOTICE};

	journal_log(JOURNAL_PARK, &scope,
		    "%s: %s filters addresses or interfaces (IPAddressDeny= or the like), which a "
		    "park would not: so there is none, and while no slot is ready clients are "
		    "refused",
		    park->service->name, filter);
}

void park_on_adopted(struct park *park, struct adoption *adoption, const char *filter)
{
	if (!park)
		return;
	if (filter && !park->unfit && park->service->config.park)
		tell_unfit(park, filter);
	park->unfit = filter;
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
static uint64_t unserved_until(const struct park *park, struct place *place,
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
	return park->put_down_since && !is_held(park) ? park->put_down_since + PUT_DOWN_USEC
						      : USEC_INFINITY;
}

/* When the place is to be given up; USEC_INFINITY: never, as things are. */
static uint64_t kept_until(const struct park *park, struct place *place, uint64_t now)
{
	const struct listener *listener = listener_of(park, &place->address);

	if (!listener || !config_has_port(&park->service->config, place->address.port, false))
		return now;
	if (is_held(park))
		return USEC_INFINITY;
	return unserved_until(park, place, listener, now);
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

static void tell_given_up(const struct park *park, const struct place *place, unsigned waited)
{
	struct journal_scope scope = {park->service->name, -1, LOG_INFO};
	char text[ADDRESS_TEXT_MAX], closed[64] = "";

	if (waited)
		snprintf(closed, sizeof(closed), "; %u connection%s that waited there %s closed",
			 waited, waited == 1 ? "" : "s", waited == 1 ? "was" : "were");
	journal_log(JOURNAL_PARK, &scope, "%s: %s: the park on %s is closed%s", park->service->name,
		    park->put_down_since ? "all slots were stopped (see Park=always)"
					 : "no slot serves it",
		    address_describe(&place->address, text), closed);
}

/* Who waits at an address that nobody will serve is told so, not reset. */
static void close_place(struct park *park, struct place *place, int waiting)
{
	unsigned waited = 0;

	if (waiting > 0 && !can_hand_over(park, place))
		waited = park_turn_away(place->fd, waiting);
	if (waited || !can_hand_over(park, place))
		tell_given_up(park, place, waited);
	give_up_place(park, place);
}

/* Returns when to look again. May free the place. */
static uint64_t look_at(struct park *park, struct place *place, uint64_t now)
{
	int waiting = park_waiting(place->fd);
	bool unwanted = !is_wanted(park) && (can_hand_over(park, place) || !waiting);
	uint64_t until = kept_until(park, place, now), down = down_at(park);

	if (waiting >= 0 && is_in_the_way(park)) {
		tell_in_the_way(park, place);
		give_up_place(park, place);
		return USEC_INFINITY;
	}
	if (waiting < 0 || unwanted || until <= now) {
		close_place(park, place, waiting);
		return USEC_INFINITY;
	}
	if (down <= now)
		put_down(park, place);
	else
		until = MIN(until, down);
	queue_age_look(&place->age, now, waiting, grain(park));
	if (!waiting) {
		sd_event_source_set_enabled(place->readable, SD_EVENT_ONESHOT);
		return until;
	}
	/* level triggered, it would wake us without end */
	sd_event_source_set_enabled(place->readable, SD_EVENT_OFF);
	if (can_hand_over(park, place)) {
		replace_by_like(park, place);
		return USEC_INFINITY;
	}
	waking_look(park->service);
	park_log_waits(&park->log, park->service, is_held(park));
	return MIN(until, turn_away(park, place, now));
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

static void note_put_down(struct park *park, uint64_t now)
{
	if (park->service->config.park_always || !service_is_put_down(park->service))
		park->put_down_since = 0;
	else if (!park->put_down_since)
		park->put_down_since = now;
	if (!park->put_down_since)
		rouse_all(park);
}

void park_look(struct park *park)
{
	uint64_t now = now_usec(), wake = USEC_INFINITY;

	if (!park)
		return;
	leave_due(park, now);
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
