// SPDX-License-Identifier: GPL-2.0-or-later
#include "service/report/report.h"

#include <string.h>
#include <time.h>

#include "plane/peers.h"
#include "util/macro.h"
#include "util/text.h"

void report_init(struct service_report *report, const char *service, unsigned n_slots)
{
	memset(report, 0, sizeof(*report));
	snprintf(report->service, sizeof(report->service), "%s", service);
	report->word = WORD_INITIAL;
	report->known = true;
	report->n_slots = MIN(n_slots, (unsigned)HS_SLOTS_MAX);
	for (unsigned i = 0; i < report->n_slots; i++) {
		name_unit(service, i, report->slots[i].unit, sizeof(report->slots[i].unit));
		report->slots[i].role = ROLE_STANDBY;
	}
}

/* Addresses that the park alone keeps. */
static void read_held(struct service_report *report, const struct plane *plane)
{
	uint64_t cookies[HS_SHARDS_MAX];
	size_t n;
	struct listener **listeners = plane_listeners(plane, &n);

	for (size_t i = 0; i < n; i++)
		if (listener_sockets(listeners[i], HS_SLOT_PARK, cookies) &&
		    !listener_live_slots(listeners[i]))
			report->held[report->n_held++] = listeners[i]->address;
}

static void read_listeners(struct service_report *report, const struct plane *plane)
{
	size_t n;
	struct listener **listeners = plane_listeners(plane, &n);
	uint64_t cookies[HS_SHARDS_MAX];

	for (size_t i = 0; i < n; i++)
		for (unsigned slot = 0; slot < report->n_slots; slot++)
			if (listener_sockets(listeners[i], slot, cookies)) {
				report->listeners[report->n_listeners++] = listeners[i]->address;
				break;
			}
}

static void read_paths(struct service_report *report, const struct plane *plane)
{
	const char *live[HS_PATHS_MAX];

	report->n_paths = paths_live(plane_paths(plane), live);
	for (unsigned i = 0; i < report->n_paths; i++)
		snprintf(report->paths[i], sizeof(report->paths[i]), "%.*s", HS_PATH_MAX - 1,
			 live[i]);
}

void report_read_plane(struct service_report *report, const struct plane *plane)
{
	uint32_t queued[HS_PLACES_MAX] = {0};
	struct plane_totals totals = {0};

	if (!plane)
		return;
	report->planted = true;
	report->accounting = plane_accounting(plane);
	report->word = plane_word(plane);
	read_listeners(report, plane);
	read_paths(report, plane);
	read_held(report, plane);
	plane_totals(plane, &totals);
	plane_queued(plane, queued);
	report->flows_evicted = totals.flows_evicted;
	report->park_ready = plane_has_park(plane);
	report->parked = queued[HS_SLOT_PARK];
	report->nothing_to_choose = totals.nothing_to_choose;
	report->previewed = totals.previewed;
	report->preview_misses = totals.preview_misses;
	plane_canary_filter(plane, &report->canary);
	report->events_lost = totals.events_lost;
	for (unsigned i = 0; i < report->n_slots; i++) {
		report->slots[i].role = slot_role_of(report->word, i);
		report->slots[i].sockets = plane_slot_sockets(plane, i);
		report->slots[i].totals = totals.slots[i];
		report->slots[i].queued = queued[i];
		report->slots[i].retired = plane_is_retired(plane, i);
		report->slots[i].suspect = plane_is_suspect(plane, i);
	}
}

void report_read_rest(struct service_report *report, const struct plane *plane)
{
	uint64_t peers[HS_SLOTS_MAX], drops[HS_SLOTS_MAX];
	struct slot_flows flows[HS_SLOTS_MAX];

	if (!plane)
		return;
	plane_flows(plane, flows);
	report->has_flows = plane_has_flows(plane);
	report->has_peers = plane_peers(plane, peers) > 0;
	report->has_drops = plane_drops(plane, drops) > 0;
	report->has_ledger = plane_ledger(plane);
	if (report->has_ledger)
		report->ledger = *plane_ledger(plane);
	for (unsigned i = 0; i < report->n_slots; i++) {
		report->slots[i].flows = flows[i].n;
		report->slots[i].peers = peers[i];
		report->slots[i].drops = drops[i];
	}
}

void report_read_force(struct service_report *report, const struct force *force)
{
	struct force_counts counts;

	if (!force)
		return;
	counts = force_counts(force);
	report->intake.own_seen = counts.had;
	report->intake.bare_seen = counts.forced || counts.refused;
}

/* Why there is no instance, or is none for long: else that is known to systemd alone. */
static void tell_ending(struct slot_report *slot, const char *unit, const struct ending *ending)
{
	bool failed = slot->state == SLOT_FAILED, ended = ending->code;
	char text[ENDING_TEXT_MAX];

	/* one that is started anew after its crash has a word of it as well */
	if (slot->state == SLOT_UNKNOWN)
		problem_set(&slot->problem, 0,
			    "systemd has not told about %s yet; it is asked again", unit);
	if (!failed && !(slot->state == SLOT_STARTING && !slot->main_pid && ended))
		return;
	ending_describe(ending, text);
	problem_set(&slot->problem, 0, "its %s%s%s; see journalctl -u %s",
		    failed ? "unit has failed" : "last run ended", text[0] ? ": " : "", text, unit);
}

void report_read_unit(struct service_report *report, unsigned slot, const struct unit_facts *facts)
{
	struct slot_report *out = &report->slots[slot];
	char unit[UNIT_NAME_MAX];
	struct slot_facts state = {
		.unit = facts->state,
		.sockets = out->sockets,
		.retired = out->retired,
		.suspect = out->suspect,
		.unproven = facts->has_post_commands,
	};

	report->known &= facts->state != UNIT_UNKNOWN;
	report->intake.socket_units |= unit_has_socket(facts);
	out->main_pid = facts->main_pid;
	out->since_usec = facts->since_usec;
	out->state = slot_state_of(&state);
	(void)name_unit(report->service, slot, unit, sizeof(unit));
	tell_ending(out, unit, &facts->ending);
}

static void add_text(json_object *object, const char *key, const char *text)
{
	json_object_object_add(object, key, text && text[0] ? json_object_new_string(text) : NULL);
}

static void add_number(json_object *object, const char *key, uint64_t number)
{
	json_object_object_add(object, key, json_object_new_uint64(number));
}

/* Of those that wait. */
static void add_count(json_object *object, const char *key, uint32_t count)
{
	json_object_object_add(object, key,
			       count != QUEUED_UNKNOWN ? json_object_new_uint64(count) : NULL);
}

static void add_slot(json_object *object, const char *key, unsigned slot)
{
	json_object_object_add(object, key, slot < HS_SLOTS_MAX ? json_object_new_int(slot) : NULL);
}

/* RFC 3339 in UTC, with milliseconds. */
static void add_time(json_object *object, const char *key, uint64_t usec)
{
	time_t seconds = usec / USEC_PER_SEC;
	char day[32], text[48] = "";
	struct tm tm;

	if (usec && gmtime_r(&seconds, &tm) && strftime(day, sizeof(day), "%FT%T", &tm))
		snprintf(text, sizeof(text), "%s.%03uZ", day,
			 (unsigned)(usec % USEC_PER_SEC / USEC_PER_MSEC));
	add_text(object, key, text);
}

/* NULL = it runs what is on the disk, as far as that is known. */
static json_object *outdated_to_json(const struct outdated *outdated)
{
	json_object *object;
	char text[OUTDATED_TEXT_MAX];

	if (!outdated->files)
		return NULL;
	object = json_object_new_object();
	add_text(object, "path", outdated->of.path);
	add_number(object, "files", outdated->files);
	json_object_object_add(object, "removed", json_object_new_boolean(outdated->of.removed));
	add_time(object, "since", outdated->of.since_usec);
	add_text(object, "text", outdated_describe(outdated, text));
	return object;
}

static json_object *slot_to_json(const struct service_report *report, unsigned slot)
{
	const struct slot_report *in = &report->slots[slot];
	json_object *object = json_object_new_object();

	add_number(object, "slot", slot);
	add_text(object, "unit", in->unit);
	add_text(object, "role", slot_role_to_string(in->role));
	add_text(object, "state", slot_state_to_string(in->state));
	json_object_object_add(object, "main_pid",
			       in->main_pid ? json_object_new_int(in->main_pid) : NULL);
	add_number(object, "sockets", in->sockets);
	json_object_object_add(object, "connections",
			       report->accounting ? json_object_new_uint64(in->totals.connections)
						  : NULL);
	json_object_object_add(object, "flows",
			       report->has_flows ? json_object_new_uint64(in->flows) : NULL);
	json_object_object_add(object, "udp_clients",
			       report->has_peers ? json_object_new_uint64(in->peers) : NULL);
	add_count(object, "queued", in->queued);
	json_object_object_add(
		object, "stalled_ms",
		in->stalled_usec ? json_object_new_uint64(in->stalled_usec / USEC_PER_MSEC) : NULL);
	json_object_object_add(object, "full", json_object_new_boolean(in->full));
	add_number(object, "chosen", in->totals.chosen);
	add_number(object, "fell_through", in->totals.fell_through);
	json_object_object_add(object, "opened",
			       report->accounting ? json_object_new_uint64(in->totals.opened)
						  : NULL);
	json_object_object_add(object, "datagrams_dropped",
			       report->has_drops ? json_object_new_uint64(in->drops) : NULL);
	add_number(object, "migrated_in", in->totals.migrated_in);
	add_text(object, "health", in->probed ? health_state_to_string(in->health) : NULL);
	add_text(object, "health_reason", in->probed ? in->health_reason.text : NULL);
	add_time(object, "since", in->since_usec);
	json_object_object_add(object, "outdated", outdated_to_json(&in->outdated));
	add_text(object, "problem", in->problem.text);
	return object;
}

static json_object *held_to_json(const struct service_report *report)
{
	json_object *list = json_object_new_array();
	char text[ADDRESS_TEXT_MAX];

	for (unsigned i = 0; i < report->n_held; i++)
		json_object_array_add(
			list, json_object_new_string(address_format(&report->held[i], text)));
	return list;
}

static json_object *listeners_to_json(const struct service_report *report)
{
	json_object *array = json_object_new_array();
	char text[ADDRESS_TEXT_MAX];

	for (unsigned i = 0; i < report->n_listeners; i++) {
		json_object *object = json_object_new_object();

		add_text(object, "protocol", report->listeners[i].udp ? "udp" : "tcp");
		add_text(object, "address", address_format(&report->listeners[i], text));
		json_object_array_add(array, object);
	}
	for (unsigned i = 0; i < report->n_paths; i++) {
		json_object *object = json_object_new_object();

		add_text(object, "protocol", "unix");
		add_text(object, "address", report->paths[i]);
		json_object_array_add(array, object);
	}
	return array;
}

/* That somebody is there is told to everybody, who it is not. */
static json_object *foreign_to_json(const struct foreign_list *list, bool withheld)
{
	json_object *array = json_object_new_array();
	char text[ADDRESS_TEXT_MAX];

	for (unsigned i = 0; i < list->n; i++) {
		const struct foreign *foreign = &list->found[i];
		json_object *object = json_object_new_object();

		json_object_object_add(object, "pid",
				       withheld ? NULL
						: json_object_new_uint64(foreign->holder.pid));
		add_text(object, "comm", withheld ? NULL : foreign->holder.comm);
		add_text(object, "unit", withheld ? NULL : foreign->holder.unit);
		add_text(object, "protocol", foreign->address.udp ? "udp" : "tcp");
		add_text(object, "address", address_format(&foreign->address, text));
		json_object_object_add(object, "in_front",
				       json_object_new_boolean(foreign->in_front));
		json_object_array_add(array, object);
	}
	return array;
}

static json_object *bounds_to_json(void)
{
	json_object *list = json_object_new_array();

	for (unsigned i = 0; i < LEDGER_BOUNDS; i++)
		json_object_array_add(list, json_object_new_uint64(ledger_bound(i)));
	return list;
}

/* How many took no longer, by bound. NULL: there was none. */
static json_object *within_to_json(const struct ledger_changes *changes)
{
	json_object *list;
	uint64_t n = 0;

	if (!changes->longest_usec)
		return NULL;
	list = json_object_new_array();
	for (unsigned i = 0; i < LEDGER_BOUNDS; i++) {
		n += changes->within[i];
		json_object_array_add(list, json_object_new_uint64(n));
	}
	return list;
}

static json_object *verb_to_json(const struct ledger *ledger, enum ledger_verb verb)
{
	const struct ledger_changes *changes = &ledger->changes[verb];
	json_object *object = json_object_new_object();

	add_text(object, "verb", ledger_verb_to_string(verb));
	for (unsigned i = 0; i < LEDGER_OUTCOME_COUNT; i++)
		add_number(object, ledger_outcome_to_string(i), changes->ended[i]);
	add_number(object, "duration_us", changes->duration_usec);
	add_number(object, "longest_us", changes->longest_usec);
	json_object_object_add(object, "within", within_to_json(changes));
	return object;
}

static json_object *changes_to_json(const struct ledger *ledger)
{
	json_object *object = json_object_new_object(), *verbs = json_object_new_array();

	for (unsigned i = 0; i < LEDGER_VERB_COUNT; i++)
		json_object_array_add(verbs, verb_to_json(ledger, i));
	add_time(object, "last", ledger->last_usec);
	json_object_object_add(object, "bounds_us", bounds_to_json());
	json_object_object_add(object, "verbs", verbs);
	return object;
}

static json_object *drills_to_json(const struct ledger *ledger)
{
	json_object *object = json_object_new_object();

	add_time(object, "last", ledger->drill_usec);
	add_time(object, "last_passed", ledger->drill_passed_usec);
	for (unsigned i = 0; i < DRILL_VERDICT_COUNT; i++)
		add_number(object, drill_verdict_to_string(i), ledger->drills[i]);
	return object;
}

void report_canary(json_object *object, const struct canary_filter *filter)
{
	json_object *from = json_object_new_array();
	char text[PREFIX_TEXT_MAX];

	for (unsigned i = 0; i < filter->n; i++)
		json_object_array_add(
			from, json_object_new_string(prefix_format(&filter->prefixes[i], text)));
	json_object_object_add(object, "canary_by", json_object_new_string(canary_by(filter)));
	json_object_object_add(object, "canary_from", from);
}

json_object *report_to_json(const struct service_report *report)
{
	json_object *object = json_object_new_object(), *slots = json_object_new_array();
	char share[32];

	for (unsigned i = 0; i < report->n_slots; i++)
		json_object_array_add(slots, slot_to_json(report, i));
	add_text(object, "service", report->service);
	add_text(object, "policy", policy_to_string(hs_word_policy(report->word)));
	add_number(object, "generation", word_generation(report->word));
	add_slot(object, "active", hs_word_active(report->word));
	add_slot(object, "canary", hs_word_canary(report->word));
	snprintf(share, sizeof(share), "%.6g", hs_word_share(report->word) / 65536.0);
	json_object_object_add(object, "canary_share",
			       json_object_new_double_s(hs_word_share(report->word) / 65536.0,
							strcmp(share, "0") ? share : "0.0"));
	report_canary(object, &report->canary);
	json_object_object_add(object, "manager", json_object_new_boolean(report->manager));
	json_object_object_add(object, "known", json_object_new_boolean(report->known));
	add_text(object, "failover", config_failover_to_string(report->failover));
	add_number(object, "hold_ms", report->hold_usec / USEC_PER_MSEC);
	add_text(object, "intake", config_intake_to_string(intake_of(&report->intake)));
	json_object_object_add(object, "exclusive", json_object_new_boolean(report->exclusive));
	add_text(object, "change", report->change);
	json_object_object_add(object, "changes",
			       report->has_ledger ? changes_to_json(&report->ledger) : NULL);
	json_object_object_add(object, "drills",
			       report->has_ledger ? drills_to_json(&report->ledger) : NULL);
	json_object_object_add(object, "listeners", listeners_to_json(report));
	json_object_object_add(object, "slots", slots);
	json_object_object_add(object, "foreign",
			       foreign_to_json(&report->foreign, report->withheld));
	json_object_object_add(
		object, "park",
		json_object_new_boolean(hs_word_flags(report->word) & HS_FLAG_PARK_ALL));
	json_object_object_add(object, "park_ready", json_object_new_boolean(report->park_ready));
	add_count(object, "parked", report->parked);
	json_object_object_add(object, "held", held_to_json(report));
	add_number(object, "unrouted", report->nothing_to_choose);
	add_number(object, "events_lost", report->events_lost);
	add_number(object, "flows_evicted", report->flows_evicted);
	add_number(object, "previewed", report->previewed);
	add_number(object, "preview_misses", report->preview_misses);
	add_text(object, "problem", report->problem.text);
	return object;
}

/* "connections" is 0 where they are not counted, as a sum of what is not there. */
json_object *report_to_row(const struct service_report *report)
{
	json_object *object = json_object_new_object();
	uint64_t ready = 0, unknown = 0, full = 0, connections = 0, outdated = 0;

	for (unsigned i = 0; i < report->n_slots; i++) {
		const struct slot_report *slot = &report->slots[i];

		ready += slot->state == SLOT_READY;
		unknown += slot->state == SLOT_UNKNOWN;
		full += slot->full;
		connections += report->accounting ? slot->totals.connections : 0;
		outdated += slot->outdated.files > 0;
	}
	add_text(object, "service", report->service);
	add_text(object, "policy", policy_to_string(hs_word_policy(report->word)));
	add_slot(object, "active", hs_word_active(report->word));
	add_number(object, "ready", ready);
	add_number(object, "unknown", unknown);
	add_number(object, "full", full);
	add_number(object, "slots", report->n_slots);
	add_number(object, "connections", connections);
	add_number(object, "outdated", outdated);
	json_object_object_add(
		object, "park",
		json_object_new_boolean(hs_word_flags(report->word) & HS_FLAG_PARK_ALL));
	add_count(object, "parked", report->parked);
	json_object_object_add(object, "listeners", listeners_to_json(report));
	add_text(object, "problem", report->problem.text);
	return object;
}

json_object *report_manager(const struct manager_report *report)
{
	json_object *object = json_object_new_object();

	add_text(object, "version", report->version);
	add_time(object, "started", report->started_usec);
	add_number(object, "starts", report->starts);
	add_number(object, "turns", report->turns);
	add_number(object, "busy_us", report->busy_usec);
	add_number(object, "longest_turn_us", report->longest_turn_usec);
	add_number(object, "services", report->n_services);
	add_number(object, "missing", report->n_missing);
	return object;
}

json_object *report_change(const struct switchover *s, const char *service,
			   const struct switchover_result *result)
{
	json_object *object = json_object_new_object();
	struct problem sentence = {0};

	switchover_describe(s, service, result, &sentence);
	add_text(object, "service", service);
	add_text(object, "verb", switchover_verb_to_string(s->plan.verb));
	add_slot(object, "from", s->plan.from);
	add_slot(object, "to", s->plan.to);
	add_text(object, "outcome", switchover_step_name(s));
	add_number(object, "duration_us", result->duration_usec);
	add_number(object, "flip_ns", result->flip_nsec);
	add_number(object, "moved", result->moved);
	add_number(object, "finished", result->finished);
	add_number(object, "remaining", result->remaining);
	add_text(object, "then", switchover_then_to_string(s->plan.then));
	add_text(object, "message", sentence.text);
	return object;
}

/* What every step has, see hsctl(1). */
static json_object *new_step(const char *service, const char *step, unsigned from, unsigned to,
			     uint64_t elapsed_usec)
{
	json_object *object = json_object_new_object();

	add_text(object, "service", service);
	add_text(object, "step", step);
	add_slot(object, "from", from);
	add_slot(object, "to", to);
	add_number(object, "elapsed_us", elapsed_usec);
	return object;
}

json_object *report_progress(const struct switchover *s, const char *service, uint64_t now)
{
	json_object *object = new_step(service, switchover_step_name(s), s->plan.from, s->plan.to,
				       now - s->begun);
	struct problem line = {0};

	switchover_progress(s, &line);
	add_number(object, "remaining", s->remaining);
	add_text(object, "text", line.text);
	return object;
}

json_object *report_exclusive(const struct exclusive *e, const char *service, uint64_t now,
			      uint32_t waited)
{
	json_object *object = json_object_new_object();
	struct problem sentence = {0};

	exclusive_describe(e, service, now, waited, &sentence);
	add_text(object, "service", service);
	add_text(object, "verb", switchover_verb_to_string(e->plan.verb));
	add_slot(object, "from", e->plan.from);
	add_slot(object, "to", e->plan.to);
	add_text(object, "outcome", exclusive_step_name(e));
	add_number(object, "duration_us", now - e->begun);
	add_count(object, "moved", waited);
	add_number(object, "remaining", 0);
	add_text(object, "then", "stop");
	json_object_object_add(object, "exclusive", json_object_new_boolean(true));
	add_text(object, "message", sentence.text);
	return object;
}

json_object *report_exclusive_progress(const struct exclusive *e, const char *service, uint64_t now)
{
	json_object *object =
		new_step(service, exclusive_step_name(e), e->plan.from, e->plan.to, now - e->begun);
	struct problem line = {0};

	exclusive_progress(e, &line);
	add_slot(object, "slot", e->plan.to);
	add_number(object, "remaining", e->remaining);
	add_count(object, "waiting", e->waiting);
	json_object_object_add(object, "exclusive", json_object_new_boolean(true));
	add_text(object, "text", line.text);
	return object;
}

json_object *report_upgrade(const struct upgrade *u, const char *service, uint64_t now)
{
	json_object *object = json_object_new_object();
	struct problem sentence = {0};

	upgrade_describe(u, service, now, &sentence);
	add_text(object, "service", service);
	add_text(object, "verb", "upgrade");
	add_slot(object, "from", u->plan.from);
	add_slot(object, "to", u->plan.to);
	add_text(object, "outcome", "done");
	add_number(object, "duration_us", now - u->begun);
	json_object_object_add(object, "exclusive", json_object_new_boolean(u->plan.exclusive));
	add_text(object, "message", sentence.text);
	return object;
}

json_object *report_upgrade_back(const struct upgrade *u, const char *service, uint64_t now)
{
	json_object *object = report_upgrade(u, service, now);

	add_text(object, "verb", "rollback");
	add_slot(object, "from", u->plan.to);
	add_slot(object, "to", u->plan.from);
	return object;
}

json_object *report_rolling(const struct rolling *r, const char *service, uint64_t now)
{
	json_object *object = json_object_new_object();
	struct problem sentence = {0};

	rolling_describe(r, service, now, &sentence);
	add_text(object, "service", service);
	add_text(object, "verb", "upgrade");
	add_slot(object, "from", HS_SLOT_NONE);
	add_slot(object, "to", HS_SLOT_NONE);
	add_text(object, "outcome", r->state == ROLLING_DONE ? "done" : "undone");
	add_number(object, "upgraded", r->upgraded);
	add_number(object, "duration_us", now - r->begun);
	add_text(object, "message", sentence.text);
	return object;
}

json_object *report_rolling_progress(const struct rolling *r, const char *service, uint64_t now,
				     uint64_t left)
{
	json_object *object = new_step(service, rolling_state_to_string(r->state), HS_SLOT_NONE,
				       rolling_slot(r), now - r->begun);
	struct problem line = {0};

	rolling_progress(r, left, &line);
	add_slot(object, "slot", rolling_slot(r));
	add_number(object, "remaining", left);
	json_object_object_add(object, "share", json_object_new_double(0));
	add_number(object, "upgraded", r->upgraded);
	add_text(object, "text", line.text);
	return object;
}

json_object *report_upgrade_progress(const struct upgrade *u, const char *service, uint64_t now,
				     uint64_t remaining)
{
	json_object *object = new_step(service, upgrade_state_to_string(u->state), u->plan.from,
				       u->plan.to, now - u->begun);
	struct problem line = {0};

	upgrade_progress(u, now, remaining, &line);
	add_slot(object, "slot", upgrade_slot(u));
	add_number(object, "remaining", remaining);
	json_object_object_add(object, "share", json_object_new_double(upgrade_share(u) / 65536.0));
	add_text(object, "text", line.text);
	return object;
}

json_object *report_drain(const struct drain *d, const char *service, uint64_t now,
			  json_object *last, const char *message)
{
	static const char *const keys[] = {"oldest_ms", "idle", "longest_idle_ms"};
	json_object *object = json_object_new_object();

	add_text(object, "service", service);
	add_slot(object, "slot", d->plan.slot);
	add_text(object, "outcome", drain_outcome(d));
	add_number(object, "finished", d->at_first > d->left ? d->at_first - d->left : 0);
	add_number(object, "remaining", d->left);
	add_number(object, "duration_us", now - d->begun);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		json_object *value = NULL;

		json_object_object_get_ex(last, keys[i], &value);
		json_object_object_add(object, keys[i], json_object_get(value));
	}
	add_text(object, "message", message);
	return object;
}

json_object *report_drain_progress(const struct drain *d, const char *service, uint64_t now)
{
	json_object *object =
		new_step(service, drain_step_name(d), d->plan.slot, HS_SLOT_NONE, now - d->begun);
	struct problem line = {0};

	drain_progress(d, now, &line);
	add_slot(object, "slot", d->plan.slot);
	add_number(object, "remaining", d->left);
	add_text(object, "text", line.text);
	return object;
}

char *report_text(json_object *object)
{
	const char *text = json_object_to_json_string_ext(
		object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
	char *copy = text ? strdup(text) : NULL;

	/* all were good when they were read; one that is not would take the whole answer along */
	return copy ? text_tame(copy) : NULL;
}
