// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a front's programs cost a frame, by BPF_PROG_TEST_RUN: the device's program and the
 * service's behind it, of a TCP flow that is known, and lasts unless it is called young. Cases take
 * turns, a batch each; "empty program" is there to compare with.
 *
 * A frame is another one behind the program. Where it still is for the service (dsr; nat to a host
 * that has the service's own address) the kernel runs the program over it many times in a row. The
 * cases "alone" are of single runs, each after a system call: what is in no cache then is in their
 * figure, and in that of the empty program.
 */
#include <bpf/bpf.h>
#include <linux/if_link.h>

#include "../plane/stand.h"
#include "bench.h"
#include "hs_front.h"
#include "plane/parts/plane_state.h"

#define ROUNDS	 15
#define REPEATS	 200 /* within what a TTL lasts */
#define BATCHES	 50
#define SINGLES	 2000
#define ACK	 0x10
#define NO_FRONT -1

struct front_case {
	const char *name;
	int mode; /* enum front_mode, or NO_FRONT */
	bool ipv6, alone, young;
	struct samples samples;
};

static struct front_case cases[] = {
	{"dsr", FRONT_DSR, false, false, false, {0}},
	{"dsr, young", FRONT_DSR, false, false, true, {0}},
	{"dsr, IPv6", FRONT_DSR, true, false, false, {0}},
	{"nat", FRONT_NAT, false, false, false, {0}},
	{"nat, IPv6", FRONT_NAT, true, false, false, {0}},
	{"empty program", NO_FRONT, false, false, false, {0}},
	{"dsr, alone", FRONT_DSR, false, true, false, {0}},
	{"ipip, alone", FRONT_IPIP, false, true, false, {0}},
	{"ipip, IPv6, alone", FRONT_IPIP, true, true, false, {0}},
	{"nat, alone", FRONT_NAT, false, true, false, {0}},
	{"empty program, alone", NO_FRONT, false, true, false, {0}},
};

static int empty_program(void)
{
	static const struct bpf_insn code[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_PASS},
		{.code = BPF_JMP | BPF_EXIT},
	};
	int fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "hs_empty", "GPL", code, ARRAY_SIZE(code), NULL);

	rig_check(fd >= 0);
	return fd;
}

static double run_once(const struct front_case *c, int program, uint32_t ifindex,
		       const struct frame *frame)
{
	struct xdp_md context = {.data_end = (uint32_t)frame->n, .ingress_ifindex = ifindex};
	struct frame out;
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame->bytes,
		    .data_size_in = (uint32_t)frame->n, .data_out = out.bytes,
		    .data_size_out = sizeof(out.bytes), .ctx_in = &context,
		    .ctx_size_in = sizeof(context), .repeat = c->alone ? 1 : REPEATS);

	rig_check(bpf_prog_test_run_opts(program, &options) == 0);
	rig_check(options.retval == (c->mode == NO_FRONT ? XDP_PASS : XDP_TX));
	return options.duration;
}

static int compare(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return left < right ? -1 : left > right;
}

static void measure(struct front_case *c, int program, uint32_t ifindex, const struct frame *frame)
{
	static double values[SINGLES];
	unsigned n = c->alone ? SINGLES : BATCHES;

	for (unsigned i = 0; i < n; i++)
		values[i] = run_once(c, program, ifindex, frame);
	qsort(values, n, sizeof(values[0]), compare);
	samples_add(&c->samples, values[n / 2]);
}

/* As if it had begun long ago: with the next packet it lasts. */
static void make_old(const struct stand *stand)
{
	struct hs_front_flow_key key;
	struct hs_front_flow flow;
	int fd;

	rig_check(
		pin_open(pin_path("%s/" HS_PIN_FRONT "/young", stand->rig->plane->folder.text).text,
			 &fd) == 0);
	rig_check(!bpf_map_get_next_key(fd, NULL, &key) && !bpf_map_lookup_elem(fd, &key, &flow));
	flow.begun_ns -= 2 * NSEC_PER_SEC;
	flow.marks |= HS_FRONT_ANSWERED;
	rig_check(!bpf_map_update_elem(fd, &key, &flow, BPF_EXIST));
	close_fd(fd);
}

/* With the flow known, and in nat no other address behind it than before. */
static struct stand start(struct rig *rig, const struct front_case *c, struct frame *frame)
{
	struct stand stand =
		stand_begin(rig, (unsigned)c->mode, c->ipv6 ? stand_hosts6 : stand_hosts);
	struct frame_spec spec =
		c->ipv6 ? frame_from_client(CLIENT6, SERVICE6) : frame_from_client(CLIENT, SERVICE);
	struct frame syn;

	spec.ttl = 255;
	syn = frame_make(&spec);
	rig_check(stand_run(&stand, &syn) == XDP_TX);
	spec.flags = ACK;
	*frame = syn = frame_make(&spec);
	rig_check(stand_run(&stand, &syn) == XDP_TX);
	if (!c->young) {
		make_old(&stand);
		syn = frame_make(&spec);
		rig_check(stand_run(&stand, &syn) == XDP_TX);
	}
	if (c->mode == FRONT_NAT)
		stand_same_address(&stand, c->ipv6 ? SERVICE6 : SERVICE);
	return stand;
}

static void run_case(struct front_case *c)
{
	struct rig *rig = rig_begin();
	struct frame_spec spec = frame_from_client(CLIENT, SERVICE);
	struct frame frame = frame_make(&spec);
	struct stand stand = {0};
	int program = -1;

	rig_planes(rig);
	if (c->mode == NO_FRONT) {
		program = empty_program();
		measure(c, program, 1, &frame);
		close_fd(program);
	} else {
		stand = start(rig, c, &frame);
		measure(c, stand.program, stand.ifindex, &frame);
		stand_end(&stand);
	}
	rig_end(rig);
}

static const char *row_of(const struct front_case *c)
{
	return c->mode == FRONT_IPIP ? "front-ipip" : c->mode == FRONT_NAT ? "front-nat" : "front";
}

static int run(void *userdata)
{
	(void)userdata;
	for (unsigned round = 0; round < ROUNDS; round++)
		for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
			run_case(&cases[i]);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cases[i].samples.row = row_of(&cases[i]);
		cases[i].samples.name = cases[i].name;
		cases[i].samples.unit = "ns";
		samples_print(&cases[i].samples);
	}
	return 0;
}

int main(void)
{
	return rig_keep(run, NULL);
}
