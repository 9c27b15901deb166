/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the parts of a drill's picture have in common: its measures, and texts in it. */
#pragma once

#include <stdio.h>

#include "util/macro.h"

enum { PICTURE_WIDTH = 960, PICTURE_MARGIN = 28 };

/* Where a text begins, lies, or ends at its place. */
enum anchor { ANCHOR_START, ANCHOR_MIDDLE, ANCHOR_END };

/* What others wrote, as XML text. */
void picture_escape(FILE *out, const char *text);
/* A text of this class of the style sheet. */
_printf_(6, 7) void picture_text(FILE *out, const char *class, double x, double y,
				 enum anchor anchor, const char *template, ...);

/* The same on several lines, LINE apart, of about so many characters; how many there are. With
 * `out` NULL they are only counted. */
enum { PICTURE_LINE = 17 };
unsigned picture_paragraph(FILE *out, const char *class, double y, unsigned width,
			   const char *text);
