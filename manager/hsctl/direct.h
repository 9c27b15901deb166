/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The work of hsd done here, through what is pinned in the kernel. Needs root. Safe beside a hsd:
 * the word is changed by compare-and-swap, and a change holds the lock of the service.
 *
 * All fill in a reply as hsd would have answered, and return its exit code.
 */
#pragma once

#include <systemd/sd-bus.h>

#include "core/change/slot.h"
#include "core/change/switchover.h"
#include "core/config.h"
#include "hsctl/hsctl.h"
#include "plane/plane.h"
#include "service/change/change.h"
#include "service/report/connections.h"
#include "service/report/report.h"

/* One service, opened. */
struct direct {
	char service[SERVICE_NAME_MAX];
	struct config config;
	struct accounting *accounting; /* NULL: none is there */
	struct plane *plane;
	sd_bus *systemd; /* NULL: systemd cannot be asked */
};

/* Says that this needs root. Returns `error`. */
int direct_need_root(struct problem *problem, int error);
/* Goes where hsd is, and opens the counts; NULL: there are none. -EPERM or -EACCES, and a sentence.
 */
int direct_enter(struct accounting **ret_accounting, struct problem *problem);
/* Opens the pins of a service. -ENOENT: it has none. With every error there is a sentence. */
int direct_open(const char *service, struct direct *ret_direct, struct problem *problem);
void direct_close(struct direct *direct);

/* Connects to systemd: over the system bus, or without it by systemd's own socket. NULL if neither.
 */
sd_bus *direct_systemd(void);
/* What systemd knows of the unit of a slot; where it cannot be asked, what the sockets tell. */
void direct_unit(const struct direct *direct, unsigned slot, struct unit_facts *ret_facts);
/* Finds the network namespaces of its listeners: see plane_locate(). */
void direct_locate(const struct direct *direct);
/* bounce() in a process of its own (hsctl/apart.h): what waits on the slot moves. With an error
 * there is a sentence. */
int direct_bounce(const struct direct *direct, unsigned slot, const char *cgroup, bool keep_in_map,
		  struct problem *problem);
/* shed_sockets(), likewise. */
int direct_shed(const struct direct *direct, unsigned slot, const char *cgroup);
/* Wakes the other slots' servers for what has moved to them from this one (plane/act/nudge.h). */
void direct_nudge(const struct direct *direct, unsigned from);
/* States of all slots, `config.slots` of them. */
void direct_states(const struct direct *direct, enum slot_state states[HS_SLOTS_MAX]);

/* Gives the sockets of the other slots to the user of this one, before its server runs. Waits that
 * long for others that have just been started. Returns how many had another owner, or -errno and a
 * sentence. */
int direct_give(const struct direct *direct, unsigned slot, uint64_t patience_usec,
		struct problem *problem);
