/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The examinations of hsctl doctor: facts are gathered here and judged by core/doctor/doctor.h. */
#pragma once

#include "core/doctor/doctor.h"
#include "hsctl/arguments.h"
#include "util/problem.h"

/* The machine: what its kernel can do, by trying, its settings, systemd and hsd. Then every
 * service: only what is wrong with it, also when it cannot be looked at. */
void examine_all(const struct arguments *arguments, struct doctor_report *report);

/* What the kernel makes of the fast path, by trying: some seconds. */
void examine_fastpath(struct doctor_report *report);

/* A service, with what of the machine concerns it. -ENOENT: it is not under hotstandby. With every
 * error `problem` says what failed. */
int examine_service(const struct arguments *arguments, const char *service,
		    struct doctor_report *report, struct problem *problem);
