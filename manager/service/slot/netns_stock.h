/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sockets in the network namespaces of instances, which hsd may not enter: a few are kept ready for
 * each kind that is asked for, and others are fetched by the host as they are taken. Of
 * netlink sockets one serves all who ask, one after the other.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "plane/kernel/netns.h"
#include "service/host.h"

/* From now on netns_socket() takes from it; -EAGAIN when there is none yet, and one is on its way.
 * One for the process; netns_stock_done() ends it. */
void netns_stock_begin(const struct host *host);
void netns_stock_done(void);

/* A namespace that will be asked about. */
void netns_stock_expect(const struct netns *netns);
/* Lets go of those of which `is_used` does not say so. */
void netns_stock_sweep(bool (*is_used)(uint32_t inode, void *userdata), void *userdata);
