/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether the selector still decides. Who has a socket in a group can set the group's program, or
 * take it off, where the guard (plane/bpf/guard.h) has not kept it from that: because this kernel
 * has none, or because that was done before. Two things give it away:
 *
 * - more connections are established on the service's sockets than the selector was asked about;
 * - a probe is answered, and not by the slot that it was sent to.
 *
 * Then all slots are adopted again, which attaches the selector and the guard again, and it is told
 * who can have done it. Whoever does that over and over again is told once, and undone less and
 * less often.
 */
#pragma once

#include "service/service.h"

struct selection;

int selection_new(struct service *service, struct selection **ret_selection);
/* Takes NULL, as all here. */
struct selection *selection_free(struct selection *selection);

/* There is traffic: to be called at least twice a second then. It reads the counts when that is
 * due.
 */
void selection_look(struct selection *selection, uint64_t now);
/* A probe of the slot was answered by another one, or by somebody else. True: the selector is being
 * attached again, so that it may be probed again at once. */
bool selection_on_stray(struct selection *selection, unsigned slot);

/* What was found of late, for people; NULL = nothing. */
const struct problem *selection_problem(const struct selection *selection);
