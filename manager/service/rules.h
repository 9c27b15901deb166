/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Preview rules of a service (plane/preview/preview.h): those of hsd, which has them for its
 * probes, for a taste and for templates, and has one owner for all of these, its process; and what
 * others have left.
 */
#pragma once

#include "service/service.h"

/* Selectors look for rules of hsd from now on. -EBUSY: another process has the lock just now. */
int rules_begin(struct service *service);
/* Once for each that has begun. With the last one go all rules of hsd that are left: at once, or
 * when the lock is free. */
void rules_end(struct service *service);

/* Takes away what commands that have ended and an earlier hsd have left, at once or likewise. */
void rules_sweep(struct service *service);
