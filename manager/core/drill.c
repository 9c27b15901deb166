// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/drill.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "util/clock.h"
#include "util/macro.h"

static const struct {
	const char *name, *help;
} scenarios[] = {
	[DRILL_SWITCHOVER] = {"switchover", "switch over to the standby and back"},
	[DRILL_STOP] = {"stop", "stop the unit of the active slot, and start it again"},
	[DRILL_CRASH] = {"crash", "kill the active instance (SIGKILL)"},
	[DRILL_HANG] = {"hang", "halt the active instance (SIGSTOP)"},
	[DRILL_SLOW_START] = {"slow-start", "restart the standby, and halt it while it starts"},
	[DRILL_BAD_BUILD] = {"bad-build", "upgrade to an instance that never becomes ready"},
	[DRILL_MANAGER_CRASH] = {"manager-crash", "kill hsd, and then the active instance"},
	[DRILL_BOTH_DOWN] = {"both-down", "stop both instances, and start them again"},
};
_Static_assert(ARRAY_SIZE(scenarios) == DRILL_SCENARIO_COUNT, "a name for each scenario");

static const char *const outcome_names[] = {
	[DRILL_ANSWERED] = "answered", [DRILL_REFUSED] = "refused",    [DRILL_RESET] = "reset",
	[DRILL_TIMEOUT] = "timed-out", [DRILL_WRONG] = "wrong-answer",
};
_Static_assert(ARRAY_SIZE(outcome_names) == DRILL_OUTCOME_COUNT, "a name for each outcome");

static const char *const verdict_names[] = {
	[DRILL_PASSED] = "passed",
	[DRILL_EXCEEDED] = "exceeded",
	[DRILL_BROKEN] = "broken",
	[DRILL_UNMEASURED] = "unmeasured",
};
_Static_assert(ARRAY_SIZE(verdict_names) == DRILL_VERDICT_COUNT, "a name for each verdict");

const char *drill_scenario_to_string(enum drill_scenario scenario)
{
	return scenario < DRILL_SCENARIO_COUNT ? scenarios[scenario].name : "unknown";
}

const char *drill_scenario_help(enum drill_scenario scenario)
{
	return scenario < DRILL_SCENARIO_COUNT ? scenarios[scenario].help : "";
}

enum drill_scenario drill_scenario_from_string(const char *text)
{
	for (unsigned i = 0; i < DRILL_SCENARIO_COUNT; i++)
		if (!strcmp(text, scenarios[i].name))
			return i;
	return DRILL_SCENARIO_COUNT;
}

const char *drill_outcome_to_string(enum drill_outcome outcome)
{
	return outcome < DRILL_OUTCOME_COUNT ? outcome_names[outcome] : "unknown";
}

const char *drill_verdict_to_string(enum drill_verdict verdict)
{
	return verdict < DRILL_VERDICT_COUNT ? verdict_names[verdict] : "unknown";
}

/* ---- the record ---- */

void drill_record_done(struct drill_record *record)
{
	free(record->probes);
	free(record->marks);
	*record = (struct drill_record) {0};
}

/* Room for one more of `size` bytes. */
static int make_room(void **array, size_t n, size_t *room, size_t size)
{
	size_t more = *room ? 2 * *room : 64;
	void *grown;

	if (n < *room)
		return 0;
	grown = realloc(*array, more * size);
	if (!grown)
		return -ENOMEM;
	*array = grown;
	*room = more;
	return 0;
}

int drill_record_probe(struct drill_record *record, const struct drill_probe *probe)
{
	int r = make_room((void **)&record->probes, record->n_probes, &record->probes_room,
			  sizeof(*probe));

	if (!r)
		record->probes[record->n_probes++] = *probe;
	return r;
}

int drill_record_mark(struct drill_record *record, uint64_t at, const char *template, ...)
{
	int r = make_room((void **)&record->marks, record->n_marks, &record->marks_room,
			  sizeof(struct drill_mark));
	struct drill_mark *mark;
	va_list args;

	if (r < 0)
		return r;
	mark = &record->marks[record->n_marks++];
	mark->at = at;
	va_start(args, template);
	vsnprintf(mark->text, sizeof(mark->text), template, args);
	va_end(args);
	return 0;
}

/* ---- figures ---- */

static int compare(const void *a, const void *b)
{
	const uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

	return left < right ? -1 : left > right;
}

static void note_gap(struct drill_summary *summary, uint64_t from, uint64_t to, uint64_t pause)
{
	uint64_t gap = to > from + pause ? to - from - pause : 0;

	if (gap <= summary->gap)
		return;
	summary->gap = gap;
	summary->gap_at = from;
}

/* What the answers tell, in the order in which they came. `times` has room for all. */
static size_t read_answers(const struct drill_record *record, uint64_t end, uint64_t *times,
			   struct drill_summary *summary)
{
	uint64_t last = 0;
	size_t n = 0;

	for (size_t i = 0; i < record->n_probes; i++) {
		const struct drill_probe *probe = &record->probes[i];

		if (probe->outcome != DRILL_ANSWERED)
			continue;
		note_gap(summary, last, probe->ended, record->interval_usec);
		last = probe->ended;
		times[n++] = probe->ended - probe->begun;
		if (record->broken_at && probe->begun >= record->broken_at && !summary->to_answer)
			summary->to_answer = probe->ended - record->broken_at;
	}
	note_gap(summary, last, end, record->interval_usec);
	return n;
}

int drill_summarize(const struct drill_record *record, uint64_t end,
		    struct drill_summary *ret_summary)
{
	_cleanup_(freep) uint64_t *times = calloc(record->n_probes + 1, sizeof(*times));
	struct drill_summary summary = {.total = record->n_probes};
	size_t n;

	if (!times)
		return -ENOMEM;
	for (size_t i = 0; i < record->n_probes; i++)
		summary.outcomes[record->probes[i].outcome]++;
	summary.lost = summary.total - summary.outcomes[DRILL_ANSWERED];
	n = read_answers(record, end, times, &summary);
	qsort(times, n, sizeof(*times), compare);
	if (n) {
		summary.median = times[n / 2];
		summary.p99 = times[MIN(n - 1, n * 99 / 100)];
		summary.worst = times[n - 1];
	}
	if (record->broken_at && record->new_active_at > record->broken_at)
		summary.to_new_active = record->new_active_at - record->broken_at;
	*ret_summary = summary;
	return 0;
}

enum drill_verdict drill_judge(const struct drill_summary *summary,
			       const struct drill_limits *limits, const char *broken,
			       struct problem *ret_sentence)
{
	char gap[SPAN_TEXT_MAX], allowed[SPAN_TEXT_MAX];

	span_format(summary->gap / USEC_PER_MSEC * USEC_PER_MSEC, gap, sizeof(gap));
	if (broken) {
		problem_set(ret_sentence, 0, "it did not go as it must: %.400s", broken);
		return DRILL_BROKEN;
	}
	if (!summary->outcomes[DRILL_ANSWERED]) {
		problem_set(ret_sentence, 0,
			    "not one of %zu connections was answered, so nothing was measured",
			    summary->total);
		return DRILL_UNMEASURED;
	}
	if (summary->lost > limits->max_lost) {
		problem_set(ret_sentence, 0, "%zu of %zu connections lost, %llu allowed",
			    summary->lost, summary->total, (unsigned long long)limits->max_lost);
		return DRILL_EXCEEDED;
	}
	if (summary->gap > limits->max_gap) {
		problem_set(ret_sentence, 0, "no answer for %s, %s allowed", gap,
			    span_format(limits->max_gap, allowed, sizeof(allowed)));
		return DRILL_EXCEEDED;
	}
	problem_set(ret_sentence, 0, "%zu of %zu connections lost, longest gap %s", summary->lost,
		    summary->total, gap);
	return DRILL_PASSED;
}
