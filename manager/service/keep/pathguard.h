/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sees to it that a service's public paths are the links that they have to be (core/path.h), as
 * long as a slot has a socket there: a server that was started at the path itself removes what is
 * there when it stops, and so does systemd with a RuntimeDirectory=.
 *
 * The folder of a path is none that hsd may write to, and belongs to others; so the link is made by
 * `hsctl adopt`, in a unit of its own, and a worker looks at it. Where hsd may not even look,
 * nobody does.
 */
#pragma once

#include "service/service.h"

int pathguard_new(struct service *service, struct pathguard **ret_guard);
struct pathguard *pathguard_free(struct pathguard *guard);

/* A slot has been adopted, or hsd has just begun. NULL is fine, here and below. */
void pathguard_look(struct pathguard *guard);
/* Why clients do not reach the active slot, as known now: see pathlink_describe(). */
void pathguard_describe(const struct pathguard *guard, struct problem *ret_sentence);
/* EVENT_ADOPTED. */
void pathguard_heard(struct service *service, const struct event *event);
