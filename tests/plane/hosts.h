/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Hosts behind a front: two servers of the rig in network namespaces of their own, and a switch in
 * a third one, to which the rig's own namespace, the front's, is connected by a device. Each host
 * has the service's addresses on its loopback device, and says nothing of them on the wire.
 */
#pragma once

#include "hs_abi.h"
#include "plane/front/decap.h"
#include "rig.h"
#include "server.h"

#define HOSTS_DEVICE	 "front0" /* the front's */
#define HOST_DEVICE	 "host0"  /* of each host */
#define HOSTS_SERVICE	 "198.51.100.10"
#define HOSTS_SERVICE_ID 7
#define HOSTS_SERVICE6	 "2001:db8::10"

struct hosts {
	struct server *a, *b, *wire; /* A and B in slots 0 and 1 */
	uint32_t ifindex;
};

/* `offload`: devices make checksums, and cut large packets, or rather nobody does between network
 * namespaces; without it each packet is whole, and its checksums are looked at. */
struct hosts hosts_begin(struct rig *rig, bool offload);

/* Addresses as they are everywhere, IPv4 as ::ffff:a.b.c.d: of the service, of the front, of a host
 * by its number. */
void hosts_service(bool ipv6, uint8_t ret_ip[16]);
void hosts_front(bool ipv6, uint8_t ret_ip[16]);
void hosts_host(unsigned number, bool ipv6, uint8_t ret_ip[16]);
/* The same to listen on, or to connect to. */
struct address hosts_address(const uint8_t ip[16], uint16_t port, bool udp);

/* A host unpacks what comes for these; see plane/front/decap.h. Both have one set of pins here. */
void hosts_unpack(const struct server *host, const struct address *addresses, size_t n);

/* The same of these alone; see DecapFrom=. */
void hosts_unpack_of(const struct server *host, const struct address *addresses, size_t n,
		     const struct hs_prefix *from, size_t n_from);

/* For another service, or by other terms. */
void hosts_unpack_by(const struct server *host, uint32_t service_id,
		     const struct address *addresses, size_t n, const struct decap_terms *terms);

/* A command of a shell in the network of a server, or in our own (NULL); it must succeed. */
void hosts_run(const struct server *where, const char *template, ...)
	__attribute__((format(printf, 2, 3)));
