// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What one call of the selector costs, by the kernel's own statistics (bpf_enable_stats), under
 * real connections. Cases take turns, a batch each, so that they can be compared.
 *
 * Two cases are there to compare with: "empty program" leaves the choice to the kernel: what the
 * statistics show for doing nothing. "bare select" selects entry 0 and nothing else: what they show
 * for the one helper that a selector cannot do without.
 */
#include <bpf/bpf.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "../plane/client.h"
#include "../plane/server.h"
#include "bench.h"

#define ROUNDS	 15
#define PARALLEL "32"
#define WINDOW	 "100ms"
#define PORT(n)	 (8000 + (n))
#define EMPTY	 0   /* instead of a number of shards */
#define BARE	 100 /* the same */

struct selector_case {
	const char *name;
	enum hs_policy policy;
	unsigned shards;
	struct samples samples;
};

static struct selector_case cases[] = {
	{"standby, 1 shard", HS_POLICY_STANDBY, 1, {0}},
	{"standby, 4 shards", HS_POLICY_STANDBY, 4, {0}},
	{"standby, 16 shards", HS_POLICY_STANDBY, 16, {0}},
	{"parity, 1 shard", HS_POLICY_PARITY, 1, {0}},
	{"hash, 1 shard", HS_POLICY_HASH, 1, {0}},
	{"hash, 16 shards", HS_POLICY_HASH, 16, {0}},
	{"bare select", HS_POLICY_STANDBY, BARE, {0}},
	{"empty program", HS_POLICY_STANDBY, EMPTY, {0}},
};

static int load_code(const char *name, const struct bpf_insn *code, size_t n)
{
	LIBBPF_OPTS(bpf_prog_load_opts, options,
		    .expected_attach_type = BPF_SK_REUSEPORT_SELECT_OR_MIGRATE);
	int fd = bpf_prog_load(BPF_PROG_TYPE_SK_REUSEPORT, name, "GPL", code, n, &options);

	rig_check(fd >= 0);
	return fd;
}

/* return SK_PASS */
static int load_empty(void)
{
	static const struct bpf_insn code[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = SK_PASS},
		{.code = BPF_JMP | BPF_EXIT},
	};

	return load_code("hs_empty", code, ARRAY_SIZE(code));
}

/* key = 0; bpf_sk_select_reuseport(md, map, &key, 0); return SK_PASS */
static int load_bare(int map)
{
	const struct bpf_insn code[] = {
		{.code = BPF_ST | BPF_MEM | BPF_W, .dst_reg = BPF_REG_10, .off = -4},
		{.code = BPF_LD | BPF_DW | BPF_IMM,
		 .dst_reg = BPF_REG_2,
		 .src_reg = BPF_PSEUDO_MAP_FD,
		 .imm = map},
		{0}, /* the other half */
		{.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = BPF_REG_3, .src_reg = BPF_REG_10},
		{.code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = BPF_REG_3, .imm = -4},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_4},
		{.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_sk_select_reuseport},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = SK_PASS},
		{.code = BPF_JMP | BPF_EXIT},
	};

	return load_code("hs_bare", code, ARRAY_SIZE(code));
}

/* A server of its own, which is never adopted, holds the socket with such a program. */
static void start_reference(struct rig *rig, unsigned number, int program, int map)
{
	struct address address = rig_local(PORT(number));
	struct sockaddr_storage raw;
	socklen_t size = address_to_sockaddr(&address, &raw);
	_cleanup_(close_fdp) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	uint64_t value = fd;
	uint32_t key = 0;
	int one = 1;

	rig_check(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) == 0);
	rig_check(bind(fd, (struct sockaddr *)&raw, size) == 0 && listen(fd, 4096) == 0);
	rig_check(setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_EBPF, &program, sizeof(program)) ==
		  0);
	rig_check(map < 0 || bpf_map_update_elem(map, &key, &value, BPF_ANY) == 0);
	server_serve(server_start_holding(rig, 2, fd), true);
}

static int make_map(void)
{
	int map = bpf_map_create(BPF_MAP_TYPE_REUSEPORT_SOCKARRAY, "hs_bare", sizeof(uint32_t),
				 sizeof(uint64_t), 1, NULL);

	rig_check(map >= 0);
	return map;
}

static void start_servers(struct rig *rig)
{
	for (unsigned slot = 0; slot < 2; slot++) {
		struct server *server = server_start(rig, slot);

		for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
			struct address address = rig_local(PORT(cases[i].shards));

			/* a listener for each number of shards: the first case with it makes it */
			for (size_t k = 0; k < i; k++)
				if (cases[k].shards == cases[i].shards)
					address.port = 0;
			if (cases[i].shards == BARE)
				address.port = 0;
			for (unsigned n = 0; address.port && n < cases[i].shards; n++)
				rig_check(server_listen(server, &address, 0) >= 0);
		}
		server_serve(server, true);
		rig_adopt(rig, server);
	}
}

static int program_of(const struct rig *rig, unsigned shards)
{
	size_t n;
	struct listener **listeners = plane_listeners(rig->plane, &n);

	for (size_t i = 0; i < n; i++)
		if (listeners[i]->address.port == PORT(shards))
			return listeners[i]->selector_fd;
	rig_fail(__FILE__, __LINE__, "no selector on port %u", PORT(shards));
}

static struct bpf_prog_info statistics(int program)
{
	struct bpf_prog_info info = {0};
	uint32_t size = sizeof(info);

	rig_check(bpf_obj_get_info_by_fd(program, &info, &size) == 0);
	return info;
}

static void measure(struct rig *rig, struct selector_case *c, int program)
{
	struct bpf_prog_info before, after;
	struct load_result result;
	struct load load;
	char port[8];

	snprintf(port, sizeof(port), "%u", PORT(c->shards));
	rig_policy(rig, c->policy);
	before = statistics(program);
	load = load_start(port, PARALLEL, WINDOW);
	result = load_finish(&load);
	after = statistics(program);
	if (!result.answered || result.refused + result.reset + result.late)
		rig_fail(__FILE__, __LINE__, "%s: not all were answered", c->name);
	samples_add(&c->samples, (double)(after.run_time_ns - before.run_time_ns) /
					 (after.run_cnt - before.run_cnt));
}

/* The program of each case. */
static void start(struct rig *rig, int programs[])
{
	int map = make_map(), empty = load_empty(), bare = load_bare(map);

	rig_planes(rig);
	start_servers(rig);
	start_reference(rig, EMPTY, empty, -1);
	start_reference(rig, BARE, bare, map);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		programs[i] = cases[i].shards == EMPTY	? empty
			      : cases[i].shards == BARE ? bare
							: program_of(rig, cases[i].shards);
}

static int run(void *userdata)
{
	struct rig *rig = rig_begin();
	int programs[ARRAY_SIZE(cases)], statistics_fd = bpf_enable_stats(BPF_STATS_RUN_TIME);

	(void)userdata;
	rig_check(statistics_fd >= 0);
	start(rig, programs);
	for (unsigned round = 0; round < ROUNDS; round++)
		for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
			measure(rig, &cases[i], programs[i]);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cases[i].samples.row = "selector";
		cases[i].samples.name = cases[i].name;
		cases[i].samples.unit = "ns";
		samples_print(&cases[i].samples);
	}
	close(statistics_fd);
	rig_end(rig);
	return 0;
}

int main(void)
{
	return rig_keep(run, NULL);
}
