/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * OnDemote= and OnPromote=: how a server is told its role, and who is to be told what. Pure;
 * telling it is service/slot/telling.h.
 *
 * A server starts in the standby's role, without being told. One promotion is told to each run of a
 * unit that is, or comes to be, the active one; one demotion to a run that was and still lives.
 * What was told last is kept in the kernel (plane/act/told.h), so that it is told once whoever
 * manages.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/name.h"
#include "core/setting.h"

enum role_change { ROLE_DEMOTE, ROLE_PROMOTE, ROLE_CHANGES };

/* "demote", "promote" */
const char *role_change_to_string(enum role_change role);
/* "OnDemote", "OnPromote" */
const char *role_key(enum role_change role);

enum role_means { ROLE_UNTOLD, ROLE_BY_SIGNAL, ROLE_BY_UNIT };

struct role_action {
	enum role_means means;
	int signal;
	char unit[UNIT_NAME_MAX]; /* with specifiers */
};

/* Takes over a value: a signal, as "SIGUSR1", "USR1" or "SIGRTMIN+3", or a unit; empty is neither.
 * -EINVAL: not taken over, and the problem says why. */
int role_parse(const struct setting_text *text, struct role_action *ret_action);

#define ROLE_SIGNAL_MAX 16
/* "SIGUSR1", "SIGRTMIN+3". Returns `text`. */
const char *role_signal_name(int signal, char text[ROLE_SIGNAL_MAX]);

/* The unit to start for a slot: %i is its number, %p the service; a template
 * ("leader@.service") gets the slot's number. -EINVAL: that makes no name of a unit. */
int role_unit(const struct role_action *action, const char *service, unsigned slot,
	      char ret_unit[UNIT_NAME_MAX]);

/* Who was told last that it is active. */
struct role_told {
	bool known; /* else nobody was */
	bool told;  /* by OnPromote=; false: there was none then */
	unsigned slot;
	uint64_t run; /* role_run() */
};

/* One word, for the kernel to keep; 0 = not known. */
uint64_t role_told_pack(const struct role_told *told);
void role_told_unpack(uint64_t word, struct role_told *ret_told);
/* Names a run of a unit, by the first 48 bits of its InvocationID; 0 when it has none. */
uint64_t role_run(const char *invocation);

/* A slot as it is now. */
struct role_slot {
	unsigned slot; /* HS_SLOT_NONE = none */
	bool lives;    /* its unit runs; of the active one also: it has sockets */
	uint64_t run;
};

struct role_now {
	struct role_slot active;
	struct role_slot before;   /* the slot that was told last, as it is now */
	bool wanted[ROLE_CHANGES]; /* there is a setting for it */
};

struct role_order {
	bool record;  /* what was told is another now: `told` */
	bool departs; /* one that still lives gives the role up: let its queue settle first */
	unsigned slots[ROLE_CHANGES]; /* to be told, in this order; HS_SLOT_NONE = nobody */
	struct role_told told;
};

void role_decide(const struct role_told *told, const struct role_now *now,
		 struct role_order *ret_order);
