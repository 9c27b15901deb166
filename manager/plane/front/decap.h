/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A host behind a front in `ipip` (bpf/front/hs_decap.h): a program on its devices takes packets
 * out of those that the front has put them into, for the addresses on which its services listen.
 * One for all services; it stays when we end. What it does not know of connections it passes on to
 * the second host that the front has named, once.
 *
 * The packets come from the device that they came by, as if they had never been inside: rp_filter
 * looks at that device. With 1 (strict) it drops what comes by another one than the way back to the
 * client leads, as it does without a front.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "core/address.h"
#include "hs_abi.h"
#include "util/problem.h"

/* Which packets these are. */
struct decap_terms {
	const char *device; /* the only one that they come by; "": all that have an address */
	/* fronts, and the other hosts: what these have packed is unpacked, and one of them may be a
	 * second host. None: all, and whoever is on a network of a device that has an address */
	const struct hs_prefix *from;
	size_t n_from;
};

/*
 * The service listens on these; those in other network namespaces are left out. Programs of another
 * build are replaced. Again is no harm. With an error there is a sentence.
 */
int decap_apply(uint32_t service_id, const struct address *const *addresses, size_t n,
		const struct decap_terms *terms, struct problem *problem);
/* A number that differs when devices or addresses have come, gone or changed, by which it is
 * applied in another way; a second old at most. 0: they cannot be listed. */
uint64_t decap_devices_mark(void);

/* With the last service: off all devices, the pins away. 0 also when there is nothing. */
int decap_remove(uint32_t service_id);

struct decap_totals {
	uint64_t packets, bytes; /* taken out */
	uint64_t passed_on;	 /* to the second host */
};

/* -ENOENT: the service has none. */
int decap_totals(uint32_t service_id, struct decap_totals *ret_totals);
