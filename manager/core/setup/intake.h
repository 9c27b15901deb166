/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How the sockets of a service come to have SO_REUSEPORT: what is wanted, and what was seen. Pure.
 */
#pragma once

#include <stdbool.h>

#include "core/config/config.h"

struct intake_facts {
	enum config_intake wanted; /* Intake= */
	bool socket_units;	   /* a socket unit starts the instances */
	bool own_seen;		   /* there was a socket that had the option by itself, */
	bool bare_seen;		   /* or one that had not */
	bool mptcp_seen;	   /* one listens by MPTCP */
	bool udp_seen;		   /* one is of UDP */
};

/* What it is: never INTAKE_AUTO. A server that was not seen yet is INTAKE_FORCED, which does not
 * disturb one that sets the option itself. */
enum config_intake intake_of(const struct intake_facts *facts);

/* Whether the bind programs belong on the instances: also where the server was seen to set the
 * option, as it may cease to with its next configuration. */
bool intake_needs_force(const struct intake_facts *facts);

/* "socket unit", "own reuseport", "forced" */
const char *intake_name(enum config_intake intake);
/* Why it is that: a sentence without its end. */
const char *intake_reason(const struct intake_facts *facts);
/* What MPTCP= means for the service, likewise: "no; ...". */
const char *intake_mptcp(const struct intake_facts *facts, enum config_mptcp mptcp);
