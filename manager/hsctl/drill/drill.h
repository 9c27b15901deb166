/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A drill while it runs. verb_drill.c asks and measures, drill_scenarios.c says what is done to the
 * service, drill_stage.c is what scenarios are made of, drill_back.c puts everything back.
 */
#pragma once

#include <signal.h>

#include "hsctl/direct.h"
#include "hsctl/drill/guard.h"
#include "hsctl/drill/prober.h"
#include "hsctl/drill/report.h"

/* The service as it was at the last look. */
struct drill_view {
	bool manager; /* hsd runs */
	unsigned active, n;
	char states[HS_SLOTS_MAX][24];
	bool unhealthy[HS_SLOTS_MAX], unproven[HS_SLOTS_MAX];
	char problems[HS_SLOTS_MAX][160]; /* in hsd's words; "" = none */
	char change[32];		  /* that runs; "" = none */
	bool canary, parked;
	bool spread; /* policy hash: all slots are at work */
};

struct drill {
	const struct arguments *arguments;
	char service[SERVICE_NAME_MAX];
	struct direct direct; /* the kernel side, and systemd */
	sd_bus *bus;	      /* to hsd; NULL: to be opened */
	struct drill_before before;
	struct drill_view seen;
	uint64_t looked;	  /* when: now_usec() */
	struct problem left_over; /* why not all could be put back; "" = all was */

	/* of the run */
	struct drill_run *run; /* NULL: nothing is written down */
	struct drillprober *prober;
	uint32_t harmed;	   /* slots that may be down; the others must stay ready */
	bool putting_back;	   /* which an interrupt does not cut short */
	uint32_t mended;	   /* slots that were spoilt until they were put back */
	uint64_t lead;		   /* how long the prober watches before, between and after */
	uint64_t flip_within;	   /* how long another slot may take to become active */
	struct problem broken;	   /* why the scenario did not go as it must; "" = it does */
	struct problem unmeasured; /* why nothing was done; "" = it was */
};

/* Set by signals that ask us to end. */
extern volatile sig_atomic_t drill_interrupted;
/* Then whoever waits ends early, but for what is put back: that is owed. */
bool drill_is_over(const struct drill *drill);

/* Opens what a drill needs. EXIT_DONE, or another exit code after a complaint. */
int drill_open(struct drill *drill);
void drill_close(struct drill *drill);

/* Looks at the service and writes down what has changed. Negative errno, and `broken`. */
int drill_look(struct drill *drill);
/* Begins anew: what was seen is how things are. */
void drill_begin_looking(struct drill *drill);
/* Writes down what is done. */
_printf_(2, 3) void drill_mark(struct drill *drill, const char *template, ...);
/* From here on these slots are harmed. */
_printf_(3, 4) void drill_mark_harm(struct drill *drill, uint32_t slots, const char *template, ...);
/* The harm has been done. */
void drill_mark_certain(struct drill *drill);
/* The scenario did not go as it must. The first reason counts. */
_printf_(2, 3) void drill_break(struct drill *drill, const char *template, ...);

/* Looks again and again until `until` holds. False when the time is up, which breaks the drill with
 * the sentence `or_else` if that is given, or at an interrupt. */
typedef bool (*drill_condition)(const struct drill *drill, unsigned slot);
bool drill_wait(struct drill *drill, drill_condition until, unsigned slot, uint64_t usec,
		const char *or_else);
/* Goes on looking for this long. */
void drill_pass_time(struct drill *drill, uint64_t usec);
/* Has systemd run a job for the slot's unit, and looks on meanwhile. False when it failed, which
 * breaks the drill, or at an interrupt. */
bool drill_job(struct drill *drill, enum unit_action action, unsigned slot);

bool drill_is_ready(const struct drill *drill, unsigned slot);
bool drill_is_active(const struct drill *drill, unsigned slot);
bool drill_is_not_active(const struct drill *drill, unsigned slot);
bool drill_is_down(const struct drill *drill, unsigned slot);
bool drill_is_not_ready(const struct drill *drill, unsigned slot);
/* All slots that were ready before are so again, hsd is there, and no change runs. */
bool drill_is_whole(const struct drill *drill, unsigned slot);
bool drill_has_manager(const struct drill *drill, unsigned slot);
bool drill_is_idle(const struct drill *drill, unsigned slot);
/* A slot that is ready, healthy and not the active one; of an exclusive service, one that is down,
 * as all but the active one must be. HS_SLOT_NONE when there is none. */
unsigned drill_standby(const struct drill *drill);

/* A signal to all processes of the slot's unit. */
int drill_kill(struct drill *drill, unsigned slot, int signal);
/* A client_progress_fn that looks while hsd is at work; `userdata` is the drill. */
int drill_on_progress(const char *json, void *userdata);
/* Asks hsd for a switchover to this slot. */
int drill_switch(struct drill *drill, unsigned to);
/* Calls this method of the service without arguments; whether it works is not told. */
void drill_call(struct drill *drill, const char *method);

/* Makes each start of the slot's unit run this command first: a drop-in below /run, which is gone
 * with the machine at the latest. */
int drill_spoil(struct drill *drill, unsigned slot, const char *command);
/* Takes it away. Returns 1 if it was there, 0 if not. */
int drill_mend(struct drill *drill, unsigned slot);
bool drill_is_spoilt(const struct drill *drill, unsigned slot);

/* Does to the service what the scenario says, and sees it through. */
void drill_play(struct drill *drill);
/* Continues what was halted, takes drop-ins away, starts what ran before, and makes the slot active
 * that was; by what it finds, so again is no harm. False when not all is back: see `broken`. */
bool drill_put_back(struct drill *drill);
