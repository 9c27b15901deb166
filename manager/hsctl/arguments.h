/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a command line says: the verb, its arguments, and options before, between and behind them.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/config/config.h"
#include "core/name.h"
#include "util/problem.h"

/* Names of services; most verbs take one or two. */
#define ARGUMENTS_MAX 512
/* All words of a command line that another machine may be handed. */
#define ARGUMENTS_WORDS_MAX (ARGUMENTS_MAX + 64)

#define OPTIONS_MAX 96

/* Options that only some verbs take, as a bit mask; all of them are in hsctl/options.c. */
enum verb_option {
	OPTION_TO = 1 << 0,
	OPTION_SETTLE = 1 << 1,
	OPTION_DRAIN = 1 << 2,
	OPTION_THEN = 1 << 3,
	OPTION_WATCH = 1 << 4,
	OPTION_LIST = 1 << 5,
	OPTION_FOLLOW = 1 << 6,
	OPTION_LINES = 1 << 7,
	OPTION_DRY_RUN = 1 << 8,
	OPTION_HASH = 1 << 9,
	OPTION_AGENT = 1 << 10, /* all that agent takes */
	OPTION_PEER = 1 << 11,
	OPTION_FASTPATH = 1 << 12,
	OPTION_SINCE = 1 << 13,
	OPTION_DRILL = 1 << 16,	  /* all that drill takes */
	OPTION_UPGRADE = 1 << 17, /* all that upgrade takes */
	OPTION_DEADLINE = 1 << 18,
	OPTION_BY = 1 << 19,
	OPTION_CONNECTIONS = 1 << 20,
	OPTION_OUTDATED = 1 << 21,
	OPTION_PATH = 1 << 22,
	OPTION_FROM = 1 << 23,
	OPTION_ALIAS = 1 << 24,
	OPTION_EXEC = 1 << 25,	 /* all that exec takes */
	OPTION_CONFIG = 1 << 26, /* all that config takes */
	OPTION_REPORT = 1 << 27, /* all that report takes */
	OPTION_OPENMETRICS = 1 << 28,
};

/* Values that stay text until their verb reads them. */
enum text_option {
	TEXT_SCENARIO,
	TEXT_REPEAT,
	TEXT_RATE,
	TEXT_MAX_GAP,
	TEXT_MAX_LOST,
	TEXT_REPORT,
	TEXT_PROBE,
	TEXT_SMOKE,
	TEXT_SMOKE_TIMEOUT,
	TEXT_CANARY,
	TEXT_HOLD,
	TEXT_PROBATION,
	TEXT_READY,
	TEXT_DEADLINE,
	TEXT_FROM,
	TEXT_BY,
	TEXT_SLOT,
	TEXT_IDLE,
	TEXT_PATH,
	TEXT_SINCE,
	TEXT_OUTPUT,
	TEXT_PEER,
	TEXT_COUNT
};

struct verb;

struct arguments {
	const struct verb *verb; /* NULL only with help or version */
	const char *given[ARGUMENTS_MAX];
	unsigned n;
	char **command; /* of verbs that take one: ends with NULL, at least one word */
	bool help, version, list_verbs;
	bool by_unit; /* run by hs-hook, as a command of a unit that starts or stops */

	bool json, no_block, direct, color, no_ask_password;
	uint64_t timeout_usec; /* USEC_INFINITY = not given */
	const char *host, *machine;
	const char *words[ARGUMENTS_WORDS_MAX]; /* all that was said, without -H and -M */
	unsigned n_words;

	unsigned options;	/* those of enum verb_option that were given */
	bool seen[OPTIONS_MAX]; /* by their row, see hsctl/options.h */
	int to;			/* GATE_STANDBY = not given */
	/* USEC_INFINITY = not given */
	uint64_t settle_usec, drain_usec;
	enum switchover_then then; /* THEN_COUNT = not given */
	bool watch, list, follow, all, yes, put_back, smoke_may_be_silent;
	bool alias, no_alias, must_connect, cat, schema;
	bool with_addresses, with_environment, openmetrics, dry_run, hash;
	bool http, by_exit, serve;
	const char *alias_name;	       /* NULL = that of the service */
	bool outdated;		       /* then there may be any number of services */
	const char *texts[TEXT_COUNT]; /* NULL = not given */
	uint32_t lines;		       /* 0 = all */
};

/* The first argument as the name of a service. -EINVAL, and a sentence that says what was meant. */
int arguments_service(const struct arguments *arguments, char ret_service[SERVICE_NAME_MAX],
		      struct problem *problem);
