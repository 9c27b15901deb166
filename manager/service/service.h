/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One managed service: its settings, its kernel side, its instances and the change
 * that runs. An error of a service stays with it. */
#pragma once

#include <json-c/json.h>
#include <systemd/sd-event.h>

#include "core/change/slot.h"
#include "core/config/config.h"
#include "core/name.h"
#include "core/watch/standstill.h"
#include "plane/act/force.h"
#include "plane/act/foreign.h"
#include "plane/plane.h"
#include "service/events.h"
#include "service/host.h"

struct change_hold;
struct event_log;
struct exec_run;
struct failover;
struct fastpath;
struct hang;
struct health_watch;
struct instance;
struct later;
struct nudging;
struct outdated_slots;
struct park;
struct pathguard;
struct replay;
struct roles;
struct run;
struct smoke;
struct selection;

/* See service/whole/status.h. */
struct description {
	char *text; /* JSON; NULL = none is kept */
	uint64_t until_usec;
};

/* See service/keep/waking.h. */
struct waking {
	struct unit_job *job;
	uint64_t begun, delay; /* of the last one */
};

/* What is wrong with the instance of a slot; see service/failover/failover.h. */
struct trouble {
	struct problem problem; /* for people; empty = nothing */
	enum standstill_kind kind;
	bool found;			/* by what an earlier hsd has left: then it counts */
	const struct standstill *still; /* what was seen of it since */
};

/* What is being done with it, from the whole to its parts. */
enum service_work {
	SERVICE_UPGRADE,   /* and, within it, perhaps one of the switchovers */
	SERVICE_RESUMING,  /* one that the hsd before has left waits for facts */
	SERVICE_EXCLUSIVE, /* the switchover of a service with Exclusive=yes */
	SERVICE_CHANGE,	   /* that of any other */
	SERVICE_DRAIN,	   /* a slot is out of service, and its connections are waited for */
	SERVICE_IDLE
};

/* Of a front, as bit masks: numbers that have got another host, or none; which of them took flows.
 */
struct front_moves {
	uint32_t hosts, took;
};

/* What the settings say of policy and table, and was refused; see service/change/spread.h. */
struct unsettled {
	unsigned parts; /* SETTLE_; 0 = nothing */
	struct problem problem;
};

struct service {
	const struct host *host;
	struct events events;
	char name[SERVICE_NAME_MAX];
	struct config config;
	uint64_t config_stamp;	/* of the files that were read; see configfile_stamp() */
	struct plane *plane;	/* NULL: see `problem` */
	int plane_error;	/* why it is NULL, if a host that makes none has looked */
	struct force *force;	/* bind programs. NULL: not wanted, or see the journal */
	struct problem problem; /* why it cannot be managed, or what is wrong with its settings */
	/* of these, and of what is wrong with `force`, the last one that the journal has */
	struct problem told, force_told;
	struct unsettled unsettled;
	struct problem unpacking; /* why Decap=yes does not work; empty = it does */
	sd_event_source *unpacking_look;
	uint64_t unpacked_on; /* see decap_devices_mark() */
	struct instance *instances[HS_SLOTS_MAX];
	unsigned n_slots;
	struct run *runs[SERVICE_IDLE]; /* NULL: none of the kind; see service/change/run.h */
	struct run *ended;		/* those that have */
	bool settles;			/* a change is about to flip, or has a moment ago */
	sd_event_source *resume_source; /* see service/whole/resume.h */
	uint64_t resume_until;
	struct smoke *smoke;
	bool loss_told; /* that no slot is left; until the next adoption */
	struct event_log *event_log;
	struct nudging *nudging; /* NULL: there is nothing that could move */
	struct park *park;
	/* of park: its sockets; see service/keep/park.h. NULL: there are none */
	size_t (*park_sockets)(const struct park *park, int fds[PLANE_LISTENERS_MAX]);
	struct pathguard *pathguard; /* NULL: there was no memory for one */
	struct fastpath *fastpath;   /* NULL: no From=; see service/keep/fastpath.h */
	struct waking waking;
	sd_event_source *settling;     /* see service/slot/settling.h */
	sd_event_source *retry_source; /* something of it could not be opened */
	uint64_t retry_delay;
	bool unread, lacking; /* its settings; something that it can do without */
	bool unapplied;	      /* of a front: its settings are to hold as soon as they can */
	struct hang *hang;
	struct failover *failover;
	struct trouble troubles[HS_SLOTS_MAX];
	struct roles *roles;
	struct health_watch *health;
	struct slot_health verdicts[HS_SLOTS_MAX]; /* of health; the reasons are its own */
	struct later *laters;			   /* what waits for a lock; see service/later.h */
	unsigned ruled;		     /* parts that have preview rules; see service/rules.h */
	struct selection *selection; /* NULL: nobody looks whether the selector still decides */
	struct change_hold *holds;   /* changes that wait for a verdict of the probes */
	struct foreign_list
		foreign; /* seen when it was looked last; see service/watch/foreign_watch.h */
	bool foreign_due, foreign_again;
	struct work *foreign_work; /* it is being looked */
	struct outdated_slots
		*outdated;	/* NULL: not looked yet; see service/watch/outdated_watch.h */
	struct exec_run *execs; /* commands whose scope is being made */
	struct replay *replay;	/* NULL: Replay=no; see service/change/replay.h */
	uint32_t leaving;	/* of a front: hosts that say that they leave, as a bit mask */
	uint32_t refusing;	/* likewise: hosts that say that they are down */
	/* likewise, of those that are not well: when they were last; 0 = never */
	uint64_t well_until[HS_SLOTS_MAX];
	uint64_t first_until;	     /* likewise: the lowest of the hosts that come is active */
	bool crowded;		     /* likewise: there is hardly room for more flows; */
	uint64_t crowd_due;	     /* and when that is looked at though nobody else counts them */
	uint64_t strays, strays_due; /* likewise: packets for ports of none; when they are told */
	bool device_lost;	     /* likewise: its device is gone, or refuses the program */
	/* likewise: where what becomes of packets was tried, see service/slot/front_slots.h */
	char tried[IFNAMSIZ + 8];
	struct front_moves moves; /* likewise; front_slots_follow() sees to them */
	sd_event_source *routes;  /* of a front, see service/slot/front_slots.h */
	sd_event_source *tally;	  /* likewise: its flows are being counted */
	bool spread_waits;	  /* the table follows when templates have been sent ahead */
	/* slots that are to be held, or let go, when the table can be locked; which of the two */
	uint32_t hold_due, hold_as;
	/* ports that Ports= does not name are being given up: see service/keep/narrowing.h */
	sd_event_source *outside_source;
	struct work *outside_work;
	void *hosting; /* what the host has noted of it */
	struct description described, described_to_all;
};

/* See service/events.h. */
void service_post(struct service *service, enum event_kind kind, unsigned slot, bool anew);
/* Connections have moved from one slot to others. Who watches the selectors is told by them. */
void service_post_moved(struct service *service);
/* What follows the routing word, or a state, may have changed: whoever looks at the service may
 * look again. */
void service_changed(const struct service *service);
/* A change of the service has come so far. Takes the object. */
void service_progress(const struct service *service, json_object *step);

/* What is being done with it: the whole, where one is a part of another. */
enum service_work service_busy(const struct service *service);
/* The instance accepts nothing, in service or not, and is not known to stand still. */
bool service_is_full(const struct service *service, unsigned slot);

/* What its probes say of all slots, valid until the event loop runs on; NULL when the service has
 * no probes. */
const struct slot_health *service_health(const struct service *service,
					 struct slot_health health[HS_SLOTS_MAX]);

/* Its kernel side is open, and what the hsd before has left for it was taken. */
bool service_is_open(const struct service *service);
