// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The own way: what an instance sends to its service over the loopback device reaches itself or
 * nobody, before it is adopted, while it serves, and after it is retired; whichever slot is active.
 */
#include "cases.h"

#include <bpf/bpf.h>
#include <unistd.h>

#include "command.h"
#include "plane/act/early.h"
#include "plane/bpf/own.h"
#include "plane/preview/preview.h"

#define PORT 8080

static void open_way(struct rig *rig, const struct server *server, bool on)
{
	struct own_place place = {
		.service_id = plane_id(rig->plane), .slot = server->slot, .on = on};

	assert_non_null(plane_own(rig->plane));
	assert_int_equal(own_cgroup(plane_own(rig->plane), server->cgroup, &place), 0);
}

/* What a process beside the server finds, and that nothing of it is left. */
static int beside(struct rig *rig, const struct server *server, command_fn run,
		  const struct address *to)
{
	struct command command = command_start_beside(rig, server, run, to);
	int found;

	command_go(&command);
	found = command_wait(&command);
	command_done(&command);
	assert_int_equal(preview_count(rig->plane), 0);
	assert_int_equal(plane_has_preview(rig->plane), 0);
	return found;
}

static void each_finds_itself(struct rig *rig, const struct address *any,
			      const struct address *local)
{
	struct pair pair = start_pair(rig, any);

	serve_pair(&pair);
	open_way(rig, pair.a, true);
	open_way(rig, pair.b, true);
	for (unsigned active = 0; active < 2; active++) {
		rig_flip(rig, active);
		assert_int_equal(beside(rig, pair.a, command_ask_50, local), 0);
		assert_int_equal(beside(rig, pair.b, command_ask_50, local), 50);
		/* a client's port may come again, and with it a UDP flow of the other slot */
		plane_advance_epoch(rig->plane, !active);
		assert_int_equal(command_ask_50(local), active ? 50 : 0);
	}
}

static void each_instance_finds_itself(void **state)
{
	struct address any = rig_any(PORT), local = rig_local(PORT);

	each_finds_itself(*state, &any, &local);
}

static void over_ipv6(void **state)
{
	struct address any = rig_only6(PORT), local = rig_local6(PORT);

	each_finds_itself(*state, &any, &local);
}

static void over_ipv4_on_a_dual_listener(void **state)
{
	struct address any = rig_dual(PORT), local = rig_local(PORT);

	each_finds_itself(*state, &any, &local);
}

static void datagrams_too(void **state)
{
	struct address any = rig_any(PORT), local = rig_local(PORT);

	any.udp = local.udp = true;
	each_finds_itself(*state, &any, &local);
}

static void switched_off_it_is_as_for_all_others(void **state)
{
	struct address any = rig_any(PORT), local = rig_local(PORT);
	struct pair pair = start_pair(*state, &any);

	serve_pair(&pair);
	open_way(*state, pair.b, true);
	open_way(*state, pair.b, false);
	assert_int_equal(beside(*state, pair.b, command_ask_50, &local), 0);
	open_way(*state, pair.b, true);
	assert_int_equal(beside(*state, pair.b, command_ask_50, &local), 50);
}

/* Other programs of the unit, the ports of others: nobody looks there. */
static void other_ports_are_left_alone(void **state)
{
	struct address any = rig_any(PORT), other = rig_any(PORT + 1), local = rig_local(PORT + 1);
	struct pair pair = start_pair(*state, &any);
	struct server *stranger = server_start(*state, 1);

	assert_int_equal(server_listen(stranger, &other, 0), 0);
	server_serve(stranger, true);
	open_way(*state, pair.a, true);
	assert_int_equal(beside(*state, pair.a, command_ask_50, &local), 50);
}

/* A listens, is not adopted, and B serves. */
static struct pair start_before(struct rig *rig, const struct address *address)
{
	struct pair pair = {server_start(rig, 0), start_adopted(rig, 1, address)};

	server_serve(pair.b, true);
	open_way(rig, pair.a, true);
	return pair;
}

static void before_it_listens_it_is_refused(void **state)
{
	struct address any = rig_any(PORT), local = rig_local(PORT);
	struct pair pair = start_before(*state, &any);

	assert_int_equal(command_ask_50(&local), 50);
	assert_int_equal(beside(*state, pair.a, command_refused_50, &local), 50);
}

static void before_it_is_adopted_it_finds_itself_alone(void **state)
{
	struct address any = rig_any(PORT), local = rig_local(PORT);
	struct pair pair = start_before(*state, &any);
	struct rig *rig = *state;

	assert_int_equal(server_listen(pair.a, &any, 0), 0);
	server_serve(pair.a, true);
	assert_int_equal(beside(rig, pair.a, command_refused_50, &local), 50);
	assert_int_equal(early_reach(rig->plane, 0, pair.a->cgroup), 1);
	assert_int_equal(early_reach(rig->plane, 0, pair.a->cgroup), 0);
	assert_int_equal(beside(rig, pair.a, command_ask_50, &local), 0);
	/* and is no slot for anybody else */
	assert_int_equal(command_ask_50(&local), 50);
	assert_int_equal(plane_live_slots(rig->plane), 1U << 1);
	assert_int_equal(rig_adopt(rig, pair.a), 1);
	assert_int_equal(plane_live_slots(rig->plane), 3);
	server_kill(pair.b);
	assert_int_equal(command_ask_50(&local), 0);
}

/* As many as there are places: each of them is in the map before it is adopted. */
static void before_it_is_adopted_it_takes_all_places(void **state)
{
	struct address any = rig_any(PORT), local = rig_local(PORT);
	struct pair pair = start_before(*state, &any);
	struct rig *rig = *state;

	for (unsigned i = 0; i < HS_SHARDS_MAX; i++)
		assert_int_equal(server_listen(pair.a, &any, 0), i);
	server_serve(pair.a, true);
	assert_int_equal(early_reach(rig->plane, 0, pair.a->cgroup), HS_SHARDS_MAX);
	assert_int_equal(rig_adopt(rig, pair.a), HS_SHARDS_MAX);
	assert_int_equal(plane_slot_sockets(rig->plane, 0), HS_SHARDS_MAX);
	rig_flip(rig, 0);
	assert_int_equal(command_ask_50(&local), 0);
}

static void datagrams_before_it_is_adopted(void **state)
{
	struct address any = rig_any(PORT), local = rig_local(PORT);
	struct rig *rig = *state;
	struct pair pair;

	any.udp = local.udp = true;
	pair = start_before(rig, &any);
	assert_int_equal(beside(rig, pair.a, command_ask_50, &local), 255);
	assert_int_equal(server_listen(pair.a, &any, 0), 0);
	server_serve(pair.a, true);
	assert_int_equal(early_reach(rig->plane, 0, pair.a->cgroup), 1);
	assert_int_equal(beside(rig, pair.a, command_ask_50, &local), 0);
	assert_int_equal(command_ask_50(&local), 50);
}

/* What stops A by one of its own ports must not stop B. */
static void retired_it_finds_itself(void **state)
{
	struct address any = rig_any(PORT), local = rig_local(PORT);
	struct pair pair = start_pair(*state, &any);
	struct rig *rig = *state;
	unsigned to;

	serve_pair(&pair);
	/* as it is with Self=active */
	open_way(rig, pair.a, false);
	assert_int_equal(retire_leave(rig->plane, 0, ~0U, &to), RETIRE_DONE);
	assert_int_equal(retire_keep_reach(rig->plane, 0, pair.a->cgroup, NULL), 0);
	assert_int_equal(retire_keep_reach(rig->plane, 0, pair.a->cgroup, NULL), 0);
	assert_int_equal(plane_slot_sockets(rig->plane, 0), 0);
	assert_int_equal(beside(rig, pair.a, command_ask_50, &local), 0);
	assert_int_equal(command_ask_50(&local), 50);
	/* and it can come back */
	assert_int_equal(rig_adopt(rig, pair.a), 1);
	rig_flip(rig, 0);
	assert_int_equal(command_ask_50(&local), 0);
}

/* Its listener goes: what waits there of its own is not the other slot's. */
static void what_waits_of_its_own_moves_nowhere(void **state)
{
	struct address any = rig_any(PORT), local = rig_local(PORT);
	struct pair pair = start_pair(*state, &any);
	struct command command;
	struct rig *rig = *state;
	int other;

	case_needs(ABILITY_WAKEUP);
	server_serve(pair.b, true);
	open_way(rig, pair.a, true);
	other = client_connect(&local);
	client_send(other, 'o');
	command = command_start_beside(rig, pair.a, command_ask_once, &local);
	command_go(&command);
	rig_until(rig_queued(rig, 0) == 2);
	server_close(pair.a, 0);
	assert_int_equal(client_read(other), 'B');
	assert_int_equal(command_wait(&command), ANSWER_RESET);
	command_done(&command);
	close(other);
}

static void without_a_socket_it_is_refused(void **state)
{
	struct address any = rig_any(PORT), local = rig_local(PORT);
	struct pair pair = start_pair(*state, &any);

	serve_pair(&pair);
	open_way(*state, pair.a, true);
	server_close(pair.a, 0);
	assert_int_equal(command_ask_50(&local), 50);
	assert_int_equal(beside(*state, pair.a, command_refused_50, &local), 50);
}

/* Nobody's connection is looked up twice for a rule that is gone. */
static void marks_go_with_their_rules(void **state)
{
	struct address any = rig_any(PORT), local = rig_local(PORT);
	struct pair pair = start_pair(*state, &any);
	struct rig *rig = *state;
	uint32_t mark, sum = 0;

	serve_pair(&pair);
	open_way(rig, pair.a, true);
	assert_int_equal(beside(rig, pair.a, command_ask_50, &local), 0);
	for (uint32_t i = 0; i < HS_OWN_MARKS_MAX; i++) {
		assert_int_equal(
			bpf_map_lookup_elem(own_marks_fd(plane_own(rig->plane)), &i, &mark), 0);
		sum += mark;
	}
	assert_int_equal(sum, 0);
}

/* It takes no room from probes and commands. */
static void no_more_rules_than_a_slot_may_have(void **state)
{
	struct address any = rig_any(PORT), local = rig_local(PORT);
	struct pair pair = start_pair(*state, &any);
	struct rig *rig = *state;
	struct command command;

	serve_pair(&pair);
	open_way(rig, pair.a, true);
	command = command_start_beside(rig, pair.a, command_hold_many, &local);
	command_go(&command);
	command_until_stopped(&command);
	assert_int_equal(preview_count(rig->plane), HS_OWN_RULES_MAX);
	command_go_on(&command);
	assert_int_equal(command_wait(&command), 0);
	command_done(&command);
	assert_int_equal(preview_count(rig->plane), 0);
	assert_int_equal(beside(rig, pair.a, command_ask_50, &local), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(each_instance_finds_itself),
		CASE(over_ipv6),
		CASE(over_ipv4_on_a_dual_listener),
		CASE(datagrams_too),
		CASE(switched_off_it_is_as_for_all_others),
		CASE(other_ports_are_left_alone),
		CASE(before_it_listens_it_is_refused),
		CASE(before_it_is_adopted_it_finds_itself_alone),
		CASE(before_it_is_adopted_it_takes_all_places),
		CASE(datagrams_before_it_is_adopted),
		CASE(retired_it_finds_itself),
		CASE(what_waits_of_its_own_moves_nowhere),
		CASE(without_a_socket_it_is_refused),
		CASE(marks_go_with_their_rules),
		CASE(no_more_rules_than_a_slot_may_have),
	};

	return cases_run("own", tests);
}
