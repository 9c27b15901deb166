// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsctl/bundle/redact_address.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "util/macro.h"

#define DECIMAL "0123456789"
#define HEX	DECIMAL "abcdefABCDEF"

/* Fingerprints of keys have more than an address with a time before it or a port behind it has. */
#define GROUPS_MAX 13
/* Nobody escapes what is escaped more often than this. */
#define ESCAPED_MAX 16

static bool is_digit(char c)
{
	return isdigit((unsigned char)c);
}

static bool is_hex(char c)
{
	return isxdigit((unsigned char)c);
}

/* ---- IPv4 ---- */

/* Length of the numbers with a dot between each, of which the first begins here. 0: no four of them
 * are an address. It is that of the first four that are. */
static size_t read_dotted(const char *text, char ret_address[INET6_ADDRSTRLEN])
{
	unsigned octets[4] = {0}, valid = 0;
	bool found = false;
	const char *p = text;

	for (;;) {
		size_t digits = strspn(p, DECIMAL);
		unsigned long value = digits && digits <= 3 ? strtoul(p, NULL, 10) : 256;

		valid = value < 256 ? valid + 1 : 0;
		memmove(octets, octets + 1, sizeof(octets) - sizeof(octets[0]));
		octets[3] = (unsigned)value & 255;
		if (valid >= 4 && !found) {
			found = true;
			snprintf(ret_address, INET6_ADDRSTRLEN, "%u.%u.%u.%u", octets[0], octets[1],
				 octets[2], octets[3]);
		}
		p += digits;
		if (*p != '.' || !is_digit(p[1]))
			return found ? (size_t)(p - text) : 0;
		p++;
	}
}

static bool begins_number(const char *text, size_t i)
{
	return is_digit(text[i]) && (!i || !is_digit(text[i - 1]));
}

/* What is before `from` has been read. */
static bool begins_dotted(const char *text, size_t i, size_t from)
{
	bool goes_on = i >= from + 2 && text[i - 1] == '.' && is_digit(text[i - 2]);

	return begins_number(text, i) && !goes_on;
}

/* ---- as it is meant ---- */

/* A line without its escapes, and where in the line each character of it begins, its end, too. */
struct view {
	char *text;
	size_t *at;
};

static void view_done(struct view *view)
{
	free(view->text);
	free(view->at);
}

/* The character whose number is written in so many digits, behind so many characters that say so.
 * Returns the length of all; 0: it is none. */
static size_t read_number(const char *p, size_t skip, size_t digits, char *ret_c)
{
	char address[INET6_ADDRSTRLEN], number[5] = "";
	unsigned long value;

	for (size_t i = 0; i < digits; i++)
		/* "%203.0.113.9" has an address behind a percent sign */
		if (!is_hex(p[skip + i]) ||
		    ((!i || begins_number(p, skip + i)) && read_dotted(p + skip + i, address)))
			return 0;
	memcpy(number, p + skip, MIN(digits, sizeof(number) - 1));
	value = strtoul(number, NULL, 16);
	/* nobody writes letters and digits so */
	*ret_c = value < 128 && ispunct((int)value) ? (char)value : ' ';
	return skip + digits;
}

/* "%3A", also of what was escaped twice, "\u003a", "\x3a", "\n": its length; 0: it is itself. */
static size_t read_escape(const char *p, char *ret_c)
{
	char ignored;
	size_t skip = 1;

	if (*p == '%') {
		while (skip < ESCAPED_MAX && !strncmp(p + skip, "25", 2) &&
		       read_number(p, skip + 2, 2, &ignored))
			skip += 2;
		return read_number(p, skip, 2, ret_c);
	}
	if (*p != '\\')
		return 0;
	if (p[1] == 'u' || p[1] == 'x')
		return read_number(p, 2, p[1] == 'u' ? 4 : 2, ret_c);
	*ret_c = ' ';
	return p[1] == 'n' || p[1] == 'r' || p[1] == 't' ? 2 : 0;
}

static bool view_init(struct view *view, const char *line)
{
	size_t size = strlen(line) + 1, n = 0, length;
	const char *p = line;

	view->text = malloc(size);
	view->at = calloc(size, sizeof(*view->at));
	if (!view->text || !view->at)
		return false;
	for (; *p; p += length) {
		view->at[n] = (size_t)(p - line);
		length = read_escape(p, &view->text[n]);
		if (!length) {
			view->text[n] = *p;
			length = 1;
		}
		n++;
	}
	view->at[n] = (size_t)(p - line);
	view->text[n] = '\0';
	return true;
}

/* ---- IPv6 ---- */

/* Reads an address of `length` characters; false if it is none. */
static bool read_ipv6(const char *text, size_t length, char ret_address[INET6_ADDRSTRLEN])
{
	struct in6_addr address;
	char word[INET6_ADDRSTRLEN];

	if (!length || length >= sizeof(word))
		return false;
	snprintf(word, sizeof(word), "%.*s", (int)length, text);
	if (inet_pton(AF_INET6, word, &address) != 1)
		return false;
	if (IN6_IS_ADDR_V4MAPPED(&address))
		return inet_ntop(AF_INET, &address.s6_addr[12], ret_address, INET6_ADDRSTRLEN);
	return inet_ntop(AF_INET6, &address, ret_address, INET6_ADDRSTRLEN);
}

/* Groups of digits with colons between. */
struct run {
	size_t start, end; /* without a colon at either end that is of the text around */
	size_t last;	   /* where its last group begins */
	size_t next;	   /* where another may begin */
};

/* A first group that is too long is read from its fourth last digit; before another one, and before
 * three colons but for the first of them, the run ends. */
static struct run read_run(const char *text, size_t i)
{
	size_t digits = strspn(text + i, HEX), end = i + digits, colons;
	struct run run = {.start = digits > 4 ? end - 4 : i};

	run.last = run.start;
	while ((colons = strspn(text + end, ":")) == 1 || colons == 2) {
		digits = strspn(text + end + colons, HEX);
		end += colons;
		if (digits > 4)
			break;
		run.last = end;
		end += digits;
	}
	end += colons > 2;
	run.next = end;
	if (text[run.start] == ':' && text[run.start + 1] != ':')
		run.start++;
	if (end > run.start && text[end - 1] == ':' &&
	    (end < run.start + 2 || text[end - 2] != ':'))
		end--;
	run.end = end;
	return run;
}

static bool has_gap(const char *text, const struct run *run)
{
	for (size_t i = run->start; i + 1 < run->end; i++)
		if (text[i] == ':' && text[i + 1] == ':')
			return true;
	return false;
}

/* That no word looks like it: part of one may be "d::" or "fe". */
static bool is_certain(const char *text, const struct run *run)
{
	size_t groups = 0, digits = 0;

	for (size_t i = run->start; i < run->end; i++) {
		groups += text[i] != ':' && (i == run->start || text[i - 1] == ':');
		digits += is_digit(text[i]);
	}
	return digits > 1 && groups > 1 && (has_gap(text, run) || groups <= GROUPS_MAX);
}

/* The first part of it, from colon to colon, that is an address. */
static bool read_part(const char *text, const struct run *run, char ret_address[INET6_ADDRSTRLEN])
{
	for (size_t start = run->start; start < run->end; start++) {
		if (start > run->start && text[start - 1] != ':')
			continue;
		for (size_t end = MIN(run->end, start + INET6_ADDRSTRLEN); end > start; end--)
			if ((end == run->end || text[end] == ':') &&
			    read_ipv6(text + start, end - start, ret_address))
				return true;
	}
	return false;
}

/* Whether there is one in the run, which is cut to it, or all that there is to be hidden. */
static bool find_ipv6(const char *text, struct run *run, char ret_address[INET6_ADDRSTRLEN])
{
	/* where no colon is before it is none of IPv6, and was looked at already */
	size_t dotted = run->last > run->start && begins_number(text, run->last)
				? read_dotted(text + run->last, ret_address)
				: 0;
	bool glued;

	if (dotted && read_ipv6(text + run->start, run->last + dotted - run->start, ret_address)) {
		run->end = run->last + dotted;
		return true;
	}
	/* else that is one by itself */
	if (dotted)
		run->end = MAX(run->start, run->last - (run->last > run->start));
	glued = isalnum((unsigned char)text[run->end]) ||
		(run->start && isalnum((unsigned char)text[run->start - 1]));
	if (read_ipv6(text + run->start, run->end - run->start, ret_address))
		return !glued || is_certain(text, run);
	return is_certain(text, run) && read_part(text, run, ret_address);
}

/* ---- both ---- */

/* Those that tell nothing of anybody. */
static bool is_common(const struct redact *redact, const char *address)
{
	static const char *const common[] = {"0.0.0.0", "255.255.255.255", "::", "::1"};

	for (size_t i = 0; i < ARRAY_SIZE(common); i++)
		if (!strcmp(address, common[i]))
			return true;
	for (char *const *own = redact->own; own && *own; own++)
		if (!strcmp(address, *own))
			return true;
	return !strncmp(address, "127.", 4);
}

/* An address that was hidden; all of them are a tree of tsearch(3). */
struct known {
	char address[INET6_ADDRSTRLEN];
	size_t number;
};

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct known *)a)->address, ((const struct known *)b)->address);
}

void redact_forget(struct redact *redact)
{
	tdestroy(redact->known, free);
	redact->known = NULL;
	redact->n_known = 0;
}

/* From 1; 0 without memory. */
static size_t number_of(struct redact *redact, const char *address)
{
	struct known *known = calloc(1, sizeof(*known)), **node;

	if (!known)
		return 0;
	strcpy(known->address, address);
	node = tsearch(known, &redact->known, compare);
	if (node && *node == known)
		known->number = ++redact->n_known;
	else
		free(known);
	return node ? (*node)->number : 0;
}

/* What is being read, and where it goes. */
struct reading {
	struct redact *redact;
	const char *line;
	struct view view;
	size_t next_run; /* before here no run begins */
	FILE *out;
};

static void copy(const struct reading *reading, size_t from, size_t to)
{
	const size_t *at = reading->view.at;

	fwrite(reading->line + at[from], 1, at[to] - at[from], reading->out);
}

static void hide(struct reading *reading, const char *address)
{
	fprintf(reading->out, "[address-%zu]", number_of(reading->redact, address));
	reading->redact->n_addresses++;
}

/* Up to where there is an address from here on. Returns `i`: here begins none. */
static size_t take_dotted(struct reading *reading, size_t i)
{
	char address[INET6_ADDRSTRLEN];
	size_t length = read_dotted(reading->view.text + i, address);

	if (!length)
		return i;
	/* one that has more numbers before it or behind it may be another */
	if (strlen(address) == length && is_common(reading->redact, address))
		copy(reading, i, i + length);
	else
		hide(reading, address);
	return i + length;
}

static size_t take_run(struct reading *reading, size_t i)
{
	const char *text = reading->view.text;
	char address[INET6_ADDRSTRLEN], whole[INET6_ADDRSTRLEN];
	struct run run = read_run(text, i);

	reading->next_run = run.next;
	if (!find_ipv6(text, &run, address))
		return i;
	copy(reading, i, run.start);
	if (read_ipv6(text + run.start, run.end - run.start, whole) &&
	    is_common(reading->redact, whole))
		copy(reading, run.start, run.end);
	else
		hide(reading, address);
	return run.end;
}

void redact_addresses(struct redact *redact, const char *line, FILE *out)
{
	_cleanup_(view_done) struct view view = {0};
	struct reading reading = {.redact = redact, .line = line, .out = out};
	size_t end, from = 0;
	const char *text;

	if (!view_init(&view, line))
		return;
	reading.view = view;
	text = view.text;
	for (size_t i = 0; text[i]; i = end) {
		end = begins_dotted(text, i, from) ? take_dotted(&reading, i) : i;
		if (end == i && i >= reading.next_run && (is_hex(text[i]) || text[i] == ':'))
			end = take_run(&reading, i);
		if (end > i)
			from = end;
		else
			copy(&reading, i, ++end);
	}
}
