// SPDX-License-Identifier: GPL-2.0-or-later
/* What the self-test says of this kernel, and that it leaves nothing behind. */
#include "cases.h"

#include <inttypes.h>

#include "hs_forward.h"
#include "plane/selftest/front_stage.h"
#include "plane/selftest/front_wire.h"
#include "plane/selftest/selftest_fast.h"
#include "plane/selftest/selftest_front.h"
#include "util/clock.h"

#define PATIENCE_MS 60000

/* What is found wrong here is wrong with this kernel, as can be told without us. */
static bool is_the_kernels(unsigned ability)
{
	switch (ability) {
	case ABILITY_WAKEUP:
		return true;
	case ABILITY_CENSUS:
	case ABILITY_LOADS_CENSUS:
	case ABILITY_LOADS_QUEUES:
	case ABILITY_LOADS_MOTION:
		return !case_has_iterators();
	default:
		return false;
	}
}

static void every_test_works_here(void **state)
{
	struct selftest *selftest;
	const struct ability_result *results;

	(void)state;
	assert_int_equal(selftest_start(SELFTEST_ALL, &selftest), 0);
	results = selftest_finish(selftest, PATIENCE_MS);
	for (unsigned i = 0; i < ABILITY_COUNT; i++) {
		if (results[i].verdict == ABILITY_WORKS)
			assert_string_equal(results[i].detail, "");
		else if (results[i].verdict == ABILITY_FAILS && is_the_kernels(i))
			print_message("# this kernel cannot: %s\n", ability_to_string(i));
		else
			fail_msg("test %u: %d, %s", i, results[i].verdict, results[i].detail);
	}
	selftest_free(selftest);
}

/* Which of the programs' habits a kernel breaks on the fast path is the kernel's; but it is known
 * of each. What a kernel lacks that is vital is a reason to refuse. */
static void the_fast_path_is_tried(void **state)
{
	const uint32_t most = SELFTEST_ALL & ~(1U << FAST_LARGE);
	const struct ability_result *results;
	struct selftest *selftest;
	struct problem sentence;
	bool refuses = false;

	(void)state;
	case_needs(ABILITY_LOADS_FAST);
	assert_int_equal(selftest_fast_start(most, &selftest), 0);
	results = selftest_finish(selftest, PATIENCE_MS);
	for (unsigned i = 0; i < FAST_ABILITY_COUNT; i++) {
		if (i != FAST_LARGE && results[i].verdict == ABILITY_UNKNOWN)
			print_message("# not tried: %s: %s\n", fast_ability_to_string(i),
				      results[i].detail);
		if (results[i].verdict == ABILITY_FAILS)
			print_message("# this kernel cannot: %s: %s\n", fast_ability_to_string(i),
				      results[i].detail);
		refuses |= fast_ability_vital() & 1U << i && results[i].verdict != ABILITY_WORKS;
	}
	assert_int_equal(fast_ability_refuses(results, "1.2.3", &sentence), refuses);
	assert_int_equal(results[FAST_ORDER].verdict, ABILITY_WORKS);
	assert_int_equal(results[FAST_FIN].verdict, ABILITY_WORKS);
	assert_int_equal(results[FAST_RST].verdict, ABILITY_WORKS);
	assert_int_equal(results[FAST_NAMESPACES].verdict, ABILITY_WORKS);
	selftest_free(selftest);
}

/* A checksum that was left to a card is known from one that is whole by nobody who sees the packet
 * alone, and nat has to know. */
static void the_packets_of_a_front_are_tried(void **state)
{
	const struct ability_result *results;
	struct selftest *selftest;

	(void)state;
	case_needs(ABILITY_LOADS_FRONT);
	for (unsigned mode = 0; mode < FRONT_MODES; mode++) {
		uint64_t begun = now_usec();

		assert_int_equal(selftest_front_start(mode, &selftest), 0);
		results = selftest_finish(selftest, PATIENCE_MS);
		print_message("# %s: %" PRIu64 " ms\n", front_mode_to_string(mode),
			      (now_usec() - begun) / USEC_PER_MSEC);
		for (unsigned i = 0; i < FRONT_ABILITY_COUNT; i++)
			if (results[i].verdict != ABILITY_WORKS)
				print_message("# %s: %s\n", front_ability_to_string(i),
					      results[i].detail);
		assert_int_equal(results[FRONT_SENDS].verdict, ABILITY_WORKS);
		assert_int_equal(results[FRONT_IN_DRIVER].verdict, ABILITY_WORKS);
		assert_int_equal(results[FRONT_CHECKSUMS].verdict,
				 mode == FRONT_NAT ? ABILITY_FAILS : ABILITY_WORKS);
		if (mode == FRONT_NAT)
			assert_string_equal(results[FRONT_CHECKSUMS].detail,
					    "a SYN, IPv4, has a wrong checksum");
		selftest_free(selftest);
	}
}

static const char *judged_with(unsigned which, size_t at)
{
	struct front_frame frame;

	selftest_front_ask(which, false, &frame);
	hs_put_mac(frame.bytes, FRONT_STAGE_HOST_MAC);
	hs_put_mac(frame.bytes + 6, FRONT_WIRE_MAC);
	if (at)
		frame.bytes[at] ^= 1;
	return selftest_front_judge(FRONT_DSR, which, &frame);
}

/* One bit of a datagram with data, or of IPv6. */
static void what_is_wrong_with_a_packet_is_named(void **state)
{
	struct front_frame frame;

	(void)state;
	for (unsigned i = 0; i < FRONT_TRIED; i++)
		assert_null(judged_with(i, 0));
	assert_string_equal(judged_with(2, HS_ETHERNET + 19), "has other addresses");
	assert_string_equal(judged_with(2, HS_ETHERNET + 10), "has a wrong checksum");
	assert_string_equal(judged_with(2, HS_ETHERNET + HS_IPV4 + 6), "has a wrong checksum");
	assert_string_equal(judged_with(5, HS_ETHERNET + HS_IPV6 + 100), "is not what was sent");
	assert_string_equal(judged_with(5, HS_ETHERNET + 30), "has other addresses");
	assert_string_equal(judged_with(5, 7), "has a wrong Ethernet header");
	selftest_front_ask(1, false, &frame);
	assert_non_null(selftest_front_judge(FRONT_NAT, 1, &frame));
	hs_put_mac(frame.bytes, FRONT_STAGE_HOST_MAC);
	hs_put_mac(frame.bytes + 6, FRONT_WIRE_MAC);
	assert_string_equal(selftest_front_judge(FRONT_NAT, 1, &frame), "has other addresses");
	assert_string_equal(selftest_front_judge(FRONT_IPIP, 1, &frame), "has another length");
	frame.n--;
	assert_string_equal(selftest_front_judge(FRONT_DSR, 1, &frame), "has another length");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BARE_CASE(every_test_works_here),
		BARE_CASE(the_fast_path_is_tried),
		BARE_CASE(the_packets_of_a_front_are_tried),
		BARE_CASE(what_is_wrong_with_a_packet_is_named),
	};

	return cases_run("selftest", tests);
}
