/* SPDX-License-Identifier: GPL-2.0-or-later */
/* bpf/select/hs_decide.h as gcc compiles it: which slot a flow goes to, and which of its sockets.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "core/word.h"
#include "util/macro.h"

#define FLOWS 100000

static uint64_t random_number(void)
{
	static uint64_t x = 88172645463325252ULL;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return x;
}

/* The plain way, to compare with. */
static unsigned count_bits(uint64_t bits)
{
	unsigned n = 0;

	for (unsigned i = 0; i < 64; i++)
		n += bits >> i & 1;
	return n;
}

static unsigned first_bit_from(uint64_t bits, unsigned start)
{
	for (unsigned i = 0; i < 64; i++)
		if (bits >> ((start + i) % 64) & 1)
			return (start + i) % 64;
	return 64;
}

static void test_bits(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 10000; round++) {
		uint64_t bits = random_number();
		unsigned span = 0;

		for (unsigned thin = round % 7; thin; thin--)
			bits &= random_number();
		for (unsigned i = 0; i < 64; i++)
			span = bits >> i & 1 ? i + 1 : span;
		assert_int_equal(hs_popcount(bits), count_bits(bits));
		assert_int_equal(hs_lowest(bits), first_bit_from(bits, 0));
		assert_int_equal(hs_bit_from(bits, round & 63), first_bit_from(bits, round & 63));
		assert_int_equal(hs_span(bits), span);
	}
}

static void test_bits_at_the_ends(void **state)
{
	(void)state;
	assert_int_equal(hs_popcount(0), 0);
	assert_int_equal(hs_popcount(~0ULL), 64);
	assert_int_equal(hs_lowest(0), 64);
	assert_int_equal(hs_lowest(1ULL << 63), 63);
	assert_int_equal(hs_bit_from(0, 5), 64);
	assert_int_equal(hs_bit_from(1, 63), 0);
	assert_int_equal(hs_span(0), 0);
	assert_int_equal(hs_span(~0ULL), 64);
	assert_int_equal(hs_pick_shard(0, 77), 64);
	assert_int_equal(hs_pick_shard(1ULL << 63, 77), 63);
	assert_int_equal(hs_pick_shard(~0ULL, 0), 0);
	assert_int_equal(hs_pick_shard(~0ULL, ~0U), 63);
	assert_int_equal(hs_scale(~0U, 16), 15);
	assert_int_equal(hs_scale(~0U, 0), 0);
}

static void test_scale_is_even(void **state)
{
	unsigned of[7] = {0};

	(void)state;
	for (unsigned i = 0; i < FLOWS; i++)
		of[hs_scale((uint32_t)random_number(), 7)]++;
	for (size_t i = 0; i < ARRAY_SIZE(of); i++)
		assert_in_range(of[i], FLOWS / 7 - 500, FLOWS / 7 + 500);
}

static void test_shards_are_live_and_even(void **state)
{
	unsigned of[64] = {0};
	uint64_t bits = 0xff; /* as adoption puts them */

	(void)state;
	for (unsigned i = 0; i < FLOWS; i++) {
		uint64_t any = random_number() & random_number();
		unsigned shard = hs_pick_shard(any, (uint32_t)random_number());

		assert_true(any >> shard & 1);
		of[hs_pick_shard(bits, (uint32_t)random_number())]++;
	}
	for (unsigned i = 0; i < 8; i++)
		assert_in_range(of[i], FLOWS / 8 - 500, FLOWS / 8 + 500);
}

static void test_a_dead_shard_moves_only_its_own(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 10000; i++) {
		uint32_t hash = (uint32_t)random_number();
		unsigned before = hs_pick_shard(0xff, hash), after = hs_pick_shard(0xff & ~8, hash);

		assert_int_equal(after, before == 3 ? 4 : before);
	}
}

static struct hs_shards with_live(uint32_t slots)
{
	struct hs_shards shards = {0};

	for (unsigned slot = 0; slot < HS_SLOTS_MAX; slot++)
		if (slots >> slot & 1)
			shards.live[slot] = 1ULL << (slot * 4);
	return shards;
}

static void test_ready_slots(void **state)
{
	(void)state;
	for (uint32_t slots = 0; slots <= 0xffff; slots++) {
		struct hs_shards shards = with_live(slots);

		assert_int_equal(hs_ready_slots(&shards), slots);
	}
}

static unsigned wanted(uint64_t word, uint32_t hash, uint16_t sport)
{
	struct hs_shards shards = with_live(0x3);
	struct hs_flow flow = {.hash = hash, .sport = sport};

	return hs_wanted_slot(word, 42, &flow, &shards);
}

static uint64_t active_at(unsigned slot)
{
	return word_activate(WORD_INITIAL, WORD_ARGS(.to = slot));
}

/* Beside slot 0. */
static uint64_t canary_at(unsigned slot, uint32_t share)
{
	return word_set_canary(active_at(0), WORD_ARGS(.to = slot, .share = share));
}

static void test_standby(void **state)
{
	(void)state;
	assert_int_equal(wanted(WORD_INITIAL, 1, 1), HS_SLOT_NONE);
	for (unsigned slot = 0; slot < HS_SLOTS_MAX; slot++)
		assert_int_equal(wanted(active_at(slot), 1, 1), slot);
	/* a word that nobody of ours wrote */
	for (unsigned slot = HS_SLOTS_MAX; slot < 256; slot++)
		assert_int_equal(wanted((WORD_INITIAL & ~0xffULL) | slot, 1, 1), HS_SLOT_NONE);
}

static void test_an_unknown_policy_is_standby(void **state)
{
	uint64_t word = active_at(3);

	(void)state;
	for (uint64_t policy = HS_POLICY_COUNT; policy < 16; policy++)
		assert_int_equal(wanted(word | policy << HS_WORD_POLICY_SHIFT, 1, 1), 3);
}

static void test_parity(void **state)
{
	uint64_t word = word_set_policy(active_at(5), WORD_ARGS(.policy = HS_POLICY_PARITY));

	(void)state;
	for (unsigned port = 0; port < 65536; port++)
		assert_int_equal(wanted(word, (uint32_t)random_number(), port), port & 1);
}

static void test_hash(void **state)
{
	uint64_t word = word_set_policy(WORD_INITIAL, WORD_ARGS(.policy = HS_POLICY_HASH));
	struct hs_shards shards = with_live(0x8421), none = {0};
	struct hs_flow flow = {0};
	unsigned of[256] = {0};

	(void)state;
	assert_int_equal(hs_wanted_slot(word, 1, &flow, &none), HS_SLOT_NONE);
	for (unsigned i = 0; i < FLOWS; i++) {
		flow.hash = (uint32_t)random_number();
		of[hs_wanted_slot(word, 1, &flow, &shards)]++;
	}
	assert_int_equal(of[0] + of[5] + of[10] + of[15], FLOWS);
	for (unsigned slot = 0; slot < HS_SLOTS_MAX; slot += 5)
		assert_in_range(of[slot], FLOWS / 4 - 700, FLOWS / 4 + 700);
}

/* The kernel's hash of neighbouring ports need not differ in its high bits; ours must. */
static void test_the_key_spreads_neighbours(void **state)
{
	unsigned first = 0, same = 0;

	(void)state;
	for (uint32_t hash = 0; hash < FLOWS; hash++) {
		first += hs_hash_slot(1, hash, 3) == 0;
		same += hs_hash_slot(1, hash, 3) == hs_hash_slot(2, hash, 3);
	}
	assert_in_range(first, FLOWS / 2 - 700, FLOWS / 2 + 700);
	/* and who does not know the key knows nothing */
	assert_in_range(same, FLOWS / 2 - 700, FLOWS / 2 + 700);
}

static unsigned canaries(uint32_t share)
{
	uint64_t word = canary_at(1, share);
	unsigned n = 0;

	for (uint32_t hash = 0; hash < FLOWS; hash++)
		n += wanted(word, hash, 1) == 1;
	return n;
}

static void test_canary_share(void **state)
{
	(void)state;
	assert_int_equal(canaries(0), 0);
	assert_in_range(canaries(65536 / 100), FLOWS / 100 - 120, FLOWS / 100 + 120);
	assert_in_range(canaries(65536 / 2), FLOWS / 2 - 700, FLOWS / 2 + 700);
	assert_in_range(canaries(WORD_SHARE_MAX), FLOWS - 10, FLOWS);
}

static void test_canary_grows_by_joining(void **state)
{
	(void)state;
	for (uint32_t hash = 0; hash < 10000; hash++) {
		bool in = false;

		for (uint32_t share = 0; share <= WORD_SHARE_MAX; share += 1285) {
			bool now = wanted(canary_at(1, share), hash, 1) == 1;

			assert_true(now || !in);
			in = now;
		}
	}
}

/* By client the flow's own hash does not matter; who is left out is in no share. */
static void test_canary_filters(void **state)
{
	uint64_t word = canary_at(1, 65536 / 4);
	unsigned in = 0;

	(void)state;
	for (uint32_t i = 0; i < FLOWS; i++) {
		struct hs_flow flow = {.hash = i, .by_client = 1, .client = i};
		struct hs_flow other = flow, out = flow;
		unsigned slot = hs_wanted_slot(word, 4711, &flow, NULL);

		other.hash = (uint32_t)random_number();
		other.sport = (uint16_t)i;
		out.left_out = 1;
		assert_int_equal(hs_wanted_slot(word, 4711, &other, NULL), slot);
		assert_int_equal(hs_wanted_slot(word, 4711, &out, NULL), 0);
		in += slot == 1;
	}
	assert_in_range(in, FLOWS / 4 - 700, FLOWS / 4 + 700);
}

/* Neighbours are not together in a share, nor is a whole network; another key has other clients. */
static void test_client_hash(void **state)
{
	uint64_t word = canary_at(1, 65536 / 2);
	unsigned in = 0, same = 0, keyed = 0, before = 0;

	(void)state;
	for (uint32_t i = 0; i < FLOWS; i++) {
		uint32_t ip[4] = {0, 0, 0xffff, i << (i % 2 * 8)};
		struct hs_flow flow = {.by_client = 1, .client = hs_client_hash(1, ip)};
		struct hs_flow other = {.by_client = 1, .client = hs_client_hash(2, ip)};
		unsigned slot = hs_wanted_slot(word, 1, &flow, NULL);

		in += slot;
		same += slot == before;
		keyed += slot == hs_wanted_slot(word, 2, &other, NULL);
		before = slot;
	}
	assert_in_range(in, FLOWS / 2 - 700, FLOWS / 2 + 700);
	assert_in_range(same, FLOWS / 2 - 700, FLOWS / 2 + 700);
	assert_in_range(keyed, FLOWS / 2 - 700, FLOWS / 2 + 700);
}

static void test_next_slot(void **state)
{
	uint64_t word = active_at(3);

	(void)state;
	assert_int_equal(hs_next_slot(word, 0), HS_SLOT_NONE);
	assert_int_equal(hs_next_slot(word, 0xffff), 3);
	assert_int_equal(hs_next_slot(word, 0xfff0), 4);
	assert_int_equal(hs_next_slot(word, 0x8000), 15);
	assert_int_equal(hs_next_slot(WORD_INITIAL, 0x0006), 1);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bits),
		cmocka_unit_test(test_bits_at_the_ends),
		cmocka_unit_test(test_scale_is_even),
		cmocka_unit_test(test_shards_are_live_and_even),
		cmocka_unit_test(test_a_dead_shard_moves_only_its_own),
		cmocka_unit_test(test_ready_slots),
		cmocka_unit_test(test_standby),
		cmocka_unit_test(test_an_unknown_policy_is_standby),
		cmocka_unit_test(test_parity),
		cmocka_unit_test(test_hash),
		cmocka_unit_test(test_the_key_spreads_neighbours),
		cmocka_unit_test(test_canary_share),
		cmocka_unit_test(test_canary_grows_by_joining),
		cmocka_unit_test(test_canary_filters),
		cmocka_unit_test(test_client_hash),
		cmocka_unit_test(test_next_slot),
	};

	return cmocka_run_group_tests_name("decide", tests, NULL, NULL);
}
