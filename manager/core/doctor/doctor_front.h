/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The judgement of hsctl doctor on a front, whose slots are hosts. Pure. */
#pragma once

#include "core/config/config_front.h"
#include "core/doctor/doctor.h"
#include "core/doctor/frontability.h"

struct doctor_host {
	bool given;
	char address[FRONT_ADDRESS_TEXT_MAX];
	enum slot_state state;
	bool reached;  /* something answers for it on its network */
	uint16_t vlan; /* of the front's device that it is on; 0 = none */
	struct problem reason;
};

/* What two fronts must have alike. */
struct doctor_alike {
	char hash[24]; /* of addresses, ports, hosts and mode; "" = not known */
	char policy[16], by[16];
	int active;	      /* with policy standby; -1 = none */
	char fingerprint[40]; /* of the table; "" = there is none */
	bool told;	      /* what that is made of, which not every release tells: */
	uint32_t members;     /* slots that take part, as a bit mask */
	unsigned weights[HS_SLOTS_MAX];
	uint64_t pinned; /* a sum of all pins to these */
	unsigned moved;	 /* buckets, by hsctl rebalance */
};

struct doctor_front {
	struct problem config_problem, unsettled, problem; /* "" = none */
	char device[IFNAMSIZ];				   /* "" = the program is on none */
	bool native;
	bool merges; /* what came in may have become one large packet before it is sent on */
	/* a VLAN on the device whose packets come without their tags; "" = none */
	char untagged[IFNAMSIZ];
	/* an Address= that is neither this machine's nor routed on it; "" = none */
	char unrouted[FRONT_ADDRESS_TEXT_MAX];
	unsigned mode;	 /* enum front_mode */
	uint64_t no_way; /* packets that found no way to their host while it was looked at */
	bool tried;	 /* what becomes of packets was: */
	struct front_place place;
	struct ability_result results[FRONT_ABILITY_COUNT];
	struct doctor_host hosts[HS_SLOTS_MAX];
	struct doctor_alike own, other;
	const char *peer;	     /* another front, to be compared; NULL = none */
	struct problem peer_problem; /* why it cannot be */
};

/* Of a service on a host. */
void doctor_decap(struct doctor_report *report, const struct config_front *front);
void doctor_front(struct doctor_report *report, const struct doctor_front *front);
