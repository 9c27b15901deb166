// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/prepare.h"

int prepare_slot(struct plane *plane, const struct prepare_scope *scope,
		 struct problem *ret_sentence)
{
	problem_set(ret_sentence, 0, "%s: slot %u is prepared.", plane_service(plane), scope->slot);
	return 0;
}
