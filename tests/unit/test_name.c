/* SPDX-License-Identifier: GPL-2.0-or-later */
/* core/name: what is a service name, and what is made from one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "core/name.h"
#include "util/macro.h"

/* `length` times the character, in a buffer of its own. */
static const char *repeat(char c, size_t length, char buffer[512])
{
	memset(buffer, c, length);
	buffer[length] = 0;
	return buffer;
}

static void test_valid(void **state)
{
	static const char *const good[] = {
		"app", "a",    "0",	"php8.2-fpm", "my_app",	  "foo-bar", "x\\x2dy",
		"a:b", "-app", "A.B.C", "app.",	      "app.conf", "service", "app.services"};
	static const char *const bad[] = {
		"",	      ".",	    "..",     ".app",	 "app@",
		"app@0",      "app/x",	    "app x",  "app\n",	 "app%i",
		"app*",	      "\xc3\xa4pp", "app$",   "app;ls",	 "nginx.service",
		"app.socket", ".service",   "a=b",    "app\x7f", "../../etc/x",
		"app\tx",     "~app",	    "%2Eapp", NULL};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		if (!name_is_valid(good[i]))
			fail_msg("\"%s\" refused", good[i]);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (name_is_valid(bad[i]))
			fail_msg("\"%s\" taken", bad[i]);
}

static void test_valid_length(void **state)
{
	char text[512];

	(void)state;
	assert_true(name_is_valid(repeat('a', SERVICE_NAME_MAX - 1, text)));
	assert_false(name_is_valid(repeat('a', SERVICE_NAME_MAX, text)));
	assert_false(name_is_valid(repeat('a', 500, text)));
	/* a dot takes three bytes in a pin: 1 + 84 * 3 = 253 */
	repeat('.', 85, text);
	text[0] = 'a';
	assert_true(name_is_valid(text));
	repeat('.', 86, text);
	text[0] = 'a';
	assert_false(name_is_valid(text));
}

static void test_kind(void **state)
{
	static const struct {
		const char *text;
		enum name_kind kind;
	} cases[] = {
		{"app", NAME_SERVICE},
		{"php8.2-fpm", NAME_SERVICE},
		{"app@", NAME_TEMPLATE},
		{"app@.service", NAME_TEMPLATE},
		{"php8.2-fpm@.service", NAME_TEMPLATE},
		{"app@0", NAME_INSTANCE},
		{"app@0.service", NAME_INSTANCE},
		{"app@blue.service", NAME_INSTANCE},
		{"app@a@b.service", NAME_INSTANCE},
		{"app@.services", NAME_INSTANCE},
		{"nginx.service", NAME_PLAIN},
		{"app@.socket", NAME_SOCKET},
		{"app@0.socket", NAME_SOCKET},
		{"app.socket", NAME_SOCKET},
		{"", NAME_INVALID},
		{"@", NAME_INVALID},
		{"@.service", NAME_INVALID},
		{"@0.service", NAME_INVALID},
		{".service", NAME_INVALID},
		{".socket", NAME_INVALID},
		{"app@0/1.service", NAME_INVALID},
		{"app@ .service", NAME_INVALID},
		{"a b", NAME_INVALID},
		{"../app@.service", NAME_INVALID},
		{"/etc/systemd/system/app@.service", NAME_INVALID},
		{NULL, NAME_INVALID},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (name_kind(cases[i].text) != cases[i].kind)
			fail_msg("\"%s\": %d", cases[i].text, name_kind(cases[i].text));
}

static void test_from_unit(void **state)
{
	static const struct {
		const char *unit, *service;
		unsigned slot;
	} good[] = {
		{"app@0.service", "app", 0},	   {"app@1.service", "app", 1},
		{"app@15.service", "app", 15},	   {"php8.2-fpm@9.service", "php8.2-fpm", 9},
		{"a.b.c@10.service", "a.b.c", 10},
	};
	static const char *const bad[] = {"app.service",
					  "app@.service",
					  "app@16.service",
					  "app@00.service",
					  "app@01.service",
					  "app@-1.service",
					  "app@+1.service",
					  "app@ 1.service",
					  "app@100.service",
					  "app@x.service",
					  "app@0.socket",
					  "app@0",
					  "app@0.service ",
					  "app@0.servicee",
					  "@0.service",
					  "app@0@0.service",
					  "app@@0.service",
					  "",
					  "app@0.0.service",
					  ".app@0.service",
					  "app/x@0.service",
					  "app@0\n.service",
					  "app@4294967296.service",
					  "x.service@0.service",
					  NULL};
	char service[SERVICE_NAME_MAX];
	unsigned slot;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		assert_int_equal(name_from_unit(good[i].unit, service, &slot), 0);
		assert_string_equal(service, good[i].service);
		assert_int_equal(slot, good[i].slot);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		strcpy(service, "untouched");
		slot = 77;
		if (name_from_unit(bad[i], service, &slot) != -EINVAL)
			fail_msg("\"%s\" taken", bad[i]);
		assert_string_equal(service, "untouched");
		assert_int_equal(slot, 77);
	}
}

static void test_from_template(void **state)
{
	static const char *const good[][2] = {
		{"app", "app"},
		{"app@", "app"},
		{"app@.service", "app"},
		{"php8.2-fpm@.service", "php8.2-fpm"},
		{"php8.2-fpm", "php8.2-fpm"},
	};
	static const char *const bad[] = {"app@0.service", "app.service", "app@.socket", "",
					  "@.service",	   "a b",	  NULL};
	char service[SERVICE_NAME_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		assert_int_equal(name_from_template(good[i][0], service), 0);
		assert_string_equal(service, good[i][1]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(name_from_template(bad[i], service), -EINVAL);
}

static void test_guess(void **state)
{
	static const char *const good[][2] = {
		{"app", "app"},	       {"app@.service", "app"},	 {"app@0.service", "app"},
		{"app@blue", "app"},   {"app@.socket", "app"},	 {"app@1.socket", "app"},
		{"app.socket", "app"}, {"a.b@1.service", "a.b"},
	};
	char service[SERVICE_NAME_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		assert_int_equal(name_guess(good[i][0], service), 0);
		assert_string_equal(service, good[i][1]);
	}
	assert_int_equal(name_guess("nginx.service", service), -EINVAL);
	assert_int_equal(name_guess("", service), -EINVAL);
	assert_int_equal(name_guess(NULL, service), -EINVAL);
}

static void test_unit(void **state)
{
	char unit[UNIT_NAME_MAX], longest[512], back[SERVICE_NAME_MAX];
	unsigned slot;

	(void)state;
	assert_int_equal(name_unit("app", 0, unit, sizeof(unit)), 0);
	assert_string_equal(unit, "app@0.service");
	assert_int_equal(name_socket_unit("php8.2-fpm", 15, unit, sizeof(unit)), 0);
	assert_string_equal(unit, "php8.2-fpm@15.socket");

	strcpy(unit, "untouched");
	assert_int_equal(name_unit("app", 16, unit, sizeof(unit)), -EINVAL);
	assert_int_equal(name_unit("a b", 0, unit, sizeof(unit)), -EINVAL);
	assert_int_equal(name_unit("", 0, unit, sizeof(unit)), -EINVAL);
	assert_int_equal(name_unit("app", 0, unit, strlen("app@0.service")), -EINVAL);
	assert_int_equal(name_unit("app", 0, unit, 0), -EINVAL);
	assert_string_equal(unit, "untouched");
	assert_int_equal(name_unit("app", 0, unit, strlen("app@0.service") + 1), 0);

	repeat('a', SERVICE_NAME_MAX - 1, longest);
	assert_int_equal(name_unit(longest, 15, unit, sizeof(unit)), 0);
	assert_int_equal(name_from_unit(unit, back, &slot), 0);
	assert_string_equal(back, longest);
	assert_int_equal(slot, 15);
}

static void test_pin(void **state)
{
	static const char *const pairs[][2] = {
		{"app", "app"},
		{"php8.2-fpm", "php8%2E2-fpm"},
		{"a.b.c.", "a%2Eb%2Ec%2E"},
		{"x\\x2dy", "x\\x2dy"},
	};
	static const char *const bad[] = {"",	    "%accounting", "a.b",   "a%2e", "a%2",   "a%",
					  "%2Eapp", "a/b",	   "a%2Fb", "a b",  "app@0", NULL};
	char pin[PIN_NAME_MAX], service[SERVICE_NAME_MAX], text[512];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		assert_int_equal(name_to_pin(pairs[i][0], pin, sizeof(pin)), 0);
		assert_string_equal(pin, pairs[i][1]);
		assert_int_equal(name_from_pin(pin, service), 0);
		assert_string_equal(service, pairs[i][0]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (name_from_pin(bad[i], service) != -EINVAL)
			fail_msg("\"%s\" taken", bad[i]);

	assert_int_equal(name_to_pin("a b", pin, sizeof(pin)), -EINVAL);
	assert_int_equal(name_to_pin("a.b", pin, 5), -EINVAL);
	assert_int_equal(name_to_pin("a.b", pin, 6), 0);
	assert_int_equal(name_from_pin(repeat('a', 500, text), service), -EINVAL);

	/* the longest of both kinds come back whole */
	repeat('a', SERVICE_NAME_MAX - 1, text);
	assert_int_equal(name_to_pin(text, pin, sizeof(pin)), 0);
	assert_int_equal(name_from_pin(pin, service), 0);
	assert_string_equal(service, text);
	repeat('.', 85, text);
	text[0] = 'a';
	assert_int_equal(name_to_pin(text, pin, sizeof(pin)), 0);
	assert_int_equal(strlen(pin), 253);
	assert_int_equal(name_from_pin(pin, service), 0);
	assert_string_equal(service, text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_valid),	      cmocka_unit_test(test_valid_length),
		cmocka_unit_test(test_kind),	      cmocka_unit_test(test_from_unit),
		cmocka_unit_test(test_from_template), cmocka_unit_test(test_guess),
		cmocka_unit_test(test_unit),	      cmocka_unit_test(test_pin),
	};

	return cmocka_run_group_tests_name("name", tests, NULL, NULL);
}
