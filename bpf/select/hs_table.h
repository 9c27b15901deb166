/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The table of a service, and what it says of a client. Included once by each program that decides
 * for a service.
 */
#pragma once

#include "hs_service.h"
#include "hs_spread.h"

int hs_pinned_slot(__u32 copy, __u64 high, __u64 low);
int hs_by_copy(__u64 word, __u64 high, __u64 low, __u32 sport);
int hs_places_again(__u64 high, __u64 low, __u32 sport);

struct hs_table_map {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(key_size, sizeof(__u32));
	/* not by its type: what is pointed at alone has none in the program's type information */
	__uint(value_size, sizeof(struct hs_table));
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, __u32);
	__array(values, struct hs_table_map);
} hs_tables SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 2 * HS_PINNED_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct hs_pinned_key);
	__type(value, __u8);
} hs_pinned SEC(".maps");

/* So often at the most: who changes the word all the time cannot hold up a packet. Not a few: where
 * a virtual machine's memory is first touched, its host may stop the CPU in look after look, for
 * longer than a change takes (seen: four in a row at the beginning of a storm of changes). */
#define TABLE_READS_MAX 32

static __always_inline struct hs_table *the_table(void)
{
	__u32 zero = 0;
	void *tables = bpf_map_lookup_elem(&hs_tables, &zero);

	return tables ? bpf_map_lookup_elem(tables, &zero) : NULL;
}

/* The slot that a client is pinned to; HS_SLOT_NONE for most. */
__noinline int hs_pinned_slot(__u32 copy, __u64 high, __u64 low)
{
	struct hs_pinned_key key = {.length = 8 * 17, .copy = (__u8)copy};
	__be64 ip[2] = {bpf_cpu_to_be64(high), bpf_cpu_to_be64(low)};
	__u8 *slot;

	__builtin_memcpy(key.ip, ip, sizeof(key.ip));
	slot = bpf_map_lookup_elem(&hs_pinned, &key);
	return slot && *slot < HS_SLOTS_MAX ? *slot : HS_SLOT_NONE;
}

/* One look-up in 2^HS_HITS_SHIFT is counted, and not atomically: it is to tell heavy clients from
 * light ones, and all CPUs share the counts. Which one falls to the golden ratio, so that no rhythm
 * of clients can agree with it. Connections of one client are as light as any other. */
static __always_inline void count_hit(struct hs_table *table, const struct hs_table_copy *copy,
				      __u32 index)
{
	struct hs_service_counters *counters;

	if (copy->spread.by != HS_BY_CLIENT)
		return;
	counters = service_counters();
	if (counters &&
	    !((__u32)(++counters->placed * 0x9e3779b97f4a7c15ULL >> 32) >> (32 - HS_HITS_SHIFT)))
		table->hits[index]++;
}

/* By one bucket of a copy. */
static __always_inline __u32 by_bucket(struct hs_table *table, const struct hs_table_copy *copy,
				       __u32 index)
{
	__u8 bucket;

	barrier_var(index);
	index &= HS_BUCKETS - 1;
	bucket = *(const volatile __u8 *)&copy->buckets[index];
	count_hit(table, copy, index);
	return HS_PLACES(hs_bucket_first(bucket), hs_bucket_second(bucket));
}

static __always_inline struct hs_table_copy *copy_of(struct hs_table *table, __u64 word)
{
	return hs_word_flags(word) & HS_FLAG_COPY ? &table->copies[1] : &table->copies[0];
}

/* By one copy of the table; `ret_index`: of the bucket. */
static __always_inline __u32 by_copy(struct hs_table *table, __u64 word,
				     const struct hs_client *client, __u32 sport, __u32 *ret_index)
{
	struct hs_table_copy *copy = copy_of(table, word);
	__u32 slot = HS_SLOT_NONE, places;

	if (copy->spread.pinned_live)
		slot = (__u32)hs_pinned_slot(!!(hs_word_flags(word) & HS_FLAG_COPY), client->high,
					     client->low);
	*ret_index = hs_bucket(copy->spread.key, client,
			       copy->spread.by == HS_BY_CONNECTION ? (__u16)sport : 0);
	places = by_bucket(table, copy, *ret_index);
	return slot < HS_SLOTS_MAX ? HS_PLACES(slot, places & 0xff) : places;
}

/* The same, by itself: the verifier looks at it once, and not in every round of a loop. */
__noinline int hs_by_copy(__u64 word, __u64 high, __u64 low, __u32 sport)
{
	const struct hs_client client = {.high = high, .low = low};
	struct hs_table *table = the_table();
	__u32 index;

	return table ? (int)by_copy(table, word, &client, sport, &index)
		     : (int)HS_PLACES(HS_SLOT_NONE, HS_SLOT_NONE);
}

/* As the copy says that holds, by the word as it is now: who has looked already, and found that it
 * had changed meanwhile, looks again. */
__noinline int hs_places_again(__u64 high, __u64 low, __u32 sport)
{
	int places = HS_PLACES(HS_SLOT_NONE, HS_SLOT_NONE);
	struct hs_control *control = the_control();
	__u64 word, read;

	if (!control)
		return places;
	read = *(volatile __u64 *)&control->word;
	for (int i = 0; i < TABLE_READS_MAX; i++) {
		word = read;
		places = hs_by_copy(word, high, low, sport);
		read = *(volatile __u64 *)&control->word;
		if (word == read)
			break;
	}
	return places;
}
