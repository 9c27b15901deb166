/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The raw sockets: datagrams with templates, as they come to this machine. */
#pragma once

#include <sys/types.h>

#include "core/wire/replay.h"

/* The lifetime of what is sent again: one of ours on loopback is not heard as an exporter's. */
#define REPLAY_HOPS 1

#define HEARING_SIZE 65536

/* A socket that hears what comes to these addresses, or -errno; -ENOENT: none is of the family. */
int hearing_open(const struct replay_watch *watch, bool ipv6);

/* Reads one datagram: what is in it behind the header of UDP, which stands in `buffer`.
 * -EAGAIN: there is none. 0: one that is not to be looked at. */
ssize_t hearing_read(int fd, bool ipv6, uint8_t buffer[HEARING_SIZE],
		     struct exporter_ends *ret_ends, const uint8_t **ret_data);
