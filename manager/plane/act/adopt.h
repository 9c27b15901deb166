/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Adoption: from the listening sockets that a unit's processes hold to entries in the selector's
 * map.
 *
 * In two halves, because the socket unit must be stopped between them: once a socket is in the map
 * it gets traffic, and PID 1 must not poll a socket that gets traffic.
 *
 * - adoption_begin(): find the sockets, tell those that can be switched from those that cannot,
 *   claim their addresses, attach the selector to each group. Then the caller stops the socket
 * unit.
 * - adoption_commit(): tag each socket for accounting, put it in the map. A service without a live
 *   active slot gets this one. A slot that had no live socket has a new instance: UDP flows of the
 *   one before are forgotten.
 *
 * An instance that was found hanging stays out of the map until plane_set_suspect() says otherwise;
 * its sockets tell whether it is still that one.
 *
 * Both may be repeated at will.
 */
#pragma once

#include <stdint.h>

#include "plane/act/adopt_state.h"

/* Whether clients may miss a path that is not switched. One beside listeners in the network is for
 * control, as a rule. */
bool adoption_path_matters(const struct adoption *adoption);

/* Short, for logs and status: "no SO_REUSEPORT", "MPTCP", ... */
const char *adopt_verdict_to_string(enum adopt_verdict verdict);
/* One sentence for people: which socket, why not, what to do. Empty for ADOPT_OK,
 * ADOPT_PORT_LEFT_OUT and ADOPT_NOT_OURS. */
void adopt_describe(const struct adopted_socket *socket, struct problem *ret_sentence);

/* Why it has adopted nothing, without an end; empty when it has. */
void adoption_explain(const struct adoption *adoption, struct problem *ret_reason);
/* The sentence at the end of an adoption. */
void adoption_describe(const char *service, unsigned slot, const struct adoption *adoption,
		       struct problem *ret_sentence);

int adoption_begin(struct plane *plane, const struct adopt_scope *scope,
		   struct adoption **ret_adoption, struct problem *problem);
int adoption_commit(struct plane *plane, unsigned slot, struct adoption *adoption);
/* Makes the twins for the first adopted TCP socket of each address; where none can be made there is
 * none. */
int adoption_make_twins(struct plane *plane, struct adoption *adoption);
/* This process's view of the plane, when another one has made the adoption: knows its listeners,
 * and forgets those that it has replaced. That one has called adoption_note_namespaces(). */
void adoption_follow(struct plane *plane, const struct adoption *adoption);
void adoption_note_namespaces(const struct plane *plane, struct adoption *adoption);
struct adoption *adoption_free(struct adoption *adoption);

/* As scan_mark(). */
uint64_t adopt_path_mark(const struct found_path *found);

/* Whether a process in the cgroup holds a TCP socket that was put into the slot: the instance is
 * not merely about to listen. */
bool adopt_is_occupied(const struct plane *plane, unsigned slot, const char *cgroup);

/* Makes `slot` the active one if the word names none with a live socket; not during an exclusive
 * change, which does so when the new instance is proven. */
void adopt_ensure_active(struct plane *plane, unsigned slot);
