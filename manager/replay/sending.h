/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Datagrams in the name of an exporter, to an address of this machine. */
#pragma once

#include "core/wire/replay.h"

struct sending {
	int fds[2]; /* raw, of IPv4 and IPv6; -1: it could not be made, or not yet */
	uint32_t datagrams;
	int error; /* the last one's; 0 = none */
};

void sending_init(struct sending *sending);
/* All templates of an exporter. What could not be sent is in `error`. */
void sending_send(struct sending *sending, const struct exporter *exporter,
		  const struct exporter_ends *ends);
