// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsctl/drill/runs.h"

#include <errno.h>
#include <stdlib.h>

#include "util/macro.h"

int drill_runs_spread(const struct drill_run *runs, size_t n, enum drill_scenario scenario,
		      struct drill_spread *ret_spread)
{
	_cleanup_(freep) const struct drill_summary **summaries = calloc(n + 1, sizeof(*summaries));
	_cleanup_(freep) enum drill_verdict *verdicts = calloc(n + 1, sizeof(*verdicts));
	_cleanup_(freep) size_t *places = calloc(n + 1, sizeof(*places));
	size_t count = 0;
	int r;

	if (!summaries || !verdicts || !places)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		if (runs[i].scenario != scenario)
			continue;
		summaries[count] = &runs[i].summary;
		places[count] = i;
		verdicts[count++] = runs[i].verdict;
	}
	if (!count)
		return -ENOENT;
	r = drill_spread(summaries, verdicts, count, ret_spread);
	if (!r)
		ret_spread->worst = places[ret_spread->worst];
	return r;
}
