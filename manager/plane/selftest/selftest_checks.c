// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/selftest/selftest_checks.h"

#include <stdarg.h>
#include <stdio.h>

void selftest_set(struct ability_result *result, enum ability_verdict verdict, const char *template,
		  ...)
{
	va_list args;

	result->detail[0] = '\0';
	if (template) {
		va_start(args, template);
		vsnprintf(result->detail, sizeof(result->detail), template, args);
		va_end(args);
	}
	result->verdict = verdict;
}
