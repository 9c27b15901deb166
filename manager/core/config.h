/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The settings of a service: keys, ranges, defaults. Pure; reading the files is
 * system/configfile.h. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/switchover.h"
#include "util/problem.h"

#define CONFIG_SECTION	 "Service"
#define CONFIG_SLOTS_MIN 2
#define CONFIG_PORTS_MAX 32
/* bounds of the spans, microseconds: every wait ends */
#define CONFIG_SETTLE_MAX UINT64_C(600000000)	 /* 10 min */
#define CONFIG_DRAIN_MAX  UINT64_C(604800000000) /* 7 days */

struct config {
	unsigned slots;			  /* Slots=: 2 to 16 */
	unsigned n_ports;		  /* Ports=: 0 = whatever the instances listen on */
	uint16_t ports[CONFIG_PORTS_MAX]; /* ascending, each once */
	uint64_t settle_usec;		  /* Settle= */
	uint64_t drain_usec;		  /* Drain= */
	enum switchover_then then;	  /* Then= */
	bool restart_on_crash;		  /* RestartOnCrash= */
};

/* Every key at its default. */
void config_init(struct config *config);

/* Takes over one assignment: the last one of a key counts, an empty value is the default again. A
 * NULL or empty section is "before any section". -EINVAL: not taken over, and `problem` (may be
 * NULL) says in one sentence the key, the value, the reason and what is allowed, in printable ASCII
 * whatever stood in the file. */
int config_set(struct config *config, const char *section, const char *key, const char *value,
	       struct problem *problem);

/* -EINVAL and a sentence unless this is a section of the file: also one without settings can be a
 * mistake. */
int config_check_section(const char *section, struct problem *problem);

/* The keys in the order of the manual, each with its default as text and one line of help; NULL
 * behind the last. */
struct config_key {
	const char *name, *value, *help;
};
const struct config_key *config_key(size_t index);

/* True if a listener on this TCP port (host byte order) is to be adopted. */
bool config_has_port(const struct config *config, uint16_t port);
