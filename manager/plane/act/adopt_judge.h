/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which of the sockets that an instance holds can be switched: the part of adoption_begin() that
 * looks at one socket after the other. */
#pragma once

#include "plane/act/adopt_state.h"

/* Sets the verdict of one of the adoption's sockets and, where that is ADOPT_OK, has claimed the
 * address and made sure that the group has the selector. -ESTALE: the socket is gone, forget it;
 * -EPERM, -EACCES: it cannot be borrowed. */
int adopt_judge(struct plane *plane, const struct adopt_scope *scope, struct adoption *adoption,
		struct adopted_socket *socket);

/* All sockets of a group had one owner when they joined it (see plane/act/owners.h). Where owners
 * differ now, it may have been changed since, or there are two groups: of these only one can be
 * switched, that which the other slots are in. */
void adopt_judge_owners(struct plane *plane, unsigned slot, struct adoption *adoption);

/* The verdict for the -errno with which the kernel did not take it. */
void adopt_refuse(struct adopted_socket *socket, int error);

/* Adopted, or left out on purpose: there is nothing to tell about it. */
bool adopt_is_no_matter(enum adopt_verdict verdict);

/* Counts the verdicts. */
void adoption_count(struct adoption *adoption);

/* Nobody but us attaches or detaches programs from now on, of groups on the ports that are guarded,
 * through sockets that are made in this cgroup, or `everywhere` (see plane/bpf/guard.h). Where the
 * kernel cannot do that, all goes on without. */
void adopt_guard(const struct plane *plane, const char *cgroup, bool everywhere);
