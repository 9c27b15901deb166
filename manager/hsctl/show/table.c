// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsctl/show/table.h"

#include <inttypes.h>

#include "hsctl/json.h"
#include "util/clock.h"

struct libscols_table *table_new(const struct render *render, const struct column *columns,
				 size_t n)
{
	struct libscols_table *table = scols_new_table();

	if (!table)
		return NULL;
	scols_table_set_stream(table, render->out);
	scols_table_enable_colors(table, render->color);
	/* a line that is cut off hides the fact that was looked for */
	scols_table_set_termforce(table, SCOLS_TERMFORCE_NEVER);
	for (size_t i = 0; i < n; i++)
		scols_table_new_column(table, columns[i].name, 0,
				       columns[i].right ? SCOLS_FL_RIGHT : 0);
	return table;
}

void table_print(const struct render *render, struct libscols_table *table)
{
	if (!scols_table_is_empty(table)) {
		scols_print_table(table);
		/* some versions end the last line, some do not see a need to */
		fflush(render->out);
	}
}

void cell_set_text(struct libscols_line *line, unsigned column, const char *text)
{
	scols_line_set_data(line, column, text && text[0] ? text : "-");
}

void cell_set_number(struct libscols_line *line, unsigned column, int64_t number)
{
	char text[32] = "";

	if (number >= 0)
		snprintf(text, sizeof(text), "%" PRId64, number);
	cell_set_text(line, column, text);
}

void cell_set_waiting(struct libscols_line *line, unsigned column, json_object *place)
{
	if (json_is_null(place, "queued"))
		cell_set_text(line, column, "?");
	else
		cell_set_number(line, column, json_number(place, "queued", -1));
}

void cell_set_span(struct libscols_line *line, unsigned column, int64_t msec)
{
	char text[SPAN_TEXT_MAX] = "";

	/* whole seconds from one second on: it is no stop-watch */
	if (msec >= 1000)
		msec -= msec % 1000;
	if (msec >= 0)
		span_format(msec * USEC_PER_MSEC, text, sizeof(text));
	cell_set_text(line, column, text);
}

void cell_set_color(const struct render *render, struct libscols_line *line, unsigned column,
		    const char *color)
{
	if (render->color && color)
		scols_cell_set_color(scols_line_get_cell(line, column), color);
}

const char *amount_format(int64_t amount, char text[AMOUNT_TEXT_MAX])
{
	static const char units[] = "kMGTPE";
	double value = (double)amount;
	int unit = -1;

	for (; value >= 10000 && unit < (int)sizeof(units) - 2; unit++)
		value /= 1000;
	snprintf(text, AMOUNT_TEXT_MAX, unit < 0 ? "%.0f" : "%.1f%c", value, units[MAX(unit, 0)]);
	return text;
}
