// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/selftest/selftest_front.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <sched.h>
#include <string.h>

#include "hs_forward.h"
#include "plane/selftest/front_stage.h"
#include "plane/selftest/front_wire.h"
#include "plane/selftest/selftest_checks.h"
#include "util/macro.h"

/* Each is sent so often until it comes; it takes a hundredth of this. */
#define TRIES	4
#define WAIT_MS 150
#define LATE_MS 20

#define CLIENT_MAC  0x990000000002
#define CLIENT_PORT 40000
#define TTL	    64
#define PUSH	    0x08

static const struct kind {
	const char *name;
	bool ipv6, udp;
	uint8_t flags;
	uint16_t payload; /* odd: the last byte counts as well */
} kinds[] = {
	{"a SYN, IPv4,", false, false, HS_TCP_SYN, 0},
	{"TCP with data, IPv4,", false, false, HS_TCP_ACK | PUSH, 901},
	{"a datagram, IPv4,", false, true, 0, 901},
	{"a SYN, IPv6,", true, false, HS_TCP_SYN, 0},
	{"TCP with data, IPv6,", true, false, HS_TCP_ACK | PUSH, 901},
	{"a datagram, IPv6,", true, true, 0, 901},
};
_Static_assert(ARRAY_SIZE(kinds) == FRONT_TRIED, "as the header says");

/* ---- packets ---- */

static const uint8_t clients[][16] = {
	{[10] = 0xff, [11] = 0xff, 203, 0, 113, 5},
	{0x20, 0x01, 0x0d, 0xb8, 0, 2, [15] = 5},
};

static uint32_t l3_size(const struct kind *kind)
{
	return kind->ipv6 ? HS_IPV6 : HS_IPV4;
}

static uint32_t l4_size(const struct kind *kind)
{
	return (kind->udp ? HS_UDP_HEADER : HS_TCP_HEADER) + kind->payload;
}

static uint16_t checksum_at(const struct kind *kind)
{
	return kind->udp ? 6 : 16;
}

static uint64_t sum_of(const uint8_t *bytes, size_t n)
{
	uint64_t sum = 0;

	for (size_t i = 0; i + 1 < n; i += 2)
		sum += hs_get16(bytes + i);
	if (n % 2)
		sum += hs_be16((uint16_t)(bytes[n - 1] << 8));
	return sum;
}

/* What is left to a card begins with the sum of the addresses. */
static void put_checksum(const struct kind *kind, uint8_t *ip, bool half)
{
	uint8_t *l4 = ip + l3_size(kind), *at = l4 + checksum_at(kind);
	uint64_t sum = kind->ipv6 ? sum_of(ip + 8, 32) : sum_of(ip + 12, 8);

	sum += hs_be16(kind->udp ? HS_PROTO_UDP : HS_PROTO_TCP);
	sum += hs_be16((uint16_t)l4_size(kind));
	hs_put16(at, 0);
	hs_put16(at, half ? hs_fold(sum) : (uint16_t)~hs_fold(sum + sum_of(l4, l4_size(kind))));
}

static void put_ip(const struct kind *kind, uint8_t *ip, const uint8_t dest[16], uint8_t ttl)
{
	uint16_t size = (uint16_t)l4_size(kind);
	uint8_t protocol = kind->udp ? HS_PROTO_UDP : HS_PROTO_TCP;

	if (kind->ipv6) {
		ip[0] = 0x60;
		hs_put16(ip + 4, hs_be16(size));
		ip[6] = protocol;
		ip[7] = ttl;
		memcpy(ip + 8, clients[true], 16);
		memcpy(ip + 24, dest, 16);
		return;
	}
	ip[0] = 0x45;
	hs_put16(ip + 2, hs_be16((uint16_t)(size + HS_IPV4)));
	hs_put16(ip + 6, hs_be16(0x4000));
	ip[8] = ttl;
	ip[9] = protocol;
	memcpy(ip + 12, clients[false] + 12, 4);
	memcpy(ip + 16, dest + 12, 4);
	hs_put16(ip + 10, (uint16_t)~hs_fold(sum_of(ip, HS_IPV4)));
}

static void put_transport(const struct kind *kind, uint8_t *l4)
{
	uint32_t header = kind->udp ? HS_UDP_HEADER : HS_TCP_HEADER;

	hs_put16(l4, hs_be16(CLIENT_PORT));
	hs_put16(l4 + 2, hs_be16(FRONT_STAGE_PORT));
	if (kind->udp) {
		hs_put16(l4 + 4, hs_be16((uint16_t)l4_size(kind)));
	} else {
		l4[7] = kind->flags & HS_TCP_SYN ? 1 : 2;
		l4[12] = HS_TCP_HEADER / 4 << 4;
		l4[13] = kind->flags;
		l4[14] = 0x40;
	}
	for (uint32_t i = 0; i < kind->payload; i++)
		l4[header + i] = (uint8_t)(7 * i + 1);
}

static void make(const struct kind *kind, const uint8_t dest[16], uint8_t ttl, bool half,
		 struct front_frame *frame)
{
	uint8_t *ip = frame->bytes + HS_ETHERNET;

	*frame = (struct front_frame) {
		.n = HS_ETHERNET + l3_size(kind) + l4_size(kind),
		.half = half,
		.start = (uint16_t)(HS_ETHERNET + l3_size(kind)),
		.at = checksum_at(kind),
	};
	hs_put_mac(frame->bytes, FRONT_WIRE_MAC);
	hs_put_mac(frame->bytes + 6, CLIENT_MAC);
	hs_put16(frame->bytes + 12, hs_be16(kind->ipv6 ? 0x86dd : 0x0800));
	put_ip(kind, ip, dest, ttl);
	put_transport(kind, ip + l3_size(kind));
	put_checksum(kind, ip, half);
}

void selftest_front_ask(unsigned which, bool half, struct front_frame *ret_frame)
{
	const struct kind *kind = &kinds[which];

	make(kind, front_stage_ends(kind->ipv6)->service, TTL, half, ret_frame);
}

/* ---- what has become of them ---- */

/* The header around it, without which it is judged then. */
static const char *judge_outer(const struct kind *kind, const struct front_frame *got)
{
	const struct front_stage_ends *ends = front_stage_ends(kind->ipv6);
	const uint8_t *ip = got->bytes + HS_ETHERNET;
	uint32_t size = l3_size(kind) + l4_size(kind), length = hs_be16(hs_get16(ip + 2));

	if (kind->ipv6)
		length = HS_IPV6 + hs_be16(hs_get16(ip + 4));
	if (got->n != HS_ETHERNET + l3_size(kind) + size || length != l3_size(kind) + size)
		return "has another length";
	if (ip[0] >> 4 != (kind->ipv6 ? 6 : 4) ||
	    ip[kind->ipv6 ? 6 : 9] != (kind->ipv6 ? HS_PROTO_IPV6 : HS_PROTO_IPIP))
		return "is not in a packet to its host";
	if (kind->ipv6 ? memcmp(ip + 8, ends->own, 16) || memcmp(ip + 24, ends->host, 16)
		       : memcmp(ip + 12, ends->own + 12, 4) || memcmp(ip + 16, ends->host + 12, 4))
		return "has other addresses around it";
	if (!kind->ipv6 && hs_fold(sum_of(ip, HS_IPV4)) != 0xffff)
		return "has a wrong checksum around it";
	return NULL;
}

/* From the IP header on, which is at `l3`. */
static const char *compare(const struct kind *kind, const struct front_frame *got, uint32_t l3,
			   const struct front_frame *wanted)
{
	const uint8_t *ip = got->bytes + l3, *right = wanted->bytes + HS_ETHERNET;
	uint32_t size = (uint32_t)wanted->n - HS_ETHERNET, from = kind->ipv6 ? 8 : 12;
	uint32_t checksum = l3_size(kind) + checksum_at(kind);

	if (got->n != l3 + size)
		return "has another length";
	if (got->half && (got->start != l3 + l3_size(kind) || got->at != wanted->at))
		return "has its checksum made at another place";
	if (!memcmp(ip, right, size))
		return NULL;
	if (memcmp(ip + from, right + from, kind->ipv6 ? 32 : 8))
		return "has other addresses";
	if (memcmp(ip + checksum, right + checksum, 2) ||
	    (!kind->ipv6 && memcmp(ip + 10, right + 10, 2)))
		return "has a wrong checksum";
	return "is not what was sent";
}

/* What the kernel has made whole on the way is as right as what it has left to others. */
const char *selftest_front_judge(unsigned mode, unsigned which, const struct front_frame *got)
{
	const struct kind *kind = &kinds[which];
	const struct front_stage_ends *ends = front_stage_ends(kind->ipv6);
	struct front_frame wanted;
	uint32_t l3 = HS_ETHERNET;
	const char *wrong;

	if (hs_get_mac(got->bytes) != FRONT_STAGE_HOST_MAC ||
	    hs_get_mac(got->bytes + 6) != FRONT_WIRE_MAC ||
	    hs_get16(got->bytes + 12) != hs_be16(kind->ipv6 ? 0x86dd : 0x0800))
		return "has a wrong Ethernet header";
	if (mode == FRONT_NAT) {
		make(kind, ends->host, TTL - 1, got->half, &wanted);
		return compare(kind, got, l3, &wanted);
	}
	make(kind, ends->service, TTL, got->half, &wanted);
	if (mode == FRONT_IPIP) {
		wrong = judge_outer(kind, got);
		if (wrong)
			return wrong;
		l3 += l3_size(kind);
	}
	return compare(kind, got, l3, &wanted);
}

/* ---- the trial ---- */

/* Of the child; it goes with that. */
static struct trial {
	struct front_wire wire;
	struct front_stage stage;
	bool ready;
} trial;

static bool set_unless_permitted(int error, const struct problem *problem,
				 struct ability_result *result)
{
	selftest_set(result,
		     error == -EPERM || error == -EACCES || error == -ENOMEM ? ABILITY_UNKNOWN
									     : ABILITY_FAILS,
		     "%s", problem->text);
	return false;
}

static bool prepare(struct ability_result *result)
{
	struct problem problem;
	int r;

	if (trial.ready)
		return true;
	if (unshare(CLONE_NEWNET)) {
		selftest_set(result, ABILITY_UNKNOWN, "no network namespace can be made: %m");
		return false;
	}
	r = front_wire_open(&trial.wire, &problem);
	if (r < 0) {
		selftest_set(result, ABILITY_UNKNOWN, "%s", problem.text);
		return false;
	}
	r = front_stage_open(trial.wire.device, &trial.stage, &problem);
	if (r < 0)
		return set_unless_permitted(r, &problem, result);
	trial.ready = true;
	return true;
}

/* NULL: it has come out right. One before it may have come late. */
static const char *send_one(unsigned mode, unsigned which, bool half)
{
	const char *wrong = "does not come out";
	struct front_frame frame;
	int ms = WAIT_MS;

	for (unsigned i = 0; i < TRIES && ms == WAIT_MS; i++) {
		selftest_front_ask(which, half, &frame);
		if (front_wire_send(&trial.wire, &frame))
			return "cannot be sent";
		while (wrong && front_wire_receive(&trial.wire, FRONT_STAGE_HOST_MAC, ms, &frame)) {
			wrong = selftest_front_judge(mode, which, &frame);
			ms = LATE_MS;
		}
	}
	return wrong;
}

/* With its SYN before: then TCP with data is of a flow that is known. */
static void send_all(unsigned mode, bool half, struct ability_result *result)
{
	const char *wrong = NULL;
	unsigned i;
	int r = 0;

	for (i = 0; i < ARRAY_SIZE(kinds) && !wrong && !r; i++) {
		r = front_stage_set(&trial.stage, mode, kinds[i].ipv6);
		if (!r)
			wrong = send_one(mode, i, half);
	}
	if (r)
		selftest_set(result, ABILITY_UNKNOWN, "filling the maps: %s", strerror(-r));
	else if (wrong)
		selftest_set(result, ABILITY_FAILS, "%s %s", kinds[i - 1].name, wrong);
	else
		selftest_set(result, ABILITY_WORKS, NULL);
}

/* A veth device takes what is sent by XDP only if a program is on it itself. */
static int ready_end(void)
{
	static const struct bpf_insn pass[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_PASS},
		{.code = BPF_JMP | BPF_EXIT},
	};
	LIBBPF_OPTS(bpf_link_create_opts, options, .flags = XDP_FLAGS_DRV_MODE);
	_cleanup_(close_fdp) int program =
		bpf_prog_load(BPF_PROG_TYPE_XDP, "hs_pass", "GPL", pass, ARRAY_SIZE(pass), NULL);

	/* for as long as this process */
	return program < 0 || bpf_link_create(program, (int)trial.wire.end, BPF_XDP, &options) < 0
		       ? -errno
		       : 0;
}

static void run(unsigned mode, unsigned what, struct ability_result *result)
{
	bool native = what == FRONT_IN_DRIVER;
	int r;

	if (!prepare(result))
		return;
	r = front_stage_attach(&trial.stage, native);
	if (!r && native)
		r = ready_end();
	if (r)
		selftest_set(result, ABILITY_UNKNOWN,
			     "no program can be put on a veth device%s: %s",
			     native ? ", in its driver" : "", strerror(-r));
	else
		send_all(mode, what == FRONT_CHECKSUMS, result);
}

static void run_dsr(unsigned what, struct ability_result *result)
{
	run(FRONT_DSR, what, result);
}

static void run_ipip(unsigned what, struct ability_result *result)
{
	run(FRONT_IPIP, what, result);
}

static void run_nat(unsigned what, struct ability_result *result)
{
	run(FRONT_NAT, what, result);
}

int selftest_front_start(unsigned mode, struct selftest **ret_selftest)
{
	static const struct selftest_suite suites[] = {
		[FRONT_DSR] = {FRONT_ABILITY_COUNT, run_dsr},
		[FRONT_IPIP] = {FRONT_ABILITY_COUNT, run_ipip},
		[FRONT_NAT] = {FRONT_ABILITY_COUNT, run_nat},
	};

	return selftest_start_suite(&suites[mode], SELFTEST_ALL, ret_selftest);
}
