// SPDX-License-Identifier: GPL-2.0-or-later
#include "service/keep/park_place.h"

#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <syslog.h>

#include "plane/act/park.h"
#include "service/keep/nudging.h"
#include "service/slot/orders.h"
#include "system/fdstore.h"
#include "util/clock.h"
#include "util/macro.h"

struct listener *park_listener(const struct park *park, const struct address *address)
{
	return plane_find(park->service->plane, address);
}

struct park_place *park_place_find(const struct park *park, const struct address *address)
{
	for (size_t i = 0; i < park->n_places; i++)
		if (address_equal(&park->places[i]->address, address))
			return park->places[i];
	return NULL;
}

void park_look_soon(struct park *park, uint64_t now, uint64_t when)
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

/* As soon as whoever asks for it has returned. */
static void look_now(struct park *park)
{
	uint64_t now = now_usec();

	park_look_soon(park, now, now);
}

bool park_is_held(const struct park *park)
{
	return hs_word_flags(plane_word(park->service->plane)) & HS_FLAG_PARK_ALL;
}

bool park_is_wanted(const struct park *park)
{
	return park->service->config.park && !park->unfit;
}

unsigned park_room(const struct park *park, unsigned backlog)
{
	unsigned max = park->service->config.park_max;

	return max ? max : backlog;
}

bool park_place_can_hand_over(const struct park *park, const struct park_place *place)
{
	const struct listener *listener = park_listener(park, &place->address);

	return listener && listener_live_slots(listener) && !park_is_held(park);
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

static void leave_now(struct park *park, struct park_leaving *leaving)
{
	struct listener *listener = park_listener(park, &leaving->address);
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

void park_leave_due(struct park *park, uint64_t now)
{
	size_t n = 0;

	while (n < park->n_leaving && park->leaving[n].due <= now)
		leave_now(park, &park->leaving[n++]);
	park->n_leaving -= n;
	memmove(park->leaving, park->leaving + n, park->n_leaving * sizeof(*park->leaving));
	if (n && !park->n_leaving)
		park_log_handed_over(&park->log, park->service, now);
}

void park_let_leave(struct park *park, const struct address *address, int fd, uint64_t cookie)
{
	uint64_t now = now_usec();

	if (park->n_leaving == ARRAY_SIZE(park->leaving))
		park_leave_due(park, USEC_INFINITY);
	park->leaving[park->n_leaving++] = (struct park_leaving) {
		.address = *address,
		.fd = fd,
		.cookie = cookie,
		.due = now + PARK_SETTLE_USEC,
	};
	park_look_soon(park, now, now + PARK_SETTLE_USEC);
}

/* ---- places ---- */

static int on_readable(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct park_place *place = userdata;

	(void)source;
	(void)fd;
	(void)events;
	look_now(place->park);
	return 0;
}

/* Takes the descriptor over when it succeeds. */
static int set_socket(struct park_place *place, int fd)
{
	sd_event_source *source = NULL;
	int r = fdstore_cookie(fd, &place->cookie);

	if (r >= 0)
		r = sd_event_add_io(place->park->service->host->event, &source, fd, EPOLLIN,
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

void park_place_forget(struct park *park, struct park_place *place)
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

void park_place_give_up(struct park *park, struct park_place *place)
{
	park_let_leave(park, &place->address, steal_fd(&place->fd), place->cookie);
	park_place_forget(park, place);
}

static void tell_given_up(const struct park *park, const struct park_place *place, unsigned waited)
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

void park_place_close(struct park *park, struct park_place *place, int waiting)
{
	unsigned waited = 0;

	if (waiting > 0 && !park_place_can_hand_over(park, place))
		waited = park_turn_away(place->fd, waiting);
	if (waited || !park_place_can_hand_over(park, place))
		tell_given_up(park, place, waited);
	park_place_give_up(park, place);
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
	park_let_leave(park, address, fd, cookie);
}

int park_place_add(struct park *park, const struct address *address, int fd)
{
	_cleanup_(freep) struct park_place *place = calloc(1, sizeof(*place));
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

int park_open_at(struct park *park, const struct address *address, int fd, unsigned max)
{
	uint64_t cookie;
	int r = park_start(park->service->plane, park_listener(park, address), fd, max);

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

/* ---- another in its place ---- */

void park_place_replace(struct park *park, struct park_place *place, int fd, unsigned max)
{
	struct address address = place->address;
	int old = place->fd, r;
	uint64_t cookie = place->cookie;

	place->renewal = work_forget(place->renewal);
	park_log_wait(&park->log, &place->age, now_usec());
	if (fd < 0 || park_open_at(park, &place->address, fd, max) < 0) {
		close_fd(fd);
		park_place_give_up(park, place);
		return;
	}
	place->readable = sd_event_source_disable_unref(place->readable);
	place->fd = -1;
	park_let_leave(park, &place->address, old, cookie);
	r = set_socket(place, fd);
	if (r < 0) {
		park_place_forget(park, place);
		take_out(park, &address, fd, r);
	}
}

static void on_twin(struct work_answer *answer, void *userdata)
{
	struct park_place *place = userdata;
	struct park *park = place->park;
	int fd = -1;

	place->renewal = NULL;
	if (answer->result < 0)
		tell_unopened(park, &place->address, answer->result);
	if (answer->n_fds)
		fd = steal_fd(&answer->fds[0]);
	park_place_replace(park, place, fd, park_room(park, park_max(place->fd)));
	look_now(park);
}

int park_order_twin(struct park *park, struct park_place *place, bool spare, work_fn on_done,
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

void park_place_renew(struct park *park, struct park_place *place)
{
	if (place->renewal)
		return;
	if (park_order_twin(park, place, false, on_twin, &place->renewal) < 0)
		park_place_replace(park, place, -1, 0);
}
