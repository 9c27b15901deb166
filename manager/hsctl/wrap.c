// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsctl/wrap.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "util/macro.h"

#define WIDTH_DEFAULT 80
#define WIDTH_LEAST   20
#define INDENT	      2

unsigned wrap_width(int fd)
{
	struct winsize size = {0};

	if (!isatty(fd))
		return 0;
	if (ioctl(fd, TIOCGWINSZ, &size) < 0 || !size.ws_col)
		return WIDTH_DEFAULT;
	return MAX(size.ws_col, WIDTH_LEAST);
}

/* Bytes of the character, or of the escape sequence, that begins here. */
static size_t character(const char *p, unsigned *ret_columns)
{
	size_t n = 1;

	*ret_columns = *p != '\033';
	if (*p == '\033' && p[1] == '[') {
		for (n = 2; p[n] && !isalpha((unsigned char)p[n]); n++)
			;
		return p[n] ? n + 1 : n;
	}
	while (((unsigned char)p[n] & 0xc0) == 0x80)
		n++;
	return n;
}

/* Columns of the text up to the end, the end of the line, or the first blank if `word`. */
static unsigned columns_of(const char *p, bool word, size_t *ret_bytes)
{
	const char *begin = p;
	unsigned columns = 0, one;

	while (*p && *p != '\n' && !(word && *p == ' ')) {
		p += character(p, &one);
		columns += one;
	}
	*ret_bytes = p - begin;
	return columns;
}

/* Where what goes on stands: below the text that two blanks set off, unless that is far right. */
static unsigned indent_of(const char *line, unsigned width)
{
	unsigned column = 0, blanks = 0, indent = INDENT, one;

	for (const char *p = line; *p && *p != '\n' && column < width; column += one) {
		bool blank = *p == ' ';

		if (!blank && blanks > 1 && column <= width / 2)
			indent = column;
		p += character(p, &one);
		if (one)
			blanks = blank ? blanks + 1 : 0;
	}
	return indent;
}

/* One line that is too wide. */
static void break_line(FILE *out, const char *line, size_t length, unsigned width)
{
	unsigned indent = indent_of(line, width), column = 0;
	const char *p = line, *end = line + length;

	while (p < end) {
		size_t blanks = strspn(p, " "), bytes;
		unsigned columns = columns_of(p + blanks, true, &bytes);

		if (column > indent && column + blanks + columns > width) {
			fprintf(out, "\n%*s", (int)indent, "");
			column = indent;
		} else {
			fprintf(out, "%*s", (int)blanks, "");
			column += blanks;
		}
		fwrite(p + blanks, 1, bytes, out);
		column += columns;
		p += blanks + bytes;
	}
}

char *wrap_text(const char *text, unsigned width)
{
	size_t size, length;
	char *wrapped = NULL;
	FILE *out = open_memstream(&wrapped, &size);

	if (!out)
		return NULL;
	for (const char *p = text; *p; p += length) {
		if (width && columns_of(p, false, &length) > width)
			break_line(out, p, length, width);
		else
			fwrite(p, 1, length = strcspn(p, "\n"), out);
		if (p[length] == '\n') {
			fputc('\n', out);
			length++;
		}
	}
	return fclose(out) ? NULL : wrapped;
}

void wrap_print(FILE *out, const char *text)
{
	_cleanup_(freep) char *wrapped = wrap_text(text, wrap_width(fileno(out)));

	fputs(wrapped ?: text, out);
}

int wrap_fits(const char *line, unsigned width)
{
	unsigned columns = 0, one;
	size_t n = 0;

	/* the last column stays free: a cursor behind it is on the next line */
	while (line[n] && columns + 1 < width) {
		n += character(line + n, &one);
		columns += one;
	}
	return width ? (int)n : (int)strlen(line);
}
