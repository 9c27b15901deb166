// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/wire/replay.h"

#include <string.h>

static const uint8_t any[16], mapped[12] = {[10] = 0xff, [11] = 0xff};

size_t replay_send_size(unsigned n)
{
	return offsetof(struct replay_send, numbers) + n * sizeof(uint32_t);
}

size_t replay_places_size(unsigned n)
{
	return offsetof(struct replay_places, places) + n * sizeof(struct replay_place);
}

static bool is_good_list(const void *packet, size_t size)
{
	const struct replay_places *places = packet;

	return size >= replay_places_size(0) && places->n <= REPLAY_PART &&
	       size == replay_places_size(places->n);
}

enum replay_kind replay_check(const void *packet, size_t size)
{
	uint32_t kind = REPLAY_KINDS;

	if (size >= sizeof(kind))
		memcpy(&kind, packet, sizeof(kind));
	if ((kind == REPLAY_COUNTS && size == sizeof(struct replay_counts)) ||
	    (kind == REPLAY_SENT && size == sizeof(struct replay_sent)) ||
	    (kind == REPLAY_PLACES && is_good_list(packet, size)))
		return kind;
	return REPLAY_KINDS;
}

static bool is_ipv4(const uint8_t ip[16])
{
	return !memcmp(ip, mapped, sizeof(mapped));
}

static bool is_any(const struct replay_listener *listener)
{
	return !memcmp(listener->ip, any, sizeof(any));
}

/* The one with this very address is asked before those that take all. */
static const struct replay_listener *find(const struct replay_watch *watch,
					  const struct exporter_ends *seen)
{
	const struct replay_listener *found = NULL;
	bool ipv4 = is_ipv4(seen->dest);

	for (unsigned i = 0; i < watch->n && i < REPLAY_LISTENERS_MAX; i++) {
		const struct replay_listener *one = &watch->listeners[i];

		if (one->port != seen->dest_port || !(ipv4 ? one->ipv4 : one->ipv6))
			continue;
		if (!memcmp(one->ip, seen->dest, sizeof(one->ip)))
			return one;
		if (is_any(one))
			found = one;
	}
	return found;
}

bool replay_ends(const struct replay_watch *watch, const struct exporter_ends *seen,
		 struct exporter_ends *ret_ends)
{
	const struct replay_listener *listener = find(watch, seen);

	if (!listener)
		return false;
	*ret_ends = *seen;
	if (!is_any(listener)) {
		ret_ends->source_port ^= 0x8000;
		/* no port is 0 */
		ret_ends->source_port = ret_ends->source_port ?: 1;
	} else if (is_ipv4(seen->dest)) {
		memcpy(ret_ends->dest + 12, (uint8_t[]) {127, 0, 0, 1}, 4);
	} else {
		memset(ret_ends->dest, 0, 15);
		ret_ends->dest[15] = 1;
	}
	return true;
}
