/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The identity of a listener: protocol, family, address, port, and what else tells two reuseport
 * groups apart. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ADDRESS_TEXT_MAX 112
#define ADDRESS_PIN_MAX	 96

struct address {
	uint8_t family; /* AF_INET, AF_INET6 */
	bool udp;	/* else TCP */
	bool v6only; /* false for [::] = dual-stack: another group than 0.0.0.0 and than v6-only */
	uint16_t port;	  /* host byte order */
	uint32_t ifindex; /* bound device, 0 = none */
	/* inode number of the network namespace, as lsns(8) shows it; 0 = the manager's own */
	uint32_t netns;
	uint8_t ip[16]; /* network byte order; the first 4 for AF_INET, the rest 0 */
};

bool address_equal(const struct address *a, const struct address *b);

/* Whether the kernel prefers a socket on `a` to one on `b` for some destination that both stand
 * for, because it is more specific: an address to the wildcard, IPv4 to a dual-stack socket, one
 * that is bound to a device. Kernel: __inet_lookup_listener(), compute_score(). */
bool address_beats(const struct address *a, const struct address *b);

/* Whether a socket on `a` gets all that is sent to `b` while nobody has a socket there. */
bool address_covers(const struct address *a, const struct address *b);

/* A multicast group, or everybody: each UDP socket there gets a copy, nobody is asked which one. */
bool address_is_for_many(const struct address *address);

/* "0.0.0.0:8080", "[::]:8080", "[::]:8080 (v6 only)", "10.0.0.1:80%3" (bound to interface 3).
 * Returns `text`. */
const char *address_format(const struct address *address, char text[ADDRESS_TEXT_MAX]);
/* The same for sentences, where it stands alone: "UDP 0.0.0.0:53", "0.0.0.0:80 in network namespace
 * 4026532281". */
const char *address_describe(const struct address *address, char text[ADDRESS_TEXT_MAX]);

/* The folder name of the listener's pins: "tcp4-0_0_0_0-8080", "tcp-::-8080" (dual-stack),
 * "tcp6-::1-8080", "udp4-...", "...-if3", "...-ns4026532281", "...-if3-ns4026532281". Back and
 * forth without loss. */
const char *address_to_pin(const struct address *address, char name[ADDRESS_PIN_MAX]);
/* -EINVAL when the name is not of this form. */
int address_from_pin(const char *name, struct address *ret_address);
