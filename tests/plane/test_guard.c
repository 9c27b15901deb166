// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Guard: nobody in a group of sockets replaces the selector or takes it off, where a service
 * listens; elsewhere everybody may do what they like.
 */
#include "cases.h"

#include <sys/socket.h>

#include "plane/bpf/guard.h"
#include "plane/parts/plane_listeners.h"

#define PORT 8080

#ifndef SO_DETACH_REUSEPORT_BPF
#define SO_DETACH_REUSEPORT_BPF 68
#endif

static const struct guard *the_guard(const struct rig *rig)
{
	const struct guard *guard;

	case_needs(ABILITY_LOADS_GUARD);
	guard = accounting_guard(rig->accounting);
	assert_non_null(guard);
	return guard;
}

/* All are sent where the word says, not to who asked for them. */
static void assert_selected(const struct rig *rig, const struct address *client)
{
	unsigned active = hs_word_active(plane_word(rig->plane));

	assert_int_equal(ask_often(client, 30).of['A' + active], 30);
}

static void assert_refused(struct server *server)
{
	case_needs(ABILITY_LOADS_GUARD);
	assert_int_equal(server_take(server, SO_ATTACH_REUSEPORT_CBPF), -EPERM);
	assert_int_equal(server_take(server, SO_ATTACH_REUSEPORT_EBPF), -EPERM);
	assert_int_equal(server_take(server, SO_DETACH_REUSEPORT_BPF), -EPERM);
}

/* ---- the tests ---- */

static void nobody_takes_the_selector(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT), client = rig_local(PORT);
	struct pair pair = start_pair(rig, &at);

	serve_pair(&pair);
	assert_refused(pair.b);
	assert_selected(rig, &client);
	/* nor without being root */
	server_become(pair.b, 65534);
	assert_refused(pair.b);
	assert_selected(rig, &client);
	rig_flip(rig, 1);
	assert_selected(rig, &client);
}

/* What it would be without. */
static void without_a_guard_it_is_taken(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT), client = rig_local(PORT);
	struct pair pair = start_pair(rig, &at);

	rig_flip(rig, 1);
	serve_pair(&pair);
	assert_selected(rig, &client);
	assert_int_equal(guard_leave_cgroup(the_guard(rig), pair.a->cgroup), 0);
	assert_int_equal(server_take(pair.a, SO_ATTACH_REUSEPORT_CBPF), 0);
	/* the standby has them all */
	assert_int_equal(ask_often(&client, 30).of['A'], 30);
}

static void we_ourselves_still_do(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT), client = rig_local(PORT);
	struct pair pair = start_pair(rig, &at);
	struct server *c;

	serve_pair(&pair);
	/* adopted again, attached again, through a socket of the instance */
	assert_int_equal(rig_adopt(rig, pair.b), 0);
	server_kill(pair.b);
	c = start_adopted(rig, 1, &at);
	server_serve(c, true);
	rig_flip(rig, 1);
	assert_int_equal(ask_often(&client, 30).of[(unsigned char)c->name], 30);
}

static void other_ports_are_free(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT), other = rig_any(PORT + 1), datagrams = rig_any(PORT);
	struct server *a = server_start(rig, 0);

	datagrams.udp = true;
	assert_int_equal(guard_cgroup(the_guard(rig), a->cgroup), 0);
	assert_int_equal(server_listen(a, &other, 0), 0);
	assert_int_equal(server_take(a, SO_ATTACH_REUSEPORT_CBPF), 0);
	assert_int_equal(server_take(a, SO_DETACH_REUSEPORT_BPF), 0);
	server_close(a, 0);
	/* the same number of another protocol is another port */
	start_adopted(rig, 1, &at);
	assert_int_equal(server_listen(a, &datagrams, 0), 0);
	assert_int_equal(server_take(a, SO_ATTACH_REUSEPORT_CBPF), 0);
}

static void so_are_other_namespaces(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct server *a = server_start(rig, 0);

	start_adopted(rig, 1, &at);
	assert_int_equal(guard_cgroup(the_guard(rig), a->cgroup), 0);
	server_isolate(a, NULL);
	assert_int_equal(server_listen(a, &at, 0), 0);
	assert_int_equal(server_take(a, SO_ATTACH_REUSEPORT_CBPF), 0);
}

static void datagrams_are_guarded_too(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);

	at.udp = true;
	assert_refused(start_adopted(rig, 0, &at));
}

static void a_port_is_free_when_its_service_ends(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct server *a = start_adopted(rig, 0, &at);

	assert_refused(a);
	guard_forget(plane_id(rig->plane) + 1);
	assert_refused(a);
	assert_int_equal(plane_destroy(rig->plane), 0);
	assert_int_equal(server_take(a, SO_ATTACH_REUSEPORT_CBPF), 0);
}

static struct plane *other_service(struct rig *rig, struct server *server, const struct address *at)
{
	struct adopt_scope scope = {.cgroup = server->cgroup, .slot = server->slot};
	struct problem problem = {0};
	struct adoption *adoption;
	struct plane *plane;

	assert_int_equal(server_listen(server, at, 0), 0);
	if (plane_create("mail", rig->accounting, &plane, &problem) < 0 ||
	    adoption_begin(plane, &scope, &adoption, &problem) < 0)
		rig_fail(__FILE__, __LINE__, "%s", problem.text);
	assert_int_equal(adoption_commit(plane, server->slot, adoption), 0);
	adoption_free(adoption);
	return plane;
}

/* Two services have one port, each at an address of its own. */
static void one_that_goes_leaves_the_other_its_guard(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_local(PORT), other = rig_local(PORT);
	struct server *a = start_adopted(rig, 0, &at), *b = server_start(rig, 0);
	struct plane *mail;

	other.ip[3] = 2;
	mail = other_service(rig, b, &other);
	assert_refused(a);
	assert_refused(b);
	assert_int_equal(plane_destroy(mail), 0);
	plane_free(mail);
	assert_refused(a);
	/* and the first one leaves nothing that was the second one's */
	assert_int_equal(plane_destroy(rig->plane), 0);
	assert_int_equal(server_take(a, SO_ATTACH_REUSEPORT_CBPF), 0);
}

/* As it does when Ports= does not name it any more; not while it is still there. */
static void a_port_is_free_when_its_service_leaves_it(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT), other = rig_any(PORT + 1);
	struct config config = {.n_ports = 1, .ports = {{.port = PORT + 1, .tcp = true}}};
	struct server *a = server_start(rig, 0);

	assert_int_equal(server_listen(a, &at, 0), 0);
	assert_int_equal(server_listen(a, &other, 0), 1);
	assert_int_equal(rig_adopt(rig, a), 2);
	guard_forget_address(plane_id(rig->plane), &at);
	assert_refused(a);
	plane_forget_outside(rig->plane, &config);
	assert_int_equal(server_take(a, SO_ATTACH_REUSEPORT_CBPF), 0);
}

/* Whoever opens them next, though the build says that they are there. */
static void a_set_that_lacks_a_pin_is_made_anew(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct server *a = start_adopted(rig, 0, &at);
	struct problem problem = {0};
	struct guard *again = NULL;

	the_guard(rig);
	assert_int_equal(unlink(HS_PIN_ROOT "/" HS_PIN_ACCOUNTING "/guard"), 0);
	if (guard_open(&again, &problem) < 0)
		rig_fail(__FILE__, __LINE__, "not opened: %s", problem.text);
	guard_free(again);
	assert_refused(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(nobody_takes_the_selector),
		CASE(without_a_guard_it_is_taken),
		CASE(we_ourselves_still_do),
		CASE(other_ports_are_free),
		CASE(so_are_other_namespaces),
		CASE(datagrams_are_guarded_too),
		CASE(a_port_is_free_when_its_service_ends),
		CASE(one_that_goes_leaves_the_other_its_guard),
		CASE(a_port_is_free_when_its_service_leaves_it),
		CASE(a_set_that_lacks_a_pin_is_made_anew),
	};

	return cases_run("guard", tests);
}
