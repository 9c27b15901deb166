// SPDX-License-Identifier: GPL-2.0-or-later
/* The decision made by the kernel's BPF machine is the one that user space makes, for many inputs:
 * the corners of each field, and random ones. */
#include "cases.h"

#include <bpf/bpf.h>
#include <string.h>

#include "decide_tc.h"
#include "decide_tc.skel.h"
#include "hs_decide.h"

#define INPUTS 20000

/* xorshift: the same numbers in every run, so that a failure can be looked into. */
static uint64_t next_random(void)
{
	static uint64_t x = 88172645463325252ULL;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return x;
}

/* Few bits, many bits, none, all: plain random numbers have nearly always half of them set. */
static uint64_t random_bits(void)
{
	switch (next_random() % 6) {
	case 0:
		return 0;
	case 1:
		return ~0ULL;
	case 2:
		return 1ULL << (next_random() & 63);
	case 3:
		return (1ULL << (next_random() & 63)) - 1;
	case 4:
		return next_random() & next_random() & next_random();
	default:
		return next_random();
	}
}

static uint64_t random_word(void)
{
	static const uint8_t slots[] = {0, 1, 2, 15, 16, 254, 255};
	uint64_t word = next_random() << HS_WORD_GENERATION_SHIFT;

	word |= (uint64_t)slots[next_random() % ARRAY_SIZE(slots)] << HS_WORD_ACTIVE_SHIFT;
	word |= (uint64_t)slots[next_random() % ARRAY_SIZE(slots)] << HS_WORD_CANARY_SHIFT;
	word |= (random_bits() & 0xffff) << HS_WORD_SHARE_SHIFT;
	/* also policies and flags that a later version may know */
	word |= (next_random() % 5) << HS_WORD_POLICY_SHIFT;
	return word | (next_random() & 0xf) << HS_WORD_FLAGS_SHIFT;
}

static void make_input(struct decide_input *input)
{
	*input = (struct decide_input) {
		.word = next_random() % 8 ? random_word() : next_random(),
		.key = random_bits(),
		.bits = random_bits(),
		.hash = random_bits(),
		.ready = random_bits() & 0xffff,
		.sport = next_random(),
	};
	for (unsigned slot = 0; slot < HS_SLOTS_MAX; slot++)
		input->shards.live[slot] = random_bits();
}

static struct decide_output decide(const struct decide_input *input)
{
	struct hs_flow flow = {.hash = input->hash, .sport = input->sport};

	return (struct decide_output) {
		.wanted = hs_wanted_slot(input->word, input->key, &flow, &input->shards),
		.ready = hs_ready_slots(&input->shards),
		.next = hs_next_slot(input->word, input->ready),
		.shard = hs_pick_shard(input->bits, input->hash),
		.mixed = hs_mix(input->key, input->hash),
	};
}

static void both_decide_alike(void **state)
{
	struct decide_tc_bpf *skel = decide_tc_bpf__open_and_load();
	char packet[64] = {0};

	(void)state;
	assert_non_null(skel);
	for (unsigned i = 0; i < INPUTS; i++) {
		LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = packet,
			    .data_size_in = sizeof(packet));
		struct decide_output expected;

		make_input(&skel->bss->input);
		expected = decide(&skel->bss->input);
		assert_int_equal(
			bpf_prog_test_run_opts(bpf_program__fd(skel->progs.hs_decide_tc), &opts),
			0);
		assert_memory_equal(&skel->bss->output, &expected, sizeof(expected));
	}
	decide_tc_bpf__destroy(skel);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {BARE_CASE(both_decide_alike)};

	return cases_run("the decision in the kernel", tests);
}
