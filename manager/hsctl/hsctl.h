/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What all parts of the command share: how it ends, and how it complains. */
#pragma once

#include "core/contract.h"
#include "util/problem.h"

/* What hsd, or hsctl in its place, answered. */
struct reply {
	int exit;		/* enum exit_code */
	char *text;		/* JSON, NULL if there is none; owned */
	struct problem problem; /* the sentence when exit is not EXIT_DONE */
};

void reply_done(struct reply *reply);
/* Sets exit code and sentence; returns the exit code. `text` stays. */
int reply_fail(struct reply *reply, int exit_code, const char *template, ...)
	__attribute__((format(printf, 3, 4)));

/* "hsctl: SENTENCE" on stderr. */
void complain(const char *template, ...) __attribute__((format(printf, 1, 2)));
