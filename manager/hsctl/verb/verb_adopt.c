// SPDX-License-Identifier: GPL-2.0-or-later
/* adopt: ExecStartPost= of an instance. */
#include "hsctl/verb/hook.h"
#include "hsctl/verb_functions.h"
#include "service/whole/calls_slot.h"
#include "util/macro.h"

/* How long hsd has to answer. */
#define ASK_TIME (2 * USEC_PER_SEC)

int verb_adopt(const struct arguments *arguments)
{
	struct hook hook;

	if (hook_begin(&hook, arguments))
		return EXIT_USAGE;
	hook_do(&hook, "Adopt", ASK_TIME, call_adopt);
	hook_make_paths(&hook, false);
	return hook_end(&hook);
}
