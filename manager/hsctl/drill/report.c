// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsctl/drill/report.h"

#include <string.h>
#include <time.h>

#include "hsctl/drill/canvas.h"
#include "hsctl/drill/picture.h"
#include "util/clock.h"
#include "util/files.h"
#include "util/macro.h"

/* ---- JSON ---- */

static void add_number(json_object *object, const char *key, uint64_t number)
{
	json_object_object_add(object, key, json_object_new_uint64(number));
}

/* 0: it never came to that. */
static void add_span(json_object *object, const char *key, uint64_t usec)
{
	json_object_object_add(object, key, usec ? json_object_new_uint64(usec) : NULL);
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
	add_span(object, "to_new_active_us", summary->to_new_active);
	add_span(object, "to_answer_us", summary->to_answer);
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

/* ---- the page ---- */

static const char page_head[] =
	"<!DOCTYPE html>\n<html lang='en'><head><meta charset='utf-8'>"
	"<meta name='color-scheme' content='light dark'><title>Drill report</title>\n"
	"<style>body{font:15px/1.5 -apple-system,'Segoe UI','DejaVu Sans',Helvetica,Arial,"
	"sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1f2933;"
	"background:#fff}h2{font-size:1.15rem;margin-top:2rem}"
	"table{border-collapse:collapse;width:100%;font-size:13px}td,th{border-bottom:1px solid "
	"#d5dae0;padding:.3rem .6rem;text-align:right;white-space:nowrap}th{color:#5f6b76;"
	"font-weight:normal}td:first-child,th:first-child{text-align:left}"
	"td.words{text-align:left;white-space:normal}.passed{color:#1b7f3b}.exceeded,.broken,"
	".unmeasured,.interrupted{color:#c62828}svg{max-width:100%;height:auto}"
	"@media(prefers-color-scheme:dark){body{color:#e6edf3;background:#010409}td,th{"
	"border-color:#30363d}th{color:#9aa7b3}.passed{color:#56d364}.exceeded,.broken,.unmeasured,"
	".interrupted{color:#ff7b72}}</style></head><body>\n";

static const char page_foot[] =
	"<h2>How to read it</h2>\n<p>While the service was disturbed, a prober on the same machine "
	"opened connections at a fixed rate, each a new one, and noted when it was answered. It is "
	"answered when the server has said something, not when the kernel has. In the pictures "
	"each dot is one such connection: to the right the time at which it began, upwards how "
	"long its answer took, on a logarithmic scale. A stroke at the top is a connection that "
	"was lost: refused, reset, not answered in time, or answered wrongly. The shaded part is "
	"the longest time in which connections were begun and none was answered. The bars below "
	"say which slot got new connections. "
	"Time counts from the harm; the numbered lines are what was done to the service, and what "
	"it did. Where a scenario ran several times, the picture is that of its worst run.</p>\n"
	"</body></html>\n";

static void write_row(const struct drill_run *run, FILE *out)
{
	const struct drill_summary *s = &run->summary;
	const char *verdict = drill_verdict_to_string(run->verdict);

	fprintf(out,
		"<tr><td>%s %.0u</td><td class='%s'>%s</td><td>%zu</td><td>%zu</td>"
		"<td>%.1f ms</td><td>%.2f ms</td><td>%.2f ms</td><td>",
		drill_scenario_to_string(run->scenario), run->of > 1 ? run->number : 0, verdict,
		verdict, s->total, s->lost, s->gap / 1e3, s->median / 1e3, s->worst / 1e3);
	if (s->to_new_active)
		fprintf(out, "%.1f ms", s->to_new_active / 1e3);
	fprintf(out, "</td><td>%llu</td><td class='words'>", (unsigned long long)run->record.moved);
	picture_escape(out, run->sentence.text);
	fputs("</td></tr>\n", out);
}

static void write_html(const struct drill_run *runs, size_t n, FILE *out)
{
	fputs(page_head, out);
	drill_picture(runs, n, out);
	fputs("<h2>All runs</h2>\n<table><tr><th>scenario</th><th>verdict</th>"
	      "<th>connections</th><th>lost</th><th>longest gap</th><th>median answer</th>"
	      "<th>worst answer</th><th>new active after</th><th>moved</th><th></th></tr>\n",
	      out);
	for (size_t i = 0; i < n; i++)
		write_row(&runs[i], out);
	fputs("</table>\n", out);
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
		drill_picture(runs, n, out);
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
