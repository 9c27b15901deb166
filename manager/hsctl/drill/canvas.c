// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsctl/drill/canvas.h"

#include <stdarg.h>
#include <string.h>

#include "util/problem.h"

void picture_escape(FILE *out, const char *text)
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

void picture_text(FILE *out, const char *class, double x, double y, enum anchor anchor,
		  const char *template, ...)
{
	static const char *const anchors[] = {"start", "middle", "end"};
	struct problem text;
	va_list args;

	va_start(args, template);
	vsnprintf(text.text, sizeof(text.text), template, args);
	va_end(args);
	fprintf(out, "<text class='%s' x='%.1f' y='%.1f' text-anchor='%s'>", class, x, y,
		anchors[anchor]);
	picture_escape(out, text.text);
	fputs("</text>\n", out);
}

/* How many characters of the text make up a line. */
static size_t line_length(const char *text, unsigned width)
{
	size_t length = strlen(text);

	if (length <= width)
		return length;
	for (size_t i = width; i > width / 2; i--)
		if (text[i] == ' ')
			return i;
	return width;
}

unsigned picture_paragraph(FILE *out, const char *class, double y, unsigned width, const char *text)
{
	unsigned lines = 0;

	do {
		size_t length = line_length(text, width);

		if (out)
			picture_text(out, class, PICTURE_MARGIN, y + lines * PICTURE_LINE,
				     ANCHOR_START, "%.*s", (int)length, text);
		lines++;
		text += length;
		text += *text == ' ';
	} while (*text);
	return lines;
}
