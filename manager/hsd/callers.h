/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who asks over the system bus: what they may see, and how much of hsd's time they may have.
 *
 * The bus says who a sender is when it is asked, and nothing blocks in the loop: what comes from
 * one who is not known yet is held until the bus has answered. Whoever comes by hsd/door.h is root,
 * and none of this concerns it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-bus.h>

#include "system/journal.h"

struct callers;

/* What they ask for: the methods are known above. */
struct callers_ops {
	/* See bus_is_ours() and bus_length(). */
	bool (*is_ours)(sd_bus_message *m);
	int (*length)(sd_bus_message *m);
	/* Carries out a call of ours. */
	void (*dispatch)(sd_bus_message *m, void *userdata);
};

/* `api` is where they ask, `bus` another connection, on which the bus is asked about them. `ops`
 * must outlive it. */
int callers_new(sd_bus *api, sd_bus *bus, const struct callers_ops *ops, void *userdata,
		struct callers **ret_callers);
struct callers *callers_free(struct callers *callers);

/* The user as whom the sender runs; JOURNAL_UID_NONE when that is not known any more. Nobody is
 * asked for it. */
uint32_t callers_uid(struct callers *callers, sd_bus_message *m);
bool callers_is_root(struct callers *callers, sd_bus_message *m);
/* Who it is for the history: as whom the sender runs, and if that is root who has logged in, where
 * the kernel tells us; in which unit; and by which right they may what is not for everybody. */
void callers_actor(struct callers *callers, sd_bus_message *m, struct journal_actor *ret_actor);
/* Whether the sender may see who connects, and what processes of others are called: root, and
 * members of the group hotstandby. */
bool callers_may_see(struct callers *callers, sd_bus_message *m);

/* ---- for who carries out a call later than it came ---- */

/* What is done until callers_end() is charged to this user, and is done by `by`, which must live
 * until then. */
void callers_begin(struct callers *callers, uid_t uid, const struct journal_actor *by);
void callers_end(struct callers *callers);
/* The call that is being carried out costs so much more. */
void callers_charge(struct callers *callers, uint64_t usec);
/* It is one too many: told late. */
void callers_refuse(struct callers *callers, sd_bus_message *m, const char *sentence);
