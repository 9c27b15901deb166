// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/setup/lint_report.h"

#include <stdio.h>
#include <string.h>

static bool same_place(const struct lint_finding *a, const struct lint_finding *b)
{
	const char *file_a = a->file ? a->file : "", *file_b = b->file ? b->file : "";

	return a->line == b->line && !strcmp(file_a, file_b) && !strcmp(a->what, b->what);
}

void lint_add(struct lint_report *report, const struct lint_finding *finding)
{
	report->refused |= finding->refuses;
	for (size_t i = 0; i < report->n; i++)
		if (same_place(&report->items[i], finding))
			return;
	if (report->n < LINT_FINDINGS_MAX)
		report->items[report->n++] = *finding;
}

void lint_line(struct lint_report *report, bool refuses, const struct assignment *a,
	       const char *why, const char *remedy)
{
	struct lint_finding finding = {
		.refuses = refuses, .file = a->file, .line = a->line, .why = why};

	snprintf(finding.what, sizeof(finding.what), "%s=%s", a->key, a->value);
	snprintf(finding.remedy, sizeof(finding.remedy), "%s", remedy);
	lint_add(report, &finding);
}

const char *lint_format(const struct lint_finding *finding, char text[LINT_TEXT_MAX])
{
	size_t length = strlen(finding->why);
	char place[600] = "";

	/* the reason may be systemd's own sentence */
	if (length > 0 && finding->why[length - 1] == '.')
		length--;

	if (finding->file && finding->line)
		snprintf(place, sizeof(place), "%s:%u: ", finding->file, finding->line);
	else if (finding->file)
		snprintf(place, sizeof(place), "%s: ", finding->file);
	snprintf(text, LINT_TEXT_MAX, "%s%s: %.*s. %s.", place, finding->what, (int)length,
		 finding->why, finding->remedy);
	return text;
}
