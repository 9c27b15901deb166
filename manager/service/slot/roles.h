/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * OnDemote= and OnPromote=: looks at which slot is active after every event, whoever changed it,
 * and has it told to those whom it concerns (core/role.h). An instance that gives its role up is
 * told when the flip has settled and what waits on it was accepted or moved, so that one that
 * closes its listeners then hurts nobody; only after it the new one is.
 */
#pragma once

#include "service/service.h"

struct roles;

int roles_new(struct service *service, struct roles **ret_roles);
/* What is under way is forgotten; systemd goes on with it. */
struct roles *roles_free(struct roles *roles);

/* These take NULL. */

/* Something may have changed. Cheap when nothing has. */
void roles_look(struct roles *roles);
/* The flip has settled. */
void roles_settled(struct roles *roles);
/* Its queue was moved, or nobody waits for that: whoever is to be told is told now. */
void roles_hurry(struct roles *roles);
/* Whether systemd has yet to take what the slot is being told: should it be about to end, it is to
 * hear that first. */
bool roles_telling(const struct roles *roles, unsigned slot);
/* Nobody is about to be told, and all that was told has ended. */
bool roles_rest(const struct roles *roles);
