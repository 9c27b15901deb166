/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The agent of a host of a front (hsctl agent). */
#pragma once

#include <stdint.h>

#include "core/config/config_front.h"

/* A connection to it that is on its way, for prober_start(). -errno: there is no way there. */
int agent_reach(const struct front_address *host, uint16_t port);
