/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The options of hsctl: one table, by which the command line is read, and from which completion is
 * told. Who adds an option adds a row, and a line to the details of the verbs that take it
 * (verb_table.c); tests/unit/test_hsctl_args.c holds that none is forgotten.
 */
#pragma once

#include <stddef.h>

#include "hsctl/arguments.h"

enum option_value { OPTION_SWITCH, OPTION_MAY_HAVE_VALUE, OPTION_VALUE };

/* What may stand somewhere on the command line, and who knows it. */
enum offer_kind {
	OFFER_NONE, /* anything, nobody knows */
	OFFER_VERBS,
	OFFER_OPTIONS,
	OFFER_WORDS, /* some words, with '|' between */
	OFFER_SERVICES,
	OFFER_TEMPLATES,
	OFFER_SLOTS,
	OFFER_SCENARIOS, /* one or several, with ',' between */
	OFFER_UNITS,	 /* units that run, "app.service" */
	OFFER_MACHINES,
	/* the shell knows */
	OFFER_FILES,
	OFFER_HOSTS,
	OFFER_COMMAND,
};

struct option_row {
	const char *name; /* without the dashes */
	char letter;	  /* or 0 */
	enum option_value value;
	unsigned bits;	/* enum verb_option: which verbs take it; 0: all */
	bool alone;	/* stands without a verb */
	bool elsewhere; /* on which machine: not for the hsctl there */

	/* What it does to struct arguments, besides being noted in `options`: */
	size_t on;   /* the place of the bool that it sets; 0: none */
	size_t keep; /* the place of the text that its value is kept in; likewise */
	int (*read)(struct arguments *arguments, const char *value,
		    struct problem *problem); /* NULL: nothing else */

	const char *text;      /* one line of help */
	enum offer_kind offer; /* what its value may be */
	const char *words;     /* what is offered besides, with '|' between; or NULL */
};

/* NULL behind the last. */
const struct option_row *option_at(unsigned index);
/* NULL: there is none of that name, or letter. */
const struct option_row *option_find(const char *name);
const struct option_row *option_of_letter(char letter);
/* The option that was perhaps meant by "--timout=3s"; NULL when none is near. */
const struct option_row *option_nearest(const char *typed);

/* What it does to `arguments`. -EINVAL, and a sentence: that is no value for it. */
int option_apply(const struct option_row *option, struct arguments *arguments, const char *value,
		 struct problem *problem);
/* "--to", or "-n" if it has a letter. Returns `text`. */
#define OPTION_TEXT_MAX 32
const char *option_describe(const struct option_row *option, char text[OPTION_TEXT_MAX]);
