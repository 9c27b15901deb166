/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a drill has measured, and what is to be said of it. Pure. The figures come from a prober
 * that opens connections at a fixed rate beside the real traffic and writes down what became of
 * each.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/problem.h"

enum drill_scenario {
	DRILL_SWITCHOVER,    /* there and back: nothing may be noticed */
	DRILL_STOP,	     /* the active unit is stopped, and started again */
	DRILL_CRASH,	     /* the active instance is killed */
	DRILL_HANG,	     /* the active instance is stopped by a signal, and continued */
	DRILL_SLOW_START,    /* the standby is held while it starts; the service must not mind */
	DRILL_BAD_BUILD,     /* an upgrade whose new instance never becomes ready: must be undone */
	DRILL_MANAGER_CRASH, /* hsd is killed, then the active instance */
	DRILL_BOTH_DOWN,     /* both instances are stopped, then started: what comes waits */
	DRILL_SCENARIO_COUNT
};
const char *drill_scenario_to_string(enum drill_scenario scenario);
/* DRILL_SCENARIO_COUNT when there is no such word. */
enum drill_scenario drill_scenario_from_string(const char *text);
/* One line: what is done to the service. */
const char *drill_scenario_help(enum drill_scenario scenario);

enum drill_outcome {
	DRILL_ANSWERED,
	DRILL_REFUSED, /* no connection: refused, unreachable */
	DRILL_RESET,   /* connected, and then ended by an error or without an answer */
	DRILL_TIMEOUT, /* no answer in time */
	DRILL_WRONG,   /* an answer, but not the right one */
	DRILL_OUTCOME_COUNT
};
const char *drill_outcome_to_string(enum drill_outcome outcome);

/* One connection of the prober. Microseconds since the drill began. */
struct drill_probe {
	uint64_t begun, ended;
	enum drill_outcome outcome;
};

/* Something that happened meanwhile. */
struct drill_mark {
	uint64_t at; /* microseconds since the drill began */
	char text[160];
};

struct drill_record {
	struct drill_probe *probes; /* in the order in which they ended */
	size_t n_probes, probes_room;
	struct drill_mark *marks;
	size_t n_marks, marks_room;
	uint64_t interval_usec; /* between two probes */
	uint64_t broken_at;	/* when the scenario did its harm; 0 = it did none */
	uint64_t new_active_at; /* when another slot became active after that; 0 = never */
	uint64_t moved;		/* connections that the kernel moved meanwhile */
};

void drill_record_done(struct drill_record *record);
/* -ENOMEM. */
int drill_record_probe(struct drill_record *record, const struct drill_probe *probe);
int drill_record_mark(struct drill_record *record, uint64_t at, const char *template, ...)
	__attribute__((format(printf, 3, 4)));

/* Figures. Spans in microseconds. */
struct drill_summary {
	size_t total, outcomes[DRILL_OUTCOME_COUNT];
	size_t lost;	 /* all but answered */
	uint64_t gap;	 /* the longest time in which no probe was answered, less the pause
			  * between two of them */
	uint64_t gap_at; /* when it began */
	uint64_t median, p99, worst; /* from begin to answer, of those that were answered */
	uint64_t to_new_active;	     /* from the harm to the flip; 0 = no harm, or no flip */
	uint64_t to_answer; /* from the harm to the first answer to a probe begun after it */
};
/* `end`: when the measuring ended; a gap that is still open counts up to there. -ENOMEM. */
int drill_summarize(const struct drill_record *record, uint64_t end,
		    struct drill_summary *ret_summary);

/* What is allowed. */
struct drill_limits {
	uint64_t max_gap; /* microseconds; UINT64_MAX = any */
	uint64_t max_lost;
};

enum drill_verdict {
	DRILL_PASSED,
	DRILL_EXCEEDED,	  /* a limit was */
	DRILL_BROKEN,	  /* the scenario did not go as it must: see the reason */
	DRILL_UNMEASURED, /* the prober got no answer at all before the harm: it proves nothing */
	DRILL_VERDICT_COUNT
};
const char *drill_verdict_to_string(enum drill_verdict verdict);

/* `broken`: why the scenario itself went wrong, NULL if it did not. The sentence says which figure
 * decided. */
enum drill_verdict drill_judge(const struct drill_summary *summary,
			       const struct drill_limits *limits, const char *broken,
			       struct problem *ret_sentence);
