// SPDX-License-Identifier: GPL-2.0-or-later
/* Answers by HTTP: which of them are whole, however they come. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "core/httpanswer.h"
#include "util/macro.h"

/* In portions of this size, for a server's words come as they like. */
static struct http_answer hear(const char *text, size_t portion)
{
	struct http_answer answer = {0};
	size_t size = strlen(text);

	for (size_t at = 0; at < size; at += portion)
		http_answer_add(&answer, text + at, MIN(portion, size - at));
	http_answer_add(&answer, text, 0);
	assert_int_equal(answer.size, size);
	return answer;
}

static void assert_heard(const char *text, unsigned status, bool whole)
{
	static const size_t portions[] = {1, 2, 3, 7, 4096};

	for (size_t i = 0; i < ARRAY_SIZE(portions); i++) {
		struct http_answer answer = hear(text, portions[i]);

		assert_int_equal(http_answer_status(&answer), status);
		assert_int_equal(http_answer_is_whole(&answer), whole);
	}
}

static void the_length_that_was_said_has_to_come(void **state)
{
	(void)state;
	assert_heard("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, true);
	assert_heard("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", 200, false);
	assert_heard("HTTP/1.1 200 OK\r\nServer: x\r\ncontent-length:5\r\n\r\n", 200, false);
	assert_heard("HTTP/1.1 503 no\r\nContent-Length: 0\r\n\r\n", 503, true);
	assert_heard("HTTP/1.0 200 OK\nContent-Length: 2\n\nab", 200, true);
	assert_heard("HTTP/1.0 200 OK\nContent-Length: 2\n\na", 200, false);
	/* more than was said: not what is asked about here */
	assert_heard("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello you", 200, true);
	/* of a field that only ends like it */
	assert_heard("HTTP/1.1 200 OK\r\nX-Content-Length: 5\r\n\r\n", 200, true);
	assert_heard("HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n", 200, true);
	assert_heard("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n", 200, true);
}

static void the_last_chunk_has_to_come(void **state)
{
	(void)state;
	assert_heard("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
		     200, true);
	assert_heard("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", 200,
		     false);
	assert_heard("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 200, false);
	/* it goes before a length, and other codings before it */
	assert_heard("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: gzip, Chunked \r\n"
		     "\r\n1\r\na\r\n",
		     200, false);
	assert_heard("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nabc", 200, true);
}

static void a_head_has_to_end(void **state)
{
	(void)state;
	assert_heard("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n", 200, false);
	assert_heard("HTTP/1.1 200 OK\r\n", 200, false);
	assert_heard("HTTP/1.1 200 OK\r\n\r\n", 200, true);
	assert_heard("HTTP/1.1 204 none\r\nContent-Length: 9\r\n\r\n", 204, true);
	assert_heard("HTTP/1.1 304 same\r\nContent-Length: 9\r\n\r\n", 304, true);
}

static void what_is_no_answer_has_no_status(void **state)
{
	(void)state;
	assert_heard("", 0, false);
	assert_heard("HTTP/1.1 20", 0, false);
	assert_heard("HTTP/2.0 200 OK\r\n\r\n", 0, true);
	assert_heard("HTTP/1.1 099 OK\r\n\r\n", 0, true);
	assert_heard("220 mail.example ESMTP\r\n", 0, false);
	assert_heard("HTTP/1.1 2xx OK\r\n\r\n", 0, true);
}

/* A head that is longer than what is kept, of which the end is not known. */
static void a_long_head_is_taken_for_whole(void **state)
{
	static const char begin[] = "HTTP/1.1 200 OK\r\nX: ";
	char text[4096];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	memcpy(text, begin, sizeof(begin) - 1);
	assert_heard(text, 200, true);
	text[2047] = '\0';
	assert_heard(text, 200, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_length_that_was_said_has_to_come),
		cmocka_unit_test(the_last_chunk_has_to_come),
		cmocka_unit_test(a_head_has_to_end),
		cmocka_unit_test(what_is_no_answer_has_no_status),
		cmocka_unit_test(a_long_head_is_taken_for_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
