// SPDX-License-Identifier: GPL-2.0-or-later
#include "util/problem.h"

#include <stdarg.h>
#include <stdio.h>

int problem_set(struct problem *problem, int error, const char *template, ...)
{
	va_list args;

	if (!problem)
		return error;
	va_start(args, template);
	vsnprintf(problem->text, sizeof(problem->text), template, args);
	va_end(args);
	return error;
}
