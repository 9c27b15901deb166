/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The decision, the table of flows, the routing word and the names of listeners, with whatever
 * another program may have written there. */
#include <stdio.h>
#include <string.h>

#include "core/address.h"
#include "core/word.h"
#include "fuzz.h"
#include "hs_flow.h"
#include "util/macro.h"

#define FLAG(flag) ((uint64_t)(flag) << HS_WORD_FLAGS_SHIFT)

struct input {
	uint64_t word, key, bits;
	struct hs_shards shards;
	struct hs_flow_bucket bucket;
	uint32_t hash, value;
	uint16_t sport;
};

static bool has(uint64_t bits, unsigned n)
{
	return n < 64 && bits >> n & 1;
}

/* Short input is zeros at the end. */
static struct input read_input(const uint8_t *data, size_t size)
{
	struct input input;

	memset(&input, 0, sizeof(input));
	memcpy(&input, data, MIN(size, sizeof(input)));
	return input;
}

static void fuzz_bits(const struct input *in)
{
	unsigned shard = hs_pick_shard(in->bits, in->hash), from = in->value & 63;

	check(in->bits ? has(in->bits, shard) : shard == 64);
	check(in->bits ? has(in->bits, hs_bit_from(in->bits, from)) : true);
	check(has(in->bits, from) ? hs_bit_from(in->bits, from) == from : true);
	check((hs_popcount(in->bits) == 0) == !in->bits && hs_popcount(in->bits) <= 64);
	check(hs_span(in->bits) <= 64 &&
	      (hs_span(in->bits) == 64 || !(in->bits >> hs_span(in->bits))));
	check(hs_lowest(in->bits) <= hs_span(in->bits) || !in->bits);
	check(!in->value || hs_scale(in->hash, in->value) < in->value);
}

/* The selector tries one shard after the other: all of them, each once. */
static void fuzz_shards(const struct input *in)
{
	uint64_t bits = in->bits;
	unsigned tries = 0;

	for (; bits; tries++) {
		unsigned shard = hs_pick_shard(bits, in->hash);

		check(has(bits, shard));
		bits &= ~(1ULL << shard);
	}
	check(tries == hs_popcount(in->bits));
}

static void fuzz_wanted(const struct input *in)
{
	struct hs_flow flow = {.hash = in->hash, .sport = in->sport};
	uint32_t ready = hs_ready_slots(&in->shards);
	unsigned wanted = hs_wanted_slot(in->word, in->key, &flow, &in->shards);

	for (unsigned slot = 0; slot < HS_SLOTS_MAX; slot++)
		check(has(ready, slot) == !!in->shards.live[slot]);
	check(wanted < HS_SLOTS_MAX || wanted == HS_SLOT_NONE);
	check(wanted == hs_wanted_slot(in->word, in->key, &flow, &in->shards));
	switch (hs_word_policy(in->word)) {
	case HS_POLICY_PARITY:
		check(wanted == (in->sport & 1));
		break;
	case HS_POLICY_HASH:
		check(ready ? has(ready, wanted) : wanted == HS_SLOT_NONE);
		break;
	default:
		check(wanted == HS_SLOT_NONE || wanted == hs_word_active(in->word) ||
		      (wanted == hs_word_canary(in->word) && hs_word_share(in->word)));
	}
}

/* Falling through, the selector meets every ready slot once and ends. */
static void fuzz_next(const struct input *in)
{
	uint32_t ready = hs_ready_slots(&in->shards), left = ready;
	unsigned first = hs_next_slot(in->word, ready), steps = 0;

	if (has(ready, hs_word_active(in->word)))
		check(first == hs_word_active(in->word));
	for (; left; steps++) {
		unsigned slot = hs_next_slot(in->word, left);

		check(has(left, slot));
		left &= ~(1U << slot);
	}
	check(steps == hs_popcount(ready));
	check(hs_next_slot(in->word, 0) == HS_SLOT_NONE);
}

/* Which copy of the table holds, and that somebody traces, is nobody's business but of who says so.
 */
static uint64_t kept_by(word_edit *edit)
{
	if (edit == word_trace)
		return FLAG(HS_FLAG_COPY);
	if (edit == word_spread || edit == word_set_copy)
		return FLAG(HS_FLAG_TRACE);
	return FLAG(HS_FLAG_COPY | HS_FLAG_TRACE);
}

static void check_edit(uint64_t before, word_edit edit, const struct word_args *args)
{
	uint64_t after = edit(before, args);

	check(after == before || word_may_follow(before, after));
	check(!((before ^ after) & kept_by(edit)));
}

static void fuzz_word(const struct input *in)
{
	unsigned from = in->value & 0xf, to = (from + 1 + in->sport % 15) & 0xf;
	struct word_args args = {.from = from,
				 .to = to,
				 .share = in->hash,
				 .policy = in->value >> 4 & 1,
				 .on = in->value >> 5 & 1};
	word_edit *const edits[] = {
		word_activate,	  word_leave,	   word_replace, word_abandon, word_set_canary,
		word_drop_canary, word_set_policy, word_park,	 word_hold,    word_release,
		word_trace,	  word_spread,	   word_set_copy};

	for (size_t i = 0; i < ARRAY_SIZE(edits); i++)
		check_edit(in->word, edits[i], &args);
	check(hs_word_active(word_activate(in->word, &args)) == to);
	check(hs_word_policy(word_set_policy(in->word, &args)) == args.policy);
	check(hs_word_canary(word_drop_canary(in->word, &args)) != from);
}

static void check_written(const struct input *in, uint64_t mix, const struct hs_flow_now *now)
{
	struct hs_flow_bucket bucket = in->bucket;
	uint32_t rank = hs_flow_place(&bucket, mix, now), way = hs_flow_way(rank);
	uint64_t lost;

	check(way < HS_FLOW_WAYS);
	lost = bucket.flows[way];
	check(!hs_flow_evicts(rank) ||
	      (hs_flow_is_live(lost, now) &&
	       hs_flow_print(mix) >> HS_FLOW_PRINT_POSITION != lost >> HS_FLOW_PRINT_POSITION));
	bucket.flows[way] = hs_flow_word(mix, in->value, now);
	check(hs_flow_find(&bucket, mix) == way);
	check(hs_flow_slot(bucket.flows[way]) == (in->value & 0xf));
	check(hs_flow_is_live(bucket.flows[way], now) == (now->idle > 0));
	/* the next datagram of the flow is written to the same place */
	check(hs_flow_way(hs_flow_place(&bucket, mix, now)) == way);
}

/* Whatever is in a bucket: a flow that is written is found, and nobody loses its place who need
 * not. */
static void fuzz_flow(const struct input *in)
{
	struct hs_flow flow = {.hash = in->hash, .sport = in->sport};
	struct hs_flow_now now = {
		.epochs = in->bits, .tick = in->word & HS_FLOW_TICK_MASK, .idle = in->value};
	uint64_t mix = hs_flow_mix(in->key, &flow);
	uint32_t found = hs_flow_find(&in->bucket, mix);
	bool room = false;

	check(found <= HS_FLOW_WAYS);
	check(found == HS_FLOW_WAYS || in->bucket.flows[found] >> HS_FLOW_PRINT_POSITION ==
					       hs_flow_print(mix) >> HS_FLOW_PRINT_POSITION);
	for (unsigned way = 0; way < HS_FLOW_WAYS; way++) {
		room |= !hs_flow_is_live(in->bucket.flows[way], &now);
		check(hs_flow_age(in->bucket.flows[way], now.tick) <= HS_FLOW_TICK_MASK);
	}
	check(!room || !hs_flow_evicts(hs_flow_place(&in->bucket, mix, &now)));
	check_written(in, mix, &now);
}

static void fuzz_address(const uint8_t *data, size_t size)
{
	char name[2 * ADDRESS_PIN_MAX], pin[ADDRESS_PIN_MAX], text[ADDRESS_TEXT_MAX];
	struct address address, again;

	snprintf(name, sizeof(name), "%.*s", (int)MIN(size, sizeof(name)), (const char *)data);
	if (address_from_pin(name, &address) < 0)
		return;
	check(strlen(address_format(&address, text)) < ADDRESS_TEXT_MAX - 1);
	check(strlen(address_to_pin(&address, pin)) < ADDRESS_PIN_MAX - 1 && !strchr(pin, '.'));
	check(address_from_pin(pin, &again) == 0 && address_equal(&address, &again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = read_input(data, size);

	fuzz_bits(&input);
	fuzz_shards(&input);
	fuzz_wanted(&input);
	fuzz_next(&input);
	fuzz_word(&input);
	fuzz_flow(&input);
	fuzz_address(data, size);
	return 0;
}
