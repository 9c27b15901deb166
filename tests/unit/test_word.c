/* SPDX-License-Identifier: GPL-2.0-or-later */
/* core/word: the edits that may be made to the routing word. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/word.h"
#include "util/macro.h"

#define GENERATIONS (1U << 24)

/* Everything but the generation. */
static uint64_t fields(uint64_t word)
{
	return word & ((1ULL << HS_WORD_GENERATION_SHIFT) - 1);
}

#define WORD(generation, flags, policy, share, canary, active)                                   \
	((uint64_t)(generation) << HS_WORD_GENERATION_SHIFT |                                    \
	 (uint64_t)(flags) << HS_WORD_FLAGS_SHIFT | (uint64_t)(policy) << HS_WORD_POLICY_SHIFT | \
	 (uint64_t)(share) << HS_WORD_SHARE_SHIFT | (uint64_t)(canary) << HS_WORD_CANARY_SHIFT | \
	 (uint64_t)(active))

static void test_layout(void **state)
{
	/* what another program may have written, field by field */
	uint64_t word =
		0x123456ULL << 40 | 0xaULL << 36 | 2ULL << 32 | 0x8001ULL << 16 | 7 << 8 | 3;

	(void)state;
	assert_int_equal(hs_word_active(word), 3);
	assert_int_equal(hs_word_canary(word), 7);
	assert_int_equal(hs_word_share(word), 0x8001);
	assert_int_equal(hs_word_policy(word), HS_POLICY_HASH);
	assert_int_equal(hs_word_flags(word), 0xa);
	assert_int_equal(word_generation(word), 0x123456);
	assert_int_equal(word, WORD(0x123456, 0xa, 2, 0x8001, 7, 3));
}

static void test_initial(void **state)
{
	(void)state;
	assert_int_equal(WORD_INITIAL,
			 WORD(0, 0, HS_POLICY_STANDBY, 0, HS_SLOT_NONE, HS_SLOT_NONE));
	assert_true(word_is_sound(WORD_INITIAL));
}

/* ---- each edit by itself ---- */

struct row {
	const char *what;
	word_edit *edit;
	struct word_args args;
	uint64_t before, after; /* without the generation; the same: nothing is changed */
};

#define NONE   HS_SLOT_NONE
#define PARK   HS_FLAG_PARK_ALL
#define BOTH   (HS_FLAG_PARK_ALL | HS_FLAG_EXCLUSIVE)
#define TRACED HS_FLAG_TRACE

/* active, canary and share, flags */
#define PLAIN(a)	    WORD(0, 0, 0, 0, NONE, a)
#define CANARY(a, c, share) WORD(0, 0, 0, share, c, a)
#define FLAGS(a, flags)	    WORD(0, flags, 0, 0, NONE, a)
#define POLICY(a, policy)   WORD(0, 0, policy, 0, NONE, a)

static const struct row rows[] = {
	{"the first", word_activate, {.to = 2}, PLAIN(NONE), PLAIN(2)},
	{"another", word_activate, {.to = 2}, PLAIN(0), PLAIN(2)},
	{"it is already", word_activate, {.to = 2}, PLAIN(2), PLAIN(2)},
	{"the canary takes over", word_activate, {.to = 2}, CANARY(0, 2, 9), PLAIN(2)},
	{"one beside the canary", word_activate, {.to = 1}, CANARY(0, 2, 9), CANARY(1, 2, 9)},
	{"also while it is held", word_activate, {.to = 1}, FLAGS(0, BOTH), FLAGS(1, BOTH)},

	{"it was active", word_leave, {.from = 0, .to = 1}, PLAIN(0), PLAIN(1)},
	{"it was not", word_leave, {.from = 0, .to = 1}, PLAIN(2), PLAIN(2)},
	{"from none", word_leave, {.from = NONE, .to = 1}, PLAIN(NONE), PLAIN(1)},
	{"there is one", word_leave, {.from = NONE, .to = 1}, PLAIN(0), PLAIN(0)},
	{"to the canary", word_leave, {.from = 0, .to = 2}, CANARY(0, 2, 9), PLAIN(2)},
	{"it is the canary", word_leave, {.from = 2, .to = 1}, CANARY(0, 2, 9), CANARY(0, 2, 9)},
	{"while it is held", word_leave, {.from = 0, .to = 1}, FLAGS(0, BOTH), FLAGS(1, BOTH)},

	{"it is lost", word_replace, {.from = 0, .to = 1}, PLAIN(0), PLAIN(1)},
	{"another is", word_replace, {.from = 0, .to = 1}, PLAIN(1), PLAIN(1)},
	{"none there", word_replace, {.from = NONE, .to = 1}, PLAIN(NONE), PLAIN(1)},
	{"all parked", word_replace, {.from = 0, .to = 1}, FLAGS(0, PARK), FLAGS(1, PARK)},
	{"held", word_replace, {.from = 0, .to = 1}, FLAGS(0, BOTH), FLAGS(0, BOTH)},

	{"the active hangs", word_abandon, {.from = 0, .to = 1}, PLAIN(0), PLAIN(1)},
	{"no other", word_abandon, {.from = 0, .to = NONE}, PLAIN(0), PLAIN(0)},
	{"the canary hangs", word_abandon, {.from = 2, .to = 0}, CANARY(0, 2, 9), PLAIN(0)},
	{"and no other", word_abandon, {.from = 2, .to = NONE}, CANARY(0, 2, 9), PLAIN(0)},
	{"the standby", word_abandon, {.from = 1, .to = 0}, CANARY(0, 2, 9), CANARY(0, 2, 9)},

	{"a canary", word_set_canary, {.to = 2, .share = 9}, PLAIN(0), CANARY(0, 2, 9)},
	{"another share", word_set_canary, {.to = 2, .share = 5}, CANARY(0, 2, 9), CANARY(0, 2, 5)},
	{"another slot", word_set_canary, {.to = 1, .share = 9}, CANARY(0, 2, 9), CANARY(0, 1, 9)},
	{"the same", word_set_canary, {.to = 2, .share = 9}, CANARY(0, 2, 9), CANARY(0, 2, 9)},
	{"all", word_set_canary, {.to = 2, .share = 65536}, PLAIN(0), CANARY(0, 2, 65535)},
	{"more", word_set_canary, {.to = 2, .share = UINT32_MAX}, PLAIN(0), CANARY(0, 2, 65535)},
	{"the active", word_set_canary, {.to = 0, .share = 9}, CANARY(0, 2, 5), CANARY(0, 2, 5)},
	{"nobody", word_set_canary, {.to = NONE}, CANARY(0, 2, 9), PLAIN(0)},
	{"no share", word_set_canary, {.to = 0}, CANARY(0, 2, 9), PLAIN(0)},
	{"there is none", word_set_canary, {.to = 1}, PLAIN(0), PLAIN(0)},

	{"the canary", word_drop_canary, {.from = 2}, CANARY(0, 2, 9), PLAIN(0)},
	{"another", word_drop_canary, {.from = 1}, CANARY(0, 2, 9), CANARY(0, 2, 9)},
	{"the active one", word_drop_canary, {.from = 0}, CANARY(0, 2, 9), CANARY(0, 2, 9)},

	{"policy", word_set_policy, {.policy = HS_POLICY_HASH}, PLAIN(0), POLICY(0, 2)},
	{"and back", word_set_policy, {.policy = HS_POLICY_STANDBY}, POLICY(0, 2), PLAIN(0)},
	{"the same", word_set_policy, {.policy = HS_POLICY_PARITY}, POLICY(0, 1), POLICY(0, 1)},

	{"park", word_park, {.on = true}, PLAIN(0), FLAGS(0, PARK)},
	{"again", word_park, {.on = true}, FLAGS(0, PARK), FLAGS(0, PARK)},
	{"no more", word_park, {.on = false}, FLAGS(0, BOTH), FLAGS(0, HS_FLAG_EXCLUSIVE)},
	{"never was", word_park, {.on = false}, PLAIN(0), PLAIN(0)},

	{"traced", word_trace, {.on = true}, PLAIN(0), FLAGS(0, TRACED)},
	{"by another", word_trace, {.on = true}, FLAGS(0, TRACED), FLAGS(0, TRACED)},
	{"while it is held", word_trace, {.on = true}, FLAGS(0, BOTH), FLAGS(0, BOTH | TRACED)},
	{"not any more", word_trace, {0}, FLAGS(0, BOTH | TRACED), FLAGS(0, BOTH)},
	{"nobody does", word_trace, {0}, PLAIN(0), PLAIN(0)},

	{"hold", word_hold, {0}, PLAIN(0), FLAGS(0, BOTH)},
	{"parked before", word_hold, {0}, FLAGS(0, PARK), FLAGS(0, BOTH)},
	{"twice", word_hold, {0}, FLAGS(0, BOTH), FLAGS(0, BOTH)},
	{"it came", word_release, {.to = 1}, FLAGS(0, BOTH), PLAIN(1)},
	{"it did not", word_release, {.to = 0}, FLAGS(0, BOTH), PLAIN(0)},
	{"neither did", word_release, {.to = NONE}, FLAGS(0, BOTH), PLAIN(0)},
	{"let go by hand", word_release, {.to = 1}, FLAGS(0, HS_FLAG_EXCLUSIVE), PLAIN(1)},
	{"nothing to let go", word_release, {.to = 0}, PLAIN(0), PLAIN(0)},
};

/* One generation more, however many fields; and none when nothing is changed. */
static void test_each_edit(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct row *row = &rows[i];
		uint64_t before = row->before | 7ULL << HS_WORD_GENERATION_SHIFT, after;

		after = row->edit(before, &row->args);
		if (fields(after) != row->after)
			print_error("%s: %llx became %llx\n", row->what, (long long)before,
				    (long long)after);
		assert_int_equal(fields(after), row->after);
		assert_int_equal(word_generation(after), row->before == row->after ? 7 : 8);
	}
}

static void test_generation_wraps_within_its_field(void **state)
{
	uint64_t word = WORD(GENERATIONS - 1, 0, 0, 0, NONE, 1), next;

	(void)state;
	next = word_activate(word, WORD_ARGS(.to = 0));
	assert_int_equal(next, PLAIN(0));
	assert_true(word_may_follow(word, next));
}

/* ---- whatever is found ---- */

/* All arguments that an edit may be given, with so many slots: `n` counts them off. False: there
 * are no more. */
static bool nth_args(unsigned slots, unsigned n, struct word_args *ret_args)
{
	static const uint32_t shares[] = {0, 1, 65535, 65536};
	unsigned places = slots + 1, from = n % places, to = n / places % places;
	unsigned rest = n / places / places;

	*ret_args = (struct word_args) {
		.from = from < slots ? from : NONE,
		.to = to < slots ? to : NONE,
		.share = shares[rest % ARRAY_SIZE(shares)],
		.policy = rest / ARRAY_SIZE(shares) % HS_POLICY_COUNT,
		.on = rest / ARRAY_SIZE(shares) / HS_POLICY_COUNT,
	};
	return rest / ARRAY_SIZE(shares) / HS_POLICY_COUNT < 2;
}

/* Which an edit asserts. */
static bool may_be_given(word_edit *edit, const struct word_args *args)
{
	if (edit == word_activate)
		return args->to != NONE;
	if (edit == word_leave || edit == word_replace)
		return args->to != NONE && args->from != args->to;
	if (edit == word_abandon)
		return args->from != NONE && args->from != args->to;
	if (edit == word_set_canary)
		return args->to != NONE || !args->share;
	return edit != word_drop_canary || args->from != NONE;
}

static word_edit *const edits[] = {
	word_activate,	 word_leave, word_replace, word_abandon, word_set_canary, word_drop_canary,
	word_set_policy, word_park,  word_hold,	   word_release, word_trace,
};

static void assert_kept(word_edit *edit, uint64_t before, const struct word_args *args)
{
	uint64_t after = edit(before, args);

	if (after == before)
		return;
	if (!word_may_follow(before, after))
		print_error("%llx became %llx: from %u to %u\n", (long long)before,
			    (long long)after, args->from, args->to);
	assert_true(word_may_follow(before, after));
	/* it is done: there is nothing left to change, whoever tries again */
	if (edit != word_leave && edit != word_replace)
		assert_int_equal(edit(after, args), after);
}

static void edit_in_every_way(uint64_t word, unsigned slots)
{
	struct word_args args;

	for (size_t i = 0; i < ARRAY_SIZE(edits); i++)
		for (unsigned n = 0; nth_args(slots, n, &args); n++)
			if (may_be_given(edits[i], &args))
				assert_kept(edits[i], word, &args);
}

/* Sound or not: every word that there can be with so few slots, and slots beyond the last. */
static void every_word(unsigned slots, void (*each)(uint64_t word, unsigned slots))
{
	static const uint32_t shares[] = {0, 1, 65535};
	static const unsigned ends[] = {HS_SLOTS_MAX, NONE}, policies[] = {0, 1, 2, 9};
	unsigned places = slots + ARRAY_SIZE(ends);

	for (unsigned n = 0; n < places * places * ARRAY_SIZE(shares) * 16 * ARRAY_SIZE(policies);
	     n++) {
		unsigned active = n % places, canary = n / places % places;
		unsigned rest = n / places / places;
		uint32_t share = shares[rest % ARRAY_SIZE(shares)];

		active = active < slots ? active : ends[active - slots];
		canary = canary < slots ? canary : ends[canary - slots];
		rest /= ARRAY_SIZE(shares);
		each(WORD(GENERATIONS - 1, rest & 0xf, policies[rest >> 4], share, canary, active),
		     slots);
	}
}

static void test_every_edit_of_every_word(void **state)
{
	(void)state;
	for (unsigned slots = 2; slots <= 4; slots++)
		every_word(slots, edit_in_every_way);
}

/* ---- what is sound ---- */

static void test_sound(void **state)
{
	(void)state;
	assert_true(word_is_sound(PLAIN(0)));
	assert_true(word_is_sound(PLAIN(HS_SLOTS_MAX - 1)));
	assert_true(word_is_sound(CANARY(0, 1, 1)));
	assert_true(word_is_sound(CANARY(NONE, 1, 65535)));
	assert_true(word_is_sound(FLAGS(0, 0xf)));
	assert_false(word_is_sound(PLAIN(HS_SLOTS_MAX)));
	assert_false(word_is_sound(CANARY(1, 1, 9)));
	assert_false(word_is_sound(CANARY(0, 1, 0)));
	assert_false(word_is_sound(CANARY(0, NONE, 1)));
	assert_false(word_is_sound(CANARY(0, HS_SLOTS_MAX, 1)));
	assert_false(word_is_sound(CANARY(NONE, NONE, 1)));
}

static void test_what_may_follow(void **state)
{
	uint64_t next = 1ULL << HS_WORD_GENERATION_SHIFT;

	(void)state;
	assert_true(word_may_follow(PLAIN(0), PLAIN(1) | next));
	assert_false(word_may_follow(PLAIN(0), PLAIN(1)));
	assert_false(word_may_follow(PLAIN(0), PLAIN(1) | 2 * next));
	assert_false(word_may_follow(PLAIN(0), CANARY(1, 1, 9) | next));
	/* none any more */
	assert_false(word_may_follow(PLAIN(0), PLAIN(NONE) | next));
	assert_true(word_may_follow(PLAIN(HS_SLOTS_MAX), PLAIN(NONE) | next));
	/* of the flags none is left to a later version */
	assert_true(word_may_follow(FLAGS(0, 0xf), FLAGS(1, 0xf) | next));
	assert_true(word_may_follow(FLAGS(0, 0xf), FLAGS(0, 0) | next));
	assert_true(word_may_follow(FLAGS(0, 0), FLAGS(0, 0xf) | next));
	/* policies of one */
	assert_true(word_may_follow(POLICY(0, 9), POLICY(1, 9) | next));
	assert_false(word_may_follow(POLICY(0, 9), POLICY(0, 8) | next));
}

static void test_policy_names(void **state)
{
	(void)state;
	for (unsigned policy = 0; policy < HS_POLICY_COUNT; policy++)
		assert_int_equal(policy_from_string(policy_to_string(policy)), policy);
	assert_string_equal(policy_to_string(HS_POLICY_PARITY), "parity");
	assert_string_equal(policy_to_string(HS_POLICY_COUNT), "unknown");
	assert_string_equal(policy_to_string(15), "unknown");
	assert_int_equal(policy_from_string("unknown"), HS_POLICY_COUNT);
	assert_int_equal(policy_from_string(""), HS_POLICY_COUNT);
	assert_int_equal(policy_from_string("Standby"), HS_POLICY_COUNT);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layout),
		cmocka_unit_test(test_initial),
		cmocka_unit_test(test_each_edit),
		cmocka_unit_test(test_generation_wraps_within_its_field),
		cmocka_unit_test(test_every_edit_of_every_word),
		cmocka_unit_test(test_sound),
		cmocka_unit_test(test_what_may_follow),
		cmocka_unit_test(test_policy_names),
	};

	return cmocka_run_group_tests_name("word", tests, NULL, NULL);
}
