// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Several listeners of one service: families are separate groups that read one word, so all of them
 * switch at one instant; and several sockets of one slot on one listener.
 */
#include "cases.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#define PORT 8080

static void listen_on(struct rig *rig, struct server *server, const struct address *at, size_t n)
{
	for (size_t i = 0; i < n; i++)
		assert_true(server_listen(server, &at[i], 0) >= 0);
	assert_int_equal(rig_adopt(rig, server), n);
	server_serve(server, true);
}

static void each_family_is_a_listener_and_all_switch(void **state)
{
	struct rig *rig = *state;
	struct address at[] = {rig_any(PORT), rig_only6(PORT), rig_dual(PORT + 1),
			       rig_local(PORT + 2), rig_local6(PORT + 2)};
	struct address clients[] = {rig_local(PORT),	 rig_local6(PORT),
				    rig_local(PORT + 1), rig_local6(PORT + 1),
				    rig_local(PORT + 2), rig_local6(PORT + 2)};
	struct server *a = server_start(rig, 0), *b = server_start(rig, 1);
	size_t n;

	listen_on(rig, a, at, ARRAY_SIZE(at));
	listen_on(rig, b, at, ARRAY_SIZE(at));
	plane_listeners(rig->plane, &n);
	assert_int_equal(n, ARRAY_SIZE(at));
	for (unsigned slot = 0; slot < 2; slot++) {
		rig_flip(rig, slot);
		for (size_t i = 0; i < ARRAY_SIZE(clients); i++)
			assert_int_equal(ask(&clients[i]), 'A' + slot);
	}
	server_kill(b);
	for (size_t i = 0; i < ARRAY_SIZE(clients); i++)
		assert_int_equal(ask(&clients[i]), 'A');
	assert_int_equal(rig_totals(rig).nothing_to_choose, 0);
}

/* Dual-stack and IPv4 on one port: two groups, and IPv4 clients belong to the second. */
static void dual_stack_and_ipv4_share_a_port(void **state)
{
	struct rig *rig = *state;
	struct address at[] = {rig_dual(PORT), rig_any(PORT)};
	struct address v4 = rig_local(PORT), v6 = rig_local6(PORT);
	struct server *a = server_start(rig, 0), *b = server_start(rig, 1);

	listen_on(rig, a, at, 2);
	/* B does not serve IPv4 by a socket of its own, so those stay with A */
	listen_on(rig, b, at, 1);
	assert_true(address_equal(plane_missing(rig->plane, 1, 0), &at[1]));
	assert_null(plane_missing(rig->plane, 0, 1));
	rig_flip(rig, 1);
	assert_int_equal(ask(&v6), 'B');
	assert_int_equal(ask(&v4), 'A');
	assert_int_equal(rig_slot(rig, 0).fell_through, 1);
}

struct flipper {
	struct rig *rig;
	atomic_uint asked; /* how often the client has asked in this round */
	unsigned to;
};

static void *flip_after_some(void *userdata)
{
	struct flipper *flipper = userdata;

	while (flipper->asked < 6)
		;
	rig_flip(flipper->rig, flipper->to);
	return NULL;
}

/* Whoever has met the new instance on one port may not meet the old one on another. */
static void no_client_sees_new_then_old(void **state)
{
	enum { ROUNDS = 100, PORTS = 3, LAST = 3 * PORTS };
	struct rig *rig = *state;
	struct address at[PORTS] = {rig_any(PORT), rig_only6(PORT), rig_any(PORT + 1)};
	struct server *a = server_start(rig, 0), *b = server_start(rig, 1);

	listen_on(rig, a, at, PORTS);
	listen_on(rig, b, at, PORTS);
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct flipper flipper = {.rig = rig, .to = !(round & 1)};
		unsigned seen_new = 0;
		pthread_t thread;

		pthread_create(&thread, NULL, flip_after_some, &flipper);
		while (seen_new < LAST) {
			char answer = ask(&at[flipper.asked++ % PORTS]);

			if (seen_new)
				assert_int_equal(answer, 'A' + flipper.to);
			seen_new += answer == (char)('A' + flipper.to);
		}
		pthread_join(thread, NULL);
	}
}

/* The shards of a slot differ in nothing but who accepts: each is a server of its own here. */
static void shards_share_evenly(void **state)
{
	enum { SHARDS = 4, FLOWS = 2000 };
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct server *workers[SHARDS];
	double expected = (double)FLOWS / SHARDS, chi;
	int tries = 0;

	for (unsigned i = 0; i < SHARDS; i++) {
		workers[i] = server_start(rig, i);
		assert_int_equal(server_listen(workers[i], &at, 0), 0);
		server_serve(workers[i], true);
		workers[i]->slot = 0;
		assert_int_equal(rig_adopt(rig, workers[i]), 1);
	}
	do {
		struct tally tally = ask_often(&at, FLOWS);

		chi = 0;
		for (unsigned i = 0; i < SHARDS; i++)
			chi += pow(tally.of['A' + i] - expected, 2) / expected;
		/* 3 degrees of freedom: above 14.2 once in 370 times */
		print_message("# chi square %.1f\n", chi);
	} while (chi > 14.2 && ++tries < 3);
	assert_true(chi <= 14.2);
	assert_int_equal(rig_slot(rig, 0).select_failed, 0);
}

static void a_dead_shard_in_the_middle_is_passed_over(void **state)
{
	struct rig *rig = *state;
	struct address at[] = {rig_any(PORT), rig_any(PORT), rig_any(PORT)};
	struct server *a = server_start(rig, 0), *b = server_start(rig, 1);

	listen_on(rig, a, at, 3);
	listen_on(rig, b, at, 1);
	server_close(a, 1);
	assert_int_equal(plane_slot_sockets(rig->plane, 0), 2);
	assert_int_equal(ask_often(&at[0], 300).of['A'], 300);
	/* a third of the flows wanted it, and found its place empty */
	assert_in_range(rig_slot(rig, 0).select_failed, 50, 150);
	assert_int_equal(rig_slot(rig, 0).fell_through, 0);
	server_close(a, 0);
	server_close(a, 2);
	assert_int_equal(ask_often(&at[0], 20).of['B'], 20);
}

static uint64_t live_bits(struct rig *rig, unsigned slot)
{
	size_t n;
	struct listener **listeners = plane_listeners(rig->plane, &n);

	assert_int_equal(n, 1);
	return listeners[0]->shards->live[slot];
}

static void holes_are_filled_again(void **state)
{
	struct rig *rig = *state;
	struct address at[] = {rig_any(PORT), rig_any(PORT), rig_any(PORT)};
	struct server *a = server_start(rig, 0);

	listen_on(rig, a, at, 3);
	assert_int_equal(live_bits(rig, 0), 7);
	server_close(a, 1);
	/* to be seen by the next adoption, which tidies up first */
	assert_int_equal(rig_adopt(rig, a), 0);
	assert_int_equal(live_bits(rig, 0), 5);
	assert_true(server_listen(a, &at[0], 0) >= 0);
	assert_int_equal(rig_adopt(rig, a), 1);
	assert_int_equal(live_bits(rig, 0), 7);
	assert_int_equal(ask_often(&at[0], 100).of['A'], 100);
	assert_int_equal(rig_slot(rig, 0).select_failed, 0);
}

static void a_slot_has_64_shards_at_most(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct server *a = server_start(rig, 0);
	struct adoption *adoption;
	struct problem sentence;

	for (unsigned i = 0; i < HS_SHARDS_MAX + 1; i++)
		assert_int_equal(server_listen(a, &at, 0), i);
	server_serve(a, true);
	adoption = rig_try_adopt(rig, a);
	assert_int_equal(adoption->n, HS_SHARDS_MAX + 1);
	assert_int_equal(adoption->adopted, HS_SHARDS_MAX);
	assert_int_equal(adoption->refused, 1);
	assert_int_equal(adoption->sockets[HS_SHARDS_MAX].verdict, ADOPT_FULL);
	adopt_describe(&adoption->sockets[HS_SHARDS_MAX], &sentence);
	assert_non_null(strstr(sentence.text, "0.0.0.0:8080"));
	assert_int_equal(plane_slot_sockets(rig->plane, 0), HS_SHARDS_MAX);
	assert_int_equal(ask_often(&at, 200).of['A'], 200);
	assert_int_equal(rig_slot(rig, 0).chosen, 200);
	adoption_free(adoption);
	/* one less, and all have a place */
	server_close(a, 0);
	rig_adopt(rig, a);
	assert_int_equal(plane_slot_sockets(rig->plane, 0), HS_SHARDS_MAX);
}

/* Each has its place still, and the kernel says of a place that is taken only that it is. */
static void a_full_slot_that_was_set_aside_comes_back(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct server *a = server_start(rig, 0);
	struct adoption *adoption;
	unsigned full = 0;

	for (unsigned i = 0; i < HS_SHARDS_MAX; i++)
		assert_int_equal(server_listen(a, &at, 0), i);
	server_serve(a, true);
	assert_int_equal(rig_adopt(rig, a), HS_SHARDS_MAX);
	listener_set_aside(plane_find(rig->plane, &at), 0);
	assert_int_equal(plane_slot_sockets(rig->plane, 0), 0);
	assert_int_equal(rig_adopt(rig, a), HS_SHARDS_MAX);
	assert_int_equal(plane_slot_sockets(rig->plane, 0), HS_SHARDS_MAX);
	assert_int_equal(ask_often(&at, 100).of['A'], 100);
	/* one more has none */
	assert_int_equal(server_listen(a, &at, 0), HS_SHARDS_MAX);
	listener_set_aside(plane_find(rig->plane, &at), 0);
	adoption = rig_try_adopt(rig, a);
	assert_int_equal(adoption->adopted, HS_SHARDS_MAX);
	for (size_t i = 0; i < adoption->n; i++)
		full += adoption->sockets[i].verdict == ADOPT_FULL;
	assert_int_equal(full, 1);
	assert_int_equal(plane_slot_sockets(rig->plane, 0), HS_SHARDS_MAX);
	adoption_free(adoption);
}

static void all_16_slots_are_of_use(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);

	for (unsigned slot = 0; slot < HS_SLOTS_MAX; slot++)
		server_serve(start_adopted(rig, slot, &at), true);
	assert_int_equal(plane_live_slots(rig->plane), 0xffff);
	for (unsigned slot = 0; slot < HS_SLOTS_MAX; slot++) {
		rig_flip(rig, slot);
		assert_int_equal(ask(&at), 'A' + slot);
	}
	/* the last one dies with all but the first: it takes one look-up to find the first */
	for (unsigned slot = 1; slot < HS_SLOTS_MAX; slot++)
		server_kill(rig->servers[slot]);
	assert_int_equal(ask(&at), 'A');
	assert_int_equal(rig_slot(rig, 0).fell_through, 1);
}

/* The worst that the selector can meet: every hint is set, and no socket lives but the very last.
 */
static void it_finds_the_last_socket_of_all(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct server *last = start_adopted(rig, HS_SLOTS_MAX - 1, &at);
	size_t n;
	struct listener **listeners = plane_listeners(rig->plane, &n);

	server_serve(last, true);
	for (unsigned slot = 0; slot < HS_SLOTS_MAX; slot++)
		listeners[0]->shards->live[slot] = slot < HS_SLOTS_MAX - 1 ? ~0ULL : 1;
	rig_flip(rig, 0);
	assert_int_equal(ask(&at), last->name);
	assert_int_equal(rig_slot(rig, 0).select_failed, HS_SHARDS_MAX);
	assert_int_equal(rig_totals(rig).nothing_to_choose, 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(each_family_is_a_listener_and_all_switch),
		CASE(dual_stack_and_ipv4_share_a_port),
		CASE(no_client_sees_new_then_old),
		CASE(shards_share_evenly),
		CASE(a_dead_shard_in_the_middle_is_passed_over),
		CASE(holes_are_filled_again),
		CASE(a_slot_has_64_shards_at_most),
		CASE(a_full_slot_that_was_set_aside_comes_back),
		CASE(all_16_slots_are_of_use),
		CASE(it_finds_the_last_socket_of_all),
	};

	return cases_run("listeners", tests);
}
