// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsctl/drill/picture.h"

#include <math.h>
#include <string.h>
#include <time.h>

#include "hsctl/drill/canvas.h"
#include "hsctl/drill/chart.h"
#include "util/clock.h"
#include "util/macro.h"

enum {
	HEAD = 118,  /* title, and what was done in general */
	ROW = 27,    /* of the table */
	TABLE = 34,  /* its heading */
	LEGEND = 92, /* at the foot */
	STRIP_LEFT = 618,
	STRIP_RIGHT = 778,
};

/* The strip of longest gaps: 1 ms to 10 s, on a logarithmic scale. */
#define STRIP_MIN 1e3
#define STRIP_MAX 10e6

static const char style[] =
	"<style>\n"
	"text{font-family:-apple-system,'Segoe UI','DejaVu Sans',Helvetica,Arial,sans-serif;"
	"fill:#1f2933;font-size:13px}\n"
	".card{fill:#fff;stroke:#d0d7de}.title{font-size:23px;font-weight:bold}"
	".name{font-weight:bold}.panel{font-size:17px;font-weight:bold}"
	".grey{fill:#5f6b76}.small{fill:#5f6b76;font-size:11.5px}.head{fill:#5f6b76;font-size:12px}"
	".right{fill:#5f6b76}.bad{fill:#c62828;font-weight:bold}.good{fill:#1b7f3b;"
	"font-weight:bold}\n"
	".rule{stroke:#d5dae0;fill:none}.grid{stroke:#e6eaee;fill:none}.zero{stroke:#5f6b76;"
	"fill:none}.plot{fill:#f7f9fb}.lane{fill:#fbf1f0}\n"
	".passed{fill:#1b7f3b}.failed{fill:#c62828}.pill{fill:#fff;font-size:12px;"
	"font-weight:bold}\n"
	".band{fill:#c5dcf0}.median{stroke:#1565a7;fill:none;stroke-width:1.6}"
	".dot{fill:#1565a7;fill-opacity:.55}.spot{fill:#1565a7}.limit{stroke:#c62828;"
	"stroke-width:2}\n"
	".gap{fill:#c62828;fill-opacity:.13}.gapword{fill:#c62828;font-size:12px;"
	"font-weight:bold;stroke:#fff;stroke-width:3px;paint-order:stroke}\n"
	".refused{stroke:#c62828;fill:#c62828}.reset{stroke:#d97706;fill:#d97706}"
	".timed-out{stroke:#7b3fa0;fill:#7b3fa0}.wrong-answer{stroke:#6b5b00;fill:#6b5b00}"
	".lost{stroke-width:2}\n"
	".mark{stroke-width:1;stroke-dasharray:3 3;fill:none}.mark.ours{stroke:#c62828}"
	".mark.theirs{stroke:#5f6b76}circle.ours{fill:#c62828}circle.theirs{fill:#5f6b76}.number{"
	"fill:#fff;font-size:10px;"
	"font-weight:bold}\n"
	".active{fill:#1565a7}.standby{fill:#cfe0ef}.down{fill:#d5dae0}.broken{fill:#e8a39d}"
	".onactive{fill:#fff;font-size:11px}.onlane{fill:#1f2933;font-size:11px}\n"
	"@media(prefers-color-scheme:dark){text{fill:#e6edf3}.card{fill:#0d1117;stroke:#30363d}"
	".grey,.small,.head,.right{fill:#9aa7b3}.rule{stroke:#30363d}.grid{stroke:#21282f}"
	".plot{fill:#12181f}.lane{fill:#241617}.band{fill:#17395a}.median{stroke:#6db3f2}"
	".dot,.spot{fill:#6db3f2}.standby{fill:#24425f}.down{fill:#3a424b}.broken{fill:#8a3a35}"
	".onlane{fill:#e6edf3}.bad,.gapword{fill:#ff7b72}.good{fill:#56d364}.gapword{stroke:#"
	"12181f}"
	".pill,.number,.onactive{fill:#fff}}\n"
	"</style>\n";

/* ---- words ---- */

static void pill(FILE *out, double right, double y, bool good, const char *text)
{
	double width = 20 + 8.2 * strlen(text);

	fprintf(out, "<rect class='%s' x='%.1f' y='%.1f' width='%.1f' height='22' rx='11'/>\n",
		good ? "passed" : "failed", right - width, y, width);
	picture_text(out, "pill", right - width / 2, y + 15.5, ANCHOR_MIDDLE, "%s", text);
}

static const char *span(uint64_t usec, char text[SPAN_TEXT_MAX])
{
	/* what is below a tenth of a millisecond is noise here */
	if (usec >= USEC_PER_MSEC)
		usec = usec / 100 * 100;
	return span_format(usec, text, SPAN_TEXT_MAX);
}

/* ---- the head ---- */

static size_t count_passed(const struct drill_run *runs, size_t n)
{
	size_t passed = 0;

	for (size_t i = 0; i < n; i++)
		passed += runs[i].verdict == DRILL_PASSED;
	return passed;
}

static void draw_head(const struct drill_run *runs, size_t n, FILE *out)
{
	size_t passed = count_passed(runs, n);
	time_t seconds = runs[0].began_usec / USEC_PER_SEC;
	char began[48] = "", verdict[64];
	struct tm tm;

	if (gmtime_r(&seconds, &tm))
		strftime(began, sizeof(began), "%-d %B %Y, %H:%M UTC", &tm);
	picture_text(out, "title", PICTURE_MARGIN, 46, ANCHOR_START, "Drill of %s",
		     runs[0].service);
	if (n == 1)
		snprintf(verdict, sizeof(verdict), passed ? "PASSED" : "FAILED");
	else if (passed == n)
		snprintf(verdict, sizeof(verdict), "ALL %zu PASSED", n);
	else
		snprintf(verdict, sizeof(verdict), "%zu OF %zu FAILED", n - passed, n);
	pill(out, PICTURE_WIDTH - PICTURE_MARGIN, 28, passed == n, verdict);
	picture_text(out, "grey", PICTURE_MARGIN, 74, ANCHOR_START,
		     "%s. The service was harmed on purpose while it served. Beside its real "
		     "clients, a prober opened %u new",
		     began, runs[0].rate);
	picture_text(out, "grey", PICTURE_MARGIN, 93, ANCHOR_START,
		     "connections a second to %.100s and noted what became of each.",
		     runs[0].asked);
}

/* ---- the table ---- */

static double strip_x(uint64_t usec)
{
	double clipped = MIN(MAX((double)usec, STRIP_MIN), STRIP_MAX);

	return STRIP_LEFT +
	       (STRIP_RIGHT - STRIP_LEFT) * log(clipped / STRIP_MIN) / log(STRIP_MAX / STRIP_MIN);
}

static void draw_table_head(double y, FILE *out)
{
	static const struct {
		uint64_t usec;
		const char *text;
	} ticks[] = {{1000, "1ms"},
		     {10000, "10ms"},
		     {100000, "100ms"},
		     {1000000, "1s"},
		     {10000000, "10s"}};

	picture_text(out, "head", PICTURE_MARGIN + 24, y, ANCHOR_START, "scenario");
	picture_text(out, "head", 182, y, ANCHOR_START, "what was done");
	picture_text(out, "head", 508, y, ANCHOR_START, "lost");
	picture_text(out, "head", STRIP_LEFT, y - 15, ANCHOR_START,
		     "longest time without an answer");
	for (size_t i = 0; i < ARRAY_SIZE(ticks); i++)
		picture_text(out, "small", strip_x(ticks[i].usec), y, ANCHOR_MIDDLE, "%s",
			     ticks[i].text);
	picture_text(out, "head", PICTURE_WIDTH - PICTURE_MARGIN, y - 15, ANCHOR_END, "other slot");
	picture_text(out, "head", PICTURE_WIDTH - PICTURE_MARGIN, y, ANCHOR_END, "active after");
	fprintf(out, "<path class='rule' d='M%d %.1fH%d'/>\n", PICTURE_MARGIN, y + 8,
		PICTURE_WIDTH - PICTURE_MARGIN);
}

/* The gaps of all runs, and what is allowed. */
static void draw_strip(const struct drill_run *runs, size_t n, const struct drill_run *worst,
		       double y, FILE *out)
{
	fprintf(out, "<path class='rule' d='M%d %.1fH%d'/>\n", STRIP_LEFT, y, STRIP_RIGHT);
	if (worst->limits.max_gap <= STRIP_MAX)
		fprintf(out,
			"<line class='limit' x1='%.1f' x2='%.1f' y1='%.1f' y2='%.1f'>"
			"<title>allowed</title></line>\n",
			strip_x(worst->limits.max_gap), strip_x(worst->limits.max_gap), y - 6,
			y + 6);
	for (size_t i = 0; i < n; i++)
		if (runs[i].scenario == worst->scenario)
			fprintf(out,
				"<circle class='spot' cx='%.1f' cy='%.1f' r='%s' "
				"fill-opacity='.6'/>\n",
				strip_x(runs[i].summary.gap), y, &runs[i] == worst ? "4.5" : "3");
}

static void draw_row(const struct drill_run *runs, size_t n, const struct drill_spread *spread,
		     double y, FILE *out)
{
	const struct drill_run *worst = &runs[spread->worst];
	bool good = spread->passed == spread->n;
	char gap[SPAN_TEXT_MAX], other[SPAN_TEXT_MAX] = "-";

	fprintf(out, "<circle class='%s' cx='%d' cy='%.1f' r='7.5'/>\n", good ? "passed" : "failed",
		PICTURE_MARGIN + 8, y - 4.5);
	fprintf(out,
		"<path d='%s' transform='translate(%d %.1f)' stroke='#fff' stroke-width='2' "
		"fill='none'/>\n",
		good ? "M-3.5 0L-1 3L4 -3" : "M-3 -3L3 3M3 -3L-3 3", PICTURE_MARGIN + 8, y - 4.5);
	picture_text(out, "name", PICTURE_MARGIN + 24, y, ANCHOR_START, "%s",
		     drill_scenario_to_string(worst->scenario));
	picture_text(out, "grey", 182, y, ANCHOR_START, "%s", drill_scenario_help(worst->scenario));
	picture_text(out, spread->lost > worst->limits.max_lost ? "bad" : "", 508, y, ANCHOR_START,
		     "%zu of %zu", spread->lost, spread->total);
	draw_strip(runs, n, worst, y - 4, out);
	picture_text(out, spread->gap_max > worst->limits.max_gap ? "bad" : "", STRIP_RIGHT + 14, y,
		     ANCHOR_START, "%s", span(spread->gap_max / 1000 * 1000, gap));
	if (spread->n_moved)
		span(spread->new_max, other);
	picture_text(out, "", PICTURE_WIDTH - PICTURE_MARGIN, y, ANCHOR_END, "%s", other);
}

/* ---- the foot ---- */

static double legend_entry(FILE *out, double x, double y, const char *shape, const char *text)
{
	fprintf(out, "<g transform='translate(%.1f %.1f)'>%s</g>\n", x, y - 4, shape);
	picture_text(out, "small", x + 24, y, ANCHOR_START, "%s", text);
	return x + 24 + 6.1 * strlen(text) + 22;
}

static void draw_legend(double y, FILE *out)
{
	double x = PICTURE_MARGIN;

	fprintf(out, "<path class='rule' d='M%d %.1fH%d'/>\n", PICTURE_MARGIN, y,
		PICTURE_WIDTH - PICTURE_MARGIN);
	y += 24;
	x = legend_entry(out, x, y, "<circle class='dot' cx='9' cy='0' r='3'/>",
			 "a connection, answered; upwards: how long that took");
	x = legend_entry(out, x, y,
			 "<rect class='band' x='0' y='-6' width='18' height='12'/><path "
			 "class='median' d='M0 0H18'/>",
			 "nine of ten, and the median");
	legend_entry(out, x, y, "<rect class='gap' x='0' y='-6' width='18' height='12'/>",
		     "longest time without an answer");
	y += 21;
	x = PICTURE_MARGIN;
	for (unsigned i = DRILL_ANSWERED + 1; i < DRILL_OUTCOME_COUNT; i++) {
		char shape[96];

		snprintf(shape, sizeof(shape), "<path class='lost %s' d='M9 -6V6'/>",
			 drill_outcome_to_string(i));
		x = legend_entry(out, x, y, shape, drill_outcome_words(i));
	}
	x = legend_entry(out, x, y, "<rect class='active' x='0' y='-6' width='18' height='12'/>",
			 "gets new connections");
	legend_entry(out, x, y, "<rect class='standby' x='0' y='-6' width='18' height='12'/>",
		     "stands by");
	y += 21;
	x = legend_entry(out, PICTURE_MARGIN, y, "<circle class='ours' cx='9' cy='0' r='7'/>",
			 "done by the drill");
	x = legend_entry(out, x, y, "<circle class='theirs' cx='9' cy='0' r='7'/>",
			 "what happened then");
	legend_entry(out, x, y, "<path class='limit' d='M9 -6V6'/>", "allowed");
}

/* ---- the sheet ---- */

/* One for each scenario that was run. */
static size_t find_spreads(const struct drill_run *runs, size_t n,
			   struct drill_spread spreads[DRILL_SCENARIO_COUNT])
{
	size_t count = 0;

	for (unsigned i = 0; i < DRILL_SCENARIO_COUNT; i++)
		if (!drill_runs_spread(runs, n, i, &spreads[count]))
			count++;
	return count;
}

void drill_picture(const struct drill_run *runs, size_t n, FILE *out)
{
	struct drill_spread spreads[DRILL_SCENARIO_COUNT];
	size_t count = find_spreads(runs, n, spreads);
	double y = HEAD + TABLE + count * ROW + 22, height = y + LEGEND;

	for (size_t i = 0; i < count; i++)
		height += drill_chart_height(&runs[spreads[i].worst]);
	fprintf(out,
		"<svg xmlns='http://www.w3.org/2000/svg' width='%d' height='%.0f' viewBox='0 0 %d "
		"%.0f' role='img'>\n%s<rect class='card' x='.5' y='.5' width='%d' height='%.0f' "
		"rx='10'/>\n",
		PICTURE_WIDTH, height, PICTURE_WIDTH, height, style, PICTURE_WIDTH - 1, height - 1);
	if (n) {
		draw_head(runs, n, out);
		draw_table_head(HEAD + 22, out);
	}
	for (size_t i = 0; i < count; i++)
		draw_row(runs, n, &spreads[i], HEAD + TABLE + 16 + i * ROW, out);
	for (size_t i = 0; i < count; i++) {
		const struct drill_run *worst = &runs[spreads[i].worst];

		drill_chart(worst, y, out);
		y += drill_chart_height(worst);
	}
	draw_legend(y, out);
	fputs("</svg>\n", out);
}
