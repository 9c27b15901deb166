// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One call that the engine makes of the kernel, of libc or of systemd fails, at each place from
 * which it makes any, in all that can be asked of a service and that can happen to it: nothing
 * ends that should not, the word stays sound, each request is answered once, and the service is
 * whole again by itself, whereupon who connects is answered.
 *
 * Of the places only some are tried, and each once; ENGINE_NTH=places tries all, and takes minutes;
 * ENGINE_NTH=calls has each single call fail, with two errors each. ENGINE_VERB= leaves out all but
 * one. With ENGINE_DEBUG=1 it is shown from where the call came.
 */
#include <stdlib.h>
#include <string.h>

#include "../plane/cases.h"
#include "core/spread/spread.h"
#include "engine.h"
#include "nth.h"
#include "plane/parts/table.h"
#include "service/slot/adoption.h"
#include "service/slot/retirement.h"
#include "service/slot/states.h"
#include "service/watch/hang.h"
#include "service/whole/assembly.h"
#include "service/whole/calls.h"
#include "service/whole/calls_spread.h"

#define QUICK	  "Settle=1ms\nDrain=0\n"
#define EXCLUSIVE QUICK "Exclusive=yes\n"
#define PROBES	  QUICK "FailoverHold=0\n[Health]\nProbe=tcp\nInterval=100ms\nFall=1\nRise=1\n"
#define HANGS	  QUICK "FailoverHold=0\nStall=200ms\nOnHang=keep\n"
/* So many places are tried of each, if not all are. */
#define PLACES 4
/* Within this time it is whole again, counted from what is asked for or happens. */
#define WHOLE_USEC (5 * USEC_PER_SEC)
/* So many sockets may be kept ready (service/slot/netns_stock.c); what leaks is soon more. */
#define STOCK 4

/* ---- what is asked for, and what happens ---- */

static void wait_for(struct engine *engine, const struct asked *asked)
{
	engine_until(engine, asked->answered);
}

static void switch_over(struct engine *engine, const char *then)
{
	struct switchover_call call = {.to = GATE_STANDBY,
				       .settle_usec = USEC_INFINITY,
				       .drain_usec = USEC_INFINITY,
				       .then = then};
	struct asked *asked = engine_ask(engine);

	nth_enter();
	call_switchover(engine->service, &call, &asked->request);
	nth_leave();
	wait_for(engine, asked);
}

static void switch_and_keep(struct engine *engine)
{
	switch_over(engine, "keep");
}

static void switch_and_restart(struct engine *engine)
{
	switch_over(engine, "restart");
}

static void roll_back(struct engine *engine)
{
	struct asked *asked = engine_ask(engine);

	nth_enter();
	call_rollback(engine->service, &asked->request);
	nth_leave();
	wait_for(engine, asked);
}

static void fail_over(struct engine *engine)
{
	struct asked *asked = engine_ask(engine);

	nth_enter();
	call_failover(engine->service, GATE_STANDBY, &asked->request);
	nth_leave();
	wait_for(engine, asked);
}

static struct asked *begin_upgrade(struct engine *engine)
{
	struct upgrade_order order = {.smoke = "",
				      .n_canary = 1,
				      .canary = {0x4000},
				      .hold_usec = USEC_PER_MSEC,
				      .probation_usec = USEC_PER_MSEC,
				      .ready_usec = USEC_INFINITY};
	struct asked *asked = engine_ask(engine);

	if (engine->service->config.exclusive)
		order.n_canary = 0;
	nth_enter();
	call_upgrade(engine->service, &order, &asked->request);
	nth_leave();
	return asked;
}

static void upgrade(struct engine *engine)
{
	wait_for(engine, begin_upgrade(engine));
}

static void upgrade_and_cancel(struct engine *engine)
{
	struct asked *asked = begin_upgrade(engine), *cancel = engine_ask(engine);
	unsigned standby = !engine_active(engine);

	engine_until(engine, asked->answered || engine->actors[standby].play == PLAY_START_POST);
	nth_enter();
	call_cancel_upgrade(engine->service, &cancel->request);
	nth_leave();
	wait_for(engine, cancel);
	wait_for(engine, asked);
}

static void set_canary(struct engine *engine, uint32_t share)
{
	struct canary_call call = {.share = share,
				   .to = GATE_STANDBY,
				   .by = "client",
				   .from = share ? "10.0.0.0/8" : ""};
	struct asked *asked = engine_ask(engine);

	nth_enter();
	call_set_canary(engine->service, &call, &asked->request);
	nth_leave();
	wait_for(engine, asked);
}

static void set_policy(struct engine *engine, const char *policy)
{
	struct asked *asked = engine_ask(engine);

	nth_enter();
	call_set_policy(engine->service, policy, &asked->request);
	nth_leave();
	wait_for(engine, asked);
}

static void hold(struct engine *engine, bool held)
{
	struct asked *asked = engine_ask(engine);

	nth_enter();
	call_hold(engine->service, held, &asked->request);
	nth_leave();
	wait_for(engine, asked);
}

/* Nothing is left of it that would be there the next time. */
static void set_all_back(struct engine *engine)
{
	set_canary(engine, 0);
	set_policy(engine, "standby");
	hold(engine, false);
	/* who crashes again and again is started later and later */
	for (unsigned i = 0; i < ENGINE_SLOTS; i++)
		engine->service->instances[i]->restart_delay = 0;
}

static void share_out(struct engine *engine)
{
	set_canary(engine, 0x4000);
	set_policy(engine, "hash");
	set_policy(engine, "standby");
	set_canary(engine, 0);
}

static void set_hash(struct engine *engine)
{
	struct asked *asked = engine_ask(engine);

	nth_enter();
	call_set_hash(engine->service, "client", &asked->request);
	nth_leave();
	wait_for(engine, asked);
}

static void weigh(struct engine *engine, unsigned percent)
{
	struct asked *asked = engine_ask(engine);

	nth_enter();
	call_set_weight(engine->service, 0, percent, &asked->request);
	nth_leave();
	wait_for(engine, asked);
}

static void pin(struct engine *engine, unsigned slot)
{
	struct asked *asked = engine_ask(engine);

	nth_enter();
	call_set_pinned(engine->service, "10.0.0.0/8", slot, &asked->request);
	nth_leave();
	wait_for(engine, asked);
}

static void set_slots(struct engine *engine, unsigned slots)
{
	struct asked *asked = engine_ask(engine);

	nth_enter();
	call_set_slots(engine->service, slots, &asked->request);
	nth_leave();
	wait_for(engine, asked);
}

static void look_at_table(struct engine *engine)
{
	struct asked *table = engine_ask(engine), *where = engine_ask(engine),
		     *rebalance = engine_ask(engine);

	nth_enter();
	call_table(engine->service, &table->request);
	call_where(engine->service, "127.0.0.1", &where->request);
	call_rebalance(engine->service, false, &rebalance->request);
	nth_leave();
	wait_for(engine, rebalance);
}

static void spread(struct engine *engine)
{
	set_hash(engine);
	weigh(engine, 0);
	pin(engine, 1);
	set_slots(engine, 1);
	look_at_table(engine);
	weigh(engine, 100);
	pin(engine, HS_SLOT_NONE);
	set_slots(engine, 2);
}

static void look_at_connections(struct engine *engine)
{
	const struct connections_query query = {.idle_usec = CONNECTIONS_IDLE_USEC, .list = true};
	struct asked *asked = engine_ask(engine);
	struct address address = engine_address();
	int fd = client_connect(&address);

	nth_enter();
	call_connections(engine->service, &query, &asked->request);
	nth_leave();
	wait_for(engine, asked);
	close_fd(fd);
}

static void hold_and_release(struct engine *engine)
{
	hold(engine, true);
	hold(engine, false);
}

static void retire_and_adopt(struct engine *engine)
{
	struct instance *instance = engine->service->instances[engine_active(engine)];
	struct asked *retired = engine_ask(engine), *adopted = engine_ask(engine);

	nth_enter();
	instance_retire(instance, &retired->request);
	nth_leave();
	wait_for(engine, retired);
	nth_enter();
	instance_adopt(instance, &adopted->request);
	nth_leave();
	wait_for(engine, adopted);
}

static struct asked *begin_drain(struct engine *engine, unsigned slot, uint64_t patience_usec)
{
	struct asked *asked = engine_ask(engine);

	nth_enter();
	call_drain(engine->service, slot, patience_usec, &asked->request);
	nth_leave();
	return asked;
}

static void take_back(struct engine *engine, unsigned slot)
{
	struct asked *adopted = engine_ask(engine);

	nth_enter();
	instance_adopt(engine->service->instances[slot], &adopted->request);
	nth_leave();
	wait_for(engine, adopted);
}

static void drain_and_take_back(struct engine *engine)
{
	unsigned active = engine_active(engine);

	wait_for(engine, begin_drain(engine, active, USEC_PER_SEC));
	take_back(engine, active);
}

static void restart_unit(struct engine *engine)
{
	unsigned runs = engine->runs;

	actor_order(engine, engine_active(engine), UNIT_RESTART);
	engine_until(engine, engine->runs > runs);
}

static void stop_and_start(struct engine *engine)
{
	for (unsigned i = 0; i < ENGINE_SLOTS; i++)
		if (engine->actors[i].play != PLAY_DOWN)
			actor_order(engine, i, UNIT_STOP);
	engine_until(engine,
		     engine->actors[0].play == PLAY_DOWN && engine->actors[1].play == PLAY_DOWN);
	for (unsigned i = 0; i < (engine->service->config.exclusive ? 1 : ENGINE_SLOTS); i++)
		actor_order(engine, i, UNIT_START);
}

static void lose_active(struct engine *engine)
{
	unsigned active = engine_active(engine), runs = engine->runs;

	actor_crash(engine, active);
	engine_until(engine, engine->runs > runs);
}

static void spread_and_lose(struct engine *engine)
{
	set_hash(engine);
	lose_active(engine);
}

static void spread_and_restart(struct engine *engine)
{
	set_hash(engine);
	restart_unit(engine);
}

/* It is left, and well again. */
static void fall_ill(struct engine *engine)
{
	unsigned active = engine_active(engine);

	engine_until(engine, engine->service->verdicts[!active].state == HEALTH_GOOD);
	engine->ill = 1U << active;
	engine_until(engine, engine_active(engine) != active);
	engine->ill = 0;
	engine_until(engine, engine->service->verdicts[active].state == HEALTH_GOOD);
}

/* It is left, and accepts again. Who waited is served by the other. */
static void hang(struct engine *engine)
{
	unsigned active = engine_active(engine);
	struct address address = engine_address();
	int fd;

	rig_check(ask(&address) == (char)('A' + active));
	server_serve(engine->actors[active].server, false);
	fd = client_connect(&address);
	hang_watch_heard(engine->host.hangs, plane_id(engine->service->plane));
	engine_until(engine, engine_active(engine) != active);
	server_serve(engine->actors[active].server, true);
	close_fd(fd);
}

static void lose_both(struct engine *engine)
{
	unsigned runs = engine->runs;

	actor_crash(engine, 0);
	actor_crash(engine, 1);
	engine_until(engine, engine->runs >= runs + 2);
}

static void reload(struct engine *engine)
{
	static const char *const settings[] = {QUICK "Slots=3\nPark=no\n", QUICK};

	for (unsigned i = 0; i < ARRAY_SIZE(settings); i++) {
		engine_configure(settings[i]);
		nth_enter();
		service_reload(engine->service);
		nth_leave();
		engine_turn(engine);
	}
}

/* Who hosts it tries again, as hsd does. */
static void manage_anew(struct engine *engine)
{
	int r;

	engine_leave(engine);
	do {
		nth_enter();
		r = service_new(&engine->host, "web", &engine->service);
		nth_leave();
	} while (r < 0);
}

/* Somebody stays until the next host has come; where it was not begun nothing is left. */
static void drain_and_manage_anew(struct engine *engine)
{
	unsigned active = engine_active(engine);
	struct address address = engine_address();
	int fd = client_connect(&address);

	rig_check(client_ask(fd) == (char)('A' + active));
	begin_drain(engine, active, USEC_PER_SEC * 3600);
	engine_until(engine, engine_state(engine, active) == SLOT_LEAVING ||
				     service_busy(engine->service) == SERVICE_IDLE);
	manage_anew(engine);
	engine_until(engine, service_is_open(engine->service) &&
				     service_is_known(engine->service) &&
				     service_busy(engine->service) != SERVICE_RESUMING);
	close_fd(fd);
	engine_until(engine, service_busy(engine->service) == SERVICE_IDLE);
	take_back(engine, active);
}

/* ---- whole ---- */

static bool is_equipped(const struct service *service)
{
	return service->plane && service->park && service->hang && service->failover &&
	       service->selection && service->event_log && service->pathguard && service->roles &&
	       service->n_slots == service->config.slots;
}

static bool serves_alone(const struct engine *engine, unsigned slot)
{
	return engine->actors[slot].play == PLAY_RUNNING &&
	       engine->actors[!slot].play == PLAY_DOWN &&
	       engine_state(engine, slot) == SLOT_READY && engine_active(engine) == slot &&
	       service_busy(engine->service) == SERVICE_IDLE && !engine_unanswered(engine) &&
	       !host_busy(&engine->host);
}

static bool is_tried_again(const struct instance *instance)
{
	return instance_is_up(instance_facts(instance)->state) &&
	       (instance->retry_source || instance->adopt_wanted || instance_is_adopting(instance));
}

/* Those that are ready share the clients, if they are spread. */
static bool is_shared(const struct engine *engine)
{
	enum slot_state states[HS_SLOTS_MAX];
	struct hs_spread now;

	if (!plane_is_spread(engine->service->plane))
		return true;
	service_states(engine->service, states);
	return plane_table_spread(engine->service->plane, &now) &&
	       now.members == spread_members(&now, slots_ready(states, engine->service->n_slots));
}

static bool is_whole(const struct engine *engine)
{
	const struct service *service = engine->service;

	if (!service_is_open(service) || !is_equipped(service) || !is_shared(engine))
		return false;
	for (unsigned i = 0; i < service->n_slots; i++)
		if (is_tried_again(service->instances[i]))
			return false;
	if (service->config.exclusive)
		return serves_alone(engine, 0) || serves_alone(engine, 1);
	return engine_rests(engine);
}

/* ---- each in turn ---- */

struct verb {
	const char *name;
	void (*act)(struct engine *engine);
	const char *settings;
};

static unsigned count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static void rest(struct engine *engine)
{
	struct address address = engine_address();
	char answer;

	engine_until(engine, is_whole(engine));
	answer = ask(&address);
	if (!plane_is_spread(engine->service->plane))
		assert_int_equal(answer, 'A' + engine_active(engine));
}

static bool becomes_whole(struct engine *engine, uint64_t begun)
{
	while (!is_whole(engine) && now_usec() < begun + WHOLE_USEC)
		engine_turn(engine);
	return is_whole(engine);
}

/* By hand, so that the next call can fail. */
static void make_whole(struct engine *engine, const struct verb *verb)
{
	fprintf(stderr, "# %s: not whole again after %s failed\n", verb->name,
		nth_failed() ?: "nothing");
	engine_describe(engine);
	for (unsigned i = 0; i < ENGINE_SLOTS; i++)
		if (engine_state(engine, i) != SLOT_READY &&
		    (!engine->service->config.exclusive || i == 0))
			actor_order(engine, i, UNIT_RESTART);
}

struct figures {
	unsigned places, tried, in_vain;
	uint64_t longest;
};

/* One call was told to fail; returns whether it came. */
static bool try(struct engine *engine, const struct verb *verb, unsigned fds,
		struct figures *figures)
{
	uint64_t begun = now_usec();
	const char *failed;
	bool whole;

	verb->act(engine);
	whole = becomes_whole(engine, begun);
	nth_disarm();
	failed = nth_failed();
	if (!whole) {
		figures->in_vain++;
		make_whole(engine, verb);
	}
	figures->longest = MAX(figures->longest, now_usec() - begun);
	figures->tried += failed != NULL;
	set_all_back(engine);
	rest(engine);
	if (engine->is_loud && count_fds() > fds)
		fprintf(stderr, "# %s: after %s failed there are %u descriptors instead of %u\n",
			verb->name, failed, count_fds(), fds);
	engine_until(engine, count_fds() <= fds);
	return failed;
}

/* By any verb. */
static const void *tried[NTH_PLACES_MAX];
static size_t n_tried;

static void note_tried(const void *place)
{
	if (n_tried < NTH_PLACES_MAX)
		tried[n_tried++] = place;
}

static bool was_tried(const void *place)
{
	for (size_t i = 0; i < n_tried; i++)
		if (tried[i] == place)
			return true;
	return false;
}

static size_t leave_out_tried(const void **places, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++)
		if (!was_tried(places[i]))
			places[kept++] = places[i];
	return kept;
}

static void try_places(struct engine *engine, const struct verb *verb, unsigned fds, bool all,
		       struct figures *figures)
{
	const void *places[NTH_PLACES_MAX];
	size_t n, step;

	nth_count();
	verb->act(engine);
	rest(engine);
	nth_disarm();
	n = nth_places(places);
	if (!all)
		n = leave_out_tried(places, n);
	step = all ? 1 : n / PLACES + 1;
	figures->places = n;
	for (size_t i = 0; i < n; i += step) {
		note_tried(places[i]);
		nth_arm_place(places[i], i % 2 ? EIO : ENOMEM);
		if (engine->is_loud)
			fprintf(stderr, "# -- %s: place %zu of %zu\n", verb->name, i, n);
		try(engine, verb, fds, figures);
	}
}

static void try_numbers(struct engine *engine, const struct verb *verb, unsigned fds,
			struct figures *figures)
{
	static const int errors[] = {ENOMEM, EIO};
	bool came = true;

	for (unsigned n = 1; came; n++) {
		for (unsigned i = 0; i < ARRAY_SIZE(errors); i++) {
			nth_arm(n, errors[i]);
			came = try(engine, verb, fds, figures);
		}
	}
}

static void try_verb(const struct verb *verb)
{
	struct engine *engine = engine_begin(verb->settings);
	const char *which = getenv("ENGINE_NTH");
	struct figures figures = {0};
	unsigned fds;

	actor_start(engine, 0);
	if (!engine->service->config.exclusive)
		actor_start(engine, 1);
	/* what is made once is made */
	for (unsigned i = 0; i < 3; i++) {
		verb->act(engine);
		rest(engine);
		set_all_back(engine);
		rest(engine);
	}
	fds = count_fds() + STOCK;
	if (!which || !strcmp(which, "places"))
		try_places(engine, verb, fds, which, &figures);
	else
		try_numbers(engine, verb, fds, &figures);
	fprintf(stderr, "# %s: %u places, %u calls failed, whole again after %llu ms at most\n",
		verb->name, figures.places, figures.tried,
		(unsigned long long)(figures.longest / USEC_PER_MSEC));
	assert_int_equal(figures.in_vain, 0);
	engine_end(engine);
}

static void whatever_fails_it_is_whole_again(void **state)
{
	const struct verb *verb = *state;
	const char *only = getenv("ENGINE_VERB");

	if (only && strcmp(verb->name, only))
		skip();
	try_verb(verb);
}

#define VERB(name, act, settings)                                                  \
	{                                                                          \
		name, whatever_fails_it_is_whole_again, NULL, NULL, &(struct verb) \
		{                                                                  \
			name, act, settings                                        \
		}                                                                  \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		VERB("switchover", switch_and_keep, QUICK),
		VERB("switchover with a restart", switch_and_restart, QUICK),
		VERB("rollback", roll_back, QUICK),
		VERB("failover", fail_over, QUICK),
		VERB("upgrade", upgrade, QUICK),
		VERB("cancel", upgrade_and_cancel, QUICK),
		VERB("canary and policy", share_out, QUICK),
		VERB("spread", spread, QUICK),
		VERB("loss of one of spread", spread_and_lose, QUICK),
		VERB("restart of one of spread", spread_and_restart, QUICK),
		VERB("hold", hold_and_release, QUICK),
		VERB("drain", drain_and_take_back, QUICK),
		VERB("drain managed anew", drain_and_manage_anew, QUICK),
		VERB("retire and adopt", retire_and_adopt, QUICK),
		VERB("restart", restart_unit, QUICK),
		VERB("stop and start", stop_and_start, QUICK),
		VERB("loss", lose_active, QUICK),
		VERB("loss of both", lose_both, QUICK),
		VERB("verdict", fall_ill, PROBES),
		VERB("hang", hang, HANGS),
		VERB("connections", look_at_connections, QUICK),
		VERB("reload", reload, QUICK),
		VERB("managed anew", manage_anew, QUICK),
		VERB("exclusive switchover", switch_and_keep, EXCLUSIVE),
		VERB("exclusive upgrade", upgrade, EXCLUSIVE),
		VERB("exclusive cancel", upgrade_and_cancel, EXCLUSIVE),
		VERB("exclusive stop and start", stop_and_start, EXCLUSIVE),
		VERB("exclusive loss", lose_active, EXCLUSIVE),
		VERB("exclusive managed anew", manage_anew, EXCLUSIVE),
	};

	return cases_run("nth", tests);
}
