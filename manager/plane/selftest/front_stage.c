// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/selftest/front_stage.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <netinet/in.h>
#include <string.h>

#include "front.skel.h"
#include "front_device.skel.h"
#include "hs_front.h"
#include "plane/bpf/load.h"
#include "plane/selftest/front_wire.h"
#include "util/macro.h"

#define IPV4(a, b, c, d)                                     \
	{                                                    \
		[10] = 0xff, [11] = 0xff, (a), (b), (c), (d) \
	}
#define IPV6(net, last)                                         \
	{                                                       \
		0x20, 0x01, 0x0d, 0xb8, 0, (net), [15] = (last) \
	}

const struct front_stage_ends *front_stage_ends(bool ipv6)
{
	static const struct front_stage_ends ends[] = {
		{IPV4(198, 51, 100, 10), IPV4(192, 0, 2, 11), IPV4(192, 0, 2, 1)},
		{IPV6(1, 0x10), IPV6(0, 0x11), IPV6(0, 1)},
	};

	return &ends[ipv6];
}

static int put(const struct bpf_map *map, const void *key, const void *value)
{
	return bpf_map_update_elem(bpf_map__fd(map), key, value, BPF_ANY) ? -errno : 0;
}

static int fill(const struct front_stage *stage)
{
	int program = bpf_program__fd(stage->front->progs.hs_front_fwd), r;
	struct hs_front_port port = {.port = htons(FRONT_STAGE_PORT)};
	uint32_t zero = 0;

	r = put(stage->device->maps.hs_front_progs, &zero, &program);
	for (unsigned i = 0; !r && i < 4; i++) {
		memcpy(port.ip, front_stage_ends(i & 1)->service, sizeof(port.ip));
		port.protocol = i & 2 ? IPPROTO_UDP : IPPROTO_TCP;
		r = put(stage->device->maps.hs_front_ports, &port, &zero);
	}
	return r;
}

/* By its descriptor alone it would go a moment later. */
static void detach(struct front_stage *stage)
{
	if (stage->link >= 0)
		(void)bpf_link_detach(stage->link);
	stage->link = close_fd(stage->link);
}

int front_stage_open(uint32_t ifindex, struct front_stage *ret_stage, struct problem *problem)
{
	struct front_stage stage = {front_bpf__open(), front_device_bpf__open(), ifindex,
				    .link = -1};
	int r = stage.front && stage.device ? 0 : -errno;

	if (r)
		problem_set(problem, r, "opening the programs: %s", strerror(-r));
	if (!r)
		r = load_object(stage.front->obj, "the program of a front", problem);
	if (!r)
		r = load_object(stage.device->obj, "the program of a front's device", problem);
	if (!r) {
		r = fill(&stage);
		if (r)
			problem_set(problem, r, "filling the maps: %s", strerror(-r));
	}
	if (r)
		front_stage_close(&stage);
	else
		*ret_stage = stage;
	return r;
}

void front_stage_close(struct front_stage *stage)
{
	detach(stage);
	front_bpf__destroy(stage->front);
	front_device_bpf__destroy(stage->device);
	stage->front = NULL;
	stage->device = NULL;
}

int front_stage_attach(struct front_stage *stage, bool native)
{
	LIBBPF_OPTS(bpf_link_create_opts, options,
		    .flags = native ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE);

	detach(stage);
	stage->link = bpf_link_create(bpf_program__fd(stage->device->progs.hs_front_dev),
				      (int)stage->ifindex, BPF_XDP, &options);
	return stage->link < 0 ? -errno : 0;
}

/* The word of a new map is right for it: slot 0 is active, and nobody a canary. */
int front_stage_set(const struct front_stage *stage, unsigned mode, bool ipv6)
{
	struct hs_front front = {.layout = HS_FRONT_LAYOUT,
				 .mode = mode + HS_FRONT_DSR,
				 .taking = 1,
				 .n_addresses = 2};
	struct hs_front_host *host = &front.hosts[0];
	uint32_t zero = 0;

	for (unsigned i = 0; i < 2; i++)
		memcpy(front.addresses[i], front_stage_ends(i)->service, 16);
	memcpy(host->ip, front_stage_ends(ipv6)->host, 16);
	memcpy(host->outer, front_stage_ends(ipv6)->own, 16);
	host->next_mac = FRONT_STAGE_HOST_MAC;
	host->own_mac = FRONT_WIRE_MAC;
	host->ifindex = stage->ifindex;
	host->mtu = 1500;
	host->flags = HS_FRONT_CONFIGURED;
	return put(stage->front->maps.hs_front, &zero, &front);
}
