// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/drill.h"

#include <errno.h>
#include <stdio.h>
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
	[DRILL_SLOW_START] = {"slow-start", "restart the standby, which takes long to start"},
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

static const char *const outcome_words[] = {
	[DRILL_ANSWERED] = "answered", [DRILL_REFUSED] = "refused",	   [DRILL_RESET] = "reset",
	[DRILL_TIMEOUT] = "timed out", [DRILL_WRONG] = "answered wrongly",
};
_Static_assert(ARRAY_SIZE(outcome_words) == DRILL_OUTCOME_COUNT, "words for each outcome");

static const char *const verdict_names[] = {
	[DRILL_PASSED] = "passed",	     [DRILL_EXCEEDED] = "exceeded",
	[DRILL_BROKEN] = "broken",	     [DRILL_UNMEASURED] = "unmeasured",
	[DRILL_INTERRUPTED] = "interrupted",
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

const char *drill_scenario_objection(enum drill_scenario scenario)
{
	switch (scenario) {
	case DRILL_HANG:
		return "no other slot runs that could take over from one that hangs";
	case DRILL_SLOW_START:
		return "there is no standby that could be restarted";
	case DRILL_BOTH_DOWN:
		return "there is one instance to be stopped, and the scenario stop does that";
	default:
		return NULL;
	}
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

const char *drill_outcome_words(enum drill_outcome outcome)
{
	return outcome < DRILL_OUTCOME_COUNT ? outcome_words[outcome] : "unknown";
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
	free(record->sights);
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

int drill_record_mark(struct drill_record *record, const struct drill_mark *mark)
{
	int r = make_room((void **)&record->marks, record->n_marks, &record->marks_room,
			  sizeof(*mark));

	if (!r)
		record->marks[record->n_marks++] = *mark;
	return r;
}

int drill_record_sight(struct drill_record *record, const struct drill_sight *sight)
{
	int r = make_room((void **)&record->sights, record->n_sights, &record->sights_room,
			  sizeof(*sight));

	if (!r)
		record->sights[record->n_sights++] = *sight;
	return r;
}

/* ---- figures ---- */

static int compare(const void *a, const void *b)
{
	const uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

	return left < right ? -1 : left > right;
}

static void note_gap(struct drill_summary *summary, uint64_t from, uint64_t to)
{
	if (to <= from || to - from <= summary->gap)
		return;
	summary->gap = to - from;
	summary->gap_at = from;
}

/* Two arrays with room for all probes. */
struct times {
	uint64_t *begun; /* all, ascending */
	uint64_t *took;	 /* of those that were answered */
	size_t n_took;
};

/* The first connection begun at or after `since`, from `*place` on; UINT64_MAX when there is none.
 */
static uint64_t first_since(const struct times *times, size_t n, uint64_t since, size_t *place)
{
	while (*place < n && times->begun[*place] < since)
		(*place)++;
	return *place < n ? times->begun[*place] : UINT64_MAX;
}

/* What the answers tell, in the order in which they came. Before a connection is begun nobody waits
 * for an answer: a prober that comes late is no gap. */
static void read_answers(const struct drill_record *record, uint64_t end, struct times *times,
			 struct drill_summary *summary)
{
	uint64_t last = 0;
	size_t place = 0, n = record->n_probes;

	for (size_t i = 0; i < n; i++)
		times->begun[i] = record->probes[i].begun;
	qsort(times->begun, n, sizeof(*times->begun), compare);
	for (size_t i = 0; i < n; i++) {
		const struct drill_probe *probe = &record->probes[i];

		if (probe->outcome != DRILL_ANSWERED)
			continue;
		note_gap(summary, first_since(times, n, last, &place), probe->ended);
		last = probe->ended;
		times->took[times->n_took++] = probe->ended - probe->begun;
		if (record->broken_at && !summary->to_answer &&
		    probe->begun >= MAX(record->broken_at, record->certain_at))
			summary->to_answer = probe->ended - record->broken_at;
	}
	note_gap(summary, first_since(times, n, last, &place), end);
}

int drill_summarize(const struct drill_record *record, uint64_t end,
		    struct drill_summary *ret_summary)
{
	_cleanup_(freep) uint64_t *room = calloc(2 * record->n_probes + 1, sizeof(*room));
	struct times times = {.begun = room, .took = room + record->n_probes};
	struct drill_summary summary = {.total = record->n_probes};
	size_t n;

	if (!room)
		return -ENOMEM;
	for (size_t i = 0; i < record->n_probes; i++)
		summary.outcomes[record->probes[i].outcome]++;
	summary.lost = summary.total - summary.outcomes[DRILL_ANSWERED];
	read_answers(record, end, &times, &summary);
	n = times.n_took;
	qsort(times.took, n, sizeof(*times.took), compare);
	if (n) {
		summary.median = times.took[n / 2];
		summary.p99 = times.took[MIN(n - 1, n * 99 / 100)];
		summary.worst = times.took[n - 1];
	}
	if (record->broken_at && record->new_active_at > record->broken_at)
		summary.to_new_active = record->new_active_at - record->broken_at;
	*ret_summary = summary;
	return 0;
}

void drill_describe_lost(const struct drill_summary *summary, struct problem *ret_text)
{
	char kinds[160] = "";
	size_t used = 0;

	for (unsigned i = DRILL_ANSWERED + 1; i < DRILL_OUTCOME_COUNT; i++)
		if (summary->outcomes[i])
			used += snprintf(kinds + used, sizeof(kinds) - used, "%s%zu %s",
					 used ? ", " : " (", summary->outcomes[i],
					 outcome_words[i]);
	problem_set(ret_text, 0, "%zu of %zu connections lost%s%s", summary->lost, summary->total,
		    kinds, used ? ")" : "");
}

/* Whether the figures keep within the limits; says which does not. */
static enum drill_verdict judge_figures(const struct drill_summary *summary,
					const struct drill_limits *limits,
					struct problem *ret_sentence)
{
	char gap[SPAN_TEXT_MAX], allowed[SPAN_TEXT_MAX];
	struct problem lost;

	drill_describe_lost(summary, &lost);
	span_format(summary->gap / USEC_PER_MSEC * USEC_PER_MSEC, gap, sizeof(gap));
	if (summary->lost > limits->max_lost) {
		problem_set(ret_sentence, 0, "%.200s, %llu allowed", lost.text,
			    (unsigned long long)limits->max_lost);
		return DRILL_EXCEEDED;
	}
	if (summary->gap > limits->max_gap) {
		problem_set(ret_sentence, 0, "no answer for %s, %s allowed", gap,
			    span_format(limits->max_gap, allowed, sizeof(allowed)));
		return DRILL_EXCEEDED;
	}
	problem_set(ret_sentence, 0, "%.200s, longest gap %s", lost.text, gap);
	return DRILL_PASSED;
}

static bool said(const char *sentence)
{
	return sentence && sentence[0];
}

enum drill_verdict drill_judge(const struct drill_summary *summary,
			       const struct drill_limits *limits, const struct drill_course *course,
			       struct problem *ret_sentence)
{
	if (said(course->unmeasured)) {
		problem_set(ret_sentence, 0, "%.480s", course->unmeasured);
		return DRILL_UNMEASURED;
	}
	if (said(course->broken)) {
		problem_set(ret_sentence, 0, "it did not go as it must: %.400s", course->broken);
		return DRILL_BROKEN;
	}
	if (course->interrupted) {
		problem_set(ret_sentence, 0, "it was interrupted; everything was put back");
		return DRILL_INTERRUPTED;
	}
	if (!summary->outcomes[DRILL_ANSWERED]) {
		problem_set(ret_sentence, 0,
			    "not one of %zu connections was answered, so nothing was measured",
			    summary->total);
		return DRILL_UNMEASURED;
	}
	return judge_figures(summary, limits, ret_sentence);
}

/* ---- several runs ---- */

static uint64_t median(uint64_t *values, size_t n)
{
	qsort(values, n, sizeof(*values), compare);
	return n ? values[n / 2] : 0;
}

static bool is_worse(const struct drill_summary *a, enum drill_verdict verdict_a,
		     const struct drill_summary *b, enum drill_verdict verdict_b)
{
	if ((verdict_a == DRILL_PASSED) != (verdict_b == DRILL_PASSED))
		return verdict_a != DRILL_PASSED;
	return a->gap > b->gap;
}

int drill_spread(const struct drill_summary *const *summaries, const enum drill_verdict *verdicts,
		 size_t n, struct drill_spread *ret_spread)
{
	_cleanup_(freep) uint64_t *values = calloc(2 * n + 1, sizeof(*values));
	struct drill_spread spread = {.n = n};
	uint64_t *gaps = values, *news = values + n;

	if (!values)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		const struct drill_summary *s = summaries[i];

		gaps[i] = s->gap;
		spread.passed += verdicts[i] == DRILL_PASSED;
		spread.total += s->total;
		spread.lost += s->lost;
		if (s->to_new_active)
			news[spread.n_moved++] = s->to_new_active;
		if (is_worse(s, verdicts[i], summaries[spread.worst], verdicts[spread.worst]))
			spread.worst = i;
	}
	spread.gap_median = median(gaps, n);
	spread.gap_min = gaps[0];
	spread.gap_max = gaps[n - 1];
	spread.new_median = median(news, spread.n_moved);
	if (spread.n_moved) {
		spread.new_min = news[0];
		spread.new_max = news[spread.n_moved - 1];
	}
	*ret_spread = spread;
	return 0;
}
