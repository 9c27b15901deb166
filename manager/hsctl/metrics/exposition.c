// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsctl/metrics/exposition.h"

#include <inttypes.h>
#include <math.h>

#include "util/macro.h"

/* Up to here a double is exact for whole numbers. */
#define EXACT 0x1p53

static const char *const types[] = {
	[METRIC_GAUGE] = "gauge",
	[METRIC_COUNTER] = "counter",
	[METRIC_HISTOGRAM] = "histogram",
};
_Static_assert(ARRAY_SIZE(types) == METRIC_TYPE_COUNT, "a name for each type");

/* Backslash and line feed everywhere; quotes in the values of labels, and in help of OpenMetrics,
 * where the old form would show the backslash. */
static void put_escaped(FILE *out, const char *text, bool quotes)
{
	for (; *text; text++) {
		if (*text == '\n')
			fputs("\\n", out);
		else if (*text == '\\' || (quotes && *text == '"'))
			fprintf(out, "\\%c", *text);
		else
			fputc(*text, out);
	}
}

void exposition_begin(struct exposition *exposition, const struct metric *metric)
{
	bool total = metric->type == METRIC_COUNTER && !exposition->openmetrics;
	const char *end = total ? "_total" : "";
	FILE *out = exposition->out;

	exposition->metric = metric;
	fprintf(out, "# HELP %s%s ", metric->name, end);
	put_escaped(out, metric->help, exposition->openmetrics);
	fprintf(out, "\n# TYPE %s%s %s\n", metric->name, end, types[metric->type]);
	if (exposition->openmetrics && metric->unit)
		fprintf(out, "# UNIT %s %s\n", metric->name, metric->unit);
}

static void put_name(const struct exposition *exposition, const char *end,
		     const struct label *labels)
{
	const struct metric *metric = exposition->metric;
	FILE *out = exposition->out;

	fprintf(out, "%s%s", metric->name, metric->type == METRIC_COUNTER ? "_total" : end);
	for (unsigned i = 0; labels[i].name; i++) {
		fprintf(out, "%s%s=\"", i ? "," : "{", labels[i].name);
		put_escaped(out, labels[i].value, true);
		fputc('"', out);
	}
	fputs(labels[0].name ? "} " : " ", out);
}

void exposition_sample(const struct exposition *exposition, const char *end,
		       const struct label *labels, double value)
{
	put_name(exposition, end, labels);
	if (isnan(value))
		fputs("NaN\n", exposition->out);
	else if (isinf(value))
		fputs(value < 0 ? "-Inf\n" : "+Inf\n", exposition->out);
	else if (value == trunc(value) && fabs(value) < EXACT)
		fprintf(exposition->out, "%.0f\n", value);
	else
		fprintf(exposition->out, "%.15g\n", value);
}

void exposition_count(const struct exposition *exposition, const char *end,
		      const struct label *labels, uint64_t value)
{
	put_name(exposition, end, labels);
	fprintf(exposition->out, "%" PRIu64 "\n", value);
}

void exposition_end(const struct exposition *exposition)
{
	fputs("# EOF\n", exposition->out);
}
