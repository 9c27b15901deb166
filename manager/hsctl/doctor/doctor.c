// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsctl/doctor/doctor.h"

#include <string.h>

#include "core/path.h"
#include "hsctl/direct.h"
#include "hsctl/doctor/examine_front.h"
#include "hsctl/json.h"
#include "hsctl/path/folderflag.h"
#include "hsctl/path/pathsetup.h"
#include "hsctl/setup/enable.h"
#include "hsctl/standin.h"
#include "hsctl/verb/verb.h"
#include "plane/act/filters.h"
#include "plane/act/foreign.h"
#include "plane/act/inspect.h"
#include "plane/borrow/borrow.h"
#include "plane/selftest/selftest_fast.h"
#include "service/slot/front_facts.h"
#include "service/slot/instance.h"
#include "service/slot/states.h"
#include "system/configfile.h"
#include "system/machine.h"
#include "util/macro.h"
#include "util/strings.h"

/* All tests together take a hundredth of this where nothing is slow; without acceleration a virtual
 * machine took more than 3 s for the verifier. */
#define SELFTEST_MS 20000
/* One of these sends gigabytes. */
#define FAST_SELFTEST_MS 180000

/* hsd answers in a millisecond; but where everybody wants a CPU it has to wait like all others. One
 * that is halted is not waited for. */
#define HSD_TIME (20 * USEC_PER_SEC)
/* Likewise systemd, which answers nobody for some seconds while it reads all units anew. */
#define SYSTEMD_TIME (30 * USEC_PER_SEC)

/* ---- the machine ---- */

static void read_machine(const struct arguments *arguments, sd_bus *systemd,
			 struct doctor_machine *ret_machine)
{
	/* not what costs it more the more services there are */
	struct client_call call = {.method = "ListServices", .timeout_usec = HSD_TIME};
	_cleanup_(reply_done) struct reply reply = {0};
	enum client_answer answer = CLIENT_ANSWERED;

	if (systemd)
		sd_bus_set_method_call_timeout(systemd, SYSTEMD_TIME);
	machine_read(systemd, ret_machine);
	/* with --direct nobody is asked */
	if (!arguments->direct)
		answer = ret_machine->hsd_halted ? CLIENT_TIMEOUT
						 : client_ask(arguments, &call, &reply, "");
	/* what it says does not matter */
	ret_machine->hsd_answers = answer == CLIENT_ANSWERED || answer == CLIENT_REFUSED;
}

/* Returns whether this kernel is of any use. Of one that is, all is told with `all`. */
static bool examine_kernel(struct doctor_report *report, bool all)
{
	struct ability_result unknown[ABILITY_COUNT] = {0};
	const struct ability_result *results = unknown;
	struct selftest *selftest = NULL;
	int r = selftest_start(SELFTEST_ALL, &selftest);
	char release[65];
	bool fit;

	for (unsigned i = 0; r < 0 && i < ABILITY_COUNT; i++)
		snprintf(unknown[i].detail, sizeof(unknown[i].detail), "no process for it: %s",
			 strerror(-r));
	if (r >= 0)
		results = selftest_finish(selftest, SELFTEST_MS);
	machine_release(release, sizeof(release));
	fit = doctor_fitness(report, results, release);
	if (fit && all)
		doctor_kernel(report, results);
	selftest_free(selftest);
	return fit;
}

void examine_fastpath(struct doctor_report *report)
{
	struct selftest *selftest = NULL;
	int r;

	if (!examine_kernel(report, false))
		return;
	r = selftest_fast_start(SELFTEST_ALL, &selftest);
	if (r < 0) {
		const struct doctor_advice advice = {.id = "fast.order", .why = strerror(-r)};

		doctor_add(report, DOCTOR_SKIPPED, &advice, "no process to try it in");
		return;
	}
	doctor_fastpath(report, selftest_finish(selftest, FAST_SELFTEST_MS));
	selftest_free(selftest);
}

/* Returns whether hsd can be asked about services. */
static bool examine_machine(const struct arguments *arguments, struct doctor_report *report)
{
	_cleanup_(sd_bus_close_unrefp) sd_bus *systemd = direct_systemd();
	struct doctor_machine machine;
	struct doctor_sysctls sysctls;

	if (!machine_read_sysctls(NULL, &sysctls))
		doctor_sysctls(report, &sysctls);
	read_machine(arguments, systemd, &machine);
	doctor_machine(report, &machine);
	doctor_hsd(report, &machine);
	return machine.hsd_answers;
}

/* ---- a service ---- */

/* One service, and what its facts point into. */
struct examination {
	struct standin *standin;
	struct service *service; /* of standin */
	struct doctor_service facts;
	struct doctor_socket *sockets;
	struct doctor_foreign foreign[FOREIGN_MAX];
	struct enable_plan *plan;
};

static void examination_free(struct examination *e)
{
	free(e->sockets);
	enable_plan_free(e->plan);
	standin_free(e->standin);
	free(e);
}

/* NULL: it cannot be asked. */
static sd_bus *systemd_of(const struct examination *e)
{
	return e->service->host->bus;
}

/* The first thing that is wrong with it. */
static void read_fastpath(json_object *status, struct doctor_service *facts)
{
	json_object *fastpath, *units;

	facts->fast_told = json_object_object_get_ex(status, "fastpath", &fastpath);
	if (!facts->fast_told)
		return;
	problem_set(&facts->fast_problem, 0, "%s", json_text(fastpath, "problem"));
	units = json_array(fastpath, "units");
	for (size_t i = 0; i < json_count(units) && !facts->fast_problem.text[0]; i++) {
		json_object *unit = json_object_array_get_idx(units, i);

		if (json_text(unit, "problem")[0])
			problem_set(&facts->fast_problem, 0, "%s: %s", json_text(unit, "unit"),
				    json_text(unit, "problem"));
	}
}

/* hsd knows why sockets were not adopted; the rest is asked from the kernel and systemd. */
static void read_problems(const struct arguments *arguments, struct examination *e)
{
	_cleanup_(json_object_putp) json_object *status = NULL;
	_cleanup_(reply_done) struct reply reply = {0};
	struct client_call call = {
		.service = e->service->name, .method = "Describe", .timeout_usec = HSD_TIME};
	json_object *slots, *replay;

	if (client_ask(arguments, &call, &reply, "") == CLIENT_ANSWERED)
		status = json_parse(reply.text);
	slots = json_array(status, "slots");
	for (size_t i = 0; i < json_count(slots) && i < HS_SLOTS_MAX; i++)
		snprintf(e->facts.slots[i].problem.text, sizeof(e->facts.slots[i].problem.text),
			 "%s", json_text(json_object_array_get_idx(slots, i), "problem"));
	problem_set(&e->facts.unsettled, 0, "%s", json_text(status, "unsettled"));
	read_fastpath(status, &e->facts);
	e->facts.replays = json_object_object_get_ex(status, "replay", &replay);
	if (!e->facts.replays)
		return;
	problem_set(&e->facts.replay_problem, 0, "%s", json_text(replay, "problem"));
	e->facts.replay_exporters = (uint32_t)json_number(replay, "exporters", 0);
}

static void read_foreign(struct examination *e, const struct foreign_scope *scope)
{
	struct foreign_list list = {0};
	char text[FOREIGN_TEXT_MAX];

	if (foreign_find(e->service->plane, scope, &list) < 0)
		return;
	for (unsigned i = 0; i < list.n; i++) {
		e->foreign[i].in_front = list.found[i].in_front;
		problem_set(&e->foreign[i].text, 0, "%s", foreign_describe(&list.found[i], text));
	}
	e->facts.n_foreign = list.n;
}

/* By a slice that it is in, or by the socket unit that its sockets were made for. */
static bool is_filtered_outside(const struct examination *e, const struct unit_facts *unit)
{
	struct own *own = plane_own(e->service->plane);
	struct filters filters = {0};
	bool filtered = false;

	if (unit->control_group[0])
		filters_add(&filters, own, unit->control_group);
	for (char **one = unit->triggered_by; one && *one; one++)
		if (unit_is_socket(*one))
			filters_add_unit(&filters, *one);
	for (size_t i = 0; !filtered && systemd_of(e) && i < filters.n; i++) {
		_cleanup_(unit_facts_done) struct unit_facts facts = {0};

		if (!units_query(systemd_of(e), filters.units[i], &facts, NULL))
			filtered = facts.filtered;
	}
	return filtered;
}

static int read_slot(struct examination *e, unsigned i, struct foreign_scope *scope)
{
	const struct unit_facts *unit = instance_facts(e->service->instances[i]);
	struct doctor_slot *slot = &e->facts.slots[i];

	(void)name_unit(e->service->name, i, slot->unit, sizeof(slot->unit));
	machine_read_slot(systemd_of(e), slot);
	scope->cgroups[i] = unit->control_group;
	scope->activated |= unit_has_socket(unit);
	if (unit->control_group[0])
		borrow_judge_outdated(unit->control_group, &slot->outdated);
	e->facts.filtered |= unit->filtered || is_filtered_outside(e, unit);
	return inspect_slot(unit->control_group, i, &e->service->config, &e->sockets,
			    &e->facts.n_sockets);
}

static int read_slots(struct examination *e)
{
	struct foreign_scope scope = {.n_slots = e->service->n_slots};
	enum slot_state states[HS_SLOTS_MAX];
	int r = 0;

	service_states(e->service, states);
	for (unsigned i = 0; !r && i < scope.n_slots; i++) {
		e->facts.slots[i].state = states[i];
		r = read_slot(e, i, &scope);
	}
	if (!r)
		read_foreign(e, &scope);
	return r;
}

static void read_plain(struct examination *e)
{
	struct plainunit_scope scope = {&e->service->config, &e->plan->paths};
	struct plainunit *plain = &e->plan->plain;
	char text[PLAINUNIT_TEXT_MAX];

	/* where slots serve, who else does so is found by the addresses */
	plainunit_find(systemd_of(e), e->service->name, &scope,
		       !plane_live_slots(e->service->plane), plain);
	if (!plain->name[0])
		return;
	problem_set(&e->facts.plain, 0, "%s", plainunit_describe(plain, text));
	e->facts.plain_why = plainunit_why(plain);
	e->facts.plain_unit = plain->name;
}

static void read_held(struct examination *e)
{
	for (unsigned i = 0; i < e->facts.config.n_paths; i++) {
		const char *path = e->facts.config.paths[i];
		_cleanup_(close_fdp) int fd = -1;
		char folder[HS_PATH_MAX];

		path_folder(path, folder);
		fd = pathsetup_open_public(folder);
		if (fd >= 0 && folderflag_is_left(fd))
			memcpy(e->facts.held, path, sizeof(e->facts.held));
	}
}

static int read_units(struct examination *e, struct problem *problem)
{
	int r;

	if (!systemd_of(e))
		return 0;
	r = enable_plan_new(systemd_of(e), e->service->name, NULL, &e->plan, problem);
	if (r < 0)
		return r;
	read_plain(e);
	e->facts.lint = &e->plan->report;
	e->facts.pending = filechanges_pending(&e->plan->changes);
	e->facts.needs_reload = e->plan->needs_reload;
	return 0;
}

/* Without hsd there may be none, and that is found already. */
static void read_parks(const struct arguments *arguments, struct examination *e)
{
	uint64_t cookies[HS_SHARDS_MAX];
	size_t n;
	struct listener **listeners = plane_listeners(e->service->plane, &n);

	if (arguments->direct || e->facts.active >= HS_SLOTS_MAX)
		return;
	for (size_t i = 0; i < n; i++) {
		const struct listener *listener = listeners[i];

		if (listener->address.udp ||
		    !listener_sockets(listener, e->facts.active, cookies) ||
		    listener_sockets(listener, HS_SLOT_PARK, cookies))
			continue;
		e->facts.unparked = true;
		e->facts.without_park = listener->address;
	}
}

/* All listeners of a service are in one namespace. */
static int read_sysctls(struct examination *e)
{
	size_t n;
	struct listener **listeners = plane_listeners(e->service->plane, &n);

	return machine_read_sysctls(n ? &listeners[0]->netns : NULL, &e->facts.sysctls);
}

static int gather(const struct arguments *arguments, const char *service, struct examination *e,
		  struct problem *problem)
{
	struct reply reply = {0};
	int r;

	e->standin = standin_new(service, &reply);
	if (!e->standin)
		return problem_set(problem, -ENOENT, "%s", reply.problem.text);
	e->service = standin_service(e->standin);
	e->facts.config = e->service->config;
	(void)configfile_load(service, &e->facts.config, &e->facts.config_problem);
	e->facts.active = hs_word_active(plane_word(e->service->plane));
	/* its slots are hosts */
	if (service_is_front(e->service))
		return 0;
	r = read_units(e, problem);
	if (r < 0)
		return r;
	r = read_slots(e);
	if (!r)
		r = read_sysctls(e);
	if (r < 0)
		return problem_set(problem, r, "the sockets of %s cannot be looked at: %s", service,
				   strerror(-r));
	read_problems(arguments, e);
	read_parks(arguments, e);
	read_held(e);
	e->facts.sockets = e->sockets;
	e->facts.foreign = e->foreign;
	return 0;
}

static int judge_service(const struct arguments *arguments, const char *service,
			 struct doctor_report *report, struct problem *problem)
{
	struct examination *e = calloc(1, sizeof(*e));
	int r;

	if (!e)
		return problem_set(problem, -ENOMEM, "out of memory");
	report->service = service;
	r = gather(arguments, service, e, problem);
	if (!r && service_is_front(e->service))
		examine_front(arguments, e->service, report);
	else if (!r)
		doctor_service(report, &e->facts);
	/* sysctls of a namespace of its own are nobody else's */
	if (!r && arguments->n && !service_is_front(e->service))
		doctor_sysctls(report, &e->facts.sysctls);
	report->service = NULL;
	examination_free(e);
	return r;
}

static bool is_enabled(const char *service)
{
	_cleanup_(strings_freep) char **names = NULL;

	return configfile_list(&names) >= 0 && strings_contain(names, service);
}

/* One that does not answer is not asked again. */
static struct arguments ask_hsd(const struct arguments *arguments, bool answers)
{
	struct arguments changed = *arguments;

	changed.direct |= !answers;
	return changed;
}

int examine_service(const struct arguments *arguments, const char *service,
		    struct doctor_report *report, struct problem *problem)
{
	_cleanup_(sd_bus_close_unrefp) sd_bus *systemd = direct_systemd();
	struct doctor_machine machine;
	struct arguments ask;

	if (!is_enabled(service))
		return problem_set(problem, -ENOENT,
				   "%s is not managed by hotstandby; enable it: hsctl enable "
				   "%s@.service",
				   service, service);
	read_machine(arguments, systemd, &machine);
	doctor_hsd(report, &machine);
	ask = ask_hsd(arguments, machine.hsd_answers);
	return judge_service(&ask, service, report, problem);
}

/* Of a service among all only what is wrong: each has its own examination. */
static void keep_findings(struct doctor_report *report, size_t from)
{
	size_t kept = from;

	for (size_t i = from; i < report->n; i++)
		if (report->items[i].status == DOCTOR_FINDING)
			report->items[kept++] = report->items[i];
	report->n = kept;
}

static void examine_among_all(const struct arguments *arguments, const char *service,
			      struct doctor_report *report)
{
	static const struct doctor_advice advice = {
		"service.examination", "What cannot be looked at cannot be switched either",
		"See hsctl status; is hsd running?"};
	struct problem problem = {0};
	size_t before = report->n;

	if (judge_service(arguments, service, report, &problem) < 0)
		doctor_add(report, DOCTOR_FINDING, &advice, "%s: %s", service, problem.text);
	keep_findings(report, before);
}

void examine_all(const struct arguments *arguments, struct doctor_report *report)
{
	_cleanup_(strings_freep) char **names = NULL;
	struct arguments ask;

	/* of a kernel that is of no use nothing else is worth knowing */
	if (!examine_kernel(report, true))
		return;
	ask = ask_hsd(arguments, examine_machine(arguments, report));
	if (configfile_list(&names) < 0)
		return;
	for (char **name = names; name && *name; name++)
		examine_among_all(&ask, *name, report);
}
