/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is pinned for a service, and systemd's word on its units, for who looks at them or takes
 * them away without hsd; what changes a service is done by the engine (hsctl/standin.h). Needs
 * root.
 */
#pragma once

#include <systemd/sd-bus.h>

#include "core/config/config.h"
#include "hsctl/hsctl.h"
#include "plane/plane.h"
#include "system/unit/units.h"

/* One service, opened. */
struct direct {
	char service[SERVICE_NAME_MAX];
	struct config config;
	struct accounting *accounting; /* NULL: none is there */
	struct plane *plane;
	sd_bus *systemd; /* NULL: systemd cannot be asked, or is not to be */
};

/* Says that this needs root. Returns `error`. */
int direct_need_root(struct problem *problem, int error);
/* Goes where hsd is, and opens the counts; NULL: there are none. -EPERM or -EACCES, and a sentence.
 */
int direct_enter(struct accounting **ret_accounting, struct problem *problem);
/* Opens the pins of a service. -ENOENT: it has none. With every error there is a sentence. */
int direct_open(const char *service, struct direct *ret_direct, struct problem *problem);
/* The same, for what is pinned alone: systemd is not troubled. */
int direct_open_pins(const char *service, struct direct *ret_direct, struct problem *problem);
void direct_close(struct direct *direct);

/* Connects to systemd: over the system bus, or without it by systemd's own socket. NULL if neither.
 */
sd_bus *direct_systemd(void);
/* It did not answer in time: from now on that is NULL. */
void direct_give_systemd_up(void);
/* What systemd knows of the unit of a slot; where it cannot be asked, what the sockets tell. */
void direct_unit(const struct direct *direct, unsigned slot, struct unit_facts *ret_facts);
/* Finds the network namespaces of its listeners: see plane_locate(). */
void direct_locate(const struct direct *direct);
