// SPDX-License-Identifier: GPL-2.0-or-later
#include "service/whole/assembly.h"

#include <string.h>
#include <syslog.h>

#include "core/setup/intake.h"
#include "plane/parts/trace.h"
#include "plane/plane_front.h"
#include "service/change/change_hold.h"
#include "service/change/exclusive_run.h"
#include "service/change/replay.h"
#include "service/change/run.h"
#include "service/change/spread.h"
#include "service/failover/failover.h"
#include "service/failover/lost.h"
#include "service/keep/fastpath.h"
#include "service/keep/narrowing.h"
#include "service/keep/nudging.h"
#include "service/keep/park.h"
#include "service/keep/pathguard.h"
#include "service/keep/unpacking.h"
#include "service/keep/waking.h"
#include "service/later.h"
#include "service/rules.h"
#include "service/slot/adoption.h"
#include "service/slot/front_slots.h"
#include "service/slot/instance.h"
#include "service/slot/lifecycle.h"
#include "service/slot/ownership.h"
#include "service/slot/preparation.h"
#include "service/slot/reaching.h"
#include "service/slot/retirement.h"
#include "service/slot/roles.h"
#include "service/slot/settling.h"
#include "service/watch/event_log.h"
#include "service/watch/foreign_watch.h"
#include "service/watch/hang.h"
#include "service/watch/health.h"
#include "service/watch/outdated_watch.h"
#include "service/watch/selection.h"
#include "service/whole/exec_run.h"
#include "service/whole/resume.h"
#include "service/whole/spread_settle.h"
#include "system/configfile.h"
#include "system/journal.h"
#include "util/macro.h"

/* How long until the kernel side that could not be opened is tried again. */
#define RETRY_MIN (1 * USEC_PER_SEC)
#define RETRY_MAX (30 * USEC_PER_SEC)

DEFINE_CLEANUP(struct service, service_free)

/* ---- who hears of what ---- */

static void tell_host(struct service *service, const struct event *event)
{
	if (event->kind != EVENT_VERDICT || event->anew)
		service_changed(service);
}

/* In the order in which they hear of an event. */
static const struct feature features[] = {
	/* whoever waits for the end of something goes on with that before it hears anything else */
	{HEARS(EVENT_CHANGE_ENDED), run_ended_heard, HOST_ANY},
	/* whether somebody else is to serve is decided before anybody looks who does: a change that
	 * runs sees to its own slots */
	{HEARS(EVENT_VERDICT) | HEARS(EVENT_ADOPTED), failover_heard, HOST_TENDS},
	{HEARS(EVENT_LOST) | HEARS(EVENT_VERDICT) | HEARS(EVENT_CHANGE_ENDED), run_heard, HOST_ANY},
	/* what those have left to do; only then is it clear who waits for whom in the park */
	{HEARS(EVENT_LOST) | HEARS(EVENT_ADOPTED), lost_heard, HOST_TENDS},
	/* clients wait: before anybody is told that the slot was adopted */
	{HEARS(EVENT_ADOPTED) | HEARS(EVENT_UNADOPTED) | HEARS(EVENT_LOST), park_heard, HOST_PARKS},
	/* the slot itself: from here on it may be adopted again, and what it is, is known */
	{HEARS(EVENT_ADOPTED), adoption_heard, HOST_ANY},
	{HEARS(EVENT_UNIT_CHANGED), lifecycle_heard, HOST_ANY},
	{HEARS(EVENT_MAY_PREPARE), preparation_heard, HOST_ANY},
	/* who watches it begins anew with another instance */
	{HEARS(EVENT_NEW_RUN) | HEARS(EVENT_ADOPTED) | HEARS(EVENT_UNIT_CHANGED), hang_heard,
	 HOST_WATCHES},
	{HEARS(EVENT_NEW_RUN) | HEARS(EVENT_ADOPTED) | HEARS(EVENT_UNIT_CHANGED) |
		 HEARS(EVENT_LOST),
	 health_heard, HOST_WATCHES},
	{HEARS(EVENT_ADOPTED), outdated_heard, HOST_WATCHES},
	{HEARS(EVENT_ADOPTED), ownership_heard, HOST_ANY},
	{HEARS(EVENT_ADOPTED), settling_heard, HOST_TENDS},
	/* others that wait for it: one that is to stop, then those that are to take over */
	{HEARS(EVENT_ADOPTED) | HEARS(EVENT_UNADOPTED) | HEARS(EVENT_UNIT_CHANGED),
	 retirement_heard, HOST_ANY},
	{HEARS(EVENT_ADOPTED) | HEARS(EVENT_UNIT_CHANGED), run_heard, HOST_ANY},
	{HEARS(EVENT_UNIT_CHANGED), exclusive_run_heard, HOST_TENDS},
	/* behind all that may become ready, or be under way, by the same event */
	{HEARS(EVENT_ADOPTED) | HEARS(EVENT_UNIT_CHANGED) | HEARS(EVENT_EMPTIED) |
		 HEARS(EVENT_VERDICT),
	 change_hold_heard, HOST_ANY},
	{HEARS(EVENT_MOVED), nudging_heard, HOST_ANY},
	/* who serves is settled; the kernel has sent clients on already */
	{HEARS(EVENT_ADOPTED) | HEARS(EVENT_UNADOPTED) | HEARS(EVENT_LEFT) | HEARS(EVENT_LOST) |
		 HEARS(EVENT_UNIT_CHANGED) | HEARS(EVENT_VERDICT) | HEARS(EVENT_CHANGE_ENDED),
	 spread_heard, HOST_TENDS},
	/* nobody waits for these */
	{HEARS(EVENT_UNIT_CHANGED), narrowing_heard, HOST_TENDS},
	{HEARS(EVENT_ADOPTED), unpacking_heard, HOST_TENDS},
	{HEARS(EVENT_ADOPTED), fastpath_heard, HOST_TENDS},
	{HEARS(EVENT_ADOPTED), foreign_watch_heard, HOST_WATCHES},
	{HEARS(EVENT_ADOPTED), pathguard_heard, HOST_WATCHES},
	/* the last: who looks now sees what has become of it */
	{HEARS(EVENT_LOST) | HEARS(EVENT_VERDICT) | HEARS(EVENT_CHANGE_ENDED) |
		 HEARS(EVENT_ADOPTED) | HEARS(EVENT_UNADOPTED) | HEARS(EVENT_UNIT_CHANGED),
	 tell_host, HOST_ANY},
};

/* Of a front, whose slots are hosts: no instance is adopted, watched or restarted. */
static const struct feature front_features[] = {
	{HEARS(EVENT_CHANGE_ENDED), run_ended_heard, HOST_ANY},
	/* whether a host gets new flows, before anybody looks who does */
	{HEARS(EVENT_VERDICT) | HEARS(EVENT_ADOPTED) | HEARS(EVENT_CHANGE_ENDED), front_slots_heard,
	 HOST_TENDS},
	{HEARS(EVENT_LOST) | HEARS(EVENT_VERDICT) | HEARS(EVENT_CHANGE_ENDED), run_heard, HOST_ANY},
	{HEARS(EVENT_LOST) | HEARS(EVENT_ADOPTED), lost_heard, HOST_TENDS},
	{HEARS(EVENT_ADOPTED), run_heard, HOST_ANY},
	{HEARS(EVENT_ADOPTED) | HEARS(EVENT_VERDICT), change_hold_heard, HOST_ANY},
	{HEARS(EVENT_ADOPTED) | HEARS(EVENT_LEFT) | HEARS(EVENT_LOST) | HEARS(EVENT_VERDICT) |
		 HEARS(EVENT_CHANGE_ENDED),
	 spread_heard, HOST_TENDS},
	{HEARS(EVENT_LOST) | HEARS(EVENT_LEFT) | HEARS(EVENT_VERDICT) | HEARS(EVENT_CHANGE_ENDED) |
		 HEARS(EVENT_ADOPTED),
	 tell_host, HOST_ANY},
};

/* Settings may make it the one or the other. */
static void choose_features(struct service *service)
{
	bool front = service_is_front(service);

	service->events.features = front ? front_features : features;
	service->events.n_features = front ? ARRAY_SIZE(front_features) : ARRAY_SIZE(features);
}

/* ---- the kernel side ---- */

/* One that is found again each time that it is tried is told once. `told`: the last one. */
static void tell_once(const struct service *service, int priority, const struct problem *problem,
		      struct problem *told)
{
	struct journal_scope scope = {service->name, -1, priority};

	if (problem->text[0] && strcmp(told->text, problem->text) != 0)
		journal_log(JOURNAL_PROBLEM, &scope, "%s: %s", service->name, problem->text);
	*told = *problem;
}

/* Clients would be without their slots. */
static int check_slots(const struct service *service, const struct config *config,
		       struct problem *problem)
{
	struct hs_spread spread;

	/* who takes a host out of the settings wants no client there */
	if (!service->plane || config_is_front(&config->front) ||
	    !plane_is_spread(service->plane) || !plane_table_spread(service->plane, &spread) ||
	    config->slots >= spread.slots)
		return 0;
	return problem_set(
		problem, -EINVAL,
		"Slots=%u is fewer than the %u slots that clients are spread over; hsctl "
		"scale %s %u moves them, and sets it",
		config->slots, spread.slots, service->name, config->slots);
}

static bool has_sockets(const struct plane *plane)
{
	size_t n;

	plane_listeners(plane, &n);
	return n || plane_paths(plane)->entries;
}

/* What is in the kernel is of hosts or of instances, and settings do not make the one of the other:
 * it would be neither. */
static int check_kind(const struct service *service, const struct config *config,
		      struct problem *problem)
{
	bool front = config_is_front(&config->front), was;

	if (!service->plane)
		return 0;
	was = plane_is_front(service->plane);
	if (was && !front)
		return problem_set(problem, -EINVAL,
				   "its slots are hosts, and its settings have no Address= and "
				   "Host= any more; hsctl disable %s takes the front away",
				   service->name);
	if (!was && front && has_sockets(service->plane))
		return problem_set(problem, -EINVAL,
				   "its slots are instances, and Address= and Host= would make "
				   "hosts of them; give the front another name, or take the "
				   "instances out first: hsctl disable %s",
				   service->name);
	return 0;
}

/* Settings that are wrong do not take a running service out of management: the last good ones hold.
 */
static bool load_config(struct service *service)
{
	struct problem problem = {0};
	struct config config;
	int r;

	/* first: what is changed while it is read is read again */
	service->config_stamp = configfile_stamp(service->name);
	r = configfile_load(service->name, &config, &problem);
	service->unread = r < 0 && r != -EINVAL && r != -ENOENT;
	if (!r)
		r = check_slots(service, &config, &problem);
	if (!r)
		r = check_kind(service, &config, &problem);
	if (!r)
		service->config = config;
	/* what is pinned of one that was disabled can be looked at */
	if (r == -ENOENT && !host_has(service->host, HOST_TENDS))
		problem.text[0] = '\0';
	service->problem = problem;
	return !r;
}

/* What the pins are watched with. Each of these the service can do without, but for the park, which
 * may have been left by the hsd before. */
static void open_watches(struct service *service)
{
	bool lacking = false;

	/* crashes are the kernel's business */
	if (!service->failover)
		lacking |= failover_new(service, &service->failover) < 0;
	if (service->failover && !service->hang)
		lacking |=
			hang_new(service, service->host->hangs, &failover_told, &service->hang) < 0;
	if (service->host->prober && !service->health)
		lacking |= health_new(service, &service->health) < 0;
	if (!service->selection)
		lacking |= selection_new(service, &service->selection) < 0;
	/* the counters go on without the stories */
	if (!service->event_log)
		lacking |= event_log_new(service, &service->event_log) < 0;
	if (!service->pathguard)
		lacking |= pathguard_new(service, &service->pathguard) < 0;
	service->lacking |= lacking;
}

static void open_parts(struct service *service)
{
	service->lacking = false;
	if (host_has(service->host, HOST_WATCHES))
		open_watches(service);
	if (!service->roles)
		service->lacking |= roles_new(service, &service->roles) < 0;
	if (host_has(service->host, HOST_PARKS) && !service->park)
		service->lacking |= park_new(service, &service->park) < 0;
}

static void tidy_plane(struct service *service)
{
	/* what commands and an earlier hsd have left */
	if (host_has(service->host, HOST_TENDS)) {
		rules_sweep(service);
		trace_sweep(service->plane);
		plane_lead_paths(service->plane);
	}
	if (nudging_new(service, &service->nudging) < 0)
		service->nudging = NULL; /* most kernels do without */
}

/* Opens what is pinned. What is not there a host that only looks does not make. */
static int find_plane(struct service *service, struct problem *problem)
{
	struct accounting *accounting = service->host->accounting;
	int r;

	if (host_has(service->host, HOST_MAKES))
		return plane_create(service->name, accounting, &service->plane, problem);
	r = plane_open(service->name, accounting, &service->plane, problem);
	service->plane_error = r;
	if (r != -ENOENT)
		return r;
	return problem_set(
		problem, r,
		"nothing is pinned in the kernel for %s; see hsctl list, or put it under "
		"hotstandby: hsctl enable %s@.service",
		service->name, service->name);
}

static void open_plane(struct service *service)
{
	struct problem problem = {0};
	int r;

	if (service->plane)
		return;
	r = find_plane(service, &problem);
	if (r < 0 && !problem.text[0])
		problem_set(&problem, r, "its kernel side could not be made: %s", strerror(-r));
	if (r >= 0 && check_kind(service, &service->config, &problem) < 0) {
		/* it goes on as it is; settings that cannot be read are the reason, if they are */
		service->plane = plane_free(service->plane);
		if (!service->problem.text[0])
			service->problem = problem;
		return;
	}
	if (r < 0)
		service->problem = problem;
	else
		tidy_plane(service);
}

static bool lacks_force(const struct service *service)
{
	struct intake_facts facts = {.wanted = service->config.intake};

	if (service_is_front(service))
		return !service->plane || !plane_is_front(service->plane);
	return service->plane && !service->force && intake_needs_force(&facts);
}

/* Of settings that the kernel side refuses nothing holds: the last good ones do, and for an hsd
 * that has just come the hosts by the numbers that they have there. */
static void keep_front(struct service *service, const struct config *before)
{
	struct config_front *front = &service->config.front;
	struct front_host_view view;

	if (config_is_front(&before->front)) {
		service->config = *before;
		return;
	}
	for (unsigned i = 0; plane_is_front(service->plane) && i < HS_SLOTS_MAX; i++) {
		front->hosts[i].given = front_host(plane_front(service->plane), i, &view);
		if (front->hosts[i].given)
			memcpy(front->hosts[i].address.ip, view.ip, sizeof(view.ip));
	}
	service->config.slots = config_front_slots(front);
}

/* Its hosts, and the program of its device. */
static void open_front(struct service *service, const struct config *before)
{
	struct problem problem = {0};
	struct front_moves moves;
	int r;

	if (!service->plane || !host_has(service->host, HOST_MAKES))
		return;
	moves = front_slots_moves(service);
	r = spread_check_hosts(service, &problem);
	if (!r)
		r = plane_front_apply(service->plane, &service->config.front, &problem);
	/* it serves with the settings before, until a lock is free, another program has left the
	 * device, or there is a route */
	service->unapplied = r == -EBUSY || r == -ENETUNREACH;
	if (r >= 0) {
		service->moves.hosts |= moves.hosts;
		service->moves.took |= moves.took;
		return;
	}
	service->problem = problem;
	keep_front(service, before);
}

/* Made before any instance starts, and also where socket units make the sockets: which it is may
 * change with a unit file. */
static void open_force(struct service *service)
{
	struct intake_facts facts = {.wanted = service->config.intake};
	struct problem problem = {0};
	int r = 0;

	if (!host_has(service->host, HOST_MAKES)) {
		(void)force_open(service->name, &service->force);
		return;
	}
	if (!service->plane || !intake_needs_force(&facts))
		return;
	if (!service->force)
		r = force_create(service->name, &service->force, &problem);
	tell_once(service, LOG_WARNING, &problem, &service->force_told);
	if (r < 0)
		return;
	force_set_service(service->force, plane_id(service->plane));
	force_set_ports(service->force, service->config.ports, service->config.n_ports);
}

/* Settings that were never good do not say how many there are; those that serve are there. */
static void count_slots(struct service *service)
{
	uint32_t live = plane_live_slots(service->plane);

	while (service->config.slots < HS_SLOTS_MAX && live >> service->config.slots)
		service->config.slots++;
}

/* The settings, and what of them the kernel side goes by. */
static void load(struct service *service)
{
	struct config before = service->config;
	bool good = load_config(service);

	service->unapplied = false;
	choose_features(service);
	open_plane(service);
	if (service->plane)
		open_parts(service);
	if (service->plane && !good && !service->n_slots)
		count_slots(service);
	if (service_is_front(service))
		open_front(service, &before);
	else
		open_force(service);
	if (good && service->plane && host_has(service->host, HOST_MAKES))
		plane_set_flow(service->plane, &service->config);
	if (host_has(service->host, HOST_TENDS))
		tell_once(service, LOG_ERR, &service->problem, &service->told);
}

static int set_slots(struct service *service, unsigned n)
{
	int r = 0;

	for (; !r && service->n_slots < n; service->n_slots += !r)
		r = instance_new(service, service->n_slots, &service->instances[service->n_slots]);
	while (service->n_slots > n) {
		struct instance **last = &service->instances[--service->n_slots];

		failover_on_slot_gone(service->failover, service->n_slots);
		*last = instance_free(*last);
	}
	return r;
}

static bool is_complete(const struct service *service)
{
	return service_is_open(service) && !lacks_force(service) && !service->unread &&
	       !service->unapplied && service->n_slots == service->config.slots;
}

static bool is_current(const struct service *service)
{
	uint64_t stamp = configfile_stamp(service->name);

	return stamp && stamp == service->config_stamp && is_complete(service) &&
	       !service->problem.text[0] && !service->unsettled.parts;
}

/* ---- what could not be opened ----
 *
 * For want of descriptors or memory, say, or because a hsctl that was stopped has the lock. Parks
 * that wait for it stay in the store meanwhile; see hsd/manager.c.
 */

static void retry_later(struct service *service);

static void begin_watching(struct service *service)
{
	health_reload(service->health);
	hang_poke(service->hang);
	park_look(service->park);
	pathguard_look(service->pathguard);
}

/* What settings are for, behind load(). */
static void take_effect(struct service *service)
{
	set_slots(service, service->config.slots);
	front_slots_follow(service);
	for (unsigned i = 0; i < service->n_slots; i++) {
		instance_reload(service->instances[i]);
		reaching_follow(service->instances[i]);
	}
	begin_watching(service);
	narrowing_look(service);
	unpacking_follow(service);
	fastpath_follow(service);
	settling_follow(service);
	retry_later(service);
}

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct service *service = userdata;
	struct journal_scope scope = {service->name, -1, LOG_NOTICE};
	struct config before = service->config;
	/* else it had all but something that it can do without */
	bool was = is_complete(service);

	(void)usec;
	sd_event_source_disable_unref(source);
	service->retry_source = NULL;
	load(service);
	take_effect(service);
	spread_settle(service, &before);
	if (!is_complete(service))
		return 0;
	if (!was)
		journal_log(JOURNAL_MANAGER, &scope, "%s: its kernel side could be opened now",
			    service->name);
	for (unsigned i = 0; i < service->n_slots; i++)
		unit_watch_refresh(service->instances[i]->watch);
	return service->resume_source ? 0 : resume_watch(service);
}

/* What it can do without is tried some times only: this kernel may not have it. */
static void retry_later(struct service *service)
{
	service->retry_source = sd_event_source_disable_unref(service->retry_source);
	if (!host_has(service->host, HOST_TENDS))
		return;
	if (is_complete(service) && !service->lacking)
		service->retry_delay = 0;
	if (is_complete(service) && (!service->lacking || service->retry_delay == RETRY_MAX))
		return;
	service->retry_delay = MIN(MAX(2 * service->retry_delay, RETRY_MIN), RETRY_MAX);
	sd_event_add_time_relative(service->host->event, &service->retry_source, CLOCK_MONOTONIC,
				   service->retry_delay, 0, on_retry, service);
}

void service_reload(struct service *service)
{
	struct config before = service->config;

	if (is_current(service))
		return;
	load(service);
	take_effect(service);
	replay_follow(service);
	spread_settle(service, &before);
}

int service_new(const struct host *host, const char *name, struct service **ret_service)
{
	_cleanup_(service_freep) struct service *service = calloc(1, sizeof(*service));
	int r;

	if (!service)
		return -ENOMEM;
	service->host = host;
	snprintf(service->name, sizeof(service->name), "%s", name);
	config_init(&service->config);
	service->events = (struct events) {
		.host = host,
		.service = service,
		.name = service->name,
		.n_slots = &service->n_slots,
	};
	choose_features(service);
	r = events_init(&service->events);
	if (r < 0)
		return r;
	load(service);
	r = set_slots(service, service->config.slots);
	front_slots_follow(service);
	unpacking_follow(service);
	fastpath_follow(service);
	retry_later(service);
	begin_watching(service);
	replay_follow(service);
	spread_settle(service, NULL);
	if (r >= 0 && host_has(host, HOST_TENDS))
		r = resume_watch(service);
	if (r < 0)
		return r;
	*ret_service = steal_ptr(&service);
	return 0;
}

void service_forget(struct service *service)
{
	if (service)
		park_drop(service->park);
}

struct service *service_free(struct service *service)
{
	if (!service)
		return NULL;
	events_done(&service->events);
	sd_event_source_disable_unref(service->resume_source);
	sd_event_source_disable_unref(service->retry_source);
	later_drop_all(service);
	change_hold_refuse_all(service);
	run_drop_all(service);
	exec_run_forget_all(service);
	work_forget(service->foreign_work);
	outdated_forget(service);
	service->replay = replay_free(service->replay);
	narrowing_done(service);
	waking_done(&service->waking);
	settling_done(service);
	unpacking_done(service);
	front_slots_done(service);
	service->fastpath = fastpath_free(service->fastpath);
	service->health = health_free(service->health);
	roles_free(service->roles);
	service->roles = NULL;
	set_slots(service, 0);
	park_free(service->park);
	pathguard_free(service->pathguard);
	hang_free(service->hang);
	failover_free(service->failover);
	selection_free(service->selection);
	event_log_free(service->event_log);
	nudging_free(service->nudging);
	/* rules of those that have gone meanwhile */
	later_drop_all(service);
	force_free(service->force);
	plane_free(service->plane);
	free(service->described.text);
	free(service->described_to_all.text);
	free(service);
	return NULL;
}
