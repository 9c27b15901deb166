/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is told to whoever traces a service (struct hs_trace_record). Included once by each program
 * that decides for one.
 *
 * All of it comes when the decision has been made, and knows nothing that could change it. That
 * somebody traces is a bit of the word, which such a program has read anyway; the rest is a
 * function of its own, called then.
 */
#pragma once

#include "hs_rules.h"
#include "hs_table.h"

struct hs_trace_ring {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, HS_TRACE_RING_BYTES);
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, __u32);
	__array(values, struct hs_trace_ring);
} hs_trace_rings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct hs_trace_terms);
} hs_trace_terms SEC(".maps");

/* Names this listener in records. */
const volatile __u32 hs_trace_listener = 0;

/* A choice for which the word was not asked: its top byte says why. */
#define HS_CHOICE_BY(place, why) \
	(HS_CHOICE(place, HS_PLACES(HS_SLOT_NONE, HS_SLOT_NONE)) | (__u32)(why) << 24)

static __always_inline int is_traced(__u64 word)
{
	return hs_word_flags(word) & HS_FLAG_TRACE;
}

static __always_inline int is_meant(const struct hs_trace_terms *terms,
				    const struct hs_client *client)
{
	return (client->high & terms->mask_high) == terms->high &&
	       (client->low & terms->mask_low) == terms->low;
}

/* A program that interrupts another on its CPU may make it one more. */
static __always_inline int is_in_time(struct hs_trace_terms *terms, __u64 now)
{
	__u64 paid = terms->paid_ns;

	if (paid + terms->span_ns < now)
		paid = now - terms->span_ns;
	if (paid > now)
		return 0;
	terms->paid_ns = paid + terms->cost_ns;
	return 1;
}

/* A rule of the instance's own is found only where they are looked for; see hs_preview_rule(). */
static __always_inline __u32 whose_rule(const struct hs_preview_key *ends)
{
	return bpf_map_lookup_elem(&hs_preview, ends) ? HS_WHY_PREVIEW : HS_WHY_OWN;
}

/* By policy hash, and the bucket if there is a table. The word is the one that was read; a table
 * that has been changed twice since is not noticed. */
static __always_inline __u32 why_by_table(struct hs_trace_record *record, __u64 word, __u32 second)
{
	const struct hs_client client = hs_client_of(record->client);
	struct hs_table *table = the_table();
	struct hs_table_copy *copy;

	if (!table || record->wanted >= HS_SLOTS_MAX)
		return HS_WHY_HASH;
	copy = hs_word_flags(word) & HS_FLAG_COPY ? &table->copies[1] : &table->copies[0];
	record->bucket =
		(__u16)hs_bucket(copy->spread.key, &client,
				 copy->spread.by == HS_BY_CONNECTION ? record->client_port : 0);
	record->marks |= HS_TRACE_BUCKET;
	if (record->slot != record->wanted)
		return record->slot == second ? HS_WHY_SECOND : HS_WHY_FELL;
	return copy->spread.pinned_live &&
			       hs_pinned_slot(!!(hs_word_flags(word) & HS_FLAG_COPY), client.high,
					      client.low) == (int)record->slot
		       ? HS_WHY_PINNED
		       : HS_WHY_FIRST;
}

static __always_inline __u32 why_by_word(struct hs_trace_record *record, __u64 word, __u32 second)
{
	__u32 why = HS_WHY_ACTIVE;

	if (hs_word_policy(word) == HS_POLICY_HASH)
		why = why_by_table(record, word, second);
	else if (hs_word_policy(word) == HS_POLICY_PARITY)
		why = HS_WHY_PARITY;
	else if (record->slot == hs_word_canary(word) && hs_word_share(word))
		why = HS_WHY_CANARY;
	if (record->slot == HS_SLOT_NONE)
		return HS_WHY_NOTHING;
	if (record->slot == HS_SLOT_PARK)
		return HS_WHY_PARK;
	return record->slot == record->wanted || why == HS_WHY_SECOND ? why : HS_WHY_FELL;
}

static __always_inline void fill(struct hs_trace_record *record, const struct hs_preview_key *ends,
				 __u64 word, __u32 choice)
{
	__u32 why = choice >> 24;

	__builtin_memcpy(record->client, ends->source, sizeof(record->client));
	__builtin_memcpy(record->local, ends->dest, sizeof(record->local));
	record->client_port = bpf_ntohs(ends->source_port);
	record->local_port = bpf_ntohs(ends->dest_port);
	record->listener = hs_trace_listener;
	record->bucket = 0;
	record->layout = HS_TRACE_LAYOUT;
	record->slot = (__u8)choice;
	record->wanted = (__u8)(choice >> 8);
	record->protocol = ends->protocol;
	if (!why)
		why = why_by_word(record, word, choice >> 16 & 0xff);
	else if (why == HS_WHY_PREVIEW)
		why = whose_rule(ends);
	record->why = (__u8)why;
	__builtin_memset(record->pad, 0, sizeof(record->pad));
}

/* `from`: of one that has moved, else HS_SLOT_NONE; `marks`: enum hs_trace_mark. */
static __always_inline int trace(const struct hs_preview_key *ends, __u32 from, __u32 marks,
				 __u64 word, __u32 choice)
{
	const struct hs_client client = hs_client_of(ends->source);
	struct hs_trace_terms *terms;
	struct hs_trace_record *record;
	__u32 zero = 0;
	__u64 now;
	void *ring;

	terms = bpf_map_lookup_elem(&hs_trace_terms, &zero);
	ring = bpf_map_lookup_elem(&hs_trace_rings, &zero);
	if (!terms || !ring || !is_meant(terms, &client))
		return 0;
	hs_count(terms->matched);
	now = bpf_ktime_get_ns();
	if (!is_in_time(terms, now)) {
		hs_count(terms->skipped);
		return 0;
	}
	record = bpf_ringbuf_reserve(ring, sizeof(*record), 0);
	if (!record) {
		hs_count(terms->lost);
		return 0;
	}
	record->time_ns = now;
	record->from = (__u8)from;
	record->marks = (__u8)marks;
	fill(record, ends, word, choice);
	bpf_ringbuf_submit(record, 0);
	return 0;
}
