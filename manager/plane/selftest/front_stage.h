/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A front to try: the programs that are used, with maps of their own, pinned nowhere, on a device
 * of the network namespace that we are in. They go with this process. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/config/config_front.h"
#include "util/problem.h"

/* What it sends to, and from; see struct hs_front_host. */
#define FRONT_STAGE_HOST_MAC 0x110000000002
#define FRONT_STAGE_PORT     443

struct front_bpf;
struct front_device_bpf;

struct front_stage {
	struct front_bpf *front;
	struct front_device_bpf *device;
	uint32_t ifindex;
	int link; /* -1: it is not attached */
};

/* Addresses of that family, network byte order; IPv4 as ::ffff:a.b.c.d. */
struct front_stage_ends {
	uint8_t service[16], host[16], own[16];
};
const struct front_stage_ends *front_stage_ends(bool ipv6);

/* Loads them. With an error there is a sentence; -EPERM says nothing about the kernel. */
int front_stage_open(uint32_t ifindex, struct front_stage *ret_stage, struct problem *problem);
void front_stage_close(struct front_stage *stage);
/* In the driver, or behind it. -errno. */
int front_stage_attach(struct front_stage *stage, bool native);
/* From now on in this mode (enum front_mode), to the host of that family. -errno. */
int front_stage_set(const struct front_stage *stage, unsigned mode, bool ipv6);
