/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `hsctl leave` of a host; of the unit of a slot it is a hook, see verb_leave.c. */
#pragma once

#include "hsctl/arguments.h"

int leave_host(const struct arguments *arguments);
