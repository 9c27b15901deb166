/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether the units that an instance and its sockets are in filter addresses: its own, its slices,
 * its socket units (plane/act/filters.h). The kernel filters a connection by the control group of
 * whoever opened the listener that it was born on; so there must be no park then, or it would let
 * in whom the units keep out.
 */
#pragma once

#include "service/slot/instance.h"

enum filtering { FILTERING_NONE, FILTERING_UNKNOWN, FILTERING_SOME };

/* Looks at the instance, which is adopted; systemd is asked where need be, and the instance adopted
 * again when it has answered, or when the answer changes. `ret_unit`: the one that filters. */
enum filtering filtering_look(struct instance *instance, const char **ret_unit);
/* Before its socket units are stopped. */
void filtering_note_sockets(struct instance *instance);
void filtering_done(struct instance *instance);
