/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Collectors: servers by UDP whose clients keep their port and never rest, so that with
 * Flow=connection nothing ever moves one. Told by the program or by the port. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/config/config.h"
#include "core/setup/lint.h"

#define COLLECTOR_REMEDY \
	"Flow=none is what exporters want: then Policy= alone says which slot a datagram goes to"

/* What comes to a UDP port that collectors are known by, "NetFlow"; NULL = nothing of the kind. */
const char *collector_protocol(uint16_t port);

/* The one rule: a program that is a collector, or a port of one in Ports=, with Flow=connection. */
void collector_lint(struct lint_report *report, const struct lint_unit *service,
		    const struct config *config);
