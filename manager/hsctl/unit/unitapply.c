// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsctl/unit/unitapply.h"

#include <errno.h>

#include "system/unit/unitload.h"

int unitapply(sd_bus *bus, struct filechanges *changes, struct problem *problem)
{
	struct problem first = {}, undo = {};
	int r;

	r = filechanges_apply(changes, problem);
	if (r < 0)
		return r;
	r = unitload_anew(bus, &first);
	if (r >= 0)
		return 0;
	(void)filechanges_undo(changes, &undo);
	return problem_set(problem, r, "%.300s %s%s", first.text,
			   *undo.text ? undo.text : "Nothing was changed.",
			   r == -EACCES || r == -EPERM ? " Run it as root." : "");
}
