/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What may come next on a command line that is not finished. Pure. */
#pragma once

#include <stdbool.h>

#include "hsctl/options.h"
#include "hsctl/verb_functions.h"
#include "hsctl/verbs.h"

#define EXPECT_MAX 4

struct expect {
	struct {
		enum offer_kind kind;
		const char *words; /* '|' between; or NULL */
	} offers[EXPECT_MAX];
	unsigned n;

	/* the word that is being written: what stands in front of what is offered ("--to="), and as
	 * much of that as there is */
	char prefix[64];
	const char *word;

	const struct verb *verb; /* NULL: none yet */
	const char *service;	 /* its first argument; NULL: none yet */
	bool elsewhere;		 /* -H or -M: of another machine nothing is known here */
	int command;	    /* OFFER_COMMAND: which word is the command; -1: the value itself */
	char *const *words; /* all before the last, and how many */
	int n_words;
};

/* `words`: those behind "hsctl", the last of them is being written; n is at least 1. They must
 * stay. */
void expect_next(struct expect *expect, int n, char *const *words);

/* Whether this option is to be offered: the verb takes it, and it has not been given. */
bool expect_takes(const struct expect *expect, const struct option_row *option);
