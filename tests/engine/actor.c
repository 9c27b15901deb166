// SPDX-License-Identifier: GPL-2.0-or-later
/* What systemd does with the unit of a slot, a step at a time. */
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "engine.h"
#include "nth.h"
#include "service/slot/adoption.h"
#include "service/slot/preparation.h"
#include "service/slot/retirement.h"

static void say(struct actor *actor, enum play play, enum unit_state state)
{
	enum unit_action action;

	actor->play = play;
	actor->facts.state = state;
	actor->facts.job_pending = units_find_job(actor->unit, &action);
	units_say(actor->unit, &actor->facts);
}

/* hsctl of one of its commands; without hsd it does as much as is needed, and goes. */
static void run_hook(struct engine *engine, struct actor *actor,
		     void (*call)(struct instance *instance, struct request *request))
{
	unsigned slot = (unsigned)(actor - engine->actors);

	actor->hook = NULL;
	if (!engine->service)
		return;
	actor->hook = engine_ask(engine);
	nth_enter();
	call(engine->service->instances[slot], &actor->hook->request);
	nth_leave();
}

static bool is_waiting(const struct actor *actor)
{
	return actor->hook && !actor->hook->answered;
}

static bool has_job(const struct actor *actor, bool start)
{
	enum unit_action action;

	return units_find_job(actor->unit, &action) &&
	       (start ? action == UNIT_START || action == UNIT_RESTART : action != UNIT_START);
}

static void end_job(struct actor *actor, const char *result)
{
	units_end_job(actor->unit, result);
	say(actor, actor->play, actor->facts.state);
}

static void begin(struct engine *engine, struct actor *actor)
{
	struct server *server = server_start(engine->rig, (unsigned)(actor - engine->actors));

	actor->server = server;
	actor->facts = (struct unit_facts) {.main_pid = server->pid};
	snprintf(actor->facts.control_group, sizeof(actor->facts.control_group), "%s",
		 server->cgroup);
	snprintf(actor->facts.invocation, sizeof(actor->facts.invocation), "%032x", ++engine->runs);
	say(actor, PLAY_STARTING, UNIT_STARTING);
	run_hook(engine, actor, instance_prepare);
}

static void listen_and_serve(struct engine *engine, struct actor *actor)
{
	struct address address = engine_address();

	rig_check(server_listen(actor->server, &address, 0) >= 0);
	server_serve(actor->server, true);
	actor->facts.was_active = true;
	actor->facts.ready_usec = now_usec();
	say(actor, PLAY_START_POST, UNIT_START_POST);
	run_hook(engine, actor, instance_adopt);
}

/* Of the processes nothing is left. */
static void end(struct engine *engine, struct actor *actor, enum play play, enum unit_state state)
{
	server_drop(engine->rig, actor->server);
	actor->server = NULL;
	actor->facts.main_pid = 0;
	actor->facts.control_group[0] = '\0';
	say(actor, play, state);
}

static void fail(struct engine *engine, struct actor *actor)
{
	bool started = actor->crashed_in == PLAY_STARTING || actor->crashed_in == PLAY_START_POST;

	actor->facts.ending = (struct ending) {"signal", CLD_KILLED, SIGKILL};
	end(engine, actor, PLAY_FAILED, UNIT_FAILED);
	if (started && has_job(actor, true))
		end_job(actor, "failed");
}

static void step_down(struct engine *engine, struct actor *actor)
{
	if (has_job(actor, true))
		begin(engine, actor);
	else if (has_job(actor, false))
		end_job(actor, "done");
}

static void step_running(struct engine *engine, struct actor *actor)
{
	if (has_job(actor, false)) {
		say(actor, PLAY_STOPPING, UNIT_STOPPING);
		run_hook(engine, actor, instance_retire);
	} else if (has_job(actor, true)) {
		end_job(actor, "done");
	}
}

static void step_stopping(struct engine *engine, struct actor *actor)
{
	bool restarts = has_job(actor, true);

	end(engine, actor, PLAY_DOWN, UNIT_DOWN);
	if (!restarts && has_job(actor, false))
		end_job(actor, "done");
}

void actor_step(struct engine *engine, unsigned slot)
{
	struct actor *actor = &engine->actors[slot];

	if (actor->held || (is_waiting(actor) && actor->play != PLAY_CRASHED))
		return;
	switch (actor->play) {
	case PLAY_DOWN:
	case PLAY_FAILED:
		step_down(engine, actor);
		break;
	case PLAY_STARTING:
		listen_and_serve(engine, actor);
		break;
	case PLAY_START_POST:
		say(actor, PLAY_RUNNING, UNIT_RUNNING);
		if (has_job(actor, true))
			end_job(actor, "done");
		break;
	case PLAY_RUNNING:
		step_running(engine, actor);
		break;
	case PLAY_STOPPING:
		step_stopping(engine, actor);
		break;
	case PLAY_CRASHED:
		fail(engine, actor);
		break;
	}
}

void actor_order(struct engine *engine, unsigned slot, enum unit_action action)
{
	struct actor *actor = &engine->actors[slot];

	rig_check(unit_job_new(NULL, action, actor->unit, NULL, NULL, NULL) == 0);
	say(actor, actor->play, actor->facts.state);
}

void actor_crash(struct engine *engine, unsigned slot)
{
	struct actor *actor = &engine->actors[slot];

	if (!actor->server)
		return;
	server_kill(actor->server);
	if (actor->play != PLAY_CRASHED)
		actor->crashed_in = actor->play;
	actor->play = PLAY_CRASHED;
}

void actor_start(struct engine *engine, unsigned slot)
{
	actor_order(engine, slot, UNIT_START);
	engine_until(engine, engine->actors[slot].play == PLAY_RUNNING &&
				     engine_state(engine, slot) == SLOT_READY);
}

void actor_start_all(struct engine *engine)
{
	for (unsigned i = 0; i < ENGINE_SLOTS; i++)
		actor_start(engine, i);
}
