/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where the service's table wants a flow: which slot, and which one if that has no socket. Included
 * by selectors only.
 */
#pragma once

#include "hs_preview.h"
#include "hs_table.h"

int hs_hashed(__u64 key, __u32 hash);

/* The client's address, in numbers: bytes that are written one by one and read as words would have
 * to wait for one another. 0 when it could be read. */
static __always_inline int client_of(struct sk_reuseport_md *md, struct bpf_sock *moving,
				     struct hs_client *client)
{
	__be64 ipv6[2];
	__be32 ipv4;

	if (moving) {
		struct hs_preview_key ends = {};

		if (hs_ends(md, &ends))
			return -1;
		*client = hs_client_of(ends.source);
	} else if (md->eth_protocol == bpf_htons(ETH_P_IP)) {
		if (bpf_skb_load_bytes_relative(md, 12, &ipv4, sizeof(ipv4), BPF_HDR_START_NET))
			return -1;
		*client = hs_client_ipv4(bpf_ntohl(ipv4));
	} else {
		if (md->eth_protocol != bpf_htons(ETH_P_IPV6) ||
		    bpf_skb_load_bytes_relative(md, 8, ipv6, sizeof(ipv6), BPF_HDR_START_NET))
			return -1;
		client->high = bpf_be64_to_cpu(ipv6[0]);
		client->low = bpf_be64_to_cpu(ipv6[1]);
	}
	return 0;
}

/* Datagrams of one sender come one after the other, and to ask for its address is most of what the
 * table costs; so its bucket is remembered. HS_BUCKETS when it is not. */
static __always_inline __u32 recalled(const struct hs_table *table,
				      const struct hs_table_copy *copy, const struct hs_flow *flow)
{
	__u64 word = *(const volatile __u64 *)&table->recall[hs_recall_place(flow)];

	if (copy->spread.pinned_live || (word ^ hs_recall_word(copy->spread.epoch, flow)) >> 16)
		return HS_BUCKETS;
	return word & 0xffff;
}

/*
 * As the table says; both HS_SLOT_NONE when it says nothing. `recall`: of datagrams.
 *
 * A copy is filled only while the word names the other one. So what was read of it holds if the
 * word is still the same behind that; if it is not, it is read again. (Loads of one CPU may come in
 * another order on some machines; there a writer waits, see plane/parts/table.c.)
 */
static __always_inline __u32 places_by_table(struct sk_reuseport_md *md, struct bpf_sock *moving,
					     const struct hs_control *control, __u64 word,
					     const struct hs_flow *flow, int recall)
{
	__u32 places = HS_PLACES(HS_SLOT_NONE, HS_SLOT_NONE), index = HS_BUCKETS;
	struct hs_table *table = the_table();
	struct hs_client client;
	__u32 epoch;

	if (!table)
		return places;
	if (recall)
		index = recalled(table, copy_of(table, word), flow);
	if (index < HS_BUCKETS) {
		places = by_bucket(table, copy_of(table, word), index);
		if (*(const volatile __u64 *)&control->word == word)
			return places;
	}
	if (client_of(md, moving, &client))
		return HS_PLACES(HS_SLOT_NONE, HS_SLOT_NONE);
	epoch = copy_of(table, word)->spread.epoch;
	places = by_copy(table, word, &client, flow->sport, &index);
	if (*(const volatile __u64 *)&control->word != word)
		return (__u32)hs_places_again(client.high, client.low, flow->sport);
	if (recall)
		*(volatile __u64 *)&table->recall[hs_recall_place(flow)] =
			hs_recall_word(epoch, flow) | index;
	return places;
}

/* Under HS_POLICY_HASH without a table. By itself, so that the verifier looks at it once. */
__noinline int hs_hashed(__u64 key, __u32 hash)
{
	__u32 zero = 0;
	struct hs_shards *shards = bpf_map_lookup_elem(&hs_shards, &zero);

	return shards ? (int)hs_hash_slot(key, hash, hs_ready_slots(shards)) : HS_SLOT_NONE;
}

/* Where the word wants the flow. */
static __always_inline __u32 hs_places(struct sk_reuseport_md *md, struct bpf_sock *moving,
				       const struct hs_control *control, __u64 word,
				       struct hs_flow *flow, int recall)
{
	__u32 places;

	if (hs_word_policy(word) == HS_POLICY_HASH) {
		places = places_by_table(md, moving, control, word, flow, recall);
		if ((places & 0xff) < HS_SLOTS_MAX)
			return places;
		return HS_PLACES((__u32)hs_hashed(control->hash_key, flow->hash), HS_SLOT_NONE);
	}
	if (control->canary_mode && hs_word_share(word))
		classify(md, flow);
	return HS_PLACES(hs_word_slot(word, control->hash_key, flow), HS_SLOT_NONE);
}
