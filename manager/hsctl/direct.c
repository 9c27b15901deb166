// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsctl/direct.h"

#include <string.h>

#include "hsctl/apart.h"
#include "hsctl/json.h"
#include "plane/act/nudge.h"
#include "plane/act/retire.h"
#include "plane/act/shed.h"
#include "plane/borrow/borrow.h"
#include "plane/bpf/pins.h"
#include "plane/pathlink.h"
#include "service/change/change.h"
#include "service/change/parking.h"
#include "system/configfile.h"
#include "system/unit/stray.h"
#include "util/macro.h"
#include "util/strings.h"

#define SYSTEMD_SOCKET "unix:path=/run/systemd/private"

/* systemd answers at once, or something is wrong with it. */
#define SYSTEMD_TIMEOUT (5 * USEC_PER_SEC)

static int need_root(struct problem *problem, int error)
{
	return problem_set(problem, error,
			   "without hsd this needs root; run it with sudo, or start hsd: "
			   "systemctl start hsd");
}

/* Its own socket, for root only. No bus has to run for it. */
static int open_private(sd_bus **ret_bus)
{
	_cleanup_(sd_bus_unrefp) sd_bus *bus = NULL;
	int r = sd_bus_new(&bus);

	if (r >= 0)
		r = sd_bus_set_address(bus, SYSTEMD_SOCKET);
	if (r >= 0)
		r = sd_bus_start(bus);
	if (r < 0)
		return r;
	*ret_bus = steal_ptr(&bus);
	return 0;
}

/* It did not answer once: it is not waited for again, about hundreds of units. */
static bool systemd_is_silent;

sd_bus *direct_systemd(void)
{
	sd_bus *bus = NULL;

	if (systemd_is_silent || (open_private(&bus) < 0 && sd_bus_open_system(&bus) < 0))
		return NULL;
	sd_bus_set_method_call_timeout(bus, SYSTEMD_TIMEOUT);
	return bus;
}

/* Counts are there if they were there before: a look at things makes nothing. */
static int open_accounting(struct accounting **ret_accounting, struct problem *problem)
{
	_cleanup_(close_fdp) int link = -1;
	int r = pin_open(HS_PIN_ROOT "/" HS_PIN_ACCOUNTING "/link", &link);

	if (r == -EACCES || r == -EPERM)
		return need_root(problem, r);
	if (!r && accounting_open(ret_accounting, NULL) < 0)
		*ret_accounting = NULL;
	return 0;
}

static int open_plane(struct direct *direct, struct problem *problem)
{
	int r = netns_join_init();

	if (!r)
		r = open_accounting(&direct->accounting, problem);
	if (r == -EACCES || r == -EPERM)
		return need_root(problem, r);
	if (r < 0)
		return r;
	problem_set(problem, 0, "cannot open what is pinned for %s", direct->service);
	r = plane_open(direct->service, direct->accounting, &direct->plane, problem);
	if (r == -EACCES || r == -EPERM)
		return need_root(problem, r);
	if (r == -ENOENT)
		return problem_set(problem, r,
				   "nothing is pinned in the kernel for %s; see hsctl list, or put "
				   "it under hotstandby: hsctl enable %s@.service",
				   direct->service, direct->service);
	return r;
}

/* Without good settings the defaults hold: what is asked for here works with any. */
static void load_config(struct direct *direct)
{
	if (configfile_load(direct->service, &direct->config, NULL) < 0)
		config_init(&direct->config);
}

int direct_open(const char *service, struct direct *ret_direct, struct problem *problem)
{
	struct direct direct = {0};
	int r;

	snprintf(direct.service, sizeof(direct.service), "%s", service);
	load_config(&direct);
	r = open_plane(&direct, problem);
	if (r < 0) {
		direct_close(&direct);
		return r;
	}
	direct.systemd = direct_systemd();
	*ret_direct = direct;
	return 0;
}

void direct_close(struct direct *direct)
{
	plane_free(direct->plane);
	accounting_free(direct->accounting);
	sd_bus_close_unref(direct->systemd);
	*direct = (struct direct) {0};
}

void direct_unit(const struct direct *direct, unsigned slot, struct unit_facts *ret_facts)
{
	char unit[UNIT_NAME_MAX], cgroup[CONFIG_CGROUP_MAX];
	bool live = direct->plane && plane_slot_sockets(direct->plane, slot);
	int r = -ENOTCONN;

	if (direct->systemd && !name_unit(direct->service, slot, unit, sizeof(unit)))
		r = units_query(direct->systemd, unit, ret_facts, NULL);
	if (!r && config_cgroup(&direct->config, slot, cgroup))
		unit_facts_set_cgroup(ret_facts, cgroup);
	if (!r && direct->plane)
		plane_set_cgroup(direct->plane, slot, ret_facts->control_group);
	if (!r)
		return;
	if (r == -ETIMEDOUT) {
		systemd_is_silent = true;
		sd_bus_close(direct->systemd);
	}
	*ret_facts = (struct unit_facts) {.state = live ? UNIT_RUNNING : UNIT_UNKNOWN};
}

static bool lacks_listener(const struct plane *plane, unsigned slot)
{
	unsigned active = hs_word_active(plane_word(plane));

	return slot != active && active < HS_SLOTS_MAX && plane_is_missing(plane, slot, active);
}

/* What is to be done with the sockets of one slot. */
struct touch {
	const struct direct *direct;
	const char *cgroup;
	unsigned slot;
	bool keep_in_map;
};

static int do_bounce(void *data)
{
	const struct touch *touch = data;

	return bounce(touch->direct->plane, touch->slot, touch->cgroup, touch->keep_in_map);
}

int direct_bounce(const struct direct *direct, unsigned slot, const char *cgroup, bool keep_in_map,
		  struct problem *problem)
{
	struct touch touch = {direct, cgroup, slot, keep_in_map};
	int r;

	problem_set(problem, 0, "%s", "");
	r = apart_run(do_bounce, &touch, sizeof(touch), problem);
	return r < 0 && !problem->text[0] ? problem_set(problem, r, "%s", strerror(-r)) : r;
}

static int do_shed(void *data)
{
	const struct touch *touch = data;

	return shed_sockets(touch->direct->plane, touch->slot, touch->cgroup);
}

int direct_shed(const struct direct *direct, unsigned slot, const char *cgroup)
{
	struct touch touch = {direct, cgroup, slot, false};

	return apart_run(do_shed, &touch, sizeof(touch), NULL);
}

static int do_nudge(void *data)
{
	const struct touch *touch = data;

	return nudge(touch->direct->plane, touch->cgroup);
}

/* Most kernels do that by themselves, and it is not worth a test here: it does no harm. */
void direct_nudge(const struct direct *direct, unsigned from)
{
	struct touch touch = {.direct = direct};
	struct problem problem;

	for (unsigned i = 0; i < direct->config.slots; i++) {
		struct unit_facts facts = {0};

		if (i == from || !plane_slot_sockets(direct->plane, i))
			continue;
		direct_unit(direct, i, &facts);
		touch.cgroup = facts.control_group;
		if (apart_run(do_nudge, &touch, sizeof(touch), &problem) == -ETIMEDOUT)
			complain("slot %u was not woken: %s", i, problem.text);
		unit_facts_done(&facts);
	}
}

void direct_states(const struct direct *direct, enum slot_state states[HS_SLOTS_MAX])
{
	for (unsigned i = 0; i < direct->config.slots; i++) {
		struct unit_facts unit = {0};
		struct slot_facts facts = {
			.retired = plane_is_retired(direct->plane, i),
			.suspect = plane_is_suspect(direct->plane, i),
			.sockets = plane_slot_sockets(direct->plane, i),
			.incomplete = lacks_listener(direct->plane, i),
		};

		direct_unit(direct, i, &unit);
		facts.unit = unit.state;
		facts.unproven = unit.has_post_commands;
		states[i] = slot_state_of(&facts);
		unit_facts_done(&unit);
	}
}

/* ---- looking ---- */

static void report_slot(const struct direct *direct, unsigned slot, struct service_report *report)
{
	struct slot_report *out = &report->slots[slot];
	struct unit_facts facts = {0};

	direct_unit(direct, slot, &facts);
	report_read_unit(report, slot, &facts);
	if (out->state == SLOT_UNADOPTED && !out->problem.text[0])
		stray_describe(direct->service, slot, &facts, &out->problem);
	if (facts.control_group[0])
		borrow_judge_outdated(facts.control_group, &out->outdated);
	unit_facts_done(&facts);
	if (out->state == SLOT_UNADOPTED && !out->problem.text[0])
		problem_set(&out->problem, 0,
			    "none of its sockets is in the kernel's map of the service, and there "
			    "is no hsd to tell why: hsctl adopt %s tries again, and says",
			    out->unit);
	if (out->state != SLOT_READY || !direct->plane || !lacks_listener(direct->plane, slot))
		return;
	out->state = SLOT_INCOMPLETE;
	plane_describe_missing(direct->plane, slot, hs_word_active(plane_word(direct->plane)),
			       &out->problem);
}

/* Others on the service's addresses. */
static void find_foreign(const struct direct *direct, struct foreign_list *ret_list)
{
	struct unit_facts facts[HS_SLOTS_MAX] = {0};
	struct foreign_scope scope = {.n_slots = direct->config.slots};

	for (unsigned i = 0; i < scope.n_slots; i++) {
		direct_unit(direct, i, &facts[i]);
		scope.cgroups[i] = facts[i].control_group;
		scope.activated |= unit_has_socket(&facts[i]);
	}
	foreign_find(direct->plane, &scope, ret_list);
	for (unsigned i = 0; i < scope.n_slots; i++)
		unit_facts_done(&facts[i]);
}

/* Where listeners in other network namespaces are, the units' processes tell. */
void direct_locate(const struct direct *direct)
{
	for (unsigned i = 0; i < direct->config.slots; i++) {
		struct unit_facts facts = {0};

		direct_unit(direct, i, &facts);
		plane_locate(direct->plane, facts.control_group);
		unit_facts_done(&facts);
	}
}

static void describe_paths(const struct plane *plane, struct problem *ret_sentence)
{
	const char *wrong = pathlink_find_wrong(plane, NULL);

	pathlink_describe(plane, ret_sentence);
	if (wrong && !ret_sentence->text[0])
		pathlink_describe_wrong(plane, wrong, ret_sentence);
}

static json_object *describe(const struct direct *direct, const struct problem *problem)
{
	_cleanup_(freep) struct service_report *report = calloc(1, sizeof(*report));
	_cleanup_(force_freep) struct force *force = NULL;

	if (!report)
		return NULL;
	if (direct->plane)
		direct_locate(direct);
	report_init(report, direct->service, direct->config.slots);
	report->intake.wanted = direct->config.intake;
	report->failover = direct->config.failover;
	report_read_plane(report, direct->plane);
	if (!force_open(direct->service, &force))
		report_read_force(report, force);
	report->problem = *problem;
	if (direct->plane && !report->problem.text[0])
		describe_paths(direct->plane, &report->problem);
	for (unsigned i = 0; i < report->n_slots; i++)
		report_slot(direct, i, report);
	if (direct->plane)
		find_foreign(direct, &report->foreign);
	return report_to_json(report);
}

/* Also a service can be looked at that is enabled and has not run yet, or cannot. `ret_wrong` says
 * what is the matter with it. */
static int open_for_look(struct direct *direct, struct problem *ret_wrong, struct problem *problem)
{
	int config = configfile_load(direct->service, &direct->config, ret_wrong);
	int r;

	if (config < 0)
		config_init(&direct->config);
	r = open_plane(direct, problem);
	if (!r || r == -EACCES || r == -EPERM || config == -ENOENT) {
		if (config == -ENOENT)
			ret_wrong->text[0] = '\0';
		return r;
	}
	if (r != -ENOENT)
		*ret_wrong = *problem;
	else if (!config)
		problem_set(ret_wrong, 0,
			    "nothing is pinned in the kernel for it yet; start hsd, or an "
			    "instance: systemctl start %s@0",
			    direct->service);
	return 0;
}

static int describe_one(const char *service, sd_bus *systemd, json_object **ret_object,
			struct problem *problem)
{
	_cleanup_(direct_close) struct direct direct = {0};
	struct problem wrong = {0};
	int r;

	snprintf(direct.service, sizeof(direct.service), "%s", service);
	r = open_for_look(&direct, &wrong, problem);
	if (r < 0)
		return r;
	direct.systemd = sd_bus_ref(systemd);
	*ret_object = describe(&direct, &wrong);
	sd_bus_unref(steal_ptr(&direct.systemd)); /* others go on with it */
	return 0;
}

static int add_pinned(const char *name, void *userdata)
{
	char service[SERVICE_NAME_MAX];
	char ***names = userdata;

	if (name_from_pin(name, service) || strings_contain(*names, service))
		return 0;
	return strings_add(names, service);
}

/* The configured ones, and those that are pinned and not configured any more. */
static int all_services(char ***ret_names, struct problem *problem)
{
	_cleanup_(strings_freep) char **names = NULL;
	int r = configfile_list(&names);

	if (r >= 0)
		r = pins_each_folder(HS_PIN_ROOT, add_pinned, &names);
	if (r == -EACCES || r == -EPERM)
		return need_root(problem, r);
	if (r < 0 && r != -ENOENT)
		return problem_set(problem, r, "cannot list the services: %s", strerror(-r));
	if (names)
		strings_sort(names);
	*ret_names = steal_ptr(&names);
	return 0;
}

static int describe_all(sd_bus *systemd, json_object **ret_array, struct problem *problem)
{
	_cleanup_(strings_freep) char **names = NULL;
	_cleanup_(json_object_putp) json_object *array = json_object_new_array();
	int r = all_services(&names, problem);

	for (char **name = names; r >= 0 && name && *name; name++) {
		json_object *object = NULL;

		r = describe_one(*name, systemd, &object, problem);
		if (object)
			json_object_array_add(array, object);
		/* pins of another version, or gone meanwhile: the others are still there */
		if (r != -EACCES && r != -EPERM)
			r = 0;
	}
	if (r < 0)
		return r;
	*ret_array = steal_ptr(&array);
	return 0;
}

int direct_describe(const char *service, struct reply *ret_reply)
{
	_cleanup_(json_object_putp) json_object *object = NULL;
	_cleanup_(sd_bus_close_unrefp) sd_bus *systemd = direct_systemd();
	struct problem problem = {0};
	int r = service ? describe_one(service, systemd, &object, &problem)
			: describe_all(systemd, &object, &problem);

	if (r < 0)
		return reply_fail(ret_reply, EXIT_FAILED, "%s", problem.text);
	ret_reply->text = strdup(json_line(object));
	return ret_reply->exit = EXIT_DONE;
}

int direct_connections(const char *service, const struct connections_query *query,
		       struct reply *ret_reply)
{
	_cleanup_(direct_close) struct direct direct = {0};
	_cleanup_(json_object_putp) json_object *object = NULL;
	struct problem problem = {0};

	if (direct_open(service, &direct, &problem) < 0)
		return reply_fail(ret_reply, EXIT_FAILED, "%s", problem.text);
	direct_locate(&direct);
	object = connections_report(direct.plane, direct.config.slots, query);
	if (!object)
		return reply_fail(ret_reply, EXIT_FAILED,
				  "the kernel did not list the connections of %s: %m", service);
	ret_reply->text = strdup(json_line(object));
	return ret_reply->exit = EXIT_DONE;
}

/* ---- the word ---- */

static int answer_word(const struct direct *direct, const struct problem *message,
		       struct reply *ret_reply)
{
	_cleanup_(json_object_putp) json_object *object =
		change_word_json(direct->plane, message->text);

	ret_reply->text = strdup(json_line(object));
	return ret_reply->exit = EXIT_DONE;
}

int direct_policy(const char *service, enum hs_policy policy, struct reply *ret_reply)
{
	_cleanup_(direct_close) struct direct direct = {0};
	struct problem message = {0};

	if (direct_open(service, &direct, &message) < 0)
		return reply_fail(ret_reply, EXIT_FAILED, "%s", message.text);
	if (!change_set_policy(direct.plane, policy, &message))
		return reply_fail(ret_reply, EXIT_REFUSED, "%s", message.text);
	return answer_word(&direct, &message, ret_reply);
}

int direct_canary(const char *service, const struct canary_request *request,
		  struct reply *ret_reply)
{
	_cleanup_(direct_close) struct direct direct = {0};
	enum slot_state states[HS_SLOTS_MAX];
	struct canary_request complete = *request;
	struct problem message = {0};

	if (direct_open(service, &direct, &message) < 0)
		return reply_fail(ret_reply, EXIT_FAILED, "%s", message.text);
	direct_states(&direct, states);
	complete.states = states;
	complete.n = direct.config.slots;
	if (change_set_canary(direct.plane, &complete, &message) != GATE_OPEN)
		return reply_fail(ret_reply, EXIT_REFUSED, "%s", message.text);
	return answer_word(&direct, &message, ret_reply);
}

/* False: refused. */
static bool let_go(const struct direct *direct, struct problem *ret_message)
{
	enum slot_state states[HS_SLOTS_MAX];

	if (!(hs_word_flags(plane_word(direct->plane)) & HS_FLAG_EXCLUSIVE)) {
		parking_release(direct->plane, ret_message);
		return true;
	}
	direct_states(direct, states);
	return parking_give_up(direct->plane, states, direct->config.slots, ret_message);
}

int direct_park(const char *service, bool hold, struct reply *ret_reply)
{
	_cleanup_(direct_close) struct direct direct = {0};
	_cleanup_(json_object_putp) json_object *object = NULL;
	struct problem message = {0};

	if (direct_open(service, &direct, &message) < 0)
		return reply_fail(ret_reply, EXIT_FAILED, "%s", message.text);
	if (hold ? !parking_hold(direct.plane, &direct.config, &message)
		 : !let_go(&direct, &message))
		return reply_fail(ret_reply, EXIT_REFUSED, "%s", message.text);
	object = parking_json(direct.plane, message.text);
	ret_reply->text = strdup(json_line(object));
	return ret_reply->exit = EXIT_DONE;
}
