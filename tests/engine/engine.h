/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A whole service "web" without a booted systemd: the engine as hsd hosts it, with workers in
 * processes of their own, in the namespaces of tests/plane/rig.h. Its units are those
 * of units.h, and behind each that runs is a server of the rig.
 *
 * Between any two turns of the loop, and before each event that is heard, the routing word is
 * sound. A request that is answered a second time fails the test there and then.
 */
#pragma once

#include "../plane/client.h"
#include "../plane/rig.h"
#include "../plane/server.h"
#include "service/request.h"
#include "service/service.h"
#include "service/slot/instance.h"
#include "units.h"
#include "util/macro.h"

/* How far the unit of a slot has come. */
enum play {
	PLAY_DOWN,
	PLAY_STARTING,	 /* ExecStartPre=, and the server before it listens */
	PLAY_START_POST, /* it listens; hsctl adopt has asked and waits */
	PLAY_RUNNING,
	PLAY_STOPPING, /* hsctl retire has asked and waits */
	PLAY_CRASHED,  /* the process has gone, of which systemd has not told yet */
	PLAY_FAILED,
};

/* Somebody who asks. They are the engine's. */
struct asked {
	struct request request;
	struct asked *next;
	bool answered, done;
	enum request_failure failure; /* if it is answered and not done */
	bool is_common;		      /* set before: somebody else than root */
	char text[2048];	      /* the outcome, or why not */
};

struct actor {
	char unit[UNIT_NAME_MAX];
	enum play play, crashed_in;
	bool held;	       /* by the test: it gets no further by itself */
	struct server *server; /* NULL: none */
	struct asked *hook;    /* of hsctl in its unit */
	struct unit_facts facts;
};

#define ENGINE_SLOTS 2

struct engine {
	struct rig *rig;
	sd_event *event;
	struct host host;
	struct workers *workers;
	uint64_t next_revisit;
	bool nudge;
	struct service *service; /* NULL: not managed right now */
	struct actor actors[ENGINE_SLOTS];
	uint32_t ill;  /* slots that are not well, as their probes say: a bit mask */
	unsigned runs; /* of all units, ever */
	struct asked *asked;
	uint64_t word;			   /* as seen last; 0 = not yet */
	unsigned n_events;		   /* heard, ever */
	unsigned ordered[WORK_KIND_COUNT]; /* of workers, ever */
	bool by_hand; /* units get on by actor_step() alone, not with each turn of the loop */
	bool is_loud; /* prints each event */
};

/* Set before engine_begin(): the kernel does not tell of our own queues. */
extern bool engine_lists;

/* `settings`: lines of web.conf. The service is managed, and no unit runs. */
struct engine *engine_begin(const char *settings);
/* Frees the service if it is still managed; then each request must have been answered, and no
 * source of the event loop be left. */
void engine_end(struct engine *engine);

void engine_configure(const char *settings);
/* The service as hsd takes it up, or leaves it when it ends. */
void engine_manage(struct engine *engine);
void engine_leave(struct engine *engine);

/* One turn of the loop, and a step of each unit unless by_hand. Waits for 10 ms at most. */
void engine_turn(struct engine *engine);

#define engine_until(engine, condition)                                                    \
	do {                                                                               \
		for (uint64_t end_ = now_usec() + RIG_DEADLINE_USEC; !(condition);         \
		     engine_turn(engine))                                                  \
			if (now_usec() > end_)                                             \
				engine_give_up(engine, __FILE__, __LINE__, "" #condition); \
	} while (0)
/* Prints how things are. */
void engine_describe(const struct engine *engine);
/* The same, and fails. */
void engine_give_up(const struct engine *engine, const char *file, int line, const char *condition)
	__attribute__((noreturn));

/* For the last argument of call_X(): is answered once. */
struct asked *engine_ask(struct engine *engine);
/* How many were not answered yet. */
unsigned engine_unanswered(const struct engine *engine);

/* The address of the service. */
struct address engine_address(void);
enum slot_state engine_state(const struct engine *engine, unsigned slot);
unsigned engine_active(const struct engine *engine);
/* Both run and are ready, one is active, nothing is under way and nobody waits. */
bool engine_rests(const struct engine *engine);

/* ---- systemd's part ---- */

/* systemctl start, stop, restart: a job. */
void actor_order(struct engine *engine, unsigned slot, enum unit_action action);
/* What comes next in the unit's life, if it is time. */
void actor_step(struct engine *engine, unsigned slot);
/* kill -9 of its process, if there is one. */
void actor_crash(struct engine *engine, unsigned slot);
/* Starts it and waits until it is ready. */
void actor_start(struct engine *engine, unsigned slot);
/* Starts both, slot 0 first. */
void actor_start_all(struct engine *engine);
