/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The fast path on the kernel side (bpf/fast/hs_fast.h): programs and maps for all services, pinned
 * below HS_PIN_FAST; they go on while no process of ours runs.
 *
 * A connection is on it whose client is of a control group that was joined in the name of a unit,
 * whose server's end is a socket of a service that lets this unit, in one network namespace. Both
 * must be so when the connection begins. What is taken away concerns new connections at once, and
 * those that live with their next byte, which goes by TCP.
 *
 * All of it needs CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "hs_fast.h"
#include "util/problem.h"

struct fast;

/* Opens what is pinned, or loads, attaches and pins it; programs of another build are replaced.
 * The accounting has to be there (accounting_open()): its tags name the service. With every error
 * there is a sentence. */
int fast_open(struct fast **ret_fast, struct problem *problem);
/* Opens what is pinned as it is, of whatever build, and makes nothing. -ENOENT when there is none,
 * or none that we know. */
int fast_attach(struct fast **ret_fast);
/* Closes; the programs work on. Takes NULL. */
struct fast *fast_free(struct fast *fast);

/* What names a unit in the kernel: from its name alone, never 0. */
uint64_t fast_client(const char *unit);

/*
 * A unit's control group, and what is below it, as systemd names it: connections that begin from
 * now on are the unit's. For as long as the group is there: one that starts again has another, and
 * joins anew. Again is no harm. -ENOENT when there is no such group, -EOPNOTSUPP when a program in
 * it is kept off (fast_keeps_off()); with a sentence.
 */
int fast_join(const struct fast *fast, const char *cgroup, const char *unit,
	      struct problem *problem);
/* Its new connections go by TCP. 0 also where it had not joined. */
int fast_part(const struct fast *fast, const char *cgroup);

/* What a service has in its settings. */
struct fast_service {
	uint32_t service_id; /* hs_control.service_id */
	const char *const *units;
	size_t n_units;
	const uint16_t *ports; /* host byte order; where it listens by TCP */
	size_t n_ports;
};

/* These units may, and no others; the ones that are not named any more lose it. Again is no harm.
 * With an error there is a sentence. */
int fast_allow(const struct fast *fast, const struct fast_service *service,
	       struct problem *problem);
/* Nobody may. With the last service programs and pins go. 0 also when there is nothing. */
int fast_remove(uint32_t service_id);

/* ---- looking ---- */

/* Of one place (slot, or HS_SLOT_PARK), all CPUs together, since the service was first allowed.
 * -ENOENT: the service has none. Pairs that live now: `begun` - `ended`. */
int fast_counts(const struct fast *fast, uint32_t service_id, unsigned place,
		struct hs_fast_counts *ret_counts);
/* Likewise of all places together: a connection may move to another one before it is accepted. */
int fast_totals(const struct fast *fast, uint32_t service_id, struct hs_fast_counts *ret_counts);

/* Calls `each` for each pair of a service (0: of all) until it returns non-zero, which is returned;
 * those that begin or end meanwhile may be left out. In order of nothing. `slot` of the pair is
 * where the connection was born, see accounting_slot_of(). */
typedef int (*fast_pair_fn)(const struct hs_fast_pair *pair, void *userdata);
int fast_each_pair(const struct fast *fast, uint32_t service_id, fast_pair_fn each, void *userdata);

/* "fast", "tcp", "undecided"; "early", "full", ...: as in JSON. Never NULL. */
const char *fast_way_to_string(unsigned way);
const char *fast_why_to_string(unsigned why);
