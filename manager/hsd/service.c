// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsd/service.h"

#include <string.h>
#include <syslog.h>

#include "hsd/bus.h"
#include "hsd/change_hold.h"
#include "hsd/change_run.h"
#include "hsd/event_log.h"
#include "hsd/exec_run.h"
#include "hsd/exclusive_run.h"
#include "hsd/failover.h"
#include "hsd/foreign_watch.h"
#include "hsd/hang.h"
#include "hsd/health.h"
#include "hsd/instance.h"
#include "hsd/upgrade_run.h"
#include "hsd/narrowing.h"
#include "hsd/nudging.h"
#include "hsd/outdated_watch.h"
#include "hsd/park.h"
#include "hsd/pathguard.h"
#include "hsd/reaching.h"
#include "hsd/roles.h"
#include "hsd/selection.h"
#include "hsd/settling.h"
#include "hsd/waking.h"
#include "hsd/workers.h"
#include "plane/pathlink.h"
#include "plane/bpf/pins.h"
#include "plane/preview/preview.h"
#include "system/configfile.h"
#include "system/journal.h"
#include "system/unit/stray.h"
#include "util/macro.h"

/* How long until the kernel side that could not be opened is tried again. */
#define RETRY_MIN (1 * USEC_PER_SEC)
#define RETRY_MAX (30 * USEC_PER_SEC)

DEFINE_CLEANUP(struct service, service_free)

static void set_problem(struct service *service, const struct problem *problem)
{
	struct journal_scope scope = {service->name, -1, LOG_ERR};

	if (strcmp(service->problem.text, problem->text) && problem->text[0])
		journal_log(JOURNAL_PROBLEM, &scope, "%s: %s", service->name, problem->text);
	service->problem = *problem;
}

/* Settings that are wrong do not take a running service out of management: the last good ones hold.
 */
static bool load_config(struct service *service)
{
	struct problem problem = {0};
	struct config config;
	bool good;

	/* first: what is changed while it is read is read again */
	service->config_stamp = configfile_stamp(service->name);
	good = !configfile_load(service->name, &config, &problem);

	if (good)
		service->config = config;
	set_problem(service, &problem);
	return good;
}

/* What the pins are watched with. Each of these the service can do without, but for the park, which
 * may have been left by the hsd before. */
static void open_watches(struct service *service)
{
	/* what commands and an earlier hsd have left */
	preview_sweep(service->plane);
	pathlink_follow(service->plane);
	if (nudging_new(service, &service->nudging) < 0)
		service->nudging = NULL; /* most kernels do without */
	if (failover_new(service, &service->failover) < 0 ||
	    hang_new(service, service->context->hangs, &service->hang) < 0)
		service->hang = NULL; /* crashes are the kernel's business */
	if (service->context->prober && health_new(service, &service->health) < 0)
		service->health = NULL;
	if (selection_new(service, &service->selection) < 0)
		service->selection = NULL;
	if (event_log_new(service, &service->events) < 0)
		service->events = NULL; /* the counters go on without the stories */
	if (pathguard_new(service, &service->pathguard) < 0)
		service->pathguard = NULL;
	if (roles_new(service, &service->roles) < 0)
		service->roles = NULL;
}

static void open_plane(struct service *service)
{
	struct problem problem = {0};
	int r;

	if (service->plane)
		return;
	r = plane_create(service->name, service->context->accounting, &service->plane, &problem);
	if (r < 0 && !problem.text[0])
		problem_set(&problem, r, "its kernel side could not be made: %s", strerror(-r));
	if (r < 0)
		set_problem(service, &problem);
	else
		open_watches(service);
}

static void open_park(struct service *service)
{
	if (service->plane && !service->park && park_new(service, &service->park) < 0)
		service->park = NULL;
}

bool service_is_open(const struct service *service)
{
	return service->plane && service->park;
}

static bool lacks_force(const struct service *service)
{
	struct intake_facts facts = {.wanted = service->config.intake};

	return service->plane && !service->force && intake_needs_force(&facts);
}

/* Made before any instance starts, and also where socket units make the sockets: which it is may
 * change with a unit file. */
static void open_force(struct service *service)
{
	struct intake_facts facts = {.wanted = service->config.intake};
	struct journal_scope scope = {service->name, -1, LOG_WARNING};
	struct problem problem = {0};

	if (!service->plane || !intake_needs_force(&facts))
		return;
	if (!service->force && force_create(service->name, &service->force, &problem) < 0) {
		journal_log(JOURNAL_PROBLEM, &scope, "%s: %s", service->name, problem.text);
		return;
	}
	force_set_service(service->force, plane_id(service->plane));
	force_set_ports(service->force, service->config.ports, service->config.n_ports);
}

/* The settings, and what of them the kernel side goes by. */
static void load(struct service *service)
{
	bool good = load_config(service);

	/* one that is held is tried again */
	pins_set_waiting(false);
	open_plane(service);
	open_park(service);
	open_force(service);
	pins_set_waiting(true);
	if (good && service->plane)
		plane_set_flow(service->plane, &service->config);
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

static bool is_current(const struct service *service)
{
	uint64_t stamp = configfile_stamp(service->name);

	return stamp && stamp == service->config_stamp && service_is_open(service) &&
	       !service->problem.text[0] && !lacks_force(service);
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

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct service *service = userdata;
	struct journal_scope scope = {service->name, -1, LOG_NOTICE};

	(void)usec;
	sd_event_source_disable_unref(source);
	service->retry_source = NULL;
	load(service);
	if (!service_is_open(service) || lacks_force(service)) {
		retry_later(service);
		return 0;
	}
	journal_log(JOURNAL_MANAGER, &scope, "%s: its kernel side could be opened now",
		    service->name);
	begin_watching(service);
	for (unsigned i = 0; i < service->n_slots; i++)
		unit_watch_refresh(service->instances[i]->watch);
	return service->resume_source ? 0 : upgrade_run_watch(service);
}

static void retry_later(struct service *service)
{
	service->retry_source = sd_event_source_disable_unref(service->retry_source);
	if (service_is_open(service) && !lacks_force(service)) {
		service->retry_delay = 0;
		return;
	}
	service->retry_delay = MIN(MAX(2 * service->retry_delay, RETRY_MIN), RETRY_MAX);
	sd_event_add_time_relative(service->context->event, &service->retry_source, CLOCK_MONOTONIC,
				   service->retry_delay, 0, on_retry, service);
}

void service_reload(struct service *service)
{
	if (is_current(service))
		return;
	load(service);
	retry_later(service);
	set_slots(service, service->config.slots);
	for (unsigned i = 0; i < service->n_slots; i++) {
		instance_reload(service->instances[i]);
		reaching_follow(service->instances[i]);
	}
	begin_watching(service);
	narrowing_look(service);
	settling_follow(service);
}

int service_new(const struct service_context *context, const char *name,
		struct service **ret_service)
{
	_cleanup_(service_freep) struct service *service = calloc(1, sizeof(*service));
	int r;

	if (!service)
		return -ENOMEM;
	service->context = context;
	snprintf(service->name, sizeof(service->name), "%s", name);
	config_init(&service->config);
	load(service);
	retry_later(service);
	r = set_slots(service, service->config.slots);
	begin_watching(service);
	if (r >= 0)
		r = bus_publish_service(service);
	if (r >= 0)
		r = upgrade_run_watch(service);
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
	sd_bus_slot_unref(service->bus_object);
	sd_event_source_disable_unref(service->resume_source);
	sd_event_source_disable_unref(service->retry_source);
	change_hold_refuse_all(service);
	service->upgrade = upgrade_run_free(service->upgrade);
	service->change = change_run_free(service->change);
	exec_run_forget_all(service);
	work_forget(service->foreign_work);
	outdated_forget(service);
	narrowing_done(service);
	waking_done(&service->waking);
	settling_done(service);
	service->exclusive = exclusive_run_free(service->exclusive);
	service->health = health_free(service->health);
	roles_free(service->roles);
	service->roles = NULL;
	set_slots(service, 0);
	park_free(service->park);
	pathguard_free(service->pathguard);
	hang_free(service->hang);
	failover_free(service->failover);
	selection_free(service->selection);
	event_log_free(service->events);
	nudging_free(service->nudging);
	force_free(service->force);
	plane_free(service->plane);
	free(service->described.text);
	free(service->described_to_all.text);
	free(service);
	return NULL;
}

static bool lacks_listener(const struct service *service, unsigned slot)
{
	unsigned active = hs_word_active(plane_word(service->plane));

	if (slot == active || active >= service->n_slots)
		return false;
	return plane_is_missing(service->plane, slot, active);
}

bool service_is_known(const struct service *service)
{
	for (unsigned i = 0; i < service->n_slots; i++)
		if (!service->instances[i]->known)
			return false;
	return true;
}

static bool may_start(const struct instance *instance)
{
	return instance_facts(instance)->state != UNIT_DOWN ||
	       instance_facts(instance)->job_pending || instance->restart_source ||
	       instance->restart_job;
}

bool service_is_put_down(const struct service *service)
{
	bool asked = false, unasked = false, activated = false;

	if (!service_is_known(service) || service->change || service->upgrade || service->exclusive)
		return false;
	for (unsigned i = 0; i < service->n_slots; i++) {
		const struct instance *instance = service->instances[i];

		if (may_start(instance))
			return false;
		asked |= instance->asked;
		unasked |= instance->unasked;
		activated |= unit_has_socket(instance_facts(instance));
	}
	/* what is started by its clients may have ended for want of any */
	return !activated || (asked && !unasked);
}

void service_states(const struct service *service, enum slot_state states[HS_SLOTS_MAX])
{
	for (unsigned i = 0; i < service->n_slots; i++) {
		const struct instance *instance = service->instances[i];
		struct slot_facts facts = {
			.unit = instance_facts(instance)->state,
			.unproven = instance_facts(instance)->has_post_commands,
		};

		if (service->plane) {
			facts.retired = plane_is_retired(service->plane, i);
			facts.suspect = plane_is_suspect(service->plane, i);
			facts.full = failover_is_full(service->failover, i);
			facts.sockets = plane_slot_sockets(service->plane, i);
			facts.incomplete = lacks_listener(service, i);
		}
		states[i] = slot_state_of(&facts);
	}
}

static void report_health(const struct service *service, struct service_report *report)
{
	struct slot_health health[HS_SLOTS_MAX];

	if (!health_of(service, health))
		return;
	for (unsigned i = 0; i < service->n_slots; i++) {
		report->slots[i].probed = true;
		report->slots[i].health = health[i].state;
		problem_set(&report->slots[i].health_reason, 0, "%s", health[i].reason);
	}
}

/* A state that says that something is wrong has a reason, always. */
static void describe_unadopted(const struct instance *instance, struct problem *ret_sentence)
{
	if (instance->service->problem.text[0])
		*ret_sentence = instance->service->problem;
	else if (instance_is_adopting(instance) || !instance->unadopted.text[0])
		problem_set(ret_sentence, 0, "its sockets are being looked for");
	else
		*ret_sentence = instance->unadopted;
}

static void report_slot(const struct service *service, unsigned slot, enum slot_state state,
			struct service_report *report)
{
	const struct instance *instance = service->instances[slot];
	struct slot_report *out = &report->slots[slot];

	report_read_unit(report, slot, instance_facts(instance));
	out->state = state;
	if (instance->silence)
		instance_describe_silence(instance, &out->problem);
	if (!out->problem.text[0] || (state == SLOT_FAILED && instance->explained))
		out->problem = instance->problem;
	outdated_read(service, slot, &out->outdated);
	if (state == SLOT_UNADOPTED && !out->problem.text[0])
		stray_describe(service->name, slot, instance_facts(instance), &out->problem);
	if (state == SLOT_UNADOPTED && !out->problem.text[0])
		describe_unadopted(instance, &out->problem);
	out->stalled_usec = hang_stalled(service->hang, slot);
	out->full = failover_is_full(service->failover, slot);
	if (service->failover && failover_problem(service->failover, slot)->text[0])
		out->problem = *failover_problem(service->failover, slot);
	if (state == SLOT_INCOMPLETE)
		plane_describe_missing(service->plane, slot,
				       hs_word_active(plane_word(service->plane)), &out->problem);
}

void service_report(struct service *service, struct service_report *ret_report)
{
	enum slot_state states[HS_SLOTS_MAX];

	foreign_watch_confirm(service);

	report_init(ret_report, service->name, service->n_slots);
	ret_report->manager = true;
	ret_report->known = service_is_known(service);
	ret_report->problem = service->problem;
	ret_report->foreign = service->foreign;
	ret_report->intake.wanted = service->config.intake;
	ret_report->failover = service->config.failover;
	if (service->failover)
		ret_report->hold_usec = failover_hold(service->failover);
	report_read_plane(ret_report, service->plane);
	report_read_force(ret_report, service->force);
	if (upgrade_run_blocks(service))
		snprintf(ret_report->change, sizeof(ret_report->change), "upgrade");
	else if (service->change)
		snprintf(ret_report->change, sizeof(ret_report->change), "%s",
			 change_run_verb(service->change));
	else if (service->exclusive)
		snprintf(ret_report->change, sizeof(ret_report->change), "%s",
			 exclusive_run_verb(service->exclusive));
	if (!ret_report->problem.text[0] && selection_problem(service->selection))
		ret_report->problem = *selection_problem(service->selection);
	if (service->plane && !ret_report->problem.text[0])
		exclusive_check(service, &ret_report->problem);
	if (service->plane && !ret_report->problem.text[0])
		pathguard_describe(service->pathguard, &ret_report->problem);
	service_states(service, states);
	for (unsigned i = 0; i < service->n_slots; i++)
		report_slot(service, i, states[i], ret_report);
	report_health(service, ret_report);
}

unsigned service_pick(const struct service *service, unsigned slot, bool take_unhealthy)
{
	struct slot_health buffer[HS_SLOTS_MAX];
	const struct slot_health *health = health_of(service, buffer);
	enum slot_state states[HS_SLOTS_MAX];
	unsigned to;

	service_states(service, states);
	to = slot_pick_fittest(states, health, service->n_slots, slot);
	if (to < HS_SLOTS_MAX && !take_unhealthy && health && health[to].state == HEALTH_BAD)
		return HS_SLOT_NONE;
	return to;
}

static unsigned pick_successor(const struct service *service, unsigned slot)
{
	uint32_t others;
	unsigned to = service_pick(service, slot, true);

	if (to < HS_SLOTS_MAX)
		return to;
	/* better one that is not in order than none: it is what the kernel falls through to as well
	 */
	others = plane_live_slots(service->plane) & ~(1U << slot);
	return others ? hs_lowest(others) : HS_SLOT_NONE;
}

static void drop_canary(struct service *service, unsigned slot)
{
	uint64_t word;

	do {
		word = plane_word(service->plane);
		if (hs_word_canary(word) != slot)
			return;
	} while (plane_swap_word(service->plane, word, word_with_canary(word, HS_SLOT_NONE, 0)));
}

/* Once; and what retire has told already is not told again. */
static void tell_none_left(struct service *service, unsigned slot)
{
	struct journal_scope scope = {service->name, slot, LOG_WARNING};

	if (service->loss_told || plane_is_retired(service->plane, slot))
		return;
	service->loss_told = true;
	journal_log(JOURNAL_FAILOVER, &scope,
		    "%s: slot %u is lost and no other is ready; %s until one is", service->name,
		    slot,
		    plane_has_park(service->plane) ? "new connections wait in the park"
						   : "clients are refused");
}

static void leave_active(struct service *service, unsigned slot)
{
	struct journal_scope scope = {service->name, slot, LOG_NOTICE};
	unsigned to = pick_successor(service, slot);
	uint64_t word = plane_word(service->plane);

	/* an exclusive change stops the active one, and says itself who comes after it */
	if (hs_word_active(word) != slot || hs_word_flags(word) & HS_FLAG_EXCLUSIVE)
		return;
	if (to >= HS_SLOTS_MAX) {
		tell_none_left(service, slot);
		return;
	}
	/* somebody else was faster: then it is done */
	if (plane_swap_word(service->plane, word, word_with_active(word, to)))
		return;
	scope.slot = to;
	journal_log(JOURNAL_FAILOVER, &scope, "%s: slot %u is lost; slot %u is active now",
		    service->name, slot, to);
}

void service_on_lost(struct service *service, unsigned slot)
{
	struct listener **listeners;
	size_t n;

	if (!service->plane)
		return;
	change_run_poke(service->change);
	upgrade_run_poke(service->upgrade);
	listeners = plane_listeners(service->plane, &n);
	for (size_t i = 0; i < n; i++)
		listener_tidy(listeners[i], slot);
	drop_canary(service, slot);
	health_poke(service->health);
	if (hs_word_active(plane_word(service->plane)) == slot)
		leave_active(service, slot);
	park_look(service->park);
	bus_emit_changed(service);
}

void service_check_active(struct service *service)
{
	unsigned active;

	if (!service->plane)
		return;
	active = hs_word_active(plane_word(service->plane));
	/* without another slot there is nothing to say that its unit will not say */
	if (active < service->n_slots && !plane_slot_sockets(service->plane, active) &&
	    plane_live_slots(service->plane))
		service_on_lost(service, active);
}
