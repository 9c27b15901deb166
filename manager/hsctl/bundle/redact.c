// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsctl/bundle/redact.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hsctl/bundle/redact_address.h"
#include "hsctl/bundle/redact_secret.h"
#include "util/macro.h"

#define BLANKS	   " \t"
#define PEM_BEGIN  "-----BEGIN "
#define PEM_END	   "-----END "
#define PEM_DASHES "-----"
/* No block has more. */
#define PEM_LINES_MAX 256
#define PEM_BYTES_MAX 65536
/* A line of one has so many characters, but for the last. */
#define PEM_WIDTH 40

void redact_done(struct redact *redact)
{
	redact_forget(redact);
}

/* What lines leave to those behind them. */
struct lines {
	struct redact *redact;
	bool hiding;	/* one goes on, and nothing of it may be told */
	bool commented; /* it is a comment: other comments are no part of it */
	unsigned pem;	/* of a block, at most; whether its end is there */
	bool pem_ends;
	enum carried carried;
	const char *rest; /* of the text; NULL: there is none */
	FILE *out;
};

static bool is_comment(const char *line)
{
	line += strspn(line, BLANKS);
	return *line == '#' || *line == ';';
}

static bool goes_on(const char *line)
{
	size_t length = strlen(line);

	return length && line[length - 1] == '\\';
}

/* ---- settings of units ---- */

/* Environment comes first: it may be kept. */
static const char *const hidden_keys[] = {"Environment", "SetCredential", "SetCredentialEncrypted"};

/* Length of "Environment = " at the start of the line, which may be a comment, or of another that
 * has a value to be hidden; 0 if it is no such line. */
static size_t hidden_key(const char *line, bool keep_environment)
{
	size_t blank = strspn(line, BLANKS "#;");

	for (size_t i = keep_environment; i < ARRAY_SIZE(hidden_keys); i++) {
		size_t n = blank + strlen(hidden_keys[i]);

		if (strncmp(line + blank, hidden_keys[i], n - blank))
			continue;
		n += strspn(line + n, BLANKS);
		if (line[n] != '=')
			continue;
		n += 1 + strspn(line + n + 1, BLANKS);
		return line[n] ? n : 0;
	}
	return 0;
}

/* Behind what systemd has before values of Environment= that it does not understand; 0: that is not
 * said. */
static size_t quoted_setting(const char *line, bool keep_environment)
{
	static const char *const words[] = {"environment assignment", "Invalid syntax, ignoring",
					    "specifiers in"};

	size_t first = 0;

	for (size_t i = 0; i < ARRAY_SIZE(words) && !keep_environment; i++) {
		const char *said = strcasestr(line, words[i]);
		size_t n = said ? (size_t)(said - line) + strlen(words[i]) : 0;

		if (n && line[n + strspn(line + n, BLANKS ".,:")] && (!first || n < first))
			first = n;
	}
	return first;
}

/* ---- one line ---- */

static void redact_line(struct lines *lines, const char *line)
{
	struct redact *redact = lines->redact;
	char *text = NULL;
	size_t size;
	FILE *copy = open_memstream(&text, &size);

	if (!copy)
		return;
	lines->carried = redact_secrets(redact, line, lines->carried, copy);
	fclose(copy);
	if (redact->keep_addresses)
		fputs(text, lines->out);
	else
		redact_addresses(redact, text, lines->out);
	free(text);
}

/* Up to there, and that the rest was left out. */
static void redact_until(struct lines *lines, char *line, size_t n)
{
	char end = line[n];

	line[n] = '\0';
	redact_line(lines, line);
	line[n] = end;
	fputs(LEFT_OUT, lines->out);
}

/* ---- keys in PEM ---- */

/* Behind the first mark of a block's begin; NULL: there is none. */
static char *behind_begin(char *line)
{
	char *begin = strstr(line, PEM_BEGIN);
	char *dashes = begin ? strstr(begin + strlen(PEM_BEGIN), PEM_DASHES) : NULL;

	return dashes ? dashes + strlen(PEM_DASHES) : NULL;
}

/* Whether one begins and goes on in the lines behind. */
static void note_pem(struct lines *lines, char *line)
{
	size_t n;

	while (line) {
		line = behind_begin(line);
		if (!line)
			return;
		line = strstr(line, PEM_END);
	}
	n = lines->rest ? strnlen(lines->rest, PEM_BYTES_MAX) : 0;
	lines->pem = PEM_LINES_MAX;
	lines->pem_ends = n && memmem(lines->rest, n, PEM_END, strlen(PEM_END));
}

static void take_text(struct lines *lines, char *line)
{
	char *behind;

	while (line && (behind = behind_begin(line))) {
		redact_until(lines, line, (size_t)(behind - line));
		lines->redact->n_secrets++;
		line = strstr(behind, PEM_END);
	}
	if (line)
		redact_line(lines, line);
}

/* Whether it ends in what a block is made of, whatever a journal has before. */
static bool is_of_pem(const char *line, size_t width)
{
	const char *word = line, *p = line;

	while (*(p += strspn(p, BLANKS))) {
		word = p;
		p += strcspn(p, BLANKS);
	}
	for (p = word; isalnum((unsigned char)*p) || (*p && strchr("+/=\\\"',;", *p)); p++)
		;
	if (strstr(line, "Proc-Type:") || strstr(line, "DEK-Info:"))
		return true;
	return !*p && (size_t)(p - word) >= width;
}

/* Whether the line is of a block, and not to be told. */
static bool take_pem(struct lines *lines, char *line)
{
	char *end = strstr(line, PEM_END);

	if (!end) {
		lines->pem--;
		return is_of_pem(line, lines->pem_ends ? 0 : PEM_WIDTH);
	}
	lines->pem = 0;
	note_pem(lines, end);
	take_text(lines, end);
	fputc('\n', lines->out);
	return true;
}

/* ---- the whole ---- */

/* One that is not hidden as a whole. */
static void take_told(struct lines *lines, char *line)
{
	struct redact *redact = lines->redact;
	enum carried carried = lines->carried;
	size_t key = carried ? 0 : hidden_key(line, redact->keep_environment);
	size_t said = quoted_setting(line, redact->keep_environment);

	if (key) {
		fprintf(lines->out, "%.*s" LEFT_OUT, (int)key, line);
		redact->n_environment++;
		lines->hiding = goes_on(line);
		lines->commented = is_comment(line);
	} else if (said) {
		redact_until(lines, line, said);
		redact->n_environment++;
	} else if (carried && is_comment(line)) {
		lines->carried = CARRIED_NOTHING;
		redact_line(lines, line);
		lines->carried = carried;
	} else {
		take_text(lines, line);
	}
}

static void take_line(struct lines *lines, char *line)
{
	if (lines->pem && take_pem(lines, line))
		return;
	note_pem(lines, line);
	if (lines->hiding) {
		/* comments between do not end it */
		lines->hiding = goes_on(line) || (!lines->commented && is_comment(line));
		return;
	}
	take_told(lines, line);
	if (lines->carried == CARRIED_TEXT) {
		lines->hiding = true;
		lines->commented = false;
		lines->carried = CARRIED_NOTHING;
	}
	fputc('\n', lines->out);
}

char *redact_text(struct redact *redact, const char *text)
{
	char *result = NULL, *copy = strdup(text), *rest = copy, *line;
	struct lines lines = {.redact = redact};
	size_t size;

	lines.out = copy ? open_memstream(&result, &size) : NULL;
	while (lines.out && (line = strsep(&rest, "\n"))) {
		lines.rest = rest;
		if (rest || *line)
			take_line(&lines, line);
	}
	free(copy);
	if (!lines.out || fclose(lines.out))
		return NULL;
	return result;
}
