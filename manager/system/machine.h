/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Facts about the machine for hsctl doctor. */
#pragma once

#include <systemd/sd-bus.h>

#include "core/doctor/doctor.h"
#include "plane/kernel/netns.h"

/* Of the kernel, as uname(2) has it. */
void machine_release(char *release, size_t size);
/* As systemd sees it. */
bool machine_hsd_runs(sd_bus *systemd);
/* It was started and ended by itself: to start it is not what helps. */
bool machine_hsd_ends(sd_bus *systemd);

/* -ENODEV where /proc or /sys is missing, as in a bare chroot: says what to mount. */
int machine_check_mounts(struct problem *problem);

/* `systemd` may be NULL: it cannot be asked. */
void machine_read(sd_bus *systemd, struct doctor_machine *ret_machine);

/* The sysctls of a network namespace (NULL = our own). */
int machine_read_sysctls(const struct netns *netns, struct doctor_sysctls *ret_sysctls);

/* What the unit of a slot is set up like: kill mode, stop timeout, whether it starts at boot. What
 * systemd does not tell stays as it is. */
void machine_read_slot(sd_bus *systemd, struct doctor_slot *slot);
