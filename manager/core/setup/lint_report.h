/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What was found wrong with a unit: a list in which each finding is once. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "core/config/ini.h"

#define LINT_FINDINGS_MAX 32
#define LINT_TEXT_MAX	  2048

struct lint_finding {
	bool refuses;	  /* it cannot work; else worth knowing */
	const char *file; /* NULL = none in particular. Belongs, like `why`, to the caller of the
			     rule */
	unsigned line;	  /* 0 = the file as a whole: something is missing */
	char what[544];	  /* "Accept=yes" */
	const char *why;
	char remedy[256];
};

struct lint_report {
	struct lint_finding items[LINT_FINDINGS_MAX];
	size_t n;
	bool refused; /* at least one finding refuses, listed or beyond LINT_FINDINGS_MAX */
};

/* Adds a finding unless the same one (place and `what`) is there: the slots of a template share
 * files. */
void lint_add(struct lint_report *report, const struct lint_finding *finding);

/* A finding about one assignment. `why` as in the finding; `remedy` is copied. */
void lint_line(struct lint_report *report, bool refuses, const struct assignment *a,
	       const char *why, const char *remedy);

/* "FILE:LINE: WHAT: WHY. REMEDY." Returns `text`. */
const char *lint_format(const struct lint_finding *finding, char text[LINT_TEXT_MAX]);
