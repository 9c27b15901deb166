// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsctl/options.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "core/near.h"
#include "hsctl/typed.h"
#include "util/macro.h"
#include "util/parse.h"

#define LINES_MAX 1000000

/* ---- values ---- */

static int wrong_value(const char *option, const char *value, const char *wanted,
		       struct problem *problem)
{
	return problem_set(problem, -EINVAL, "\"%s\" is no value for %s; it takes %s",
			   typed_show(value).text, option, wanted);
}

static int set_span(const char *option, const char *value, uint64_t max, uint64_t *usec,
		    struct problem *problem)
{
	uint64_t span;

	if (parse_span(value, &span) < 0)
		return wrong_value(option, value, "a time, such as 50ms, 30s or 2min", problem);
	if (span > max)
		return wrong_value(option, value,
				   max == CONFIG_SETTLE_MAX ? "at most 10min" : "at most 7d",
				   problem);
	*usec = span;
	return 0;
}

static int read_timeout(struct arguments *a, const char *value, struct problem *problem)
{
	int r = set_span("--timeout", value, CONFIG_DRAIN_MAX, &a->timeout_usec, problem);

	if (!r && !a->timeout_usec)
		return wrong_value("--timeout", value, "a time above 0", problem);
	return r;
}

static int read_to(struct arguments *a, const char *value, struct problem *problem)
{
	uint64_t slot;

	if (parse_unsigned(value, 0, HS_SLOTS_MAX - 1, &slot) < 0)
		return wrong_value("--to", value, "the number of a slot, 0 to 15", problem);
	a->to = slot;
	return 0;
}

static int read_lines(struct arguments *a, const char *value, struct problem *problem)
{
	uint64_t lines;

	if (parse_unsigned(value, 0, LINES_MAX, &lines) < 0)
		return wrong_value("-n", value, "a number, 0 for all", problem);
	a->lines = lines;
	return 0;
}

static int read_then(struct arguments *a, const char *value, struct problem *problem)
{
	a->then = switchover_then_from_string(value);
	if (a->then == THEN_COUNT)
		return wrong_value("--then", value, "keep, stop or restart", problem);
	return 0;
}

static int read_settle(struct arguments *a, const char *value, struct problem *problem)
{
	return set_span("--settle", value, CONFIG_SETTLE_MAX, &a->settle_usec, problem);
}

static int read_drain(struct arguments *a, const char *value, struct problem *problem)
{
	return set_span("--drain", value, CONFIG_DRAIN_MAX, &a->drain_usec, problem);
}

static int set_name(const char *option, const char *value, const char **text,
		    struct problem *problem)
{
	if (!value[0])
		return wrong_value(option, value, "a name", problem);
	*text = value;
	return 0;
}

static int read_host(struct arguments *a, const char *value, struct problem *problem)
{
	return set_name("-H", value, &a->host, problem);
}

static int read_machine(struct arguments *a, const char *value, struct problem *problem)
{
	return set_name("-M", value, &a->machine, problem);
}

static int read_no_color(struct arguments *a, const char *value, struct problem *problem)
{
	(void)value, (void)problem;
	a->color = false;
	return 0;
}

/* ---- the table ---- */

#define ON(field)   offsetof(struct arguments, field)
#define KEEP(field) offsetof(struct arguments, field)
#define SPANS	    "0|10s|30s|5min"

static const struct option_row rows[] = {
	{
		.name = "help",
		.letter = 'h',
		.on = ON(help),
		.text = "what it is and what it takes",
	},
	{
		.name = "version",
		.alone = true,
		.on = ON(version),
		.text = "which version this is",
	},
	{
		.name = "list-verbs",
		.alone = true,
		.on = ON(list_verbs),
		.text = "the names of all verbs",
	},
	{
		.name = "json",
		.on = ON(json),
		.text = "for programs",
	},
	{
		.name = "timeout",
		.value = OPTION_VALUE,
		.read = read_timeout,
		.text = "wait no longer than this",
		.offer = OFFER_WORDS,
		.words = SPANS,
	},
	{
		.name = "no-block",
		.on = ON(no_block),
		.text = "do not wait for the end of a change",
	},
	{
		.name = "direct",
		.on = ON(direct),
		.text = "without hsd, through what is pinned in the kernel",
	},
	{
		.name = "no-color",
		.read = read_no_color,
		.text = "without colour",
	},
	{
		.name = "no-ask-password",
		.on = ON(no_ask_password),
		.text = "refuse what takes a password",
	},
	{
		.name = "host",
		.letter = 'H',
		.value = OPTION_VALUE,
		.elsewhere = true,
		.read = read_host,
		.text = "on another machine, over ssh",
		.offer = OFFER_HOSTS,
	},
	{
		.name = "machine",
		.letter = 'M',
		.value = OPTION_VALUE,
		.elsewhere = true,
		.read = read_machine,
		.text = "in a container of this machine",
		.offer = OFFER_MACHINES,
	},
	{
		.name = "to",
		.value = OPTION_VALUE,
		.bits = OPTION_TO,
		.read = read_to,
		.text = "to this slot",
		.offer = OFFER_SLOTS,
	},
	{
		.name = "settle",
		.value = OPTION_VALUE,
		.bits = OPTION_SETTLE,
		.read = read_settle,
		.text = "wait for handshakes under way",
		.offer = OFFER_WORDS,
		.words = "50ms|100ms|1s|5s",
	},
	{
		.name = "drain",
		.value = OPTION_VALUE,
		.bits = OPTION_DRAIN,
		.read = read_drain,
		.text = "wait at most this long for the old connections",
		.offer = OFFER_WORDS,
		.words = SPANS,
	},
	{
		.name = "then",
		.value = OPTION_VALUE,
		.bits = OPTION_THEN,
		.read = read_then,
		.text = "what becomes of the old instance",
		.offer = OFFER_WORDS,
		.words = "keep|stop|restart",
	},
	{
		.name = "watch",
		.bits = OPTION_WATCH,
		.on = ON(watch),
		.text = "paint it anew every second",
	},
	{
		.name = "list",
		.bits = OPTION_LIST,
		.on = ON(list),
		.text = "each one, too",
	},
	{
		.name = "follow",
		.letter = 'f',
		.bits = OPTION_FOLLOW,
		.on = ON(follow),
		.text = "go on as it happens",
	},
	{
		.name = "lines",
		.letter = 'n',
		.value = OPTION_VALUE,
		.bits = OPTION_LINES,
		.read = read_lines,
		.text = "so many, 0 for all",
		.offer = OFFER_WORDS,
		.words = "0|10|100|1000",
	},
	{
		.name = "all",
		.bits = OPTION_DRILL,
		.on = ON(all),
		.text = "all scenarios",
	},
	{
		.name = "yes",
		.bits = OPTION_DRILL,
		.on = ON(yes),
		.text = "do not ask",
	},
	{
		.name = "put-back",
		.bits = OPTION_DRILL,
		.on = ON(put_back),
		.text = "only put back what a drill has left",
	},
	{
		.name = "outdated",
		.bits = OPTION_OUTDATED,
		.on = ON(outdated),
		.text = "what runs files that were replaced since",
	},
	{
		.name = "smoke-may-be-silent",
		.bits = OPTION_UPGRADE,
		.on = ON(smoke_may_be_silent),
		.text = "also a test that connects to nothing passes",
	},
	{
		.name = "alias",
		.value = OPTION_MAY_HAVE_VALUE,
		.bits = OPTION_ALIAS,
		.on = ON(alias),
		.keep = KEEP(alias_name),
		.text = "the plain name stands for all slots",
	},
	{
		.name = "no-alias",
		.bits = OPTION_ALIAS,
		.on = ON(no_alias),
		.text = "the plain unit is only disabled",
	},
	{
		.name = "must-connect",
		.bits = OPTION_EXEC,
		.on = ON(must_connect),
		.text = "a command that connected to nothing has failed",
	},
	{
		.name = "cat",
		.bits = OPTION_CONFIG,
		.on = ON(cat),
		.text = "the files, in the order in which they count",
	},
	{
		.name = "schema",
		.bits = OPTION_CONFIG,
		.on = ON(schema),
		.text = "all settings that there are, as JSON",
	},
	{
		.name = "with-addresses",
		.bits = OPTION_REPORT,
		.on = ON(with_addresses),
		.text = "do not leave out the addresses of clients",
	},
	{
		.name = "with-environment",
		.bits = OPTION_REPORT,
		.on = ON(with_environment),
		.text = "do not leave out Environment= of units",
	},
	{
		.name = "openmetrics",
		.bits = OPTION_OPENMETRICS,
		.on = ON(openmetrics),
		.text = "as OpenMetrics 1.0 has it",
	},
	{
		.name = "dry-run",
		.bits = OPTION_DRY_RUN,
		.on = ON(dry_run),
		.text = "show the effect, do nothing",
	},
	{
		.name = "hash",
		.bits = OPTION_HASH,
		.on = ON(hash),
		.text = "only the fingerprint",
	},
	{
		.name = "http",
		.bits = OPTION_AGENT,
		.on = ON(http),
		.text = "as an answer by HTTP",
	},
	{
		.name = "exit",
		.bits = OPTION_AGENT,
		.on = ON(by_exit),
		.text = "the exit code of keepalived's scripts",
	},
	{
		.name = "serve",
		.bits = OPTION_AGENT,
		.on = ON(serve),
		.text = "to all who connect to the socket of systemd's",
	},
	{
		.name = "fastpath",
		.bits = OPTION_FASTPATH,
		.text = "what the kernel makes of the fast path, by trying",
	},
	{
		.name = "scenario",
		.value = OPTION_VALUE,
		.bits = OPTION_DRILL,
		.keep = KEEP(texts[TEXT_SCENARIO]),
		.text = "what is done to the service",
		.offer = OFFER_SCENARIOS,
	},
	{
		.name = "repeat",
		.value = OPTION_VALUE,
		.bits = OPTION_DRILL,
		.keep = KEEP(texts[TEXT_REPEAT]),
		.text = "so many times",
		.offer = OFFER_WORDS,
		.words = "3|10|100",
	},
	{
		.name = "rate",
		.value = OPTION_VALUE,
		.bits = OPTION_DRILL,
		.keep = KEEP(texts[TEXT_RATE]),
		.text = "connections per second",
		.offer = OFFER_WORDS,
		.words = "10|100|1000",
	},
	{
		.name = "max-gap",
		.value = OPTION_VALUE,
		.bits = OPTION_DRILL,
		.keep = KEEP(texts[TEXT_MAX_GAP]),
		.text = "the longest time without an answer",
		.offer = OFFER_WORDS,
		.words = "50ms|100ms|1s|5s",
	},
	{
		.name = "max-lost",
		.value = OPTION_VALUE,
		.bits = OPTION_DRILL,
		.keep = KEEP(texts[TEXT_MAX_LOST]),
		.text = "connections that may be lost",
		.offer = OFFER_WORDS,
		.words = "0|1|10",
	},
	{
		.name = "report",
		.value = OPTION_VALUE,
		.bits = OPTION_DRILL,
		.keep = KEEP(texts[TEXT_REPORT]),
		.text = "the timeline, as .json, .svg or .html",
		.offer = OFFER_FILES,
	},
	{
		.name = "probe",
		.value = OPTION_VALUE,
		.bits = OPTION_DRILL,
		.keep = KEEP(texts[TEXT_PROBE]),
		.text = "what the prober asks",
		.offer = OFFER_WORDS,
		.words = "tcp|http:/",
	},
	{
		.name = "smoke",
		.value = OPTION_VALUE,
		.bits = OPTION_UPGRADE,
		.keep = KEEP(texts[TEXT_SMOKE]),
		.text = "a command that tests the new one first",
		.offer = OFFER_COMMAND,
	},
	{
		.name = "smoke-timeout",
		.value = OPTION_VALUE,
		.bits = OPTION_UPGRADE,
		.keep = KEEP(texts[TEXT_SMOKE_TIMEOUT]),
		.text = "how long the test may take",
		.offer = OFFER_WORDS,
		.words = SPANS,
	},
	{
		.name = "canary",
		.value = OPTION_VALUE,
		.bits = OPTION_UPGRADE,
		.keep = KEEP(texts[TEXT_CANARY]),
		.text = "shares to begin with",
		.offer = OFFER_WORDS,
		.words = "1%,10%,50%",
	},
	{
		.name = "hold",
		.value = OPTION_VALUE,
		.bits = OPTION_UPGRADE,
		.keep = KEEP(texts[TEXT_HOLD]),
		.text = "how long each share",
		.offer = OFFER_WORDS,
		.words = SPANS,
	},
	{
		.name = "probation",
		.value = OPTION_VALUE,
		.bits = OPTION_UPGRADE,
		.keep = KEEP(texts[TEXT_PROBATION]),
		.text = "how long the new one is watched",
		.offer = OFFER_WORDS,
		.words = SPANS,
	},
	{
		.name = "ready",
		.value = OPTION_VALUE,
		.bits = OPTION_UPGRADE,
		.keep = KEEP(texts[TEXT_READY]),
		.text = "how long it may take to be ready",
		.offer = OFFER_WORDS,
		.words = SPANS,
	},
	{
		.name = "deadline",
		.value = OPTION_VALUE,
		.bits = OPTION_DEADLINE,
		.keep = KEEP(texts[TEXT_DEADLINE]),
		.text = "wait at most this long",
		.offer = OFFER_WORDS,
		.words = SPANS,
	},
	{
		.name = "from",
		.value = OPTION_VALUE,
		.bits = OPTION_FROM,
		.keep = KEEP(texts[TEXT_FROM]),
		.text = "of whom, or from which unit",
		.offer = OFFER_UNITS,
	},
	{
		.name = "by",
		.value = OPTION_VALUE,
		.bits = OPTION_BY,
		.keep = KEEP(texts[TEXT_BY]),
		.text = "what stays together, or whom a share is of",
		.offer = OFFER_WORDS,
		.words = "connection|client",
	},
	{
		.name = "slot",
		.value = OPTION_VALUE,
		.bits = OPTION_CONNECTIONS,
		.keep = KEEP(texts[TEXT_SLOT]),
		.text = "of this slot only",
		.offer = OFFER_SLOTS,
		.words = "park",
	},
	{
		.name = "idle",
		.value = OPTION_VALUE,
		.bits = OPTION_CONNECTIONS,
		.keep = KEEP(texts[TEXT_IDLE]),
		.text = "from when on a connection is idle",
		.offer = OFFER_WORDS,
		.words = SPANS,
	},
	{
		.name = "path",
		.value = OPTION_VALUE,
		.bits = OPTION_PATH,
		.keep = KEEP(texts[TEXT_PATH]),
		.text = "of an AF_UNIX socket",
		.offer = OFFER_FILES,
	},
	{
		.name = "since",
		.value = OPTION_VALUE,
		.bits = OPTION_SINCE,
		.keep = KEEP(texts[TEXT_SINCE]),
		.text = "from when on",
		.offer = OFFER_WORDS,
		.words = "1h|24h|7d",
	},
	{
		.name = "output",
		.value = OPTION_VALUE,
		.bits = OPTION_REPORT,
		.keep = KEEP(texts[TEXT_OUTPUT]),
		.text = "where to write it",
		.offer = OFFER_FILES,
	},
	{
		.name = "peer",
		.value = OPTION_VALUE,
		.bits = OPTION_PEER,
		.keep = KEEP(texts[TEXT_PEER]),
		.text = "another front, asked over ssh",
		.offer = OFFER_HOSTS,
	},
};
_Static_assert(ARRAY_SIZE(rows) <= OPTIONS_MAX, "struct arguments has a place for each");

const struct option_row *option_at(unsigned index)
{
	return index < ARRAY_SIZE(rows) ? &rows[index] : NULL;
}

const struct option_row *option_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (!strcmp(rows[i].name, name))
			return &rows[i];
	return NULL;
}

const struct option_row *option_of_letter(char letter)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (letter && rows[i].letter == letter)
			return &rows[i];
	return NULL;
}

const struct option_row *option_nearest(const char *typed)
{
	const struct option_row *nearest = NULL;
	char name[NEAR_LENGTH_MAX + 1];
	int best = INT_MAX, d;

	typed += strspn(typed, "-");
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(typed, "="), typed);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		d = near_distance(name, rows[i].name);
		if (d < 0 || d >= best)
			continue;
		best = d;
		nearest = &rows[i];
	}
	return nearest;
}

/* ---- one that was given ---- */

int option_apply(const struct option_row *option, struct arguments *arguments, const char *value,
		 struct problem *problem)
{
	char *base = (char *)arguments;

	arguments->seen[option - rows] = true;
	arguments->options |= option->bits;
	if (option->on)
		*(bool *)(base + option->on) = true;
	if (option->keep)
		*(const char **)(base + option->keep) = value;
	return option->read ? option->read(arguments, value, problem) : 0;
}

const char *option_describe(const struct option_row *option, char text[OPTION_TEXT_MAX])
{
	if (option->letter)
		snprintf(text, OPTION_TEXT_MAX, "-%c", option->letter);
	else
		snprintf(text, OPTION_TEXT_MAX, "--%s", option->name);
	return text;
}
