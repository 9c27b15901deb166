/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A change that the hsd before has left in the middle. */
#pragma once

#include "service/service.h"

/* hsd comes up: what the control map tells of is gone on with, as soon as systemd has told of the
 * slots, and what else that goes by is known. -errno. */
int resume_watch(struct service *service);
/* What service_busy() is about while that is waited for: "upgrade" or "drain". */
const char *resume_verb(const struct service *service);
