// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/canary.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/macro.h"
#include "util/parse.h"

#define MAPPED_BITS 96 /* of ::ffff:0:0 before an IPv4 address */

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

int canary_set_by(struct canary_filter *filter, const char *text)
{
	bool client = !strcmp(text, "client");

	if (!client && strcmp(text, "connection"))
		return -EINVAL;
	filter->by_client = client;
	return 0;
}

const char *canary_by(const struct canary_filter *filter)
{
	return filter->by_client ? "client" : "connection";
}

/* How many bits of `ip` an address of this family begins at; -EINVAL when it is none. */
static int parse_address(const char *text, uint8_t ip[16])
{
	if (inet_pton(AF_INET6, text, ip) == 1)
		return 0;
	memcpy(ip, mapped, sizeof(mapped));
	return inet_pton(AF_INET, text, ip + sizeof(mapped)) == 1 ? MAPPED_BITS : -EINVAL;
}

static void drop_bits(struct hs_prefix *prefix)
{
	for (unsigned bit = prefix->length; bit < 128; bit++)
		prefix->ip[bit / 8] &= ~(0x80 >> bit % 8);
}

int prefix_parse(const char *text, struct hs_prefix *ret_prefix)
{
	char address[INET6_ADDRSTRLEN];
	const char *slash = strchr(text, '/');
	size_t n = slash ? (size_t)(slash - text) : strlen(text);
	struct hs_prefix prefix = {.length = 128};
	uint64_t length;
	int base;

	if (n >= sizeof(address))
		return -EINVAL;
	memcpy(address, text, n);
	address[n] = '\0';
	base = parse_address(address, prefix.ip);
	if (base < 0)
		return base;
	if (slash) {
		if (parse_unsigned(slash + 1, 0, 128 - base, &length) < 0)
			return -EINVAL;
		prefix.length = base + length;
	}
	drop_bits(&prefix);
	*ret_prefix = prefix;
	return 0;
}

static int compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct hs_prefix));
}

void canary_sort(struct canary_filter *filter)
{
	qsort(filter->prefixes, filter->n, sizeof(filter->prefixes[0]), compare);
}

int canary_add(struct canary_filter *filter, const char *text)
{
	struct hs_prefix prefix;
	int r = prefix_parse(text, &prefix);

	if (r < 0)
		return r;
	for (unsigned i = 0; i < filter->n; i++)
		if (!compare(&filter->prefixes[i], &prefix))
			return 0;
	if (filter->n == HS_PREFIXES_MAX)
		return -E2BIG;
	filter->prefixes[filter->n++] = prefix;
	canary_sort(filter);
	return 0;
}

int canary_add_list(struct canary_filter *filter, const char *text, struct problem *problem)
{
	char word[64];
	size_t n;
	int r;

	for (;; text += n + 1) {
		n = strcspn(text, ",");
		snprintf(word, sizeof(word), "%.*s", (int)MIN(n, sizeof(word)), text);
		r = n < sizeof(word) ? canary_add(filter, word) : -EINVAL;
		if (r == -E2BIG)
			return problem_set(problem, r,
					   "a canary can be for %d prefixes at the most",
					   HS_PREFIXES_MAX);
		if (r < 0)
			return problem_set(problem, r,
					   "\"%s\" is not a prefix of addresses, such as "
					   "10.1.0.0/16 or 2001:db8::/32",
					   word);
		if (!text[n])
			return 0;
	}
}

bool canary_equal(const struct canary_filter *a, const struct canary_filter *b)
{
	return a->by_client == b->by_client && a->n == b->n &&
	       !memcmp(a->prefixes, b->prefixes, a->n * sizeof(a->prefixes[0]));
}

const char *prefix_format(const struct hs_prefix *prefix, char text[PREFIX_TEXT_MAX])
{
	bool v4 = prefix->length >= MAPPED_BITS && !memcmp(prefix->ip, mapped, sizeof(mapped));
	char ip[INET6_ADDRSTRLEN] = "";

	inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? prefix->ip + sizeof(mapped) : prefix->ip, ip,
		  sizeof(ip));
	snprintf(text, PREFIX_TEXT_MAX, "%s/%u", ip, prefix->length - (v4 ? MAPPED_BITS : 0));
	return text;
}

void canary_format(const struct canary_filter *filter, char *text, size_t size)
{
	char one[PREFIX_TEXT_MAX];
	size_t used = 0;

	text[0] = '\0';
	for (unsigned i = 0; i < filter->n; i++) {
		prefix_format(&filter->prefixes[i], one);
		if (used + strlen(one) + sizeof(", ...") >= size) {
			snprintf(text + used, size - used, ", ...");
			return;
		}
		used += snprintf(text + used, size - used, "%s%s", i ? ", " : "", one);
	}
}
