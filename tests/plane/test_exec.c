// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * hsctl exec below the command line: what processes of a cgroup begin lands on a slot, what others
 * begin at the same time does not, and nothing is left when they are gone.
 */
#include "cases.h"

#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "command.h"
#include "plane/preview/exec.h"
#include "plane/preview/preview.h"

#define PORT 8080

static void command_to(struct command *command, unsigned slot)
{
	struct exec_order order = {
		.cgroup = command->cgroup.text, .slot = slot, .pid = command->pid};
	struct problem problem = {0};

	if (exec_attach(command->rig->plane, &order, &command->counts, &problem) < 0)
		rig_fail(__FILE__, __LINE__, "no exec: %s", problem.text);
}

/* Nothing is left but what the cgroup stands for; and that goes with it. */
static void command_end(struct command *command)
{
	struct plane *plane = command->rig->plane;

	assert_int_equal(preview_count(plane), 0);
	assert_int_equal(preview_sweep(plane), 1);
	assert_int_equal(plane_has_preview(plane), 0);
	command_done(command);
}

static struct hs_exec_counts counts_of(const struct command *command)
{
	struct hs_exec_counts counts;

	assert_int_equal(exec_counts(command->counts, &counts), 0);
	return counts;
}

static int exec_50(struct rig *rig, const struct address *to, unsigned slot)
{
	struct command command = command_start(rig, command_ask_50, to);
	int got;

	command_to(&command, slot);
	command_go(&command);
	got = command_wait(&command);
	assert_int_equal(counts_of(&command).begun, 50);
	assert_int_equal(counts_of(&command).arrived, 50);
	assert_int_equal(counts_of(&command).blocked, 0);
	command_end(&command);
	return got;
}

static void a_command_reaches_its_slot(void **state)
{
	struct address any = rig_any(PORT), local = rig_local(PORT);
	struct pair pair = start_pair(*state, &any);

	serve_pair(&pair);
	assert_int_equal(exec_50(*state, &local, 1), 50);
	assert_int_equal(exec_50(*state, &local, 0), 0);
	rig_flip(*state, 1);
	assert_int_equal(exec_50(*state, &local, 1), 50);
	assert_int_equal(exec_50(*state, &local, 0), 0);
}

static void over_ipv6(void **state)
{
	struct address any = rig_only6(PORT), local = rig_local6(PORT);
	struct pair pair = start_pair(*state, &any);

	serve_pair(&pair);
	assert_int_equal(exec_50(*state, &local, 1), 50);
	assert_int_equal(exec_50(*state, &local, 0), 0);
}

static void over_ipv4_on_a_dual_listener(void **state)
{
	struct address any = rig_dual(PORT), local = rig_local(PORT);
	struct pair pair = start_pair(*state, &any);

	serve_pair(&pair);
	assert_int_equal(exec_50(*state, &local, 1), 50);
}

static void with_syn_cookies(void **state)
{
	struct address any = rig_any(PORT), local = rig_local(PORT);
	struct pair pair;

	rig_sysctl("net/ipv4/tcp_syncookies", "2");
	pair = start_pair(*state, &any);
	serve_pair(&pair);
	assert_int_equal(exec_50(*state, &local, 1), 50);
}

static void datagrams_too(void **state)
{
	struct address any = rig_any(PORT), local = rig_local(PORT);
	struct address any6 = rig_only6(PORT), local6 = rig_local6(PORT);
	struct pair pair;

	any.udp = local.udp = any6.udp = local6.udp = true;
	pair = start_pair(*state, &any);
	assert_int_equal(server_listen(pair.a, &any6, 0) | server_listen(pair.b, &any6, 0), 1);
	assert_int_equal(rig_adopt(*state, pair.a) + rig_adopt(*state, pair.b), 2);
	serve_pair(&pair);
	assert_int_equal(exec_50(*state, &local, 1), 50);
	assert_int_equal(exec_50(*state, &local, 0), 0);
	assert_int_equal(exec_50(*state, &local6, 1), 50);
	assert_int_equal(ask_often(&local, 50).of['A'], 50);
}

/* One socket that is not connected sends to several addresses of the service, again and again: each
 * pair of ends has a rule, the oldest go. Each answer comes from where the question went. */
static int ask_many_addresses(const void *userdata)
{
	struct address to = *(const struct address *)userdata;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), bad = 0;
	struct sockaddr_storage dest;
	socklen_t size;
	char answer;

	for (unsigned i = 0; i < 60; i++) {
		to.ip[3] = 1 + i % 6;
		size = address_to_sockaddr(&to, &dest);
		bad += sendto(fd, "?", 1, 0, (struct sockaddr *)&dest, size) != 1;
		bad += recv(fd, &answer, 1, 0) != 1 || answer != 'B';
	}
	return bad;
}

static void one_datagram_socket_may_have_many_peers(void **state)
{
	struct rig *rig = *state;
	struct address any = rig_any(PORT), local = rig_local(PORT);
	struct command command;
	struct pair pair;

	any.udp = local.udp = true;
	pair = start_pair(rig, &any);
	serve_pair(&pair);
	command = command_start(rig, ask_many_addresses, &local);
	command_to(&command, 1);
	command_go(&command);
	assert_int_equal(command_wait(&command), 0);
	assert_int_equal(counts_of(&command).begun, 60);
	assert_int_equal(counts_of(&command).arrived, 60);
	command_end(&command);
}

static int ask_3000(const void *userdata)
{
	return ask_often(userdata, 3000).of['B'] == 3000 ? 0 : 1;
}

/* Many of each at the same time. */
static void nobody_else_gets_there(void **state)
{
	struct rig *rig = *state;
	struct address any = rig_any(PORT), local = rig_local(PORT);
	struct pair pair = start_pair(rig, &any);
	struct command command = command_start(rig, ask_3000, &local);
	struct tally tally;

	serve_pair(&pair);
	command_to(&command, 1);
	command_go(&command);
	tally = ask_often(&local, 3000);
	assert_int_equal(tally.of['A'], 3000);
	assert_int_equal(command_wait(&command), 0);
	/* a SYN that is sent once more is looked up once more */
	assert_true(rig_slot(rig, 1).chosen >= 3000);
	assert_true(rig_slot(rig, 0).chosen >= 3000);
	command_end(&command);
}

/* Two commands at once, to different slots. */
static void each_command_has_its_own_slot(void **state)
{
	struct rig *rig = *state;
	struct address any = rig_any(PORT), local = rig_local(PORT);
	struct pair pair = start_pair(rig, &any);
	struct command to_b = command_start(rig, command_ask_50, &local);
	struct command to_a = command_start(rig, command_ask_50, &local);

	serve_pair(&pair);
	rig_flip(rig, 1);
	command_to(&to_b, 1);
	command_to(&to_a, 0);
	command_go(&to_a);
	command_go(&to_b);
	assert_int_equal(command_wait(&to_a), 0);
	assert_int_equal(command_wait(&to_b), 50);
	assert_int_equal(preview_count(rig->plane), 0);
	assert_int_equal(preview_sweep(rig->plane), 2);
	assert_int_equal(plane_has_preview(rig->plane), 0);
}

static int ask_through_a_grandchild(const void *userdata)
{
	int status;
	pid_t child = fork();

	if (!child)
		_exit(command_ask_50(userdata));
	return waitpid(child, &status, 0) == child ? WEXITSTATUS(status) : 97;
}

static void children_count(void **state)
{
	struct address any = rig_any(PORT), local = rig_local(PORT);
	struct pair pair = start_pair(*state, &any);
	struct command command = command_start(*state, ask_through_a_grandchild, &local);

	serve_pair(&pair);
	command_to(&command, 1);
	command_go(&command);
	assert_int_equal(command_wait(&command), 50);
	command_end(&command);
}

static int hold_one(const void *userdata)
{
	int fd = client_connect(userdata);

	return client_ask(fd) == 'B' ? pause() : 1;
}

static void killed_it_leaves_nothing(void **state)
{
	struct rig *rig = *state;
	struct address any = rig_any(PORT), local = rig_local(PORT);
	struct pair pair = start_pair(rig, &any);
	struct command command = command_start(rig, hold_one, &local);

	serve_pair(&pair);
	command_to(&command, 1);
	command_go(&command);
	rig_until(preview_count(rig->plane) == 1);
	rig_until(server_state(pair.b).open == 1);
	/* whoever sweeps meanwhile leaves the living alone */
	assert_int_equal(preview_sweep(rig->plane), 0);
	kill(command.pid, SIGKILL);
	assert_int_equal(command_wait(&command), 128 + SIGKILL);
	rig_until(preview_count(rig->plane) == 0);
	command_end(&command);
}

/* To another port, and to nobody. */
static int ask_elsewhere(const void *userdata)
{
	struct address other = *(const struct address *)userdata;
	char answer;

	other.port++;
	answer = ask(&other);
	other.port++;
	return answer == 'Z' && ask(&other) == ANSWER_REFUSED ? 0 : 1;
}

static void other_ports_are_left_alone(void **state)
{
	struct rig *rig = *state;
	struct address any = rig_any(PORT), local = rig_local(PORT), other = rig_any(PORT + 1);
	struct pair pair = start_pair(rig, &any);
	struct server *stranger = server_start(rig, 25);
	struct command command = command_start(rig, ask_elsewhere, &local);

	serve_pair(&pair);
	assert_int_equal(server_listen(stranger, &other, 0), 0);
	server_serve(stranger, true);
	command_to(&command, 1);
	command_go(&command);
	assert_int_equal(command_wait(&command), 0);
	assert_int_equal(counts_of(&command).begun, 0);
	command_end(&command);
}

static void a_slot_that_dies_is_told(void **state)
{
	struct rig *rig = *state;
	struct address any = rig_any(PORT), local = rig_local(PORT);
	struct pair pair = start_pair(rig, &any);
	struct command command = command_start(rig, command_ask_50, &local);
	struct hs_exec_counts counts;
	struct problem sentence;

	serve_pair(&pair);
	command_to(&command, 1);
	server_kill(pair.b);
	command_go(&command);
	assert_int_equal(command_wait(&command), 0);
	counts = counts_of(&command);
	assert_int_equal(counts.begun, 50);
	assert_int_equal(counts.missed, 50);
	assert_int_equal(counts.arrived, 0);
	exec_describe("web", 1, &counts, &sentence);
	assert_non_null(strstr(sentence.text, "50 of 50 connections did not reach slot 1 of web"));
	assert_false(exec_has_reached(&counts));
	counts = (struct hs_exec_counts) {.begun = 50, .arrived = 50};
	exec_describe("web", 1, &counts, &sentence);
	assert_string_equal(sentence.text, "");
	assert_true(exec_has_reached(&counts));
	command_end(&command);
}

static int ask_nobody(const void *userdata)
{
	(void)userdata;
	return 0;
}

static int ask_a_stranger(const void *userdata)
{
	return ask(userdata) == 'C' ? 0 : 1;
}

/* Also what went elsewhere, to another port, say, is none to the slot. */
static void silence_is_told(void **state)
{
	struct rig *rig = *state;
	struct address any = rig_any(PORT), other = rig_any(PORT + 1), local = rig_local(PORT + 1);
	struct pair pair = start_pair(rig, &any);
	struct server *stranger = server_start(rig, 2);
	int (*const commands[])(const void *) = {ask_nobody, ask_a_stranger};
	struct hs_exec_counts counts;
	struct problem sentence;

	serve_pair(&pair);
	assert_int_equal(server_listen(stranger, &other, 0), 0);
	server_serve(stranger, true);
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		struct command command = command_start(rig, commands[i], &local);

		command_to(&command, 1);
		command_go(&command);
		assert_int_equal(command_wait(&command), 0);
		counts = counts_of(&command);
		assert_false(exec_has_reached(&counts));
		exec_describe("web", 1, &counts, &sentence);
		assert_non_null(strstr(sentence.text, "made no connection to slot 1 of web"));
		command_end(&command);
	}
	/* one that is open still may be what it wants */
	counts = (struct hs_exec_counts) {.begun = 3, .missed = 1, .unseen = 1};
	assert_true(exec_has_reached(&counts));
}

static void a_listener_that_is_nobodys_is_told(void **state)
{
	struct rig *rig = *state;
	struct address any = rig_any(PORT), local = rig_local(PORT);
	struct pair pair = start_pair(rig, &any);
	struct server *stranger = server_start(rig, 25);
	struct command command = command_start(rig, command_ask_50, &local);

	serve_pair(&pair);
	/* a specific address goes before the wildcard */
	assert_int_equal(server_listen(stranger, &local, 0), 0);
	server_serve(stranger, true);
	command_to(&command, 1);
	command_go(&command);
	assert_int_equal(command_wait(&command), 255);
	assert_int_equal(counts_of(&command).unseen, 50);
	command_end(&command);
}

static int hold_many(const void *userdata)
{
	int fd[40];

	for (size_t i = 0; i < ARRAY_SIZE(fd); i++)
		fd[i] = client_connect(userdata);
	for (size_t i = 0; i < ARRAY_SIZE(fd); i++)
		if (client_ask(fd[i]) != 'B')
			return 1;
	return 0;
}

/* Rather wait than reach another slot: TCP tries again, and there is room by then. */
static void without_room_a_connection_waits(void **state)
{
	struct rig *rig = *state;
	struct address any = rig_any(PORT), local = rig_local(PORT);
	struct pair pair = start_pair(rig, &any);
	struct command command = command_start(rig, hold_many, &local);
	struct hs_preview_key key = {.protocol = IPPROTO_UDP};
	struct hs_preview_owner_id self;

	serve_pair(&pair);
	assert_int_equal(owner_of_process(0, &self), 0);
	assert_int_equal(preview_begin(rig->plane, &self), 0);
	command_to(&command, 1);
	for (key.source_port = 0; !preview_add(rig->plane, &key, 1, &self); key.source_port++)
		;
	command_go(&command);
	rig_until(counts_of(&command).blocked);
	assert_int_equal(rig_slot(rig, 0).chosen + rig_slot(rig, 1).chosen, 0);
	assert_int_equal(preview_end(rig->plane, &self), 0);
	assert_int_equal(command_wait(&command), 0);
	assert_int_equal(counts_of(&command).arrived, 40);
	command_end(&command);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(a_command_reaches_its_slot),
		CASE(over_ipv6),
		CASE(over_ipv4_on_a_dual_listener),
		CASE(with_syn_cookies),
		CASE(datagrams_too),
		CASE(one_datagram_socket_may_have_many_peers),
		CASE(nobody_else_gets_there),
		CASE(each_command_has_its_own_slot),
		CASE(children_count),
		CASE(killed_it_leaves_nothing),
		CASE(other_ports_are_left_alone),
		CASE(a_slot_that_dies_is_told),
		CASE(silence_is_told),
		CASE(a_listener_that_is_nobodys_is_told),
		CASE(without_room_a_connection_waits),
	};

	return cases_run("exec", tests);
}
