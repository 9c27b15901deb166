// SPDX-License-Identifier: GPL-2.0-or-later
/* enable: what system/enable.h finds and does, told to the user. */
#include "system/enable.h"

#include <string.h>
#include <syslog.h>

#include "hsctl/direct.h"
#include "hsctl/filelist.h"
#include "hsctl/json.h"
#include "hsctl/verb.h"
#include "hsctl/verbs.h"
#include "plane/selftest.h"
#include "system/journal.h"
#include "system/machine.h"
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
	for (unsigned i = 0; i < plan->paths.n; i++)
		printf("Path: %s is going to be a link to the active slot's own.\n",
		       plan->paths.paths[i]);
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

int verb_enable(const struct arguments *arguments)
{
	_cleanup_(enable_plan_freep) struct enable_plan *plan = NULL;
	_cleanup_(sd_bus_close_unrefp) sd_bus *systemd = direct_systemd();
	struct problem problem = {0};
	bool fresh;

	if (!systemd) {
		complain("systemd cannot be asked about the unit; is this a booted system?");
		return EXIT_FAILED;
	}
	/* an hsd that runs has tried it out */
	if (!machine_hsd_runs(systemd) && selftest_refuses(&problem)) {
		complain("%s; nothing was written", problem.text);
		return EXIT_REFUSED;
	}
	if (enable_plan_new(systemd, arguments->given[0], arguments->texts[TEXT_PATH], &plan,
			    &problem) < 0) {
		complain("%s", problem.text);
		return EXIT_FAILED;
	}
	if (plan->report.refused)
		return refuse(arguments, plan);
	fresh = !enable_is_done(plan);
	if (enable_apply(systemd, plan, &problem) < 0) {
		complain("%s", problem.text);
		return EXIT_FAILED;
	}
	return finish(arguments, systemd, plan, fresh);
}
