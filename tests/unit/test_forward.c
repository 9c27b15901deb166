// SPDX-License-Identifier: GPL-2.0-or-later
/* bpf/front/hs_forward.h: what does not need a packet; those of tests/plane/test_front.c are
 * golden. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "hs_forward.h"
#include "util/macro.h"

static void test_the_host_that_takes(void **state)
{
	static const struct {
		uint32_t taking, wanted, second, host;
	} cases[] = {
		{0x7, 0, HS_SLOT_NONE, 0}, /* the wanted one */
		{0x6, 0, HS_SLOT_NONE, 1}, /* the next one in the ring */
		{0x6, 0, 2, 2},		   /* the second one before that */
		{0x4, 0, 1, 2},		   /* which does not take any either */
		{0x3, 2, HS_SLOT_NONE, 0}, /* round the ring */
		{0x8001, 15, 3, 15},	   /* the last one */
		{0x0001, 15, 3, 0},
		{0x0, 0, 1, HS_SLOT_NONE},
		{0x30000, 0, 1, HS_SLOT_NONE}, /* no such hosts */
		{0x2, HS_SLOT_NONE, HS_SLOT_NONE, 1},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(hs_taking_host(cases[i].taking, cases[i].wanted, cases[i].second),
				 cases[i].host);
}

static struct hs_front_flow flow_at(uint8_t host, uint8_t marks, uint32_t tick)
{
	return (struct hs_front_flow) {.begun_ns = (uint64_t)tick << HS_FLOW_TICK_SHIFT,
				       .seen = tick,
				       .host = host,
				       .marks = marks};
}

static void test_which_syn_is_another_one_of_a_flow(void **state)
{
	struct hs_front front = {.taking = 1};
	struct hs_front_flow taking = flow_at(0, 0, 1000), other = flow_at(1, 0, 1000),
			     established = flow_at(1, HS_FRONT_ESTABLISHED, 1000),
			     closing = flow_at(0, HS_FRONT_CLOSING, 1000);

	(void)state;
	assert_true(hs_is_same_flow(&front, &taking, 1000));
	/* seen by another CPU a moment ago */
	assert_true(hs_is_same_flow(&front, &taking, 999));
	assert_true(hs_is_same_flow(&front, &taking, 1000 + HS_FRONT_AGAIN_TICKS));
	assert_false(hs_is_same_flow(&front, &taking, 1001 + HS_FRONT_AGAIN_TICKS));
	assert_false(hs_is_same_flow(&front, &closing, 1000));
	/* its host does not take any more, and has not answered */
	assert_true(hs_is_same_flow(&front, &other, 1000 + HS_FRONT_KEPT_TICKS));
	assert_false(hs_is_same_flow(&front, &other, 1001 + HS_FRONT_KEPT_TICKS));
	assert_true(hs_is_same_flow(&front, &established, 1001 + HS_FRONT_KEPT_TICKS));
}

static void test_a_flow_has_a_host_of_its_epoch(void **state)
{
	struct hs_front front = {.taking = 1};
	struct hs_front_flow flow = flow_at(3, 0, 0), none = flow_at(HS_SLOT_NONE, 0, 0);

	(void)state;
	assert_false(hs_flow_has_host(&front, &flow));
	front.hosts[3].flags = HS_FRONT_CONFIGURED;
	assert_true(hs_flow_has_host(&front, &flow));
	front.hosts[3].epoch++;
	assert_false(hs_flow_has_host(&front, &flow));
	assert_false(hs_flow_has_host(&front, &none));
}

static uint16_t checksum_of(const uint8_t *bytes, size_t n)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < n; i += 2)
		sum += hs_get16(bytes + i);
	return (uint16_t)~hs_fold(sum);
}

/* Changed as if it were made anew, whatever is around. */
static void test_checksums_change_with_addresses(void **state)
{
	uint8_t bytes[40], from[16], to[16];
	uint16_t checksum;

	(void)state;
	for (unsigned round = 0; round < 1000; round++) {
		for (unsigned i = 0; i < sizeof(bytes); i++)
			bytes[i] = (uint8_t)(round * 31 + i * 7 + (round >> 3) * i);
		memcpy(from, bytes + 8, 16);
		checksum = checksum_of(bytes, sizeof(bytes));
		for (unsigned i = 0; i < sizeof(to); i++)
			to[i] = (uint8_t)(from[i] * 3 + round);
		memcpy(bytes + 8, to, 16);
		assert_int_equal(hs_changed(checksum, hs_difference(from, to)),
				 checksum_of(bytes, sizeof(bytes)));
	}
}

static void test_addresses_of_both_families(void **state)
{
	static const uint8_t four[4] = {192, 0, 2, 1}, six[16] = {0x20, 0x01, 0x0d, 0xb8};
	struct hs_front front = {.n_addresses = 3};
	uint8_t ip[16];

	(void)state;
	hs_set_ipv4(ip, hs_get32(four));
	assert_true(hs_is_ipv4(ip));
	assert_false(hs_is_ipv4(six));
	memcpy(front.addresses[0], six, 16);
	memcpy(front.addresses[2], ip, 16);
	assert_int_equal(hs_front_address(&front, six), 0);
	assert_int_equal(hs_front_address(&front, ip), 2);
	front.n_addresses = 2;
	assert_int_equal(hs_front_address(&front, ip), HS_FRONT_ADDRESSES_MAX);
}

/* Another front with the same key finds the same. */
static void test_the_hash_is_of_flow_and_key(void **state)
{
	struct hs_front_flow_key a = {.client = {1}, .client_port = 2, .port = 3, .protocol = 6},
				 b = a;
	unsigned halves = 0;

	(void)state;
	assert_int_equal(hs_ends_hash(5, &a), hs_ends_hash(5, &b));
	b.address = 7;
	assert_int_equal(hs_ends_hash(5, &a), hs_ends_hash(5, &b));
	assert_int_not_equal(hs_ends_hash(6, &a), hs_ends_hash(5, &a));
	b.client[15] = 1;
	assert_int_not_equal(hs_ends_hash(5, &b), hs_ends_hash(5, &a));
	for (uint16_t port = 0; port < 10000; port++) {
		b.client_port = port;
		halves += hs_ends_hash(5, &b) >> 31;
	}
	assert_in_range(halves, 4800, 5200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_host_that_takes),
		cmocka_unit_test(test_which_syn_is_another_one_of_a_flow),
		cmocka_unit_test(test_a_flow_has_a_host_of_its_epoch),
		cmocka_unit_test(test_checksums_change_with_addresses),
		cmocka_unit_test(test_addresses_of_both_families),
		cmocka_unit_test(test_the_hash_is_of_flow_and_key),
	};

	return cmocka_run_group_tests_name("forward", tests, NULL, NULL);
}
