/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The filter of the raw sockets: of all datagrams that reach this machine it passes those to the
 * service's ports that are NetFlow v9 or IPFIX and have a set of templates among their first
 * FILTER_SETS. Most have one set, of flows, so that they cost as much as it takes to see that.
 */
#pragma once

#include <linux/filter.h>
#include <stdbool.h>

#include "core/wire/replay.h"

#define FILTER_SETS 8
#define FILTER_MAX  (16 + REPLAY_LISTENERS_MAX + 2 * (2 + 8 * FILTER_SETS))

/* For what a raw socket of IPv4 sees, which begins with the header of IP, or one of IPv6, where it
 * begins with that of UDP. Returns how many instructions. */
unsigned filter_make(const struct replay_watch *watch, bool ipv6,
		     struct sock_filter ret_filter[FILTER_MAX]);
