// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsctl/drill/chart.h"

#include <math.h>
#include <string.h>

#include "hsctl/drill/canvas.h"
#include "util/clock.h"
#include "util/macro.h"

enum {
	LEFT = 92,
	RIGHT = PICTURE_WIDTH - PICTURE_MARGIN,
	NUMBERS = 84,	/* from the upper end to the numbers of the events */
	PLOT = 98,	/* to the plot */
	LOST_LANE = 20, /* at its upper end */
	PLOT_HEIGHT = 156,
	SLOT_LANE = 21,
	AXIS = 24,
	EVENT = 19, /* a line of the list below */
	EVENTS_MAX = 16,
	COLUMN_TEXT = 46, /* characters of an event that fit when there are two columns */
	FOOT = 26,
	SENTENCE = 125, /* characters on a line */
	BINS_MAX = 90,
	BIN_PROBES = 10, /* in each on average: fewer have no nine of ten */
};

struct chart {
	const struct drill_run *run;
	FILE *out;
	double top;  /* of the plot */
	double low;  /* the shortest answer that has a place, microseconds: a power of ten */
	double high; /* the longest */
	unsigned n_slots;
	unsigned n_bins;
};

static double x_of(const struct chart *chart, uint64_t at)
{
	uint64_t end = MAX(chart->run->end, 1U);

	return LEFT + (double)(RIGHT - LEFT) * MIN(at, end) / end;
}

static double y_of(const struct chart *chart, double usec)
{
	double share = log(MIN(MAX(usec, chart->low), chart->high) / chart->low) /
		       log(chart->high / chart->low);

	return chart->top + PLOT_HEIGHT - share * (PLOT_HEIGHT - LOST_LANE - 6);
}

/* ---- scales ---- */

static void choose_scale(struct chart *chart)
{
	const struct drill_record *record = &chart->run->record;
	double least = 1e9, most = 1;

	for (size_t i = 0; i < record->n_probes; i++) {
		double took = record->probes[i].ended - record->probes[i].begun;

		if (record->probes[i].outcome != DRILL_ANSWERED)
			continue;
		least = MIN(least, took);
		most = MAX(most, took);
	}
	chart->low = pow(10, floor(log10(MAX(MIN(least, 1000.0), 10.0))));
	chart->high = MAX(pow(10, ceil(log10(most))), chart->low * 1000);
}

static void draw_answer_axis(const struct chart *chart)
{
	char text[SPAN_TEXT_MAX];

	for (double usec = chart->low; usec <= chart->high * 1.01; usec *= 10) {
		double y = y_of(chart, usec);

		fprintf(chart->out, "<path class='grid' d='M%d %.1fH%d'/>\n", LEFT, y, RIGHT);
		picture_text(chart->out, "small", LEFT - 8, y + 4, ANCHOR_END, "%s",
			     span_format(usec + 0.5, text, sizeof(text)));
	}
	picture_text(chart->out, "small", LEFT - 8, chart->top + 14, ANCHOR_END, "lost");
}

/* Seconds before and after the harm. */
static void draw_time_axis(const struct chart *chart, double y)
{
	uint64_t zero = chart->run->record.broken_at, end = chart->run->end, step = USEC_PER_SEC;

	while (end / step > 12)
		step *= step % 5 ? 5 : 2;
	for (uint64_t at = zero % step; at <= end; at += step) {
		double x = x_of(chart, at);
		long seconds = ((long)at - (long)zero) / (long)USEC_PER_SEC;

		fprintf(chart->out, "<path class='grid' d='M%.1f %.1fV%.1f'/>\n", x, chart->top,
			chart->top + PLOT_HEIGHT);
		picture_text(chart->out, "small", x, y, ANCHOR_MIDDLE, seconds ? "%+ld s" : "0",
			     seconds);
	}
}

/* ---- what clients saw ---- */

static int compare(const void *a, const void *b)
{
	const double left = *(const double *)a, right = *(const double *)b;

	return left < right ? -1 : left > right;
}

struct bin {
	double low, median, high;
	bool any;
};

/* Answer times of the probes begun in one part of the time. `times` has room for all. */
static struct bin read_bin(const struct chart *chart, unsigned number, double *times)
{
	const struct drill_record *record = &chart->run->record;
	uint64_t from = chart->run->end * number / chart->n_bins,
		 to = chart->run->end * (number + 1) / chart->n_bins;
	size_t n = 0;

	for (size_t i = 0; i < record->n_probes; i++) {
		const struct drill_probe *probe = &record->probes[i];

		if (probe->outcome == DRILL_ANSWERED && probe->begun >= from && probe->begun < to)
			times[n++] = probe->ended - probe->begun;
	}
	if (!n)
		return (struct bin) {0};
	qsort(times, n, sizeof(*times), compare);
	return (struct bin) {times[n / 20], times[n / 2], times[MIN(n - 1, n * 19 / 20)], true};
}

static double bin_x(const struct chart *chart, unsigned number)
{
	return x_of(chart, chart->run->end * (2 * number + 1) / (2 * chart->n_bins));
}

/* From `from` up to the next bin without an answer, which is returned. */
static unsigned draw_stretch(const struct chart *chart, const struct bin *bins, unsigned from)
{
	unsigned to = from;

	while (to < chart->n_bins && bins[to].any)
		to++;
	if (to == from)
		return from + 1;
	fputs("<path class='band' d='M", chart->out);
	for (unsigned i = from; i < to; i++)
		fprintf(chart->out, "%.1f %.1f ", bin_x(chart, i), y_of(chart, bins[i].high));
	for (unsigned i = to; i-- > from;)
		fprintf(chart->out, "%.1f %.1f ", bin_x(chart, i), y_of(chart, bins[i].low));
	fputs("Z'/>\n<path class='median' d='M", chart->out);
	for (unsigned i = from; i < to; i++)
		fprintf(chart->out, "%.1f %.1f ", bin_x(chart, i), y_of(chart, bins[i].median));
	fputs("'/>\n", chart->out);
	return to;
}

static void draw_band(const struct chart *chart)
{
	_cleanup_(freep) double *times = calloc(chart->run->record.n_probes + 1, sizeof(*times));
	struct bin bins[BINS_MAX];

	if (!times)
		return;
	for (unsigned i = 0; i < chart->n_bins; i++)
		bins[i] = read_bin(chart, i, times);
	for (unsigned i = 0; i < chart->n_bins;)
		i = draw_stretch(chart, bins, i);
}

static void draw_probes(const struct chart *chart)
{
	const struct drill_record *record = &chart->run->record;

	for (size_t i = 0; i < record->n_probes; i++) {
		const struct drill_probe *probe = &record->probes[i];
		double x = x_of(chart, probe->begun);

		if (probe->outcome == DRILL_ANSWERED)
			fprintf(chart->out, "<circle class='dot' cx='%.1f' cy='%.1f' r='1.5'/>\n",
				x, y_of(chart, probe->ended - probe->begun));
		else
			fprintf(chart->out,
				"<path class='lost %s' d='M%.1f "
				"%.1fv%d'><title>%s</title></path>\n",
				drill_outcome_to_string(probe->outcome), x, chart->top + 3,
				LOST_LANE - 6, drill_outcome_words(probe->outcome));
	}
}

static void draw_gap(const struct chart *chart)
{
	const struct drill_summary *summary = &chart->run->summary;
	double from = x_of(chart, summary->gap_at);
	double to = x_of(chart, summary->gap_at + summary->gap);
	double y = chart->top + LOST_LANE + 16;
	char text[SPAN_TEXT_MAX];

	if (summary->gap < 20 * USEC_PER_MSEC)
		return;
	fprintf(chart->out, "<rect class='gap' x='%.1f' width='%.1f' y='%.1f' height='%d'/>\n",
		from, MAX(to - from, 2.0), chart->top, PLOT_HEIGHT);
	span_format(summary->gap / USEC_PER_MSEC * USEC_PER_MSEC, text, sizeof(text));
	if (to - from > 150)
		picture_text(chart->out, "gapword", (from + to) / 2, y, ANCHOR_MIDDLE,
			     "no answer for %s", text);
	else
		picture_text(chart->out, "gapword", to + 150 < RIGHT ? to + 6 : from - 6, y,
			     to + 150 < RIGHT ? ANCHOR_START : ANCHOR_END, "no answer for %s",
			     text);
}

/* ---- the slots ---- */

static void draw_segment(const struct chart *chart, const struct drill_sight *sight, uint64_t until,
			 double y)
{
	double from = x_of(chart, sight->at), to = x_of(chart, until);
	const char *class = sight->active  ? sight->ready ? "active" : "broken"
			    : sight->ready ? "standby"
					   : "down";
	const char *word = sight->ready ? sight->active ? "active" : "stands by" : sight->state;

	fprintf(chart->out,
		"<rect class='%s' x='%.1f' y='%.1f' width='%.1f' height='%d'><title>%s</title>"
		"</rect>\n",
		class, from, y, MAX(to - from, 0.8), SLOT_LANE - 5, word);
	if (to - from > 7.0 * strlen(word) + 8)
		picture_text(chart->out, !strcmp(class, "active") ? "onactive" : "onlane",
			     (from + to) / 2, y + 12, ANCHOR_MIDDLE, "%s", word);
}

static void draw_slot(const struct chart *chart, unsigned slot, double y)
{
	const struct drill_record *record = &chart->run->record;
	const struct drill_sight *last = NULL;

	picture_text(chart->out, "small", LEFT - 8, y + 12, ANCHOR_END, "slot %u", slot);
	for (size_t i = 0; i < record->n_sights; i++) {
		if (record->sights[i].slot != slot)
			continue;
		if (last)
			draw_segment(chart, last, record->sights[i].at, y);
		last = &record->sights[i];
	}
	if (last)
		draw_segment(chart, last, chart->run->end, y);
}

static unsigned count_slots(const struct drill_record *record)
{
	unsigned n = 0;

	for (size_t i = 0; i < record->n_sights; i++)
		n = MAX(n, record->sights[i].slot + 1);
	return n;
}

/* ---- the events ---- */

/* Numbers stand apart from each other, and as near as can be to their lines. */
static void place_numbers(const struct chart *chart, size_t n, double *places)
{
	const struct drill_record *record = &chart->run->record;

	for (size_t i = 0; i < n; i++) {
		places[i] = x_of(chart, record->marks[i].at);
		if (i && places[i] < places[i - 1] + 17)
			places[i] = places[i - 1] + 17;
	}
	for (size_t i = n; i-- > 0;) {
		double limit = i + 1 < n ? places[i + 1] - 17 : RIGHT - 8;

		places[i] = MIN(places[i], limit);
	}
}

static void draw_number(FILE *out, const struct drill_mark *mark, size_t number, double x, double y)
{
	fprintf(out, "<circle class='%s' cx='%.1f' cy='%.1f' r='7.5'/>\n",
		mark->ours ? "ours" : "theirs", x, y);
	picture_text(out, "number", x, y + 3.6, ANCHOR_MIDDLE, "%zu", number);
}

/* How the list below is laid out: many short events in two columns. */
struct list {
	size_t n, rows;
};

static struct list list_of(const struct drill_record *record)
{
	struct list list = {.n = MIN(record->n_marks, (size_t)EVENTS_MAX)};
	bool wide = list.n <= 5;

	for (size_t i = 0; i < list.n; i++)
		wide |= strlen(record->marks[i].text) > COLUMN_TEXT;
	list.rows = wide ? list.n : (list.n + 1) / 2;
	return list;
}

static void draw_line(const struct chart *chart, size_t i, double x, double y)
{
	const struct drill_record *record = &chart->run->record;
	const struct drill_mark *mark = &record->marks[i];

	draw_number(chart->out, mark, i + 1, x + 8, y - 4.5);
	picture_text(chart->out, "grey", x + LEFT - PICTURE_MARGIN + 20, y, ANCHOR_END, "%+.3f s",
		     ((double)mark->at - (double)record->broken_at) / 1e6);
	picture_text(chart->out, mark->ours ? "name" : "", x + LEFT - PICTURE_MARGIN + 34, y,
		     ANCHOR_START, "%s", mark->text);
}

static void draw_list(const struct chart *chart, double y)
{
	const struct drill_record *record = &chart->run->record;
	struct list list = list_of(record);

	for (size_t i = 0; i < list.n; i++)
		draw_line(chart, i, i < list.rows ? PICTURE_MARGIN : PICTURE_WIDTH / 2,
			  y + i % list.rows * EVENT);
	if (list.n < record->n_marks)
		picture_text(chart->out, "grey", LEFT + 34, y + list.rows * EVENT, ANCHOR_START,
			     "and %zu more", record->n_marks - list.n);
}

static void draw_marks(const struct chart *chart)
{
	const struct drill_record *record = &chart->run->record;
	size_t n = MIN(record->n_marks, (size_t)EVENTS_MAX);
	double places[EVENTS_MAX], numbers = chart->top - (PLOT - NUMBERS);

	place_numbers(chart, n, places);
	for (size_t i = 0; i < n; i++) {
		const struct drill_mark *mark = &record->marks[i];
		double x = x_of(chart, mark->at);

		fprintf(chart->out, "<path class='mark %s' d='M%.1f %.1fL%.1f %.1fV%.1f'/>\n",
			mark->ours ? "ours" : "theirs", places[i], numbers + 7, x, chart->top,
			chart->top + PLOT_HEIGHT + chart->n_slots * SLOT_LANE + 4);
		draw_number(chart->out, mark, i + 1, places[i], numbers);
	}
}

/* ---- all of it ---- */

static void draw_limits(const struct drill_run *run, double y, FILE *out)
{
	char lost[32] = "any number", gap[SPAN_TEXT_MAX] = "any time";

	if (run->limits.max_lost != UINT64_MAX)
		snprintf(lost, sizeof(lost), "%llu", (unsigned long long)run->limits.max_lost);
	if (run->limits.max_gap != UINT64_MAX)
		span_format(run->limits.max_gap, gap, sizeof(gap));
	picture_text(out, "grey", PICTURE_WIDTH - PICTURE_MARGIN, y, ANCHOR_END,
		     "allowed: %s lost, %s without an answer", lost, gap);
}

static void draw_title(const struct drill_run *run, double y, FILE *out)
{
	const struct drill_summary *s = &run->summary;
	bool good = run->verdict == DRILL_PASSED;
	char other[SPAN_TEXT_MAX], answer[SPAN_TEXT_MAX], line[256] = "";
	size_t used = 0;

	fprintf(out, "<path class='rule' d='M%d %.1fH%d'/>\n", PICTURE_MARGIN, y,
		PICTURE_WIDTH - PICTURE_MARGIN);
	picture_text(out, "panel", PICTURE_MARGIN, y + 30, ANCHOR_START,
		     run->of > 1 ? "%s, the worst of %u runs" : "%s",
		     drill_scenario_to_string(run->scenario), run->of);
	picture_text(out, good ? "good" : "bad", PICTURE_WIDTH - PICTURE_MARGIN, y + 30, ANCHOR_END,
		     "%s", drill_verdict_to_string(run->verdict));
	y += (picture_paragraph(out, "", y + 50, SENTENCE, run->sentence.text) - 1) * PICTURE_LINE;
	if (strlen(run->sentence.text) < 70)
		draw_limits(run, y + 50, out);
	if (s->to_new_active)
		used = snprintf(line, sizeof(line), "The other slot was active after %s. ",
				span_format(s->to_new_active, other, sizeof(other)));
	if (s->to_answer)
		used += snprintf(line + used, sizeof(line) - used,
				 "The next answer came after %s. ",
				 span_format(s->to_answer, answer, sizeof(answer)));
	if (run->record.moved)
		snprintf(line + used, sizeof(line) - used,
			 "%llu waiting connections were moved by the kernel.",
			 (unsigned long long)run->record.moved);
	picture_text(out, "grey", PICTURE_MARGIN, y + 67, ANCHOR_START, "%s", line);
}

/* From the upper end to the plot. */
static double plot_place(const struct drill_run *run)
{
	return PLOT +
	       (picture_paragraph(NULL, "", 0, SENTENCE, run->sentence.text) - 1) * PICTURE_LINE;
}

double drill_chart_height(const struct drill_run *run)
{
	size_t more = run->record.n_marks > EVENTS_MAX;

	return plot_place(run) + PLOT_HEIGHT + count_slots(&run->record) * SLOT_LANE + AXIS +
	       (list_of(&run->record).rows + more) * EVENT + FOOT;
}

void drill_chart(const struct drill_run *run, double y, FILE *out)
{
	struct chart chart = {
		.run = run,
		.out = out,
		.top = y + plot_place(run),
		.n_slots = count_slots(&run->record),
		.n_bins = MIN(MAX(run->record.n_probes / BIN_PROBES, 1U), (size_t)BINS_MAX)};
	double lanes = chart.top + PLOT_HEIGHT + 6;
	double axis = lanes + chart.n_slots * SLOT_LANE + 12;

	choose_scale(&chart);
	draw_title(run, y, out);
	fprintf(out,
		"<rect class='plot' x='%d' y='%.1f' width='%d' height='%d'/>\n"
		"<rect class='lane' x='%d' y='%.1f' width='%d' height='%d'/>\n",
		LEFT, chart.top, RIGHT - LEFT, PLOT_HEIGHT, LEFT, chart.top, RIGHT - LEFT,
		LOST_LANE);
	draw_answer_axis(&chart);
	draw_time_axis(&chart, axis);
	draw_band(&chart);
	draw_gap(&chart);
	draw_probes(&chart);
	for (unsigned i = 0; i < chart.n_slots; i++)
		draw_slot(&chart, i, lanes + i * SLOT_LANE);
	draw_marks(&chart);
	draw_list(&chart, axis + AXIS);
}
