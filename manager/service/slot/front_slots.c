// SPDX-License-Identifier: GPL-2.0-or-later
#include "service/slot/front_slots.h"

#include <inttypes.h>
#include <string.h>
#include <syslog.h>

#include "core/watch/floor.h"
#include "plane/act/adopt.h"
#include "plane/act/retire.h"
#include "plane/plane_front.h"
#include "service/slot/front_facts.h"
#include "service/slot/states.h"
#include "system/journal.h"
#include "system/unit/unitjob.h"
#include "util/clock.h"
#include "util/macro.h"

/* How often routes and neighbours are looked at. */
#define ROUTES_EVERY (1 * USEC_PER_SEC)

/* Between two portions of what is counted. */
#define TALLY_EVERY (15 * USEC_PER_MSEC)

/* How much of the room for flows may be taken by those that are open, before it is told, and when
 * that is over; percent. */
#define CROWDED	      90U
#define CROWDED_UNTIL 80U
/* They are counted so often at least. */
#define CROWD_EVERY (60 * USEC_PER_SEC)

/* Packets for ports of none are told at once, and then so often at most. */
#define STRAYS_EVERY (60 * USEC_PER_SEC)

/* From the first host that is well to the last one that may be active for being so. */
#define FIRST_USEC (3 * USEC_PER_SEC)

/* ---- in and out ---- */

static const char *name_of(const struct service *service, unsigned slot,
			   char text[FRONT_ADDRESS_TEXT_MAX])
{
	return front_address_format(service->config.front.hosts[slot].address.ip, text);
}

/* That two fronts which begin at the same time agree: of the hosts that are found well one after
 * the other the lowest number is active, unless somebody has said or seen otherwise. Those who have
 * come to another meanwhile stay there. */
static void settle_first(struct service *service, unsigned slot)
{
	unsigned active = hs_word_active(plane_word(service->plane));
	uint64_t word, cookie;

	plane_previous(service->plane, &word, &cookie);
	if (active >= HS_SLOTS_MAX)
		service->first_until = now_usec() + FIRST_USEC;
	adopt_ensure_active(service->plane, slot);
	if (now_usec() > service->first_until || active >= HS_SLOTS_MAX || slot >= active || word)
		return;
	plane_edit_word(service->plane, word_replace, WORD_ARGS(.from = active, .to = slot), NULL);
}

static void take(struct service *service, unsigned slot)
{
	struct journal_scope scope = {service->name, (int)slot, LOG_NOTICE};
	char host[FRONT_ADDRESS_TEXT_MAX];

	plane_set_retired(service->plane, slot, false);
	front_set_taking(plane_front(service->plane), slot, true);
	front_set_kept(plane_front(service->plane), slot, false);
	settle_first(service, slot);
	journal_log(JOURNAL_ADOPT, &scope, "%s: host %s (slot %u) takes new connections",
		    service->name, name_of(service, slot, host), slot);
	service_post(service, EVENT_ADOPTED, slot, true);
}

static const char *fault_of(const struct service *service, unsigned slot)
{
	return front_slot_is_asked(service, slot) ? service->verdicts[slot].reason
						  : "nobody answers at its address";
}

static void lose(struct service *service, unsigned slot)
{
	struct journal_scope scope = {service->name, (int)slot, LOG_WARNING};
	char host[FRONT_ADDRESS_TEXT_MAX];

	/* who is active from now on is so for another reason */
	service->first_until = 0;
	front_set_taking(plane_front(service->plane), slot, false);
	journal_log(JOURNAL_RETIRE, &scope, "%s: host %s (slot %u) gets no new connections: %s",
		    service->name, name_of(service, slot, host), slot, fault_of(service, slot));
	service_post(service, EVENT_LOST, slot, false);
}

static uint32_t well(const struct service *service)
{
	enum slot_state states[HS_SLOTS_MAX];

	service_states(service, states);
	return slots_ready(states, service->n_slots);
}

/* On purpose: what it has goes on. */
static void leave(struct service *service, unsigned slot, const char *why)
{
	struct journal_scope scope = {service->name, (int)slot, LOG_NOTICE};
	char host[FRONT_ADDRESS_TEXT_MAX];
	unsigned to;

	if (retire_leave(service->plane, slot, well(service), &to) == RETIRE_LAST) {
		scope.priority = LOG_WARNING;
		journal_log(JOURNAL_RETIRE, &scope,
			    "%s: host %s (slot %u) %s, and goes on, for no other host takes "
			    "connections",
			    service->name, name_of(service, slot, host), slot, why);
		return;
	}
	journal_log(JOURNAL_RETIRE, &scope, "%s: host %s (slot %u) %s and gets no new connections",
		    service->name, name_of(service, slot, host), slot, why);
	service_post(service, EVENT_LEFT, slot, false);
}

static bool is_leaving(const struct service *service, unsigned slot)
{
	return service->leaving >> slot & 1 || plane_is_drained(service->plane, slot);
}

/* The last one stays, and goes as soon as there is another. */
static void leave_if_other(struct service *service, unsigned slot)
{
	bool told = plane_is_retired(service->plane, slot);
	uint32_t others = plane_live_slots(service->plane) & ~(1U << slot);

	if (!told || others)
		leave(service, slot, service->leaving >> slot & 1 ? "leaves" : "is drained");
}

static void update(struct service *service, unsigned slot)
{
	bool takes = front_slot_takes(service, slot);

	if (!front_slot_is_given(service, slot) || front_slot_health(service, slot) != HEALTH_GOOD)
		return;
	if (is_leaving(service, slot)) {
		if (takes)
			leave_if_other(service, slot);
	} else if (!takes || plane_is_retired(service->plane, slot) ||
		   front_slot_is_kept(service, slot)) {
		take(service, slot);
	}
}

/* ---- when none is well ---- */

/* Not well, but no other is either. */
static void keep(struct service *service, unsigned slot)
{
	struct journal_scope scope = {service->name, (int)slot, LOG_WARNING};
	struct front *front = plane_front(service->plane);
	bool took = front_slot_takes(service, slot);
	char host[FRONT_ADDRESS_TEXT_MAX];

	if (front_slot_is_kept(service, slot))
		return;
	/* first: so it never counts as one that is well */
	front_set_kept(front, slot, true);
	front_set_taking(front, slot, true);
	adopt_ensure_active(service->plane, slot);
	journal_log(JOURNAL_HEALTH, &scope,
		    "%s: no host is well: host %s (slot %u) gets new connections %s, as it was "
		    "until now: %s",
		    service->name, name_of(service, slot, host), slot, took ? "still" : "again",
		    fault_of(service, slot));
	if (!took)
		service_post(service, EVENT_ADOPTED, slot, false);
}

static struct floor_host floor_host_of(struct service *service, unsigned slot)
{
	bool bad = front_slot_health(service, slot) == HEALTH_BAD;
	bool takes = front_slot_takes(service, slot);
	uint64_t *ended = &service->well_until[slot];

	if (!bad)
		*ended = 0;
	else if (takes && !*ended)
		*ended = now_usec();
	return (struct floor_host) {
		.given = front_slot_is_given(service, slot),
		.bad = bad,
		.takes = takes,
		.kept = front_slot_is_kept(service, slot),
		.aside = is_leaving(service, slot) || service->refusing >> slot & 1 ||
			 plane_is_retired(service->plane, slot),
		.ended = *ended,
	};
}

/* What ails all of them at once is seen of one after the other within that time. */
static uint64_t floor_window(const struct service *service)
{
	const struct config_health *health = &service->config.health;

	return health->interval_usec * health->rule.fall + health->timeout_usec + ROUTES_EVERY;
}

static void update_bad(struct service *service)
{
	struct floor_host hosts[HS_SLOTS_MAX];
	uint32_t kept;

	for (unsigned slot = 0; slot < service->n_slots; slot++)
		hosts[slot] = floor_host_of(service, slot);
	kept = floor_keep(hosts, service->n_slots, floor_window(service));
	for (unsigned slot = 0; slot < service->n_slots; slot++)
		if (kept >> slot & 1)
			keep(service, slot);
		else if (hosts[slot].given && hosts[slot].bad && hosts[slot].takes)
			lose(service, slot);
}

/* Those that come first: so one that was kept goes when there is another. */
static void update_all(struct service *service)
{
	for (unsigned slot = 0; slot < service->n_slots; slot++)
		update(service, slot);
	update_bad(service);
}

void front_slots_heard(struct service *service, const struct event *event)
{
	(void)event;
	/* all: one that leaves may wait for the one that has come */
	if (service->plane && plane_is_front(service->plane))
		update_all(service);
}

void front_slot_leave(struct service *service, unsigned slot)
{
	plane_set_drained(service->plane, slot, true);
	if (front_slot_takes(service, slot))
		leave(service, slot, "is drained");
	else
		plane_set_retired(service->plane, slot, true);
}

void front_slot_return(struct service *service, unsigned slot)
{
	plane_set_drained(service->plane, slot, false);
	if (host_has(service->host, HOST_TENDS))
		update_all(service);
	else if (!is_leaving(service, slot))
		take(service, slot);
}

/* ---- a trial ---- */

/* What becomes of packets is tried when the program has come to a device: by a unit, which tells
 * what is wrong, for it takes a network namespace, and we may make none. */
static void have_tried(struct service *service)
{
	char unit[UNIT_NAME_MAX + 16], place[sizeof(service->tried)];
	struct unit_job *unused;

	snprintf(place, sizeof(place), "%s %s", front_mode_to_string(service->config.front.mode),
		 front_device(plane_front(service->plane)));
	if (!service->host->bus || !strcmp(place, service->tried))
		return;
	memcpy(service->tried, place, sizeof(place));
	snprintf(unit, sizeof(unit), "hotstandby-front@%s.service", service->name);
	(void)unit_job_new(service->host->bus, UNIT_START, unit, NULL, NULL, &unused);
}

/* ---- routes ---- */

/* It may go, and come again: told once each time. */
static void follow_device(struct service *service)
{
	struct journal_scope scope = {service->name, -1, LOG_WARNING};
	struct problem problem = {0};
	char device[IFNAMSIZ];

	/* a front that is made anew takes its texts along */
	snprintf(device, sizeof(device), "%s", front_device(plane_front(service->plane)));
	if (front_is_attached(plane_front(service->plane))) {
		service->device_lost = false;
		return;
	}
	if (plane_front_apply(service->plane, &service->config.front, &problem) < 0) {
		if (!service->device_lost)
			journal_log(
				JOURNAL_PROBLEM, &scope,
				"%s: the program is not on %s any more: %.300s; it is tried again",
				service->name, device, problem.text);
		service->device_lost = true;
		service->problem = problem;
		return;
	}
	journal_log(JOURNAL_MANAGER, &scope, "%s: the program is on %s again", service->name,
		    device);
	if (service->device_lost)
		service->problem.text[0] = '\0';
	service->device_lost = false;
	service->tried[0] = '\0';
	have_tried(service);
}

/* What is forgotten then was in use, as far as can be seen. Told once. */
static void look_for_room(struct service *service)
{
	struct journal_scope scope = {service->name, -1, LOG_WARNING};
	const struct front_live *live = plane_front_counted(service->plane);
	uint64_t room = front_room(plane_front(service->plane)), open = 0, now = now_usec();

	if (now >= service->crowd_due) {
		live = plane_front_live(service->plane);
		service->crowd_due = now + CROWD_EVERY;
	}

	for (unsigned slot = 0; slot < HS_SLOTS_MAX; slot++)
		open += live[slot].connections + live[slot].flows;
	if (100 * open < CROWDED_UNTIL * room)
		service->crowded = false;
	if (100 * open < CROWDED * room || service->crowded)
		return;
	service->crowded = true;
	journal_log(JOURNAL_PROBLEM, &scope,
		    "%s: %" PRIu64 " connections and flows are open, and Flows=%" PRIu64
		    " are remembered: those that were silent for the longest time are forgotten; "
		    "raise Flows=",
		    service->name, open, room);
}

/* What was counted before is no news. */
static void look_for_strays(struct service *service)
{
	struct journal_scope scope = {service->name, -1, LOG_INFO};
	const struct front *front = plane_front(service->plane);
	uint64_t strays = front_other_ports(front), now = now_usec();

	if (!service->strays_due || strays < service->strays) {
		service->strays = strays;
		service->strays_due = now;
	}
	if (strays == service->strays || now < service->strays_due)
		return;
	journal_log(JOURNAL_UNROUTED, &scope,
		    "%s: %" PRIu64 " packets came in by %s for addresses of fronts, on ports that "
		    "no Ports= names; this machine had them",
		    service->name, strays - service->strays, front_device(front));
	service->strays = strays;
	service->strays_due = now + STRAYS_EVERY;
}

static int on_tally(sd_event_source *source, uint64_t usec, void *userdata)
{
	const struct service *service = userdata;

	(void)usec;
	if (!service->plane || !plane_front_count_on(service->plane))
		return 0;
	(void)sd_event_source_set_time(source, now_usec() + TALLY_EVERY);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

/* Somebody has asked, and it takes more than a moment. */
static void go_on_counting(struct service *service)
{
	service->tally = sd_event_source_disable_unref(service->tally);
	if (plane_front_count_on(service->plane))
		(void)sd_event_add_time_relative(service->host->event, &service->tally,
						 CLOCK_MONOTONIC, TALLY_EVERY, 0, on_tally,
						 service);
}

static int on_due(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct service *service = userdata;

	follow_device(service);
	look_for_room(service);
	look_for_strays(service);
	go_on_counting(service);
	(void)front_follow_routes(plane_front(service->plane));
	if (!front_is_asked(service))
		update_all(service);
	sd_event_source_set_time(source, usec + ROUTES_EVERY);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

/* ---- settings ---- */

static bool is_moved(const struct service *service, unsigned slot)
{
	const struct front_host *host = &service->config.front.hosts[slot];
	struct front_host_view view;
	bool was = plane_is_front(service->plane) &&
		   front_host(plane_front(service->plane), slot, &view);

	return was != host->given ||
	       (was && memcmp(view.ip, host->address.ip, sizeof(view.ip)) != 0);
}

struct front_moves front_slots_moves(const struct service *service)
{
	struct front_moves moves = {0};

	for (unsigned slot = 0; slot < HS_SLOTS_MAX; slot++)
		moves.hosts |= (uint32_t)is_moved(service, slot) << slot;
	if (plane_is_front(service->plane))
		moves.took = front_taking(plane_front(service->plane)) & moves.hosts;
	return moves;
}

/* Whoever has the number now was not drained, and the one before is active no more. */
static void see_to_moves(struct service *service)
{
	struct front_moves moves = service->moves;

	service->moves = (struct front_moves) {0};
	for (unsigned slot = 0; slot < HS_SLOTS_MAX; slot++) {
		if (moves.hosts >> slot & 1)
			plane_set_retired(service->plane, slot, false);
		if (!(moves.took >> slot & 1))
			continue;
		if (slot < service->n_slots)
			service_post(service, EVENT_LOST, slot, false);
		else
			retire_gone(service->plane, slot, &(unsigned) {0});
	}
}

void front_slots_follow(struct service *service)
{
	bool wanted = service_is_front(service) && service->plane && plane_is_front(service->plane);

	if (!wanted || !host_has(service->host, HOST_TENDS)) {
		front_slots_done(service);
		return;
	}
	see_to_moves(service);
	plane_front_count_in_portions(service->plane);
	(void)front_follow_routes(plane_front(service->plane));
	have_tried(service);
	if (!service->routes)
		(void)sd_event_add_time_relative(service->host->event, &service->routes,
						 CLOCK_MONOTONIC, ROUTES_EVERY, 0, on_due, service);
}

void front_slots_done(struct service *service)
{
	service->routes = sd_event_source_disable_unref(service->routes);
	service->tally = sd_event_source_disable_unref(service->tally);
}
