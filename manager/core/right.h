/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which right who is not root needs to have something done, and what they are told without it.
 *
 * The rights are actions of polkit, declared in data/org.hotstandby1.policy. A method that is not
 * in here is for everybody, if it only reads, or for root alone. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "util/problem.h"

enum right {
	RIGHT_SWITCHOVER,
	RIGHT_UPGRADE,
	RIGHT_FAILOVER,
	RIGHT_DRAIN,
	RIGHT_PARK,
	RIGHT_CANARY,
	RIGHT_EXEC,
	RIGHT_CONFIGURE,
	RIGHT_COUNT
};

#define RIGHT_NAME_MAX 40
/* What stands for a right where none was asked for. */
#define RIGHT_OF_ROOT  "root"
#define RIGHT_OF_GROUP "group"
/* Of /etc/group: its members see who connects, and may exec, without a question to polkit. */
#define RIGHT_GROUP "hotstandby"

/* "org.hotstandby1.switchover" */
const char *right_to_action(enum right right);

/* What a method ends of what others begin. */
enum right_end { RIGHT_ENDS_NOTHING, RIGHT_ENDS_UPGRADE, RIGHT_ENDS_DRAIN, RIGHT_END_COUNT };

/* A method that polkit is asked about. */
struct guarded {
	const char *method; /* of whichever of our interfaces: no name is in both */
	const char *verb;   /* as rules know it, from the detail "verb" */
	enum right right;
	/* "" = it is about no slot; else the types of its first arguments, up to the slot */
	const char *slot;
	enum right_end ends;
};

/* NULL: it is none. */
const struct guarded *right_of_method(const char *method);
/* Which right it needs now: to roll back in the middle of an upgrade is to undo that. */
enum right right_needed(const struct guarded *guarded, bool upgrades);
/* Whether members of the group may do it without that right. */
bool right_is_of_members(const struct guarded *guarded);
/* Whether user `uid` may end what user `begun_by` has begun by the right `begun_right` (its
 * action): who may begin something may end it, without a second password in the middle of it.
 * UINT32_MAX is nobody. */
bool right_may_end(const struct guarded *guarded, uint32_t uid, uint32_t begun_by,
		   const char *begun_right);

/* What came of the question. */
enum right_answer {
	RIGHT_GIVEN,
	RIGHT_DENIED,
	RIGHT_UNASKED,	  /* it takes a password, which may not be asked for */
	RIGHT_UNANSWERED, /* it takes a password, and nobody was there who could ask for it */
	RIGHT_DISMISSED,  /* who was asked for the password gave none */
	RIGHT_NO_POLKIT,
	RIGHT_LATE,   /* polkit has not answered in time */
	RIGHT_BROKEN, /* it has failed, or died */
	RIGHT_ANSWER_COUNT
};

/* The refusal as a sentence: reason, remedy. `detail`: why it failed, "" = not known. */
void right_describe(enum right_answer answer, enum right right, const char *detail,
		    struct problem *ret_sentence);
