// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What clients lose while listeners come and go under load, counted by the clients. The instances
 * take turns: traffic is flipped away from one, it closes its listener, opens a new one, is
 * adopted.
 *
 *   settled    flip, settle, close: must lose nothing
 *   hasty      flip, close at once: for comparison; connections must be counted right all the same
 *   plain      SO_REUSEPORT without a selector, close: the baseline
 */
#include "cases.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#define PORT	    8080
#define TURNS	    300
#define CLIENTS	    4
#define SETTLE_NSEC 2000000

static struct load {
	struct address at;
	atomic_bool end;
	atomic_uint answered, refused, reset, late;
	pthread_t threads[CLIENTS];
} load;

static void *ask_until_the_end(void *userdata)
{
	(void)userdata;
	while (!load.end) {
		switch (ask(&load.at)) {
		case 'A':
		case 'B':
			load.answered++;
			break;
		case ANSWER_REFUSED:
			load.refused++;
			break;
		case ANSWER_LATE:
			load.late++;
			break;
		default:
			load.reset++;
		}
	}
	return NULL;
}

static void load_begin(const struct address *at)
{
	memset(&load, 0, sizeof(load));
	load.at = *at;
	for (int i = 0; i < CLIENTS; i++)
		assert_int_equal(pthread_create(&load.threads[i], NULL, ask_until_the_end, NULL),
				 0);
	rig_until(load.answered > CLIENTS);
}

static unsigned load_end(const char *phase)
{
	load.end = true;
	for (int i = 0; i < CLIENTS; i++)
		pthread_join(load.threads[i], NULL);
	print_message("# %-8s %u turns: %u connections answered, %u refused, %u reset, %u late\n",
		      phase, TURNS, load.answered, load.refused, load.reset, load.late);
	return load.refused + load.reset + load.late;
}

/* Not a wait for something, but the time that handshakes are given. */
static void settle(void)
{
	clock_nanosleep(CLOCK_MONOTONIC, 0, &(struct timespec) {.tv_nsec = SETTLE_NSEC}, NULL);
}

struct turns {
	struct rig *rig;
	struct pair pair;
	bool flip, settle;
};

static void take_turn(const struct turns *turns, struct server *server, bool busy)
{
	if (busy)
		server_serve(server, false);
	if (turns->flip)
		rig_flip(turns->rig, !server->slot);
	if (turns->settle)
		settle();
	server_close(server, 0);
	rig_check(server_listen(server, &load.at, 0) == 0);
	if (turns->flip)
		rig_check(rig_adopt(turns->rig, server) == 1);
	if (busy)
		server_serve(server, true);
}

static void take_turns(const struct turns *turns)
{
	serve_pair(&turns->pair);
	load_begin(&(struct address) {.family = AF_INET, .port = PORT});
	for (unsigned turn = 0; turn < TURNS; turn++)
		take_turn(turns, turn & 1 ? turns->pair.b : turns->pair.a, turn & 2);
}

static void assert_counted_right(struct rig *rig)
{
	uint64_t opened = 0;

	for (unsigned slot = 0; slot < 2; slot++) {
		struct slot_totals totals;

		rig_until(!rig_slot(rig, slot).connections);
		totals = rig_slot(rig, slot);
		opened += totals.opened;
		assert_int_equal(totals.opened + totals.moved_in, totals.closed + totals.moved_out);
	}
	assert_true(opened >= load.answered);
	assert_int_equal(rig_totals(rig).moves_missed, 0);
	assert_int_equal(rig_totals(rig).nothing_to_choose, 0);
}

static void settled_turns_lose_nothing(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct turns turns = {rig, start_pair(rig, &at), .flip = true, .settle = true};
	unsigned lost;

	case_needs(ABILITY_WAKEUP);
	take_turns(&turns);
	lost = load_end("settled");
	assert_counted_right(rig);
	assert_int_equal(lost, 0);
}

static void hasty_turns_are_counted_right(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct turns turns = {rig, start_pair(rig, &at), .flip = true};

	take_turns(&turns);
	load_end("hasty");
	assert_counted_right(rig);
}

/* A test that cannot fail proves nothing: this is what the same load loses without us. */
static void plain_turns_are_the_baseline(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct turns turns = {rig, {server_start(rig, 0), server_start(rig, 1)}, .settle = true};

	server_listen(turns.pair.a, &at, 0);
	server_listen(turns.pair.b, &at, 0);
	take_turns(&turns);
	load_end("plain");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(settled_turns_lose_nothing),
		CASE(hasty_turns_are_counted_right),
		BARE_CASE(plain_turns_are_the_baseline),
	};

	return cases_run("loss", tests);
}
