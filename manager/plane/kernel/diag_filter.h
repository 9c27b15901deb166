/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which sockets sock_diag(7) is to list, as a program that the kernel runs for each socket that it
 * passes by (INET_DIAG_REQ_BYTECODE). How many there are on a machine is any user's choice, and to
 * pass one by is many times cheaper than to tell of it.
 *
 * Kernel: inet_diag_bc_audit(), inet_diag_bc_run().
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/address.h"

/* Sockets that are on one of the addresses, or were made in one of the control groups. */
struct diag_wanted {
	const struct address *addresses;
	size_t n_addresses;
	bool by_port;		 /* of the addresses only protocol and port count */
	const uint64_t *cgroups; /* by id: that one, not what is below it (Linux 5.9) */
	size_t n_cgroups;
};

/* The socket that this dump is about. */
struct diag_kind {
	uint8_t family;
	bool udp;
	uint32_t netns; /* as struct address has it */
};

struct diag_filter {
	uint8_t *code;
	size_t n;      /* 0: no such socket is wanted */
	uint16_t port; /* of all that are wanted; 0 = of several. To pass by is cheaper yet by it */
};

/* -E2BIG: more than the offsets in such a program can tell. */
int diag_filter_new(const struct diag_wanted *wanted, const struct diag_kind *kind,
		    struct diag_filter *ret_filter);
void diag_filter_done(struct diag_filter *filter);
