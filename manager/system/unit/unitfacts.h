/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What systemd says of a unit. */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-bus.h>

#include "core/change/slot.h"
#include "core/name.h"
#include "core/watch/ending.h"

struct unit_facts {
	enum unit_state state;
	pid_t main_pid;		      /* 0 = none */
	char control_group[PATH_MAX]; /* as systemd names it; "" = none */
	uint64_t since_usec;	      /* CLOCK_REALTIME of the last change of ActiveState */
	char **triggered_by;	      /* units that start it, ending with NULL; may be NULL */
	char **required;	      /* Requires= BindsTo= Requisite= together; may be NULL */
	char user[UNIT_NAME_MAX];     /* User=, or the name of its dynamic user; "" = root */
	bool dynamic_user;
	/* its control group lets not everything through: IPAddressDeny=, IPIngressFilterPath=,
	 * IPEgressFilterPath=, RestrictNetworkInterfaces= */
	bool filtered;
	char invocation[33];	/* hex id of this run of the unit; "" = never started */
	bool job_pending;	/* systemd has a job for it: to start, stop or restart it */
	struct ending ending;	/* of the main process, once it has ended */
	bool conditions;	/* it is starting, and ExecCondition= runs */
	bool reloading;		/* its job is a reload, and ends nothing */
	bool has_stop_commands; /* ExecStop= has more than the one that retires it */
	bool has_post_commands; /* ExecStartPost= has more than the one that adopts it */
	bool was_active;	/* this run, or the last one, has reported ready */
	uint64_t ready_usec;	/* CLOCK_MONOTONIC: when one has done so last; 0 = never */
};

void unit_facts_done(struct unit_facts *facts);

/* ".socket" behind. */
bool unit_is_socket(const char *unit);
/* There are processes that can be told something: it runs, or its stop has not come to its main
 * process. */
bool unit_lives(const struct unit_facts *facts);
/* Whether a socket unit starts it. */
bool unit_has_socket(const struct unit_facts *facts);
/* From now on its processes are said to be there, unless it is down; "" or NULL = where systemd
 * says. */
void unit_facts_set_cgroup(struct unit_facts *facts, const char *cgroup);

/* ---- for the files that make up units.h alone ---- */

/* Reads the answer to Properties.GetAll with an empty interface name, which is all of a unit's. */
int unit_facts_read(sd_bus_message *m, struct unit_facts *ret_facts);

/* The path of systemd's object; the caller frees. */
int unit_path(const char *unit, char **ret_path);
