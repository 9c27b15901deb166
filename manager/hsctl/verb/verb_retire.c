// SPDX-License-Identifier: GPL-2.0-or-later
/* retire: ExecStop= of an instance. */
#include "hsctl/verb/hook.h"
#include "hsctl/verb_functions.h"
#include "service/whole/calls_slot.h"
#include "util/macro.h"

/* hsd itself waits up to 4 s for another slot that is coming. */
#define ASK_TIME (UINT64_C(4250000))

int verb_retire(const struct arguments *arguments)
{
	struct hook hook;

	if (hook_begin(&hook, arguments))
		return EXIT_USAGE;
	hook_do(&hook, "Retire", ASK_TIME, call_retire);
	return hook_end(&hook);
}
