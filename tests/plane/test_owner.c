// SPDX-License-Identifier: GPL-2.0-or-later
/* Slots whose servers run as different users: the group is given to the next one before it binds.
 */
#include "cases.h"

#include <string.h>
#include <sys/stat.h>

#include "plane/act/owners.h"
#include "plane/act/park.h"

#define PORT 8080

enum { USER_A = 4001, USER_B = 4002, STRANGER = 4003 };

static struct server *start_as(struct rig *rig, unsigned slot, uid_t uid)
{
	struct server *server = server_start(rig, slot);

	server_become(server, uid);
	return server;
}

static uid_t owner_of(struct server *server, const struct address *address)
{
	_cleanup_(freep) struct held_socket *held = NULL;
	size_t n;

	assert_int_equal(scan_cgroup(server->cgroup, &held, &n), 0);
	for (size_t i = 0; i < n; i++)
		if (address_equal(&held[i].socket.address, address))
			return held[i].socket.uid;
	fail_msg("it does not listen there");
	return 0;
}

/* What prepare does before the server of slot B runs. */
static void give(struct rig *rig, struct server *server, uid_t uid, int n)
{
	assert_true(owners_differ(rig->plane, uid));
	assert_int_equal(owners_give(rig->plane, server->cgroup, uid), n);
	assert_false(owners_differ(rig->plane, uid));
}

static void slots_of_two_users_share_a_group(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct server *a = start_as(rig, 0, USER_A), *b = start_as(rig, 1, USER_B);

	assert_int_equal(server_listen(a, &at, 0), 0);
	rig_adopt(rig, a);
	/* the baseline: the kernel's rule */
	assert_int_equal(server_listen(b, &at, 0), -EADDRINUSE);
	give(rig, a, USER_B, 1);
	assert_int_equal(server_listen(b, &at, 0), 0);
	assert_int_equal(rig_adopt(rig, b), 1);
	serve_pair(&(struct pair) {a, b});
	assert_int_equal(ask_often(&at, 20).of['A'], 20);
	rig_flip(rig, 1);
	assert_int_equal(ask_often(&at, 20).of['B'], 20);
	/* A comes back as itself */
	server_close(a, 0);
	assert_int_equal(server_listen(a, &at, 0), -EADDRINUSE);
	give(rig, b, USER_A, 1);
	assert_int_equal(server_listen(a, &at, 0), 0);
	assert_int_equal(rig_adopt(rig, a), 1);
	rig_flip(rig, 0);
	assert_int_equal(ask_often(&at, 20).of['A'], 20);
}

static void several_sockets_and_addresses_are_given_together(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT), other = rig_dual(PORT + 1), not_ours = rig_any(PORT + 2);
	struct server *a = start_as(rig, 0, USER_A), *b = start_as(rig, 1, USER_B);

	server_listen(a, &at, 0);
	server_listen(a, &at, 0);
	server_listen(a, &other, 0);
	rig_adopt(rig, a);
	server_listen(a, &not_ours, 0);
	give(rig, a, USER_B, 3);
	assert_int_equal(owner_of(a, &not_ours), USER_A);
	for (int i = 0; i < 3; i++)
		assert_int_equal(server_listen(b, i < 2 ? &at : &other, 0), i);
	assert_int_equal(rig_adopt(rig, b), 3);
}

static void udp_sockets_are_given_as_well(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct server *a = start_as(rig, 0, USER_A), *b = start_as(rig, 1, USER_B);

	at.udp = true;
	server_listen(a, &at, 0);
	rig_adopt(rig, a);
	give(rig, a, USER_B, 1);
	assert_int_equal(server_listen(b, &at, 0), 0);
	assert_int_equal(rig_adopt(rig, b), 1);
	serve_pair(&(struct pair) {a, b});
	assert_int_equal(ask_often(&at, 20).of['A'], 20);
	rig_flip(rig, 1);
	assert_int_equal(ask_often(&at, 20).of['B'], 20);
}

/* With SO_REUSEADDR on all of them a datagram socket binds whoever owns the others: to a group of
 * its own. */
static void a_datagram_socket_of_another_group_is_told(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct server *a = start_as(rig, 0, USER_A), *b = start_as(rig, 1, USER_B);
	struct adoption *adoption;

	at.udp = true;
	server_listen(a, &at, 0);
	rig_adopt(rig, a);
	assert_int_equal(server_listen(b, &at, 0), 0);
	adoption = rig_try_adopt(rig, b);
	assert_int_equal(adoption->sockets[0].verdict, ADOPT_OTHER_UID);
	adoption_free(adoption);
}

/* A socket of anybody's with SO_REUSEADDR, as whoever wants what comes to the service. */
static int bind_as_stranger(const struct address *at)
{
	struct sockaddr_storage name;
	socklen_t size = address_to_sockaddr(at, &name);
	int one = 1, fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), r = 0;

	assert_int_equal(fchown(fd, STRANGER, -1), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)), 0);
	if (bind(fd, (struct sockaddr *)&name, size) < 0)
		r = -errno;
	close(fd);
	return r;
}

static void what_was_handed_over_is_not_open_to_everybody(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct server *a = start_as(rig, 0, USER_A);

	at.udp = true;
	server_listen(a, &at, 0);
	rig_adopt(rig, a);
	/* the baseline: this server has the option, as what an earlier release handed over had */
	assert_int_equal(bind_as_stranger(&at), 0);
	give(rig, a, USER_B, 1);
	assert_int_equal(bind_as_stranger(&at), -EADDRINUSE);
}

static void the_option_of_an_earlier_release_is_taken_off(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT), tcp = rig_any(PORT);
	struct server *a = start_as(rig, 0, USER_A);

	at.udp = true;
	server_listen(a, &at, 0);
	server_listen(a, &tcp, 0);
	rig_adopt(rig, a);
	assert_int_equal(bind_as_stranger(&at), 0);
	assert_int_equal(owners_close_datagrams(rig->plane, a->cgroup), 1);
	assert_int_equal(bind_as_stranger(&at), -EADDRINUSE);
	assert_int_equal(owners_close_datagrams(rig->plane, a->cgroup), 0);
}

/* Its connections belong to its user, and are bound to the port as well. */
static void open_connections_do_not_keep_the_next_user_out(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct server *a = start_as(rig, 0, USER_A), *b = start_as(rig, 1, USER_B);
	int client;

	server_listen(a, &at, 0);
	rig_adopt(rig, a);
	client = client_connect(&at);
	assert_int_equal(server_accept(a, NULL), 1);
	give(rig, a, USER_B, 1);
	assert_int_equal(server_listen(b, &at, 0), 0);
	assert_int_equal(rig_adopt(rig, b), 1);
	close(client);
}

/* A queue moves between users as between any two slots. */
static void a_queue_moves_to_the_other_user(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct server *a = start_as(rig, 0, USER_A), *b = start_as(rig, 1, USER_B);
	int clients[20];
	unsigned to;

	server_listen(a, &at, 0);
	rig_adopt(rig, a);
	give(rig, a, USER_B, 1);
	server_listen(b, &at, 0);
	rig_adopt(rig, b);
	for (size_t i = 0; i < ARRAY_SIZE(clients); i++)
		clients[i] = client_connect(&at);
	rig_until(rig_queued(rig, 0) == ARRAY_SIZE(clients));
	assert_int_equal(retire_leave(rig->plane, 0, ~0U, &to), RETIRE_DONE);
	assert_int_equal(bounce(rig->plane, 0, a->cgroup, false), ARRAY_SIZE(clients));
	assert_int_equal(server_accept(b, NULL), ARRAY_SIZE(clients));
	for (size_t i = 0; i < ARRAY_SIZE(clients); i++)
		close(clients[i]);
}

/* Whoever has them, as systemd's store has while no hsd runs. */
static void the_park_is_given_as_well(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct server *a = start_as(rig, 0, USER_A), *b = start_as(rig, 1, USER_B);
	_cleanup_(freep) struct held_socket *held = NULL;
	struct listener *listener;
	int model, park;
	size_t n;

	server_listen(a, &at, 0);
	rig_adopt(rig, a);
	assert_int_equal(scan_cgroup(a->cgroup, &held, &n), 0);
	assert_int_equal(scan_borrow(&held[0], &model), 0);
	assert_int_equal(plane_listener_get(rig->plane, &at, &listener, NULL), 0);
	assert_int_equal(park_open(rig->plane, listener, model, 0, &park), 0);
	close(model);
	assert_int_equal(owners_give(rig->plane, a->cgroup, USER_B), 1);
	assert_int_equal(server_listen(b, &at, 0), -EADDRINUSE);
	assert_int_equal(owners_give_park(rig->plane, USER_B), 1);
	assert_false(owners_differ(rig->plane, USER_B));
	assert_int_equal(server_listen(b, &at, 0), 0);
	assert_int_equal(rig_adopt(rig, b), 1);
	close(park);
}

static void what_was_passed_in_stays_with_root(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct sockaddr_storage address;
	socklen_t size = address_to_sockaddr(&at, &address);
	int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct server *a;

	setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
	assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
	assert_int_equal(listen(fd, 100), 0);
	a = server_start_holding(rig, 0, fd);
	close(fd);
	rig_adopt(rig, a);
	assert_int_equal(owners_give(rig->plane, a->cgroup, USER_B), 0);
	assert_int_equal(owner_of(a, &at), 0);
}

/* The kernel remembers the user who bound last and lets it in without a look at the others: so
 * this one is in a group of its own, though it listens. */
static void a_socket_in_a_group_of_its_own_is_told(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct server *a = start_as(rig, 0, USER_A), *b = start_as(rig, 1, USER_A);
	struct adoption *adoption;
	struct problem sentence;

	server_listen(a, &at, 0);
	rig_adopt(rig, a);
	give(rig, a, USER_B, 1);
	assert_int_equal(server_listen(b, &at, 0), 0);
	adoption = rig_try_adopt(rig, b);
	assert_int_equal(adoption->n, 1);
	assert_int_equal(adoption->sockets[0].verdict, ADOPT_OTHER_UID);
	adopt_describe(&adoption->sockets[0], &sentence);
	assert_non_null(strstr(sentence.text, "restart its unit"));
	adoption_free(adoption);
	assert_int_equal(plane_slot_sockets(rig->plane, 1), 0);
	/* the remedy */
	server_close(b, 0);
	give(rig, a, USER_A, 1);
	assert_int_equal(server_listen(b, &at, 0), 0);
	assert_int_equal(rig_adopt(rig, b), 1);
	serve_pair(&(struct pair) {a, b});
	rig_flip(rig, 1);
	assert_int_equal(ask_often(&at, 20).of['B'], 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(slots_of_two_users_share_a_group),
		CASE(several_sockets_and_addresses_are_given_together),
		CASE(udp_sockets_are_given_as_well),
		CASE(a_datagram_socket_of_another_group_is_told),
		CASE(what_was_handed_over_is_not_open_to_everybody),
		CASE(the_option_of_an_earlier_release_is_taken_off),
		CASE(open_connections_do_not_keep_the_next_user_out),
		CASE(a_queue_moves_to_the_other_user),
		CASE(the_park_is_given_as_well),
		CASE(what_was_passed_in_stays_with_root),
		CASE(a_socket_in_a_group_of_its_own_is_told),
	};

	return cases_run("owner", tests);
}
