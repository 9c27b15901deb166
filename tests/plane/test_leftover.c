// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Sockets that are no slot's any more: what an earlier run has left in the cgroup, and what Ports=
 * does not name.
 */
#include "cases.h"

#include <bpf/bpf.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plane/act/outside.h"
#include "plane/act/shed.h"

#define PORT 8080

static void what_an_earlier_run_left_is_never_adopted(void **state)
{
	struct address any = rig_any(PORT), local = rig_local(PORT);
	struct pair pair = start_pair(*state, &any);
	struct rig *rig = *state;
	struct adoption *adoption;

	server_serve(pair.b, true);
	plane_set_retired(rig->plane, 0, true);
	assert_int_equal(shed_sockets(rig->plane, 0, pair.a->cgroup), 1);
	assert_int_equal(plane_live_slots(rig->plane), 1U << 1);
	assert_int_equal(ask_often(&local, 20).of['B'], 20);
	adoption = rig_try_adopt(rig, pair.a);
	assert_int_equal(adoption->adopted, 0);
	assert_int_equal(adoption->refused, 0);
	adoption_free(adoption);
	/* the new run's own is */
	assert_int_equal(server_listen(pair.a, &any, 0), 1);
	adoption = rig_try_adopt(rig, pair.a);
	assert_int_equal(adoption->adopted, 1);
	adoption_free(adoption);
	assert_int_equal(plane_slot_sockets(rig->plane, 0), 1);
	rig_flip(rig, 0);
	server_kill(pair.b);
	server_serve(pair.a, true);
	assert_int_equal(ask_often(&local, 20).of['A'], 20);
}

static unsigned adopted_by(struct rig *rig, const struct server *server, pid_t main_pid)
{
	struct adopt_scope scope = {
		.cgroup = server->cgroup, .slot = server->slot, .main_pid = main_pid};
	struct adoption *adoption;
	struct problem problem;
	unsigned n;

	assert_int_equal(adoption_begin(rig->plane, &scope, &adoption, &problem), 0);
	assert_int_equal(adoption_commit(rig->plane, server->slot, adoption), 0);
	n = adoption->adopted;
	adoption_free(adoption);
	return n;
}

/* From the descriptor store, or a socket unit that goes on: then it is the new run's, too. */
static void what_the_new_run_is_given_again_is_adopted(void **state)
{
	struct address any = rig_any(PORT), local = rig_local(PORT);
	struct pair pair = start_pair(*state, &any);
	pid_t holder = server_fork(pair.a);
	struct rig *rig = *state;

	serve_pair(&pair);
	plane_set_retired(rig->plane, 0, true);
	assert_int_equal(shed_sockets(rig->plane, 0, pair.a->cgroup), 1);
	/* a main process that has it not */
	assert_int_equal(adopted_by(rig, pair.a, pair.b->pid), 0);
	assert_int_equal(plane_slot_sockets(rig->plane, 0), 0);
	assert_int_equal(adopted_by(rig, pair.a, holder), 1);
	assert_int_equal(plane_slot_sockets(rig->plane, 0), 1);
	rig_flip(rig, 0);
	assert_int_equal(ask_often(&local, 20).of['A'], 20);
	/* and stays so */
	assert_int_equal(adopted_by(rig, pair.a, 0), 1);
}

static void what_waits_there_moves(void **state)
{
	struct address any = rig_any(PORT), local = rig_local(PORT);
	struct pair pair = start_pair(*state, &any);
	struct rig *rig = *state;
	int waiting = client_connect(&local);

	case_needs(ABILITY_WAKEUP);
	client_send(waiting, 'w');
	rig_until(rig_queued(rig, 0) == 1);
	server_serve(pair.b, true);
	rig_flip(rig, 1);
	assert_int_equal(shed_sockets(rig->plane, 0, pair.a->cgroup), 1);
	assert_int_equal(client_read(waiting), 'B');
	close(waiting);
}

static void another_service_is_left_alone(void **state)
{
	struct address any = rig_any(PORT);
	struct pair pair = start_pair(*state, &any);
	struct rig *rig = *state;
	struct problem problem;
	struct plane *other;

	assert_int_equal(plane_create("other", rig->accounting, &other, &problem), 0);
	assert_int_equal(shed_sockets(other, 0, pair.a->cgroup), 0);
	assert_int_equal(plane_live_slots(rig->plane), 3);
	plane_destroy(other);
	plane_free(other);
}

static struct config only(uint16_t port)
{
	struct config config;

	config_init(&config);
	config.n_ports = 1;
	config.ports[0] = (struct config_port) {.port = port, .tcp = true, .udp = true};
	return config;
}

static void ports_that_are_not_named_are_given_up(void **state)
{
	struct address any = rig_any(PORT), more = rig_any(PORT + 1), local = rig_local(PORT + 1);
	struct config config = only(PORT);
	struct pair pair = start_pair(*state, &any);
	struct rig *rig = *state;
	struct tally tally;

	serve_pair(&pair);
	assert_int_equal(server_listen(pair.a, &more, 0), 1);
	assert_int_equal(server_listen(pair.b, &more, 0), 1);
	assert_int_equal(rig_adopt(rig, pair.a), 1);
	assert_int_equal(rig_adopt(rig, pair.b), 1);
	assert_int_equal(ask_often(&local, 40).of['A'], 40);
	assert_true(outside_any(rig->plane, &config));
	assert_int_equal(outside_leave(rig->plane, &config, pair.a->cgroup), 0);
	assert_int_equal(outside_leave(rig->plane, &config, pair.b->cgroup), 0);
	plane_forget_outside(rig->plane, &config);
	assert_false(outside_any(rig->plane, &config));
	assert_null(plane_find(rig->plane, &more));
	assert_non_null(plane_find(rig->plane, &any));
	/* the kernel hashes over both */
	tally = ask_often(&local, 40);
	assert_true(tally.of['A'] && tally.of['B'] && tally.of['A'] + tally.of['B'] == 40);
	local.port = PORT;
	assert_int_equal(ask_often(&local, 40).of['A'], 40);
	/* and they can be named again */
	assert_int_equal(rig_adopt(rig, pair.a), 1);
	local.port = PORT + 1;
	assert_int_equal(ask_often(&local, 40).of['A'], 40);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(what_an_earlier_run_left_is_never_adopted),
		CASE(what_the_new_run_is_given_again_is_adopted),
		CASE(what_waits_there_moves),
		CASE(another_service_is_left_alone),
		CASE(ports_that_are_not_named_are_given_up),
	};

	return cases_run("leftover", tests);
}
