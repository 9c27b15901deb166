// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Handshakes that are half open while something changes. The client is made of single packets, so
 * its final ACK comes when the test says so:
 *
 *   1. SYN; the SYN+ACK is A's
 *   2. A dies, or traffic is flipped to B, or A retires
 *   3. the final ACK, then data: whose answer is it, and who is said to have the connection?
 */
#include "cases.h"

#include <netinet/in.h>

#define PORT 8080

struct scene {
	struct rig *rig;
	struct pair pair;
	int wire;
	struct wire_flow flow;
};

static struct scene begin(struct rig *rig, const struct address *at, int family)
{
	struct scene scene = {.rig = rig, .wire = wire_open()};

	if (scene.wire < 0) {
		print_message("# needs /dev/net/tun\n");
		skip();
	}
	scene.pair = start_pair(rig, at);
	serve_pair(&scene.pair);
	scene.flow = (struct wire_flow) {
		.family = family, .from = 20001, .to = at->port, .sequence = 1000};
	wire_begin(scene.wire, &scene.flow);
	return scene;
}

static void assert_ends_at(struct scene *scene, char name)
{
	wire_finish(scene->wire, &scene->flow);
	assert_int_equal(wire_ask(scene->wire, &scene->flow), name);
	assert_int_equal(rig_slot(scene->rig, name - 'A').opened, 1);
	assert_int_equal(rig_slot(scene->rig, name - 'A').connections, 1);
	assert_int_equal(rig_slot(scene->rig, 'B' - name).connections, 0);
	wire_reset(scene->wire, &scene->flow);
	rig_until(!rig_slot(scene->rig, name - 'A').connections);
	close(scene->wire);
}

static void goes_to_the_survivor(struct rig *rig, struct address at, int family)
{
	struct scene scene = begin(rig, &at, family);

	server_kill(scene.pair.a);
	assert_int_equal(rig_slot(rig, 1).migrated_in, 0);
	assert_ends_at(&scene, 'B');
	assert_int_equal(rig_slot(rig, 1).migrated_in, 1);
	/* it was born on B: no connection has moved */
	assert_int_equal(rig_slot(rig, 1).moved_in, 0);
}

static void goes_to_the_survivor_v4(void **state)
{
	goes_to_the_survivor(*state, rig_any(PORT), AF_INET);
}

static void goes_to_the_survivor_v6(void **state)
{
	goes_to_the_survivor(*state, rig_only6(PORT), AF_INET6);
}

static void goes_to_the_survivor_v4_on_dual_stack(void **state)
{
	goes_to_the_survivor(*state, rig_dual(PORT), AF_INET);
}

static void goes_to_the_survivor_v6_on_dual_stack(void **state)
{
	goes_to_the_survivor(*state, rig_dual(PORT), AF_INET6);
}

/* That is what settling is for. */
static void ends_where_it_began_after_a_flip(void **state)
{
	struct address at = rig_any(PORT);
	struct scene scene = begin(*state, &at, AF_INET);

	rig_flip(scene.rig, 1);
	assert_ends_at(&scene, 'A');
}

static void ends_where_it_began_after_retire(void **state)
{
	struct address at = rig_any(PORT);
	struct scene scene = begin(*state, &at, AF_INET);
	unsigned to;

	assert_int_equal(retire_leave(scene.rig->plane, 0, ~0U, &to), RETIRE_DONE);
	assert_ends_at(&scene, 'A');
}

/* A bounced socket listens again, so its half-open handshakes find it. */
static void ends_where_it_began_after_a_bounce(void **state)
{
	struct address at = rig_any(PORT);
	struct scene scene = begin(*state, &at, AF_INET);
	int waiting;

	case_needs(ABILITY_WAKEUP);
	server_hang(scene.pair.a, true);
	waiting = client_connect(&at);
	rig_flip(scene.rig, 1);
	assert_int_equal(bounce(scene.rig->plane, 0, scene.pair.a->cgroup, false), 1);
	assert_int_equal(client_ask(waiting), 'B');
	client_reset(waiting);
	rig_until(!rig_slot(scene.rig, 1).connections);
	server_hang(scene.pair.a, false);
	wire_finish(scene.wire, &scene.flow);
	assert_int_equal(wire_ask(scene.wire, &scene.flow), 'A');
	wire_reset(scene.wire, &scene.flow);
	close(scene.wire);
}

/* The first data comes with the final ACK, as most clients do when they are slow. */
static void brings_its_first_data_along(void **state)
{
	struct address at = rig_any(PORT);
	struct scene scene = begin(*state, &at, AF_INET);

	server_kill(scene.pair.a);
	assert_int_equal(wire_ask(scene.wire, &scene.flow), 'B');
	wire_reset(scene.wire, &scene.flow);
	close(scene.wire);
}

/* The ACK was lost: the survivor repeats the SYN+ACK when the timer of the dead one runs off. */
static void survives_a_lost_ack(void **state)
{
	struct address at = rig_any(PORT);
	struct scene scene = begin(*state, &at, AF_INET);

	server_kill(scene.pair.a);
	wire_expect(scene.wire, &scene.flow, WIRE_SYN | WIRE_ACK);
	assert_int_equal(rig_slot(scene.rig, 1).migrated_in, 1);
	assert_ends_at(&scene, 'B');
	assert_int_equal(rig_slot(scene.rig, 1).migrated_in, 1);
}

static void goes_to_the_last_that_lives(void **state)
{
	struct address at = rig_any(PORT);
	struct scene scene = begin(*state, &at, AF_INET);
	struct server *c = start_adopted(scene.rig, 2, &at);

	server_serve(c, true);
	server_kill(scene.pair.a);
	server_kill(scene.pair.b);
	wire_finish(scene.wire, &scene.flow);
	assert_int_equal(wire_ask(scene.wire, &scene.flow), 'C');
	close(scene.wire);
}

static void goes_to_a_successor_in_the_same_slot(void **state)
{
	struct address at = rig_any(PORT);
	struct scene scene = begin(*state, &at, AF_INET);
	struct server *again;

	server_kill(scene.pair.a);
	again = start_adopted(scene.rig, 0, &at);
	server_serve(again, true);
	assert_ends_at(&scene, 'A');
}

static void is_refused_when_nobody_is_left(void **state)
{
	struct address at = rig_any(PORT);
	struct scene scene = begin(*state, &at, AF_INET);

	server_kill(scene.pair.b);
	server_kill(scene.pair.a);
	wire_finish(scene.wire, &scene.flow);
	wire_expect(scene.wire, &scene.flow, WIRE_RST);
	close(scene.wire);
}

static void leaves_no_trace_when_the_client_gives_up(void **state)
{
	struct address at = rig_any(PORT);
	struct scene scene = begin(*state, &at, AF_INET);

	wire_send(scene.wire, &scene.flow, WIRE_RST, NULL);
	assert_int_equal(ask(&at), 'A');
	rig_until(!rig_slot(scene.rig, 0).connections);
	assert_int_equal(rig_slot(scene.rig, 0).opened, 1);
	assert_int_equal(rig_slot(scene.rig, 0).closed, 1);
	close(scene.wire);
}

/* With a cookie the server has kept nothing: any listener of the group can check it. */
static void outlives_its_listener_as_a_cookie(void **state)
{
	struct address at = rig_any(PORT);
	struct scene scene;

	rig_sysctl("net/ipv4/tcp_syncookies", "2");
	scene = begin(*state, &at, AF_INET);
	server_kill(scene.pair.a);
	assert_ends_at(&scene, 'B');
	assert_int_equal(rig_slot(scene.rig, 1).migrated_in, 0);
}

/* Fast Open: the SYN brings data, and the server has a connection before the handshake ends. */
static struct scene begin_fast(struct rig *rig)
{
	struct address at = rig_any(PORT);
	struct scene scene = {.rig = rig, .wire = wire_open()};

	if (scene.wire < 0)
		skip();
	/* enabled for servers, who want no cookie */
	rig_sysctl("net/ipv4/tcp_fastopen", "0x202");
	scene.pair = (struct pair) {server_start(rig, 0), server_start(rig, 1)};
	assert_int_equal(server_listen(scene.pair.a, &at, SERVER_FAST_OPEN), 0);
	assert_int_equal(server_listen(scene.pair.b, &at, SERVER_FAST_OPEN), 0);
	assert_int_equal(rig_adopt(rig, scene.pair.a) + rig_adopt(rig, scene.pair.b), 2);
	scene.flow = (struct wire_flow) {
		.family = AF_INET, .from = 20001, .to = at.port, .sequence = 1000};
	wire_send(scene.wire, &scene.flow, WIRE_SYN, "a");
	wire_expect(scene.wire, &scene.flow, WIRE_SYN | WIRE_ACK);
	assert_int_equal(rig_slot(rig, 0).connections, 1);
	return scene;
}

static void lives_already_under_fast_open(void **state)
{
	struct scene scene = begin_fast(*state);

	wire_reset(scene.wire, &scene.flow);
	rig_until(!rig_slot(scene.rig, 0).connections);
	assert_int_equal(rig_slot(scene.rig, 0).opened, 1);
	assert_int_equal(rig_slot(scene.rig, 0).closed, 1);
	close(scene.wire);
}

static void moves_as_a_connection_under_fast_open(void **state)
{
	struct scene scene = begin_fast(*state);

	case_needs(ABILITY_WAKEUP);
	server_kill(scene.pair.a);
	rig_until(!rig_slot(scene.rig, 0).connections && rig_slot(scene.rig, 1).connections == 1);
	serve_pair(&(struct pair) {scene.pair.b, scene.pair.b});
	assert_int_equal(wire_expect(scene.wire, &scene.flow, WIRE_PSH), 'B');
	wire_finish(scene.wire, &scene.flow);
	assert_int_equal(wire_ask(scene.wire, &scene.flow), 'B');
	assert_int_equal(rig_slot(scene.rig, 1).connections, 1);
	wire_reset(scene.wire, &scene.flow);
	rig_until(!rig_slot(scene.rig, 1).connections);
	close(scene.wire);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(goes_to_the_survivor_v4),
		CASE(goes_to_the_survivor_v6),
		CASE(goes_to_the_survivor_v4_on_dual_stack),
		CASE(goes_to_the_survivor_v6_on_dual_stack),
		CASE(ends_where_it_began_after_a_flip),
		CASE(ends_where_it_began_after_retire),
		CASE(ends_where_it_began_after_a_bounce),
		CASE(brings_its_first_data_along),
		CASE(survives_a_lost_ack),
		CASE(goes_to_the_last_that_lives),
		CASE(goes_to_a_successor_in_the_same_slot),
		CASE(is_refused_when_nobody_is_left),
		CASE(leaves_no_trace_when_the_client_gives_up),
		CASE(outlives_its_listener_as_a_cookie),
		CASE(lives_already_under_fast_open),
		CASE(moves_as_a_connection_under_fast_open),
	};

	return cases_run("a half-open handshake", tests);
}
