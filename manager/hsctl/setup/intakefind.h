/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What enable wants to know about the intake: what sockets the instances have that run already. */
#pragma once

#include <stdbool.h>
#include <systemd/sd-bus.h>

#include "core/config/config.h"
#include "core/setup/intake.h"

/* Looks at the sockets of a running slot that Ports= names, and adds to `facts` what it saw. */
void intakefind_slot(sd_bus *bus, const char *service, unsigned slot, const struct config *config,
		     struct intake_facts *facts);
