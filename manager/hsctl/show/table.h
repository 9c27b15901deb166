/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tables for people. */
#pragma once

#include <json-c/json.h>
#include <libsmartcols/libsmartcols.h>

#include "hsctl/show/screen.h"
#include "util/macro.h"

DEFINE_CLEANUP(struct libscols_table, scols_unref_table)

struct column {
	const char *name;
	bool right;
};

#define AMOUNT_TEXT_MAX 32
/* "12.3M". Returns `text`. */
const char *amount_format(int64_t amount, char text[AMOUNT_TEXT_MAX]);

/* NULL when there is no memory. The caller unrefs it. */
struct libscols_table *table_new(const struct render *render, const struct column *columns,
				 size_t n);
/* An empty table prints nothing. */
void table_print(const struct render *render, struct libscols_table *table);

/* NULL, "" and negative numbers are shown as "-". */
void cell_set_text(struct libscols_line *line, unsigned column, const char *text);
void cell_set_number(struct libscols_line *line, unsigned column, int64_t number);
/* "queued" of a slot or the park; null: "?", as it could not be asked. */
void cell_set_waiting(struct libscols_line *line, unsigned column, json_object *place);
/* A span of milliseconds. */
void cell_set_span(struct libscols_line *line, unsigned column, int64_t msec);
/* `color` NULL: as it is. */
void cell_set_color(const struct render *render, struct libscols_line *line, unsigned column,
		    const char *color);
