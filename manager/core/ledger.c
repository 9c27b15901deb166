// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/ledger.h"

#include <string.h>

#include "util/macro.h"

static const char *const verb_names[] = {
	[LEDGER_SWITCHOVER] = "switchover", [LEDGER_ROLLBACK] = "rollback",
	[LEDGER_FAILOVER] = "failover",	    [LEDGER_UPGRADE] = "upgrade",
	[LEDGER_DRAIN] = "drain",
};
_Static_assert(ARRAY_SIZE(verb_names) == LEDGER_VERB_COUNT, "a name for each verb");

static const char *const outcome_names[] = {
	[LEDGER_DONE] = "done",
	[LEDGER_UNDONE] = "undone",
	[LEDGER_FAILED] = "failed",
};
_Static_assert(ARRAY_SIZE(outcome_names) == LEDGER_OUTCOME_COUNT, "a name for each outcome");

/* From a flip that settles to a release that is watched for an hour. */
static const uint64_t bounds[] = {
	100 * USEC_PER_MSEC,  250 * USEC_PER_MSEC, 500 * USEC_PER_MSEC, 1 * USEC_PER_SEC,
	2500 * USEC_PER_MSEC, 5 * USEC_PER_SEC,	   10 * USEC_PER_SEC,	30 * USEC_PER_SEC,
	60 * USEC_PER_SEC,    300 * USEC_PER_SEC,  900 * USEC_PER_SEC,	3600 * USEC_PER_SEC,
};
_Static_assert(ARRAY_SIZE(bounds) == LEDGER_BOUNDS, "each bound");

const char *ledger_verb_to_string(enum ledger_verb verb)
{
	return verb < LEDGER_VERB_COUNT ? verb_names[verb] : "unknown";
}

const char *ledger_outcome_to_string(enum ledger_outcome outcome)
{
	return outcome < LEDGER_OUTCOME_COUNT ? outcome_names[outcome] : "unknown";
}

enum ledger_verb ledger_verb_from_string(const char *verb)
{
	unsigned i = 0;

	while (i < LEDGER_VERB_COUNT && strcmp(verb_names[i], verb) != 0)
		i++;
	return i;
}

uint64_t ledger_bound(unsigned number)
{
	return bounds[number];
}

static void add(uint64_t *count, uint64_t n)
{
	__atomic_fetch_add(count, n, __ATOMIC_SEQ_CST);
}

/* Another process may raise it at the same moment. */
static void raise(uint64_t *most, uint64_t value)
{
	uint64_t is = __atomic_load_n(most, __ATOMIC_SEQ_CST);

	while (is < value && !__atomic_compare_exchange_n(most, &is, value, false, __ATOMIC_SEQ_CST,
							  __ATOMIC_SEQ_CST))
		;
}

void ledger_change(struct ledger *ledger, enum ledger_verb verb, enum ledger_outcome outcome,
		   uint64_t duration_usec, uint64_t now_usec)
{
	struct ledger_changes *changes;
	unsigned bound = 0;

	if (verb >= LEDGER_VERB_COUNT || outcome >= LEDGER_OUTCOME_COUNT)
		return;
	changes = &ledger->changes[verb];
	while (bound < LEDGER_BOUNDS && duration_usec > bounds[bound])
		bound++;
	if (bound < LEDGER_BOUNDS)
		add(&changes->within[bound], 1);
	add(&changes->duration_usec, duration_usec);
	add(&changes->ended[outcome], 1);
	raise(&changes->longest_usec, duration_usec);
	/* not raise(): a clock that was wrong once is not to be believed for ever */
	__atomic_store_n(&ledger->last_usec, now_usec, __ATOMIC_SEQ_CST);
}

void ledger_drill(struct ledger *ledger, enum drill_verdict verdict, uint64_t now_usec)
{
	if (verdict >= DRILL_VERDICT_COUNT)
		return;
	add(&ledger->drills[verdict], 1);
	__atomic_store_n(&ledger->drill_usec, now_usec, __ATOMIC_SEQ_CST);
	if (verdict == DRILL_PASSED)
		__atomic_store_n(&ledger->drill_passed_usec, now_usec, __ATOMIC_SEQ_CST);
}
