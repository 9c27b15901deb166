/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel side of one service: its routing word, counters, events and listeners. All is pinned,
 * so this object is a view that any number of processes may have at once; the word is changed by
 * compare-and-swap only.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/config/config.h"
#include "core/watch/queued.h"
#include "plane/bpf/accounting.h"
#include "plane/bpf/flows.h"
#include "plane/parts/control.h"
#include "plane/parts/plane_listeners.h"
#include "plane/parts/plane_tables.h"
#include "plane/path/paths.h"
#include "util/problem.h"

struct plane;

/* Opens what is pinned, also what the version before has pinned. -ENOENT when the service has no
 * pins; -EPROTO when they are of any other version. `accounting` may be NULL and must outlive the
 * plane. */
int plane_open(const char *service, struct accounting *accounting, struct plane **ret_plane,
	       struct problem *problem);
/* Opens, or makes and pins. What the version before has pinned is taken over: -ETXTBSY, see
 * plane/bpf/handover.h. */
int plane_create(const char *service, struct accounting *accounting, struct plane **ret_plane,
		 struct problem *problem);
struct plane *plane_free(struct plane *plane);
/* Takes all sockets out and removes the pins of a service. Selectors that are still attached let
 * the kernel choose, until they are detached or the last socket of their group closes. */
int plane_destroy(struct plane *plane);

const char *plane_service(const struct plane *plane);
struct accounting *plane_accounting(const struct plane *plane);
uint32_t plane_id(const struct plane *plane);
int plane_counters_fd(const struct plane *plane); /* stays the plane's */
/* Mapped; stays the plane's. */
const struct hs_control *plane_control(const struct plane *plane);
const struct flows *plane_flow_table(const struct plane *plane);
/* Of its AF_UNIX sockets; without entries where there is none. Changed by plane/path/paths.h
 * alone. */
const struct paths *plane_paths(const struct plane *plane);

/* The lock that a change of this service holds while it runs: -EBUSY when another has it. Ends with
 * the descriptor. Retire and crash handling do without: they edit the word only. */
int plane_lock(const struct plane *plane, int *ret_fd);

/* For plane/preview/preview.c: the map of the rules (stays the plane's), and the lock that is held
 * while the mark that tells selectors to look there changes (see pins_lock()). */
int plane_preview_fd(const struct plane *plane);
int plane_preview_lock(const struct plane *plane, bool wait, int *ret_fd);
/* For plane/preview/canary.c, which holds the same lock: the map of prefixes. */
int plane_prefixes_fd(const struct plane *plane);

/* Writes what Flow=, FlowTimeout= and QuicSlotByte= say to where selectors read it. FlowMax= counts
 * when the first UDP listener is made, for the table is made with it. */
void plane_set_flow(struct plane *plane, const struct config *config);
/* The control group of a slot's unit, as systemd names it; "" or NULL = it has none now. For
 * plane/peers.h. */
void plane_set_cgroup(struct plane *plane, unsigned slot, const char *cgroup);
const char *plane_cgroup(const struct plane *plane, unsigned slot);

/* Whether UDP flows are remembered: there is a UDP listener, and not Flow=none. */
bool plane_has_flows(const struct plane *plane);
/* Datagrams that the UDP sockets of each slot had no room for, since each was opened. How many
 * sockets were seen; -errno. */
int plane_drops(const struct plane *plane, uint64_t drops[HS_SLOTS_MAX]);
/* UDP flows per slot that are not idle yet. */
void plane_flows(const struct plane *plane, struct slot_flows flows[HS_SLOTS_MAX]);

/* Finds the namespaces of listeners that this process has adopted no socket of, among those of the
 * processes in a cgroup, so that the kernel can be asked about them. */
void plane_locate(struct plane *plane, const char *cgroup);
/* The same, from namespaces that somebody else has found. Copies are taken. */
void plane_place(struct plane *plane, const int *namespaces, size_t n);

/* Live sockets of a slot over all listeners, and at all paths. */
unsigned plane_slot_sockets(const struct plane *plane, unsigned slot);
/* Some cookie of a live socket of the slot; 0 when it has none. */
uint64_t plane_slot_cookie(const struct plane *plane, unsigned slot);
/* Whether the slot has a live socket with this cookie. */
int plane_slot_has(const struct plane *plane, unsigned slot, uint64_t cookie);
/* Slots with a live socket, as a bit mask. */
uint32_t plane_live_slots(const struct plane *plane);
/* Whether a park is open on any listener. */
bool plane_has_park(const struct plane *plane);
/* Whether `other` serves a listener that `slot` does not. */
bool plane_is_missing(const struct plane *plane, unsigned slot, unsigned other);
/* Address of the first listener that `other` serves and `slot` does not; NULL when there is none,
 * or none but paths. */
const struct address *plane_missing(const struct plane *plane, unsigned slot, unsigned other);
/* The same as a sentence without its end, with what to do; nothing is set when none is missing. */
void plane_describe_missing(const struct plane *plane, unsigned slot, unsigned other,
			    struct problem *ret_sentence);

/* Totals since the service was enabled, summed over the CPUs. */
struct slot_totals {
	uint64_t chosen, fell_through, migrated_in, select_failed;
	uint64_t opened, closed, moved_in, moved_out;
	uint64_t connections;	  /* live now */
	double opened_per_second; /* of late: the last whole second, or nearly so */
};

struct plane_totals {
	struct slot_totals slots[HS_PLACES_MAX]; /* HS_SLOT_PARK among them */
	uint64_t nothing_to_choose, events_lost, moves_missed, flows_evicted;
	uint64_t previewed, preview_misses;
};
int plane_totals(const struct plane *plane, struct plane_totals *ret_totals);
int plane_slot_totals(const struct plane *plane, unsigned slot, struct slot_totals *ret_totals);
/* What programs count: without the connections at paths, for which everybody's are gone through. */
int plane_slot_counted(const struct plane *plane, unsigned slot, struct slot_totals *ret_totals);
/* Look-ups that the selector answered without choosing a place: a preview rule did, or nobody. */
int plane_asked_otherwise(const struct plane *plane, uint64_t *ret_asked);

/* Connections that wait for accept() per place, asked from the kernel. Not known of a place:
 * QUEUED_UNKNOWN; then -errno. */
int plane_queued(const struct plane *plane, uint32_t queued[HS_PLACES_MAX]);

/*
 * Events of the selector. The descriptor becomes readable; plane_events_consume() then calls
 * `on_event` for each record, whose size was checked.
 */
typedef void (*plane_event_fn)(const struct hs_event *event, void *userdata);
int plane_events_watch(struct plane *plane, plane_event_fn on_event, void *userdata, int *ret_fd);
int plane_events_consume(struct plane *plane);
/* There are none for now: gives back the memory that reading them takes. */
void plane_events_rest(struct plane *plane);
