/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sentences and tables that are wider than the terminal are broken between words. */
#pragma once

#include <stdio.h>

/* Columns of the terminal that is open there; 0 = it is none, so nothing has to be broken. */
unsigned wrap_width(int fd);

/* The text with lines of at most `width` columns where its words are that short; 0 = as it is. What
 * goes on on the next line stands below the last column of text that two blanks set off, or is
 * indented by two. Escape sequences have no width. NULL without memory. Free it. */
char *wrap_text(const char *text, unsigned width);

/* Writes the text, for the terminal that is open there. */
void wrap_print(FILE *out, const char *text);

/* As much of a line as fits, to be painted over. */
int wrap_fits(const char *line, unsigned width);
