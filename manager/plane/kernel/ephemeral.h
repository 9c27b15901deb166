/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The ports that the kernel gives to those who name none: clients', and those of servers that have
 * a question of their own. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct ephemeral {
	uint16_t low, high; /* host byte order, both included */
};

/* net.ipv4.ip_local_port_range (ip(7)) of this process's network namespace; the kernel's default
 * when it cannot be read. */
struct ephemeral ephemeral_range(void);
bool ephemeral_has(struct ephemeral range, uint16_t port);
