// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/front/decap_peers.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "hs_decap.h"
#include "util/macro.h"

#define BOTH	(HS_DECAP_FROM | HS_DECAP_TO)
#define SERVICE 32U /* bits before those of the address */

/* What is wanted of one service. */
struct peers {
	struct hs_decap_peer *all;
	size_t n, room;
	uint32_t service_id;
};

static void peers_done(struct peers *peers)
{
	free(peers->all);
}

static int add(struct peers *peers, const struct hs_prefix *prefix)
{
	struct hs_decap_peer *more = peers->all;

	if (peers->n == peers->room) {
		peers->room = MAX(2 * peers->room, (size_t)8);
		more = reallocarray(peers->all, peers->room, sizeof(*more));
	}
	if (!more)
		return -ENOMEM;
	peers->all = more;
	more[peers->n] = (struct hs_decap_peer) {.length = SERVICE + prefix->length,
						 .service_id = peers->service_id};
	memcpy(more[peers->n++].ip, prefix->ip, 16);
	return 0;
}

/* ---- networks ---- */

bool decap_peers_is_there(const struct ifaddrs *one)
{
	return one->ifa_addr &&
	       (one->ifa_addr->sa_family == AF_INET || one->ifa_addr->sa_family == AF_INET6) &&
	       !(one->ifa_flags & IFF_LOOPBACK);
}

static unsigned count_bits(const uint8_t *bytes, size_t n)
{
	unsigned bits = 0;

	for (size_t i = 0; i < n; i++)
		bits += (unsigned)__builtin_popcount(bytes[i]);
	return bits;
}

static void clear_behind(struct hs_prefix *prefix)
{
	for (unsigned bit = prefix->length; bit < 128; bit++)
		prefix->ip[bit / 8] &= (uint8_t) ~(0x80U >> bit % 8);
}

static struct hs_prefix network_of(const struct ifaddrs *one)
{
	struct hs_prefix prefix = {.ip = {[10] = 0xff, [11] = 0xff}};
	const struct sockaddr_in *ip = (const void *)one->ifa_addr,
				 *mask = (const void *)one->ifa_netmask;
	const struct sockaddr_in6 *ip6 = (const void *)one->ifa_addr,
				  *mask6 = (const void *)one->ifa_netmask;

	if (one->ifa_addr->sa_family == AF_INET) {
		memcpy(prefix.ip + 12, &ip->sin_addr, 4);
		prefix.length = 96 + count_bits((const uint8_t *)&mask->sin_addr, 4);
	} else {
		memcpy(prefix.ip, &ip6->sin6_addr, 16);
		prefix.length = count_bits((const uint8_t *)&mask6->sin6_addr, 16);
	}
	clear_behind(&prefix);
	return prefix;
}

static int add_networks(struct peers *peers)
{
	struct ifaddrs *all;
	int r = 0;

	if (getifaddrs(&all) < 0)
		return -errno;
	for (const struct ifaddrs *one = all; !r && one; one = one->ifa_next)
		if (decap_peers_is_there(one) && one->ifa_netmask) {
			struct hs_prefix network = network_of(one);

			r = add(peers, &network);
		}
	freeifaddrs(all);
	return r;
}

/* ---- the map ---- */

static bool is_wanted(const struct peers *peers, const struct hs_decap_peer *key)
{
	for (size_t i = 0; i < peers->n; i++)
		if (!memcmp(&peers->all[i], key, sizeof(*key)))
			return true;
	return false;
}

/* From the first one again, as the one before has gone. */
static void forget_others(int fd, const struct peers *peers)
{
	struct hs_decap_peer key, *previous = NULL, last;

	while (!bpf_map_get_next_key(fd, previous, &key)) {
		if (key.service_id == peers->service_id && !is_wanted(peers, &key)) {
			if (bpf_map_delete_elem(fd, &key))
				return;
			previous = NULL;
			continue;
		}
		last = key;
		previous = &last;
	}
}

static int put(int fd, const struct hs_decap_peer *key, uint32_t flags)
{
	return bpf_map_update_elem(fd, key, &flags, BPF_ANY) ? -errno : 0;
}

/* The last one stands for all others: so nobody who is named is left out for a moment. */
int decap_peers_set(int fd, uint32_t service_id, const struct hs_prefix *from, size_t n_from)
{
	_cleanup_(peers_done) struct peers peers = {.service_id = service_id};
	int r = 0;

	for (size_t i = 0; !r && i < n_from; i++)
		r = add(&peers, &from[i]);
	if (!r && !n_from)
		r = add_networks(&peers);
	if (!r)
		r = add(&peers, &(struct hs_prefix) {0});
	for (size_t i = 0; !r && i + 1 < peers.n; i++)
		r = put(fd, &peers.all[i], BOTH);
	if (!r)
		r = put(fd, &peers.all[peers.n - 1], n_from ? 0 : HS_DECAP_FROM);
	if (!r)
		forget_others(fd, &peers);
	return r;
}

void decap_peers_forget(int fd, uint32_t service_id)
{
	forget_others(fd, &(struct peers) {.service_id = service_id});
}
