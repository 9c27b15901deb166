// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A try of the front's program before it gets packets: with maps of its own it is given one made-up
 * packet for each mode, and what it makes of it is looked at. A verifier that lets it through, and
 * the machine code that this kernel makes of it, may still be wrong.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <string.h>

#include "front.skel.h"
#include "hs_forward.h"
#include "plane/bpf/load.h"
#include "plane/front/front_state.h"
#include "util/macro.h"

DEFINE_CLEANUP(struct front_bpf, front_bpf__destroy)

#define LOOPBACK 1 /* what such a run is said to come from */
#define FRAME	 (HS_ETHERNET + HS_IPV4 + HS_TCP_HEADER + 6)
#define ROOM	 64
#define HOST_MAC 0x112233445566
#define OWN_MAC	 0x665544332211

/* 203.0.113.5:40000 asks 198.51.100.10:443 for a connection; six bytes of padding. */
static const uint8_t asked[FRAME] = {
	0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, 0x08, 0x00,
	0x45, 0x00, 0x00, 0x28, 0x00, 0x00, 0x40, 0x00, 0x40, 0x06, 0xae, 0x9d, 203,  0,
	113,  5,    198,  51,	100,  10,   0x9c, 0x40, 0x01, 0xbb, 0x00, 0x00, 0x00, 0x01,
	0x00, 0x00, 0x00, 0x00, 0x50, 0x02, 0x40, 0x00, 0x00, 0x00, 0x00, 0x00,
};

struct made {
	uint8_t bytes[FRAME + ROOM];
	uint32_t size, verdict;
};

static const uint8_t host_ip[4] = {192, 0, 2, 11}, own_ip[4] = {192, 0, 2, 1};

static uint16_t sum_of(const uint8_t *bytes, size_t n)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < n; i += 2)
		sum += hs_get16(bytes + i);
	return hs_fold(sum);
}

/* Of TCP, with the addresses before it, without what is behind it. */
static uint16_t sum_of_tcp(const uint8_t *ip)
{
	uint64_t sum = (uint64_t)sum_of(ip + 12, 8) + sum_of(ip + HS_IPV4, HS_TCP_HEADER);

	return hs_fold(sum + hs_be16(HS_PROTO_TCP) + hs_be16(HS_TCP_HEADER));
}

/* With all checksums. */
static void make_frame(uint8_t frame[FRAME])
{
	uint8_t *ip = frame + HS_ETHERNET;

	memcpy(frame, asked, FRAME);
	hs_put16(ip + 10, 0);
	hs_put16(ip + 10, (uint16_t)~sum_of(ip, HS_IPV4));
	hs_put16(ip + HS_IPV4 + 16, (uint16_t)~sum_of_tcp(ip));
}

/* The word of a new map is right for it: slot 0 is active, and nobody a canary. */
static int fill(const struct front_bpf *skel, uint32_t mode)
{
	struct hs_front front = {
		.layout = HS_FRONT_LAYOUT, .mode = mode, .taking = 1, .n_addresses = 1};
	struct hs_front_host *host = &front.hosts[0];
	uint32_t zero = 0;

	hs_set_ipv4(front.addresses[0], hs_get32(asked + HS_ETHERNET + 16));
	hs_set_ipv4(host->ip, hs_get32(host_ip));
	hs_set_ipv4(host->outer, hs_get32(own_ip));
	host->next_mac = HOST_MAC;
	host->own_mac = OWN_MAC;
	host->ifindex = LOOPBACK;
	host->mtu = 1500;
	host->flags = HS_FRONT_CONFIGURED;
	return bpf_map_update_elem(bpf_map__fd(skel->maps.hs_front), &zero, &front, BPF_ANY)
		       ? -errno
		       : 0;
}

static int run(const struct front_bpf *skel, uint32_t mode, struct made *made)
{
	uint8_t frame[FRAME];
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame, .data_size_in = FRAME,
		    .data_out = made->bytes, .data_size_out = sizeof(made->bytes));
	int r = fill(skel, mode);

	if (r < 0)
		return r;
	make_frame(frame);
	if (bpf_prog_test_run_opts(bpf_program__fd(skel->progs.hs_front_fwd), &options))
		return -errno;
	made->size = options.data_size_out;
	made->verdict = options.retval;
	return 0;
}

static bool is_right_inner(const uint8_t *ip)
{
	uint8_t frame[FRAME];

	make_frame(frame);
	return !memcmp(ip, frame + HS_ETHERNET, FRAME - HS_ETHERNET);
}

static bool is_right(uint32_t mode, const struct made *made)
{
	const uint8_t *ip = made->bytes + HS_ETHERNET;

	if (made->verdict != XDP_TX || hs_get_mac(made->bytes) != HOST_MAC ||
	    hs_get_mac(made->bytes + 6) != OWN_MAC || sum_of(ip, HS_IPV4) != 0xffff)
		return false;
	if (mode == HS_FRONT_DSR)
		return made->size == FRAME && is_right_inner(ip);
	if (memcmp(ip + 16, host_ip, 4))
		return false;
	if (mode == HS_FRONT_IPIP)
		return made->size == FRAME + HS_IPV4 && ip[9] == HS_PROTO_IPIP &&
		       !memcmp(ip + 12, own_ip, 4) && is_right_inner(ip + HS_IPV4);
	return made->size == FRAME && ip[8] == asked[HS_ETHERNET + 8] - 1 &&
	       sum_of_tcp(ip) == 0xffff;
}

int front_try(struct problem *problem)
{
	static const char *const names[] = {"", "dsr", "ipip", "nat"};
	_cleanup_(front_bpf__destroyp) struct front_bpf *skel = front_bpf__open();
	struct made made;
	int r = skel ? load_object(skel->obj, "the program of a front", problem)
		     : problem_set(problem, -errno, "cannot open the program of a front: %m");

	for (uint32_t mode = HS_FRONT_DSR; !r && mode < HS_FRONT_MODE_COUNT; mode++) {
		r = run(skel, mode, &made);
		if (r < 0)
			return problem_set(problem, r, "cannot try the program of a front: %s",
					   strerror(-r));
		if (!is_right(mode, &made))
			r = problem_set(
				problem, -EIO,
				"the program of a front was tried with one packet, and with "
				"Mode=%s this kernel makes something else of it than it "
				"should (verdict %u, %u bytes); it gets no packets",
				names[mode], made.verdict, made.size);
	}
	return r;
}
