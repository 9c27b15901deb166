// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsctl/setup/takeover.h"

#include <string.h>
#include <syslog.h>

#include "core/setup/alias.h"
#include "hsctl/direct.h"
#include "hsctl/json.h"
#include "hsctl/setup/disable.h"
#include "hsctl/setup/enable_alias.h"
#include "hsctl/setup/takeover_steps.h"
#include "hsctl/unit/mentions.h"
#include "hsctl/verb/verb.h"
#include "hsctl/verb_functions.h"
#include "system/journal.h"
#include "system/machine.h"
#include "util/strings.h"

static void takeover_done(struct takeover *t)
{
	strings_free(t->sockets);
	plainpaths_done(&t->paths);
}

/* ---- may it be done ---- */

static int refuse(const char *from, const char *why)
{
	complain("--from=%s: %s; nothing was written", from, why);
	return EXIT_REFUSED;
}

int takeover_check(const struct arguments *arguments, sd_bus *systemd,
		   const struct enable_plan *plan)
{
	struct plainunit_scope scope = {&plan->config, &plan->paths};
	const char *from = arguments->texts[TEXT_FROM];
	struct plainunit plain;
	struct problem why;

	if (!alias_is_possible(from)) {
		complain("\"%.100s\" is no value for --from; it takes a service that is no "
			 "template, such as app.service",
			 from);
		return EXIT_USAGE;
	}
	if (!machine_hsd_runs(systemd))
		return refuse(from, "hsd is not running; start it: systemctl enable --now hsd");
	if (plan->config.exclusive)
		return refuse(from, "with Exclusive=yes only one instance may run at a time, and "
				    "this begins with a slot beside the plain unit; stop that one "
				    "and start a slot instead");
	if (!plainunit_look(systemd, from, &scope, &plain))
		return refuse(from, "there is no such unit, or it runs no server");
	if (strcmp(plain.name, from))
		return refuse(from, "this is only another name of a unit; give that one's");
	if (takeover_has_other_paths(systemd, plan, &plain, &why))
		return refuse(from, why.text);
	if (!arguments->no_alias && !enable_alias_is_possible(systemd, plan->service, from, &why))
		return refuse(from, why.text);
	return EXIT_DONE;
}

/* ---- the whole ---- */

/* The plain unit serves still, and all else is as it was before: settings that were there stay,
 * and so do slots that ran under hotstandby. */
static int undo(struct takeover *t)
{
	struct problem why = t->problem, ignored;
	struct pathhold hold = PATHHOLD_NONE;
	char unit[UNIT_NAME_MAX];

	takeover_give_back_paths(t, &hold);
	for (unsigned slot = 0; slot < t->plan->config.slots; slot++) {
		(void)name_unit(t->plan->service, slot, unit, sizeof(unit));
		if (t->started & (1U << slot))
			units_run_job(t->systemd, UNIT_STOP, unit, TAKEOVER_JOB_USEC, &ignored);
		units_reset_failed(t->systemd, unit);
	}
	disable_undone(t->arguments, t->systemd, t->plan);
	pathhold_end(&hold);
	complain("%s: the move was undone: %.400s. %s serves as before; see journalctl -u "
		 "'%s@*'",
		 t->plan->service, why.text, t->plain.name, t->plan->service);
	return EXIT_UNDONE;
}

/* What enable notes without a move, too. */
static void tell_notes(const struct takeover *t)
{
	char text[LINT_TEXT_MAX];

	for (size_t i = 0; i < t->plan->report.n; i++)
		complain("note: %s", lint_format(&t->plan->report.items[i], text));
}

/* What the name that it had does not reach. */
static void tell_mentions(const struct takeover *t)
{
	_cleanup_(mentions_done) struct mentions mentions = {0};
	char text[LINT_TEXT_MAX];

	if (mentions_find(t->plain.name, t->plan->service, t->plan->shared.pid_file,
			  !t->arguments->no_alias, &mentions) < 0)
		return;
	for (size_t i = 0; i < mentions.n; i++)
		complain("note: %s", lint_format(&mentions.items[i], text));
}

static int finish(const struct takeover *t, int r)
{
	_cleanup_(json_object_putp) json_object *object = json_object_new_object();
	struct journal_scope scope = {t->plan->service, -1, LOG_NOTICE};
	struct problem message;

	if (r < 0) {
		complain("%s: the slots serve and %s is stopped, but %.400s", t->plan->service,
			 t->plain.name, t->problem.text);
		return EXIT_FAILED;
	}
	problem_set(&message, 0, "%s has taken over from %s%s%s.", t->plan->service, t->plain.name,
		    t->arguments->no_alias ? alias_is_generated(t->plain.fragment)
						     ? ", which is stopped"
						     : ", which is disabled"
					   : "; start, stop, reload and restart of that name go "
					     "to all slots",
		    t->arguments->no_alias || !t->plain.at_boot ? "" : ", also at boot");
	journal_log(JOURNAL_ENABLE, &scope, "%s", message.text);
	if (!t->arguments->json)
		tell_notes(t);
	tell_mentions(t);
	json_object_object_add(object, "service", json_object_new_string(t->plan->service));
	json_object_object_add(object, "from", json_object_new_string(t->plain.name));
	json_object_object_add(object, "message", json_object_new_string(message.text));
	puts(t->arguments->json ? json_line(object) : message.text);
	return EXIT_DONE;
}

int takeover_run(const struct arguments *arguments, sd_bus *systemd, struct enable_plan *plan)
{
	_cleanup_(takeover_done) struct takeover t = {
		.arguments = arguments, .systemd = systemd, .plan = plan};
	struct plainunit_scope scope = {&plan->config, &plan->paths};
	int r;

	plainunit_look(systemd, arguments->texts[TEXT_FROM], &scope, &t.plain);
	r = takeover_look_at_paths(&t);
	if (r >= 0)
		r = takeover_make_room(&t);
	if (r >= 0)
		r = takeover_start_slots(&t);
	if (r >= 0)
		r = takeover_check_addresses(&t);
	if (r < 0)
		return undo(&t);
	takeover_drain(&t);
	r = takeover_stop_beside_links(&t);
	if (r >= 0)
		r = takeover_settle_name(&t);
	return finish(&t, r);
}
