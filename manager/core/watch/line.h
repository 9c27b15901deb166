/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who waits at an AF_UNIX socket for accept(2), in the order of the queue: whether anybody has been
 * accepted between two looks. Pure.
 *
 * Nobody leaves the queue but by being accepted, and nobody comes in but at its end. A client that
 * gives up stays in it without a name. So as long as one who has a name stands where he stood,
 * nobody was accepted, whoever gives up meanwhile; and where a newcomer stands in the old queue's
 * last place, somebody was.
 *
 * When none of the old queue has a name any more, only its last place tells: it is empty of names
 * when nobody was accepted, or when a newcomer who has taken it has given up already. So this
 * counts only where nobody gives up as fast as that, and where there is room: in front of a full
 * queue somebody may wait to come in for each who is accepted.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct line {
	uint32_t *names; /* the first one first; 0 = a client that is gone and still waits */
	size_t n;
	bool full; /* no more come in */
};

enum line_news {
	LINE_STAYS, /* nobody was accepted */
	LINE_SEEMS, /* nobody was, unless somebody came and gave up between the two looks */
	LINE_VAGUE, /* it is not known */
	LINE_MOVES, /* somebody was accepted */
};

enum line_news line_compare(const struct line *before, const struct line *now);
/* Whether somebody came and gave up between the two: at least one of those who were seen. */
bool line_was_brief(const struct line *before, const struct line *now);

/* -ENOMEM: nothing has changed. */
int line_copy(const struct line *line, struct line *ret_copy);
void line_done(struct line *line);
