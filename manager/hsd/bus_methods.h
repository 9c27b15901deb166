/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which of our methods a message is for, and how long it is. */
#pragma once

#include <stdbool.h>
#include <systemd/sd-bus.h>

/* What is kept of who is not known yet, or must wait for an answer of polkit's, is no longer. It is
 * more than any of our methods needs. */
#define BUS_SHORT 16384

/* NULL: there is none of that name in the table. */
const sd_bus_vtable *bus_find_method(const sd_bus_vtable *table, const char *member);
/* An interface may be left out of a call. */
bool bus_is_of(sd_bus_message *m, const char *interface);

/* Whether it is one of our methods, with whatever arguments. */
bool bus_is_ours(sd_bus_message *m);
/* The bytes of its texts and lists, if it is a call of ours with arguments as they should be and
 * not longer than BUS_SHORT. Else -E2BIG or -EINVAL. */
int bus_length(sd_bus_message *m);
