/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A list of ports in the settings: "80 443/tcp 53/udp". */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/setting.h"

#define CONFIG_PORTS_MAX 32

/* One of them, host byte order. */
struct config_port {
	uint16_t port;
	bool tcp, udp;
};

/* Reads a list: ascending, each once. `otherwise` says what else is allowed, in the sentence of
 * -EINVAL, with which nothing is set; see setting_set(). */
int ports_set(const struct setting_text *text, const char *otherwise,
	      struct config_port ret_ports[CONFIG_PORTS_MAX], unsigned *ret_n);
