// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What moves on accepted connections, and what is left unread: the evidence that a slot stands
 * still, or does not.
 */
#include "cases.h"

#include <string.h>

#include "plane/bpf/motion.h"

#define PORT	8080
#define CLIENTS 3

static struct place_motion look(const struct rig *rig, unsigned slot)
{
	struct place_motion places[HS_PLACES_MAX];
	struct motion *motion;

	case_needs_iterators();
	motion = accounting_motion(rig->accounting);
	assert_non_null(motion);
	assert_int_equal(motion_take(motion, plane_id(rig->plane), places), 0);
	return places[slot];
}

static void only_what_was_accepted_counts(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct pair pair = start_pair(rig, &at);
	int fds[CLIENTS];

	for (int i = 0; i < CLIENTS; i++)
		fds[i] = client_connect(&at);
	assert_int_equal(look(rig, 0).accepted, 0);
	assert_int_equal(server_accept(pair.a, NULL), CLIENTS);
	assert_int_equal(look(rig, 0).accepted, CLIENTS);
	assert_int_equal(look(rig, 0).unread, 0);
	assert_int_equal(look(rig, 1).accepted, 0);
	for (int i = 0; i < CLIENTS; i++)
		client_reset(fds[i]);
}

static void what_a_client_does_is_no_motion(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct pair pair = start_pair(rig, &at);
	int fd = client_connect(&at);
	struct place_motion before;

	assert_int_equal(server_accept(pair.a, NULL), 1);
	before = look(rig, 0);
	assert_true(before.mark);
	assert_int_equal(look(rig, 0).mark, before.mark);
	client_send(fd, 'x');
	rig_until(look(rig, 0).unread == 1);
	assert_int_equal(look(rig, 0).mark, before.mark);
	client_send(fd, 'y');
	assert_int_equal(look(rig, 0).mark, before.mark);
	client_reset(fd);
	rig_until(!look(rig, 0).unread);
	/* the server still has it */
	assert_int_equal(look(rig, 0).accepted, 1);
	assert_int_equal(look(rig, 0).mark, before.mark);
}

static void a_server_that_reads_and_answers_moves(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct pair pair = start_pair(rig, &at);
	int fd = client_connect(&at);
	uint64_t before;

	serve_pair(&pair);
	assert_int_equal(client_ask(fd), 'A');
	rig_until(look(rig, 0).accepted == 1);
	before = look(rig, 0).mark;
	assert_int_equal(client_ask(fd), 'A');
	rig_until(look(rig, 0).mark != before);
	assert_int_equal(look(rig, 0).unread, 0);
	client_reset(fd);
	rig_until(!look(rig, 0).accepted);
}

/* Who reads a part of what there is and leaves the rest for later is at work. */
static void the_rest_of_what_was_read_is_not_unread(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct pair pair = start_pair(rig, &at);
	int fd = client_connect(&at);
	char text[] = "0123456789";

	assert_int_equal(server_accept(pair.a, NULL), 1);
	assert_int_equal(send(fd, text, sizeof(text), MSG_NOSIGNAL), sizeof(text));
	rig_until(look(rig, 0).unread == 1);
	assert_int_equal(server_read(pair.a, 4), 4);
	assert_int_equal(look(rig, 0).unread, 0);
	assert_int_equal(server_read(pair.a, sizeof(text)), sizeof(text) - 4);
	/* and what comes then is asked anew */
	client_send(fd, 'x');
	rig_until(look(rig, 0).unread == 1);
	client_reset(fd);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(only_what_was_accepted_counts),
		CASE(what_a_client_does_is_no_motion),
		CASE(the_rest_of_what_was_read_is_not_unread),
		CASE(a_server_that_reads_and_answers_moves),
	};

	return cases_run("motion", tests);
}
