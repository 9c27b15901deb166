/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Of decap.c: whose packets a service takes out, and whom it passes them on to. */
#pragma once

#include <ifaddrs.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hs_abi.h"

/* What map "peers" says of the service; `from`: as in struct decap_terms. 0, or -errno. */
int decap_peers_set(int fd, uint32_t service_id, const struct hs_prefix *from, size_t n_from);
void decap_peers_forget(int fd, uint32_t service_id);

/* An address of a network that others are on. */
bool decap_peers_is_there(const struct ifaddrs *one);
