/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What commands ask systemd beyond the state of a unit (units.h) and its files (unitload.h), and
 * what they order. Blocks: for commands, not for the daemon. Strings are the caller's. -errno. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-bus.h>

#include "util/problem.h"

/* ---- one unit ---- */

/* "active", "failed", ... */
int unitask_state(sd_bus *bus, const char *unit, char **ret_state);
/* Of a service: "simple", "oneshot", ... */
int unitask_type(sd_bus *bus, const char *unit, char **ret_type);
/* What it runs first, by the words of the command: "/usr/sbin/nginx\n/usr/sbin/nginx\n-g\n".
 * -ENOENT: nothing. */
int unitask_command(sd_bus *bus, const char *unit, char **ret_command);
/* What systemd does with it right now: "restart", ... */
int unitask_job(sd_bus *bus, const char *unit, char **ret_type);
bool unitask_can_reload(sd_bus *bus, const char *unit);

/* As units_run_job(), but for the unit to read its own settings. */
int unitask_reload(sd_bus *bus, const char *unit, uint64_t timeout_usec, struct problem *problem);

/* ---- at boot ---- */

bool unitask_is_enabled(sd_bus *bus, const char *unit);
/* All in one call: systemd looks through all its folders for each. */
int unitask_enable(sd_bus *bus, char *const *units, bool on);
int unitask_enable_one(sd_bus *bus, const char *unit, bool on);

/* ---- lists ---- */

/* Not 0 ends the list. */
typedef int (*unitask_fn)(const char *name, const char *what, void *userdata);

/* Services that are active, with what they say that they are. */
int unitask_services(sd_bus *bus, unitask_fn on_unit, void *userdata);
/* Files of templates of services; `what` is "". */
int unitask_templates(sd_bus *bus, unitask_fn on_file, void *userdata);
/* Containers that systemd-machined knows; likewise. It is not started for that. */
int unitask_containers(sd_bus *bus, unitask_fn on_container, void *userdata);
