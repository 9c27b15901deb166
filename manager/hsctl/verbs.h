/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The verbs: one table (verb_table.c) for the command line, the help text and the dispatch. */
#pragma once

#include <stdbool.h>
#include <stdio.h>

struct arguments;

struct verb {
	const char *name, *arguments, *summary;
	const char *details; /* what else its --help says */
	unsigned min, max;   /* how many arguments */
	unsigned options;    /* enum verb_option, see arguments.h */
	bool command;	     /* a command follows its arguments */
	bool hidden;	     /* for programs of ours: no help tells of it */
	/* works on this machine only, without a bus: with -H and -M it is run there by the hsctl
	 * there, or refused, for this reason */
	bool local;
	const char *stays; /* NULL: it is run there */
	const char *root;  /* why it is for root alone, whatever polkit says; NULL = it is not */
	int (*run)(const struct arguments *arguments); /* returns an exit code */
};

/* All there are, once. The table stays the caller's. */
void verbs_use(const struct verb *table, size_t n);

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
