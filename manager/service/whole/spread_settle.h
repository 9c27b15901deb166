/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the settings say of policy and table. What is refused of it is the service's problem until
 * it works, or somebody says something else. */
#pragma once

#include "service/service.h"

/* The settings were read: what they say of the policy holds if the service is new, or if they say
 * something else than `before` (NULL: they are read for the first time), or if it was refused until
 * now. */
void spread_settle(struct service *service, const struct config *before);

/* Of a front whose hosts are about to become those of the settings: -EINVAL and a sentence if its
 * table does not let one of them go. */
int spread_check_hosts(const struct service *service, struct problem *problem);
