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
	DRILL_SLOW_START,    /* the standby takes long to start; the service must not mind */
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
/* Why it makes no sense for a service of which only one slot may run; NULL = it does. */
const char *drill_scenario_objection(enum drill_scenario scenario);

enum drill_outcome {
	DRILL_ANSWERED,
	DRILL_REFUSED, /* no connection: refused, unreachable */
	DRILL_RESET,   /* connected, and then ended by an error or without an answer */
	DRILL_TIMEOUT, /* no answer in time */
	DRILL_WRONG,   /* an answer, but not the right one */
	DRILL_OUTCOME_COUNT
};
/* For programs; and for people: "timed out". */
const char *drill_outcome_to_string(enum drill_outcome outcome);
const char *drill_outcome_words(enum drill_outcome outcome);

/* One connection of the prober. Microseconds since the drill began. */
struct drill_probe {
	uint64_t begun, ended;
	enum drill_outcome outcome;
};

/* Something that happened meanwhile. */
struct drill_mark {
	uint64_t at; /* microseconds since the drill began */
	bool ours;   /* done by the drill, else what the service did */
	char text[160];
};

/* How a slot was from then on. */
struct drill_sight {
	uint64_t at; /* microseconds since the drill began */
	unsigned slot;
	bool active, ready;
	char state[24]; /* as slot_state_to_string() words it */
};

struct drill_record {
	struct drill_probe *probes; /* in the order in which they ended */
	size_t n_probes, probes_room;
	struct drill_mark *marks;
	size_t n_marks, marks_room;
	struct drill_sight *sights; /* by time; the first of each slot is how the drill found it */
	size_t n_sights, sights_room;
	uint64_t interval_usec; /* between two probes */
	uint64_t broken_at;	/* when the scenario did its harm; 0 = it did none */
	uint64_t certain_at;	/* when the harm was done for sure; 0 = at once */
	uint64_t new_active_at; /* when another slot became active after that; 0 = never */
	uint64_t moved;		/* connections that the kernel moved meanwhile */
};

void drill_record_done(struct drill_record *record);
/* -ENOMEM. */
int drill_record_probe(struct drill_record *record, const struct drill_probe *probe);
int drill_record_mark(struct drill_record *record, const struct drill_mark *mark);
int drill_record_sight(struct drill_record *record, const struct drill_sight *sight);

/* Figures. Spans in microseconds. */
struct drill_summary {
	size_t total, outcomes[DRILL_OUTCOME_COUNT];
	size_t lost;  /* all but answered */
	uint64_t gap; /* the longest time in which connections were begun and none was answered */
	uint64_t gap_at;	     /* when it began */
	uint64_t median, p99, worst; /* from begin to answer, of those that were answered */
	uint64_t to_new_active;	     /* from the harm to the flip; 0 = no harm, or no flip */
	uint64_t to_answer; /* from the harm to the first answer to a probe that was begun when it
			     * was done for sure */
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
	DRILL_UNMEASURED, /* the service did not answer as it was: any figure would prove nothing */
	DRILL_INTERRUPTED, /* by a signal; everything was put back */
	DRILL_VERDICT_COUNT
};
const char *drill_verdict_to_string(enum drill_verdict verdict);

/* How it went, besides the figures. Sentences; "" or NULL = nothing of that kind. */
struct drill_course {
	const char *broken;	/* why the scenario itself went wrong */
	const char *unmeasured; /* why nothing was done at all */
	bool interrupted;
};

/* The sentence says what decided. */
enum drill_verdict drill_judge(const struct drill_summary *summary,
			       const struct drill_limits *limits, const struct drill_course *course,
			       struct problem *ret_sentence);
/* "2 of 300 connections lost (1 refused, 1 reset)"; without the bracket when none was. */
void drill_describe_lost(const struct drill_summary *summary, struct problem *ret_text);

/* The figures of several runs of one scenario. Spans in microseconds. */
struct drill_spread {
	size_t n, passed, total, lost;
	uint64_t gap_min, gap_median, gap_max;
	size_t n_moved;			       /* runs in which another slot became active */
	uint64_t new_min, new_median, new_max; /* how long that took in them */
	size_t worst;			       /* which run: not passed, then the longest gap */
};
/* `runs`: those of the scenario, n of them, at least one. -ENOMEM. */
int drill_spread(const struct drill_summary *const *summaries, const enum drill_verdict *verdicts,
		 size_t n, struct drill_spread *ret_spread);
