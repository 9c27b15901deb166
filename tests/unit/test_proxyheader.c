// SPDX-License-Identifier: GPL-2.0-or-later
/* The header of the PROXY protocol, byte by byte as its description has it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "core/proxyheader.h"

static struct sockaddr_storage end_of(const char *ip, uint16_t port)
{
	struct sockaddr_storage end = {0};
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&end;
	struct sockaddr_in *v4 = (struct sockaddr_in *)&end;

	end.ss_family = strchr(ip, ':') ? AF_INET6 : AF_INET;
	if (end.ss_family == AF_INET6)
		v6->sin6_port = htons(port);
	else
		v4->sin_port = htons(port);
	assert_int_equal(inet_pton(end.ss_family, ip,
				   end.ss_family == AF_INET6 ? (void *)&v6->sin6_addr
							     : (void *)&v4->sin_addr),
			 1);
	return end;
}

static void assert_v1(const char *from, const char *to, const char *expected)
{
	struct sockaddr_storage source = end_of(from, 40000), dest = end_of(to, 80);
	char header[PROXY_HEADER_MAX + 1];

	assert_int_equal(proxy_header_make(PROXY_V1, &source, &dest, header), strlen(expected));
	assert_string_equal(header, expected);
}

static void test_v1(void **state)
{
	struct sockaddr_storage path = {.ss_family = AF_UNIX};
	char header[PROXY_HEADER_MAX + 1];

	(void)state;
	assert_v1("127.0.0.1", "127.0.0.2", "PROXY TCP4 127.0.0.1 127.0.0.2 40000 80\r\n");
	assert_v1("2001:db8::1", "::1", "PROXY TCP6 2001:db8::1 ::1 40000 80\r\n");
	assert_v1("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
		  "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
		  "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
		  "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 40000 80\r\n");
	assert_int_equal(proxy_header_make(PROXY_V1, &path, &path, header), 15);
	assert_memory_equal(header, "PROXY UNKNOWN\r\n", 15);
}

static void test_v2(void **state)
{
	static const uint8_t expected[16] = {0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51,
					     0x55, 0x49, 0x54, 0x0a, 0x20, 0x00, 0x00, 0x00};
	struct sockaddr_storage source = end_of("127.0.0.1", 1), dest = end_of("127.0.0.1", 2);
	char header[PROXY_HEADER_MAX + 1];

	(void)state;
	assert_int_equal(proxy_header_make(PROXY_V2, &source, &dest, header), 16);
	assert_memory_equal(header, expected, 16);
	assert_int_equal(proxy_header_make(PROXY_NO, &source, &dest, header), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_v1),
		cmocka_unit_test(test_v2),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
