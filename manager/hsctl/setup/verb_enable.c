// SPDX-License-Identifier: GPL-2.0-or-later
/* enable: what hsctl/setup/enable.h finds and does, told to the user. */
#include "hsctl/setup/enable.h"

#include <string.h>
#include <syslog.h>

#include "core/path.h"
#include "hsctl/direct.h"
#include "hsctl/json.h"
#include "hsctl/setup/filelist.h"
#include "hsctl/setup/takeover.h"
#include "hsctl/unit/mentions.h"
#include "hsctl/unit/plainunit.h"
#include "hsctl/verb/verb.h"
#include "hsctl/verb_functions.h"
#include "plane/selftest/selftest.h"
#include "system/journal.h"
#include "system/machine.h"
#include "util/files.h"
#include "util/strings.h"

static json_object *finding_to_json(const struct lint_finding *finding)
{
	json_object *object = json_object_new_object();

	json_object_object_add(object, "refuses", json_object_new_boolean(finding->refuses));
	json_object_object_add(object, "file",
			       finding->file ? json_object_new_string(finding->file) : NULL);
	json_object_object_add(object, "line",
			       finding->line ? json_object_new_int(finding->line) : NULL);
	json_object_object_add(object, "what", json_object_new_string(finding->what));
	json_object_object_add(object, "why", json_object_new_string(finding->why));
	json_object_object_add(object, "remedy", json_object_new_string(finding->remedy));
	return object;
}

/* What comes next, as commands to be typed. */
static int next_steps(const struct enable_plan *plan, const char *hsd, char ***ret_steps)
{
	char unit[UNIT_NAME_MAX], line[UNIT_NAME_MAX + 32];
	int r = hsd ? strings_add(ret_steps, hsd) : 0;

	for (unsigned slot = 0; !r && slot < plan->config.slots; slot++) {
		if (plan->running & (1U << slot))
			continue;
		if (plan->config.exclusive && (slot || plan->running))
			break;
		name_unit(plan->service, slot, unit, sizeof(unit));
		snprintf(line, sizeof(line), "systemctl start %s", unit);
		r = strings_add(ret_steps, line);
	}
	snprintf(line, sizeof(line), "hsctl status %s", plan->service);
	return r ? r : strings_add(ret_steps, line);
}

static json_object *steps_to_json(char *const *steps)
{
	json_object *array = json_object_new_array();

	for (; steps && *steps; steps++)
		json_object_array_add(array, json_object_new_string(*steps));
	return array;
}

static json_object *paths_to_json(const struct pathlist *paths)
{
	json_object *array = json_object_new_array();

	for (unsigned i = 0; i < paths->n; i++)
		json_object_array_add(array, json_object_new_string(paths->paths[i]));
	return array;
}

static void print_json(const struct enable_plan *plan, char *const *steps, const char *message)
{
	_cleanup_(json_object_putp) json_object *object = json_object_new_object();
	json_object *findings = json_object_new_array(), *intake = NULL;

	if (!plan->report.refused)
		intake = json_object_new_string(config_intake_to_string(intake_of(&plan->intake)));
	for (size_t i = 0; i < plan->report.n; i++)
		json_object_array_add(findings, finding_to_json(&plan->report.items[i]));
	json_object_object_add(object, "service", json_object_new_string(plan->service));
	json_object_object_add(object, "enabled", json_object_new_boolean(!plan->report.refused));
	json_object_object_add(object, "written", filelist_to_json(&plan->changes));
	json_object_object_add(object, "findings", findings);
	json_object_object_add(object, "intake", intake);
	json_object_object_add(object, "mptcp",
			       json_object_new_string(config_mptcp_to_string(plan->config.mptcp)));
	json_object_object_add(object, "paths", paths_to_json(&plan->paths));
	json_object_object_add(object, "next", steps_to_json(steps));
	json_object_object_add(object, "message", json_object_new_string(message));
	puts(json_line(object));
}

static void print_findings(const struct enable_plan *plan)
{
	char text[LINT_TEXT_MAX];

	for (size_t i = 0; i < plan->report.n; i++)
		fprintf(stderr, "%s%s\n", plan->report.items[i].refuses ? "" : "note: ",
			lint_format(&plan->report.items[i], text));
}

static void print_text(const struct enable_plan *plan, char *const *steps, const char *message)
{
	print_findings(plan);
	filelist_print(&plan->changes);
	if (plan->kept_config)
		printf("kept    %s\n", plan->kept_config);
	if (plan->old_config)
		printf("note: earlier settings are in %s\n", plan->old_config);
	puts(message);
	printf("Intake: %s; %s.\n", intake_name(intake_of(&plan->intake)),
	       intake_reason(&plan->intake));
	printf("MPTCP: %s.\n", intake_mptcp(&plan->intake, plan->config.mptcp));
	if (plan->intake.udp_seen && plan->config.flow == HS_FLOW_CONNECTION)
		printf("note: UDP: %s.\n", CONFIG_FLOW_STAYS);
	for (unsigned i = 0; i < plan->paths.n; i++)
		printf("Path: %s is going to be a link to the active slot's own, below " PATH_ROOT
		       "/%s; clients in containers and AppArmor profiles of clients need that, "
		       "too.\n",
		       plan->paths.paths[i], plan->service);
	if (plan->running)
		puts("What runs already is adopted by hsd at once.");
	puts("Next:");
	for (; steps && *steps; steps++)
		printf("  %s\n", *steps);
}

static int refuse(const struct arguments *arguments, const struct enable_plan *plan)
{
	struct problem message;

	problem_set(&message, 0, "%s cannot be put under hotstandby like this; nothing was written",
		    arguments->given[0]);
	if (arguments->json)
		print_json(plan, NULL, message.text);
	else
		print_findings(plan);
	complain("%s", message.text);
	return EXIT_REFUSED;
}

static int finish(const struct arguments *arguments, sd_bus *systemd,
		  const struct enable_plan *plan, bool fresh)
{
	_cleanup_(strings_freep) char **steps = NULL;
	struct journal_scope scope = {plan->service, -1, LOG_NOTICE};
	struct problem message;
	const char *hsd = NULL;

	if (!verb_tell_manager(arguments))
		hsd = machine_hsd_ends(systemd) ? "hsctl doctor" : "systemctl enable --now hsd";
	problem_set(&message, 0, "%s is under hotstandby%s.", plan->service,
		    fresh ? "" : " already");
	if (fresh)
		journal_log(JOURNAL_ENABLE, &scope, "%s was put under hotstandby.", plan->service);
	if (next_steps(plan, hsd, &steps) < 0) {
		complain("out of memory");
		return EXIT_FAILED;
	}
	if (arguments->json)
		print_json(plan, steps, message.text);
	else
		print_text(plan, steps, message.text);
	return EXIT_DONE;
}

/* Of the server as it was before, which is no fault of the template's. */
static void note_plain(sd_bus *systemd, struct enable_plan *plan)
{
	struct plainunit_scope scope = {&plan->config, &plan->paths};
	struct lint_finding finding = {0};
	char text[PLAINUNIT_TEXT_MAX];

	plainunit_find(systemd, plan->service, &scope, true, &plan->plain);
	if (!plan->plain.name[0])
		return;
	finding.file = plan->plain.fragment;
	finding.why = plainunit_why(&plan->plain);
	snprintf(finding.what, sizeof(finding.what), "%s", plainunit_describe(&plan->plain, text));
	snprintf(finding.remedy, sizeof(finding.remedy),
		 "Let the slots take over without a loss: hsctl enable %.80s@.service --from=%.80s",
		 plan->service, plan->plain.name);
	lint_add(&plan->report, &finding);
}

/* Others that go on saying the plain name. */
static void note_mentions(struct enable_plan *plan, struct mentions *mentions)
{
	_cleanup_(freep) char *plain = format("%s.service", plan->service);
	const char *unit = plan->plain.name[0] ? plan->plain.name
			   : plan->alias[0]    ? plan->alias
					       : plain;

	if (!unit ||
	    mentions_find(unit, plan->service, plan->shared.pid_file, plan->alias[0], mentions) < 0)
		return;
	for (size_t i = 0; i < mentions->n; i++)
		lint_add(&plan->report, &mentions->items[i]);
}

/* The alias that is wanted; NULL = as it is. */
static char *wanted_alias(const struct arguments *arguments)
{
	char service[SERVICE_NAME_MAX];

	/* with --from it comes when that unit has gone */
	if (!arguments->alias || arguments->texts[TEXT_FROM])
		return NULL;
	if (arguments->alias_name)
		return strdup(arguments->alias_name);
	return name_from_template(arguments->given[0], service) ? NULL
								: format("%s.service", service);
}

static int check_options(const struct arguments *arguments)
{
	const char *from = arguments->texts[TEXT_FROM];

	if (from && arguments->alias_name && strcmp(from, arguments->alias_name))
		complain("with --from the alias is %s, as one name stands for the slots", from);
	else if (arguments->alias && arguments->no_alias)
		complain("--alias and --no-alias exclude each other");
	else if (!from && arguments->no_alias)
		complain("--no-alias goes with --from; what takes an alias back is hsctl disable");
	else
		return EXIT_DONE;
	return EXIT_USAGE;
}

int verb_enable(const struct arguments *arguments)
{
	_cleanup_(enable_plan_freep) struct enable_plan *plan = NULL;
	_cleanup_(sd_bus_close_unrefp) sd_bus *systemd = direct_systemd();
	_cleanup_(freep) char *alias = wanted_alias(arguments);
	struct enable_wish wish = {.paths = arguments->texts[TEXT_PATH],
				   .alias = alias,
				   .from = arguments->texts[TEXT_FROM]};
	_cleanup_(mentions_done) struct mentions mentions = {0};
	bool move = arguments->texts[TEXT_FROM];
	struct problem problem = {0};
	bool fresh;
	int exit;

	if (check_options(arguments))
		return EXIT_USAGE;
	if (!systemd) {
		complain("systemd cannot be asked about the unit; is this a booted system?");
		return EXIT_FAILED;
	}
	/* an hsd that runs has tried it out */
	if (!machine_hsd_runs(systemd) && selftest_refuses(&problem)) {
		complain("%s; nothing was written", problem.text);
		return EXIT_REFUSED;
	}
	if (enable_plan_new(systemd, arguments->given[0], &wish, &plan, &problem) < 0) {
		complain("%s", problem.text);
		return EXIT_FAILED;
	}
	if (plan->report.refused)
		return refuse(arguments, plan);
	exit = move ? takeover_check(arguments, systemd, plan) : EXIT_DONE;
	if (exit)
		return exit;
	if (!move) {
		note_plain(systemd, plan);
		note_mentions(plan, &mentions);
	}
	fresh = !enable_is_done(plan);
	if (enable_apply(systemd, plan, &problem) < 0) {
		complain("%s", problem.text);
		return EXIT_FAILED;
	}
	if (move && !verb_tell_manager(arguments)) {
		complain("hsd is not there any more; start it and try again");
		return EXIT_FAILED;
	}
	return move ? takeover_run(arguments, systemd, plan)
		    : finish(arguments, systemd, plan, fresh);
}
