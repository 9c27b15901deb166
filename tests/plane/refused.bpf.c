// SPDX-License-Identifier: GPL-2.0-or-later
/* A program that no verifier lets pass: it reads a packet without asking where that ends. */
#include "hs_bpf.h"

int hs_refused(struct sk_reuseport_md *md);

SEC("sk_reuseport")
int hs_refused(struct sk_reuseport_md *md)
{
	return *(volatile __u8 *)md->data ? SK_PASS : SK_DROP;
}

char _license[] SEC("license") = "GPL";
