// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What waits for accept(2), socket by socket, and who is the next to be accepted: the same as long
 * as nobody accepts, another one whenever somebody does.
 */
#include "cases.h"

#include <fcntl.h>
#include <sched.h>
#include <string.h>

#include "plane/bpf/queues.h"

#define PORT	8080
#define CLIENTS 10

DEFINE_CLEANUP(struct queues, queues_free)

static struct queues *open_queues(const struct rig *rig)
{
	struct queues *queues;

	case_needs_iterators();
	assert_int_equal(queues_open(accounting_tags_fd(rig->accounting), &queues), 0);
	assert_int_equal(queues_learn(queues), 0);
	return queues;
}

/* That of the slot's only socket; all zero when nobody waits. */
static struct hs_queue queue_of(const struct rig *rig, struct queues *queues, unsigned slot)
{
	_cleanup_(queue_list_done) struct queue_list list = {0};
	const struct hs_queue *first;
	size_t n;

	assert_int_equal(queues_take(queues, &list), 0);
	n = queues_of_slot(list.items, list.n, plane_id(rig->plane), slot, &first);
	assert_true(n <= 1);
	return n ? *first : (struct hs_queue) {0};
}

static void connect_some(const struct address *at, int *fds, int n)
{
	for (int i = 0; i < n; i++) {
		fds[i] = client_connect(at);
		assert_true(fds[i] >= 0);
	}
}

static void reset_some(int *fds, int n)
{
	for (int i = 0; i < n; i++)
		client_reset(fds[i]);
}

static void as_long_as_nobody_accepts_the_first_is_the_same(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct pair pair = start_pair(rig, &at);
	_cleanup_(queues_freep) struct queues *queues = open_queues(rig);
	struct hs_queue before, after;
	int fds[CLIENTS];

	assert_int_equal(queue_of(rig, queues, 0).queued, 0);
	connect_some(&at, fds, 1);
	before = queue_of(rig, queues, 0);
	assert_int_equal(before.queued, 1);
	assert_true(before.head);
	assert_int_equal(before.cookie, plane_slot_cookie(rig->plane, 0));
	connect_some(&at, fds + 1, CLIENTS - 1);
	/* data of those who wait, and their end, change nothing */
	client_send(fds[0], 'x');
	client_reset(fds[1]);
	after = queue_of(rig, queues, 0);
	assert_int_equal(after.queued, CLIENTS);
	assert_true(after.head == before.head);
	assert_int_equal(queue_of(rig, queues, 1).queued, 0);
	assert_int_equal(server_accept(pair.a, NULL), CLIENTS);
	assert_int_equal(queue_of(rig, queues, 0).queued, 0);
	connect_some(&at, fds + 1, 1);
	assert_true(queue_of(rig, queues, 0).head != before.head);
	reset_some(fds, 2);
}

/* A client that comes back from the same port is another one. */
static void the_same_two_ends_again_are_another_connection(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct pair pair = start_pair(rig, &at);
	_cleanup_(queues_freep) struct queues *queues = open_queues(rig);
	uint64_t heads[CLIENTS];

	for (int i = 0; i < CLIENTS; i++) {
		int fd = client_connect_from(&at, 30001);

		assert_true(fd >= 0);
		heads[i] = queue_of(rig, queues, 0).head;
		assert_true(heads[i]);
		for (int k = 0; k < i; k++)
			assert_true(heads[k] != heads[i]);
		assert_int_equal(server_accept(pair.a, NULL), 1);
		client_reset(fd);
	}
}

/* Those that are adopted later are learnt by the next pass; another service's are its own. */
static void each_socket_is_told_with_its_service_and_slot(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT), other = rig_any(PORT + 1);
	_cleanup_(queues_freep) struct queues *queues = open_queues(rig);
	struct plane *web = rig->plane;
	int fds[CLIENTS];

	start_pair(rig, &at);
	connect_some(&at, fds, 3);
	rig_flip(rig, 1);
	connect_some(&at, fds + 3, 2);
	assert_int_equal(queue_of(rig, queues, 0).queued, 0);
	assert_int_equal(queues_learn(queues), 0);
	assert_int_equal(queue_of(rig, queues, 0).queued, 3);
	assert_int_equal(queue_of(rig, queues, 1).queued, 2);
	assert_int_equal(plane_create("other", rig->accounting, &rig->plane, NULL), 0);
	assert_int_equal(queue_of(rig, queues, 0).queued, 0);
	start_adopted(rig, 0, &other);
	connect_some(&other, fds + 5, 1);
	assert_int_equal(queues_learn(queues), 0);
	assert_int_equal(queue_of(rig, queues, 0).queued, 1);
	reset_some(fds, 6);
	plane_free(web);
}

static void other_network_namespaces_are_seen_as_well(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct server *a = server_start(rig, 0);
	_cleanup_(queues_freep) struct queues *queues = NULL;
	int home, there, fds[CLIENTS];

	server_isolate(a, NULL);
	assert_int_equal(server_listen(a, &at, 0), 0);
	assert_int_equal(rig_adopt(rig, a), 1);
	queues = open_queues(rig);
	home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	there = open(pin_path("/proc/%d/ns/net", a->pid).text, O_RDONLY | O_CLOEXEC);
	assert_int_equal(setns(there, CLONE_NEWNET), 0);
	connect_some(&at, fds, CLIENTS);
	assert_int_equal(setns(home, CLONE_NEWNET), 0);
	assert_int_equal(queue_of(rig, queues, 0).queued, CLIENTS);
	reset_some(fds, CLIENTS);
	close(there);
	close(home);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(as_long_as_nobody_accepts_the_first_is_the_same),
		CASE(the_same_two_ends_again_are_another_connection),
		CASE(each_socket_is_told_with_its_service_and_slot),
		CASE(other_network_namespaces_are_seen_as_well),
	};

	return cases_run("queues", tests);
}
