// SPDX-License-Identifier: GPL-2.0-or-later
/* prepare: ExecStartPre= of an instance. */
#include <string.h>
#include <syslog.h>

#include "hsctl/hook.h"
#include "hsctl/verbs.h"
#include "plane/prepare.h"
#include "util/macro.h"

/* How long hsd has to answer: it may wait for another slot that has just been started. */
#define ASK_TIME (4 * USEC_PER_SEC)
/* The same wait without hsd, of the time for all. */
#define WAIT_TIME (3 * USEC_PER_SEC)

static void give_owner(const struct hook *hook, const struct direct *direct)
{
	struct problem sentence, problem;
	int n = direct_give(direct, hook->slot, hook_left(hook, WAIT_TIME), &problem);

	if (n < 0)
		problem_set(&sentence, n,
			    "%s: the sockets of the other slots could not be given to the user of "
			    "slot %u: %.350s",
			    hook->service, hook->slot, problem.text);
	else
		problem_set(&sentence, 0,
			    "%s: %d sockets of the other slots were given to the user of slot %u",
			    hook->service, n, hook->slot);
	if (n)
		hook_tell(hook, JOURNAL_PREPARE, n < 0 ? LOG_WARNING : LOG_INFO, &sentence);
}

static void prepare_directly(struct hook *hook)
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
	give_owner(hook, &direct);
	r = prepare_slot(direct.plane, &scope, &sentence);
	hook_tell(hook, JOURNAL_PREPARE, r < 0 ? LOG_WARNING : LOG_INFO, &sentence);
}

int verb_prepare(const struct arguments *arguments)
{
	struct hook hook;

	if (hook_begin(&hook, arguments))
		return EXIT_USAGE;
	hook_make_paths(&hook, true);
	if (hook_ask(&hook, "Prepare", ASK_TIME) != CLIENT_ANSWERED)
		prepare_directly(&hook);
	return hook_end(&hook);
}
