/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is told of parking: when it begins, when it ends, how many and how long; never a line for
 * each connection. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/watch/queue_age.h"
#include "service/service.h"
#include "system/journal.h"

struct park_log {
	bool waits; /* told that connections wait */
	uint64_t moved, longest_usec;
	uint64_t turned_away, turned_away_told; /* connections; when it was told last */
};

/* Connections wait; `held`: on purpose, which is known. */
void park_log_waits(struct park_log *log, const struct service *service, bool held);
/* Those in this queue are about to be handed over. */
void park_log_wait(struct park_log *log, const struct queue_age *age, uint64_t now);
void park_log_moved(struct park_log *log, unsigned n);
/* All that was on its way has arrived. */
void park_log_handed_over(struct park_log *log, const struct service *service, uint64_t now);
void park_log_turned_away(struct park_log *log, const struct service *service, unsigned n,
			  uint64_t now);
