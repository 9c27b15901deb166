/* SPDX-License-Identifier: GPL-2.0-or-later */
/* core/address: a listener's identity as text and as the name of a pin folder. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/address.h"
#include "util/macro.h"

static struct address make(const char *ip, uint16_t port, bool v6only, uint32_t ifindex)
{
	struct address address = {.port = port, .v6only = v6only, .ifindex = ifindex};

	address.family = strchr(ip, ':') ? AF_INET6 : AF_INET;
	assert_int_equal(inet_pton(address.family, ip, address.ip), 1);
	return address;
}

static const struct {
	const char *ip;
	uint16_t port;
	bool v6only;
	uint32_t ifindex;
	const char *text, *pin;
} cases[] = {
	{"0.0.0.0", 8080, false, 0, "0.0.0.0:8080", "tcp4-0_0_0_0-8080"},
	{"127.0.0.1", 1, false, 0, "127.0.0.1:1", "tcp4-127_0_0_1-1"},
	{"10.0.0.1", 80, false, 3, "10.0.0.1:80%3", "tcp4-10_0_0_1-80-if3"},
	{"255.255.255.255", 65535, false, UINT32_MAX, "255.255.255.255:65535%4294967295",
	 "tcp4-255_255_255_255-65535-if4294967295"},
	{"::", 8080, false, 0, "[::]:8080", "tcp-::-8080"},
	{"::", 8080, true, 0, "[::]:8080 (v6 only)", "tcp6-::-8080"},
	{"::1", 443, true, 0, "[::1]:443", "tcp6-::1-443"},
	{"::1", 443, false, 0, "[::1]:443", "tcp-::1-443"},
	{"fe80::1", 80, true, 2, "[fe80::1]:80%2", "tcp6-fe80::1-80-if2"},
	{"::ffff:192.0.2.1", 80, false, 0, "[::ffff:192.0.2.1]:80", "tcp-::ffff:192_0_2_1-80"},
	{"1111:2222:3333:4444:5555:6666:7777:8888", 65535, true, UINT32_MAX,
	 "[1111:2222:3333:4444:5555:6666:7777:8888]:65535%4294967295",
	 "tcp6-1111:2222:3333:4444:5555:6666:7777:8888-65535-if4294967295"},
};

static void test_text_and_pin(void **state)
{
	char text[ADDRESS_TEXT_MAX], pin[ADDRESS_PIN_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct address back, address = make(cases[i].ip, cases[i].port, cases[i].v6only,
						    cases[i].ifindex);

		assert_string_equal(address_format(&address, text), cases[i].text);
		assert_string_equal(address_to_pin(&address, pin), cases[i].pin);
		/* bpffs takes no dot */
		assert_null(strchr(pin, '.'));
		assert_int_equal(address_from_pin(pin, &back), 0);
		assert_true(address_equal(&address, &back));
	}
}

/* Protocol and namespace are part of the identity. */
static void test_protocol_and_namespace(void **state)
{
	static const struct {
		bool udp;
		uint32_t ifindex, netns;
		const char *pin, *text;
	} rows[] = {
		{true, 0, 0, "udp4-10_0_0_1-53", "UDP 10.0.0.1:53"},
		{false, 0, 7, "tcp4-10_0_0_1-53-ns7", "10.0.0.1:53 in network namespace 7"},
		{true, 3, UINT32_MAX, "udp4-10_0_0_1-53-if3-ns4294967295",
		 "UDP 10.0.0.1:53%3 in network namespace 4294967295"},
		{false, 0, 0, "tcp4-10_0_0_1-53", "10.0.0.1:53"},
	};
	struct address all[ARRAY_SIZE(rows)];
	char text[ADDRESS_TEXT_MAX], pin[ADDRESS_PIN_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct address back, address = make("10.0.0.1", 53, false, rows[i].ifindex);

		address.udp = rows[i].udp;
		address.netns = rows[i].netns;
		assert_string_equal(address_to_pin(&address, pin), rows[i].pin);
		assert_string_equal(address_describe(&address, text), rows[i].text);
		assert_int_equal(address_from_pin(pin, &back), 0);
		assert_true(address_equal(&address, &back));
		for (size_t k = 0; k < i; k++)
			assert_false(address_equal(&address, &all[k]));
		all[i] = address;
	}
}

/* Each of these is another reuseport group. */
static void test_equal(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		for (size_t k = 0; k < ARRAY_SIZE(cases); k++) {
			struct address a =
				make(cases[i].ip, cases[i].port, cases[i].v6only, cases[i].ifindex);
			struct address b =
				make(cases[k].ip, cases[k].port, cases[k].v6only, cases[k].ifindex);

			assert_int_equal(address_equal(&a, &b), i == k);
		}
}

static void test_every_port_and_family(void **state)
{
	char pin[ADDRESS_PIN_MAX];

	(void)state;
	for (unsigned port = 0; port < 65536; port++) {
		struct address back, address = make(port & 1 ? "::" : "0.0.0.0", port,
						    (port & 3) == 1, port % 5);

		assert_int_equal(address_from_pin(address_to_pin(&address, pin), &back), 0);
		assert_true(address_equal(&address, &back));
	}
}

static void test_other_names_are_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"-",
		"---",
		"control",
		"selector",
		"tcp4",
		"tcp4-0_0_0_0",
		"tcp4-0_0_0_0-",
		"tcp4-0_0_0_0-x",
		"tcp4-0_0_0_0--1",
		"tcp4-0_0_0_0-65536",
		"tcp4-0_0_0_0-99999999999999999999",
		"tcp4-0_0_0-80",
		"tcp4-0_0_0_256-80",
		"tcp4-::-80",
		"tcp-0_0_0_0-80",
		"tcp6-0_0_0_0-80",
		"tcp6-:::-80",
		"tcp5-::-80",
		"sctp4-0_0_0_0-80",
		"tcp4-0_0_0_0-80-ns",
		"tcp4-0_0_0_0-80-ns0",
		"tcp4-0_0_0_0-80-ns3-if3",
		"TCP4-0_0_0_0-80",
		"tcp4-0_0_0_0-80-",
		"tcp4-0_0_0_0-80-if",
		"tcp4-0_0_0_0-80-if0",
		"tcp4-0_0_0_0-80-3",
		"tcp4-0_0_0_0-80-if3-",
		"tcp4-0_0_0_0-80-if3-if3",
		"tcp4-0_0_0_0-80-if4294967296",
		" tcp4-0_0_0_0-80",
		"tcp4-0_0_0_0-80 ",
	};
	struct address address, untouched;
	char much[2 * ADDRESS_PIN_MAX];

	(void)state;
	memset(&address, 0x5a, sizeof(address));
	untouched = address;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (address_from_pin(bad[i], &address) != -EINVAL)
			fail_msg("\"%s\" was taken", bad[i]);
	memset(much, '1', sizeof(much));
	much[sizeof(much) - 1] = '\0';
	assert_int_equal(address_from_pin(much, &address), -EINVAL);
	assert_memory_equal(&address, &untouched, sizeof(address));
}

/* Who is served by another address when his own is gone. */
static void test_covers(void **state)
{
	static const struct {
		const char *a;
		bool a_v6only;
		uint32_t a_device;
		const char *b;
		bool b_v6only, covers;
	} pairs[] = {
		{"::", false, 0, "0.0.0.0", false, true},
		{"::", true, 0, "0.0.0.0", false, false},
		{"::", false, 0, "::", true, true},
		{"::", true, 0, "::", false, false},
		{"::", true, 0, "::1", true, true},
		{"0.0.0.0", false, 0, "10.0.0.1", false, true},
		{"0.0.0.0", false, 0, "::", false, false},
		{"10.0.0.1", false, 0, "0.0.0.0", false, false},
		{"0.0.0.0", false, 3, "0.0.0.0", false, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		struct address a = make(pairs[i].a, 80, pairs[i].a_v6only, pairs[i].a_device);
		struct address b = make(pairs[i].b, 80, pairs[i].b_v6only, 0);

		if (address_covers(&a, &b) != pairs[i].covers)
			fail_msg("case %zu", i);
		b.port = 81;
		assert_false(address_covers(&a, &b));
		b.port = 80;
		b.netns = 7;
		assert_false(address_covers(&a, &b));
	}
}

/* What the kernel prefers, of two sockets with the same port. */
static void test_beats(void **state)
{
	static const struct {
		const char *a;
		bool a_v6only;
		uint32_t a_device;
		const char *b;
		bool b_v6only, beats, beaten;
	} pairs[] = {
		{"0.0.0.0", false, 0, "0.0.0.0", false, false, false},
		{"10.0.0.1", false, 0, "0.0.0.0", false, true, false},
		{"10.0.0.1", false, 0, "10.0.0.1", false, false, false},
		{"10.0.0.1", false, 0, "10.0.0.2", false, false, false},
		{"10.0.0.1", false, 0, "::", false, true, false},
		{"10.0.0.1", false, 0, "::", true, false, false},
		{"0.0.0.0", false, 0, "::", false, true, false},
		{"::1", true, 0, "::", false, true, false},
		{"::1", true, 0, "0.0.0.0", false, false, false},
		{"::1", true, 0, "10.0.0.1", false, false, false},
		{"0.0.0.0", false, 3, "0.0.0.0", false, true, false},
		{"0.0.0.0", false, 3, "10.0.0.1", false, false, true},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		struct address a = make(pairs[i].a, 80, pairs[i].a_v6only, pairs[i].a_device);
		struct address b = make(pairs[i].b, 80, pairs[i].b_v6only, 0), other = b;

		if (address_beats(&a, &b) != pairs[i].beats ||
		    address_beats(&b, &a) != pairs[i].beaten)
			fail_msg("case %zu", i);
		other.port = 81;
		assert_false(address_beats(&a, &other));
		other = b;
		other.udp = true;
		assert_false(address_beats(&a, &other));
		other = b;
		other.netns = 7;
		assert_false(address_beats(&a, &other));
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text_and_pin),
		cmocka_unit_test(test_equal),
		cmocka_unit_test(test_covers),
		cmocka_unit_test(test_beats),
		cmocka_unit_test(test_protocol_and_namespace),
		cmocka_unit_test(test_every_port_and_family),
		cmocka_unit_test(test_other_names_are_refused),
	};

	return cmocka_run_group_tests_name("address", tests, NULL, NULL);
}
