/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The steps of a change as they happen: on a terminal one line that is painted over, elsewhere a
 * plain line a step. */
#pragma once

#include <stdbool.h>
#include <stdio.h>

struct progress {
	FILE *out;
	bool terminal;
	bool exclusive;	 /* the old instance stops before the new one starts */
	bool until_flip; /* stop waiting once the word is changed (--no-block) */
	char step[16];	 /* the last one shown */
	int from, to;	 /* slots; -1 = not known yet */
	bool flipped;
};

/* `out` NULL: nothing is shown, what comes in is remembered all the same. */
void progress_init(struct progress *progress, FILE *out);
/* A client_progress_fn, `userdata` is the struct progress. */
int progress_on_step(const char *json, void *userdata);
/* Takes away what was painted over. */
void progress_end(struct progress *progress);
