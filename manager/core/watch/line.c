// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/watch/line.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int line_copy(const struct line *line, struct line *ret_copy)
{
	uint32_t *names = malloc((line->n + 1) * sizeof(*names));

	if (!names)
		return -ENOMEM;
	if (line->n)
		memcpy(names, line->names, line->n * sizeof(*names));
	*ret_copy = (struct line) {names, line->n, line->full};
	return 0;
}

void line_done(struct line *line)
{
	free(line->names);
	*line = (struct line) {0};
}

bool line_was_brief(const struct line *before, const struct line *now)
{
	for (size_t i = before->n; i < now->n; i++)
		if (!now->names[i])
			return true;
	return false;
}

/* Of the old queue, in its old place. */
static bool keeps_somebody(const struct line *before, const struct line *now)
{
	for (size_t i = 0; i < before->n; i++)
		if (before->names[i] && before->names[i] == now->names[i])
			return true;
	return false;
}

/* All of the old queue who have a name still stand in front of all newcomers, so the first one
 * tells whether there is any. */
static bool has_moved_up(const struct line *before, const struct line *now)
{
	uint32_t first = 0;

	for (size_t i = 0; i < now->n && !first; i++)
		first = now->names[i];
	for (size_t i = 0; first && i < before->n; i++)
		if (before->names[i] == first)
			return true;
	return false;
}

enum line_news line_compare(const struct line *before, const struct line *now)
{
	if (!before->n)
		return LINE_VAGUE;
	if (now->n < before->n)
		return LINE_MOVES;
	if (keeps_somebody(before, now))
		return LINE_STAYS;
	if (now->names[before->n - 1] || has_moved_up(before, now))
		return LINE_MOVES;
	return now->full || line_was_brief(before, now) ? LINE_VAGUE : LINE_SEEMS;
}
