// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/watch/probe.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "util/macro.h"
#include "util/parse.h"

#define BLANKS " \t\r\n"

static const char *const kind_words[] = {
	[PROBE_TCP] = "tcp",   [PROBE_HTTP] = "http",	[PROBE_HTTPS] = "https",
	[PROBE_EXEC] = "exec", [PROBE_AGENT] = "agent",
};
_Static_assert(ARRAY_SIZE(kind_words) == PROBE_KIND_COUNT, "a word for each kind");

static const char *const state_words[] = {
	[HEALTH_UNKNOWN] = "unknown",
	[HEALTH_GOOD] = "healthy",
	[HEALTH_BAD] = "unhealthy",
};
_Static_assert(ARRAY_SIZE(state_words) == HEALTH_STATE_COUNT, "a word for each state");

const char *probe_kind_to_string(enum probe_kind kind)
{
	return kind < PROBE_KIND_COUNT ? kind_words[kind] : "unknown";
}

const char *health_state_to_string(enum health_state state)
{
	return state < HEALTH_STATE_COUNT ? state_words[state] : "unknown";
}

static int refuse(struct problem *problem)
{
	return problem_set(problem, -EINVAL,
			   "is not a probe; allowed are tcp, tcp:PORT, http:/PATH, http:PORT/PATH, "
			   "https:/PATH, https:PORT/PATH and exec:/PATH/TO/PLUGIN ARGUMENTS.");
}

/* Takes the digits off; what follows them is `ret_rest`. */
static int parse_port(const char *text, uint16_t *ret_port, const char **ret_rest)
{
	size_t length = strspn(text, "0123456789");
	char digits[8] = "";
	uint64_t port = 0;

	if (length >= sizeof(digits))
		return -EINVAL;
	memcpy(digits, text, length);
	if (length && parse_unsigned(digits, 1, UINT16_MAX, &port) < 0)
		return -EINVAL;
	*ret_port = (uint16_t)port;
	*ret_rest = text + length;
	return 0;
}

/* Copies one word without its quotes. Returns what follows it, NULL when a quote is not closed. */
static const char *take_word(const char *p, char **end)
{
	char quote = 0;

	for (; *p && (quote || !strchr(BLANKS, *p)); p++) {
		if (quote ? *p == quote : *p == '"' || *p == '\'') {
			quote = quote ? 0 : *p;
			continue;
		}
		if (*p == '\\' && quote != '\'' && !*++p)
			return NULL;
		*(*end)++ = *p;
	}
	*(*end)++ = '\0';
	return quote ? NULL : p;
}

int probe_split(const char *line, char storage[PROBE_TEXT_MAX], char *ret_words[PROBE_WORDS_MAX])
{
	unsigned n = 0;

	if (strlen(line) >= PROBE_TEXT_MAX)
		return -E2BIG;
	for (line += strspn(line, BLANKS); *line; line += strspn(line, BLANKS)) {
		if (n == PROBE_WORDS_MAX - 1)
			return -E2BIG;
		ret_words[n++] = storage;
		line = take_word(line, &storage);
		if (!line)
			return -EINVAL;
	}
	ret_words[n] = NULL;
	return 0;
}

static int check_command(const char *line)
{
	char storage[PROBE_TEXT_MAX], *words[PROBE_WORDS_MAX];

	return line[0] == '/' ? probe_split(line, storage, words) : -EINVAL;
}

/* What stands behind "KIND:", by kind. */
static int parse_rest(const char *rest, struct probe_spec *spec)
{
	if (spec->kind == PROBE_EXEC)
		return check_command(rest);
	if (parse_port(rest, &spec->port, &rest))
		return -EINVAL;
	if (spec->kind == PROBE_TCP)
		return spec->port && !*rest ? 0 : -EINVAL;
	/* a path goes into a request line as it is; two slashes would be meant as a host */
	if (rest[0] != '/' || rest[1] == '/' || strpbrk(rest, " \t\r\n"))
		return -EINVAL;
	return 0;
}

static const char *path_of(const char *rest)
{
	return rest + strspn(rest, "0123456789");
}

int probe_parse(const char *text, struct probe_spec *ret_spec, struct problem *problem)
{
	size_t length = strcspn(text, ":");
	struct probe_spec spec;
	const char *rest = text[length] ? text + length + 1 : NULL;

	/* also what pads it: settings are compared as bytes */
	memset(&spec, 0, sizeof(spec));
	spec.kind = PROBE_KIND_COUNT;
	for (unsigned kind = 0; kind < PROBE_AGENT; kind++)
		if (strlen(kind_words[kind]) == length && !strncmp(kind_words[kind], text, length))
			spec.kind = kind;
	if (spec.kind == PROBE_KIND_COUNT || (!rest && spec.kind != PROBE_TCP))
		return refuse(problem);
	if (rest && (strlen(rest) >= sizeof(spec.text) || parse_rest(rest, &spec)))
		return refuse(problem);
	if (spec.kind == PROBE_EXEC)
		snprintf(spec.text, sizeof(spec.text), "%s", rest);
	else if (spec.kind != PROBE_TCP)
		snprintf(spec.text, sizeof(spec.text), "%s", path_of(rest));
	*ret_spec = spec;
	return 0;
}

unsigned probe_port_rank(const struct probe_spec *spec, uint16_t port)
{
	static const uint16_t usual[PROBE_KIND_COUNT] = {[PROBE_HTTP] = 80, [PROBE_HTTPS] = 443};

	return port == usual[spec->kind] ? 0 : port;
}

struct health_pace health_front_pace(uint64_t interval_usec, unsigned fall)
{
	uint64_t whole = interval_usec * fall, between = HEALTH_HURRIED_USEC * (fall - 1);
	uint64_t share = fall > 1 && whole > interval_usec + between
				 ? (whole - interval_usec - between) / fall
				 : interval_usec / 2;
	struct health_pace pace = {.connect_usec =
					   MAX(MIN(share, interval_usec / 2), HEALTH_CONNECT_MIN)};
	uint64_t failing = fall * pace.connect_usec + between;

	pace.every_usec =
		MIN(interval_usec,
		    whole > failing + HEALTH_HURRIED_USEC ? whole - failing : HEALTH_HURRIED_USEC);
	return pace;
}

void health_init(struct health *health, uint64_t now)
{
	*health = (struct health) {.state = HEALTH_UNKNOWN, .since = now};
}

bool health_note(struct health *health, const struct health_rule *rule, const char *failure,
		 uint64_t now)
{
	enum health_state said = failure ? HEALTH_BAD : HEALTH_GOOD;
	unsigned needed = failure ? rule->fall : rule->rise;

	if (failure)
		problem_set(&health->reason, 0, "%s", failure);
	if (health->state == said) {
		health->in_a_row = 0;
		return false;
	}
	/* what speaks against an unknown state must be of one mind */
	if (health->state == HEALTH_UNKNOWN && health->failing != (failure != NULL))
		health->in_a_row = 0;
	health->failing = failure != NULL;
	if (++health->in_a_row < needed)
		return false;
	health->state = said;
	health->in_a_row = 0;
	health->since = now;
	return true;
}
