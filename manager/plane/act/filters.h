/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who is kept out of an instance by a control group that it is in, and our own sockets are not:
 * then a park would let in whom the instance does not see. */
#pragma once

#include <limits.h>
#include <stddef.h>

#include "core/name.h"
#include "plane/bpf/own.h"

#define FILTERS_MAX 8

/* Control groups by the name of their unit: "webx.slice". */
struct filters {
	char units[FILTERS_MAX][UNIT_NAME_MAX];
	size_t n;
};

/*
 * Adds the control groups from `cgroup` upwards, as far as we are not in them as well, where one of
 * them has programs that see what comes in or goes out, other than those of the own way (`own`, may
 * be NULL): filters, or what counts for IPAccounting=. Which it is, and whose, their units tell:
 * systemd attaches to a unit what its slices say. -ENOENT: there is no such cgroup.
 */
int filters_add(struct filters *filters, const struct own *own, const char *cgroup);
/* Adds one by name. */
void filters_add_unit(struct filters *filters, const char *unit);
