// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which slot a new connection goes to, under each policy and when slots have died. Real
 * connections; the answer tells which server had them, and the counters must say the same.
 */
#include "cases.h"

#include <math.h>
#include <string.h>

#define PORT  8080
#define FLOWS 2000

static void standby_sends_all_to_the_active(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct pair pair = start_pair(rig, &at);

	serve_pair(&pair);
	assert_int_equal(ask_often(&at, 100).of['A'], 100);
	rig_flip(rig, 1);
	assert_int_equal(ask_often(&at, 100).of['B'], 100);
	assert_int_equal(rig_slot(rig, 0).chosen, 100);
	assert_int_equal(rig_slot(rig, 1).chosen, 100);
	assert_int_equal(rig_slot(rig, 1).fell_through, 0);
	assert_int_equal(rig_totals(rig).nothing_to_choose, 0);
}

static void a_flip_and_back_leaves_open_connections_alone(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct pair pair = start_pair(rig, &at);
	int fd;

	serve_pair(&pair);
	fd = client_connect(&at);
	assert_int_equal(client_ask(fd), 'A');
	rig_flip(rig, 1);
	assert_int_equal(client_ask(fd), 'A');
	assert_int_equal(ask(&at), 'B');
	rig_flip(rig, 0);
	assert_int_equal(client_ask(fd), 'A');
	assert_int_equal(ask(&at), 'A');
	close(fd);
}

static void parity_goes_by_the_source_port(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT), at6 = rig_only6(PORT);
	struct pair pair = start_pair(rig, &at);

	server_listen(pair.a, &at6, 0);
	server_listen(pair.b, &at6, 0);
	assert_int_equal(rig_adopt(rig, pair.a) + rig_adopt(rig, pair.b), 2);
	serve_pair(&pair);
	rig_policy(rig, HS_POLICY_PARITY);
	for (uint16_t port = 20000; port < 20200; port++) {
		assert_int_equal(ask_from(&at, port), port & 1 ? 'B' : 'A');
		assert_int_equal(ask_from(&at6, port), port & 1 ? 'B' : 'A');
	}
	server_kill(pair.b);
	assert_int_equal(ask_from(&at, 20001), 'A');
	assert_int_equal(rig_slot(rig, 0).fell_through, 1);
}

/* Three standard deviations are left by chance in one of 370 tries; by a defect each time. */
static bool within_3_deviations(unsigned got, unsigned of, double share)
{
	double deviation = sqrt(of * share * (1 - share));

	print_message("# %u of %u, expected %.0f +- %.0f\n", got, of, of * share, deviation);
	return fabs(got - of * share) <= 3 * deviation;
}

static void assert_share(const struct address *at, char name, double share)
{
	for (int tries = 0; tries < 3; tries++)
		if (within_3_deviations(ask_often(at, FLOWS).of[(unsigned char)name], FLOWS, share))
			return;
	fail_msg("three times off");
}

static void assert_each_flow_stays(const struct address *at)
{
	for (uint16_t port = 20000; port < 20100; port++) {
		char first = ask_from(at, port);

		for (int i = 0; i < 5; i++)
			assert_int_equal(ask_from(at, port), first);
	}
}

static void hash_spreads_evenly_and_keeps_a_flow(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct pair pair = start_pair(rig, &at);
	struct server *c = start_adopted(rig, 2, &at);

	serve_pair(&pair);
	server_serve(c, true);
	rig_policy(rig, HS_POLICY_HASH);
	assert_share(&at, 'A', 1 / 3.0);
	assert_share(&at, 'B', 1 / 3.0);
	assert_share(&at, 'C', 1 / 3.0);
	assert_each_flow_stays(&at);
	assert_int_equal(rig_slot(rig, 0).fell_through, 0);
}

static void hash_leaves_a_dead_slot_out(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct pair pair = start_pair(rig, &at);
	struct tally tally;

	serve_pair(&pair);
	rig_policy(rig, HS_POLICY_HASH);
	server_kill(pair.a);
	tally = ask_often(&at, 200);
	assert_int_equal(tally.of['B'], 200);
	/* those that wanted A, until somebody tidies up */
	assert_in_range(rig_slot(rig, 1).fell_through, 50, 150);
}

static void canary_gets_its_share_of_the_flows(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct pair pair = start_pair(rig, &at);

	serve_pair(&pair);
	rig_canary(rig, 1, 65536 / 20);
	assert_share(&at, 'B', 0.05);
	rig_canary(rig, 1, 65536 / 2);
	assert_share(&at, 'B', 0.5);
	assert_each_flow_stays(&at);
	rig_canary(rig, HS_SLOT_NONE, 0);
	assert_int_equal(ask_often(&at, 200).of['A'], 200);
}

static void a_larger_share_keeps_the_flows_of_a_smaller(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct pair pair = start_pair(rig, &at);
	bool was[200];

	serve_pair(&pair);
	rig_canary(rig, 1, 65536 / 4);
	for (int i = 0; i < 200; i++)
		was[i] = ask_from(&at, 20000 + i) == 'B';
	rig_canary(rig, 1, 65536 / 2);
	for (int i = 0; i < 200; i++)
		if (was[i])
			assert_int_equal(ask_from(&at, 20000 + i), 'B');
}

static void a_dead_canary_falls_back_to_the_active(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct pair pair = start_pair(rig, &at);
	struct server *c = start_adopted(rig, 2, &at);

	serve_pair(&pair);
	server_serve(c, true);
	rig_flip(rig, 1);
	rig_canary(rig, 2, WORD_SHARE_MAX);
	/* the largest share is 65535 of 65536 */
	assert_in_range(ask_often(&at, 50).of['C'], 48, 50);
	server_kill(c);
	/* to the active one, not to the lowest */
	assert_int_equal(ask_often(&at, 50).of['B'], 50);
	assert_in_range(rig_slot(rig, 1).fell_through, 48, 50);
}

static void a_dead_active_falls_through_to_a_ready_slot(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct pair pair = start_pair(rig, &at);

	serve_pair(&pair);
	server_kill(pair.a);
	assert_int_equal(ask_often(&at, 100).of['B'], 100);
	assert_int_equal(hs_word_active(plane_word(rig->plane)), 0);
	assert_int_equal(rig_slot(rig, 1).fell_through, 100);
	assert_int_equal(rig_slot(rig, 1).chosen, 100);
	assert_int_equal(rig_slot(rig, 0).select_failed, 100);
	server_kill(pair.b);
	assert_int_equal(ask(&at), ANSWER_REFUSED);
}

/* A third process in the group, not ours: nobody's connection while one of ours lives. */
static void a_foreign_member_gets_what_no_slot_can_take(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct server *foreign = server_start(rig, 25);
	struct pair pair;

	/* it was there first, too */
	assert_int_equal(server_listen(foreign, &at, 0), 0);
	server_serve(foreign, true);
	pair = start_pair(rig, &at);
	serve_pair(&pair);
	assert_int_equal(ask_often(&at, 200).of['A'], 200);
	server_kill(pair.a);
	assert_int_equal(ask_often(&at, 200).of['B'], 200);
	assert_int_equal(rig_totals(rig).nothing_to_choose, 0);
	server_kill(pair.b);
	assert_int_equal(ask_often(&at, 200).of['Z'], 200);
	assert_int_equal(rig_totals(rig).nothing_to_choose, 200);
}

static void detached_the_kernel_chooses(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct pair pair = start_pair(rig, &at);
	struct held_socket *held;
	struct tally tally;
	size_t n;
	int fd;

	serve_pair(&pair);
	assert_int_equal(ask_often(&at, 50).of['A'], 50);
	assert_int_equal(scan_cgroup(pair.a->cgroup, &held, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(scan_borrow(held, &fd), 0);
	assert_int_equal(listener_detach(fd), 0);
	assert_int_equal(listener_detach(fd), 0);
	tally = ask_often(&at, 200);
	assert_int_equal(tally.of['A'] + tally.of['B'], 200);
	assert_in_range(tally.of['B'], 50, 150);
	close(fd);
	free(held);
}

/* The look-up is made twice then, at the SYN and at the ACK that brings the cookie back. */
static void syn_cookies_keep_a_flow_on_its_slot(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct pair pair;
	struct tally tally;

	rig_sysctl("net/ipv4/tcp_syncookies", "2");
	pair = start_pair(rig, &at);
	serve_pair(&pair);
	rig_canary(rig, 1, 65536 / 2);
	tally = ask_often(&at, 400);
	assert_int_equal(tally.of['A'] + tally.of['B'], 400);
	assert_int_equal(rig_slot(rig, 0).chosen, 2 * tally.of['A']);
	assert_int_equal(rig_slot(rig, 1).chosen, 2 * tally.of['B']);
	assert_int_equal(rig_slot(rig, 0).opened, tally.of['A']);
	assert_each_flow_stays(&at);
}

/* A kernel fact that users will meet: another address is another group. */
static void a_specific_address_bypasses_the_wildcard(void **state)
{
	struct rig *rig = *state;
	struct address any = rig_any(PORT), specific = rig_local(PORT), other = rig_local(PORT);
	struct pair pair = start_pair(rig, &any);
	struct server *stray = server_start(rig, 25);

	other.ip[3] = 2;
	serve_pair(&pair);
	assert_int_equal(server_listen(stray, &specific, 0), 0);
	server_serve(stray, true);
	assert_int_equal(ask(&specific), 'Z');
	assert_int_equal(ask(&other), 'A');
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(standby_sends_all_to_the_active),
		CASE(a_flip_and_back_leaves_open_connections_alone),
		CASE(parity_goes_by_the_source_port),
		CASE(hash_spreads_evenly_and_keeps_a_flow),
		CASE(hash_leaves_a_dead_slot_out),
		CASE(canary_gets_its_share_of_the_flows),
		CASE(a_larger_share_keeps_the_flows_of_a_smaller),
		CASE(a_dead_canary_falls_back_to_the_active),
		CASE(a_dead_active_falls_through_to_a_ready_slot),
		CASE(a_foreign_member_gets_what_no_slot_can_take),
		CASE(detached_the_kernel_chooses),
		CASE(syn_cookies_keep_a_flow_on_its_slot),
		CASE(a_specific_address_bypasses_the_wildcard),
	};

	return cases_run("policy", tests);
}
