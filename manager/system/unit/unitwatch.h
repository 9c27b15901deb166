/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A unit as it changes. */
#pragma once

#include <systemd/sd-bus.h>

#include "system/unit/unitfacts.h"

struct unit_watch;

/* `facts` are fresh. Called after every change that systemd reports and after unit_watch_refresh();
 * `error` is not 0 when systemd could not be asked, and the facts are the old ones then. It is
 * asked again, after one second at first and after half a minute at last, and when it is back on
 * the bus.
 */
typedef void (*unit_changed_fn)(const struct unit_facts *facts, int error, void *userdata);

int unit_watch_new(sd_bus *bus, const char *unit, unit_changed_fn on_changed, void *userdata,
		   struct unit_watch **ret_watch);
struct unit_watch *unit_watch_free(struct unit_watch *watch);
/* Asks systemd anew, before the questions that nobody waits for; the answer comes by the callback.
 */
void unit_watch_refresh(struct unit_watch *watch);
const struct unit_facts *unit_watch_facts(const struct unit_watch *watch);
/* From now on its processes are said to be there, as long as it is not down; "" = where systemd
 * says. Kept as long as the watch. */
void unit_watch_set_cgroup(struct unit_watch *watch, const char *cgroup);
