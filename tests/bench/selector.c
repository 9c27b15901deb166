// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What one call of the selector costs, by the kernel's own statistics (bpf_enable_stats), under
 * real connections. Cases take turns, a batch each, so that they can be compared.
 *
 * Three cases are there to compare with: "empty program" leaves the choice to the kernel: what the
 * statistics show for doing nothing. "bare select" selects entry 0 and nothing else: what they show
 * for the one helper that a selector cannot do without. "bare select, address" asks for the
 * client's address before: the helper that none can do without that goes by client.
 */
#include <netinet/in.h>
#include <sys/socket.h>

#include "../plane/client.h"
#include "../plane/server.h"
#include "reference.h"

#define ROUNDS	 15
#define PARALLEL "32"
#define WINDOW	 "100ms"
#define PORT(n)	 (8000 + (n))
#define EMPTY	 0   /* instead of a number of shards */
#define BARE	 100 /* the same */
#define ADDRESS	 101 /* the same */

struct selector_case {
	const char *name;
	enum hs_policy policy;
	unsigned shards;
	struct samples samples;
	bool preview;  /* there are preview rules, of others */
	enum hs_by by; /* 0: without a table */
};

static struct selector_case cases[] = {
	{"standby, 1 shard", HS_POLICY_STANDBY, 1, {0}, false, 0},
	{"standby, 4 shards", HS_POLICY_STANDBY, 4, {0}, false, 0},
	{"standby, 16 shards", HS_POLICY_STANDBY, 16, {0}, false, 0},
	{"standby, preview rules", HS_POLICY_STANDBY, 1, {0}, true, 0},
	{"parity, 1 shard", HS_POLICY_PARITY, 1, {0}, false, 0},
	{"hash, 1 shard", HS_POLICY_HASH, 1, {0}, false, 0},
	{"table, by client", HS_POLICY_HASH, 1, {0}, false, HS_BY_CLIENT},
	{"table, by connection", HS_POLICY_HASH, 1, {0}, false, HS_BY_CONNECTION},
	{"hash, 16 shards", HS_POLICY_HASH, 16, {0}, false, 0},
	{"bare select", HS_POLICY_STANDBY, BARE, {0}, false, 0},
	{"bare select, address", HS_POLICY_STANDBY, ADDRESS, {0}, false, 0},
	{"empty program", HS_POLICY_STANDBY, EMPTY, {0}, false, 0},
};

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
			if (cases[i].shards >= BARE)
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

static void measure(struct rig *rig, struct selector_case *c, int program)
{
	struct bpf_prog_info before, after;
	struct load_result result;
	struct load load;
	char port[8];

	snprintf(port, sizeof(port), "%u", PORT(c->shards));
	if (c->policy == HS_POLICY_HASH)
		reference_spread(rig, c->by);
	else
		rig_policy(rig, c->policy);
	plane_set_preview(rig->plane, c->preview);
	before = reference_statistics(program);
	load = load_start(port, PARALLEL, WINDOW);
	result = load_finish(&load);
	after = reference_statistics(program);
	if (!result.answered || result.refused + result.reset + result.late)
		rig_fail(__FILE__, __LINE__, "%s: not all were answered", c->name);
	samples_add(&c->samples, (double)(after.run_time_ns - before.run_time_ns) /
					 (after.run_cnt - before.run_cnt));
}

/* The program of each case. */
static void start(struct rig *rig, int programs[])
{
	int map = reference_map(), address_map = reference_map(), empty = reference_empty(),
	    bare = reference_bare(map), address = reference_address(address_map);

	rig_planes(rig);
	start_servers(rig);
	start_reference(rig, EMPTY, empty, -1);
	start_reference(rig, BARE, bare, map);
	start_reference(rig, ADDRESS, address, address_map);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		programs[i] = cases[i].shards == EMPTY	   ? empty
			      : cases[i].shards == BARE	   ? bare
			      : cases[i].shards == ADDRESS ? address
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
