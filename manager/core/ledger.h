/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How often what was done with a service, how it ended and how long it took: the figures of the
 * history, for monitoring. They are in memory that several processes have at once and that outlives
 * them (plane/parts/plane_tables.h): whoever ends a change counts it, hsd, the next hsd, or hsctl
 * without one. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/drill.h"

enum ledger_verb {
	LEDGER_SWITCHOVER,
	LEDGER_ROLLBACK,
	LEDGER_FAILOVER,
	LEDGER_UPGRADE,
	LEDGER_DRAIN,
	LEDGER_VERB_COUNT
};

enum ledger_outcome { LEDGER_DONE, LEDGER_UNDONE, LEDGER_FAILED, LEDGER_OUTCOME_COUNT };

/* Which version of the layout below this is: whoever changes it raises the number. */
#define LEDGER_LAYOUT	 1
#define LEDGER_BOUNDS	 12
#define LEDGER_VERBS_MAX 8 /* with room for more */
#define LEDGER_ENDS_MAX	 8

struct ledger_changes {
	uint64_t ended[LEDGER_ENDS_MAX]; /* by enum ledger_outcome */
	uint64_t duration_usec;		 /* of all of them */
	uint64_t longest_usec;
	uint64_t within[LEDGER_BOUNDS]; /* that took longer than the bound before, but not this */
};

struct ledger {
	uint64_t layout;    /* LEDGER_LAYOUT; else it is not to be read */
	uint64_t last_usec; /* when the last change ended, CLOCK_REALTIME; 0 = never */
	struct ledger_changes changes[LEDGER_VERBS_MAX];
	uint64_t drills[LEDGER_ENDS_MAX];	/* by enum drill_verdict, one for each scenario */
	uint64_t drill_usec, drill_passed_usec; /* when the last one ended, and the last good one */
};
_Static_assert(LEDGER_VERB_COUNT <= LEDGER_VERBS_MAX, "room for each verb");
_Static_assert(LEDGER_OUTCOME_COUNT <= LEDGER_ENDS_MAX, "room for each outcome");
_Static_assert(DRILL_VERDICT_COUNT <= LEDGER_ENDS_MAX, "room for each verdict");
_Static_assert(sizeof(struct ledger) == 8 * (4 + LEDGER_ENDS_MAX + 22 * LEDGER_VERBS_MAX),
	       "layout of map ledger");

/* "switchover", "rollback", ...; "done", "undone", "failed". */
const char *ledger_verb_to_string(enum ledger_verb verb);
const char *ledger_outcome_to_string(enum ledger_outcome outcome);
/* LEDGER_VERB_COUNT: it is none that is counted. */
enum ledger_verb ledger_verb_from_string(const char *verb);

/* The bound in microseconds, rising with its number. */
uint64_t ledger_bound(unsigned number);

/* `now_usec`: CLOCK_REALTIME. */
void ledger_change(struct ledger *ledger, enum ledger_verb verb, enum ledger_outcome outcome,
		   uint64_t duration_usec, uint64_t now_usec);
void ledger_drill(struct ledger *ledger, enum drill_verdict verdict, uint64_t now_usec);
