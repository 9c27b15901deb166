// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Live connections per slot: right while connections come and go in every way there is, and right
 * when the kernel moves them to another slot.
 */
#include "cases.h"

#include <bpf/bpf.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#define PORT	8080
#define CLIENTS 10

static void connect_all(const struct address *at, int fds[CLIENTS])
{
	for (int i = 0; i < CLIENTS; i++) {
		fds[i] = client_connect(at);
		assert_true(fds[i] >= 0);
	}
}

static void reset_all(int fds[CLIENTS])
{
	for (int i = 0; i < CLIENTS; i++)
		client_reset(fds[i]);
}

static void assert_live(struct rig *rig, unsigned a, unsigned b)
{
	rig_until(rig_slot(rig, 0).connections == a && rig_slot(rig, 1).connections == b);
}

/* Nothing may be left over when all is closed: no live connection, no note of a move. */
static void assert_nothing_left(struct rig *rig)
{
	int moved = accounting_moved_fd(rig->accounting);
	struct slot_totals all = {0};
	uint64_t cookie;

	for (unsigned slot = 0; slot < HS_SLOTS_MAX; slot++) {
		struct slot_totals totals;

		rig_until(!rig_slot(rig, slot).connections);
		totals = rig_slot(rig, slot);
		assert_int_equal(totals.opened + totals.moved_in, totals.closed + totals.moved_out);
		all.moved_in += totals.moved_in;
		all.moved_out += totals.moved_out;
	}
	assert_int_equal(all.moved_in, all.moved_out);
	assert_int_not_equal(bpf_map_get_next_key(moved, NULL, &cookie), 0);
}

static void connections_are_counted_until_they_end(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct pair pair = start_pair(rig, &at);
	int fds[CLIENTS];

	connect_all(&at, fds);
	assert_live(rig, CLIENTS, 0);
	serve_pair(&pair);
	assert_int_equal(client_ask(fds[0]), 'A');
	rig_flip(rig, 1);
	assert_live(rig, CLIENTS, 0);
	close(fds[0]);
	assert_live(rig, CLIENTS - 1, 0);
	assert_int_equal(client_ask(fds[1]), 'A');
	client_reset(fds[1]);
	assert_live(rig, CLIENTS - 2, 0);
	server_hang_up(pair.a, true);
	assert_live(rig, 0, 0);
	assert_int_equal(rig_slot(rig, 0).opened, CLIENTS);
	assert_nothing_left(rig);
}

static void a_server_that_hangs_up_ends_them(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct pair pair = start_pair(rig, &at);
	int fds[CLIENTS];

	serve_pair(&pair);
	connect_all(&at, fds);
	for (int i = 0; i < CLIENTS; i++)
		assert_int_equal(client_ask(fds[i]), 'A');
	server_hang_up(pair.a, false);
	/* half closed: the client may still send, so they live */
	assert_int_equal(client_read(fds[0]), ANSWER_RESET);
	for (int i = 0; i < CLIENTS; i++)
		close(fds[i]);
	assert_nothing_left(rig);
}

static void a_half_closed_connection_lives(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct pair pair = start_pair(rig, &at);
	int fd = client_connect(&at);

	assert_int_equal(server_accept(pair.a, NULL), 1);
	client_send(fd, 'x');
	shutdown(fd, SHUT_WR);
	/* not an event to wait for, but a state that must last: the server works on it */
	assert_live(rig, 1, 0);
	serve_pair(&pair);
	assert_int_equal(client_read(fd), 'A');
	assert_live(rig, 0, 0);
	close(fd);
	assert_nothing_left(rig);
}

static void a_killed_server_has_none(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct pair pair = start_pair(rig, &at);
	int fds[CLIENTS];

	connect_all(&at, fds);
	assert_int_equal(server_accept(pair.a, NULL), CLIENTS);
	server_kill(pair.a);
	for (int i = 0; i < CLIENTS; i++) {
		assert_int_equal(client_read(fds[i]), ANSWER_RESET);
		close(fds[i]);
	}
	assert_nothing_left(rig);
}

static void a_queue_is_counted_where_it_went(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct pair pair = start_pair(rig, &at);
	int fds[CLIENTS];

	case_needs(ABILITY_WAKEUP);
	connect_all(&at, fds);
	assert_live(rig, CLIENTS, 0);
	server_kill(pair.a);
	assert_live(rig, 0, CLIENTS);
	server_serve(pair.b, true);
	assert_int_equal(client_ask(fds[0]), 'B');
	assert_live(rig, 0, CLIENTS);
	reset_all(fds);
	assert_int_equal(rig_slot(rig, 1).moved_in, CLIENTS);
	assert_nothing_left(rig);
}

/* A to B, and with those that came since back to A. */
static void a_queue_that_moves_twice_is_counted_once(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct pair pair = start_pair(rig, &at);
	int first[CLIENTS], second[CLIENTS];

	case_needs(ABILITY_WAKEUP);
	connect_all(&at, first);
	server_kill(pair.a);
	rig_flip(rig, 1);
	connect_all(&at, second);
	assert_live(rig, 0, 2 * CLIENTS);
	pair.a = start_adopted(rig, 0, &at);
	server_kill(pair.b);
	assert_live(rig, 2 * CLIENTS, 0);
	server_serve(pair.a, true);
	assert_int_equal(client_ask(first[0]), 'A');
	assert_int_equal(client_ask(second[0]), 'A');
	reset_all(first);
	assert_live(rig, CLIENTS, 0);
	reset_all(second);
	assert_nothing_left(rig);
}

static void a_queue_that_stays_in_its_slot_has_not_moved(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct pair pair = start_pair(rig, &at);
	int fds[CLIENTS];

	connect_all(&at, fds);
	server_listen(pair.a, &at, 0);
	assert_int_equal(rig_adopt(rig, pair.a), 1);
	server_close(pair.a, 0);
	assert_live(rig, CLIENTS, 0);
	assert_int_equal(rig_slot(rig, 0).moved_in, 0);
	reset_all(fds);
	assert_nothing_left(rig);
}

/* Ended by the client while it waited; the kernel moves the dead ones, too. */
static void dead_connections_in_a_queue_do_not_count(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct pair pair = start_pair(rig, &at);
	int fds[CLIENTS], more[CLIENTS];

	connect_all(&at, fds);
	connect_all(&at, more);
	reset_all(fds);
	assert_live(rig, CLIENTS, 0);
	server_kill(pair.a);
	assert_live(rig, 0, CLIENTS);
	assert_int_equal(server_accept(pair.b, NULL), 2 * CLIENTS);
	assert_live(rig, 0, CLIENTS);
	reset_all(more);
	assert_nothing_left(rig);
}

static void connections_older_than_the_adoption_are_not_counted(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct server *a = server_start(rig, 0);
	int old[CLIENTS], new[CLIENTS];

	server_listen(a, &at, 0);
	connect_all(&at, old);
	assert_int_equal(rig_adopt(rig, a), 1);
	connect_all(&at, new);
	assert_live(rig, CLIENTS, 0);
	reset_all(old);
	assert_live(rig, CLIENTS, 0);
	reset_all(new);
	assert_nothing_left(rig);
}

static void nor_when_they_move(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct server *a = server_start(rig, 0);
	int old[CLIENTS], new[CLIENTS];

	server_listen(a, &at, 0);
	connect_all(&at, old);
	assert_int_equal(rig_adopt(rig, a), 1);
	connect_all(&at, new);
	start_adopted(rig, 1, &at);
	server_kill(a);
	reset_all(old);
	reset_all(new);
	assert_nothing_left(rig);
}

static void other_servers_are_not_counted(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT), other = rig_any(PORT + 1);
	struct server *stranger = server_start(rig, 25);

	start_pair(rig, &at);
	server_listen(stranger, &other, 0);
	server_serve(stranger, true);
	assert_int_equal(ask(&other), 'Z');
	for (unsigned slot = 0; slot < HS_SLOTS_MAX; slot++)
		assert_int_equal(rig_slot(rig, slot).opened, 0);
}

static void fill(int map)
{
	enum { STEP = 4096 };
	static uint64_t keys[STEP];
	static struct hs_move values[STEP];
	uint64_t key = UINT64_MAX;
	uint32_t n = STEP;

	/* cookies count up from 1: these are none */
	do {
		for (int i = 0; i < STEP; i++)
			keys[i] = key--;
	} while (!bpf_map_update_batch(map, keys, values, &n, NULL));
}

/* What cannot be written down stays with the slot that it came from, and is counted as missed. */
static void a_full_map_of_moves_misplaces_but_loses_none(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct pair pair = start_pair(rig, &at);
	int fds[CLIENTS];

	case_needs(ABILITY_WAKEUP);
	fill(accounting_moved_fd(rig->accounting));
	connect_all(&at, fds);
	server_kill(pair.a);
	assert_live(rig, CLIENTS, 0);
	assert_int_equal(rig_totals(rig).moves_missed, CLIENTS);
	server_serve(pair.b, true);
	for (int i = 0; i < CLIENTS; i++)
		assert_int_equal(client_ask(fds[i]), 'B');
	reset_all(fds);
	assert_live(rig, 0, 0);
}

/* Without accounting nothing is counted, so nothing may be said to have moved. */
static void without_accounting_no_connection_is_said_to_live(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct problem problem;
	struct pair pair;
	int fds[CLIENTS];

	case_needs(ABILITY_WAKEUP);
	assert_int_equal(plane_create("web", NULL, &rig->plane, &problem), 0);
	pair = start_pair(rig, &at);
	connect_all(&at, fds);
	server_kill(pair.a);
	assert_int_equal(rig_slot(rig, 1).migrated_in, CLIENTS);
	server_serve(pair.b, true);
	for (int i = 0; i < CLIENTS; i++)
		assert_int_equal(client_ask(fds[i]), 'B');
	assert_live(rig, 0, 0);
	reset_all(fds);
	assert_live(rig, 0, 0);
}

/* Selectors that were made without accounting cannot note moves, but must not spoil the count. */
static void accounting_that_comes_later_misplaces_but_loses_none(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct problem problem;
	struct pair pair;
	int fds[CLIENTS];

	assert_int_equal(plane_create("web", NULL, &rig->plane, &problem), 0);
	pair.a = start_adopted(rig, 0, &at);
	rig->plane = plane_free(rig->plane);
	rig_planes(rig);
	server_kill(pair.a);
	pair = start_pair(rig, &at);
	connect_all(&at, fds);
	assert_live(rig, CLIENTS, 0);
	server_kill(pair.a);
	assert_live(rig, CLIENTS, 0);
	assert_int_equal(rig_totals(rig).moves_missed, CLIENTS);
	reset_all(fds);
	assert_nothing_left(rig);
}

static void accounting_that_comes_later_counts_with_the_next_adoption(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct server *a;
	int old[CLIENTS], new[CLIENTS];

	assert_int_equal(plane_create("web", NULL, &rig->plane, &(struct problem) {0}), 0);
	a = start_adopted(rig, 0, &at);
	connect_all(&at, old);
	rig->plane = plane_free(rig->plane);
	rig_planes(rig);
	assert_int_equal(rig_adopt(rig, a), 0);
	connect_all(&at, new);
	assert_live(rig, CLIENTS, 0);
	reset_all(old);
	assert_live(rig, CLIENTS, 0);
	reset_all(new);
	assert_nothing_left(rig);
}

struct seen {
	const struct rig *rig;
	unsigned of[2], untagged;
};

static int on_connection(const struct connection *connection, void *userdata)
{
	struct seen *seen = userdata;

	if (!connection->tag.service_id)
		seen->untagged++;
	else
		seen->of[accounting_slot_of(seen->rig->accounting, connection->cookie,
					    &connection->tag)]++;
	return 0;
}

/* The list of connections and their number come from different places and must agree. */
static void the_list_of_connections_knows_their_slots(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct pair pair = start_pair(rig, &at);
	int old[CLIENTS], new[CLIENTS];
	struct seen seen = {.rig = rig};

	serve_pair(&pair);
	connect_all(&at, old);
	server_serve(pair.a, false);
	/* of the first ones A accepts all but those that it had no time for: none */
	assert_int_equal(server_accept(pair.a, NULL) + server_state(pair.a).open >= CLIENTS, 1);
	connect_all(&at, new);
	server_close(pair.a, 0);
	rig_flip(rig, 1);
	assert_live(rig, CLIENTS, CLIENTS);
	assert_int_equal(diag_connections(NULL, PORT, accounting_tags_fd(rig->accounting),
					  on_connection, &seen),
			 0);
	assert_int_equal(seen.of[0], CLIENTS);
	assert_int_equal(seen.of[1], CLIENTS);
	assert_int_equal(seen.untagged, 0);
	reset_all(old);
	reset_all(new);
	assert_nothing_left(rig);
}

/* What a drain may do at its deadline: the clients of that slot see a reset, those of others
 * nothing. */
static void connections_of_one_slot_can_be_reset(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_dual(PORT), v4 = rig_local(PORT), v6 = rig_local6(PORT);
	struct pair pair = start_pair(rig, &at);
	int old4[CLIENTS], old6[CLIENTS], fresh[CLIENTS];
	char byte;

	serve_pair(&pair);
	connect_all(&v4, old4);
	connect_all(&v6, old6);
	rig_flip(rig, 1);
	connect_all(&v4, fresh);
	assert_live(rig, 2 * CLIENTS, CLIENTS);
	assert_int_equal(reset_connections(rig->plane, 0, NULL), 2 * CLIENTS);
	assert_live(rig, 0, CLIENTS);
	for (int i = 0; i < CLIENTS; i++) {
		assert_int_equal(recv(old4[i], &byte, 1, MSG_DONTWAIT), -1);
		assert_int_equal(errno, ECONNRESET);
		assert_int_equal(recv(fresh[i], &byte, 1, MSG_DONTWAIT), -1);
		assert_int_equal(errno, EAGAIN);
	}
	assert_int_equal(reset_connections(rig->plane, 0, NULL), 0);
	reset_all(old4);
	reset_all(old6);
	reset_all(fresh);
	assert_nothing_left(rig);
}

static uint32_t program_of_link(void)
{
	_cleanup_(close_fdp) int link = -1;
	struct bpf_link_info info = {0};
	uint32_t size = sizeof(info);

	assert_int_equal(pin_open(HS_PIN_ROOT "/" HS_PIN_ACCOUNTING "/link", &link), 0);
	assert_int_equal(bpf_obj_get_info_by_fd(link, &info, &size), 0);
	return info.prog_id;
}

/* After an upgrade of the package: another program in the old one's place, the counts go on. What
 * the older release did not know is missing. */
static void the_program_of_an_earlier_release_is_replaced(void **state)
{
	static const char *const newer[] = {"ports", "telling", "build", "listening"};
	struct rig *rig = *state;
	struct address at = rig_local(PORT);
	struct server *a = start_adopted(rig, 0, &at);
	struct accounting *again;
	struct problem problem = {0};
	uint32_t before = program_of_link();
	int client = client_connect(&at);

	rig_until(rig_slot(rig, 0).opened == 1);
	/* the same build: nothing is done */
	assert_int_equal(accounting_open(&again, &problem), 0);
	accounting_free(again);
	assert_int_equal(program_of_link(), before);
	for (size_t i = 0; i < ARRAY_SIZE(newer); i++)
		assert_int_equal(
			unlink(pin_path("%s/%s/%s", HS_PIN_ROOT, HS_PIN_ACCOUNTING, newer[i]).text),
			0);
	if (accounting_open(&again, &problem) < 0)
		rig_fail(__FILE__, __LINE__, "not replaced: %s", problem.text);
	accounting_free(again);
	assert_int_not_equal(program_of_link(), before);
	/* begun before, ended after */
	assert_int_equal(server_accept(a, NULL), 1);
	close(client);
	server_hang_up(a, false);
	rig_until(rig_slot(rig, 0).closed == 1);
	client = client_connect(&at);
	rig_until(rig_slot(rig, 0).opened == 2);
	close(client);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(connections_are_counted_until_they_end),
		CASE(a_server_that_hangs_up_ends_them),
		CASE(a_half_closed_connection_lives),
		CASE(a_killed_server_has_none),
		CASE(a_queue_is_counted_where_it_went),
		CASE(a_queue_that_moves_twice_is_counted_once),
		CASE(a_queue_that_stays_in_its_slot_has_not_moved),
		CASE(dead_connections_in_a_queue_do_not_count),
		CASE(connections_older_than_the_adoption_are_not_counted),
		CASE(nor_when_they_move),
		CASE(other_servers_are_not_counted),
		CASE(a_full_map_of_moves_misplaces_but_loses_none),
		BARE_CASE(without_accounting_no_connection_is_said_to_live),
		BARE_CASE(accounting_that_comes_later_misplaces_but_loses_none),
		BARE_CASE(accounting_that_comes_later_counts_with_the_next_adoption),
		CASE(the_list_of_connections_knows_their_slots),
		CASE(connections_of_one_slot_can_be_reset),
		CASE(the_program_of_an_earlier_release_is_replaced),
	};

	return cases_run("accounting", tests);
}
