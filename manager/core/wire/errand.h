/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What hsd and the processes that speak to servers for it tell each other: hs-probe, which asks by
 * TCP and HTTP, and hs-plugin, which runs one plugin. Each is one packet on a socket pair; they are
 * of one build, or ERRAND_VERSION tells that they are not.
 *
 * Those processes have no privilege and read what instances send, so nothing that comes from them
 * is trusted: sizes, numbers and texts are looked at before they are used (errand_check_*).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/config/config_health.h"

#define ERRAND_VERSION	   3
#define ERRAND_ADDRESS_MAX 64
#define ERRAND_OUTPUT_MAX  4096
#define ERRAND_PACKET_MAX  8192

/* The first packet of either process. */
struct errand_hello {
	uint32_t version;
};

/* To hs-probe, with a socket that is connected or on its way (SCM_RIGHTS). */
struct errand {
	uint64_t id;
	uint64_t timeout_usec;
	uint64_t connect_usec; /* of that, until the connection is made */
	uint32_t kind;	       /* enum probe_kind; not PROBE_EXEC */
	uint32_t n_status;
	struct status_range status[CONFIG_STATUS_MAX];
	char address[ERRAND_ADDRESS_MAX]; /* where the socket leads: "[::1]"; "": to a path */
	uint32_t port;
	uint32_t proxy; /* enum proxy_header */
	char path[PROBE_TEXT_MAX];
	char host[CONFIG_HOST_MAX];
	char text[CONFIG_TEXT_MAX];
};

/* From hs-probe. */
struct errand_end {
	uint64_t id;
	uint32_t verdict; /* enum probe_verdict */
	char words[PROBLEM_TEXT_MAX];
};

/* To hs-plugin: runs it, and ends all of it after `timeout_usec`. */
struct errand_plugin {
	uint64_t id;
	uint64_t timeout_usec;
	uint32_t alone; /* its user is nobody else's: all that runs as that is the plugin's */
	uint32_t n_words, n_environment;
	/* the words, then the environment, each with its NUL */
	char text[PROBE_TEXT_MAX + 1024];
};

/* From hs-plugin. */
struct errand_plugin_end {
	uint64_t id;
	uint32_t timed_out; /* it was ended */
	int32_t status;	    /* as waitpid(2) has it; when it was not ended */
	uint32_t size;	    /* of what it has said */
	char output[ERRAND_OUTPUT_MAX];
};

/* Whether a packet of `size` bytes may be used as what it should be; the texts in it end then. */
bool errand_check_hello(const void *packet, size_t size);
bool errand_check_end(struct errand_end *end, size_t size);
bool errand_check_plugin_end(const struct errand_plugin_end *end, size_t size);

/* Copies the first line of `size` bytes, in printable ASCII. */
void errand_first_line(const char *text, size_t size, struct problem *ret_line);
