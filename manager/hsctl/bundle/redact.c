// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsctl/bundle/redact.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "hsctl/bundle/redact_address.h"
#include "util/macro.h"

#define LEFT_OUT "[left out]"
#define BLANKS	 " \t"

void redact_done(struct redact *redact)
{
	free(redact->addresses);
	redact->addresses = NULL;
	redact->n_known = 0;
}

static bool is_name(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '-';
}

/* ---- settings of units ---- */

/* Environment comes first: it may be kept. */
static const char *const hidden_keys[] = {"Environment", "SetCredential", "SetCredentialEncrypted"};

/* Length of "Environment = " at the start of the line, or of another that has a value to be hidden;
 * 0 if it is no such line. */
static size_t hidden_key(const char *line, bool keep_environment)
{
	size_t blank = strspn(line, BLANKS);

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

static bool is_comment(const char *line)
{
	line += strspn(line, BLANKS);
	return *line == '#' || *line == ';';
}

/* ---- secrets by name ---- */

static bool contains(const char *name, const char *part)
{
	return strcasestr(name, part);
}

static bool ends_with(const char *name, const char *end)
{
	size_t length = strlen(name), n = strlen(end);

	return length >= n && !strcasecmp(name + length - n, end);
}

static bool is_secret(const char *name)
{
	static const char *const parts[] = {
		"password",    "passwd",	"passphrase", "secret",	    "token",
		"apikey",      "api_key",	"api-key",    "credential", "private_key",
		"private-key", "authorization", "cookie"};

	/* only a path, which is no secret */
	if (contains(name, "LoadCredential") || contains(name, "ImportCredential"))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		if (contains(name, parts[i]))
			return true;
	return ends_with(name, "pass") || ends_with(name, "pwd") || ends_with(name, "_key") ||
	       ends_with(name, "-key");
}

/* A quote, or one that is itself in a quoted text (\\"): its length; 0: it is none. */
static size_t quote_at(const char *p)
{
	size_t escape = *p == '\\';

	return p[escape] == '"' || p[escape] == '\'' ? escape + 1 : 0;
}

/* Whether so many backslashes leave the quote behind them one that ends the text. */
static bool is_end(size_t backslashes, bool nested)
{
	/* nested: each is written twice, and with none the text around has ended */
	if (nested && backslashes % 2 == 0)
		return true;
	return (nested ? backslashes / 2 : backslashes) % 2 == 0;
}

/* Where what begins behind that quote ends, its closing quote not counted. */
static const char *end_of_quoted(const char *p, const char *quote, size_t n)
{
	bool nested = n > 1;
	size_t run;

	for (; *p; p += run + !!p[run]) {
		run = strspn(p, "\\");
		if (p[run] == quote[n - 1] && is_end(run, nested))
			return p + run - (nested && run % 2);
	}
	return p;
}

/* The value that goes with a name. */
struct value {
	const char *text; /* NULL: there is none */
	char separator;	  /* '=', ':', or ' ' behind an option */
	size_t quote;	  /* its length */
};

/* Behind a name that has ended here. */
static struct value value_behind(const char *end, bool option)
{
	const char *p = end + quote_at(end);
	struct value value = {.separator = ' '};

	p += strspn(p, BLANKS);
	if (*p == '=' || *p == ':')
		value.separator = *p++;
	else if (!option || p == end || *p == '-')
		return value;
	p += strspn(p, BLANKS);
	if (*p)
		value.text = p;
	value.quote = quote_at(p);
	return value;
}

/* Behind the value: a quoted one, the rest of a header, what JSON and lists end, or a word. */
static const char *end_of_value(const struct value *value, const char *name)
{
	bool header = contains(name, "authorization") || contains(name, "cookie");
	const char *ends = header		     ? "\"'"
			   : value->separator == ':' ? BLANKS "\"',;}"
						     : BLANKS "\"'";
	const char *end;

	if (!value->quote)
		return value->text + strcspn(value->text, ends);
	end = end_of_quoted(value->text + value->quote, value->text, value->quote);
	return end + (strncmp(end, value->text, value->quote) ? 0 : value->quote);
}

/* Copies a name, and leaves its value out if it is a secret. Returns what was read. */
static size_t take_name(struct redact *redact, const char *text, FILE *out)
{
	_cleanup_(freep) char *name = NULL;
	struct value value = {0};
	const char *end = text;

	while (is_name(*end))
		end++;
	name = strndup(text, (size_t)(end - text));
	if (!name || is_secret(name))
		value = value_behind(end, text[0] == '-');
	if (!value.text) {
		fwrite(text, 1, (size_t)(end - text), out);
		return (size_t)(end - text);
	}
	fwrite(text, 1, (size_t)(value.text - text), out);
	fprintf(out, "%.*s" LEFT_OUT "%.*s", (int)value.quote, value.text, (int)value.quote,
		value.text);
	redact->n_secrets++;
	return (size_t)(end_of_value(&value, name ?: "") - text);
}

/* "user:password" up to where it has to end, the password left out. 0: it is none. */
static size_t take_pair(struct redact *redact, const char *text, const char *ends, bool before_at,
			FILE *out)
{
	size_t length = strcspn(text, ends), colon = strcspn(text, ":");

	if (colon + 1 >= length || (before_at && text[length] != '@'))
		return 0;
	fwrite(text, 1, colon + 1, out);
	fputs(LEFT_OUT, out);
	redact->n_secrets++;
	return length;
}

/* "-u NAME:" and "--user NAME:", of curl and others. */
static size_t take_user(struct redact *redact, const char *text, FILE *out)
{
	static const char *const options[] = {"-u ", "--user ", "--user=", "--proxy-user "};

	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		size_t n = strlen(options[i]), rest;
		char *pair = NULL;
		size_t size;
		FILE *copy;

		if (strncmp(text, options[i], n))
			continue;
		copy = open_memstream(&pair, &size);
		rest = copy ? take_pair(redact, text + n, " \t\"'", false, copy) : 0;
		if (copy)
			fclose(copy);
		if (rest)
			fprintf(out, "%s%s", options[i], pair);
		free(pair);
		return rest ? n + rest : 0;
	}
	return 0;
}

static void hide_secrets(struct redact *redact, const char *line, FILE *out)
{
	size_t n;

	for (const char *p = line; *p; p += n) {
		bool begins = p == line || !is_name(p[-1]);

		n = 0;
		if (!strncmp(p, "://", 3)) {
			fputs("://", out);
			n = 3 + take_pair(redact, p + 3, "/@ \t\"'", true, out);
		} else if (begins && is_name(*p)) {
			n = take_user(redact, p, out);
			n = n ?: take_name(redact, p, out);
		}
		if (!n) {
			fputc(*p, out);
			n = 1;
		}
	}
}

/* ---- the whole ---- */

static void redact_line(struct redact *redact, const char *line, FILE *out)
{
	char *text = NULL;
	size_t size;
	FILE *copy = open_memstream(&text, &size);

	if (!copy)
		return;
	hide_secrets(redact, line, copy);
	fclose(copy);
	if (redact->keep_addresses)
		fputs(text, out);
	else
		redact_addresses(redact, text, out);
	free(text);
}

/* *hiding: a line before goes on in this one, and nothing of it may be told. Comments between do
 * not end it. */
static void take_line(struct redact *redact, char *line, bool *hiding, FILE *out)
{
	size_t length = strlen(line);
	size_t key = *hiding ? 0 : hidden_key(line, redact->keep_environment);
	bool goes_on = length && line[length - 1] == '\\';

	if (*hiding) {
		*hiding = goes_on || is_comment(line);
		return;
	}
	if (!key) {
		redact_line(redact, line, out);
	} else {
		fprintf(out, "%.*s" LEFT_OUT, (int)key, line);
		redact->n_environment++;
		*hiding = goes_on;
	}
	fputc('\n', out);
}

char *redact_text(struct redact *redact, const char *text)
{
	char *result = NULL, *copy = strdup(text), *rest = copy, *line;
	bool hiding = false;
	size_t size;
	FILE *out = copy ? open_memstream(&result, &size) : NULL;

	while (out && (line = strsep(&rest, "\n")))
		if (rest || *line)
			take_line(redact, line, &hiding, out);
	free(copy);
	if (!out || fclose(out))
		return NULL;
	return result;
}
