// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsctl/bundle/redact_secret.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "util/macro.h"

#define BLANKS " \t"

/* Longer ones are tokens. */
#define USER_MAX 16
/* So far behind "://" an '@' is looked for. */
#define USERINFO_MAX 4096

/* A line that is read. */
struct scan {
	struct redact *redact;
	const char *line;
	bool escaped, quoted; /* the next character; what has been read ends in a "text" */
	enum carried carry;   /* to the next line */
	FILE *out;
};

static bool is_name(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '-';
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool is_quote(char c)
{
	return c == '"' || c == '\'';
}

/* ---- names ---- */

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
	if (strcasestr(name, "LoadCredential") || strcasestr(name, "ImportCredential"))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		if (strcasestr(name, parts[i]))
			return true;
	return ends_with(name, "pass") || ends_with(name, "pwd") || ends_with(name, "_key") ||
	       ends_with(name, "-key");
}

/* Of more than a word. */
static bool is_header(const char *name)
{
	return strcasestr(name, "authorization") || strcasestr(name, "cookie");
}

/* ---- values ---- */

/* A quote, or one that is itself in a quoted text (\\"): its length; 0: it is none. */
static size_t quote_at(const char *p)
{
	size_t escape = *p == '\\';

	return is_quote(p[escape]) ? escape + 1 : 0;
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

/* Whether a word may end here, so that a quote before it is that of the text around. */
static bool may_end(char c)
{
	return !c || strchr(BLANKS ",;:)}]>&|\\\"'", c);
}

/* Behind a word. What is quoted in it, and blanks that are escaped, are part of it. */
static const char *end_of_word(const char *p)
{
	for (; *p && !is_blank(*p); p++) {
		const char *closing;

		if (*p == '\\' && is_blank(p[1]))
			p++;
		if (!is_quote(*p))
			continue;
		if (may_end(p[1]))
			return p;
		closing = strchr(p + 1, *p);
		p = closing ?: p;
	}
	return p;
}

/* The value that goes with a name. */
struct value {
	const char *text; /* NULL: there is none */
	bool listed;	  /* behind a colon: what a list ends with is none of it */
	size_t quote;	  /* its length */
};

/* "=", ":", ":=", "=>", and "=" as the web writes it: its length; 0: it is none. */
static size_t separator_at(const char *p)
{
	if (*p == '=' || *p == ':')
		return strspn(p, "=:>");
	return !strncasecmp(p, "%3D", 3) || !strncasecmp(p, "%3A", 3) ? 3 : 0;
}

/* The quote around a name, and the end of an index: user["password"], user%5Bpassword%5D. */
static const char *skip_closing(const char *p)
{
	p += quote_at(p);
	if (*p == ']')
		return p + 1;
	return strncasecmp(p, "%5D", 3) ? p : p + 3;
}

/* "--password", "x" */
static const char *next_of_list(const char *p)
{
	if (*p != ',')
		return NULL;
	p += 1 + strspn(p + 1, BLANKS);
	return quote_at(p) ? p : NULL;
}

/* Behind a name that has ended here. */
static struct value value_behind(const char *end, bool option)
{
	const char *p = skip_closing(end), *next;
	struct value value = {0};
	size_t n;

	p += strspn(p, BLANKS);
	n = separator_at(p);
	next = option && p > end ? next_of_list(p) : NULL;
	if (n)
		value.listed = n == 1 && *p == ':';
	else if (next)
		p = next;
	else if (!option || p == end || *p == '-')
		return value;
	p += n + strspn(p + n, BLANKS);
	if (*p)
		value.text = p;
	value.quote = quote_at(p);
	return value;
}

/* Behind a value that is quoted, or a word. */
static const char *end_of_value(const struct value *value)
{
	const char *end;

	if (value->quote) {
		end = end_of_quoted(value->text + value->quote, value->text, value->quote);
		if (strncmp(end, value->text, value->quote) != 0)
			return end;
		end += value->quote;
		return may_end(*end) ? end : end_of_word(end);
	}
	end = end_of_word(value->text);
	while (value->listed && end > value->text + 1 && strchr(",;)}]", end[-1]))
		end--;
	return end;
}

/* Behind the value of a header, up to the end of the text that it is in. */
static const char *end_of_header(const struct scan *scan, const char *name, const char *value)
{
	size_t n = name > scan->line && is_quote(name[-1]);

	if (n && name > scan->line + 1 && name[-2] == '\\')
		n++;
	if (n)
		return end_of_quoted(value, name - n, n);
	return scan->quoted ? end_of_quoted(value, "\"", 1) : value + strlen(value);
}

/* ---- what is taken from the line ---- */

/* Writes what is before a value, and that it was left out. Returns what was read: up to where it
 * ends. */
static size_t hide(struct scan *scan, const char *text, const struct value *value, const char *end)
{
	fwrite(text, 1, (size_t)(value->text - text), scan->out);
	fprintf(scan->out, "%.*s" LEFT_OUT "%.*s", (int)value->quote, value->text,
		(int)value->quote, value->text);
	scan->redact->n_secrets++;
	return (size_t)(end - text);
}

static size_t copy(const struct scan *scan, const char *text, const char *end)
{
	return fwrite(text, 1, (size_t)(end - text), scan->out);
}

/* Whether the value is on the next line. */
static bool is_carried(const struct value *value)
{
	return value->text && value->text[0] == '\\' && !value->text[1];
}

/* Of a value that reaches to the end of a line that goes on. */
static void carry(struct scan *scan, const char *end, bool word)
{
	if (!*end && end[-1] == '\\')
		scan->carry = word ? CARRIED_VALUE : CARRIED_TEXT;
}

static bool is_unit(const char *name, size_t length)
{
	static const char *const kinds[] = {".service", ".socket", ".scope", ".slice",
					    ".timer",	".target", ".mount", ".path"};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (memmem(name, length, kinds[i], strlen(kinds[i])))
			return true;
	return false;
}

/* The last '@' of a word; 0: there is none. */
static size_t last_at(const char *text)
{
	size_t at = 0;

	for (size_t i = 0; i < USERINFO_MAX && text[i]; i++) {
		if (is_blank(text[i]) || is_quote(text[i]))
			break;
		if (text[i] == '@')
			at = i;
	}
	return at;
}

/* "user:password@host" without more before it. 0: it is none. */
static size_t take_login(struct scan *scan, const char *text, const char *end)
{
	size_t at = 0;

	if (*end == ':' && !strchr("/\\:" BLANKS, end[1]))
		at = last_at(text);
	if (text + at <= end + 1 || is_unit(text + at, strcspn(text + at, BLANKS "\"'")))
		return 0;
	return hide(scan, text, &(struct value) {.text = end + 1}, text + at);
}

/* Copies a name, and leaves its value out if it is a secret. Returns what was read. */
static size_t take_name(struct scan *scan, const char *text)
{
	_cleanup_(freep) char *name = NULL;
	const char *end = text;
	struct value value;
	bool escape, header;

	while (is_name(*end))
		end++;
	name = strndup(text, (size_t)(end - text));
	if (name && !is_secret(name))
		return take_login(scan, text, end) ?: copy(scan, text, end);
	/* behind \n in JSON a name begins with the n */
	escape = text > scan->line && text[-1] == '\\';
	value = value_behind(end, text[escape] == '-');
	if (is_carried(&value))
		scan->carry = CARRIED_VALUE;
	if (!value.text || is_carried(&value))
		return copy(scan, text, end);
	header = !value.quote && name && is_header(name);
	end = header ? end_of_header(scan, text, value.text) : end_of_value(&value);
	carry(scan, end, !header && !value.quote);
	return hide(scan, text, &value, end);
}

/* "://", and as some write it in JSON: its length. */
static size_t scheme_at(const char *p)
{
	static const char *const ways[] = {"://", ":\\/\\/"};

	for (size_t i = 0; i < ARRAY_SIZE(ways); i++)
		if (!strncmp(p, ways[i], strlen(ways[i])))
			return strlen(ways[i]);
	return 0;
}

/* Behind a scheme: up to the last '@' of the word, but for the name of a user that has a password.
 * 0: there is nobody. */
static size_t take_userinfo(struct scan *scan, const char *text)
{
	size_t at = last_at(text), colon = strcspn(text, ":");
	bool told = colon + 1 < at && colon <= USER_MAX;

	if (!at)
		return 0;
	return hide(scan, text, &(struct value) {.text = text + (told ? colon + 1 : 0)}, text + at);
}

/* Writes "user:password", quoted or not, of `text` on, the password left out. 0: it is none. */
static size_t take_pair(struct scan *scan, const char *text, const char *user)
{
	struct value value = {.text = user, .quote = quote_at(user)};
	/* first, and not to the end of a line that has as many options as it has letters */
	const char *colon = memchr(user, ':', strnlen(user, USERINFO_MAX)), *end;

	if (!colon || !strncmp(colon, "://", 3))
		return 0;
	end = end_of_value(&value);
	if (colon + value.quote + 1 >= end)
		return 0;
	carry(scan, end, !value.quote);
	hide(scan, text, &(struct value) {.text = colon + 1}, end);
	copy(scan, user, user + value.quote);
	return (size_t)(end - text);
}

/* Where the user begins that goes with an option which ends here; NULL: there is none. */
static const char *user_behind(const char *end, bool letter)
{
	const char *p = end, *next;
	size_t quote = quote_at(end);

	/* one that ends the text around, or that of -u"me:x" */
	if (quote && may_end(end[quote]))
		p += quote;
	p += strspn(p, BLANKS "=");
	next = p > end ? next_of_list(p) : NULL;
	if (p == end && !letter)
		return NULL;
	return next ?: p;
}

/* "-u NAME:" and "--user NAME:", of curl and others. */
static size_t take_user(struct scan *scan, const char *text)
{
	static const char *const options[] = {"-u", "-U", "--user", "--proxy-user"};

	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		size_t n = strlen(options[i]);
		const char *user = NULL;

		if (!strncmp(text, options[i], n))
			user = user_behind(text + n, n == 2);
		if (user && user[0] == '\\' && !user[1])
			scan->carry = CARRIED_USER;
		else if (user)
			return take_pair(scan, text, user);
	}
	return 0;
}

/* So long, and so mixed, that it is no word of a language. */
static bool is_random(const char *text, size_t n)
{
	bool mixed = n >= 20;

	for (size_t i = 1; i < n; i++)
		mixed |= isupper((unsigned char)text[i]) || isdigit((unsigned char)text[i]);
	return n >= 6 && mixed;
}

/* "Bearer eyJ...", and what is known by its first letters. */
static size_t take_token(struct scan *scan, const char *text)
{
	static const char *const schemes[] = {"Bearer", "Basic"};
	static const char *const firsts[] = {"eyJ",    "ghp_",	"gho_",	 "ghs_", "github_pat_",
					     "glpat-", "xoxb-", "xoxp-", "hvs.", "sk_live_"};
	const char *token = NULL;
	size_t n;

	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++) {
		n = strlen(schemes[i]);
		if (!strncasecmp(text, schemes[i], n) && is_blank(text[n]))
			token = text + n + strspn(text + n, BLANKS);
	}
	for (size_t i = 0; i < ARRAY_SIZE(firsts); i++)
		if (!strncmp(text, firsts[i], strlen(firsts[i])))
			token = text;
	n = token ? strcspn(token, BLANKS "\"'\\,;<>(){}[]") : 0;
	if (!n || !is_random(token, n))
		return 0;
	return hide(scan, text, &(struct value) {.text = token}, token + n);
}

/* ---- the line ---- */

/* "\n" in JSON, if no secret begins with that letter. */
static size_t take_escape(struct scan *scan, const char *p)
{
	_cleanup_(freep) char *name = NULL;
	size_t n = 1;

	if (*p != '\\' || !p[1] || !strchr("nrt", p[1]))
		return 0;
	while (is_name(p[n]))
		n++;
	name = strndup(p + 1, n - 1);
	if (!name || is_secret(name))
		return 0;
	fwrite(p, 1, 2, scan->out);
	return 2;
}

static bool begins_name(const struct scan *scan, const char *p)
{
	if (!is_name(*p))
		return false;
	if (p == scan->line || !is_name(p[-1]))
		return true;
	return p > scan->line + 1 && p[-2] == '\\' && strchr("nrt", p[-1]);
}

static size_t take_secret(struct scan *scan, const char *p)
{
	size_t n;

	n = scheme_at(p);
	if (n)
		return copy(scan, p, p + n) + take_userinfo(scan, p + n);
	if (!begins_name(scan, p))
		return take_escape(scan, p);
	n = take_user(scan, p);
	n = n ?: take_token(scan, p);
	return n ?: take_name(scan, p);
}

/* What the line before has left to this one. */
static size_t take_carried(struct scan *scan, enum carried carried)
{
	const char *p = scan->line + strspn(scan->line, BLANKS);
	struct value value = {.text = p, .quote = quote_at(p)};
	const char *end;

	if (is_carried(&value))
		scan->carry = carried;
	if (!*p || is_carried(&value))
		return 0;
	if (carried == CARRIED_USER)
		return take_pair(scan, scan->line, p);
	if (carried != CARRIED_VALUE || *p == '-')
		return 0;
	end = end_of_value(&value);
	carry(scan, end, !value.quote);
	return hide(scan, scan->line, &value, end);
}

/* Keeps track of the quotes in what was read. */
static void pass(struct scan *scan, const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (!scan->escaped && p[i] == '"')
			scan->quoted = !scan->quoted;
		scan->escaped = !scan->escaped && p[i] == '\\';
	}
}

enum carried redact_secrets(struct redact *redact, const char *line, enum carried carried,
			    FILE *out)
{
	struct scan scan = {.redact = redact, .line = line, .out = out};
	size_t n = take_carried(&scan, carried);

	pass(&scan, line, n);
	for (const char *p = line + n; *p; p += n) {
		n = take_secret(&scan, p);
		if (!n) {
			fputc(*p, out);
			n = 1;
		}
		pass(&scan, p, n);
	}
	return scan.carry;
}
