// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The decision of bpf/select/hs_decide.h, compiled and run by the kernel's BPF machine, for
 * comparison with what gcc makes of it. The selector itself cannot be run on made-up input (the
 * kernel has no test run for sk_reuseport), a program for tc can.
 */
#include "hs_bpf.h"

#include <linux/pkt_cls.h>

#include "decide_tc.h"

int hs_decide_tc(struct __sk_buff *skb);

struct decide_input input;
struct decide_output output;

SEC("tc")
int hs_decide_tc(struct __sk_buff *skb)
{
	struct hs_flow flow = {.hash = input.hash, .sport = input.sport};

	(void)skb;
	output.wanted = hs_wanted_slot(input.word, input.key, &flow, &input.shards);
	output.ready = hs_ready_slots(&input.shards);
	output.next = hs_next_slot(input.word, input.ready);
	output.shard = hs_pick_shard(input.bits, input.hash);
	output.mixed = hs_mix(input.key, input.hash);
	return TC_ACT_OK;
}

char _license[] SEC("license") = "GPL";
