// SPDX-License-Identifier: GPL-2.0-or-later
#include "service/whole/status.h"
#include "plane/front/decap.h"
#include "service/report/front_report.h"
#include "service/report/placement.h"

#include "plane/act/foreign.h"
#include "plane/borrow/borrow.h"
#include "plane/pathlink.h"
#include "service/change/exclusive_run.h"
#include "service/change/replay.h"
#include "service/failover/failover.h"
#include "service/keep/fastpath.h"
#include "service/keep/pathguard.h"
#include "service/slot/front_facts.h"
#include "service/slot/instance.h"
#include "service/slot/states.h"
#include "service/watch/foreign_watch.h"
#include "service/watch/hang.h"
#include "service/watch/health.h"
#include "service/watch/outdated_watch.h"
#include "service/watch/selection.h"
#include "service/whole/resume.h"
#include "system/unit/stray.h"
#include "util/clock.h"
#include "util/macro.h"

#define STALE_USEC (100 * USEC_PER_MSEC)

static void report_health(const struct service *service, struct service_report *report)
{
	struct slot_health health[HS_SLOTS_MAX];

	if (!service_health(service, health))
		return;
	for (unsigned i = 0; i < service->n_slots; i++) {
		report->slots[i].probed = true;
		report->slots[i].health = health[i].state;
		problem_set(&report->slots[i].health_reason, 0, "%s", health[i].reason);
	}
}

/* ---- where nobody has watched ---- */

static void find_foreign(const struct service *service, struct foreign_list *ret_list)
{
	struct foreign_scope scope = {.n_slots = service->n_slots};

	for (unsigned i = 0; i < scope.n_slots; i++) {
		const struct unit_facts *facts = instance_facts(service->instances[i]);

		scope.cgroups[i] = facts->control_group;
		scope.activated |= unit_has_socket(facts);
	}
	foreign_find(service->plane, &scope, ret_list);
}

static void describe_paths(const struct plane *plane, struct problem *ret_sentence)
{
	const char *wrong = pathlink_find_wrong(plane, NULL);

	pathlink_describe(plane, ret_sentence);
	if (wrong && !ret_sentence->text[0])
		pathlink_describe_wrong(plane, wrong, ret_sentence);
}

/* What is known elsewhere by then. Whether a slot is well nobody knows who has not asked it. */
static void look_now(const struct service *service, struct service_report *report)
{
	bool probed = service->config.health.n_probes;

	for (unsigned i = 0; i < service->n_slots; i++) {
		const struct unit_facts *facts = instance_facts(service->instances[i]);
		struct slot_report *out = &report->slots[i];

		if (facts->control_group[0])
			borrow_judge_outdated(facts->control_group, &out->outdated);
		out->probed = probed;
		out->health = HEALTH_UNKNOWN;
		problem_set(&out->health_reason, 0, "%s", probed ? "not asked without hsd" : "");
	}
	if (!service->plane)
		return;
	if (!report->problem.text[0])
		describe_paths(service->plane, &report->problem);
	find_foreign(service, &report->foreign);
}

/* ---- the slots ---- */

/* A state that says that something is wrong has a reason, always. */
static void describe_unadopted(const struct instance *instance, struct problem *ret_sentence)
{
	if (!host_has(instance->service->host, HOST_TENDS))
		problem_set(ret_sentence, 0,
			    "none of its sockets is in the kernel's map of the service, and there "
			    "is no hsd to tell why: hsctl adopt %s tries again, and says",
			    instance->unit);
	else if (instance->service->problem.text[0])
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

	if (service_is_front(service)) {
		out->state = state;
		return;
	}
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
	out->full = service_is_full(service, slot);
	if (service->troubles[slot].problem.text[0])
		out->problem = service->troubles[slot].problem;
	if (state == SLOT_INCOMPLETE)
		plane_describe_missing(service->plane, slot,
				       hs_word_active(plane_word(service->plane)), &out->problem);
}

/* "" = none. */
static const char *work_name(const struct service *service)
{
	enum service_work work = service_busy(service);

	if (work == SERVICE_RESUMING)
		return resume_verb(service);
	return work == SERVICE_IDLE ? "" : service->runs[work]->verb;
}

void service_report(struct service *service, struct service_report *ret_report)
{
	enum slot_state states[HS_SLOTS_MAX];

	foreign_watch_confirm(service);

	report_init(ret_report, service->name, service->n_slots);
	ret_report->manager = host_has(service->host, HOST_TENDS);
	ret_report->known = service_is_known(service);
	ret_report->problem = service->problem;
	ret_report->foreign = service->foreign;
	ret_report->intake.wanted = service->config.intake;
	ret_report->failover = service->config.failover;
	ret_report->exclusive = service->config.exclusive;
	if (service->failover)
		ret_report->hold_usec = failover_hold(service->failover);
	report_read_plane(ret_report, service->plane);
	if (service_is_front(service))
		front_report_listeners(&service->config.front, ret_report);
	report_read_force(ret_report, service->force);
	snprintf(ret_report->change, sizeof(ret_report->change), "%s", work_name(service));
	if (!ret_report->problem.text[0])
		ret_report->problem = service->unsettled.problem;
	if (!ret_report->problem.text[0] && selection_problem(service->selection))
		ret_report->problem = *selection_problem(service->selection);
	if (service->plane && !ret_report->problem.text[0])
		exclusive_check(service, &ret_report->problem);
	if (service->plane && !ret_report->problem.text[0])
		pathguard_describe(service->pathguard, &ret_report->problem);
	service_states(service, states);
	for (unsigned i = 0; i < service->n_slots; i++)
		report_slot(service, i, states[i], ret_report);
	if (host_has(service->host, HOST_WATCHES))
		report_health(service, ret_report);
	else
		look_now(service, ret_report);
}

/* What Replay= has come to; only where it is set. */
static void add_replay(const struct service *service, json_object *object)
{
	struct replay_report report = {.problem =
					       "only hsd remembers templates, and there is none"};
	json_object *replay;

	if (!replay_describe(service, &report) && service->config.replay == CONFIG_REPLAY_NO)
		return;
	replay = json_object_new_object();
	json_object_object_add(replay, "works", json_object_new_boolean(!report.problem[0]));
	json_object_object_add(replay, "problem",
			       report.problem[0] ? json_object_new_string(report.problem) : NULL);
	json_object_object_add(replay, "exporters", json_object_new_uint64(report.exporters));
	json_object_object_add(replay, "templates", json_object_new_uint64(report.templates));
	json_object_object_add(replay, "bytes", json_object_new_uint64(report.bytes));
	json_object_object_add(replay, "forgotten", json_object_new_uint64(report.forgotten));
	json_object_object_add(replay, "sent", json_object_new_uint64(report.sent));
	json_object_object_add(replay, "late", json_object_new_uint64(report.late));
	json_object_object_add(object, "replay", replay);
}

/* What of the settings was refused, and is tried again; only where there is any. */
static void add_unsettled(const struct service *service, json_object *object)
{
	if (service->unsettled.problem.text[0])
		json_object_object_add(object, "unsettled",
				       json_object_new_string(service->unsettled.problem.text));
}

/* What was taken out of a front's packets; only with Decap=yes. */
static void add_unpacked(const struct service *service, json_object *object)
{
	struct decap_totals totals = {0};
	json_object *unpacked;
	bool works;

	if (!service->config.front.decap || !service->plane)
		return;
	works = !decap_totals(plane_id(service->plane), &totals) && !service->unpacking.text[0];
	unpacked = json_object_new_object();
	json_object_object_add(unpacked, "works", json_object_new_boolean(works));
	json_object_object_add(unpacked, "problem",
			       service->unpacking.text[0]
				       ? json_object_new_string(service->unpacking.text)
				       : NULL);
	json_object_object_add(unpacked, "packets", json_object_new_uint64(totals.packets));
	json_object_object_add(unpacked, "bytes", json_object_new_uint64(totals.bytes));
	json_object_object_add(unpacked, "passed_on", json_object_new_uint64(totals.passed_on));
	json_object_object_add(object, "unpacked", unpacked);
}

json_object *service_to_json(struct service *service, bool may_see)
{
	_cleanup_(freep) struct service_report *report = malloc(sizeof(*report));
	json_object *object, *slots;

	if (!report)
		return NULL;
	service_report(service, report);
	report_read_rest(report, service->plane);
	report->withheld = !may_see;
	object = report_to_json(report);
	if (service->plane && json_object_object_get_ex(object, "slots", &slots))
		placement_add(service->plane, object, slots, !may_see);
	if (service_is_front(service) && json_object_object_get_ex(object, "slots", &slots))
		front_report_add(&service->config.front, service->plane, object, slots);
	add_unsettled(service, object);
	add_replay(service, object);
	add_unpacked(service, object);
	fastpath_describe(service, object);
	return object;
}

json_object *service_to_row(struct service *service)
{
	_cleanup_(freep) struct service_report *report = malloc(sizeof(*report));

	if (!report)
		return NULL;
	service_report(service, report);
	return report_to_row(report);
}

static char *describe(struct service *service, bool may_see)
{
	json_object *object = service_to_json(service, may_see);
	char *text = object ? report_text(object) : NULL;

	json_object_put(object);
	return text;
}

const char *service_describe(struct service *service, bool may_see)
{
	struct description *kept = may_see ? &service->described : &service->described_to_all;
	uint64_t now = now_usec();

	if (!may_see && kept->text && now < kept->until_usec)
		return kept->text;
	free(kept->text);
	kept->text = describe(service, may_see);
	kept->until_usec = now + STALE_USEC;
	return kept->text;
}
