/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What completion has to know of each long option: what its value may be, and one line of help. */
#pragma once

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

struct option_help {
	const char *name; /* without the dashes */
	const char *text;
	enum offer_kind kind; /* of its value */
	const char *words;    /* what is offered besides, with '|' between; or NULL */
};

/* NULL when there is no row for it. */
const struct option_help *option_help(const char *name);
/* How many rows there are. */
unsigned option_help_count(void);
