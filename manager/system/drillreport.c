// SPDX-License-Identifier: GPL-2.0-or-later
#include "system/drillreport.h"

#include <math.h>
#include <string.h>
#include <time.h>

#include "util/clock.h"
#include "util/files.h"
#include "util/macro.h"

/* ---- JSON ---- */

static void add_number(json_object *object, const char *key, uint64_t number)
{
	json_object_object_add(object, key, json_object_new_uint64(number));
}

static void add_text(json_object *object, const char *key, const char *text)
{
	json_object_object_add(object, key, json_object_new_string(text));
}

static void format_time(uint64_t usec, char text[48])
{
	time_t seconds = usec / USEC_PER_SEC;
	char day[32] = "";
	struct tm tm;

	if (gmtime_r(&seconds, &tm))
		strftime(day, sizeof(day), "%FT%T", &tm);
	snprintf(text, 48, "%s.%03uZ", day, (unsigned)(usec % USEC_PER_SEC / USEC_PER_MSEC));
}

static json_object *summary_to_json(const struct drill_summary *summary)
{
	json_object *object = json_object_new_object();

	add_number(object, "connections", summary->total);
	for (unsigned i = 0; i < DRILL_OUTCOME_COUNT; i++)
		add_number(object, drill_outcome_to_string(i), summary->outcomes[i]);
	add_number(object, "lost", summary->lost);
	add_number(object, "longest_gap_us", summary->gap);
	add_number(object, "longest_gap_at_us", summary->gap_at);
	add_number(object, "median_us", summary->median);
	add_number(object, "p99_us", summary->p99);
	add_number(object, "worst_us", summary->worst);
	add_number(object, "to_new_active_us", summary->to_new_active);
	add_number(object, "to_answer_us", summary->to_answer);
	return object;
}

static json_object *sights_to_json(const struct drill_record *record)
{
	json_object *array = json_object_new_array();

	for (size_t i = 0; i < record->n_sights; i++) {
		const struct drill_sight *sight = &record->sights[i];
		json_object *object = json_object_new_object();

		add_number(object, "at_us", sight->at);
		add_number(object, "slot", sight->slot);
		add_text(object, "state", sight->state);
		json_object_object_add(object, "active", json_object_new_boolean(sight->active));
		json_object_array_add(array, object);
	}
	return array;
}

static json_object *marks_to_json(const struct drill_record *record)
{
	json_object *array = json_object_new_array();

	for (size_t i = 0; i < record->n_marks; i++) {
		json_object *object = json_object_new_object();

		add_number(object, "at_us", record->marks[i].at);
		add_text(object, "text", record->marks[i].text);
		add_text(object, "by", record->marks[i].ours ? "drill" : "service");
		json_object_array_add(array, object);
	}
	return array;
}

static json_object *probes_to_json(const struct drill_record *record)
{
	json_object *array = json_object_new_array();

	for (size_t i = 0; i < record->n_probes; i++) {
		json_object *object = json_object_new_object();

		add_number(object, "at_us", record->probes[i].begun);
		add_number(object, "took_us", record->probes[i].ended - record->probes[i].begun);
		add_text(object, "outcome", drill_outcome_to_string(record->probes[i].outcome));
		json_object_array_add(array, object);
	}
	return array;
}

json_object *drill_report_json(const struct drill_run *run, bool probes)
{
	json_object *object = json_object_new_object(), *limits = json_object_new_object();
	char began[48];

	format_time(run->began_usec, began);
	add_text(object, "service", run->service);
	add_text(object, "scenario", drill_scenario_to_string(run->scenario));
	add_number(object, "number", run->number);
	add_number(object, "of", run->of);
	add_text(object, "asked", run->asked);
	add_number(object, "rate", run->rate);
	add_text(object, "began", began);
	add_number(object, "duration_us", run->end);
	add_text(object, "verdict", drill_verdict_to_string(run->verdict));
	add_text(object, "message", run->sentence.text);
	if (run->limits.max_gap != UINT64_MAX)
		add_number(limits, "max_gap_us", run->limits.max_gap);
	if (run->limits.max_lost != UINT64_MAX)
		add_number(limits, "max_lost", run->limits.max_lost);
	json_object_object_add(object, "limits", limits);
	json_object_object_add(object, "summary", summary_to_json(&run->summary));
	add_number(object, "moved", run->record.moved);
	json_object_object_add(object, "events", marks_to_json(&run->record));
	json_object_object_add(object, "slots", sights_to_json(&run->record));
	if (probes)
		json_object_object_add(object, "probes", probes_to_json(&run->record));
	return object;
}

int drill_report_spread(const struct drill_run *runs, size_t n, enum drill_scenario scenario,
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

/* ---- the picture ---- */

enum { WIDTH = 960, HEIGHT = 300, LEFT = 64, RIGHT = 16, TOP = 64, BOTTOM = 40 };

/* Answer times from 10 us to 10 s, on a logarithmic scale. */
#define TIME_MIN 10.0
#define TIME_MAX 10e6

struct canvas {
	const struct drill_run *run;
	FILE *out;
};

static double x_of(const struct canvas *canvas, uint64_t at)
{
	double span = canvas->run->end ? canvas->run->end : 1;

	return LEFT + (WIDTH - LEFT - RIGHT) * (at / span);
}

static double y_of(double usec)
{
	double at = log(MIN(MAX(usec, TIME_MIN), TIME_MAX) / TIME_MIN) / log(TIME_MAX / TIME_MIN);

	return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * at;
}

/* What others wrote, as XML text. */
static void put_escaped(FILE *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '<')
			fputs("&lt;", out);
		else if (*text == '>')
			fputs("&gt;", out);
		else if (*text == '&')
			fputs("&amp;", out);
		else if (*text == '"')
			fputs("&quot;", out);
		else if ((unsigned char)*text >= ' ' && (unsigned char)*text < 127)
			fputc(*text, out);
		else
			fputc('?', out);
	}
}

static void draw_axes(const struct canvas *canvas)
{
	static const char *const labels[] = {"10 us",  "100 us", "1 ms", "10 ms",
					     "100 ms", "1 s",	 "10 s"};
	uint64_t step = USEC_PER_SEC;
	double usec = TIME_MIN;

	for (size_t i = 0; i < ARRAY_SIZE(labels); i++, usec *= 10)
		fprintf(canvas->out,
			"<line class='grid' x1='%d' x2='%d' y1='%.1f' y2='%.1f'/>"
			"<text class='axis' x='%d' y='%.1f' text-anchor='end'>%s</text>\n",
			LEFT, WIDTH - RIGHT, y_of(usec), y_of(usec), LEFT - 6, y_of(usec) + 4,
			labels[i]);
	while (canvas->run->end / step > 12)
		step *= 2;
	for (uint64_t at = 0; at <= canvas->run->end; at += step)
		fprintf(canvas->out,
			"<line class='grid' x1='%.1f' x2='%.1f' y1='%d' y2='%d'/>"
			"<text class='axis' x='%.1f' y='%d' text-anchor='middle'>%llu s</text>\n",
			x_of(canvas, at), x_of(canvas, at), TOP, HEIGHT - BOTTOM, x_of(canvas, at),
			HEIGHT - BOTTOM + 16, (unsigned long long)(at / USEC_PER_SEC));
}

static void draw_gap(const struct canvas *canvas)
{
	const struct drill_summary *summary = &canvas->run->summary;
	double from = x_of(canvas, summary->gap_at);
	double to = x_of(canvas, MIN(summary->gap_at + summary->gap, canvas->run->end));
	char text[SPAN_TEXT_MAX];

	if (summary->gap < 20 * USEC_PER_MSEC)
		return;
	span_format(summary->gap / USEC_PER_MSEC * USEC_PER_MSEC, text, sizeof(text));
	fprintf(canvas->out,
		"<rect class='gap' x='%.1f' width='%.1f' y='%d' height='%d'>"
		"<title>no answer for %s</title></rect>\n",
		from, MAX(to - from, 1.0), TOP, HEIGHT - TOP - BOTTOM, text);
}

static void draw_probes(const struct canvas *canvas)
{
	const struct drill_record *record = &canvas->run->record;

	for (size_t i = 0; i < record->n_probes; i++) {
		const struct drill_probe *probe = &record->probes[i];

		if (probe->outcome == DRILL_ANSWERED)
			fprintf(canvas->out, "<circle class='ok' cx='%.1f' cy='%.1f' r='1.6'/>\n",
				x_of(canvas, probe->begun), y_of(probe->ended - probe->begun));
		else
			fprintf(canvas->out,
				"<path class='lost' d='M%.1f %d v12'><title>%s</title></path>\n",
				x_of(canvas, probe->begun), TOP + 2,
				drill_outcome_to_string(probe->outcome));
	}
}

/* Numbers at the lines, the words below the picture: neighbours would overlap. */
static void draw_marks(const struct canvas *canvas)
{
	const struct drill_record *record = &canvas->run->record;

	for (size_t i = 0; i < record->n_marks; i++) {
		double x = x_of(canvas, MIN(record->marks[i].at, canvas->run->end));
		int y = TOP - 6 - (int)(i % 2) * 12;

		fprintf(canvas->out,
			"<line class='mark' x1='%.1f' x2='%.1f' y1='%d' y2='%d'/>"
			"<text class='mark' x='%.1f' y='%d' text-anchor='middle'>%zu</text>\n",
			x, x, y + 2, HEIGHT - BOTTOM, x, y, i + 1);
	}
	for (size_t i = 0; i < record->n_marks; i++) {
		fprintf(canvas->out, "<text class='axis' x='%d' y='%zu'>%zu  %.3f s  ", LEFT,
			HEIGHT + i * 16, i + 1, record->marks[i].at / 1e6);
		put_escaped(canvas->out, record->marks[i].text);
		fputs("</text>\n", canvas->out);
	}
}

static size_t height_of(const struct drill_run *run)
{
	return HEIGHT + run->record.n_marks * 16 + 12;
}

static const char style[] =
	"<style>.back{fill:#fff}.title{font:bold 15px sans-serif}.axis{font:12px sans-serif;"
	"fill:#444}"
	".grid{stroke:#ddd}.gap{fill:#f6c9c0}.ok{fill:#1f6f8b}.lost{stroke:#c1121f;stroke-width:2}"
	"line.mark{stroke:#e09f3e;stroke-width:1.2}text.mark{font:bold 11px "
	"sans-serif;fill:#9a5b00}</style>\n";

static void draw(const struct drill_run *run, FILE *out)
{
	struct canvas canvas = {run, out};

	fprintf(out, "<rect class='back' width='%d' height='%zu'/>\n", WIDTH, height_of(run));
	fprintf(out, "<text class='title' x='%d' y='20'>", LEFT);
	put_escaped(out, run->service);
	fprintf(out, ": %s, %s</text>\n<text class='axis' x='%d' y='36'>",
		drill_scenario_to_string(run->scenario), drill_verdict_to_string(run->verdict),
		LEFT);
	put_escaped(out, run->sentence.text);
	fputs("</text>\n", out);
	draw_axes(&canvas);
	draw_gap(&canvas);
	draw_probes(&canvas);
	draw_marks(&canvas);
}

void drill_report_svg(const struct drill_run *run, FILE *out)
{
	fprintf(out,
		"<svg xmlns='http://www.w3.org/2000/svg' width='%d' height='%zu' viewBox='0 0 %d "
		"%zu'>\n%s",
		WIDTH, height_of(run), WIDTH, height_of(run), style);
	draw(run, out);
	fputs("</svg>\n", out);
}

static void write_svg(const struct drill_run *runs, size_t n, FILE *out)
{
	size_t height = 0;

	for (size_t i = 0; i < n; i++)
		height += height_of(&runs[i]);
	fprintf(out,
		"<svg xmlns='http://www.w3.org/2000/svg' width='%d' height='%zu' viewBox='0 0 %d "
		"%zu'>\n%s",
		WIDTH, height, WIDTH, height, style);
	height = 0;
	for (size_t i = 0; i < n; i++) {
		fprintf(out, "<g transform='translate(0 %zu)'>\n", height);
		draw(&runs[i], out);
		fputs("</g>\n", out);
		height += height_of(&runs[i]);
	}
	fputs("</svg>\n", out);
}

/* ---- the page ---- */

static const char page_head[] =
	"<!DOCTYPE html>\n<html lang='en'><head><meta charset='utf-8'>"
	"<title>Drill report</title>\n"
	"<style>body{font:15px/1.5 sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;"
	"color:#222}table{border-collapse:collapse;margin:1rem 0}td,th{border:1px solid #ccc;"
	"padding:.25rem .7rem;text-align:right}th{background:#f4f4f4}td:first-child,th:first-child"
	"{text-align:left}.passed{color:#2a7f3f}.exceeded,.broken,.unmeasured{color:#c1121f}"
	"svg{max-width:100%;height:auto;border:1px solid #ddd}</style></head><body>\n";

static const char page_foot[] =
	"<h2>How to read it</h2>\n<p>While the service was disturbed, a prober opened connections "
	"at a fixed rate from the same machine, each a new one, and noted when it was answered. In "
	"the pictures each dot is one such connection: to the right the time at which it began, "
	"upwards how long its answer took, on a logarithmic scale. A red stroke at the top is a "
	"connection that was lost: refused, reset, not answered in time, or answered wrongly. The "
	"shaded part is the longest time without an answer. The numbered lines are what was done "
	"to the service, and what it did.</p>\n<p>The gap is counted from the end of one answer to "
	"the end of the next, less the pause between two probes.</p>\n</body></html>\n";

static void write_row(const struct drill_run *run, FILE *out)
{
	const struct drill_summary *s = &run->summary;

	fprintf(out,
		"<tr><td>%s (%u of %u)</td><td class='%s'>%s</td><td>%zu</td><td>%zu</td>"
		"<td>%.1f ms</td><td>%.2f ms</td><td>%.2f ms</td><td>",
		drill_scenario_to_string(run->scenario), run->number, run->of,
		drill_verdict_to_string(run->verdict), drill_verdict_to_string(run->verdict),
		s->total, s->lost, s->gap / 1e3, s->median / 1e3, s->worst / 1e3);
	if (s->to_new_active)
		fprintf(out, "%.1f ms", s->to_new_active / 1e3);
	fprintf(out, "</td><td>%llu</td></tr>\n", (unsigned long long)run->record.moved);
}

static void write_html(const struct drill_run *runs, size_t n, FILE *out)
{
	char began[48];

	format_time(n ? runs[0].began_usec : 0, began);
	fprintf(out, "%s<h1>Drill of ", page_head);
	put_escaped(out, n ? runs[0].service : "");
	fprintf(out,
		"</h1>\n<p>Began %s.</p>\n<table><tr><th>scenario</th><th>verdict</th>"
		"<th>connections</th><th>lost</th><th>longest gap</th><th>median answer</th>"
		"<th>worst answer</th><th>new active after</th><th>moved</th></tr>\n",
		began);
	for (size_t i = 0; i < n; i++)
		write_row(&runs[i], out);
	fputs("</table>\n", out);
	for (size_t i = 0; i < n; i++) {
		fprintf(out, "<h2>%s</h2>\n<p>", drill_scenario_to_string(runs[i].scenario));
		put_escaped(out, drill_scenario_help(runs[i].scenario));
		fputs(". ", out);
		put_escaped(out, runs[i].sentence.text);
		fputs(".</p>\n", out);
		drill_report_svg(&runs[i], out);
	}
	fputs(page_foot, out);
}

/* ---- the file ---- */

enum drill_format drill_format_of(const char *path)
{
	static const char *const ends[] = {
		[DRILL_JSON] = ".json", [DRILL_SVG] = ".svg", [DRILL_HTML] = ".html"};
	size_t length = strlen(path);

	for (unsigned i = 0; i < ARRAY_SIZE(ends); i++)
		if (length > strlen(ends[i]) && !strcmp(path + length - strlen(ends[i]), ends[i]))
			return i;
	return DRILL_FORMAT_COUNT;
}

static void write_json(const struct drill_run *runs, size_t n, FILE *out)
{
	json_object *array = json_object_new_array();

	for (size_t i = 0; i < n; i++)
		json_object_array_add(array, drill_report_json(&runs[i], true));
	fputs(json_object_to_json_string_ext(array, JSON_C_TO_STRING_PRETTY |
							    JSON_C_TO_STRING_NOSLASHESCAPE),
	      out);
	fputc('\n', out);
	json_object_put(array);
}

static char *make_text(enum drill_format format, const struct drill_run *runs, size_t n)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	if (format == DRILL_JSON)
		write_json(runs, n, out);
	else if (format == DRILL_SVG)
		write_svg(runs, n, out);
	else
		write_html(runs, n, out);
	if (fclose(out) == 0)
		return text;
	free(text);
	return NULL;
}

int drill_report_write(const char *path, const struct drill_run *runs, size_t n,
		       struct problem *problem)
{
	enum drill_format format = drill_format_of(path);
	_cleanup_(freep) char *text = NULL;
	int r;

	if (format == DRILL_FORMAT_COUNT)
		return problem_set(problem, -EINVAL,
				   "%s: a report is a .json, .svg or .html file; name it so", path);
	text = make_text(format, runs, n);
	if (!text)
		return problem_set(problem, -ENOMEM, "out of memory");
	r = file_write(path, text, 0644);
	return r < 0 ? problem_set(problem, r, "cannot write %s: %s", path, strerror(-r)) : 0;
}
