/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A report as it is made: a folder of our own with a file for each part, then one file. */
#pragma once

#include <json-c/json.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "hsctl/bundle/redact.h"
#include "util/problem.h"

#define BUNDLE_SELF "/proc/self/exe" /* hsctl as a command */

struct bundle {
	char *name;	      /* of the folder in it: "hotstandby-report-app-20261130-104500" */
	char *stage, *folder; /* a folder that only we may read, and the one in it */
	char **services;      /* that are reported on */
	uint64_t since_sec;   /* CLOCK_REALTIME: of journals */
	bool since_given;     /* by the user: of events and history, too */
	struct redact redact;
	char **own_addresses;
	json_object *parts; /* [{"name","bytes","problem"}] */
	const volatile sig_atomic_t *interrupted;
};

/* `service`: NULL for all. Negative errno, and a sentence. */
int bundle_begin(struct bundle *bundle, const char *service, struct problem *problem);
/* Removes the folder. */
void bundle_done(struct bundle *bundle);

struct bundle_part {
	const char *name;	    /* of its file */
	const char *const *command; /* that tells it */
	bool answers;		    /* an exit status other than 0 is an answer of it */
	bool versions;		    /* has no addresses, but what looks like them */
};

/* Adds what a command says, with what is secret left out. What cannot be had is told in the file
 * and in `parts`. Negative errno only for what ends the report: interrupted, no room. */
int bundle_add(struct bundle *bundle, const struct bundle_part *part);

/* All parts. */
int bundle_add_all(struct bundle *bundle);

/* Writes README.txt, and packs all to a new file that only its owner may read. */
int bundle_pack(struct bundle *bundle, const char *output, uint64_t *ret_bytes,
		struct problem *problem);

/* ".tar.zst", or where there is no zstd ".tar.gz". */
const char *bundle_suffix(void);
