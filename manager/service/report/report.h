/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a service is doing, put together from kernel facts and unit states, and as JSON. hsd answers
 * with it on the bus, and hsctl without hsd makes it of what it finds by itself: what hsd watches,
 * such as health, is not known then. The names in the JSON are a contract.
 */
#pragma once

#include <json-c/json.h>

#include "core/change/drain.h"
#include "core/change/exclusive.h"
#include "core/change/rolling.h"
#include "core/change/slot.h"
#include "core/change/switchover.h"
#include "core/change/upgrade.h"
#include "core/config/config.h"
#include "core/ledger.h"
#include "core/name.h"
#include "core/outdated.h"
#include "core/setup/intake.h"
#include "plane/act/force.h"
#include "plane/act/foreign.h"
#include "plane/plane.h"
#include "plane/preview/canary.h"
#include "system/unit/units.h"

struct slot_report {
	char unit[UNIT_NAME_MAX];
	enum slot_role role;
	enum slot_state state;
	pid_t main_pid; /* 0 = none */
	unsigned sockets;
	struct slot_totals totals;
	uint64_t flows; /* UDP */
	uint64_t drops; /* datagrams for which its sockets had no room */
	uint64_t peers; /* see plane_peers() */
	uint32_t queued;
	bool retired;	       /* see plane_is_retired() */
	bool suspect;	       /* see plane_is_suspect() */
	uint64_t stalled_usec; /* nobody has accepted for so long though somebody waits; 0 = not */
	bool full;	       /* it is, and has much to do, or waits for its clients */
	struct outdated outdated; /* what it runs that was replaced on the disk */
	bool probed;		  /* else the next two do not count */
	enum health_state health;
	struct problem health_reason; /* in the probes' words; empty = none */
	uint64_t since_usec;	      /* CLOCK_REALTIME; 0 = never */
	struct problem problem;	      /* what is wrong with it, for people; empty = nothing */
};

struct service_report {
	char service[SERVICE_NAME_MAX];
	bool manager; /* hsd made this report */
	bool known;   /* systemd has told of all slots */
	bool planted; /* the service has a kernel side; without it only names and states are set */
	bool accounting;
	uint64_t word;
	struct intake_facts intake;
	unsigned n_slots;
	struct slot_report slots[HS_SLOTS_MAX];
	unsigned n_listeners;
	struct address listeners[PLANE_LISTENERS_MAX];
	unsigned n_paths;
	char paths[HS_PATHS_MAX][HS_PATH_MAX];
	struct foreign_list foreign; /* sockets of others on its addresses */
	bool withheld;		     /* who they are is not told to whoever asks */
	uint64_t nothing_to_choose, events_lost;
	uint64_t previewed, preview_misses; /* connections with a rule; see hs_abi.h */
	struct canary_filter canary;	    /* whom the canary is for */
	bool has_flows;			    /* see plane_has_flows() */
	uint64_t flows_evicted;
	bool has_peers; /* they were counted */
	bool has_drops; /* likewise */
	bool has_ledger;
	struct ledger ledger; /* what was done with it */
	bool exclusive;	      /* see config.h */
	bool park_ready;      /* there is a park on some listener */
	unsigned n_held;      /* addresses that no slot serves, and a park keeps */
	struct address held[PLANE_LISTENERS_MAX];
	uint32_t parked; /* connections that wait there */
	enum config_failover failover;
	uint64_t hold_usec;	/* no automatic fail-over for so long */
	char change[32];	/* the change that runs now, such as "switchover"; "" = none */
	struct problem problem; /* of the service as a whole */
};

/* Reads the kernel side into a report whose names are set; `plane` may be NULL. */
void report_read_plane(struct service_report *report, const struct plane *plane);
/* And what only the whole has, not the row: to list clients and sockets of UDP takes time. */
void report_read_rest(struct service_report *report, const struct plane *plane);
/* What the bind programs have seen; `force` may be NULL. `intake.wanted` is the caller's. */
void report_read_force(struct service_report *report, const struct force *force);
/* What the unit contributes to one slot, after the kernel side was read, and the state that follows
 * from both. */
void report_read_unit(struct service_report *report, unsigned slot, const struct unit_facts *facts);
/* Sets the names of a service with this many slots, all else 0. */
void report_init(struct service_report *report, const char *service, unsigned n_slots);

/* Adds "canary_by" ("connection" or "client") and "canary_from" (prefixes; empty: anybody). */
void report_canary(json_object *object, const struct canary_filter *filter);

/* The object of `hsctl status --json`. The caller owns it (json_object_put). */
json_object *report_to_json(const struct service_report *report);

/* What `hsctl list --json` has of it: of hundreds of services the whole would be too much for a
 * look. Likewise. */
json_object *report_to_row(const struct service_report *report);

/* hsd itself. */
struct manager_report {
	const char *version;
	uint64_t started_usec; /* CLOCK_REALTIME */
	uint64_t starts;       /* see system/startlog.h */
	/* of its event loop, since it began */
	uint64_t turns, busy_usec, longest_turn_usec;
	size_t n_services, n_missing; /* that it manages; configured, and could not be taken up */
};
json_object *report_manager(const struct manager_report *report);

/* The result of a finished change, and one step of it. */
json_object *report_change(const struct switchover *s, const char *service,
			   const struct switchover_result *result);
json_object *report_progress(const struct switchover *s, const char *service, uint64_t now);

/* The same of an exclusive service. `waited`: connections that were let go at its end, or
 * QUEUED_UNKNOWN; they are "moved". */
json_object *report_exclusive(const struct exclusive *e, const char *service, uint64_t now,
			      uint32_t waited);
json_object *report_exclusive_progress(const struct exclusive *e, const char *service,
				       uint64_t now);
/* An upgrade that is done; one that was undone because somebody had it rolled back, for whom that
 * is a rollback that is done; and one on its way. `remaining`: see upgrade_progress(). */
json_object *report_upgrade(const struct upgrade *u, const char *service, uint64_t now);
json_object *report_upgrade_back(const struct upgrade *u, const char *service, uint64_t now);
json_object *report_upgrade_progress(const struct upgrade *u, const char *service, uint64_t now,
				     uint64_t remaining);

/* The same of one that goes slot by slot. `left`: see rolling_progress(). */
json_object *report_rolling(const struct rolling *r, const char *service, uint64_t now);
json_object *report_rolling_progress(const struct rolling *r, const char *service, uint64_t now,
				     uint64_t left);

/* A drain that is done, and one step of it. `last`: what is said of the slot by
 * connections_report() (service/report/connections.h), as it was at the deadline; NULL: nothing. */
json_object *report_drain(const struct drain *d, const char *service, uint64_t now,
			  json_object *last, const char *message);
json_object *report_drain_progress(const struct drain *d, const char *service, uint64_t now);

/* Serialised; the caller frees. */
char *report_text(json_object *object);
