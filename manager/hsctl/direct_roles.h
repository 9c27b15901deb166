/* SPDX-License-Identifier: GPL-2.0-or-later */
/* OnDemote= and OnPromote= without hsd: what service/slot/roles.h does, when this process has
 * changed which slot is active, or found that it has changed. */
#pragma once

#include <systemd/sd-event.h>

#include "hsctl/direct.h"
#include "service/slot/telling.h"

struct direct_roles {
	sd_event *event;
	struct telling *tellings[ROLE_CHANGES];
};

/* Has it told to whom it concerns; the flip has settled. Nobody, where systemd cannot be asked: the
 * next hsd does it then. */
void direct_roles_tell(const struct direct *direct, struct direct_roles *ret_roles);
/* Waits until systemd has taken what was told, with `jobs` also until units have started; at most
 * `usec`. Ends it. */
void direct_roles_end(const struct direct *direct, struct direct_roles *roles, bool jobs,
		      uint64_t usec);
