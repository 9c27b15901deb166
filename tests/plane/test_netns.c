// SPDX-License-Identifier: GPL-2.0-or-later
/* Servers in a network namespace of their own: found, adopted, switched and watched there. */
#include "cases.h"

#include <linux/capability.h>
#include <string.h>
#include <sys/syscall.h>

#include "plane/kernel/netns.h"

#define PORT 8080

/* Runs in the server's namespace. */
static void inside(const struct server *server, int (*run)(void *userdata), void *userdata)
{
	struct netns netns;

	assert_int_equal(netns_of_process(server->pid, &netns), 0);
	assert_true(netns.fd >= 0);
	assert_int_equal(netns_run(&netns, run, userdata), 0);
	close(netns.fd);
}

struct question {
	const struct address *at;
	struct tally tally;
	int clients[16];
};

static int ask_here(void *userdata)
{
	struct question *question = userdata;

	question->tally = ask_often(question->at, 20);
	return 0;
}

static struct tally ask_inside(const struct server *server, const struct address *at)
{
	struct question question = {.at = at};

	inside(server, ask_here, &question);
	return question.tally;
}

static int connect_here(void *userdata)
{
	struct question *question = userdata;

	for (size_t i = 0; i < ARRAY_SIZE(question->clients); i++) {
		question->clients[i] = client_connect(question->at);
		rig_check(question->clients[i] >= 0);
	}
	return 0;
}

/* Two adopted servers in one namespace that is not ours. */
static struct pair start_isolated(struct rig *rig, const struct address *at)
{
	struct pair pair = {server_start(rig, 0), server_start(rig, 1)};

	server_isolate(pair.a, NULL);
	server_isolate(pair.b, pair.a);
	assert_int_equal(server_listen(pair.a, at, 0), 0);
	assert_int_equal(server_listen(pair.b, at, 0), 0);
	assert_int_equal(rig_adopt(rig, pair.a), 1);
	assert_int_equal(rig_adopt(rig, pair.b), 1);
	serve_pair(&pair);
	return pair;
}

static struct listener *only_listener(const struct plane *plane)
{
	size_t n;
	struct listener **listeners = plane_listeners(plane, &n);

	assert_int_equal(n, 1);
	return listeners[0];
}

static void slots_in_one_namespace_are_switched_there(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct pair pair = start_isolated(rig, &at);
	char text[ADDRESS_TEXT_MAX];

	assert_true(only_listener(rig->plane)->address.netns > 0);
	address_describe(&only_listener(rig->plane)->address, text);
	assert_non_null(strstr(text, "0.0.0.0:8080 in network namespace "));
	assert_int_equal(ask_inside(pair.a, &at).of['A'], 20);
	rig_flip(rig, 1);
	assert_int_equal(ask_inside(pair.a, &at).of['B'], 20);
	/* a SYN that is sent again is chosen for again */
	assert_in_range(rig_slot(rig, 0).chosen, 20, 25);
	assert_in_range(rig_slot(rig, 1).chosen, 20, 25);
	rig_until(rig_slot(rig, 1).connections == 0);
	/* nothing of it is here */
	assert_int_equal(ask(&at), ANSWER_REFUSED);
	server_kill(pair.b);
	assert_int_equal(ask_inside(pair.a, &at).of['A'], 20);
}

static void datagrams_are_switched_there(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct pair pair;

	at.udp = true;
	pair = start_isolated(rig, &at);
	/* a new flow for each: all follow the word, but for one whose port was given before */
	assert_int_equal(ask_inside(pair.a, &at).of['A'], 20);
	rig_flip(rig, 1);
	assert_in_range(ask_inside(pair.a, &at).of['B'], 18, 20);
	server_kill(pair.b);
	assert_int_equal(ask_inside(pair.a, &at).of['A'], 20);
}

static void the_same_address_here_and_there_are_two_listeners(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct pair pair = start_isolated(rig, &at);
	struct server *here = server_start(rig, 0);
	size_t n;

	server_listen(here, &at, 0);
	server_serve(here, true);
	assert_int_equal(rig_adopt(rig, here), 1);
	plane_listeners(rig->plane, &n);
	assert_int_equal(n, 2);
	assert_int_equal(ask_often(&at, 20).of['A'], 20);
	rig_flip(rig, 1);
	assert_int_equal(ask_inside(pair.a, &at).of['B'], 20);
}

static void what_waits_there_is_seen_and_moved(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct pair pair = start_isolated(rig, &at);
	struct question question = {.at = &at};
	unsigned n = ARRAY_SIZE(question.clients), to;

	server_serve(pair.a, false);
	server_serve(pair.b, false);
	inside(pair.a, connect_here, &question);
	rig_until(rig_queued(rig, 0) == n);
	assert_int_equal(retire_leave(rig->plane, 0, ~0U, &to), RETIRE_DONE);
	assert_int_equal(bounce(rig->plane, 0, pair.a->cgroup, false), n);
	rig_until(rig_queued(rig, 1) == n);
	assert_int_equal(server_accept(pair.b, NULL), n);
	for (size_t i = 0; i < n; i++)
		close(question.clients[i]);
}

/* What hsd does when it comes back, and hsctl without it. */
static void another_process_finds_the_namespace(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct pair pair = start_isolated(rig, &at);
	struct question question = {.at = &at};
	struct problem problem;

	server_serve(pair.a, false);
	plane_free(rig->plane);
	assert_int_equal(plane_open("web", rig->accounting, &rig->plane, &problem), 0);
	assert_int_equal(only_listener(rig->plane)->netns.fd, -1);
	inside(pair.a, connect_here, &question);
	/* it is not known where to look */
	assert_int_equal(rig_queued(rig, 0), 0);
	plane_locate(rig->plane, pair.b->cgroup);
	assert_true(only_listener(rig->plane)->netns.fd >= 0);
	rig_until(rig_queued(rig, 0) == ARRAY_SIZE(question.clients));
	for (size_t i = 0; i < ARRAY_SIZE(question.clients); i++)
		close(question.clients[i]);
}

static void an_adoption_finds_the_namespace_again(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct pair pair = start_isolated(rig, &at);
	struct problem problem;

	plane_free(rig->plane);
	assert_int_equal(plane_open("web", rig->accounting, &rig->plane, &problem), 0);
	assert_int_equal(rig_adopt(rig, pair.a), 0);
	assert_true(only_listener(rig->plane)->netns.fd >= 0);
	rig_flip(rig, 1);
	assert_int_equal(ask_inside(pair.a, &at).of['B'], 20);
}

static void the_listener_of_a_namespace_that_ended_is_forgotten(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct pair pair = start_isolated(rig, &at), fresh;
	uint32_t old = only_listener(rig->plane)->address.netns;
	char name[ADDRESS_PIN_MAX];
	struct pin_path folder;

	address_to_pin(&only_listener(rig->plane)->address, name);
	folder = pin_path("%s/%s", pin_service_path("web").text, name);
	assert_int_equal(access(folder.text, F_OK), 0);
	server_kill(pair.a);
	server_kill(pair.b);
	fresh = start_isolated(rig, &at);
	assert_int_not_equal(only_listener(rig->plane)->address.netns, old);
	assert_int_equal(access(folder.text, F_OK), -1);
	assert_int_equal(ask_inside(fresh.a, &at).of['A'], 20);
}

/* Keeps all but CAP_SYS_ADMIN, or gets it back. */
static void allow_admin(bool allow)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];

	assert_int_equal(syscall(SYS_capget, &header, data), 0);
	if (allow)
		data[0].effective |= 1U << CAP_SYS_ADMIN;
	else
		data[0].effective &= ~(1U << CAP_SYS_ADMIN);
	assert_int_equal(syscall(SYS_capset, &header, data), 0);
}

static void who_may_not_enter_is_told_and_goes_on(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT), passed = rig_any(PORT + 1);
	struct server *a = server_start(rig, 0);
	struct adoption *adoption;
	struct problem sentence;

	/* one from before it went there, as from a socket unit */
	server_listen(a, &passed, 0);
	server_isolate(a, NULL);
	server_listen(a, &at, 0);
	allow_admin(false);
	adoption = rig_try_adopt(rig, a);
	allow_admin(true);
	assert_int_equal(adoption->n, 1);
	assert_int_equal(adoption->adopted, 1);
	assert_non_null(strstr(adoption->blind.text, "CAP_SYS_ADMIN"));
	adoption_free(adoption);
	adoption = rig_try_adopt(rig, a);
	assert_int_equal(adoption->adopted, 2);
	assert_string_equal(adoption->blind.text, "");
	adoption_describe("web", 0, adoption, &sentence);
	assert_non_null(strstr(sentence.text, "2 sockets adopted"));
	adoption_free(adoption);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(slots_in_one_namespace_are_switched_there),
		CASE(datagrams_are_switched_there),
		CASE(the_same_address_here_and_there_are_two_listeners),
		CASE(what_waits_there_is_seen_and_moved),
		CASE(another_process_finds_the_namespace),
		CASE(an_adoption_finds_the_namespace_again),
		CASE(the_listener_of_a_namespace_that_ended_is_forgotten),
		CASE(who_may_not_enter_is_told_and_goes_on),
	};

	return cases_run("netns", tests);
}
