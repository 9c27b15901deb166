// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsctl/setup/enable_steps.h"

#include "util/strings.h"

int enable_no_memory(struct problem *problem)
{
	return problem_set(problem, -ENOMEM, "Out of memory.");
}

const char *enable_keep(struct enable_plan *plan, const char *text)
{
	if (!text || !*text || strings_add(&plan->texts, text) < 0)
		return NULL;
	return plan->texts[strings_count(plan->texts) - 1];
}
