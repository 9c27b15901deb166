// SPDX-License-Identifier: GPL-2.0-or-later
/* Two services, "web" and "mail", that come to one address: the second is refused by name, and
 * nothing of the first is touched. */
#include "cases.h"

#include <string.h>

#include "plane/act/force.h"
#include "plane/act/owners.h"
#include "plane/act/park.h"

#define PORT 8080

static struct plane *make_mail(struct rig *rig)
{
	struct plane *plane;
	struct problem problem = {0};

	if (plane_create("mail", rig->accounting, &plane, &problem) < 0)
		rig_fail(__FILE__, __LINE__, "no plane: %s", problem.text);
	return plane;
}

DEFINE_CLEANUP(struct plane, plane_free)

static struct adoption *adopt_into(struct plane *plane, const struct server *server)
{
	struct adopt_scope scope = {.cgroup = server->cgroup, .slot = server->slot};
	struct adoption *adoption;
	struct problem problem = {0};

	if (adoption_begin(plane, &scope, &adoption, &problem) < 0)
		rig_fail(__FILE__, __LINE__, "no adoption: %s", problem.text);
	assert_int_equal(adoption_commit(plane, server->slot, adoption), 0);
	return adoption;
}

static unsigned adopted_into(struct plane *plane, const struct server *server)
{
	struct adoption *adoption = adopt_into(plane, server);
	unsigned adopted = adoption->adopted;

	adoption_free(adoption);
	return adopted;
}

static size_t listeners_of(const struct plane *plane)
{
	size_t n;

	plane_listeners(plane, &n);
	return n;
}

/* The first service has it, and the second is told so. */
static void assert_belongs(struct plane *second, const struct server *server)
{
	struct adoption *adoption = adopt_into(second, server);
	struct problem sentence;

	assert_int_equal(adoption->n, 1);
	assert_int_equal(adoption->adopted, 0);
	assert_int_equal(adoption->contested, 1);
	assert_int_equal(adoption->sockets[0].verdict, ADOPT_BELONGS);
	adopt_describe(&adoption->sockets[0], &sentence);
	assert_non_null(strstr(sentence.text, "belongs to web"));
	assert_int_equal(listeners_of(second), 0);
	adoption_free(adoption);
}

static struct server *start_listening(struct rig *rig, unsigned slot, const struct address *at)
{
	struct server *server = server_start(rig, slot);

	assert_int_equal(server_listen(server, at, 0), 0);
	server_serve(server, true);
	return server;
}

static void collide(struct rig *rig, struct address at)
{
	_cleanup_(plane_freep) struct plane *mail = make_mail(rig);
	struct address client = at;
	struct server *a = start_listening(rig, 0, &at), *c;

	if (at.family == AF_INET)
		client.ip[0] = 127, client.ip[3] = 1;
	assert_int_equal(rig_adopt(rig, a), 1);
	c = start_listening(rig, 2, &at);
	assert_belongs(mail, c);
	assert_int_equal(ask_often(&client, 20).of['A'], 20);
	/* again, as a new hsd would */
	assert_int_equal(rig_adopt(rig, a), 0);
	assert_belongs(mail, c);
	assert_int_equal(ask_often(&client, 20).of['A'], 20);
	/* with its last socket the address is free */
	server_kill(a);
	assert_int_equal(adopted_into(mail, c), 1);
	assert_int_equal(ask_often(&client, 20).of['C'], 20);
}

static void the_same_address_is_refused(void **state)
{
	collide(*state, rig_any(PORT));
}

static void the_same_address_is_refused_for_datagrams(void **state)
{
	struct address at = rig_any(PORT);

	at.udp = true;
	collide(*state, at);
}

static void the_same_address_is_refused_in_ipv6(void **state)
{
	collide(*state, rig_local6(PORT));
}

static void nobody_is_refused_behind_another(void **state)
{
	struct rig *rig = *state;
	_cleanup_(plane_freep) struct plane *mail = make_mail(rig);
	struct address one = rig_local(PORT), all = rig_any(PORT), both = rig_dual(PORT);
	struct address other = {.family = AF_INET, .port = PORT, .ip = {127, 0, 0, 2}};
	struct server *a = start_listening(rig, 0, &one);

	assert_int_equal(rig_adopt(rig, a), 1);
	assert_int_equal(adopted_into(mail, start_listening(rig, 2, &all)), 1);
	assert_int_equal(adopted_into(mail, start_listening(rig, 3, &both)), 1);
	assert_int_equal(ask_often(&one, 20).of['A'], 20);
	assert_int_equal(ask_often(&other, 20).of['C'], 20);
	/* who was there first is not refused for who came to stand behind it */
	assert_int_equal(rig_adopt(rig, start_listening(rig, 1, &one)), 1);
}

/* It would take clients of the first service's. */
static void who_stands_in_front_is_refused(void **state)
{
	struct rig *rig = *state;
	_cleanup_(plane_freep) struct plane *mail = make_mail(rig);
	struct address one = rig_local(PORT), all = rig_any(PORT), both = rig_dual(PORT);
	struct address all6 = rig_only6(PORT + 1), all4 = rig_any(PORT + 1);

	assert_int_equal(rig_adopt(rig, start_listening(rig, 0, &both)), 1);
	assert_int_equal(rig_adopt(rig, start_listening(rig, 1, &all6)), 1);
	assert_belongs(mail, start_listening(rig, 2, &one));
	assert_belongs(mail, start_listening(rig, 3, &all));
	/* these have no client in common */
	assert_int_equal(adopted_into(mail, start_listening(rig, 4, &all4)), 1);
}

/* As a child of PID 1 does that has not begun to run its program. */
static void another_services_park_that_is_seen_in_passing_is_left_alone(void **state)
{
	struct rig *rig = *state;
	_cleanup_(plane_freep) struct plane *mail = make_mail(rig);
	struct address at = rig_any(PORT), client = rig_local(PORT);
	struct server *a = start_listening(rig, 0, &at), *c;
	_cleanup_(freep) struct held_socket *held = NULL;
	struct adoption *adoption;
	struct listener *listener;
	int model, park;
	size_t n;

	assert_int_equal(rig_adopt(rig, a), 1);
	assert_int_equal(scan_cgroup(a->cgroup, &held, &n), 0);
	assert_int_equal(scan_borrow(&held[0], &model), 0);
	assert_int_equal(plane_listener_get(rig->plane, &at, &listener, NULL), 0);
	assert_int_equal(park_open(rig->plane, listener, model, 0, &park), 0);
	close(model);
	c = server_start_holding(rig, 2, park);
	for (unsigned i = 0; i < 2; i++) {
		/* then in a scan of its own service */
		adoption = adopt_into(i ? rig->plane : mail, c);
		assert_int_equal(adoption->n, 1);
		assert_int_equal(adoption->sockets[0].verdict, ADOPT_NOT_OURS);
		assert_int_equal(adoption->refused, 0);
		adoption_free(adoption);
	}
	assert_int_equal(listeners_of(mail), 0);
	assert_int_equal(owners_give(mail, c->cgroup, 4001), 0);
	assert_true(plane_has_park(rig->plane));
	assert_int_equal(ask_often(&client, 20).of['A'], 20);
	server_kill(a);
	/* nobody serves now: they wait in the park, as they should */
	close(client_connect(&client));
	assert_int_equal(park_waiting(park), 1);
	close(park);
}

static void what_a_service_that_is_gone_has_left_is_free(void **state)
{
	struct rig *rig = *state;
	_cleanup_(plane_freep) struct plane *mail = make_mail(rig);
	struct address at = rig_any(PORT);
	struct server *a = start_listening(rig, 0, &at), *c = start_listening(rig, 2, &at);

	assert_int_equal(rig_adopt(rig, a), 1);
	assert_belongs(mail, c);
	assert_int_equal(plane_destroy(rig->plane), 0);
	assert_int_equal(adopted_into(mail, c), 1);
}

static void a_socket_that_is_not_switched_claims_nothing(void **state)
{
	struct rig *rig = *state;
	_cleanup_(plane_freep) struct plane *mail = make_mail(rig);
	struct address at = rig_any(PORT);
	struct server *a = server_start(rig, 0);
	struct adoption *adoption;

	/* with the option, but in no group */
	assert_int_equal(server_listen(a, &at, SERVER_LATE_REUSEPORT), 0);
	adoption = rig_try_adopt(rig, a);
	assert_int_equal(adoption->sockets[0].verdict, ADOPT_NO_REUSEPORT);
	adoption_free(adoption);
	adoption = adopt_into(mail, a);
	assert_int_equal(adoption->sockets[0].verdict, ADOPT_NO_REUSEPORT);
	adoption_free(adoption);
}

static void force_intake(const struct plane *plane, const struct server *server)
{
	_cleanup_(force_freep) struct force *force = NULL;
	struct problem problem = {0};

	assert_int_equal(force_create(plane_service(plane), &force, &problem), 0);
	force_set_service(force, plane_id(plane));
	assert_int_equal(force_attach(force, server->cgroup, &problem), 1);
}

#define BARE (SERVER_NO_REUSEPORT | SERVER_NO_REUSEADDR)

static void try_forced(struct rig *rig, struct address at)
{
	_cleanup_(plane_freep) struct plane *mail = make_mail(rig);
	struct address front = rig_local(at.port), free_at = rig_any(at.port + 1);
	struct server *a = server_start(rig, 0), *b = server_start(rig, 1);
	struct server *c = server_start(rig, 2), *d = server_start(rig, 3);

	front.udp = free_at.udp = at.udp;
	force_intake(rig->plane, a);
	force_intake(rig->plane, b);
	force_intake(mail, c);
	force_intake(mail, d);
	assert_int_equal(server_listen(a, &at, BARE), 0);
	assert_int_equal(rig_adopt(rig, a), 1);
	/* the second service's, by the wrong port, in the group or in front of it */
	assert_int_equal(server_listen(c, &at, BARE), -EADDRINUSE);
	if (at.family == AF_INET)
		assert_int_equal(server_listen(c, &front, BARE), -EADDRINUSE);
	/* the first one's other slot, and the second service's own port */
	assert_int_equal(server_listen(b, &at, BARE), 0);
	assert_int_equal(server_listen(c, &free_at, BARE), 0);
	assert_int_equal(server_listen(d, &free_at, BARE), 0);
}

static void the_intake_is_not_forced_into_anothers_address(void **state)
{
	try_forced(*state, rig_any(PORT));
}

static void the_intake_is_not_forced_into_anothers_address_ipv6(void **state)
{
	try_forced(*state, rig_dual(PORT));
}

static void the_intake_is_not_forced_into_anothers_address_udp(void **state)
{
	struct address at = rig_any(PORT);

	at.udp = true;
	try_forced(*state, at);
}

/* Another process has the lock of all pins. */
static void who_makes_pins_is_nothing_against_the_server(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct server *a = start_listening(rig, 0, &at);
	_cleanup_(close_fdp) int lock = -1;
	struct adoption *adoption;
	struct problem sentence;

	assert_int_equal(pins_lock(HS_PIN_ROOT, 0, &lock), 0);
	pins_set_waiting(false);
	adoption = adopt_into(rig->plane, a);
	pins_set_waiting(true);
	assert_int_equal(adoption->n, 1);
	assert_int_equal(adoption->sockets[0].verdict, ADOPT_ERROR);
	assert_int_equal(adoption->sockets[0].error, -EBUSY);
	adopt_describe(&adoption->sockets[0], &sentence);
	assert_non_null(strstr(sentence.text, "another process makes pins"));
	assert_null(strstr(sentence.text, "map of another service"));
	assert_null(strstr(sentence.text, "restart"));
	adoption_free(adoption);
	lock = close_fd(lock);
	assert_int_equal(adopted_into(rig->plane, a), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(the_same_address_is_refused),
		CASE(the_same_address_is_refused_for_datagrams),
		CASE(the_same_address_is_refused_in_ipv6),
		CASE(nobody_is_refused_behind_another),
		CASE(who_stands_in_front_is_refused),
		CASE(another_services_park_that_is_seen_in_passing_is_left_alone),
		CASE(what_a_service_that_is_gone_has_left_is_free),
		CASE(a_socket_that_is_not_switched_claims_nothing),
		CASE(who_makes_pins_is_nothing_against_the_server),
		CASE(the_intake_is_not_forced_into_anothers_address),
		CASE(the_intake_is_not_forced_into_anothers_address_ipv6),
		CASE(the_intake_is_not_forced_into_anothers_address_udp),
	};

	return cases_run("claim", tests);
}
