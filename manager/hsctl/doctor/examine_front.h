/* SPDX-License-Identifier: GPL-2.0-or-later */
/* doctor: what there is to know of a front. */
#pragma once

#include "core/doctor/doctor.h"
#include "hsctl/arguments.h"
#include "service/service.h"

/* With --peer=, which is asked by ssh(1), another front as well. */
void examine_front(const struct arguments *arguments, struct service *service,
		   struct doctor_report *report);
