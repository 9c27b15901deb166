/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The prober of a drill: a child process that opens connections at a fixed rate and writes down
 * what became of each, in memory that both share. It ends with its parent.
 *
 * A probe is answered when the server has accepted it and said something: a whole answer by HTTP
 * with the right status, or, without HTTP, anything at all, or an orderly end after ours. That the
 * kernel has completed a handshake does not count: it does that for a server that hangs as well.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "core/address.h"
#include "core/config/config_health.h"
#include "core/drill.h"

/* What to ask. */
struct prober_target {
	struct address address;		    /* no wildcard */
	const char *socket;		    /* a path to connect to instead; NULL = none */
	int netns_fd;			    /* namespace of the listener; -1 = our own */
	const char *path;		    /* GET this over HTTP; NULL = only connect */
	const struct config_health *health; /* Proxy=, and Host= and Status= over HTTP */
	unsigned rate;			    /* connections per second, 1 to 10000 */
	uint64_t timeout_usec;		    /* of each */
};

struct drillprober;

/* At most this many probes are remembered; then it ceases, and drillprober_stop() says so. */
#define DRILLPROBER_PROBES_MAX 1000000

int drillprober_start(const struct prober_target *target, struct drillprober **ret_prober);
/* Microseconds since it began: the clock of its record. */
uint64_t drillprober_now(const struct drillprober *prober);
/* How many probes have ended, and how many of them were answered. */
void drillprober_counts(const struct drillprober *prober, size_t *ret_total, size_t *ret_answered);
/* Lets those that are under way end (within their timeout), then takes over what was measured.
 * `end` is the time at which the last one was begun or ended. -EMFILE and the like: connections
 * could not even be tried, for want of descriptors or ports of ours; -EOVERFLOW: more were due than
 * are remembered; -ECHILD: it ended before its time. */
int drillprober_stop(struct drillprober *prober, struct drill_record *record, uint64_t *ret_end);
/* Ends the child, if it is still there. */
struct drillprober *drillprober_free(struct drillprober *prober);
