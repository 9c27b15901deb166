/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The user that a unit's server begins as, and so the owner of the sockets that it opens. A dynamic
 * user exists from before ExecStartPre= on; only systemd knows its number. */
#pragma once

#include <systemd/sd-bus.h>

#include "system/unit/units.h"

/* Whether it begins as root: no User=, or that. */
bool owner_is_root(const struct unit_facts *facts);

/* The number of its user, from its own text or /etc/passwd. -EINPROGRESS: systemd must be asked.
 * -ENOLINK: owner_find() must. */
int owner_of(const struct unit_facts *facts, uid_t *ret_uid);

/* From the user database, which may be on other machines and answer after minutes: not for an event
 * loop. -ENOENT: there is no such user. */
int owner_find(const char *name, uid_t *ret_uid);

/* Asks systemd and waits. */
int owner_ask(sd_bus *bus, const struct unit_facts *facts, uid_t *ret_uid);

/* Asks systemd and does not wait. The answer (`error` is 0 or -errno) comes once, unless
 * `*ret_slot` is dropped before. */
struct owner_question;
typedef void (*owner_fn)(int error, uid_t uid, void *userdata);
int owner_question_new(sd_bus *bus, const struct unit_facts *facts, owner_fn on_answer,
		       void *userdata, struct owner_question **ret_question);
struct owner_question *owner_question_free(struct owner_question *question);
