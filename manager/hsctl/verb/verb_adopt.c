// SPDX-License-Identifier: GPL-2.0-or-later
/* adopt: ExecStartPost= of an instance. */
#include <string.h>
#include <syslog.h>
#include <time.h>

#include "hsctl/apart.h"
#include "hsctl/direct_roles.h"
#include "hsctl/verb/hook.h"
#include "hsctl/verbs.h"
#include "plane/act/adopt.h"
#include "util/clock.h"
#include "util/macro.h"
#include "util/strings.h"

/* How long hsd has to answer. */
#define ASK_TIME (2 * USEC_PER_SEC)
/* How long a server may take to listen after it has reported ready, of the time without hsd. */
#define LISTEN_TIME (2 * USEC_PER_SEC)
#define LOOK_EVERY  (20 * USEC_PER_MSEC)
/* What must be over at the latest, counted from the start: the rest of the time is for the map. */
#define SOCKETS_TIME (4 * USEC_PER_SEC)

DEFINE_CLEANUP(struct adoption, adoption_free)

/* Finds the instance's sockets; without hsd nobody is told when a late one begins to listen. */
static int find_sockets(const struct direct *direct, const struct adopt_scope *scope,
			struct adoption **ret_adoption, struct problem *problem)
{
	static const struct timespec pause = {.tv_nsec = LOOK_EVERY * NSEC_PER_USEC};
	uint64_t deadline = now_usec() + LISTEN_TIME;
	struct adoption *adoption;
	int r;

	while (true) {
		r = adoption_begin(direct->plane, scope, &adoption, problem);
		if (r < 0)
			return r;
		if (adoption->n || adoption->n_paths || now_usec() >= deadline)
			break;
		adoption_free(adoption);
		nanosleep(&pause, NULL);
	}
	*ret_adoption = adoption;
	return 0;
}

/* PID 1 must let go of its copies before they get traffic. One that the service requires would take
 * the service along. */
static void stop_socket_units(const struct hook *hook, const struct direct *direct,
			      const struct unit_facts *facts)
{
	struct problem problem = {0};

	for (char **unit = facts->triggered_by; unit && *unit; unit++)
		if (unit_is_socket(*unit) && !strings_contain(facts->required, *unit) &&
		    units_run_job(direct->systemd, UNIT_LET_GO, *unit,
				  hook_left(hook, SOCKETS_TIME), &problem) < 0)
			hook_tell(hook, JOURNAL_PROBLEM, LOG_WARNING, &problem);
}

static void tell_refused(const struct hook *hook, const struct adoption *adoption)
{
	struct problem sentence, line;

	if (adoption->blind.text[0]) {
		problem_set(&line, 0, "%s: slot %u: %.480s", hook->service, hook->slot,
			    adoption->blind.text);
		hook_tell(hook, JOURNAL_PROBLEM, LOG_WARNING, &line);
	}
	if (adoption->path_problem.text[0]) {
		problem_set(&line, 0, "%s: slot %u: %.480s", hook->service, hook->slot,
			    adoption->path_problem.text);
		hook_tell(hook, JOURNAL_PROBLEM,
			  adoption_path_matters(adoption) ? LOG_WARNING : LOG_NOTICE, &line);
	}
	for (size_t i = 0; i < adoption->n; i++) {
		adopt_describe(&adoption->sockets[i], &sentence);
		if (!sentence.text[0])
			continue;
		problem_set(&line, 0, "%s: slot %u: %.480s", hook->service, hook->slot,
			    sentence.text);
		hook_tell(hook, JOURNAL_PROBLEM, LOG_WARNING, &line);
	}
}

static void tell_adopted(const struct hook *hook, const struct adoption *adoption)
{
	struct problem sentence;

	adoption_describe(hook->service, hook->slot, adoption, &sentence);
	hook_tell(hook, JOURNAL_ADOPT, adoption->adopted ? LOG_INFO : LOG_WARNING, &sentence);
}

static int adopt(const struct hook *hook, const struct direct *direct,
		 const struct unit_facts *facts, struct problem *problem)
{
	_cleanup_(adoption_freep) struct adoption *adoption = NULL;
	struct intake_facts intake = {
		.wanted = direct->config.intake,
		.socket_units = unit_has_socket(facts),
	};
	struct adopt_scope scope = {
		.late = intake_needs_force(&intake),
		.cgroup = facts->control_group,
		.slot = hook->slot,
		.ports = direct->config.ports,
		.n_ports = direct->config.n_ports,
		.paths = direct->config.paths,
		.n_paths = direct->config.n_paths,
	};
	struct direct_roles roles;
	int r = find_sockets(direct, &scope, &adoption, problem);

	if (r < 0)
		return r;
	apart_pause();
	if (adoption->adopted)
		stop_socket_units(hook, direct, facts);
	apart_resume();
	r = adoption_commit(direct->plane, hook->slot, adoption);
	if (r < 0)
		return problem_set(problem, r, "the kernel did not take the sockets: %s",
				   strerror(-r));
	apart_pause();
	tell_refused(hook, adoption);
	tell_adopted(hook, adoption);
	direct_roles_tell(direct, &roles);
	direct_roles_end(direct, &roles, false, hook_left(hook, SOCKETS_TIME));
	return 0;
}

static void tell_not_adopted(const struct hook *hook, const struct problem *problem)
{
	struct problem sentence;

	problem_set(&sentence, 0, "%s: slot %u is not adopted: %.400s.", hook->service, hook->slot,
		    problem->text);
	hook_tell(hook, JOURNAL_PROBLEM, LOG_WARNING, &sentence);
}

static int adopt_directly(void *data)
{
	struct hook *hook = data;
	_cleanup_(direct_close) struct direct direct = {0};
	_cleanup_(unit_facts_done) struct unit_facts facts = {0};
	struct problem problem = {0};

	if (!hook_open(hook, &direct))
		return 0;
	direct_unit(&direct, hook->slot, &facts);
	if (facts.state != UNIT_RUNNING && facts.state != UNIT_START_POST)
		problem_set(&problem, 0, "its unit is not running");
	else if (!facts.control_group[0])
		problem_set(&problem, 0, "systemd does not tell its control group");
	else if (!adopt(hook, &direct, &facts, &problem))
		return 0;
	tell_not_adopted(hook, &problem);
	return 0;
}

int verb_adopt(const struct arguments *arguments)
{
	struct problem problem;
	struct hook hook;

	if (hook_begin(&hook, arguments))
		return EXIT_USAGE;
	if (hook_ask(&hook, "Adopt", ASK_TIME) != CLIENT_ANSWERED &&
	    apart_run(adopt_directly, &hook, sizeof(hook), &problem) < 0) {
		hook.exit = EXIT_FAILED;
		tell_not_adopted(&hook, &problem);
	}
	hook_make_paths(&hook, false);
	return hook_end(&hook);
}
