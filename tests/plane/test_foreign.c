// SPDX-License-Identifier: GPL-2.0-or-later
/* Sockets of others on the service's addresses: who is named, and what they get. */
#include "cases.h"

#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "plane/act/foreign.h"
#include "plane/act/park.h"
#include "plane/borrow/scan.h"

#define PORT 8080

/* What is found when A and B are the slots' servers. */
static struct foreign_list look(struct rig *rig)
{
	struct foreign_scope scope = {.n_slots = 2};
	struct foreign_list list = {.n = FOREIGN_MAX + 1};

	for (size_t i = 0; i < rig->n_servers && i < 2; i++)
		scope.cgroups[i] = rig->servers[i]->cgroup;
	assert_int_equal(foreign_find(rig->plane, &scope, &list), 0);
	return list;
}

static void a_copy_gets_nothing_and_is_named(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct pair pair = start_pair(rig, &at);
	struct server *copy = server_start(rig, 2);
	struct foreign_list list = look(rig);
	char text[FOREIGN_TEXT_MAX];

	assert_int_equal(list.n, 0);
	assert_int_equal(server_listen(copy, &at, 0), 0);
	serve_pair(&pair);
	server_serve(copy, true);
	list = look(rig);
	assert_int_equal(list.n, 1);
	assert_int_equal(list.found[0].holder.pid, copy->pid);
	assert_false(list.found[0].in_front);
	assert_true(address_equal(&list.found[0].address, &at));
	assert_non_null(strstr(foreign_describe(&list.found[0], text), "0.0.0.0:8080"));
	assert_int_equal(ask_often(&at, 50).of['A'], 50);
	rig_flip(rig, 1);
	assert_int_equal(ask_often(&at, 50).of['B'], 50);
	/* the other slot takes over, not the copy */
	server_kill(pair.b);
	assert_int_equal(ask_often(&at, 50).of['A'], 50);
	server_close(copy, 0);
	assert_int_equal(look(rig).n, 0);
}

static void a_copy_that_was_there_before_gets_nothing_either(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct server *a = server_start(rig, 0), *b = server_start(rig, 1);
	struct server *copy = server_start(rig, 2);

	assert_int_equal(server_listen(copy, &at, 0), 0);
	server_serve(copy, true);
	assert_int_equal(ask(&at), 'C');
	server_listen(a, &at, 0);
	server_listen(b, &at, 0);
	rig_adopt(rig, a);
	rig_adopt(rig, b);
	serve_pair(&(struct pair) {a, b});
	assert_int_equal(ask_often(&at, 50).of['A'], 50);
	assert_int_equal(look(rig).n, 1);
	/* with no slot left there is nothing of ours but the kernel, and the copy has it all */
	server_kill(a);
	server_kill(b);
	assert_int_equal(ask_often(&at, 20).of['C'], 20);
	assert_int_equal(look(rig).n, 1);
}

/* As PID 1 has one for a moment: out of the map, and held by none of those that may have it. */
static void a_park_that_somebody_holds_a_little_longer_is_ours(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct listener *listener;
	struct held_socket *held;
	socklen_t size = sizeof(uint64_t);
	uint64_t cookie;
	int model, fd;
	pid_t keeper;
	size_t n;

	start_pair(rig, &at);
	listener = plane_find(rig->plane, &at);
	assert_int_equal(scan_cgroup(rig->servers[0]->cgroup, &held, &n), 0);
	assert_int_equal(scan_borrow(&held[0], &model), 0);
	free(held);
	assert_int_equal(park_open(rig->plane, listener, model, 0, &fd), 0);
	close(model);
	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &size), 0);
	keeper = fork();
	if (!keeper) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		pause();
		_exit(0);
	}
	close(fd);
	listener_take_out(listener, HS_SLOT_PARK, cookie);
	assert_int_equal(look(rig).n, 0);
	kill(keeper, SIGKILL);
	waitpid(keeper, NULL, 0);
}

static void a_specific_address_is_in_front(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT), front = rig_local(PORT), other = rig_local(PORT + 1);
	struct pair pair = start_pair(rig, &at);
	struct server *copy = server_start(rig, 2);
	struct foreign_list list;

	serve_pair(&pair);
	server_serve(copy, true);
	assert_int_equal(server_listen(copy, &other, 0), 0);
	assert_int_equal(look(rig).n, 0);
	assert_int_equal(server_listen(copy, &front, 0), 1);
	list = look(rig);
	assert_int_equal(list.n, 1);
	assert_true(list.found[0].in_front);
	assert_int_equal(ask_often(&front, 20).of['C'], 20);
}

static void v4_is_in_front_of_dual_stack(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_dual(PORT), v4 = rig_any(PORT);
	struct pair pair = start_pair(rig, &at);
	struct server *copy = server_start(rig, 2);
	struct foreign_list list;

	serve_pair(&pair);
	assert_int_equal(server_listen(copy, &v4, 0), 0);
	server_serve(copy, true);
	list = look(rig);
	assert_int_equal(list.n, 1);
	assert_true(list.found[0].in_front);
	assert_int_equal(ask_often(&v4, 20).of['C'], 20);
}

/* It needs no leave of the others to bind; so it is in a group of its own. */
static void a_datagram_socket_of_another_user_is_in_front(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct server *copy;
	struct pair pair;
	struct foreign_list list;

	at.udp = true;
	pair = start_pair(rig, &at);
	serve_pair(&pair);
	copy = server_start(rig, 2);
	assert_int_equal(server_listen(copy, &at, 0), 0);
	server_serve(copy, true);
	assert_int_equal(ask_often(&at, 20).of['A'], 20);
	list = look(rig);
	assert_int_equal(list.n, 1);
	assert_false(list.found[0].in_front);
	server_close(copy, 0);
	server_become(copy, 4001);
	assert_int_equal(server_listen(copy, &at, 0), 0);
	assert_int_equal(ask_often(&at, 20).of['C'], 20);
	list = look(rig);
	assert_int_equal(list.n, 1);
	assert_true(list.found[0].in_front);
}

/* What a slot has and is not in the map, as after retire, is no stranger. */
static void the_slots_own_sockets_are_not_foreign(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct pair pair = start_pair(rig, &at);
	unsigned to;

	assert_int_equal(retire_leave(rig->plane, 0, ~0U, &to), RETIRE_DONE);
	assert_int_equal(look(rig).n, 0);
	server_listen(pair.b, &at, 0);
	assert_int_equal(look(rig).n, 0);
	server_fork(pair.a);
	assert_int_equal(look(rig).n, 0);
}

static void a_unit_is_read_from_the_path_of_a_cgroup(void **state)
{
	static const char *const pairs[][2] = {
		{"/system.slice/system-app.slice/app@0.service", "app@0.service"},
		{"/system.slice/app.service/worker.service", "app.service"},
		{"/user.slice/user-1.slice/user@1.service/app.slice/x.service", "user@1.service"},
		{"/user.slice/user-1.slice/session-2.scope", "session-2.scope"},
		{"/init.scope", "init.scope"},
		{"/system.slice", ""},
		{"/", ""},
		{"", ""},
		{"//.service//a.socket", "a.socket"},
	};
	char unit[UNIT_NAME_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		holder_unit(pairs[i][0], unit);
		assert_string_equal(unit, pairs[i][1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_copy_gets_nothing_and_is_named),
		CASE(a_copy_that_was_there_before_gets_nothing_either),
		CASE(a_specific_address_is_in_front),
		CASE(v4_is_in_front_of_dual_stack),
		cmocka_unit_test(a_unit_is_read_from_the_path_of_a_cgroup),
		CASE(a_datagram_socket_of_another_user_is_in_front),
		CASE(the_slots_own_sockets_are_not_foreign),
		CASE(a_park_that_somebody_holds_a_little_longer_is_ours),
	};

	return cases_run("foreign", tests);
}
