/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bus calls that wait for the end of something that takes several turns of the event loop. */
#pragma once

#include <systemd/sd-bus.h>

#define WAITERS_MAX 8

struct waiters {
	sd_bus_message *messages[WAITERS_MAX];
	unsigned n;
};

/* Keeps a reference. NULL is nobody, and fine. -EBUSY: too many wait already. */
int waiters_add(struct waiters *waiters, sd_bus_message *message);

/* Answers all with an error: what they wait for will not be done here, so that they can do it
 * themselves. */
void waiters_refuse(struct waiters *waiters, const char *text);

/* Answers all with {"service","slot","message"} and forgets them. */
void waiters_answer(struct waiters *waiters, const char *service, unsigned slot, const char *text);
