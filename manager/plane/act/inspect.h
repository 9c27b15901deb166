/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the sockets of a slot are like, for hsctl doctor. */
#pragma once

#include "core/doctor/doctor.h"

/*
 * Adds the serving sockets that processes in the cgroup hold and that Ports= names, ordered by
 * address, to the array, which is made longer. Each is borrowed for as long as it takes to read its
 * options; one that cannot be borrowed has none.
 */
int inspect_slot(const char *cgroup, unsigned slot, const struct config *config,
		 struct doctor_socket **sockets, size_t *n);
