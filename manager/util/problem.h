/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A sentence that goes with a negative errno: the thing, the reason, the remedy. */
#pragma once

#define PROBLEM_TEXT_MAX 512

struct problem {
	char text[PROBLEM_TEXT_MAX]; /* empty = none */
};

/* Writes the sentence, cut to size, and returns `error`, so that a caller can return it. `problem`
 * may be NULL. */
int problem_set(struct problem *problem, int error, const char *template, ...)
	__attribute__((format(printf, 3, 4)));
