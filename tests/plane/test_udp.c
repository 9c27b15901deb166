// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Where datagrams go: under each flow mode and policy, over flips, when slots die, begin anew or
 * leave, and when the table of flows is full. Real sockets; the answer tells which server had the
 * datagram, and the counters must say the same.
 */
#include "cases.h"

#include <bpf/bpf.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "command.h"
#include "core/config/config.h"

#define PORT 5300

static struct address any(void)
{
	return (struct address) {.family = AF_INET, .port = PORT, .udp = true};
}

static struct address any6(void)
{
	return (struct address) {.family = AF_INET6, .port = PORT, .udp = true, .v6only = true};
}

static struct address local(uint16_t port)
{
	return (struct address) {
		.family = AF_INET, .port = port, .udp = true, .ip = {127, 0, 0, 1}};
}

/* As Flow= and FlowMax= would. */
static void set_flow(struct rig *rig, enum hs_flow_mode mode, unsigned max)
{
	struct config config;

	config_init(&config);
	config.flow = mode;
	config.flow_max = max;
	config.quic_slot_byte = 3;
	plane_set_flow(rig->plane, &config);
}

/* Shorter than a setting may be. */
static void set_idle_ticks(uint32_t ticks)
{
	int fd = bpf_obj_get(HS_PIN_ROOT "/web/control");
	struct hs_control *control;

	rig_check(fd >= 0);
	control = mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	rig_check(control != MAP_FAILED);
	__atomic_store_n(&control->flow_idle, ticks, __ATOMIC_SEQ_CST);
	munmap(control, sizeof(*control));
	close(fd);
}

static struct pair start_serving(struct rig *rig, enum hs_flow_mode mode)
{
	struct address at = any();
	struct pair pair;

	set_flow(rig, mode, 1024);
	pair = start_pair(rig, &at);
	serve_pair(&pair);
	return pair;
}

static int open_flow(uint16_t port)
{
	struct address at = any();
	int fd = client_connect_from(&at, port);

	rig_check(fd >= 0);
	return fd;
}

static uint64_t flows_of(struct rig *rig, unsigned slot)
{
	struct slot_flows flows[HS_SLOTS_MAX];

	plane_flows(rig->plane, flows);
	return flows[slot].n;
}

/* ---- modes ---- */

static void without_flows_each_datagram_goes_to_the_active(void **state)
{
	struct rig *rig = *state;
	int fd;

	start_serving(rig, HS_FLOW_NONE);
	fd = open_flow(0);
	for (unsigned i = 0; i < 20; i++) {
		assert_int_equal(client_ask(fd), 'A');
		rig_flip(rig, 1);
		assert_int_equal(client_ask(fd), 'B');
		rig_flip(rig, 0);
	}
	close(fd);
	assert_int_equal(rig_slot(rig, 0).chosen, 20);
	assert_int_equal(rig_slot(rig, 1).chosen, 20);
	assert_int_equal(rig_slot(rig, 1).fell_through, 0);
	assert_false(plane_has_flows(rig->plane));
	assert_int_equal(flows_of(rig, 0) + flows_of(rig, 1), 0);
}

static void a_flow_stays_over_a_flip(void **state)
{
	struct rig *rig = *state;
	int old[30], new[20];

	start_serving(rig, HS_FLOW_CONNECTION);
	for (unsigned i = 0; i < ARRAY_SIZE(old); i++)
		assert_int_equal(client_ask(old[i] = open_flow(0)), 'A');
	rig_flip(rig, 1);
	for (unsigned i = 0; i < ARRAY_SIZE(new); i++)
		assert_int_equal(client_ask(new[i] = open_flow(0)), 'B');
	for (unsigned i = 0; i < ARRAY_SIZE(old); i++)
		assert_int_equal(client_ask(old[i]), 'A');
	assert_true(plane_has_flows(rig->plane));
	assert_int_equal(flows_of(rig, 0), ARRAY_SIZE(old));
	assert_int_equal(flows_of(rig, 1), ARRAY_SIZE(new));
	assert_int_equal(rig_slot(rig, 0).chosen, 2 * ARRAY_SIZE(old));
	assert_int_equal(rig_totals(rig).flows_evicted, 0);
	for (unsigned i = 0; i < ARRAY_SIZE(old); i++)
		close(old[i]);
	for (unsigned i = 0; i < ARRAY_SIZE(new); i++)
		close(new[i]);
}

static void an_idle_flow_begins_anew(void **state)
{
	struct rig *rig = *state;
	int fd;

	start_serving(rig, HS_FLOW_CONNECTION);
	set_idle_ticks(2);
	fd = open_flow(0);
	assert_int_equal(client_ask(fd), 'A');
	rig_flip(rig, 1);
	rig_until(!flows_of(rig, 0));
	assert_int_equal(client_ask(fd), 'B');
	assert_int_equal(flows_of(rig, 1), 1);
	close(fd);
}

/* Heard of in every tick it lives on and on. */
static void a_busy_flow_does_not_age(void **state)
{
	struct rig *rig = *state;
	uint64_t end = now_usec() + 1500000;
	int fd;

	start_serving(rig, HS_FLOW_CONNECTION);
	set_idle_ticks(4);
	fd = open_flow(0);
	assert_int_equal(client_ask(fd), 'A');
	rig_flip(rig, 1);
	while (now_usec() < end) {
		assert_int_equal(client_ask(fd), 'A');
		rig_breathe();
	}
	close(fd);
}

static void flow_modes_can_change(void **state)
{
	struct rig *rig = *state;
	int fd;

	start_serving(rig, HS_FLOW_CONNECTION);
	fd = open_flow(0);
	assert_int_equal(client_ask(fd), 'A');
	rig_flip(rig, 1);
	assert_int_equal(client_ask(fd), 'A');
	set_flow(rig, HS_FLOW_NONE, 1024);
	assert_int_equal(client_ask(fd), 'B');
	set_flow(rig, HS_FLOW_CONNECTION, 1024);
	assert_int_equal(client_ask(fd), 'A');
	close(fd);
}

/* ---- QUIC ---- */

/* With a long header the id is the client's; short ones begin with the server's, whose fourth byte
 * is the slot. Padding makes it as long as real ones. */
static char ask_quic(int fd, bool long_header, uint8_t slot)
{
	uint8_t bytes[48] = {0x40, 'i', 'd', '!', slot};

	if (long_header)
		bytes[0] = 0xc3;
	rig_check(send(fd, bytes, sizeof(bytes), MSG_NOSIGNAL) == sizeof(bytes));
	return client_read(fd);
}

static void quic_follows_the_connection_id(void **state)
{
	struct rig *rig = *state;
	int home, moved, fresh;

	start_serving(rig, HS_FLOW_QUIC);
	home = open_flow(0);
	assert_int_equal(ask_quic(home, true, 77), 'A');
	assert_int_equal(ask_quic(home, false, 0), 'A');
	rig_flip(rig, 1);
	/* the handshake goes on by its address, whatever is in the client's id */
	assert_int_equal(ask_quic(home, true, 1), 'A');
	assert_int_equal(ask_quic(home, false, 0), 'A');
	/* another address of the same client */
	moved = open_flow(0);
	assert_int_equal(ask_quic(moved, false, 0), 'A');
	/* is remembered: also for what has no slot in it */
	assert_int_equal(ask_quic(moved, true, 1), 'A');
	fresh = open_flow(0);
	assert_int_equal(ask_quic(fresh, true, 0), 'B');
	assert_int_equal(ask_quic(fresh, false, 1), 'B');
	close(home);
	close(moved);
	close(fresh);
}

static void a_forged_slot_byte_does_no_harm(void **state)
{
	struct rig *rig = *state;
	struct pair pair = start_serving(rig, HS_FLOW_QUIC);
	int fd = open_flow(0), others[256];

	assert_int_equal(ask_quic(fd, true, 0), 'A');
	for (unsigned byte = 2; byte < 256; byte++) {
		others[byte] = open_flow(0);
		assert_int_equal(ask_quic(others[byte], false, byte), 'A');
		close(others[byte]);
	}
	assert_int_equal(ask_quic(fd, false, 0), 'A');
	/* one that is gone is a number like any other */
	server_kill(pair.b);
	assert_int_equal(ask_quic(fd, false, 1), 'A');
	/* too short for an id */
	assert_int_equal(client_ask(fd), 'A');
	(void)!send(fd, "", 0, 0);
	assert_int_equal(client_read(fd), 'A');
	close(fd);
}

/* ---- policies ---- */

static void new_flows_follow_the_policy(void **state)
{
	struct rig *rig = *state;
	struct address at = any();
	unsigned b = 0;

	start_serving(rig, HS_FLOW_NONE);
	rig_policy(rig, HS_POLICY_PARITY);
	for (uint16_t port = 20000; port < 20100; port++)
		assert_int_equal(ask_from(&at, port), port & 1 ? 'B' : 'A');
	rig_policy(rig, HS_POLICY_HASH);
	b = ask_often(&at, 400).of['B'];
	assert_in_range(b, 120, 280);
	rig_policy(rig, HS_POLICY_STANDBY);
	rig_canary(rig, 1, 65536 / 4);
	b = ask_often(&at, 400).of['B'];
	assert_in_range(b, 40, 170);
}

static void a_flow_keeps_its_canary(void **state)
{
	struct rig *rig = *state;
	int fds[100];
	char first[100];

	start_serving(rig, HS_FLOW_CONNECTION);
	rig_canary(rig, 1, 65536 / 2);
	for (unsigned i = 0; i < ARRAY_SIZE(fds); i++)
		first[i] = client_ask(fds[i] = open_flow(0));
	rig_canary(rig, HS_SLOT_NONE, 0);
	for (unsigned i = 0; i < ARRAY_SIZE(fds); i++) {
		assert_int_equal(client_ask(fds[i]), first[i]);
		close(fds[i]);
	}
	assert_in_range(flows_of(rig, 1), 20, 80);
}

/* ---- slots that die, begin anew, leave ---- */

static void flows_of_a_dead_slot_go_elsewhere(void **state)
{
	struct rig *rig = *state;
	struct pair pair = start_serving(rig, HS_FLOW_CONNECTION);
	int fds[20];

	for (unsigned i = 0; i < ARRAY_SIZE(fds); i++)
		assert_int_equal(client_ask(fds[i] = open_flow(0)), 'A');
	server_kill(pair.a);
	for (unsigned i = 0; i < ARRAY_SIZE(fds); i++)
		assert_int_equal(client_ask(fds[i]), 'B');
	assert_int_equal(rig_slot(rig, 1).fell_through, ARRAY_SIZE(fds));
	/* remembered there */
	assert_int_equal(client_ask(fds[0]), 'B');
	assert_int_equal(rig_slot(rig, 1).fell_through, ARRAY_SIZE(fds));
	assert_int_equal(flows_of(rig, 0), 0);
	assert_int_equal(flows_of(rig, 1), ARRAY_SIZE(fds));
	for (unsigned i = 0; i < ARRAY_SIZE(fds); i++)
		close(fds[i]);
}

static void a_new_instance_has_no_old_flows(void **state)
{
	struct rig *rig = *state;
	struct pair pair = start_serving(rig, HS_FLOW_CONNECTION);
	struct address at = any();
	int fd = open_flow(0);

	assert_int_equal(client_ask(fd), 'A');
	rig_flip(rig, 1);
	server_kill(pair.a);
	server_serve(start_adopted(rig, 0, &at), true);
	assert_int_equal(flows_of(rig, 0), 0);
	/* the flow was in the middle of something that the new one knows nothing of */
	assert_int_equal(client_ask(fd), 'B');
	close(fd);
}

static void adopted_again_an_instance_keeps_its_flows(void **state)
{
	struct rig *rig = *state;
	struct pair pair = start_serving(rig, HS_FLOW_CONNECTION);
	struct address second = local(PORT + 1);
	int fd = open_flow(0);

	assert_int_equal(client_ask(fd), 'A');
	rig_flip(rig, 1);
	assert_int_equal(rig_adopt(rig, pair.a), 0);
	assert_int_equal(client_ask(fd), 'A');
	assert_int_equal(server_listen(pair.a, &second, 0), 1);
	assert_int_equal(rig_adopt(rig, pair.a), 1);
	assert_int_equal(client_ask(fd), 'A');
	close(fd);
}

static void epochs_wrap(void **state)
{
	struct rig *rig = *state;
	int flows[40];

	start_serving(rig, HS_FLOW_CONNECTION);
	for (unsigned i = 0; i < 40; i++) {
		int a = flows[i] = open_flow(0);

		rig_flip(rig, 0);
		assert_int_equal(client_ask(a), 'A');
		rig_flip(rig, 1);
		assert_int_equal(client_ask(a), 'A');
		plane_advance_epoch(rig->plane, 0);
		assert_int_equal(flows_of(rig, 0), 0);
		assert_int_equal(client_ask(a), 'B');
		assert_int_equal(flows_of(rig, 1), i + 1);
	}
	/* not before: another would get the port, and with it the flow */
	for (unsigned i = 0; i < 40; i++)
		close(flows[i]);
}

static void a_slot_that_leaves_gives_its_flows_away(void **state)
{
	struct rig *rig = *state;
	struct pair pair = start_serving(rig, HS_FLOW_CONNECTION);
	int fd = open_flow(0);
	unsigned to;

	assert_int_equal(client_ask(fd), 'A');
	assert_int_equal(retire_leave(rig->plane, 0, 3, &to), RETIRE_DONE);
	assert_int_equal(client_ask(fd), 'B');
	assert_int_equal(flows_of(rig, 0), 0);
	assert_int_equal(bounce(rig->plane, 0, pair.a->cgroup, false), 0);
	close(fd);
}

static void what_waits_can_be_waited_for(void **state)
{
	struct rig *rig = *state;
	struct pair pair = start_serving(rig, HS_FLOW_CONNECTION);
	struct retire_left left = {.unread = 1};
	int fd = open_flow(0);
	unsigned to;

	assert_int_equal(retire_look(rig->plane, 0, pair.a->cgroup, &left), 0);
	assert_int_equal(left.unread, 0);
	server_serve(pair.a, false);
	for (unsigned i = 0; i < 10; i++)
		client_send(fd, 'Q');
	assert_int_equal(retire_leave(rig->plane, 0, 3, &to), RETIRE_DONE);
	/* a queue is left where it is */
	assert_int_equal(bounce(rig->plane, 0, pair.a->cgroup, false), 0);
	assert_int_equal(retire_look(rig->plane, 0, pair.a->cgroup, &left), 0);
	assert_true(left.unread > 0);
	assert_false(retire_is_over(&left, RIG_DEADLINE_USEC));
	assert_int_equal(server_accept(pair.a, NULL), 10);
	/* it has read them before it goes back to wait for the next word of ours */
	rig_until(retire_look(rig->plane, 0, pair.a->cgroup, &left) == 0 &&
		  retire_is_over(&left, 0));
	assert_int_equal(left.unread, 0);
	close(fd);
}

static int work_for_ever(const void *userdata)
{
	volatile bool on = true;

	(void)userdata;
	while (on)
		;
	return 0;
}

/* A datagram that has been read may still be worked on, by any thread of the unit: who is stopped
 * then does not answer it. */
static void who_works_on_the_last_one_is_waited_for(void **state)
{
	struct rig *rig = *state;
	struct pair pair = start_serving(rig, HS_FLOW_CONNECTION);
	struct command worker = command_start_beside(rig, pair.a, work_for_ever, NULL);
	struct retire_left left;

	/* while it waits for the word */
	rig_until(retire_look(rig->plane, 0, pair.a->cgroup, &left) == 0 && !left.at_work);
	assert_true(retire_is_over(&left, 0));
	command_go(&worker);
	rig_until(retire_look(rig->plane, 0, pair.a->cgroup, &left) == 0 && left.at_work);
	assert_false(retire_loses(&left));
	assert_false(retire_is_over(&left, 0));
	/* one that is never idle keeps nobody for long */
	assert_true(retire_is_over(&left, RIG_DEADLINE_USEC));
	/* the other slot's has nothing to do with it */
	rig_until(retire_look(rig->plane, 1, pair.b->cgroup, &left) == 0 && !left.at_work);
	assert_int_equal(kill(worker.pid, SIGKILL), 0);
	assert_int_equal(waitpid(worker.pid, NULL, 0), worker.pid);
	rig_until(retire_look(rig->plane, 0, pair.a->cgroup, &left) == 0 && !left.at_work);
	command_done(&worker);
}

/* Who does not read loses what its socket has no room for: of that slot it is told. */
static void what_is_dropped_is_told_by_slot(void **state)
{
	struct rig *rig = *state;
	struct pair pair = start_serving(rig, HS_FLOW_CONNECTION);
	static const char datagram[1024] = "Q";
	uint64_t drops[HS_SLOTS_MAX];
	int fd = open_flow(0);

	assert_int_equal(plane_drops(rig->plane, drops), 2);
	assert_int_equal(drops[0], 0);
	server_serve(pair.a, false);
	/* a receive buffer of the kernel's own size has room for some hundreds */
	for (unsigned i = 0; i < 2000; i++)
		assert_int_equal(send(fd, datagram, sizeof(datagram), 0), sizeof(datagram));
	assert_int_equal(plane_drops(rig->plane, drops), 2);
	assert_in_range(drops[0], 1, 1999);
	assert_int_equal(drops[1], 0);
	close(fd);
}

/* Two addresses with one port: the sockets are listed once. */
static void each_socket_counts_once_for_what_is_dropped(void **state)
{
	struct rig *rig = *state;
	struct pair pair = start_serving(rig, HS_FLOW_CONNECTION);
	struct address other = rig_only6(any().port);
	uint64_t drops[HS_SLOTS_MAX];

	other.udp = true;
	rig_check(server_listen(pair.a, &other, 0) >= 0);
	assert_int_equal(rig_adopt(rig, pair.a), 1);
	assert_int_equal(plane_drops(rig->plane, drops), 3);
}

static void without_any_slot_the_kernel_chooses(void **state)
{
	struct rig *rig = *state;
	size_t n;
	int fd;

	for (int mode = 0; mode < HS_FLOW_COUNT; mode++) {
		uint64_t before = 0;

		if (!mode)
			start_serving(rig, mode);
		set_flow(rig, mode, 1024);
		for (unsigned slot = 0; slot < 2; slot++)
			listener_withdraw(plane_listeners(rig->plane, &n)[0], slot);
		before = rig_totals(rig).nothing_to_choose;
		fd = open_flow(0);
		for (unsigned i = 0; i < 10; i++)
			assert_true(strchr("AB", client_ask(fd)));
		assert_int_equal(rig_totals(rig).nothing_to_choose, before + 10);
		close(fd);
	}
}

static unsigned events_seen;

static void on_event(const struct hs_event *event, void *userdata)
{
	(void)event;
	(void)userdata;
	events_seen++;
}

/* Datagrams may come by the hundred thousand: nobody wants to be told of each. */
static void what_is_told_is_bounded(void **state)
{
	struct rig *rig = *state;
	struct pair pair = start_serving(rig, HS_FLOW_NONE);
	int watch, fd = open_flow(0);

	assert_int_equal(plane_events_watch(rig->plane, on_event, NULL, &watch), 0);
	server_kill(pair.a);
	events_seen = 0;
	for (unsigned i = 0; i < 300; i++)
		assert_int_equal(client_ask(fd), 'B');
	assert_int_equal(rig_slot(rig, 1).fell_through, 300);
	plane_events_consume(rig->plane);
	assert_in_range(events_seen, 1, 50);
	close(fd);
}

/* ---- the table ---- */

static void a_full_table_forgets_old_flows_and_counts(void **state)
{
	struct rig *rig = *state;
	struct address at = any();
	unsigned asked = 0;
	uint64_t known;
	int fd;

	start_serving(rig, HS_FLOW_CONNECTION);
	for (uint16_t port = 20000; port < 24000; port++, asked++)
		assert_int_equal(ask_from(&at, port), 'A');
	known = flows_of(rig, 0);
	assert_in_range(known, 900, 1024);
	assert_int_equal(rig_totals(rig).flows_evicted, asked - known);
	/* the newest is there */
	rig_flip(rig, 1);
	fd = open_flow(23999);
	assert_int_equal(client_ask(fd), 'A');
	close(fd);
}

static void the_table_outlives_its_maker(void **state)
{
	struct rig *rig = *state;
	int fd;

	start_serving(rig, HS_FLOW_CONNECTION);
	fd = open_flow(0);
	assert_int_equal(client_ask(fd), 'A');
	rig_flip(rig, 1);
	rig->plane = plane_free(rig->plane);
	rig->accounting = accounting_free(rig->accounting);
	rig_planes(rig);
	assert_int_equal(flows_of(rig, 0), 1);
	assert_int_equal(client_ask(fd), 'A');
	close(fd);
}

/* ---- listeners ---- */

static void both_families_have_flows_of_their_own(void **state)
{
	struct rig *rig = *state;
	struct address at = any(), at6 = any6();
	struct pair pair = start_serving(rig, HS_FLOW_CONNECTION);
	int fd, fd6;

	assert_int_equal(server_listen(pair.a, &at6, 0), 1);
	assert_int_equal(server_listen(pair.b, &at6, 0), 1);
	assert_int_equal(rig_adopt(rig, pair.a) + rig_adopt(rig, pair.b), 2);
	fd = client_connect_from(&at, 20000);
	fd6 = client_connect_from(&at6, 20000);
	assert_int_equal(client_ask(fd6), 'A');
	rig_flip(rig, 1);
	assert_int_equal(client_ask(fd6), 'A');
	assert_int_equal(client_ask(fd), 'B');
	rig_policy(rig, HS_POLICY_PARITY);
	set_flow(rig, HS_FLOW_NONE, 1024);
	assert_int_equal(ask_from(&at6, 20002), 'A');
	assert_int_equal(ask_from(&at6, 20003), 'B');
	close(fd);
	close(fd6);
}

static void tcp_beside_it_is_another_listener(void **state)
{
	struct rig *rig = *state;
	struct address udp = any(), tcp = rig_any(PORT);
	struct pair pair = start_serving(rig, HS_FLOW_CONNECTION);
	int fd = open_flow(0);

	assert_int_equal(server_listen(pair.a, &tcp, 0), 1);
	assert_int_equal(rig_adopt(rig, pair.a), 1);
	assert_true(address_equal(plane_missing(rig->plane, 1, 0), &tcp));
	assert_int_equal(server_listen(pair.b, &tcp, 0), 1);
	assert_int_equal(rig_adopt(rig, pair.b), 1);
	assert_null(plane_missing(rig->plane, 1, 0));
	assert_int_equal(plane_slot_sockets(rig->plane, 0), 2);
	assert_int_equal(client_ask(fd), 'A');
	assert_int_equal(ask(&tcp), 'A');
	rig_flip(rig, 1);
	assert_int_equal(client_ask(fd), 'A');
	assert_int_equal(ask(&udp), 'B');
	assert_int_equal(ask(&tcp), 'B');
	close(fd);
}

static void all_sockets_of_a_slot_have_work(void **state)
{
	enum { SOCKETS = 4, FLOWS = 200 };
	struct rig *rig = *state;
	struct address at = any();
	struct server *a = server_start(rig, 0);
	_cleanup_(freep) struct listening_socket *sockets = NULL;
	unsigned with_work = 0;
	size_t n;

	set_flow(rig, HS_FLOW_CONNECTION, 1024);
	for (int i = 0; i < SOCKETS; i++)
		assert_int_equal(server_listen(a, &at, 0), i);
	assert_int_equal(rig_adopt(rig, a), SOCKETS);
	for (unsigned i = 0; i < FLOWS; i++) {
		int fd = open_flow(0);

		client_send(fd, 'Q');
		close(fd);
	}
	assert_int_equal(diag_listening(NULL, true, &sockets, &n), 0);
	for (size_t i = 0; i < n; i++)
		with_work += sockets[i].address.udp && sockets[i].queued;
	assert_int_equal(with_work, SOCKETS);
	assert_int_equal(server_accept(a, NULL), FLOWS);
	assert_int_equal(rig_slot(rig, 0).chosen, FLOWS);
	/* one of them gone, its flows are the others' */
	server_close(a, 2);
	server_serve(a, true);
	assert_int_equal(ask_often(&at, 50).of['A'], 50);
}

static void a_foreign_member_gets_nothing_while_a_slot_lives(void **state)
{
	struct rig *rig = *state;
	struct address at = any();
	struct pair pair = start_serving(rig, HS_FLOW_NONE);
	struct server *foreign = server_start(rig, 2);

	assert_int_equal(server_listen(foreign, &at, 0), 0);
	server_serve(foreign, true);
	assert_int_equal(ask_often(&at, 100).of['A'], 100);
	server_kill(pair.a);
	server_kill(pair.b);
	assert_int_equal(ask_often(&at, 10).of['C'], 10);
}

/* A group has both servers as members: the kernel gives each a copy, and asks no selector. */
static int open_member(void)
{
	struct address at = any();
	struct sockaddr_storage raw;
	socklen_t size = address_to_sockaddr(&at, &raw);
	struct ip_mreq request = {{htonl(0xef010101)}, {htonl(INADDR_LOOPBACK)}};
	int one = 1, fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	rig_check(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) == 0);
	rig_check(bind(fd, (struct sockaddr *)&raw, size) == 0);
	rig_check(setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &request, sizeof(request)) == 0);
	return fd;
}

static void send_to_all(void)
{
	struct address at = {.family = AF_INET, .port = PORT, .udp = true, .ip = {239, 1, 1, 1}};
	struct in_addr loopback = {htonl(INADDR_LOOPBACK)};
	struct sockaddr_storage raw;
	socklen_t size = address_to_sockaddr(&at, &raw);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	rig_check(setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &loopback, sizeof(loopback)) == 0);
	rig_check(sendto(fd, "Q", 1, 0, (struct sockaddr *)&raw, size) == 1);
	close(fd);
}

static void multicast_reaches_all(void **state)
{
	struct rig *rig = *state;
	struct address at = any();
	struct server *servers[2];

	for (unsigned slot = 0; slot < 2; slot++) {
		int fd = open_member();

		servers[slot] = server_start_holding(rig, slot, fd);
		close(fd);
		assert_int_equal(rig_adopt(rig, servers[slot]), 1);
	}
	send_to_all();
	assert_int_equal(server_accept(servers[0], NULL), 1);
	assert_int_equal(server_accept(servers[1], NULL), 1);
	server_serve(servers[0], true);
	server_serve(servers[1], true);
	assert_int_equal(ask_often(&at, 20).of['A'], 20);
}

/* ---- which sockets are adopted ---- */

static struct adoption *adopt_one(struct rig *rig, struct address at, unsigned flags)
{
	struct server *server = server_start(rig, 0);
	struct adoption *adoption;

	rig_check(server_listen(server, &at, flags) >= 0);
	adoption = rig_try_adopt(rig, server);
	server_kill(server);
	return adoption;
}

static void plain_sockets_are_told_of_if_they_serve(void **state)
{
	static const struct {
		struct address at;
		unsigned flags;
		enum adopt_verdict verdict;
	} cases[] = {
		/* the rig's ephemeral ports are 10000 to 65000 */
		{{.port = 5300}, 0, ADOPT_OK},
		{{.port = 5300}, SERVER_NO_REUSEPORT, ADOPT_NO_REUSEPORT},
		{{.port = 9999}, SERVER_NO_REUSEPORT, ADOPT_NO_REUSEPORT},
		{{.port = 10000}, SERVER_NO_REUSEPORT, ADOPT_PORT_LEFT_OUT},
		{{.port = 65000}, SERVER_NO_REUSEPORT, ADOPT_PORT_LEFT_OUT},
		{{.port = 65001}, SERVER_NO_REUSEPORT, ADOPT_NO_REUSEPORT},
		{{.port = 30000}, 0, ADOPT_OK},
		{{.port = 5353, .ip = {224, 0, 0, 251}}, 0, ADOPT_PORT_LEFT_OUT},
		{{.port = 5353, .ip = {255, 255, 255, 255}}, 0, ADOPT_PORT_LEFT_OUT},
	};
	struct rig *rig = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct address at = cases[i].at;
		struct adoption *adoption;

		at.family = AF_INET;
		at.udp = true;
		adoption = adopt_one(rig, at, cases[i].flags);
		assert_int_equal(adoption->n, 1);
		assert_int_equal(adoption->sockets[0].verdict, cases[i].verdict);
		assert_int_equal(adoption->refused, cases[i].verdict == ADOPT_NO_REUSEPORT);
		adoption_free(adoption);
	}
}

static void ports_name_what_is_served(void **state)
{
	struct config_port ports[] = {{.port = 5300, .tcp = true}, {.port = 30000, .udp = true}};
	struct rig *rig = *state;
	struct server *server = server_start(rig, 0);
	struct adopt_scope scope = {
		.cgroup = server->cgroup, .ports = ports, .n_ports = ARRAY_SIZE(ports)};
	struct address other = local(5300), named = local(30000);
	struct adoption *adoption;

	assert_int_equal(server_listen(server, &other, 0), 0);
	assert_int_equal(server_listen(server, &named, SERVER_NO_REUSEPORT), 1);
	assert_int_equal(adoption_begin(rig->plane, &scope, &adoption, NULL), 0);
	assert_int_equal(adoption->n, 2);
	assert_int_equal(adoption->sockets[0].verdict, ADOPT_PORT_LEFT_OUT);
	assert_int_equal(adoption->sockets[1].verdict, ADOPT_NO_REUSEPORT);
	adoption_free(adoption);
}

static void connected_sockets_are_nobodys_business(void **state)
{
	struct rig *rig = *state;
	struct server *server;
	struct adoption *adoption;
	int fd = open_flow(0);

	server = server_start_holding(rig, 0, fd);
	adoption = rig_try_adopt(rig, server);
	assert_int_equal(adoption->n, 0);
	adoption_free(adoption);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(without_flows_each_datagram_goes_to_the_active),
		CASE(a_flow_stays_over_a_flip),
		CASE(an_idle_flow_begins_anew),
		CASE(a_busy_flow_does_not_age),
		CASE(flow_modes_can_change),
		CASE(quic_follows_the_connection_id),
		CASE(a_forged_slot_byte_does_no_harm),
		CASE(new_flows_follow_the_policy),
		CASE(a_flow_keeps_its_canary),
		CASE(flows_of_a_dead_slot_go_elsewhere),
		CASE(a_new_instance_has_no_old_flows),
		CASE(adopted_again_an_instance_keeps_its_flows),
		CASE(epochs_wrap),
		CASE(a_slot_that_leaves_gives_its_flows_away),
		CASE(what_waits_can_be_waited_for),
		CASE(who_works_on_the_last_one_is_waited_for),
		CASE(what_is_dropped_is_told_by_slot),
		CASE(each_socket_counts_once_for_what_is_dropped),
		CASE(without_any_slot_the_kernel_chooses),
		CASE(what_is_told_is_bounded),
		CASE(a_full_table_forgets_old_flows_and_counts),
		CASE(the_table_outlives_its_maker),
		CASE(both_families_have_flows_of_their_own),
		CASE(tcp_beside_it_is_another_listener),
		CASE(all_sockets_of_a_slot_have_work),
		CASE(a_foreign_member_gets_nothing_while_a_slot_lives),
		CASE(multicast_reaches_all),
		CASE(plain_sockets_are_told_of_if_they_serve),
		CASE(ports_name_what_is_served),
		CASE(connected_sockets_are_nobodys_business),
	};

	return cases_run("udp", tests);
}
