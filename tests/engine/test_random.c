// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Whatever happens to a service in whatever order: the word stays sound, each request is answered
 * once, and when nothing happens any more, both units run and the service is ready; of an exclusive
 * service, one that serves alone. By chance, from
 * a seed that is printed: ENGINE_SEED= has the same happen again, as far as processes and the
 * kernel take their time alike; ENGINE_SECONDS= says for how long, ENGINE_DEBUG=1 shows it.
 */
#include <stdlib.h>
#include <string.h>

#include "../plane/cases.h"
#include "core/spread/spread.h"
#include "engine.h"
#include "plane/parts/table.h"
#include "service/slot/adoption.h"
#include "service/slot/retirement.h"
#include "service/slot/states.h"
#include "service/whole/assembly.h"
#include "service/whole/calls.h"
#include "service/whole/calls_spread.h"

#define SECONDS 20
#define QUICK	"Settle=1ms\nDrain=20ms\n"
#define PROBES	"FailoverHold=0\n[Health]\nProbe=tcp\nInterval=100ms\nFall=1\nRise=1\n"
/* How much happens between two times of rest. */
#define HAPPENINGS_MAX 60

static uint64_t chance_state;

/* xorshift64*, below `n`. */
static unsigned chance(unsigned n)
{
	chance_state ^= chance_state >> 12;
	chance_state ^= chance_state << 25;
	chance_state ^= chance_state >> 27;
	return (unsigned)(chance_state * UINT64_C(2685821657736338717) >> 33) % n;
}

/* A slot that is there, or is none, or whichever. */
static int some_slot(void)
{
	return (int)chance(5) - 1;
}

/* ---- what may happen ---- */

static void order_unit(struct engine *engine)
{
	static const enum unit_action actions[] = {UNIT_START, UNIT_START, UNIT_STOP, UNIT_RESTART};

	actor_order(engine, chance(ENGINE_SLOTS), actions[chance(ARRAY_SIZE(actions))]);
}

static void crash(struct engine *engine)
{
	actor_crash(engine, chance(ENGINE_SLOTS));
}

static void hang(struct engine *engine)
{
	const struct actor *actor = &engine->actors[chance(ENGINE_SLOTS)];

	if (actor->server && actor->play != PLAY_CRASHED)
		server_hang(actor->server, chance(2));
}

/* Its next probes say so. */
static void fall_ill(struct engine *engine)
{
	engine->ill = chance(1U << ENGINE_SLOTS);
}

static void switch_over(struct engine *engine)
{
	static const char *const thens[] = {"keep", "stop", "restart", "", "go"};
	struct switchover_call call = {
		.to = some_slot(),
		.settle_usec = chance(2) ? USEC_INFINITY : chance(50) * USEC_PER_MSEC,
		.drain_usec = chance(2) ? USEC_INFINITY : chance(100) * USEC_PER_MSEC,
		.then = thens[chance(ARRAY_SIZE(thens))],
	};

	call_switchover(engine->service, &call, &engine_ask(engine)->request);
}

static void roll_back(struct engine *engine)
{
	call_rollback(engine->service, &engine_ask(engine)->request);
}

static void fail_over(struct engine *engine)
{
	call_failover(engine->service, some_slot(), &engine_ask(engine)->request);
}

static void upgrade(struct engine *engine)
{
	struct upgrade_order order = {
		.smoke = "",
		.n_canary = chance(2),
		.canary = {0x4000},
		.hold_usec = chance(50) * USEC_PER_MSEC,
		.probation_usec = chance(50) * USEC_PER_MSEC,
		.ready_usec = chance(2) * USEC_PER_SEC,
	};

	call_upgrade(engine->service, &order, &engine_ask(engine)->request);
}

static void cancel(struct engine *engine)
{
	call_cancel_upgrade(engine->service, &engine_ask(engine)->request);
}

static void drain(struct engine *engine)
{
	call_drain(engine->service, chance(3), chance(50) * USEC_PER_MSEC,
		   &engine_ask(engine)->request);
}

static void cancel_drain(struct engine *engine)
{
	call_cancel_drain(engine->service, &engine_ask(engine)->request);
}

static void set_canary(struct engine *engine)
{
	struct canary_call call = {
		.share = chance(3) * 0x3000, .to = some_slot(), .by = "connection", .from = ""};

	call_set_canary(engine->service, &call, &engine_ask(engine)->request);
}

static void set_policy(struct engine *engine)
{
	static const char *const policies[] = {"standby", "parity", "hash", "none"};

	call_set_policy(engine->service, policies[chance(ARRAY_SIZE(policies))],
			&engine_ask(engine)->request);
}

static void set_hash(struct engine *engine)
{
	static const char *const bys[] = {"client", "client", "connection", "", "none"};

	call_set_hash(engine->service, bys[chance(ARRAY_SIZE(bys))], &engine_ask(engine)->request);
}

static void weigh(struct engine *engine)
{
	static const unsigned percents[] = {0, 50, 100, 1000, 1001};

	call_set_weight(engine->service, chance(4), percents[chance(ARRAY_SIZE(percents))],
			&engine_ask(engine)->request);
}

static void pin(struct engine *engine)
{
	static const char *const prefixes[] = {"127.0.0.0/8", "127.0.0.1", "::/0", "10.0.0.0/8",
					       "none"};
	static const unsigned slots[] = {0, 1, 1, 2, HS_SLOTS_MAX, HS_SLOT_NONE, HS_SLOT_NONE};

	call_set_pinned(engine->service, prefixes[chance(ARRAY_SIZE(prefixes))],
			slots[chance(ARRAY_SIZE(slots))], &engine_ask(engine)->request);
}

static void set_slots(struct engine *engine)
{
	call_set_slots(engine->service, chance(5), &engine_ask(engine)->request);
}

static void rebalance(struct engine *engine)
{
	call_rebalance(engine->service, chance(2), &engine_ask(engine)->request);
}

static void look_at_table(struct engine *engine)
{
	static const char *const clients[] = {"127.0.0.1", "127.0.0.1:8000", "[::1]:1", "", "x"};

	call_table(engine->service, &engine_ask(engine)->request);
	call_where(engine->service, clients[chance(ARRAY_SIZE(clients))],
		   &engine_ask(engine)->request);
}

static void hold(struct engine *engine)
{
	call_hold(engine->service, chance(2), &engine_ask(engine)->request);
}

/* By hand: not its own hook. */
static void adopt(struct engine *engine)
{
	instance_adopt(engine->service->instances[chance(ENGINE_SLOTS)],
		       &engine_ask(engine)->request);
}

static void retire(struct engine *engine)
{
	instance_retire(engine->service->instances[chance(ENGINE_SLOTS)],
			&engine_ask(engine)->request);
}

static const char *const shared[] = {
	QUICK,
	"Settle=10ms\nDrain=0\nSlots=3\n",
	QUICK "Park=no\n",
	QUICK "Exclusive=perhaps\n",
	QUICK "RestartOnCrash=no\nFailover=manual\n",
	QUICK "Policy=hash\nBy=client\nSlots=3\n",
	QUICK "Policy=parity\nBy=connection\n",
	QUICK "HashKey=/nonexistent\n",
	QUICK PROBES,
	QUICK PROBES,
};

static const char *const exclusive[] = {
	QUICK "Exclusive=yes\n",
	QUICK "Exclusive=yes\nRestartOnCrash=no\nFailover=manual\n",
	QUICK "Exclusive=yes\nExclusive=perhaps\n",
	QUICK "Exclusive=yes\n" PROBES,
};

static bool is_exclusive(const struct engine *engine)
{
	return engine->service->config.exclusive;
}

static void reload(struct engine *engine)
{
	engine_configure(is_exclusive(engine) ? exclusive[chance(ARRAY_SIZE(exclusive))]
					      : shared[chance(ARRAY_SIZE(shared))]);
	service_reload(engine->service);
}

/* hsd ends in the middle of it, and the next one comes. */
static void manage_anew(struct engine *engine)
{
	engine_leave(engine);
	engine_manage(engine);
}

/* A client that waits for no answer. */
static void connect_once(struct engine *engine)
{
	struct address address = engine_address();
	int fd = client_connect(&address);

	(void)engine;
	if (fd >= 0 && chance(2))
		client_send(fd, '?');
	close_fd(fd);
}

static void happen(struct engine *engine)
{
	static const struct {
		const char *what;
		unsigned often;
		void (*happen)(struct engine *engine);
	} all[] = {
		{"a unit is ordered", 8, order_unit},
		{"a crash", 3, crash},
		{"a hang", 1, hang},
		{"a verdict", 4, fall_ill},
		{"switchover", 8, switch_over},
		{"rollback", 3, roll_back},
		{"failover", 2, fail_over},
		{"upgrade", 3, upgrade},
		{"cancel", 2, cancel},
		{"drain", 2, drain},
		{"a drain is cancelled", 1, cancel_drain},
		{"canary", 3, set_canary},
		{"policy", 1, set_policy},
		{"hash", 3, set_hash},
		{"weight", 2, weigh},
		{"pin", 2, pin},
		{"slots", 1, set_slots},
		{"rebalance", 1, rebalance},
		{"table", 1, look_at_table},
		{"hold", 2, hold},
		{"adopt", 2, adopt},
		{"retire", 1, retire},
		{"reload", 2, reload},
		{"managed anew", 1, manage_anew},
		{"a client", 2, connect_once},
	};
	unsigned sum = 0, which = 0, drawn;

	for (unsigned i = 0; i < ARRAY_SIZE(all); i++)
		sum += all[i].often;
	for (drawn = chance(sum); drawn >= all[which].often; which++)
		drawn -= all[which].often;
	if (engine->is_loud)
		fprintf(stderr, "# -- %s\n", all[which].what);
	all[which].happen(engine);
}

/* ---- rest ---- */

static void let_go(struct engine *engine)
{
	engine->ill = 0;
	engine_configure(is_exclusive(engine) ? exclusive[0] : shared[0]);
	service_reload(engine->service);
	call_hold(engine->service, false, &engine_ask(engine)->request);
	call_set_policy(engine->service, chance(2) ? "standby" : "hash",
			&engine_ask(engine)->request);
	for (unsigned i = 0; i < ENGINE_SLOTS; i++)
		if (engine->actors[i].server && engine->actors[i].play != PLAY_CRASHED)
			server_hang(engine->actors[i].server, false);
}

/* Nothing is to be done with its unit, and nothing is being done. */
static bool is_still(const struct actor *actor)
{
	enum unit_action action;

	return (actor->play == PLAY_DOWN || actor->play == PLAY_FAILED ||
		actor->play == PLAY_RUNNING) &&
	       !units_find_job(actor->unit, &action);
}

/* One is to run: which, an operator has to say where both do, or none. */
static void leave_one(struct engine *engine)
{
	unsigned active = engine_active(engine);
	bool a = engine->actors[0].play == PLAY_RUNNING, b = engine->actors[1].play == PLAY_RUNNING;

	if (!is_still(&engine->actors[0]) || !is_still(&engine->actors[1]) ||
	    service_busy(engine->service) != SERVICE_IDLE || engine_unanswered(engine))
		return;
	if (a && b)
		actor_order(engine, active == 0, UNIT_STOP);
	else if (!a && !b)
		actor_order(engine, active == 1, UNIT_START);
}

/* Who is down is started; who was retired by hand, as hsctl(1) says, adopted again. */
static void bring_up(struct engine *engine)
{
	if (is_exclusive(engine))
		leave_one(engine);
	for (unsigned i = 0; i < ENGINE_SLOTS; i++) {
		const struct actor *actor = &engine->actors[i];
		enum unit_action action;

		if (!is_exclusive(engine) && actor->play != PLAY_RUNNING &&
		    !units_find_job(actor->unit, &action))
			actor_order(engine, i, UNIT_START);
		if (actor->play == PLAY_RUNNING && engine_state(engine, i) == SLOT_LEAVING &&
		    !engine_unanswered(engine))
			instance_adopt(engine->service->instances[i], &engine_ask(engine)->request);
	}
}

static bool is_hash(const struct engine *engine)
{
	return hs_word_policy(plane_word(engine->service->plane)) == HS_POLICY_HASH;
}

/* Those that are ready share the clients. */
static void check_table(const struct engine *engine)
{
	enum slot_state states[HS_SLOTS_MAX];
	struct hs_table_copy *copy = malloc(sizeof(*copy)), *made = malloc(sizeof(*made));
	uint32_t ready;

	service_states(engine->service, states);
	ready = slots_ready(states, engine->service->n_slots);
	assert_true(plane_table_read(engine->service->plane, copy));
	assert_int_equal(copy->spread.members, spread_members(&copy->spread, ready));
	spread_fill(&copy->spread, copy->spread.members, made->buckets);
	assert_memory_equal(copy->buckets, made->buckets, sizeof(made->buckets));
	free(copy);
	free(made);
}

static void check_answer(const struct engine *engine, char answer)
{
	uint64_t word = plane_word(engine->service->plane);

	if (is_hash(engine))
		assert_in_range(answer, 'A', 'A' + ENGINE_SLOTS - 1);
	else if (hs_word_canary(word) == HS_SLOT_NONE)
		assert_int_equal(answer, 'A' + engine_active(engine));
}

static bool serves_alone(const struct engine *engine, unsigned slot)
{
	const struct service *service = engine->service;

	return engine->actors[slot].play == PLAY_RUNNING && is_still(&engine->actors[slot]) &&
	       is_still(&engine->actors[!slot]) && engine->actors[!slot].play != PLAY_RUNNING &&
	       engine_state(engine, slot) == SLOT_READY && engine_active(engine) == slot &&
	       service_busy(service) == SERVICE_IDLE && !service->holds && !service->ended &&
	       !service->events.n && !service->laters && !host_busy(service->host) &&
	       !engine_unanswered(engine);
}

/* Its probes find that it is well again when they ask next. */
static bool seems_ill(const struct engine *engine)
{
	for (unsigned i = 0; i < ENGINE_SLOTS; i++)
		if (engine->service->verdicts[i].state == HEALTH_BAD)
			return true;
	return false;
}

static bool rests(const struct engine *engine)
{
	if (seems_ill(engine))
		return false;
	if (is_exclusive(engine))
		return serves_alone(engine, 0) || serves_alone(engine, 1);
	return engine_rests(engine);
}

static void come_to_rest(struct engine *engine)
{
	struct address address = engine_address();
	uint64_t end = now_usec() + 2 * RIG_DEADLINE_USEC;

	let_go(engine);
	while (!rests(engine)) {
		bring_up(engine);
		engine_turn(engine);
		if (now_usec() > end)
			engine_give_up(engine, __FILE__, __LINE__, "it comes to rest");
	}
	check_answer(engine, ask(&address));
	if (is_hash(engine))
		check_table(engine);
}

/* The other one takes over before systemd says a word. */
static void lose_active(struct engine *engine)
{
	unsigned active = engine_active(engine);

	engine->actors[active].held = true;
	actor_crash(engine, active);
	engine_until(engine, engine_active(engine) != active);
	engine->actors[active].held = false;
}

/* ---- the test ---- */

static uint64_t number_from(const char *variable, uint64_t otherwise)
{
	const char *text = getenv(variable);

	return text ? strtoull(text, NULL, 0) : otherwise;
}

static void happen_and_rest(struct engine *engine)
{
	engine->by_hand = true;
	for (unsigned i = chance(HAPPENINGS_MAX); i > 0; i--) {
		happen(engine);
		for (unsigned turns = chance(8); turns > 0; turns--) {
			engine_turn(engine);
			actor_step(engine, chance(ENGINE_SLOTS));
		}
	}
	engine->by_hand = false;
	come_to_rest(engine);
	if (!is_exclusive(engine) && !chance(4))
		lose_active(engine);
}

static void tell(const struct engine *engine, unsigned times)
{
	unsigned asked = 0, done = 0;

	for (const struct asked *one = engine->asked; one; one = one->next) {
		asked++;
		done += one->done;
	}
	fprintf(stderr, "# came to rest %u times; %u runs, %u events, %u of %u requests done\n",
		times, engine->runs, engine->n_events, done, asked);
}

/* `share` of the time in all, in percent. */
static void try_with(const char *settings, unsigned share)
{
	uint64_t seed = number_from("ENGINE_SEED", now_usec() | 1);
	uint64_t seconds = number_from("ENGINE_SECONDS", SECONDS);
	uint64_t end = now_usec() + seconds * share * USEC_PER_SEC / 100;
	struct engine *engine = engine_begin(settings);
	unsigned n = 0;

	fprintf(stderr, "# ENGINE_SEED=%llu\n", (unsigned long long)seed);
	chance_state = seed;
	for (; now_usec() < end; n++)
		happen_and_rest(engine);
	tell(engine, n);
	/* with something under way */
	switch_over(engine);
	engine_end(engine);
}

static void whatever_happens_it_comes_to_rest(void **state)
{
	(void)state;
	try_with(shared[0], 70);
}

static void so_does_an_exclusive_one(void **state)
{
	(void)state;
	try_with(exclusive[0], 30);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whatever_happens_it_comes_to_rest),
		cmocka_unit_test(so_does_an_exclusive_one),
	};

	return cases_run("random", tests);
}
