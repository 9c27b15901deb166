// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/right.h"

#include <stddef.h>
#include <string.h>

#include "core/contract.h"
#include "util/macro.h"

static const char *const actions[] = {
	[RIGHT_SWITCHOVER] = BUS_NAME ".switchover",
	[RIGHT_UPGRADE] = BUS_NAME ".upgrade",
	[RIGHT_FAILOVER] = BUS_NAME ".failover",
	[RIGHT_DRAIN] = BUS_NAME ".drain",
	[RIGHT_PARK] = BUS_NAME ".park",
	[RIGHT_CANARY] = BUS_NAME ".canary",
	[RIGHT_EXEC] = BUS_NAME ".exec",
	[RIGHT_CONFIGURE] = BUS_NAME ".configure",
};
_Static_assert(ARRAY_SIZE(actions) == RIGHT_COUNT, "an action for each right");

const char *right_to_action(enum right right)
{
	return actions[right];
}

/* What the hooks of units call is not in here: that is root's, whoever starts the unit. */
static const struct guarded methods[] = {
	{"Switchover", "switchover", RIGHT_SWITCHOVER, "i", 0},
	{"Rollback", "rollback", RIGHT_SWITCHOVER, "", 0},
	{"Failover", "failover", RIGHT_FAILOVER, "i", 0},
	{"Upgrade", "upgrade", RIGHT_UPGRADE, "", 0},
	{"CancelUpgrade", "cancel-upgrade", RIGHT_UPGRADE, "", RIGHT_ENDS_UPGRADE},
	{"Drain", "drain", RIGHT_DRAIN, "u", 0},
	{"CancelDrain", "cancel-drain", RIGHT_DRAIN, "", RIGHT_ENDS_DRAIN},
	{"Park", "park", RIGHT_PARK, "", 0},
	{"Release", "release", RIGHT_PARK, "", 0},
	{"SetCanary", "canary", RIGHT_CANARY, "ui", 0},
	{"Exec", "exec", RIGHT_EXEC, "u", 0},
	{"SetPolicy", "policy", RIGHT_CONFIGURE, "", 0},
	{"SetHash", "policy", RIGHT_CONFIGURE, "", 0},
	{"SetWeight", "weight", RIGHT_CONFIGURE, "u", 0},
	{"SetPinned", "pin", RIGHT_CONFIGURE, "", 0},
	{"SetSlots", "scale", RIGHT_CONFIGURE, "", 0},
	{"Rebalance", "rebalance", RIGHT_CONFIGURE, "", 0},
	{"Table", "table", RIGHT_CONFIGURE, "", 0},
	{"Where", "where", RIGHT_CONFIGURE, "", 0},
	{"Reload", "reload", RIGHT_CONFIGURE, "", 0},
};

const struct guarded *right_of_method(const char *method)
{
	for (size_t i = 0; i < ARRAY_SIZE(methods); i++)
		if (!strcmp(methods[i].method, method))
			return &methods[i];
	return NULL;
}

enum right right_needed(const struct guarded *guarded, bool upgrades)
{
	return upgrades && !strcmp(guarded->verb, "rollback") ? RIGHT_UPGRADE : guarded->right;
}

bool right_is_of_members(const struct guarded *guarded)
{
	return guarded->right == RIGHT_EXEC;
}

bool right_may_end(const struct guarded *guarded, uint32_t uid, uint32_t begun_by,
		   const char *begun_right)
{
	return guarded->ends != RIGHT_ENDS_NOTHING && uid != UINT32_MAX && uid == begun_by &&
	       !strcmp(begun_right, right_to_action(guarded->right));
}

/* Behind "only root may do this without the right org.hotstandby1.park, ". */
static const char *const clauses[] = {
	[RIGHT_GIVEN] = "which was given",
	[RIGHT_DENIED] = "which polkit does not give; run it with sudo, or have a rule give it: "
			 "RIGHTS in hotstandby(7)",
	[RIGHT_UNASKED] = "which takes a password, and that was not to be asked for; run it "
			  "without --no-ask-password, or with sudo",
	[RIGHT_UNANSWERED] = "which takes a password, and nobody is there to ask for it; run it in "
			     "a terminal, or with sudo",
	[RIGHT_DISMISSED] = "which takes a password, and none was given; try again, or run it with "
			    "sudo",
	[RIGHT_NO_POLKIT] = "which only polkit could give, and there is none; run it with sudo, or "
			    "install polkitd",
	[RIGHT_LATE] = "which only polkit could give, and it has not answered; run it with sudo, "
		       "or try again",
	[RIGHT_BROKEN] = "which only polkit could give, and it failed; run it with sudo, or try "
			 "again",
};
_Static_assert(ARRAY_SIZE(clauses) == RIGHT_ANSWER_COUNT, "a clause for each answer");

void right_describe(enum right_answer answer, enum right right, const char *detail,
		    struct problem *ret_sentence)
{
	bool says = detail[0] && answer == RIGHT_BROKEN;

	problem_set(ret_sentence, 0, "only root may do this without the right %s, %s%s%.150s%s",
		    right_to_action(right), clauses[answer], says ? " (polkit: " : "",
		    says ? detail : "", says ? ")" : "");
}
