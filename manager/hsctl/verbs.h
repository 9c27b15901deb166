/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The verbs: one table for the command line, the help text and the dispatch. */
#pragma once

#include <stdio.h>

#include "hsctl/arguments.h"
#include "hsctl/hsctl.h"

struct verb {
	const char *name, *arguments, *summary;
	const char *details; /* what else its --help says */
	unsigned min, max;   /* how many arguments */
	unsigned options;    /* enum verb_option */
	bool command;	     /* a command follows its arguments */
	bool hidden;	     /* for programs of ours: no help tells of it */
	/* works on this machine only, without a bus: with -H and -M it is run there by the hsctl
	 * there, or refused, for this reason */
	bool local;
	const char *stays; /* NULL: it is run there */
	const char *root;  /* why it is for root alone, whatever polkit says; NULL = it is not */
	int (*run)(const struct arguments *arguments); /* returns an exit code */
};

/* NULL when there is no such verb. */
const struct verb *verb_find(const char *name);
/* The verb that was perhaps meant; NULL when none is near. */
const struct verb *verb_nearest(const char *name);
/* What does here what the word means elsewhere ("restart"); NULL when it is none of those. */
const char *verb_hint(const char *name);
/* NULL behind the last. */
const struct verb *verb_at(unsigned index);

/* Their names, a line each. */
void verb_list_names(FILE *out);
/* `verb` NULL: the command as a whole. */
void verb_help(const struct verb *verb, FILE *out);

/* One function a verb. */
int verb_list(const struct arguments *arguments);
int verb_status(const struct arguments *arguments);
int verb_connections(const struct arguments *arguments);
int verb_trace(const struct arguments *arguments);
int verb_events(const struct arguments *arguments);
int verb_upgrade(const struct arguments *arguments);
int verb_metrics(const struct arguments *arguments);
int verb_history(const struct arguments *arguments);
int verb_drain(const struct arguments *arguments);
int verb_drill(const struct arguments *arguments);
int verb_switchover(const struct arguments *arguments);
int verb_rollback(const struct arguments *arguments);
int verb_failover(const struct arguments *arguments);
int verb_policy(const struct arguments *arguments);
int verb_scale(const struct arguments *arguments);
int verb_weight(const struct arguments *arguments);
int verb_pin(const struct arguments *arguments);
int verb_where(const struct arguments *arguments);
int verb_rebalance(const struct arguments *arguments);
int verb_table(const struct arguments *arguments);
int verb_canary(const struct arguments *arguments);
int verb_exec(const struct arguments *arguments);
int verb_park(const struct arguments *arguments);
int verb_release(const struct arguments *arguments);
int verb_enable(const struct arguments *arguments);
int verb_alias(const struct arguments *arguments);
/* The same in the middle of another verb; complains. */
void disable_service(const struct arguments *arguments, const char *service);
int verb_disable(const struct arguments *arguments);
int verb_prepare(const struct arguments *arguments);
int verb_adopt(const struct arguments *arguments);
int verb_doctor(const struct arguments *arguments);
int verb_config(const struct arguments *arguments);
int verb_edit(const struct arguments *arguments);
int verb_report(const struct arguments *arguments);
int verb_complete(const struct arguments *arguments);
int verb_front_trial(const struct arguments *arguments);
int verb_version(const struct arguments *arguments);
int verb_retire(const struct arguments *arguments);
int verb_leave(const struct arguments *arguments);
int verb_join(const struct arguments *arguments);
int verb_agent(const struct arguments *arguments);
