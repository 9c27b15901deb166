// SPDX-License-Identifier: GPL-2.0-or-later
/* prepare: ExecStartPre= of an instance. */
#include <syslog.h>

#include "hsctl/hook.h"
#include "hsctl/verbs.h"
#include "plane/prepare.h"
#include "util/macro.h"

/* How long hsd has to answer. */
#define ASK_TIME (2 * USEC_PER_SEC)

static void prepare_directly(const struct hook *hook)
{
	_cleanup_(direct_close) struct direct direct = {0};
	_cleanup_(unit_facts_done) struct unit_facts facts = {0};
	struct intake_facts intake = {0};
	struct prepare_scope scope = {
		.cgroup = facts.control_group,
		.slot = hook->slot,
		.config = &direct.config,
	};
	struct problem sentence;
	int r;

	if (!hook_open(hook, &direct))
		return;
	direct_unit(&direct, hook->slot, &facts);
	intake.wanted = direct.config.intake;
	intake.socket_units = unit_has_socket(&facts);
	scope.forced = intake_needs_force(&intake);
	r = prepare_slot(direct.plane, &scope, &sentence);
	hook_tell(hook, JOURNAL_PREPARE, r < 0 ? LOG_WARNING : LOG_INFO, &sentence);
}

int verb_prepare(const struct arguments *arguments)
{
	struct hook hook;

	if (hook_begin(&hook, arguments))
		return EXIT_USAGE;
	if (hook_ask(&hook, "Prepare", ASK_TIME) != CLIENT_ANSWERED)
		prepare_directly(&hook);
	return EXIT_DONE;
}
