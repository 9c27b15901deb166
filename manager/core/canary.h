/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which flows may become canaries, beside the share and the slot in the routing word: the clients
 * that it is for, and what the share is taken of. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "hs_abi.h"
#include "util/problem.h"

#define PREFIX_TEXT_MAX 52

/* All 0: any client, by connection. */
struct canary_filter {
	bool by_client;
	unsigned n; /* 0 = all clients */
	/* sorted, no two alike, no bits set behind the length */
	struct hs_prefix prefixes[HS_PREFIXES_MAX];
};

/* "connection" or "client". -EINVAL. */
int canary_set_by(struct canary_filter *filter, const char *text);
const char *canary_by(const struct canary_filter *filter);

/* Adds one: "10.1.0.0/16", "2001:db8::/32", or an address alone. Bits behind the length are
 * dropped. -EINVAL: it is none; -E2BIG: HS_PREFIXES_MAX are there. */
int canary_add(struct canary_filter *filter, const char *text);
/* Adds those of a list with commas. What is wrong is in the sentence. */
int canary_add_list(struct canary_filter *filter, const char *text, struct problem *problem);

bool canary_equal(const struct canary_filter *a, const struct canary_filter *b);
/* Puts prefixes in order that came in any. */
void canary_sort(struct canary_filter *filter);

/* "10.1.0.0/16", "2001:db8::/32", or an address alone. Bits behind the length are dropped. -EINVAL:
 * it is none. */
int prefix_parse(const char *text, struct hs_prefix *ret_prefix);
/* "10.1.0.0/16", "2001:db8::1/128". Returns `text`. */
const char *prefix_format(const struct hs_prefix *prefix, char text[PREFIX_TEXT_MAX]);
/* The same for all of them, with commas; as many as there is room for, then "...". */
void canary_format(const struct canary_filter *filter, char *text, size_t size);
