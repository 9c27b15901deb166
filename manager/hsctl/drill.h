/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A drill on its way: what is done to the service, what it did, and putting everything back. */
#pragma once

#include <systemd/sd-bus.h>

#include "core/slot.h"
#include "hsctl/arguments.h"
#include "system/drillprober.h"
#include "system/drillreport.h"

/* The service at one moment. */
struct drill_view {
	unsigned active; /* HS_SLOT_NONE = none */
	unsigned n;
	char states[HS_SLOTS_MAX][24];
	bool unhealthy[HS_SLOTS_MAX];
};

struct drill {
	const struct arguments *arguments;
	char service[SERVICE_NAME_MAX];
	sd_bus *systemd;
	struct drillprober *prober; /* NULL before and after a run */
	struct drill_run *run;
	struct drill_view before, seen;
	uint32_t halted;       /* slots that we have stopped by a signal */
	bool spoilt;	       /* a drop-in keeps a unit from starting: see drill_spoil() */
	struct problem broken; /* why the scenario did not go as it must; "" = it does */
};

/* Set by SIGINT and SIGTERM: whoever waits ends early. */
extern volatile sig_atomic_t drill_interrupted;

/* Looks at the service and writes down what has changed. Negative errno, and `broken`. */
int drill_look(struct drill *drill);
/* Writes down what is done. */
void drill_mark(struct drill *drill, const char *template, ...)
	__attribute__((format(printf, 2, 3)));
/* From here on the service is harmed. */
void drill_mark_harm(struct drill *drill, const char *template, ...)
	__attribute__((format(printf, 2, 3)));
/* The scenario did not go as it must. The first reason counts. */
void drill_break(struct drill *drill, const char *template, ...)
	__attribute__((format(printf, 2, 3)));

/* Looks again and again until `until` holds. False when the time is up, which breaks the drill with
 * the sentence `or_else` if that is given, or at an interrupt. */
typedef bool (*drill_condition)(const struct drill *drill, unsigned slot);
bool drill_wait(struct drill *drill, drill_condition until, unsigned slot, uint64_t usec,
		const char *or_else);
/* Goes on looking for this long. */
void drill_pass_time(struct drill *drill, uint64_t usec);

bool drill_is_ready(const struct drill *drill, unsigned slot);
bool drill_is_active(const struct drill *drill, unsigned slot);
bool drill_is_not_active(const struct drill *drill, unsigned slot);
bool drill_all_ready(const struct drill *drill, unsigned slot);
/* A slot that is ready, healthy and not the active one; HS_SLOT_NONE when there is none. */
unsigned drill_standby(const struct drill *drill);

/* A signal to all processes of the slot's unit. */
int drill_kill(struct drill *drill, unsigned slot, int signal);
/* Runs hsctl's own verb against hsd: a change to this slot. */
int drill_switch(struct drill *drill, unsigned to);

/* Makes the next start of the slot's unit fail, as a bad build does: a drop-in below /run, which is
 * gone with the machine at the latest. `spoil` false takes it away. */
int drill_spoil(struct drill *drill, unsigned slot, bool spoil);

/* Does to the service what the scenario says, and sees it through. */
void drill_play(struct drill *drill);
/* Continues what was halted, starts what ran before, and makes the slot active that was. */
void drill_put_back(struct drill *drill);
