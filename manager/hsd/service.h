/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One managed service in the daemon: its settings, its kernel side, its instances and the change
 * that runs. An error of a service stays with it. */
#pragma once

#include <json-c/json.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "core/config.h"
#include "core/name.h"
#include "core/change/slot.h"
#include "plane/act/foreign.h"
#include "plane/act/force.h"
#include "plane/plane.h"
#include "system/service/report.h"

struct callers;
struct change_hold;
struct change_run;
struct upgrade_run;
struct event_log;
struct exec_run;
struct exclusive_run;
struct failover;
struct filewatch;
struct hang;
struct hang_watch;
struct health_watch;
struct fdstore;
struct instance;
struct nudging;
struct outdated_slots;
struct outdated_watch;
struct park;
struct pathguard;
struct prober;
struct roles;
struct smoke;
struct selection;
struct work;
struct workers;

/* What a service needs from the daemon. All outlive it. */
struct service_context {
	sd_event *event;
	sd_bus *bus;			 /* to systemd */
	sd_bus *api;			 /* where others ask, and are told */
	struct callers *callers;	 /* who they are */
	struct accounting *accounting;	 /* NULL: this kernel has none */
	struct hang_watch *hangs;	 /* NULL: hangs are not looked for */
	struct workers *workers;	 /* do what may hang */
	struct filewatch *filewatch;	 /* NULL: no file is watched */
	struct outdated_watch *outdated; /* NULL: nobody looks whether files were replaced */
	struct prober *prober;		 /* carries out the probes of all services */
	const bool *nudge;		 /* servers are to be woken when connections move to them */
	uint64_t *next_revisit;		 /* see hsd/instance.c */
	/* what the hsd before has left, until all services have taken what is theirs; then NULL */
	struct fdstore *fdstore;
};

/* See bus_describe(). */
struct description {
	char *text; /* JSON; NULL = none is kept */
	uint64_t until_usec;
};

/* See hsd/waking.h. */
struct waking {
	struct unit_job *job;
	uint64_t begun, delay; /* of the last one */
};

struct service {
	const struct service_context *context;
	char name[SERVICE_NAME_MAX];
	struct config config;
	uint64_t config_stamp;	/* of the files that were read; see configfile_stamp() */
	struct plane *plane;	/* NULL: see `problem` */
	struct force *force;	/* bind programs. NULL: not wanted, or see the journal */
	struct problem problem; /* why it cannot be managed, or what is wrong with its settings */
	struct instance *instances[HS_SLOTS_MAX];
	unsigned n_slots;
	struct change_run *change;	/* NULL: none runs */
	struct upgrade_run *upgrade;	/* likewise */
	sd_event_source *resume_source; /* one was left by the hsd before: see hsd/upgrade_run.h */
	uint64_t resume_until;
	struct exclusive_run *exclusive; /* likewise, of a service with Exclusive=yes */
	struct smoke *smoke;		 /* of the one or the other */
	bool loss_told;			 /* that no slot is left; until the next adoption */
	struct event_log *events;
	struct nudging *nudging; /* NULL: there is nothing that could move */
	struct park *park;
	struct pathguard *pathguard; /* NULL: there was no memory for one */
	struct waking waking;
	sd_event_source *settling;     /* see hsd/settling.h */
	sd_event_source *retry_source; /* its kernel side could not be opened */
	uint64_t retry_delay;
	struct hang *hang;
	struct failover *failover;
	struct roles *roles;
	struct health_watch *health;
	unsigned tastings;	     /* those of hsd/tasting.h that have rules */
	struct selection *selection; /* NULL: nobody looks whether the selector still decides */
	struct change_hold *holds;   /* changes that wait for a verdict of the probes */
	struct foreign_list foreign; /* seen when it was looked last; see hsd/foreign_watch.h */
	bool foreign_due, foreign_again;
	struct work *foreign_work;	 /* it is being looked */
	struct outdated_slots *outdated; /* NULL: not looked yet; see hsd/outdated_watch.h */
	struct exec_run *execs;		 /* commands whose scope is being made */
	/* ports that Ports= does not name are being given up: see hsd/narrowing.h */
	sd_event_source *outside_source;
	struct work *outside_work;
	sd_bus_slot *bus_object;
	struct description described, described_to_all;
};

/* Reads the settings, makes the kernel side and looks for running instances. Succeeds also when the
 * service cannot be managed: its `problem` tells. */
int service_new(const struct service_context *context, const char *name,
		struct service **ret_service);
/* Forgets the service; its pins and its traffic stay. */
struct service *service_free(struct service *service);
/* It is managed no longer: what waits in its park goes to the slots. */
void service_forget(struct service *service);
/* Reads the settings again if there may be something new in them, or something was wrong. */
void service_reload(struct service *service);

/* Its kernel side is open, and what the hsd before has left for it was taken. */
bool service_is_open(const struct service *service);
/* Systemd has been asked about all slots. */
bool service_is_known(const struct service *service);
/* All slots were stopped by somebody: none is on its way or has failed, nor has one that a socket
 * unit starts ended by itself. */
bool service_is_put_down(const struct service *service);

/* States of all slots, from kernel facts and units. */
void service_states(const struct service *service, enum slot_state states[HS_SLOTS_MAX]);
/* Who is to take over from `slot`: a ready one, the fittest; HS_SLOT_NONE when there is none, or
 * only an unhealthy one and that is not wanted. */
unsigned service_pick(const struct service *service, unsigned slot, bool take_unhealthy);
void service_report(struct service *service, struct service_report *ret_report);

/* A slot has lost its sockets, or is about to: if it is the active one, another ready slot becomes
 * active. Tells a running change. */
void service_on_lost(struct service *service, unsigned slot);
/* A socket ceased to listen somewhere: is the active slot still there? */
void service_check_active(struct service *service);
