// SPDX-License-Identifier: GPL-2.0-or-later
/* What a service finds out by looking: who hangs, and that its selector is not asked; and what it
 * gives up when its settings do not name it any more. */
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../plane/cases.h"
#include "engine.h"
#include "plane/bpf/guard.h"
#include "plane/parts/table.h"
#include "service/slot/adoption.h"
#include "service/slot/states.h"
#include "service/watch/hang.h"
#include "service/watch/selection.h"
#include "service/whole/assembly.h"
#include "service/whole/calls.h"

#define QUICK	   "Settle=1ms\nDrain=0\n"
#define HANGS	   QUICK "Stall=200ms\n"
#define SLOW	   QUICK "Stall=700ms\n"
#define HASH	   QUICK "Policy=hash\nBy=client\n"
#define OTHER_PORT 8001

static char who_serves(void)
{
	struct address address = engine_address();

	return ask(&address);
}

static struct engine *begin_started(const char *settings)
{
	struct engine *engine = engine_begin(settings);

	actor_start_all(engine);
	engine_until(engine, engine_rests(engine));
	return engine;
}

static void wait_for(struct engine *engine, const struct asked *asked)
{
	engine_until(engine, asked->answered);
	if (!asked->done)
		fail_msg("%s", asked->text);
}

/* The kernel tells hsd when traffic begins. */
static void hear_of_traffic(struct engine *engine)
{
	hang_watch_heard(engine->host.hangs, plane_id(engine->service->plane));
}

/* ---- who hangs ---- */

/* Closes it. */
static void expect_answer(struct engine *engine, int fd, char who)
{
	client_send(fd, '?');
	engine_until(engine, poll(&(struct pollfd) {fd, POLLIN, 0}, 1, 0) == 1);
	assert_int_equal(client_read(fd), who);
	close_fd(fd);
}

/* Clients wait at slot 0, which does not accept, and are served by slot 1. */
static void see_it_left(struct engine *engine)
{
	struct address address = engine_address();
	int waits[4];

	/* one that has never accepted may be one that only begins */
	assert_int_equal(who_serves(), 'A');
	server_serve(engine->actors[0].server, false);
	for (unsigned i = 0; i < ARRAY_SIZE(waits); i++)
		assert_true((waits[i] = client_connect(&address)) >= 0);
	hear_of_traffic(engine);
	engine_until(engine, engine_active(engine) == 1);
	for (unsigned i = 0; i < ARRAY_SIZE(waits); i++)
		expect_answer(engine, waits[i], 'B');
	/* where it cannot be seen whether anything moves in it, it may be full as well */
	assert_int_equal(engine_state(engine, 0), case_has_iterators() ? SLOT_SUSPECT : SLOT_FULL);
	assert_int_equal(who_serves(), 'B');
}

static void one_that_hangs_is_left_and_taken_back_when_it_serves(void **state)
{
	struct engine *engine = begin_started(HANGS "OnHang=keep\n");

	(void)state;
	see_it_left(engine);
	server_serve(engine->actors[0].server, true);
	engine_until(engine, engine_rests(engine));
	assert_int_equal(engine_active(engine), 1);
	engine_end(engine);
}

/* On a kernel that does not tell of our own queues all of the namespace are listed. */
static void it_is_left_also_where_all_queues_are_listed(void **state)
{
	struct engine *engine;

	(void)state;
	engine_lists = true;
	engine = begin_started(HANGS "OnHang=keep\n");
	assert_null(accounting_queues(engine->host.accounting));
	see_it_left(engine);
	engine_lists = false;
	engine_end(engine);
}

static void one_that_hangs_is_restarted(void **state)
{
	struct engine *engine;
	unsigned runs;

	(void)state;
	case_needs_iterators();
	engine = begin_started(HANGS "OnHang=restart\n");
	runs = engine->runs;
	see_it_left(engine);
	engine_until(engine, engine_rests(engine));
	assert_int_equal(engine->runs, runs + 1);
	assert_int_equal(engine_active(engine), 1);
	engine_end(engine);
}

/* What comes to one of its two sockets is accepted all the time, so counts say nothing: with the
 * list of queues alone it takes the names of those who wait at the other. */
static void so_is_one_that_accepts_at_one_socket_of_two(void **state)
{
	struct address address = engine_address();
	struct engine *engine;
	struct asked *asked;
	int fds[1000];
	unsigned n = 0;

	(void)state;
	engine_lists = true;
	engine = begin_started(HANGS "OnHang=keep\n");
	engine_lists = false;
	asked = engine_ask(engine);
	assert_int_equal(server_listen(engine->actors[0].server, &address, 0), 1);
	server_serve(engine->actors[0].server, true);
	instance_adopt(engine->service->instances[0], &asked->request);
	wait_for(engine, asked);
	assert_int_equal(ask_often(&address, 16).of['A'], 16);
	server_serve(engine->actors[0].server, false);
	server_block(engine->actors[0].server, 1);
	hear_of_traffic(engine);
	for (; engine_active(engine) == 0; engine_turn(engine)) {
		assert_true(n < ARRAY_SIZE(fds));
		assert_true((fds[n] = client_connect(&address)) >= 0);
		client_send(fds[n++], '?');
	}
	engine_until(engine, !engine->service->instances[0]->move_work);
	assert_int_equal(who_serves(), 'B');
	while (n)
		close_fd(fds[--n]);
	engine_end(engine);
}

/* Hangs are looked for, and nothing hangs: slow is not the same. */
static void one_that_accepts_now_and_then_stays(void **state)
{
	struct engine *engine = begin_started(SLOW);
	struct address address = engine_address();
	struct server *server = engine->actors[0].server;
	uint64_t end = now_usec() + 3 * 700 * USEC_PER_MSEC, accept_at = 0;
	int waits[8];

	(void)state;
	assert_int_equal(who_serves(), 'A');
	server_serve(server, false);
	for (unsigned i = 0; i < ARRAY_SIZE(waits); i++)
		assert_true((waits[i] = client_connect(&address)) >= 0);
	hear_of_traffic(engine);
	for (unsigned n = 0; now_usec() < end; engine_turn(engine)) {
		if (now_usec() < accept_at)
			continue;
		accept_at = now_usec() + 50 * USEC_PER_MSEC;
		server_accept(server, NULL);
		close_fd(waits[n % ARRAY_SIZE(waits)]);
		assert_true((waits[n++ % ARRAY_SIZE(waits)] = client_connect(&address)) >= 0);
	}
	assert_int_equal(engine_active(engine), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(waits); i++)
		close_fd(waits[i]);
	server_serve(server, true);
	engine_end(engine);
}

/* ---- the selector is not asked ---- */

static const char *said_of_selection(const struct engine *engine)
{
	const struct problem *problem = selection_problem(engine->service->selection);

	return problem ? problem->text : "";
}

/* A young instance is looked at again and again, and what is missing is attached then. */
static bool is_looked_at(const struct engine *engine)
{
	return engine->service->instances[0]->look_source ||
	       engine->service->instances[1]->look_source;
}

/* Nobody waits for the answer: it may be led to the park, where nobody gives one. */
static void come(void)
{
	struct address address = engine_address();
	int fd = client_connect(&address);

	assert_true(fd >= 0);
	client_reset(fd);
}

static void a_selector_that_was_taken_off_is_attached_again(void **state)
{
	struct engine *engine = begin_started(QUICK);
	struct address address = engine_address();

	(void)state;
	engine_until(engine, !is_looked_at(engine));
	assert_string_equal(said_of_selection(engine), "");
	/* as where there is no guard */
	guard_forget(plane_id(engine->service->plane));
	assert_int_equal(server_take(engine->actors[0].server, SO_DETACH_REUSEPORT_BPF), 0);
	hear_of_traffic(engine);
	engine_until(engine, (come(), said_of_selection(engine)[0]));
	if (!strstr(said_of_selection(engine), "connections come that it was not asked about"))
		fail_msg("%s", said_of_selection(engine));
	engine_until(engine, engine_rests(engine));
	assert_int_equal(ask_often(&address, 64).of['A'], 64);
	engine_end(engine);
}

static void a_probe_that_is_answered_by_somebody_else_is_told_once(void **state)
{
	struct engine *engine = begin_started(QUICK);
	struct selection *selection = engine->service->selection;

	(void)state;
	assert_true(selection_on_stray(selection, 1));
	assert_false(selection_on_stray(selection, 1));
	engine_until(engine, said_of_selection(engine)[0]);
	assert_non_null(strstr(said_of_selection(engine),
			       "a probe of slot 1 was answered, and not by way of it"));
	engine_until(engine, engine_rests(engine));
	engine_end(engine);
}

/* ---- probes ---- */

static void a_slot_that_nobody_asks_any_more_has_its_clients_again(void **state)
{
	struct engine *engine =
		begin_started(HASH "[Health]\nProbe=tcp\nInterval=100ms\nFall=1\nRise=1\n");
	struct hs_spread spread;

	(void)state;
	engine->ill = 2;
	engine_until(engine,
		     plane_table_spread(engine->service->plane, &spread) && spread.members == 1);
	engine_configure(HASH);
	service_reload(engine->service);
	engine_until(engine,
		     plane_table_spread(engine->service->plane, &spread) && spread.members == 3);
	engine_until(engine, engine_rests(engine));
	engine_end(engine);
}

#define PROBED QUICK "[Health]\nProbe=tcp\nFall=1\nRise=2\nInterval="

static struct asked *begin_canary(struct engine *engine)
{
	struct upgrade_order order = {.smoke = "",
				      .n_canary = 1,
				      .canary = {0x4000},
				      .hold_usec = 3600 * USEC_PER_SEC,
				      .ready_usec = USEC_INFINITY};
	struct asked *asked = engine_ask(engine);

	call_upgrade(engine->service, &order, &asked->request);
	engine_until(engine, hs_word_canary(plane_word(engine->service->plane)) == 1);
	return asked;
}

static void turn_for(struct engine *engine, uint64_t usec)
{
	for (uint64_t end = now_usec() + usec; now_usec() < end;)
		engine_turn(engine);
}

/* Nothing is known of a slot that is asked anew, and that is nothing against it. */
static void an_upgrade_goes_on_while_its_slot_is_asked_anew(void **state)
{
	struct engine *engine = begin_started(PROBED "100ms\n");
	struct address address = engine_address();
	struct asked *asked = begin_canary(engine), *adopt = engine_ask(engine),
		     *cancel = engine_ask(engine);

	(void)state;
	/* a worker that comes late, with a socket of its own */
	assert_true(server_listen(engine->actors[1].server, &address, 0) >= 0);
	server_serve(engine->actors[1].server, true);
	instance_adopt(engine->service->instances[1], &adopt->request);
	wait_for(engine, adopt);
	turn_for(engine, 400 * USEC_PER_MSEC);
	assert_false(asked->answered);
	/* so rarely that it is not known for a while */
	engine_configure(PROBED "2s\n");
	service_reload(engine->service);
	turn_for(engine, 600 * USEC_PER_MSEC);
	if (asked->answered)
		fail_msg("%s", asked->text);
	/* one that is ill is another matter */
	engine->ill = 2;
	engine_until(engine, asked->answered);
	assert_int_equal(asked->failure, REQUEST_UNDONE);
	assert_non_null(strstr(asked->text, "slot 1 is unhealthy"));
	engine->ill = 0;
	call_cancel_upgrade(engine->service, &cancel->request);
	engine_until(engine, cancel->answered);
	engine_end(engine);
}

static bool is_well(const struct engine *engine, unsigned slot)
{
	struct slot_health buffer[HS_SLOTS_MAX];
	const struct slot_health *health = service_health(engine->service, buffer);

	return health && health[slot].state == HEALTH_GOOD;
}

static void an_active_one_that_is_ill_is_left_for_its_canary(void **state)
{
	struct engine *engine = begin_started(PROBED "100ms\n");
	struct asked *asked = begin_canary(engine);

	(void)state;
	engine_until(engine, is_well(engine, 1));
	engine->ill = 1;
	engine_until(engine, engine_active(engine) == 1);
	assert_false(asked->answered);
	engine->ill = 0;
	wait_for(engine, asked);
	engine_until(engine, engine_rests(engine));
	engine_end(engine);
}

/* At once: with a long interval it would not be known for as long. */
static void another_instance_is_asked_anew_at_once(void **state)
{
	struct engine *engine = begin_started(PROBED "1h\n");

	(void)state;
	engine_until(engine, is_well(engine, 0) && is_well(engine, 1));
	service_post(engine->service, EVENT_NEW_RUN, 0, false);
	engine_until(engine, !is_well(engine, 0));
	engine_until(engine, is_well(engine, 0));
	assert_true(is_well(engine, 1));
	engine_end(engine);
}

/* ---- servers that sleep ---- */

/* On kernels that do not do so when connections are moved to one. */
static void one_that_sleeps_is_woken_for_those_who_are_moved_to_it(void **state)
{
	struct engine *engine = begin_started(QUICK);
	struct address address = engine_address();
	struct asked *asked = engine_ask(engine);
	int fd;

	(void)state;
	engine->nudge = true;
	server_serve(engine->actors[0].server, false);
	server_serve(engine->actors[1].server, false);
	server_block(engine->actors[1].server, 0);
	assert_true((fd = client_connect(&address)) >= 0);
	client_send(fd, '?');
	call_failover(engine->service, 1, &asked->request);
	engine_until(engine, poll(&(struct pollfd) {fd, POLLIN, 0}, 1, 0) == 1);
	assert_int_equal(client_read(fd), 'B');
	engine_until(engine, engine->ordered[WORK_NUDGE]);
	wait_for(engine, asked);
	close_fd(fd);
	engine_end(engine);
}

/* ---- what settings do not name any more ---- */

static size_t listeners(const struct engine *engine)
{
	size_t n;

	plane_listeners(engine->service->plane, &n);
	return n;
}

static void a_port_that_is_not_named_any_more_is_given_up(void **state)
{
	struct engine *engine = begin_started(QUICK);
	struct address other = rig_local(OTHER_PORT);

	(void)state;
	for (unsigned i = 0; i < ENGINE_SLOTS; i++) {
		struct asked *asked = engine_ask(engine);

		assert_true(server_listen(engine->actors[i].server, &other, 0) >= 0);
		server_serve(engine->actors[i].server, true);
		instance_adopt(engine->service->instances[i], &asked->request);
		wait_for(engine, asked);
	}
	assert_int_equal(listeners(engine), 2);
	assert_int_equal(ask_often(&other, 64).of['A'], 64);
	engine_configure(QUICK "Ports=8000\n");
	service_reload(engine->service);
	engine_until(engine, listeners(engine) == 1);
	engine_until(engine, engine_rests(engine));
	/* the kernel alone leads connections there, to both */
	assert_in_range(ask_often(&other, 64).of['B'], 1, 63);
	assert_int_equal(who_serves(), 'A');
	engine_end(engine);
}

/* ---- what is left of a drain ---- */

static void what_is_left_at_the_deadline_of_a_drain_is_reset(void **state)
{
	struct engine *engine = begin_started("Settle=1ms\nDrainEnd=reset\n");
	struct address address = engine_address();
	struct asked *asked = engine_ask(engine);
	int fd = client_connect(&address);
	unsigned runs = engine->runs;

	(void)state;
	assert_int_equal(client_ask(fd), 'A');
	call_drain(engine->service, 0, 50 * USEC_PER_MSEC, &asked->request);
	wait_for(engine, asked);
	if (!strstr(asked->text, "\"outcome\":\"reset\""))
		fail_msg("%s", asked->text);
	assert_int_equal(client_ask(fd), ANSWER_RESET);
	assert_int_equal(engine->actors[0].play, PLAY_RUNNING);
	assert_int_equal(engine->runs, runs);
	close_fd(fd);
	engine_end(engine);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_that_hangs_is_left_and_taken_back_when_it_serves),
		cmocka_unit_test(it_is_left_also_where_all_queues_are_listed),
		cmocka_unit_test(so_is_one_that_accepts_at_one_socket_of_two),
		cmocka_unit_test(one_that_hangs_is_restarted),
		cmocka_unit_test(one_that_accepts_now_and_then_stays),
		cmocka_unit_test(a_selector_that_was_taken_off_is_attached_again),
		cmocka_unit_test(a_probe_that_is_answered_by_somebody_else_is_told_once),
		cmocka_unit_test(a_slot_that_nobody_asks_any_more_has_its_clients_again),
		cmocka_unit_test(an_upgrade_goes_on_while_its_slot_is_asked_anew),
		cmocka_unit_test(an_active_one_that_is_ill_is_left_for_its_canary),
		cmocka_unit_test(another_instance_is_asked_anew_at_once),
		cmocka_unit_test(one_that_sleeps_is_woken_for_those_who_are_moved_to_it),
		cmocka_unit_test(a_port_that_is_not_named_any_more_is_given_up),
		cmocka_unit_test(what_is_left_at_the_deadline_of_a_drain_is_reset),
	};

	return cases_run("watch", tests);
}
