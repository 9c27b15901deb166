// SPDX-License-Identifier: GPL-2.0-or-later
/* A service of two slots, from its first instance to its end, by what the engine is told and asked.
 */
#include <fcntl.h>
#include <net/if.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../plane/cases.h"
#include "core/ledger.h"
#include "engine.h"
#include "plane/bpf/pins.h"
#include "plane/bpf/tc.h"
#include "plane/fast/fast.h"
#include "plane/front/decap.h"
#include "plane/kernel/cgroup.h"
#include "plane/parts/table.h"
#include "service/slot/adoption.h"
#include "service/slot/preparation.h"
#include "service/slot/retirement.h"
#include "service/slot/states.h"
#include "service/whole/assembly.h"
#include "service/whole/calls.h"
#include "service/whole/calls_slot.h"
#include "service/whole/status.h"
#include "sources.h"

#define QUICK  "Settle=1ms\nDrain=0\n"
#define PROBED QUICK "[Health]\nProbe=tcp\nInterval=100ms\nFall=1\nRise=1\n"

static struct asked *switch_over(struct engine *engine, int to, const char *then)
{
	struct switchover_call call = {
		.to = to, .settle_usec = USEC_INFINITY, .drain_usec = USEC_INFINITY, .then = then};
	struct asked *asked = engine_ask(engine);

	call_switchover(engine->service, &call, &asked->request);
	return asked;
}

static struct asked *fail_over(struct engine *engine, int to)
{
	struct asked *asked = engine_ask(engine);

	call_failover(engine->service, to, &asked->request);
	return asked;
}

static char who_serves(void)
{
	struct address address = engine_address();

	return ask(&address);
}

static void expect_failure(const struct asked *asked, enum request_failure failure,
			   const char *words)
{
	assert_true(asked->answered);
	assert_false(asked->done);
	assert_int_equal(asked->failure, failure);
	if (!strstr(asked->text, words))
		fail_msg("\"%s\" does not say \"%s\"", asked->text, words);
}

static void expect_refusal(const struct asked *asked, const char *words)
{
	expect_failure(asked, REQUEST_REFUSED, words);
}

static void expect_invalid(const struct asked *asked, const char *words)
{
	expect_failure(asked, REQUEST_INVALID, words);
}

static void wait_for(struct engine *engine, const struct asked *asked)
{
	engine_until(engine, asked->answered);
	if (!asked->done)
		fail_msg("%s", asked->text);
}

static void turn_for_a_while(struct engine *engine)
{
	for (unsigned i = 0; i < 20; i++)
		engine_turn(engine);
}

static struct engine *begin_started(const char *settings)
{
	struct engine *engine = engine_begin(settings);

	actor_start_all(engine);
	engine_until(engine, engine_rests(engine));
	assert_int_equal(engine_active(engine), 0);
	assert_int_equal(who_serves(), 'A');
	return engine;
}

static void both_come_up_and_are_adopted(void **state)
{
	struct engine *engine = engine_begin(QUICK);

	(void)state;
	assert_int_equal(engine_active(engine), HS_SLOT_NONE);
	actor_start(engine, 1);
	assert_int_equal(engine_active(engine), 1);
	assert_int_equal(who_serves(), 'B');
	actor_start(engine, 0);
	assert_int_equal(engine_active(engine), 1);
	assert_int_equal(who_serves(), 'B');
	engine_until(engine, engine_rests(engine));
	engine_end(engine);
}

static void those_that_run_already_are_taken_up(void **state)
{
	struct engine *engine = engine_begin(QUICK);

	(void)state;
	engine_leave(engine);
	for (unsigned i = 0; i < ENGINE_SLOTS; i++)
		actor_order(engine, i, UNIT_START);
	engine_until(engine, engine->actors[0].play == PLAY_RUNNING &&
				     engine->actors[1].play == PLAY_RUNNING);
	engine_manage(engine);
	engine_until(engine, engine_rests(engine));
	engine_end(engine);
}

static void a_switchover_is_answered_once(void **state)
{
	struct engine *engine = begin_started(QUICK);
	struct asked *there, *back;

	(void)state;
	there = switch_over(engine, GATE_STANDBY, "keep");
	assert_false(there->answered);
	assert_int_equal(engine_active(engine), 1);
	wait_for(engine, there);
	assert_non_null(strstr(there->text, "\"to\":1"));
	assert_int_equal(who_serves(), 'B');
	back = engine_ask(engine);
	call_rollback(engine->service, &back->request);
	wait_for(engine, back);
	assert_int_equal(who_serves(), 'A');
	engine_until(engine, engine_rests(engine));
	engine_end(engine);
}

static void a_change_waits_until_the_queue_of_the_one_before_has_moved(void **state)
{
	struct engine *engine = begin_started(QUICK);
	struct asked *there = fail_over(engine, 1), *back;

	(void)state;
	wait_for(engine, there);
	assert_non_null(engine->service->instances[0]->move_work);
	back = fail_over(engine, 0);
	assert_int_equal(engine_active(engine), 1);
	engine_until(engine, engine_active(engine) == 0);
	assert_null(engine->service->instances[0]->move_work);
	wait_for(engine, back);
	engine_until(engine, engine_rests(engine));
	engine_end(engine);
}

static void the_old_one_is_restarted_by_a_switchover(void **state)
{
	struct engine *engine = begin_started(QUICK);
	struct asked *asked = switch_over(engine, 1, "restart");
	unsigned runs = engine->runs;
	enum unit_action action;

	(void)state;
	engine->actors[0].held = true;
	engine_until(engine, units_find_job(engine->actors[0].unit, &action));
	assert_int_equal(action, UNIT_RESTART);
	assert_false(asked->answered);
	engine->actors[0].held = false;
	wait_for(engine, asked);
	engine_until(engine, engine_rests(engine));
	assert_int_equal(engine->runs, runs + 1);
	assert_int_equal(who_serves(), 'B');
	engine_end(engine);
}

static void a_switchover_whose_target_is_lost_is_undone(void **state)
{
	struct engine *engine = begin_started("Settle=5s\nRestartOnCrash=no\n");
	struct asked *asked = switch_over(engine, 1, "keep");

	(void)state;
	assert_int_equal(engine_active(engine), 1);
	actor_crash(engine, 1);
	engine_until(engine, asked->answered);
	assert_int_equal(asked->failure, REQUEST_UNDONE);
	assert_int_equal(engine_active(engine), 0);
	assert_int_equal(who_serves(), 'A');
	engine_end(engine);
}

static void the_active_one_that_is_lost_is_followed_and_comes_back(void **state)
{
	struct engine *engine = begin_started(QUICK);
	unsigned runs = engine->runs;

	(void)state;
	/* the end of its process is enough: systemd says nothing yet */
	engine->actors[0].held = true;
	actor_crash(engine, 0);
	assert_int_equal(who_serves(), 'B');
	engine_until(engine, engine_active(engine) == 1);
	engine->actors[0].held = false;
	/* it is started again, and is the standby */
	engine_until(engine, engine->runs > runs && engine_rests(engine));
	assert_int_equal(engine_active(engine), 1);
	engine_end(engine);
}

static void one_that_stops_is_retired_before(void **state)
{
	struct engine *engine = begin_started(QUICK);
	struct actor *actor = &engine->actors[0];

	(void)state;
	actor_order(engine, 0, UNIT_STOP);
	engine_until(engine, actor->play == PLAY_STOPPING);
	actor->held = true;
	engine_until(engine, actor->hook->answered);
	assert_true(actor->hook->done);
	/* and yet lives */
	assert_int_equal(engine_active(engine), 1);
	assert_int_equal(who_serves(), 'B');
	actor->held = false;
	engine_until(engine, engine_state(engine, 0) == SLOT_DOWN);
	actor_start(engine, 0);
	engine_until(engine, engine_rests(engine));
	assert_int_equal(engine_active(engine), 1);
	engine_end(engine);
}

/* What it binds late nobody tells. */
static void a_new_run_is_looked_at_again_soon(void **state)
{
	struct engine *engine = begin_started(QUICK);
	struct instance *instance = engine->service->instances[1];
	char run[sizeof(instance->adopted_run)];
	uint64_t at;

	(void)state;
	memcpy(run, instance->adopted_run, sizeof(run));
	/* the next look of this run is far away */
	engine_until(engine, instance->look_delay >= 800 * USEC_PER_MSEC);
	actor_order(engine, 1, UNIT_RESTART);
	engine_until(engine, strcmp(instance->adopted_run, run) && instance->look_source &&
				     !instance_is_adopting(instance));
	assert_int_equal(sd_event_source_get_time(instance->look_source, &at), 0);
	assert_true(at < now_usec() + 100 * USEC_PER_MSEC);
	engine_until(engine, engine_rests(engine));
	engine_end(engine);
}

/* It has no main process whose end could be seen, and what systemd tells comes after ExecStop= has
 * called. */
static void one_that_ends_by_itself_is_started_again(void **state)
{
	struct engine *engine = begin_started(QUICK);
	struct actor *actor = &engine->actors[0];
	struct asked *asked = engine_ask(engine);
	unsigned runs = engine->runs;

	(void)state;
	actor->held = true;
	actor->facts.main_pid = 0;
	units_say(actor->unit, &actor->facts);
	engine_until(engine, !instance_facts(engine->service->instances[0])->main_pid);
	actor->facts.state = UNIT_STOPPING;
	units_hide(actor->unit, &actor->facts);
	instance_retire(engine->service->instances[0], &asked->request);
	wait_for(engine, asked);
	assert_int_equal(engine_active(engine), 1);
	actor_crash(engine, 0);
	actor->held = false;
	engine_until(engine, engine->runs > runs && engine_rests(engine));
	assert_int_equal(engine_active(engine), 1);
	engine_end(engine);
}

/* Its sockets were being looked at just then, and others have them still: nobody asks for it by
 * ExecStop=. */
static void one_that_ends_by_itself_while_it_is_adopted_is_left(void **state)
{
	struct engine *engine = begin_started(QUICK);
	struct instance *instance = engine->service->instances[0];
	struct actor *actor = &engine->actors[0];

	(void)state;
	actor->held = true;
	instance_adopt(instance, NULL);
	engine_until(engine, instance->adopt_work);
	actor->facts.state = UNIT_STOPPING;
	units_say(actor->unit, &actor->facts);
	engine_until(engine, engine_active(engine) == 1);
	assert_int_equal(who_serves(), 'B');
	actor_crash(engine, 0);
	actor->held = false;
	engine_until(engine, engine_rests(engine));
	engine_end(engine);
}

/* Of a later version, for one that serves. */
static void a_state_that_nobody_knows_is_no_end(void **state)
{
	struct engine *engine = begin_started(QUICK);
	struct actor *actor = &engine->actors[0];

	(void)state;
	actor->held = true;
	actor->facts.state = UNIT_UNKNOWN;
	units_say(actor->unit, &actor->facts);
	engine_until(engine, engine_state(engine, 0) == SLOT_UNKNOWN && !engine->service->events.n);
	assert_int_equal(engine_active(engine), 0);
	assert_int_equal(who_serves(), 'A');
	actor->facts.state = UNIT_RUNNING;
	units_say(actor->unit, &actor->facts);
	actor->held = false;
	engine_until(engine, engine_state(engine, 0) == SLOT_READY && engine_rests(engine));
	assert_int_equal(engine_active(engine), 0);
	engine_end(engine);
}

static void who_retires_one_by_hand_does_not_wait_for_its_end(void **state)
{
	struct engine *engine = begin_started(QUICK);
	struct instance *instance = engine->service->instances[0];
	struct asked *asked = engine_ask(engine);
	unsigned heard = engine->n_events;

	(void)state;
	instance_retire(instance, &asked->request);
	/* what systemd answers */
	engine_until(engine, engine->n_events > heard);
	assert_null(instance->news_source);
	wait_for(engine, asked);
	assert_int_equal(engine_active(engine), 1);
	assert_int_equal(engine_state(engine, 0), SLOT_LEAVING);
	engine_end(engine);
}

static void without_any_slot_clients_wait_for_the_next(void **state)
{
	struct engine *engine = begin_started(QUICK);
	struct address address = engine_address();
	char answer;
	int fd;

	(void)state;
	for (unsigned i = 0; i < ENGINE_SLOTS; i++)
		actor_order(engine, i, UNIT_STOP);
	engine_until(engine,
		     engine->actors[0].play == PLAY_DOWN && engine->actors[1].play == PLAY_DOWN);
	fd = client_connect(&address);
	assert_true(fd >= 0);
	client_send(fd, '?');
	actor_start(engine, 1);
	engine_until(engine, recv(fd, &answer, 1, MSG_DONTWAIT) == 1);
	assert_int_equal(answer, 'B');
	close_fd(fd);
	assert_int_equal(engine_active(engine), 1);
	engine_end(engine);
}

static void a_change_while_one_runs_is_refused(void **state)
{
	struct engine *engine = begin_started("Settle=1ms\nDrain=1h\n");
	struct address address = engine_address();
	int fd = client_connect(&address);
	struct asked *first, *refused[3];

	(void)state;
	assert_int_equal(client_ask(fd), 'A');
	first = switch_over(engine, 1, "keep");
	refused[0] = switch_over(engine, 0, "keep");
	refused[1] = fail_over(engine, 0);
	refused[2] = engine_ask(engine);
	call_upgrade(engine->service, &(struct upgrade_order) {.smoke = ""}, &refused[2]->request);
	for (unsigned i = 0; i < ARRAY_SIZE(refused); i++)
		expect_refusal(refused[i], "is running");
	assert_int_equal(service_busy(engine->service), SERVICE_CHANGE);
	assert_false(first->answered);
	/* it was this that the change has waited for */
	close_fd(fd);
	wait_for(engine, first);
	assert_int_equal(engine_active(engine), 1);
	engine_end(engine);
}

static void a_change_without_a_standby_is_refused(void **state)
{
	struct engine *engine = engine_begin(QUICK);

	(void)state;
	actor_start(engine, 0);
	engine_until(engine, !host_busy(&engine->host));
	expect_refusal(switch_over(engine, 1, "keep"), "down");
	assert_int_equal(engine_active(engine), 0);
	engine_end(engine);
}

/* What has no timer would never end. */
/* Whoever asks may ask for anything. */
static void what_makes_no_sense_is_refused(void **state)
{
	const struct switchover_call slow = {.to = 1,
					     .settle_usec = CONFIG_SETTLE_MAX + 1,
					     .then = ""},
				     strange = {.to = 1, .then = "dance"},
				     far = {.to = HS_SLOTS_MAX, .then = "keep"};
	const struct upgrade_order late = {.smoke = "", .hold_usec = CONFIG_DRAIN_MAX + 1};
	const struct canary_call by_moon = {.share = 1, .to = 1, .by = "moon", .from = ""},
				 whole = {.share = 65536, .to = 1, .by = "client", .from = ""};
	struct engine *engine = begin_started(QUICK);
	struct service *service = engine->service;
	uint64_t word = plane_word(service->plane);
	struct asked *asked[10];

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(asked); i++)
		asked[i] = engine_ask(engine);
	call_switchover(service, &slow, &asked[0]->request);
	expect_invalid(asked[0], "settle may be 10 minutes at the most");
	call_switchover(service, &strange, &asked[1]->request);
	expect_invalid(asked[1], "\"dance\" is not keep, stop or restart");
	call_switchover(service, &far, &asked[2]->request);
	expect_refusal(asked[2], "web has no slot 16");
	call_upgrade(service, &late, &asked[3]->request);
	expect_invalid(asked[3], "a time is longer than 7d");
	call_drain(service, 0, CONFIG_DRAIN_MAX + 1, &asked[4]->request);
	expect_invalid(asked[4], "the deadline may be 7 days at the most");
	call_set_policy(service, "fair", &asked[5]->request);
	expect_invalid(asked[5], "\"fair\" is not standby, parity or hash");
	call_set_canary(service, &by_moon, &asked[6]->request);
	expect_invalid(asked[6], "\"moon\" is not connection or client");
	call_set_canary(service, &whole, &asked[7]->request);
	expect_invalid(asked[7], "the share is 0 to 65535");
	call_cancel_upgrade(service, &asked[8]->request);
	expect_refusal(asked[8], "no upgrade is under way");
	call_cancel_drain(service, &asked[9]->request);
	expect_refusal(asked[9], "no drain is under way");
	assert_true(plane_word(service->plane) == word && engine_rests(engine));
	engine_end(engine);
}

/* Whoever hosts the engine, these are its limits. */
static void an_upgrade_has_so_many_steps_each_a_share(void **state)
{
	struct upgrade_order many = {.smoke = "",
				     .n_canary = UPGRADE_CANARY_STEPS_MAX + 1,
				     .ready_usec = USEC_INFINITY},
			     whole = {.smoke = "",
				      .n_canary = 1,
				      .canary = {WORD_SHARE_MAX + 1},
				      .ready_usec = USEC_INFINITY};
	struct engine *engine = begin_started(QUICK);
	struct asked *asked[2] = {engine_ask(engine), engine_ask(engine)};

	(void)state;
	call_upgrade(engine->service, &many, &asked[0]->request);
	expect_invalid(asked[0], "at most 8 canary steps");
	call_upgrade(engine->service, &whole, &asked[1]->request);
	expect_invalid(asked[1], "each below 100%");
	assert_true(engine_rests(engine));
	engine_end(engine);
}

static void only_root_names_what_is_run_as_root(void **state)
{
	struct upgrade_order order = {
		.smoke = "true", .smoke_usec = USEC_PER_SEC, .ready_usec = USEC_INFINITY};
	struct engine *engine = begin_started(QUICK);
	struct asked *asked = engine_ask(engine);

	(void)state;
	asked->is_common = true;
	call_upgrade(engine->service, &order, &asked->request);
	expect_failure(asked, REQUEST_DENIED, "only root may name one");
	order.smoke = "";
	asked = engine_ask(engine);
	asked->is_common = true;
	call_upgrade(engine->service, &order, &asked->request);
	wait_for(engine, asked);
	engine_until(engine, engine_rests(engine));
	engine_end(engine);
}

static void slots_that_there_are_not_are_refused(void **state)
{
	static void (*const calls[])(struct service *, unsigned,
				     struct request *) = {call_prepare, call_adopt, call_retire};
	struct engine *engine = begin_started(QUICK);

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(calls); i++) {
		struct asked *asked[2] = {engine_ask(engine), engine_ask(engine)};

		calls[i](engine->service, ENGINE_SLOTS, &asked[0]->request);
		expect_refusal(asked[0], "web has 2 slots and no slot 2; raise Slots= in web.conf");
		calls[i](engine->service, UINT32_MAX, &asked[1]->request);
		expect_refusal(asked[1], "no slot 4294967295");
	}
	assert_true(engine_rests(engine));
	engine_end(engine);
}

static void what_cannot_be_timed_does_not_begin(void **state)
{
	struct engine *engine = begin_started(QUICK);
	struct upgrade_order order = {.smoke = "", .ready_usec = USEC_INFINITY};
	struct asked *asked[3];

	(void)state;
	sources_refuse(true);
	asked[0] = switch_over(engine, 1, "keep");
	asked[1] = fail_over(engine, 1);
	asked[2] = engine_ask(engine);
	call_upgrade(engine->service, &order, &asked[2]->request);
	sources_refuse(false);
	for (unsigned i = 0; i < ARRAY_SIZE(asked); i++) {
		assert_true(asked[i]->answered);
		assert_int_equal(asked[i]->failure, REQUEST_FAILED);
	}
	assert_true(engine_rests(engine));
	assert_int_equal(engine_active(engine), 0);
	engine_end(engine);
}

static void an_upgrade_restarts_both(void **state)
{
	struct engine *engine = begin_started(QUICK);
	struct upgrade_order order = {.smoke = "", .ready_usec = USEC_INFINITY};
	struct asked *asked = engine_ask(engine);
	unsigned runs = engine->runs;

	(void)state;
	call_upgrade(engine->service, &order, &asked->request);
	wait_for(engine, asked);
	assert_int_equal(engine->runs, runs + 2);
	engine_until(engine, engine_rests(engine));
	assert_int_equal(engine_active(engine), 1);
	engine_end(engine);
}

static void an_upgrade_whose_new_one_fails_is_undone(void **state)
{
	struct engine *engine = begin_started(QUICK "RestartOnCrash=no\n");
	struct upgrade_order order = {.smoke = "", .ready_usec = USEC_INFINITY};
	struct asked *asked = engine_ask(engine);
	struct actor *actor = &engine->actors[1];

	(void)state;
	call_upgrade(engine->service, &order, &asked->request);
	engine_until(engine, actor->play == PLAY_STARTING);
	actor_crash(engine, 1);
	engine_until(engine, asked->answered);
	assert_false(asked->done);
	assert_int_equal(engine_active(engine), 0);
	assert_int_equal(who_serves(), 'A');
	engine_end(engine);
}

/* Never both: the old one is started again. */
static void an_exclusive_upgrade_whose_new_one_fails_goes_back(void **state)
{
	struct engine *engine = engine_begin(QUICK "Exclusive=yes\nRestartOnCrash=no\n");
	struct upgrade_order order = {.smoke = "", .ready_usec = USEC_INFINITY};
	struct asked *asked = engine_ask(engine);
	struct actor *old = &engine->actors[0], *new = &engine->actors[1];
	unsigned runs;

	(void)state;
	actor_start(engine, 0);
	runs = engine->runs;
	call_upgrade(engine->service, &order, &asked->request);
	engine_until(engine, new->play == PLAY_STARTING);
	assert_true(old->play == PLAY_DOWN || old->play == PLAY_FAILED);
	actor_crash(engine, 1);
	engine_until(engine, asked->answered);
	assert_int_equal(asked->failure, REQUEST_UNDONE);
	assert_int_equal(engine->runs, runs + 2);
	assert_int_equal(old->play, PLAY_RUNNING);
	assert_int_equal(engine_active(engine), 0);
	assert_int_equal(who_serves(), 'A');
	engine_end(engine);
}

static void so_does_one_whose_new_one_is_lost_in_its_probation(void **state)
{
	struct engine *engine = engine_begin(QUICK "Exclusive=yes\nRestartOnCrash=no\n");
	struct upgrade_order order = {
		.smoke = "", .ready_usec = USEC_INFINITY, .probation_usec = 3600 * USEC_PER_SEC};
	struct asked *asked = engine_ask(engine);
	struct actor *old = &engine->actors[0];

	(void)state;
	actor_start(engine, 0);
	call_upgrade(engine->service, &order, &asked->request);
	engine_until(engine, engine_active(engine) == 1 && engine_state(engine, 1) == SLOT_READY);
	turn_for_a_while(engine);
	assert_false(asked->answered);
	assert_int_equal(who_serves(), 'B');
	actor_crash(engine, 1);
	engine_until(engine, asked->answered);
	assert_int_equal(asked->failure, REQUEST_UNDONE);
	assert_int_equal(old->play, PLAY_RUNNING);
	assert_int_equal(engine_active(engine), 0);
	assert_int_equal(who_serves(), 'A');
	engine_end(engine);
}

/* systemd has done what it was told to do. */
static void an_upgrade_whose_new_one_ends_at_once_is_undone(void **state)
{
	struct engine *engine = begin_started(QUICK "RestartOnCrash=no\n");
	struct upgrade_order order = {.smoke = "", .ready_usec = USEC_INFINITY};
	struct asked *asked = engine_ask(engine);
	struct actor *actor = &engine->actors[1];

	(void)state;
	call_upgrade(engine->service, &order, &asked->request);
	engine_until(engine, actor->play == PLAY_STARTING);
	actor->held = true;
	actor_crash(engine, 1);
	actor->facts.state = UNIT_FAILED;
	actor->facts.main_pid = 0;
	units_hide(actor->unit, &actor->facts);
	units_end_job(actor->unit, "done");
	engine_until(engine, asked->answered);
	assert_int_equal(asked->failure, REQUEST_UNDONE);
	assert_non_null(strstr(asked->text, "has ended as soon as it had started"));
	assert_int_equal(engine_active(engine), 0);
	engine_end(engine);
}

/* ---- a host that wants nothing beyond what it asks for, as hsctl without hsd ---- */

static void stand_in(struct engine *engine)
{
	engine_leave(engine);
	engine->host.parts = HOST_ANY;
	rig_check(service_new(&engine->host, "web", &engine->service) == 0);
	rig_check(engine->service->plane && !engine->service->park);
	engine_until(engine, service_is_known(engine->service));
}

static void end_as_hsd(struct engine *engine)
{
	engine_leave(engine);
	engine->host.parts = HOST_ALL;
	engine_manage(engine);
	engine_until(engine, engine_rests(engine));
	engine_end(engine);
}

/* ---- drain ---- */

static struct asked *drain(struct engine *engine, unsigned slot, uint64_t patience_usec)
{
	struct asked *asked = engine_ask(engine);

	call_drain(engine->service, slot, patience_usec, &asked->request);
	return asked;
}

static int connect_to_a(void)
{
	struct address address = engine_address();
	int fd = client_connect(&address);

	assert_int_equal(client_ask(fd), 'A');
	return fd;
}

static void a_drain_ends_with_the_last_connection(void **state)
{
	struct engine *engine = begin_started(QUICK);
	int fd = connect_to_a();
	struct asked *asked = drain(engine, 0, USEC_PER_SEC * 3600);

	(void)state;
	engine_until(engine, engine_state(engine, 0) == SLOT_LEAVING);
	assert_int_equal(who_serves(), 'B');
	assert_int_equal(service_busy(engine->service), SERVICE_DRAIN);
	expect_refusal(switch_over(engine, 0, "keep"), "is running");
	expect_refusal(drain(engine, 0, 0), "is running");
	assert_false(asked->answered);
	close_fd(fd);
	wait_for(engine, asked);
	assert_non_null(strstr(asked->text, "\"outcome\":\"drained\",\"finished\":1"));
	assert_int_equal(service_busy(engine->service), SERVICE_IDLE);
	engine_end(engine);
}

static void what_is_left_at_the_deadline_of_a_drain_stops_with_its_slot(void **state)
{
	struct engine *engine = begin_started(QUICK);
	int fd = connect_to_a();
	struct asked *asked = drain(engine, 0, 0);

	(void)state;
	wait_for(engine, asked);
	assert_non_null(strstr(asked->text, "\"outcome\":\"stopped\""));
	assert_int_equal(engine->actors[0].play, PLAY_DOWN);
	assert_int_equal(engine_active(engine), 1);
	close_fd(fd);
	engine_end(engine);
}

static void a_drain_that_is_cancelled_does_nothing_more(void **state)
{
	struct engine *engine = begin_started(QUICK);
	int fd = connect_to_a();
	struct asked *asked = drain(engine, 0, USEC_PER_SEC * 3600), *cancel = engine_ask(engine);

	(void)state;
	engine_until(engine, engine_state(engine, 0) == SLOT_LEAVING);
	call_cancel_drain(engine->service, &cancel->request);
	assert_true(cancel->done);
	assert_true(asked->answered && !asked->done);
	assert_non_null(strstr(asked->text, "interrupted; slot 0 of web stays out of service"));
	assert_int_equal(client_ask(fd), 'A');
	close_fd(fd);
	engine_end(engine);
}

/* Its sockets are still in the map: who is to take over went away as the drain began, and comes
 * back. */
static void one_that_is_cancelled_before_it_has_left_stays_out(void **state)
{
	struct engine *engine = begin_started(QUICK);
	const struct instance *instance = engine->service->instances[0];
	struct plane *plane = engine->service->plane;
	struct asked *adopt = engine_ask(engine), *cancel = engine_ask(engine), *asked;

	(void)state;
	instance_adopt(engine->service->instances[0], &adopt->request);
	engine_until(engine, instance_is_adopting(instance));
	asked = drain(engine, 0, USEC_PER_SEC * 3600);
	actor_crash(engine, 1);
	engine->actors[1].held = true;
	engine_until(engine, instance->patience_source);
	call_cancel_drain(engine->service, &cancel->request);
	assert_true(cancel->done && asked->answered && !asked->done);
	assert_true(plane_slot_sockets(plane, 0));
	engine->actors[1].held = false;
	engine_until(engine, !plane_slot_sockets(plane, 0) && !instance_is_retiring(instance));
	assert_true(plane_is_drained(plane, 0));
	assert_int_equal(who_serves(), 'B');
	engine_end(engine);
}

static void a_drained_slot_that_is_taken_back_is_not_stopped(void **state)
{
	struct engine *engine = begin_started(QUICK);
	int fd = connect_to_a();
	struct asked *asked = drain(engine, 0, USEC_PER_SEC * 3600), *adopt = engine_ask(engine);

	(void)state;
	engine_until(engine, engine_state(engine, 0) == SLOT_LEAVING &&
				     !instance_is_retiring(engine->service->instances[0]));
	instance_adopt(engine->service->instances[0], &adopt->request);
	engine_until(engine, asked->answered);
	assert_int_equal(asked->failure, REQUEST_UNDONE);
	engine_until(engine, engine_rests(engine));
	close_fd(fd);
	engine_end(engine);
}

static void a_drain_takes_nobody_away(void **state)
{
	struct engine *engine = engine_begin(QUICK);

	(void)state;
	actor_start(engine, 0);
	expect_refusal(drain(engine, 0, 0), "no other slot is ready to take over");
	expect_refusal(drain(engine, 1, 0), "slot 1 is down, there is nothing to drain");
	expect_refusal(drain(engine, 7, 0), "has no slot 7");
	assert_int_equal(who_serves(), 'A');
	engine_end(engine);
}

/* ---- a drain that the next host finds ---- */

/* Slot 0 is being drained, and one connection is left. Nobody manages the service. */
static int leave_in_a_drain(struct engine *engine, uint64_t patience_usec)
{
	int fd = connect_to_a();
	struct asked *asked = drain(engine, 0, patience_usec);

	engine_until(engine, engine_state(engine, 0) == SLOT_LEAVING &&
				     !instance_is_retiring(engine->service->instances[0]));
	engine_leave(engine);
	assert_int_equal(asked->failure, REQUEST_LEFT);
	assert_non_null(strstr(asked->text, "the next hsd goes on"));
	return fd;
}

static void take_back(struct engine *engine, unsigned slot)
{
	struct asked *asked = engine_ask(engine);

	instance_adopt(engine->service->instances[slot], &asked->request);
	wait_for(engine, asked);
}

/* Nothing is noted for the next host. */
static void end_undrained(struct engine *engine)
{
	struct plane_drain drain;

	engine_until(engine, engine_rests(engine));
	assert_false(plane_drain(engine->service->plane, &drain));
	assert_false(plane_is_drained(engine->service->plane, 0));
	engine_end(engine);
}

static void a_drain_goes_on_with_the_next(void **state)
{
	struct engine *engine = begin_started("Settle=1ms\nDrainEnd=keep\n");
	int fd = leave_in_a_drain(engine, USEC_PER_SEC * 3600);

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		engine_manage(engine);
		engine_until(engine, engine->service->runs[SERVICE_DRAIN]);
		assert_int_equal(engine_state(engine, 0), SLOT_LEAVING);
		expect_refusal(switch_over(engine, 0, "keep"), "is running");
		assert_int_equal(client_ask(fd), 'A');
		assert_int_equal(who_serves(), 'B');
		if (!i)
			engine_leave(engine);
	}
	close_fd(fd);
	engine_until(engine, service_busy(engine->service) == SERVICE_IDLE);
	/* it is drained, and stays so for whoever comes */
	engine_leave(engine);
	engine_manage(engine);
	turn_for_a_while(engine);
	assert_int_equal(engine_state(engine, 0), SLOT_LEAVING);
	assert_int_equal(service_busy(engine->service), SERVICE_IDLE);
	take_back(engine, 0);
	assert_int_equal(engine_active(engine), 1);
	end_undrained(engine);
}

static void its_deadline_is_the_one_that_was_asked_for(void **state)
{
	struct engine *engine = begin_started(QUICK);
	uint64_t begun = now_usec();
	int fd = leave_in_a_drain(engine, 2 * USEC_PER_SEC);

	(void)state;
	engine_manage(engine);
	engine_until(engine, engine->actors[0].play == PLAY_DOWN);
	assert_in_range(now_usec() - begun, 2 * USEC_PER_SEC, 5 * USEC_PER_SEC);
	engine_until(engine, service_busy(engine->service) == SERVICE_IDLE);
	close_fd(fd);
	actor_start(engine, 0);
	end_undrained(engine);
}

static void a_deadline_that_has_passed_meanwhile_is_over(void **state)
{
	struct engine *engine = begin_started(QUICK);
	int fd = leave_in_a_drain(engine, 0);

	(void)state;
	engine_manage(engine);
	engine_until(engine, engine->actors[0].play == PLAY_DOWN);
	close_fd(fd);
	actor_start(engine, 0);
	end_undrained(engine);
}

static void one_that_runs_anew_meanwhile_is_drained_no_more(void **state)
{
	struct engine *engine = begin_started(QUICK);
	int fd = leave_in_a_drain(engine, USEC_PER_SEC * 3600);

	(void)state;
	close_fd(fd);
	stand_in(engine);
	engine_leave(engine);
	actor_order(engine, 0, UNIT_RESTART);
	engine_until(engine, engine->runs == 3 && engine->actors[0].play == PLAY_RUNNING);
	stand_in(engine);
	take_back(engine, 0);
	end_as_hsd(engine);
}

static void one_that_is_to_leave_still_leaves(void **state)
{
	struct engine *engine = begin_started(QUICK);
	struct plane *plane = engine->service->plane;
	struct plane_drain noted = {.slot = 0, .deadline_sec = now_usec() / USEC_PER_SEC + 3600};
	int fd = connect_to_a();

	(void)state;
	plane_note_drain(plane, &noted);
	plane_set_drained(plane, 0, true);
	engine_leave(engine);
	engine_manage(engine);
	engine_until(engine, engine->service->runs[SERVICE_DRAIN]);
	engine_until(engine, engine_state(engine, 0) == SLOT_LEAVING);
	assert_int_equal(who_serves(), 'B');
	close_fd(fd);
	engine_until(engine, service_busy(engine->service) == SERVICE_IDLE);
	take_back(engine, 0);
	end_undrained(engine);
}

static void one_that_would_leave_nobody_stays(void **state)
{
	struct engine *engine = begin_started("RestartOnCrash=no\n" QUICK);
	struct plane *plane = engine->service->plane;
	struct plane_drain noted = {.slot = 0, .deadline_sec = now_usec() / USEC_PER_SEC + 3600};

	(void)state;
	plane_note_drain(plane, &noted);
	plane_set_drained(plane, 0, true);
	engine_leave(engine);
	actor_order(engine, 1, UNIT_STOP);
	engine_until(engine, engine->actors[1].play == PLAY_DOWN);
	engine_manage(engine);
	engine_until(engine, service_is_known(engine->service) &&
				     service_busy(engine->service) == SERVICE_IDLE &&
				     engine_state(engine, 0) == SLOT_READY);
	assert_int_equal(who_serves(), 'A');
	actor_start(engine, 1);
	end_undrained(engine);
}

static uint64_t drains_counted(struct engine *engine)
{
	const struct ledger *ledger = plane_ledger(engine->service->plane);
	uint64_t n = 0;

	for (unsigned i = 0; i < LEDGER_OUTCOME_COUNT; i++)
		n += ledger->changes[LEDGER_DRAIN].ended[i];
	return n;
}

/* What another host does that goes on with it, too. */
static void end_for_another(struct engine *engine)
{
	struct plane_drain drain;

	engine_until(engine, engine_state(engine, 0) == SLOT_LEAVING);
	assert_true(plane_drain(engine->service->plane, &drain));
	assert_true(plane_forget_drain(engine->service->plane, &drain));
	assert_false(plane_forget_drain(engine->service->plane, &drain));
}

/* Two go on with it: who has it told to end has it ended for both. */
static void one_that_is_noted_no_more_ends(void **state)
{
	struct engine *engine = begin_started(QUICK);
	int fd = connect_to_a();
	struct asked *asked = drain(engine, 0, USEC_PER_SEC * 3600);

	(void)state;
	end_for_another(engine);
	engine_until(engine, asked->answered);
	assert_non_null(strstr(asked->text, "interrupted; slot 0 of web stays out of service"));
	assert_int_equal(engine->actors[0].play, PLAY_RUNNING);
	close_fd(fd);
	take_back(engine, 0);
	end_undrained(engine);
}

/* At the deadline the other was faster: it ends for both as it is to end, and is one drain. */
static void two_that_end_it_at_the_deadline_count_once(void **state)
{
	struct engine *engine = begin_started(QUICK);
	int fd = leave_in_a_drain(engine, 3 * USEC_PER_SEC / 2);
	struct plane_drain noted;

	(void)state;
	engine_manage(engine);
	engine_until(engine, engine->service->runs[SERVICE_DRAIN]);
	assert_true(plane_drain(engine->service->plane, &noted));
	engine_until(engine, now_usec() / USEC_PER_SEC + 1 >= noted.deadline_sec);
	end_for_another(engine);
	engine_until(engine, engine->actors[0].play == PLAY_DOWN);
	engine_until(engine, service_busy(engine->service) == SERVICE_IDLE);
	assert_int_equal(drains_counted(engine), 0);
	close_fd(fd);
	actor_start(engine, 0);
	wait_for(engine, drain(engine, 0, 0));
	assert_int_equal(drains_counted(engine), 1);
	take_back(engine, 0);
	end_undrained(engine);
}

static void who_stands_in_drains(void **state)
{
	struct engine *engine = begin_started(QUICK);
	struct asked *asked;
	int fd = connect_to_a();

	(void)state;
	stand_in(engine);
	asked = drain(engine, 0, USEC_PER_SEC * 3600);
	engine_until(engine, engine_state(engine, 0) == SLOT_LEAVING);
	assert_int_equal(who_serves(), 'B');
	/* it is gone before the end */
	engine_leave(engine);
	assert_false(asked->done);
	stand_in(engine);
	expect_refusal(drain(engine, 1, 0), "no other slot is ready");
	asked = drain(engine, 0, 0);
	wait_for(engine, asked);
	assert_non_null(strstr(asked->text, "\"outcome\":\"stopped\""));
	assert_int_equal(engine->actors[0].play, PLAY_DOWN);
	close_fd(fd);
	actor_order(engine, 0, UNIT_START);
	engine_until(engine, engine->actors[0].play == PLAY_RUNNING);
	end_as_hsd(engine);
}

static void who_stands_in_leaves_an_upgrade_to_hsd(void **state)
{
	struct engine *engine = begin_started(QUICK);
	struct plane_upgrade upgrade = {.state = UPGRADE_READY, .from = 0, .to = 1};

	(void)state;
	plane_set_upgrade(engine->service->plane, &upgrade);
	stand_in(engine);
	expect_refusal(drain(engine, 0, 0), "hsd was gone in the middle of an upgrade");
	plane_set_upgrade(engine->service->plane, NULL);
	end_as_hsd(engine);
}

/* ---- where one may run at a time ---- */

#define EXCLUSIVE QUICK "Exclusive=yes\n"

static bool serves_alone(const struct engine *engine, unsigned slot)
{
	return engine->actors[slot].play == PLAY_RUNNING &&
	       engine->actors[!slot].play == PLAY_DOWN &&
	       engine_state(engine, slot) == SLOT_READY && engine_active(engine) == slot &&
	       service_busy(engine->service) == SERVICE_IDLE && !engine_unanswered(engine);
}

static struct engine *begin_exclusive(void)
{
	struct engine *engine = engine_begin(EXCLUSIVE);

	actor_start(engine, 0);
	engine_until(engine, serves_alone(engine, 0));
	assert_int_equal(who_serves(), 'A');
	return engine;
}

static void one_takes_turns_with_another(void **state)
{
	struct engine *engine = begin_exclusive();
	struct asked *there = switch_over(engine, 1, "keep"), *back;

	(void)state;
	assert_false(there->answered);
	wait_for(engine, there);
	engine_until(engine, serves_alone(engine, 1));
	assert_int_equal(who_serves(), 'B');
	back = engine_ask(engine);
	call_rollback(engine->service, &back->request);
	wait_for(engine, back);
	engine_until(engine, serves_alone(engine, 0));
	assert_int_equal(who_serves(), 'A');
	engine_end(engine);
}

/* Else it would begin when the first one has ended, and lead back. */
static void a_second_turn_is_refused_also_while_the_first_one_comes_up(void **state)
{
	struct engine *engine = begin_exclusive();
	struct asked *asked = switch_over(engine, GATE_STANDBY, "keep");

	(void)state;
	engine_until(engine, engine->actors[1].play == PLAY_START_POST);
	engine->actors[1].held = true;
	engine_until(engine,
		     instance_facts(engine->service->instances[1])->state == UNIT_START_POST);
	expect_refusal(switch_over(engine, GATE_STANDBY, "keep"), "is running");
	engine->actors[1].held = false;
	wait_for(engine, asked);
	engine_until(engine, serves_alone(engine, 1));
	engine_end(engine);
}

static void one_whose_turn_fails_gives_it_back(void **state)
{
	struct engine *engine = begin_exclusive();
	struct asked *asked = switch_over(engine, 1, "keep");

	(void)state;
	engine_until(engine, engine->actors[1].play == PLAY_STARTING);
	actor_crash(engine, 1);
	engine_until(engine, asked->answered);
	assert_false(asked->done);
	assert_int_equal(asked->failure, REQUEST_UNDONE);
	engine_until(engine, engine_active(engine) == 0 && engine_state(engine, 0) == SLOT_READY);
	assert_int_equal(who_serves(), 'A');
	engine_end(engine);
}

static void a_turn_that_is_left_is_taken_by_the_next(void **state)
{
	struct engine *engine = begin_exclusive();
	struct asked *asked = switch_over(engine, 1, "keep");

	(void)state;
	engine_until(engine, engine->actors[1].play == PLAY_STARTING);
	engine_leave(engine);
	assert_int_equal(asked->failure, REQUEST_LEFT);
	engine_manage(engine);
	engine_until(engine, serves_alone(engine, 1));
	assert_int_equal(who_serves(), 'B');
	engine_end(engine);
}

static void an_upgrade_takes_a_turn(void **state)
{
	struct engine *engine = begin_exclusive();
	struct upgrade_order order = {.smoke = "", .ready_usec = USEC_INFINITY};
	struct asked *asked = engine_ask(engine);

	(void)state;
	call_upgrade(engine->service, &order, &asked->request);
	wait_for(engine, asked);
	engine_until(engine, serves_alone(engine, 1));
	assert_int_equal(who_serves(), 'B');
	engine_end(engine);
}

static void an_upgrade_that_is_cancelled_gives_its_turn_back(void **state)
{
	struct engine *engine = begin_exclusive();
	struct upgrade_order order = {.smoke = "", .ready_usec = USEC_INFINITY};
	struct asked *asked = engine_ask(engine), *cancel = engine_ask(engine);

	(void)state;
	call_upgrade(engine->service, &order, &asked->request);
	engine_until(engine, engine->actors[1].play == PLAY_STARTING);
	call_cancel_upgrade(engine->service, &cancel->request);
	engine_until(engine, asked->answered);
	assert_int_equal(asked->failure, REQUEST_UNDONE);
	engine_until(engine, serves_alone(engine, 0));
	assert_int_equal(who_serves(), 'A');
	engine_end(engine);
}

/* systemd tells a hsd that begins of both at a time, and starts each that it is asked for. */
static void of_two_that_have_failed_the_active_one_is_started(void **state)
{
	struct engine *engine = begin_exclusive();
	struct actor *other = &engine->actors[1];
	unsigned runs;

	(void)state;
	engine_leave(engine);
	runs = engine->runs;
	actor_crash(engine, 0);
	other->facts = (struct unit_facts) {
		.state = UNIT_FAILED,
		.was_active = true,
		.invocation = "00000000000000000000000000000abc",
		.ending = {"exit-code", CLD_EXITED, 1},
	};
	other->play = PLAY_FAILED;
	units_say(other->unit, &other->facts);
	for (unsigned i = 0; engine->actors[0].play != PLAY_FAILED && i < 100; i++)
		actor_step(engine, 0);
	engine_manage(engine);
	engine_until(engine, engine->actors[0].play == PLAY_RUNNING &&
				     engine_state(engine, 0) == SLOT_READY &&
				     engine_active(engine) == 0);
	for (unsigned i = 0; i < 10; i++)
		turn_for_a_while(engine);
	assert_int_equal(engine->runs, runs + 1);
	assert_int_equal(other->play, PLAY_FAILED);
	assert_int_equal(who_serves(), 'A');
	engine_end(engine);
}

/* ---- what a standby has left, before an upgrade restarts it ---- */

/* A connection of slot 0, which stands by then. */
static int left_behind(struct engine *engine)
{
	struct address address = engine_address();
	int fd = client_connect(&address);

	assert_true(fd >= 0);
	assert_int_equal(client_ask(fd), 'A');
	wait_for(engine, fail_over(engine, 1));
	engine_until(engine, engine_rests(engine));
	return fd;
}

static struct asked *begin_upgrade(struct engine *engine)
{
	struct upgrade_order order = {.smoke = "", .ready_usec = USEC_INFINITY};
	struct asked *asked = engine_ask(engine);

	call_upgrade(engine->service, &order, &asked->request);
	return asked;
}

static void an_upgrade_waits_for_what_the_standby_has_left(void **state)
{
	struct engine *engine = begin_started("Settle=1ms\nDrain=1h\n");
	int fd = left_behind(engine);
	unsigned runs = engine->runs;
	struct asked *asked = begin_upgrade(engine);

	(void)state;
	turn_for_a_while(engine);
	assert_false(asked->answered);
	assert_int_equal(engine->runs, runs);
	assert_int_equal(client_ask(fd), 'A');
	close_fd(fd);
	wait_for(engine, asked);
	assert_int_equal(engine->runs, runs + 2);
	assert_int_equal(who_serves(), 'A');
	engine_end(engine);
}

static void and_no_longer_than_its_time(void **state)
{
	struct engine *engine = begin_started("Settle=1ms\nDrain=50ms\n");
	int fd = left_behind(engine);
	struct asked *asked = begin_upgrade(engine);

	(void)state;
	wait_for(engine, asked);
	assert_true(client_ask(fd) == ANSWER_RESET || client_ask(fd) != 'A');
	close_fd(fd);
	engine_end(engine);
}

static void it_ends_where_these_are_to_be_kept(void **state)
{
	struct engine *engine = begin_started("Settle=1ms\nDrain=50ms\nDrainEnd=keep\n");
	int fd = left_behind(engine);
	unsigned runs = engine->runs;
	struct asked *asked = begin_upgrade(engine);

	(void)state;
	engine_until(engine, asked->answered);
	assert_int_equal(asked->failure, REQUEST_UNDONE);
	assert_non_null(strstr(asked->text, "1 connection, which it keeps (DrainEnd=keep)"));
	assert_int_equal(engine->runs, runs);
	assert_int_equal(client_ask(fd), 'A');
	close_fd(fd);
	engine_until(engine, engine_rests(engine));
	engine_end(engine);
}

static void it_gives_way_where_the_standby_has_to_serve(void **state)
{
	struct engine *engine = begin_started("Settle=1ms\nDrain=1h\nRestartOnCrash=no\n");
	int fd = left_behind(engine);
	struct asked *asked = begin_upgrade(engine);

	(void)state;
	turn_for_a_while(engine);
	actor_crash(engine, 1);
	engine_until(engine, asked->answered);
	assert_int_equal(asked->failure, REQUEST_FAILED);
	assert_non_null(strstr(asked->text, "slot 0 has become the active one meanwhile"));
	assert_int_equal(client_ask(fd), 'A');
	assert_int_equal(who_serves(), 'A');
	close_fd(fd);
	engine_end(engine);
}

/* ---- settings ---- */

static void other_settings_take_effect(void **state)
{
	struct engine *engine = begin_started(QUICK);

	(void)state;
	engine_configure("Slots=3\nSettle=7ms\n");
	service_reload(engine->service);
	assert_int_equal(engine->service->n_slots, 3);
	assert_int_equal(engine->service->config.settle_usec, 7 * USEC_PER_MSEC);
	assert_int_equal(who_serves(), 'A');
	/* what is wrong is told, and the last good ones hold */
	engine_configure("Settle=never\n");
	service_reload(engine->service);
	assert_true(engine->service->problem.text[0]);
	assert_int_equal(engine->service->n_slots, 3);
	engine_configure(QUICK);
	service_reload(engine->service);
	assert_false(engine->service->problem.text[0]);
	assert_int_equal(engine->service->n_slots, 2);
	wait_for(engine, switch_over(engine, 1, "keep"));
	engine_until(engine, engine_rests(engine));
	engine_end(engine);
}

#define KEY "/run/shared.key"

static void write_key(const char *text, mode_t mode)
{
	FILE *file = fopen(KEY, "we");

	rig_check(file && fputs(text, file) >= 0 && !fclose(file) && !chmod(KEY, mode));
}

static uint64_t key_of(const struct engine *engine)
{
	struct hs_spread spread;

	rig_check(plane_table_spread(engine->service->plane, &spread));
	return spread.key_given ? spread.key : 0;
}

static unsigned slots_of(const struct engine *engine)
{
	struct hs_spread spread;

	rig_check(plane_table_spread(engine->service->plane, &spread));
	return spread.slots;
}

static void expect_unsettled(struct engine *engine, const char *words)
{
	json_object *said = service_to_json(engine->service, true), *problem;

	assert_true(json_object_object_get_ex(said, "problem", &problem));
	if (words[0] ? !strstr(json_object_get_string(problem) ?: "", words) : !!problem)
		fail_msg("\"%s\" is not \"%s\"", json_object_get_string(problem), words);
	json_object_put(said);
}

static void a_key_that_is_refused_is_tried_again(void **state)
{
	struct engine *engine = begin_started(QUICK);
	struct asked *asked;
	uint64_t key;

	(void)state;
	write_key("correct-horse", 0644);
	engine_configure(QUICK "Policy=hash\nHashKey=" KEY "\n");
	service_reload(engine->service);
	expect_unsettled(engine, "chmod 0600 " KEY "; then run: systemctl reload hsd");
	assert_false(plane_is_spread(engine->service->plane));
	/* nor is it forgotten by the hsd that comes next, nor done with by a second reload */
	engine_leave(engine);
	engine_manage(engine);
	engine_until(engine, engine_rests(engine));
	expect_unsettled(engine, "chmod 0600");
	assert_false(plane_is_spread(engine->service->plane));
	write_key("correct-horse", 0600);
	service_reload(engine->service);
	expect_unsettled(engine, "");
	assert_true(plane_is_spread(engine->service->plane));
	key = key_of(engine);
	assert_true(key);
	/* it is no reason against anything else */
	write_key("battery-staple", 0644);
	engine_configure(QUICK "Policy=hash\nSlots=3\nHashKey=/run/../" KEY "\n");
	service_reload(engine->service);
	expect_unsettled(engine, "chmod 0600");
	assert_int_equal(slots_of(engine), 3);
	assert_int_equal(key_of(engine), key);
	engine_leave(engine);
	write_key("battery-staple", 0600);
	engine_manage(engine);
	expect_unsettled(engine, "");
	assert_int_not_equal(key_of(engine), key);
	/* who says something else is not contradicted later */
	write_key("battery-staple", 0644);
	engine_configure(QUICK "Policy=hash\nSlots=3\nHashKey=" KEY "\n");
	service_reload(engine->service);
	expect_unsettled(engine, "chmod 0600");
	asked = engine_ask(engine);
	call_set_policy(engine->service, "standby", &asked->request);
	expect_unsettled(engine, "");
	write_key("battery-staple", 0600);
	service_reload(engine->service);
	assert_false(plane_is_spread(engine->service->plane));
	unlink(KEY);
	engine_end(engine);
}

static uint32_t unpacks_on(const char *device)
{
	return tc_program(if_nametoindex(device), TC_INGRESS, TC_PLACE_DECAP);
}

/* Decap=yes, for the addresses that the service turns out to have. */
static void a_host_behind_a_front_unpacks(void **state)
{
	struct engine *engine = engine_begin(QUICK);
	struct decap_totals totals;
	uint32_t id;

	(void)state;
	rig_check(!system("ip link add front0 type veth peer name wire0; "
			  "ip addr add 10.9.0.2/24 dev front0"));
	actor_start_all(engine);
	id = plane_id(engine->service->plane);
	assert_int_equal(decap_totals(id, &totals), -ENOENT);
	engine_configure(QUICK "[Front]\nDecap=yes\n");
	service_reload(engine->service);
	assert_string_equal(engine->service->unpacking.text, "");
	assert_int_equal(decap_totals(id, &totals), 0);
	assert_true(unpacks_on("front0"));
	/* a device that is made anew has lost it, and one may get its address late */
	rig_check(!system("ip link del front0; "
			  "ip link add front0 type veth peer name wire0; "
			  "ip addr add 10.9.0.2/24 dev front0; "
			  "ip link add front1 type veth peer name wire1"));
	engine_until(engine, unpacks_on("front0"));
	assert_false(unpacks_on("front1"));
	rig_check(!system("ip addr add 10.9.1.2/24 dev front1"));
	engine_until(engine, unpacks_on("front1"));
	/* what is missing is told, and nothing else is wrong with it */
	engine_configure(QUICK "[Front]\nDecap=yes\nDevice=none0\n");
	service_reload(engine->service);
	assert_non_null(strstr(engine->service->unpacking.text, "none0"));
	assert_int_equal(who_serves(), 'A');
	/* until it is there */
	rig_check(!system("ip link add none0 type veth peer name wire2"));
	engine_until(engine, unpacks_on("none0"));
	assert_string_equal(engine->service->unpacking.text, "");
	assert_false(unpacks_on("front1"));
	engine_configure(QUICK);
	service_reload(engine->service);
	assert_string_equal(engine->service->unpacking.text, "");
	assert_int_equal(decap_totals(id, &totals), -ENOENT);
	assert_false(unpacks_on("front0"));
	engine_end(engine);
}

/* ---- [FastPath] ---- */

#define PROXY	   "proxy.service"
#define FROM_PROXY QUICK "[FastPath]\nFrom=" PROXY "\n"

/* Of the only unit: "joined", or its problem; "" = there is no fast path. */
static const char *state_of_proxy(const struct engine *engine)
{
	static char text[256];
	json_object *status = service_to_json(engine->service, true), *fastpath, *unit, *value;

	text[0] = '\0';
	if (json_object_object_get_ex(status, "fastpath", &fastpath)) {
		unit = json_object_array_get_idx(json_object_object_get(fastpath, "units"), 0);
		value = json_object_object_get(unit, "problem");
		snprintf(text, sizeof(text), "%s",
			 value ? json_object_get_string(value) : "joined");
	}
	json_object_put(status);
	return text;
}

static uint64_t pairs_of(const struct engine *engine)
{
	struct hs_fast_counts counts = {0};
	struct fast *fast;

	rig_check(!fast_attach(&fast));
	rig_check(!fast_counts(fast, plane_id(engine->service->plane), 0, &counts));
	fast_free(fast);
	return counts.begun;
}

static bool enter(const char *cgroup)
{
	struct pin_path mount;
	int fd;

	if (cgroup_mount(mount.text, sizeof(mount.text)))
		return false;
	fd = open(pin_path("%s%s/cgroup.procs", mount.text, cgroup).text, O_WRONLY | O_CLOEXEC);
	return write(fd, "0", 1) == 1;
}

/* A process in its control group asks the service. */
static void ask_as_proxy(const char *cgroup)
{
	pid_t child = fork();
	int status;

	if (!child)
		_exit(!enter(cgroup) || who_serves() != 'A');
	rig_check(waitpid(child, &status, 0) == child && !status);
}

/* A process of this name in the control group, until it is killed. */
static pid_t run_in(const char *cgroup, const char *name)
{
	pid_t child;
	int ready[2];
	char byte;

	rig_check(!pipe2(ready, O_CLOEXEC));
	child = fork();
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		prctl(PR_SET_NAME, name);
		if (enter(cgroup) && write(ready[1], "", 1) == 1)
			pause();
		_exit(1);
	}
	close(ready[1]);
	rig_check(read(ready[0], &byte, 1) == 1);
	close(ready[0]);
	return child;
}

static void end_process(pid_t pid)
{
	kill(pid, SIGKILL);
	rig_check(waitpid(pid, NULL, 0) == pid);
}

static struct unit_facts make_proxy(const struct engine *engine)
{
	struct unit_facts facts = {.state = UNIT_RUNNING, .invocation = "1"};
	struct pin_path mount;

	snprintf(facts.control_group, sizeof(facts.control_group), "%s/proxy", engine->rig->group);
	rig_check(!cgroup_mount(mount.text, sizeof(mount.text)));
	rig_check(!mkdir(pin_path("%s%s", mount.text, facts.control_group).text, 0755));
	return facts;
}

static void units_in_from_join_as_they_start(void **state)
{
	struct engine *engine = engine_begin(FROM_PROXY);
	struct unit_facts facts = make_proxy(engine), none = {.state = UNIT_DOWN};

	(void)state;
	/* what the service is, is not known before */
	engine_until(engine, strstr(state_of_proxy(engine), "no instance runs"));
	actor_start_all(engine);
	engine_until(engine, strstr(state_of_proxy(engine), "does not run"));
	ask_as_proxy(facts.control_group);
	assert_int_equal(pairs_of(engine), 0);
	units_say(PROXY, &facts);
	engine_until(engine, !strcmp(state_of_proxy(engine), "joined"));
	ask_as_proxy(facts.control_group);
	assert_int_equal(pairs_of(engine), 1);
	/* those of others are none */
	assert_int_equal(who_serves(), 'A');
	assert_int_equal(pairs_of(engine), 1);
	units_say(PROXY, &none);
	engine_until(engine, strstr(state_of_proxy(engine), "does not run"));
	/* by the next manager as well */
	units_say(PROXY, &facts);
	engine_leave(engine);
	ask_as_proxy(facts.control_group);
	engine_manage(engine);
	engine_until(engine, !strcmp(state_of_proxy(engine), "joined"));
	assert_int_equal(pairs_of(engine), 2);
	engine_configure(QUICK);
	service_reload(engine->service);
	assert_string_equal(state_of_proxy(engine), "");
	assert_int_equal(access("/sys/fs/bpf/hotstandby/%fast", F_OK), -1);
	assert_int_equal(who_serves(), 'A');
	engine_end(engine);
}

/* Its commands before the main one are as good as any; what it runs then is not. */
static void a_unit_joins_by_what_it_runs_in_the_end(void **state)
{
	struct engine *engine = engine_begin(FROM_PROXY);
	struct unit_facts facts = make_proxy(engine), none = {.state = UNIT_DOWN};
	pid_t before, main;

	(void)state;
	actor_start_all(engine);
	engine_until(engine, strstr(state_of_proxy(engine), "does not run"));
	before = run_in(facts.control_group, "mkdir");
	facts.state = UNIT_STARTING;
	units_say(PROXY, &facts);
	engine_until(engine, !strcmp(state_of_proxy(engine), "it is starting"));
	end_process(before);
	main = run_in(facts.control_group, "nginx");
	facts.main_pid = main;
	units_say(PROXY, &facts);
	engine_until(engine, strstr(state_of_proxy(engine), "nginx is kept off"));
	ask_as_proxy(facts.control_group);
	assert_int_equal(pairs_of(engine), 0);
	/* another run, of another program */
	end_process(main);
	units_say(PROXY, &none);
	engine_until(engine, strstr(state_of_proxy(engine), "does not run"));
	facts.main_pid = main = run_in(facts.control_group, "proxy");
	snprintf(facts.invocation, sizeof(facts.invocation), "2");
	units_say(PROXY, &facts);
	engine_until(engine, !strcmp(state_of_proxy(engine), "joined"));
	end_process(main);
	engine_end(engine);
}

static void a_service_that_is_left_in_a_change_answers(void **state)
{
	struct engine *engine = begin_started("Settle=5s\n");
	struct asked *asked = switch_over(engine, 1, "keep");

	(void)state;
	assert_false(asked->answered);
	engine_leave(engine);
	assert_true(asked->answered);
	assert_false(asked->done);
	assert_int_equal(asked->failure, REQUEST_LEFT);
	/* the word stays as it is, and the next one goes on with it */
	engine_manage(engine);
	engine_until(engine, engine_rests(engine));
	assert_int_equal(engine_active(engine), 1);
	assert_int_equal(who_serves(), 'B');
	engine_end(engine);
}

static void a_service_that_is_left_in_an_upgrade_answers(void **state)
{
	struct engine *engine = begin_started(QUICK);
	struct upgrade_order order = {.smoke = "", .ready_usec = USEC_INFINITY};
	struct asked *asked = engine_ask(engine);

	(void)state;
	call_upgrade(engine->service, &order, &asked->request);
	engine_until(engine, engine->actors[1].play == PLAY_STARTING);
	engine_leave(engine);
	assert_int_equal(asked->failure, REQUEST_LEFT);
	engine_manage(engine);
	engine_until(engine, engine_rests(engine));
	engine_end(engine);
}

/* ---- who stands in ---- */

static void who_stands_in_changes_what_it_is_asked_to(void **state)
{
	struct engine *engine = begin_started(QUICK);
	uint64_t word;

	(void)state;
	stand_in(engine);
	word = plane_word(engine->service->plane);
	turn_for_a_while(engine);
	assert_int_equal(plane_word(engine->service->plane), word);
	assert_int_equal(engine_state(engine, 0), SLOT_READY);
	assert_int_equal(engine_state(engine, 1), SLOT_READY);
	wait_for(engine, switch_over(engine, GATE_STANDBY, ""));
	assert_int_equal(who_serves(), 'B');
	wait_for(engine, switch_over(engine, GATE_STANDBY, "keep"));
	assert_int_equal(who_serves(), 'A');
	expect_refusal(switch_over(engine, 0, ""), "active one already");
	end_as_hsd(engine);
}

static void who_stands_in_goes_by_what_was_found_last(void **state)
{
	struct engine *engine = begin_started(PROBED);

	(void)state;
	engine->ill = 2;
	engine_until(engine, engine->service->verdicts[1].state == HEALTH_BAD);
	expect_refusal(switch_over(engine, 1, ""), "slot 1 is unhealthy: it says that it is ill");
	stand_in(engine);
	expect_refusal(switch_over(engine, GATE_STANDBY, ""), "slot 1 was unhealthy");
	wait_for(engine, fail_over(engine, 1));
	assert_int_equal(who_serves(), 'B');
	wait_for(engine, switch_over(engine, 0, "keep"));
	engine->ill = 0;
	end_as_hsd(engine);
}

static void what_was_found_well_is_no_reason_against_it(void **state)
{
	struct engine *engine = begin_started(PROBED);

	(void)state;
	engine->ill = 2;
	engine_until(engine, engine->service->verdicts[1].state == HEALTH_BAD);
	engine->ill = 0;
	engine_until(engine, engine->service->verdicts[1].state == HEALTH_GOOD);
	stand_in(engine);
	wait_for(engine, switch_over(engine, 1, "keep"));
	end_as_hsd(engine);
}

static void who_stands_in_does_nothing_about_a_loss(void **state)
{
	struct engine *engine = begin_started(QUICK);
	uint64_t word;

	(void)state;
	stand_in(engine);
	word = plane_word(engine->service->plane);
	actor_crash(engine, 0);
	engine_until(engine, engine->actors[0].play == PLAY_FAILED);
	turn_for_a_while(engine);
	assert_int_equal(plane_word(engine->service->plane), word);
	assert_int_equal(engine->actors[0].play, PLAY_FAILED);
	/* the kernel goes by the sockets that there are */
	assert_int_equal(who_serves(), 'B');
	end_as_hsd(engine);
}

static void who_stands_in_makes_no_pins(void **state)
{
	struct engine *engine = begin_started(QUICK);
	struct service *other;

	(void)state;
	engine_leave(engine);
	engine->host.parts = HOST_ANY;
	assert_int_equal(service_new(&engine->host, "other", &other), 0);
	assert_null(other->plane);
	assert_int_equal(other->plane_error, -ENOENT);
	assert_non_null(strstr(other->problem.text, "nothing is pinned in the kernel for other"));
	service_free(other);
	assert_int_equal(access(HS_PIN_ROOT "/other", F_OK), -1);
	engine->host.parts = HOST_ALL;
	engine_manage(engine);
	engine_end(engine);
}

/* ---- the same in the hook of a unit: it makes what is not there, and goes soon ---- */

#define HOOK_SPAN (4 * USEC_PER_SEC)

typedef void (*hook_fn)(struct instance *instance, struct request *request);

static struct asked *begin_hook(struct engine *engine, unsigned slot, hook_fn call)
{
	struct asked *asked;

	engine->host.parts = HOST_MAKES;
	if (!engine->host.until)
		engine->host.until = now_usec() + HOOK_SPAN;
	rig_check(service_new(&engine->host, "web", &engine->service) == 0);
	engine_until(engine, !engine->host.bus || service_is_known(engine->service));
	asked = engine_ask(engine);
	call(engine->service->instances[slot], &asked->request);
	return asked;
}

static void leave_hook(struct engine *engine, const struct asked *asked, const char *words)
{
	engine_until(engine, asked->answered);
	assert_true(now_usec() < engine->host.until);
	if (!strstr(asked->text, words))
		fail_msg("\"%s\" does not say \"%s\"", asked->text, words);
	engine_until(engine, !host_busy(&engine->host));
	engine_leave(engine);
	engine->host.until = 0;
	engine->host.resumes = false;
}

static void end_hook(struct engine *engine, const struct asked *asked, const char *words)
{
	leave_hook(engine, asked, words);
	assert_true(asked->done);
}

static void fail_hook(struct engine *engine, unsigned slot, hook_fn call, const char *words)
{
	const struct asked *asked = begin_hook(engine, slot, call);

	leave_hook(engine, asked, words);
	assert_false(asked->done);
}

static void run_hook(struct engine *engine, unsigned slot, hook_fn call, const char *words)
{
	end_hook(engine, begin_hook(engine, slot, call), words);
}

static void start_by_hooks(struct engine *engine, unsigned slot)
{
	actor_order(engine, slot, UNIT_START);
	actor_step(engine, slot);
	assert_int_equal(engine->actors[slot].play, PLAY_STARTING);
	run_hook(engine, slot, instance_prepare, "is prepared");
	actor_step(engine, slot);
	run_hook(engine, slot, instance_adopt, "1 socket");
	actor_step(engine, slot);
	assert_int_equal(engine->actors[slot].play, PLAY_RUNNING);
}

/* Nobody manages the service, and units run hooks by the test alone. */
static struct engine *begin_without(const char *settings)
{
	struct engine *engine = engine_begin(settings);

	engine_leave(engine);
	engine->by_hand = true;
	return engine;
}

static void end_by_hand(struct engine *engine)
{
	engine->by_hand = false;
	engine->host.parts = HOST_ALL;
	engine_manage(engine);
	for (unsigned i = 0; i < ENGINE_SLOTS; i++)
		if (engine->actors[i].play == PLAY_DOWN)
			actor_start(engine, i);
	engine_until(engine, engine_rests(engine));
	engine_end(engine);
}

static void hooks_bring_up_and_take_down(void **state)
{
	struct engine *engine = begin_without(QUICK);

	(void)state;
	start_by_hooks(engine, 0);
	assert_int_equal(who_serves(), 'A');
	start_by_hooks(engine, 1);
	assert_int_equal(who_serves(), 'A');
	actor_order(engine, 0, UNIT_STOP);
	actor_step(engine, 0);
	run_hook(engine, 0, instance_retire, "slot 0 is retired, slot 1 is active; 0 waiting");
	assert_int_equal(who_serves(), 'B');
	run_hook(engine, 0, instance_retire, "had no socket to retire");
	actor_step(engine, 0);
	run_hook(engine, 0, instance_adopt, "its unit is not running");
	end_by_hand(engine);
}

static void a_hook_waits_for_a_late_listener(void **state)
{
	struct engine *engine = begin_without(QUICK);
	struct actor *actor = &engine->actors[0];
	struct address address = engine_address();
	struct asked *asked;

	(void)state;
	actor_order(engine, 0, UNIT_START);
	actor_step(engine, 0);
	run_hook(engine, 0, instance_prepare, "is prepared");
	actor->facts.state = UNIT_START_POST;
	units_say(actor->unit, &actor->facts);
	asked = begin_hook(engine, 0, instance_adopt);
	for (uint64_t end = now_usec() + 200 * USEC_PER_MSEC; now_usec() < end;)
		engine_turn(engine);
	assert_false(asked->answered);
	rig_check(server_listen(actor->server, &address, 0) >= 0);
	server_serve(actor->server, true);
	end_hook(engine, asked, "1 socket");
	assert_int_equal(who_serves(), 'A');
	actor->facts.was_active = true;
	actor->facts.ready_usec = now_usec();
	actor->play = PLAY_START_POST;
	actor_step(engine, 0);
	end_by_hand(engine);
}

static void a_hook_does_not_wait_until_it_is_too_late(void **state)
{
	struct engine *engine = begin_without("Settle=3s\n");

	(void)state;
	start_by_hooks(engine, 0);
	actor_order(engine, 1, UNIT_START);
	actor_step(engine, 1);
	actor_order(engine, 0, UNIT_STOP);
	actor_step(engine, 0);
	engine->host.until = now_usec() + USEC_PER_SEC;
	run_hook(engine, 0, instance_retire, "no other slot is ready");
	/* and it takes its turn where the other comes in time */
	actor_step(engine, 1);
	engine->host.until = now_usec() + USEC_PER_SEC;
	run_hook(engine, 1, instance_adopt, "1 socket");
	actor_step(engine, 1);
	engine->host.until = now_usec() + USEC_PER_SEC;
	run_hook(engine, 0, instance_retire, "slot 0 is retired, slot 1 is active");
	actor_step(engine, 0);
	end_by_hand(engine);
}

static void a_hook_does_without_systemd(void **state)
{
	struct engine *engine = begin_without(QUICK);
	sd_bus *bus = engine->host.bus;

	(void)state;
	start_by_hooks(engine, 0);
	start_by_hooks(engine, 1);
	engine->host.bus = NULL;
	run_hook(engine, 0, instance_retire, "slot 0 is retired, slot 1 is active");
	assert_int_equal(who_serves(), 'B');
	fail_hook(engine, 0, instance_adopt, "systemd does not answer");
	run_hook(engine, 0, instance_prepare, "slot 0 is");
	engine->host.bus = bus;
	run_hook(engine, 0, instance_adopt, "1 socket");
	end_by_hand(engine);
}

/* hsd has left in the middle, or hangs: the slot is out of the map, and its queue still there. */
static void a_hook_goes_on_where_another_has_stopped(void **state)
{
	struct engine *engine = begin_started("Settle=5s\n");
	struct address address = engine_address();
	struct asked *asked;
	int fd;

	(void)state;
	server_serve(engine->actors[0].server, false);
	fd = client_connect(&address);
	client_send(fd, '?');
	asked = engine_ask(engine);
	instance_retire(engine->service->instances[0], &asked->request);
	engine_until(engine, engine_active(engine) == 1);
	engine_leave(engine);
	assert_int_equal(asked->failure, REQUEST_LEFT);
	engine->host.until = now_usec() + USEC_PER_SEC;
	engine->host.resumes = true;
	run_hook(engine, 0, instance_retire, "slot 1 is active; 1 waiting moved");
	assert_int_equal(client_read(fd), 'B');
	close_fd(fd);
	server_serve(engine->actors[0].server, true);
	run_hook(engine, 0, instance_adopt, "1 socket");
	end_by_hand(engine);
}

/* As one leaves it that has set the slot aside, and was killed before it answered. */
static void retire_again(struct instance *instance, struct request *request)
{
	size_t n;
	struct listener **listeners = plane_listeners(instance->service->plane, &n);

	for (size_t i = 0; i < n; i++)
		listener_withdraw(listeners[i], instance->slot);
	instance_retire(instance, request);
}

static void a_hook_goes_on_where_the_last_slot_was_set_aside(void **state)
{
	struct engine *engine = begin_without(QUICK);

	(void)state;
	start_by_hooks(engine, 0);
	engine->host.resumes = true;
	run_hook(engine, 0, retire_again, "slot 0 is retired and no other slot is ready");
	run_hook(engine, 0, instance_adopt, "1 socket");
	assert_int_equal(who_serves(), 'A');
	end_by_hand(engine);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_come_up_and_are_adopted),
		cmocka_unit_test(those_that_run_already_are_taken_up),
		cmocka_unit_test(a_switchover_is_answered_once),
		cmocka_unit_test(a_change_waits_until_the_queue_of_the_one_before_has_moved),
		cmocka_unit_test(the_old_one_is_restarted_by_a_switchover),
		cmocka_unit_test(a_switchover_whose_target_is_lost_is_undone),
		cmocka_unit_test(the_active_one_that_is_lost_is_followed_and_comes_back),
		cmocka_unit_test(one_that_stops_is_retired_before),
		cmocka_unit_test(a_new_run_is_looked_at_again_soon),
		cmocka_unit_test(one_that_ends_by_itself_is_started_again),
		cmocka_unit_test(one_that_ends_by_itself_while_it_is_adopted_is_left),
		cmocka_unit_test(a_state_that_nobody_knows_is_no_end),
		cmocka_unit_test(who_retires_one_by_hand_does_not_wait_for_its_end),
		cmocka_unit_test(without_any_slot_clients_wait_for_the_next),
		cmocka_unit_test(a_change_while_one_runs_is_refused),
		cmocka_unit_test(a_change_without_a_standby_is_refused),
		cmocka_unit_test(what_makes_no_sense_is_refused),
		cmocka_unit_test(what_cannot_be_timed_does_not_begin),
		cmocka_unit_test(an_upgrade_has_so_many_steps_each_a_share),
		cmocka_unit_test(only_root_names_what_is_run_as_root),
		cmocka_unit_test(slots_that_there_are_not_are_refused),
		cmocka_unit_test(an_upgrade_restarts_both),
		cmocka_unit_test(an_upgrade_whose_new_one_fails_is_undone),
		cmocka_unit_test(an_exclusive_upgrade_whose_new_one_fails_goes_back),
		cmocka_unit_test(of_two_that_have_failed_the_active_one_is_started),
		cmocka_unit_test(an_upgrade_waits_for_what_the_standby_has_left),
		cmocka_unit_test(and_no_longer_than_its_time),
		cmocka_unit_test(it_ends_where_these_are_to_be_kept),
		cmocka_unit_test(it_gives_way_where_the_standby_has_to_serve),
		cmocka_unit_test(so_does_one_whose_new_one_is_lost_in_its_probation),
		cmocka_unit_test(an_upgrade_whose_new_one_ends_at_once_is_undone),
		cmocka_unit_test(a_drain_ends_with_the_last_connection),
		cmocka_unit_test(what_is_left_at_the_deadline_of_a_drain_stops_with_its_slot),
		cmocka_unit_test(a_drain_that_is_cancelled_does_nothing_more),
		cmocka_unit_test(one_that_is_cancelled_before_it_has_left_stays_out),
		cmocka_unit_test(a_drained_slot_that_is_taken_back_is_not_stopped),
		cmocka_unit_test(a_drain_takes_nobody_away),
		cmocka_unit_test(a_drain_goes_on_with_the_next),
		cmocka_unit_test(its_deadline_is_the_one_that_was_asked_for),
		cmocka_unit_test(a_deadline_that_has_passed_meanwhile_is_over),
		cmocka_unit_test(one_that_runs_anew_meanwhile_is_drained_no_more),
		cmocka_unit_test(one_that_is_to_leave_still_leaves),
		cmocka_unit_test(one_that_would_leave_nobody_stays),
		cmocka_unit_test(one_that_is_noted_no_more_ends),
		cmocka_unit_test(two_that_end_it_at_the_deadline_count_once),
		cmocka_unit_test(who_stands_in_drains),
		cmocka_unit_test(who_stands_in_leaves_an_upgrade_to_hsd),
		cmocka_unit_test(one_takes_turns_with_another),
		cmocka_unit_test(a_second_turn_is_refused_also_while_the_first_one_comes_up),
		cmocka_unit_test(one_whose_turn_fails_gives_it_back),
		cmocka_unit_test(a_turn_that_is_left_is_taken_by_the_next),
		cmocka_unit_test(an_upgrade_takes_a_turn),
		cmocka_unit_test(an_upgrade_that_is_cancelled_gives_its_turn_back),
		cmocka_unit_test(other_settings_take_effect),
		cmocka_unit_test(a_key_that_is_refused_is_tried_again),
		cmocka_unit_test(a_host_behind_a_front_unpacks),
		cmocka_unit_test(units_in_from_join_as_they_start),
		cmocka_unit_test(a_unit_joins_by_what_it_runs_in_the_end),
		cmocka_unit_test(a_service_that_is_left_in_a_change_answers),
		cmocka_unit_test(a_service_that_is_left_in_an_upgrade_answers),
		cmocka_unit_test(who_stands_in_changes_what_it_is_asked_to),
		cmocka_unit_test(who_stands_in_goes_by_what_was_found_last),
		cmocka_unit_test(what_was_found_well_is_no_reason_against_it),
		cmocka_unit_test(who_stands_in_does_nothing_about_a_loss),
		cmocka_unit_test(who_stands_in_makes_no_pins),
		cmocka_unit_test(hooks_bring_up_and_take_down),
		cmocka_unit_test(a_hook_waits_for_a_late_listener),
		cmocka_unit_test(a_hook_does_not_wait_until_it_is_too_late),
		cmocka_unit_test(a_hook_does_without_systemd),
		cmocka_unit_test(a_hook_goes_on_where_another_has_stopped),
		cmocka_unit_test(a_hook_goes_on_where_the_last_slot_was_set_aside),
	};

	return cases_run("service", tests);
}
