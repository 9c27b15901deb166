/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which of a service's instances must not be on the fast path by what their programs are made with:
 * those made with Go copy from one connection to another by splice(2), without having been told to,
 * and where the kernel gives such readers nothing they would wait for ever.
 */
#pragma once

#include "service/service.h"
#include "system/unit/unitfacts.h"

struct fast_servers;

/* The main process of a unit, else the first in its control group; 0 = there is none. */
pid_t fast_process_of(const struct unit_facts *facts);

/* `on_known`: is called when the program of one has been looked at. NULL: no memory. */
struct fast_servers *fast_servers_new(struct service *service,
				      void (*on_known)(struct service *service));
/* Takes NULL, returns it. */
struct fast_servers *fast_servers_free(struct fast_servers *servers);

/* 1 = one of them may read by splice(2), 0 = none. -EAGAIN: one is being looked at, and `on_known`
 * tells. */
int fast_servers_splice(struct fast_servers *servers);
