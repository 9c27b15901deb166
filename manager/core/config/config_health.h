/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Section [Health] of a service's settings: what its instances are asked, how often, and what a
 * good answer is. Part of struct config. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/proxyheader.h"
#include "core/setting.h"
#include "core/watch/probe.h"

#define CONFIG_HEALTH_SECTION "Health"
#define CONFIG_PROBES_MAX     8
#define CONFIG_STATUS_MAX     8
#define CONFIG_HOST_MAX	      254 /* with the NUL */
#define CONFIG_TEXT_MAX	      256
#define CONFIG_USER_MAX	      32
#define CONFIG_ROUNDS_MAX     100 /* of Fall= and Rise= */

/* microseconds: every wait ends */
#define CONFIG_INTERVAL_MIN UINT64_C(100000)	 /* 100 ms */
#define CONFIG_INTERVAL_MAX UINT64_C(3600000000) /* 1 h */
#define CONFIG_TIMEOUT_MIN  UINT64_C(10000)	 /* 10 ms */
#define CONFIG_TIMEOUT_MAX  UINT64_C(60000000)	 /* 1 min */

struct status_range {
	uint16_t from, to;
};

struct config_health {
	unsigned n_probes; /* Probe=: 0 = nothing is asked */
	struct probe_spec probes[CONFIG_PROBES_MAX];
	uint64_t interval_usec;	    /* Interval= */
	uint64_t timeout_usec;	    /* Timeout=: of each probe */
	struct health_rule rule;    /* Fall=, Rise= */
	enum proxy_header proxy;    /* Proxy= */
	char host[CONFIG_HOST_MAX]; /* Host=: "" = the address itself */
	char text[CONFIG_TEXT_MAX]; /* Text=: "" = any */
	char user[CONFIG_USER_MAX]; /* User=: of plugins; "" = one of their own */
	unsigned n_status;	    /* Status= */
	struct status_range status[CONFIG_STATUS_MAX];
};

/* The keys of this section, as config_key(); they are set in a struct config_health. */
const struct setting *config_health_key(size_t index);

/* Whether an HTTP status is a good answer. */
bool config_health_takes(const struct config_health *health, unsigned status);
bool status_is_good(const struct status_range *ranges, unsigned n_ranges, unsigned status);
