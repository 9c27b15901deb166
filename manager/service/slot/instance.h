/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What runs in a slot: its unit's state, its main process, adoption and retirement.
 *
 * Adoption and retirement take several steps between which the event loop runs on; whoever asked is
 * answered at the end.
 */
#pragma once

#include <systemd/sd-event.h>

#include "plane/act/adopt.h"
#include "plane/act/filters.h"
#include "plane/act/retire.h"
#include "service/request.h"
#include "service/service.h"
#include "system/journal.h"
#include "system/unit/owner.h"
#include "system/unit/units.h"

#define INSTANCE_SOCKET_UNITS_MAX 16

struct socket_stop {
	struct instance *instance;
	struct unit_job *job; /* NULL: none, or it has ended */
};

/* See service/slot/ownership.h. */
struct ownership {
	/* of the run that is or was last prepared */
	bool other_than_root;
	uid_t bound_uid;
	uint64_t binding_until; /* it may open sockets up to this time; 0 = it will not */
	bool datagrams_closed;	/* see ownership_heard() */
	/* of the preparation under way */
	bool known;
	int error; /* when known: 0, or why the user was not found out */
	uid_t uid;
	uint64_t deadline; /* of waiting for others; 0 = it has not waited */
	struct owner_question *question;
	struct work *giving, *finding, *comparing;
	bool compared, differ;	      /* whether sockets have another owner, */
	uint64_t compared_at;	      /* as of this time */
	bool given;		      /* it has been tried, */
	int changed;		      /* with this result */
	sd_event_source *turn_source; /* it waits */
};

/* See service/slot/filtering.h. */
struct filter_watch {
	struct instance *instance;
	char unit[UNIT_NAME_MAX];
	struct unit_watch *watch; /* NULL: a free place */
	bool known, filtered;
};

struct instance {
	struct service *service;
	unsigned slot;
	char unit[UNIT_NAME_MAX];
	struct unit_watch *watch;	/* NULL: systemd cannot be asked */
	char cgroup[CONFIG_CGROUP_MAX]; /* Cgroup= for this slot; "" = that of the unit */
	bool known;			/* systemd has told about it */
	int silence;			/* 0, or why systemd did not tell when it was asked last */
	struct problem problem;		/* why sockets of it are not switched */
	struct problem unadopted;	/* why none at all is, as of the last adoption */
	bool explained; /* `problem` is rather why it failed: see preparation_explain_failure() */

	char adopted_run[33]; /* InvocationID of the unit's run that was adopted; "" = none */
	bool crash_told;      /* of this run */
	bool crash_seen;      /* systemd is still to tell how it ended */
	bool unasked; /* it is stopping, or has, without a job: ExecStop= runs then as well */
	bool asked;   /* likewise, with one */
	char let_go_run[33]; /* the run whose socket units were stopped last; "" = settled */

	pid_t watched_pid;
	pid_t ended_pid; /* main process whose end was seen; systemd may still name it */
	sd_event_source *exit_source;

	struct requests preparers; /* see service/slot/preparation.h */
	uint64_t prepared_cgroup;  /* its id, until it is adopted; 0 = none */

	struct work *shed_work; /* what an earlier run has left is being looked at, */
	char shed_run[33];	/* and was before this run */

	/* see service/slot/reaching.h */
	struct work *reach_work;
	bool reach_again;
	uint64_t reach_delay;
	sd_event_source *reach_source;
	char apart_run[33]; /* the run for which Self=active was told to the kernel; "" = none */
	struct ownership ownership;

	bool adopt_wanted;	 /* when the unit's facts are fresh */
	struct work *adopt_work; /* the sockets are being looked for, or put into the map */
	bool commit_ordered;	 /* ... as far as to the map */
	uint64_t retry_delay;	 /* it failed: again after this time, if need be */
	sd_event_source *retry_source;
	sd_event_source *revisit_source; /* it serves, and is adopted again when it is its turn */
	struct adoption *adoption;
	unsigned stopping_sockets;    /* socket units whose stop is awaited, */
	sd_event_source *stop_source; /* but not for ever */
	struct socket_stop socket_stops[INSTANCE_SOCKET_UNITS_MAX];
	struct requests adopters;

	/* what this run's sockets were at the last adoption; looked for others until the delay is 0
	 */
	uint64_t sockets_mark, look_delay;
	sd_event_source *look_source;
	struct work *look_work;
	/* this run's sockets cannot be taken over, and it is not to be expected that they can */
	bool barred;
	struct filter_watch filters[FILTERS_MAX];
	struct filters socket_filters; /* of its socket units, as they were in this run: */
	char filters_run[33];
	bool contested; /* some of its addresses belong to another service, as yet */

	/* retired, and waiting for handshakes in flight, then for datagrams to be read */
	sd_event_source *settle_source;
	sd_event_source *news_source; /* it is to retire, and why is still to be told */
	struct work *move_work;	      /* of a switchover away from it: what waits is being moved */
	struct work *retire_work;     /* the queue is being moved, or datagrams are being read */
	struct retire_queues queues;
	uint64_t retire_begun, read_until;
	enum retire_answer retire_answer;
	sd_event_source
		*patience_source;     /* to be retired, and waiting for another slot to be ready */
	sd_event_source *hand_source; /* likewise, and its clients are given to others first */
	uint64_t hand_until;
	struct requests retirers;

	/* this run was seen from its beginning on, and had a socket that was adopted */
	bool began, served;
	uint64_t restart_delay; /* microseconds; doubles with every crash in a row */
	uint64_t ready_since;
	sd_event_source *restart_source;
	struct unit_job *restart_job;
};

/* Has systemd asked anew: EVENT_UNIT_CHANGED comes with the answer. A host that goes again has
 * asked a moment ago, and does not wait for a systemd that hangs: there it comes at once. */
void instance_refresh(struct instance *instance);
/* Finds and takes over the sockets of the running instance. Whoever asks (may be NULL) is answered
 * at the end. */
void instance_adopt(struct instance *instance, struct request *request);

const struct unit_facts *instance_facts(const struct instance *instance);
/* True when the cgroup with this id is the instance's, and it is there to be adopted. */
bool instance_owns(const struct instance *instance, uint64_t cgroup_id);

/* Its sockets are being taken over. */
bool instance_is_adopting(const struct instance *instance);
bool instance_is_up(enum unit_state state);
/* It runs, and has nothing but the kernel's own way to its sockets: see `barred`. */
bool instance_serves_unadopted(const struct instance *instance);
/* See plane_is_retired(). */
bool instance_is_retired(const struct instance *instance);
/* What people are told as long as it has a `silence`. */
void instance_describe_silence(const struct instance *instance, struct problem *ret_sentence);
struct journal_scope instance_scope(const struct instance *instance, int priority);
