/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Drives what is done with a service in steps: a switchover, one of an exclusive service, an
 * upgrade, a drain. Each has a machine that says what comes when, and a table of functions; what
 * all of them need is here: the timer, a job of systemd's, a smoke test, who is told, the end.
 *
 * What returns actions does so as the machine does: run_go_on() has them carried out, one after the
 * other. So none of these functions is below another one of the same object.
 *
 * One that has ended stays until EVENT_CHANGE_ENDED is heard, so that no function frees the object
 * of whoever has called it. Until then nobody finds it in the service, and it does nothing any
 * more.
 */
#pragma once

#include <json-c/json.h>

#include "service/change/smoke.h"
#include "service/request.h"
#include "service/service.h"
#include "system/journal.h"
#include "system/unit/units.h"

struct run;

enum run_result { RUN_DONE, RUN_UNDONE, RUN_FAILED };

/* Those that may be NULL say so. */
struct run_kind {
	enum service_work work;
	size_t size;		  /* of the object, whose first member is a struct run */
	unsigned do_tell, do_end; /* these of its actions */
	bool next_goes_on;	  /* the next hsd does, when this one leaves it */

	/* When it is to look at the latest. */
	uint64_t (*wake)(const struct run *run, uint64_t now);
	/* The time has come, or what it goes by may have changed. Returns actions. */
	unsigned (*look)(struct run *run);
	/* What comes before anybody is told. May be NULL. */
	void (*prepare)(struct run *run, unsigned actions);
	/* And what comes then, also of no action at all. Returns actions. */
	unsigned (*carry_out)(struct run *run, unsigned actions);

	/* What was begun has ended; of a job the unit's facts are fresh. `failure`: a sentence,
	 * NULL = there is none. Return actions. */
	unsigned (*job_ended)(struct run *run, const char *failure);
	unsigned (*smoke_ended)(struct run *run, const char *failure); /* NULL: it has none */
	unsigned (*part_ended)(struct run *run, struct run *part);     /* of an upgrade; or NULL */

	/* The step that it is in. NULL: another one tells. */
	json_object *(*progress)(struct run *run);
	/* How it has ended, with the sentence; and for who has asked, once that is RUN_DONE. */
	enum run_result (*describe)(struct run *run, struct problem *ret_sentence);
	json_object *(*outcome)(struct run *run);
	/* It has ended, and nobody knows of it yet. False: another host that went on with it, too,
	 * has had the end before, and it is in the history. NULL: there is no other. */
	bool (*claim)(struct run *run);
	/* It has ended, and was told: lets go of what it waits for. May be NULL. */
	void (*ended)(struct run *run);
	/* What else it owns is freed. May be NULL. */
	void (*done)(struct run *run);
};

struct run {
	const struct run_kind *kind;
	struct service *service;
	/* set by whoever makes it: as in the history */
	enum journal_kind journal;
	const char *verb;
	unsigned from, to;	 /* slots; HS_SLOT_NONE: none */
	struct journal_actor by; /* who asked for it */
	bool of_upgrade;	 /* it is a part of the upgrade that runs, which is told the end */
	int lock_fd;		 /* plane_lock(), or -1 */
	char *smoke_command;
	bool smoke_may_be_silent;

	uint64_t begun;
	struct request *request; /* NULL: nobody waits */
	sd_event_source *timer;
	struct smoke *smoke;
	struct unit_job *job;
	unsigned job_slot;
	enum unit_action job_action;
	bool job_over; /* it counts when the facts of its unit are fresh */
	struct problem job_failure;

	enum run_result result; /* once it has ended */
	struct problem sentence;
	struct run *next; /* in service->ended */
};

/* Whether a switchover may not begin now. One that hsd begins by itself (not `asked`) does not wait
 * for the end of a drain. */
bool run_is_barred(const struct service *service, bool of_upgrade, bool asked);

/* Nothing is done yet, and nobody knows of it. It has its timer, as each state must have an end.
 * -errno. */
int run_new(const struct run_kind *kind, struct service *service, struct run **ret_run);
/* One that has not begun. Takes NULL. */
struct run *run_free(struct run *run);
/* From now on it is the service's. The request (may be NULL) is taken. */
void run_begin(struct run *run, struct request **request, unsigned actions);

void run_go_on(struct run *run, unsigned actions);
/* Takes NULL. */
void run_look(struct run *run);
/* Shows how far it is. Takes NULL. */
void run_tell(struct run *run);

/* Begin what ends with job_ended() or smoke_ended(), of which there is one at a time. Return the
 * actions that follow at once. */
unsigned run_start_job(struct run *run, enum unit_action action, unsigned slot);
unsigned run_start_smoke(struct run *run, unsigned slot, uint64_t timeout_usec);
/* Nobody waits for these any more. */
void run_stop_waiting(struct run *run);

/* Ends without a word but to who has asked: traffic stays where it is. */
void run_drop(struct service *service, enum service_work work);
/* Also those that have ended and were not heard of. */
void run_drop_all(struct service *service);

/* EVENT_CHANGE_ENDED; and what concerns those that run. */
void run_ended_heard(struct service *service, const struct event *event);
void run_heard(struct service *service, const struct event *event);
