/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Telling an instance its role: a signal to its main process or the start of a unit, by systemd.
 * Nothing waits for it: how it ended is told in the journal, once, with the remedy.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>
#include <systemd/sd-bus.h>

#include "core/role.h"

struct telling_order {
	const char *service;
	enum role_change role;
	unsigned slot;
	int other; /* the slot that has the role's other side; -1 = none */
	const struct role_action *action;
	pid_t main_pid; /* of the slot's unit; 0 = none */
	uint32_t uid;	/* who is behind it; JOURNAL_UID_NONE = nobody */
};

struct telling;

/*
 * Begins. The bus must be attached to an event loop. A signal that would end the process, because
 * it handles it not yet, is held back for some seconds, and then not sent at all. Failures end in
 * the journal; there is none to return but -ENOMEM.
 */
int telling_new(sd_bus *bus, const struct telling_order *order, struct telling **ret_telling);
/* Stops caring; systemd goes on with what it was sent. */
struct telling *telling_free(struct telling *telling);

/* systemd has sent the signal, or has a job to start the unit; or it has ended. */
bool telling_is_sent(const struct telling *telling);
/* The process does not handle the signal yet. */
bool telling_is_held(const struct telling *telling);
bool telling_has_ended(const struct telling *telling);
