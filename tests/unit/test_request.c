// SPDX-License-Identifier: GPL-2.0-or-later
/* Whoever asks is answered once, however it comes out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "service/request.h"
#include "util/macro.h"

static char answers[2048];
static unsigned n_open; /* that were not answered yet */

static void answer(struct request *request, const char *words)
{
	size_t length = strlen(answers);

	snprintf(answers + length, sizeof(answers) - length, "%s\n", words);
	n_open--;
	free(request);
}

static void on_done(struct request *request, const char *json, int fd)
{
	char words[256];

	snprintf(words, sizeof(words), "done %s%s", json ?: "-", fd >= 0 ? " with" : "");
	answer(request, words);
}

static void on_fail(struct request *request, enum request_failure failure, const char *sentence)
{
	char words[256];

	snprintf(words, sizeof(words), "failed %d %s", failure, sentence);
	answer(request, words);
}

static void on_actor(const struct request *request, struct journal_actor *ret_actor)
{
	(void)request;
	ret_actor->uid = 1000;
}

static bool on_may_see(const struct request *request)
{
	(void)request;
	return true;
}

static const struct request_ops ops = {
	.done = on_done,
	.fail = on_fail,
	.actor = on_actor,
	.may_see = on_may_see,
	.is_root = on_may_see,
};

static struct request *ask(void)
{
	struct request *request = malloc(sizeof(*request));

	assert_non_null(request);
	request->ops = &ops;
	n_open++;
	return request;
}

static int set_up(void **state)
{
	(void)state;
	answers[0] = '\0';
	n_open = 0;
	return 0;
}

static void answered(const char *expected)
{
	assert_string_equal(answers, expected);
	assert_int_equal(n_open, 0);
}

static void with_the_outcome(void **state)
{
	json_object *outcome = json_object_new_object();

	(void)state;
	json_object_object_add(outcome, "path", json_object_new_string("/a/b"));
	assert_null(request_done(ask(), outcome));
	assert_null(request_done(ask(), NULL));
	assert_null(request_done_with(ask(), json_object_new_int(7), 5));
	answered("done {\"path\":\"/a/b\"}\ndone -\ndone 7 with\n");
}

static void with_why_there_is_none(void **state)
{
	(void)state;
	assert_null(request_fail(ask(), REQUEST_UNDONE, "%s is %d", "slot", 1));
	assert_null(request_fail_errno(ask(), -EBUSY));
	assert_null(request_free(ask()));
	answered("failed 1 slot is 1\nfailed 4 Device or resource busy\n"
		 "failed 5 hsd stops, or manages this service no longer\n");
}

static void nobody_is_fine(void **state)
{
	struct journal_actor by;

	(void)state;
	assert_null(request_done(NULL, json_object_new_object()));
	assert_null(request_fail(NULL, REQUEST_FAILED, "for nobody"));
	assert_null(request_free(NULL));
	assert_null(request_take(NULL));
	assert_false(request_may_see(NULL));
	request_actor(NULL, &by);
	assert_int_equal(by.uid, JOURNAL_UID_NONE);
	assert_string_equal(by.right, "");
	answered("");
}

static void it_is_taken_once(void **state)
{
	struct request *request = ask(), *taken = request_take(&request);
	struct journal_actor by;

	(void)state;
	assert_null(request);
	request_actor(taken, &by);
	assert_int_equal(by.uid, 1000);
	assert_true(request_may_see(taken));
	assert_null(request_take(&request));
	request_done(taken, NULL);
	answered("done -\n");
}

static void all_that_wait_hear_the_same(void **state)
{
	struct requests requests = {0};

	(void)state;
	assert_true(requests_add(&requests, ask()));
	assert_true(requests_add(&requests, NULL));
	assert_true(requests_add(&requests, ask()));
	assert_int_equal(requests.n, 2);
	requests_done(&requests, "app", 1, "well");
	answered("done {\"service\":\"app\",\"slot\":1,\"message\":\"well\"}\n"
		 "done {\"service\":\"app\",\"slot\":1,\"message\":\"well\"}\n");
	requests_done(&requests, "app", 1, "again");
	requests_leave(&requests);
	assert_int_equal(requests.n, 0);
}

static void no_more_than_there_is_room_for(void **state)
{
	struct requests requests = {0};

	(void)state;
	for (unsigned i = 0; i < REQUESTS_MAX; i++)
		assert_true(requests_add(&requests, ask()));
	assert_false(requests_add(&requests, ask()));
	assert_string_equal(answers, "failed 4 Device or resource busy\n");
	requests_leave(&requests);
	assert_int_equal(n_open, 0);
}

#define CASE(name) cmocka_unit_test_setup(name, set_up)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(with_the_outcome),
		CASE(with_why_there_is_none),
		CASE(nobody_is_fine),
		CASE(it_is_taken_once),
		CASE(all_that_wait_hear_the_same),
		CASE(no_more_than_there_is_room_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
