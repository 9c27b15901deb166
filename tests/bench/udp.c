// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * UDP: what one call of its selector costs, by the kernel's own statistics (bpf_enable_stats), and
 * how many datagrams two servers answer in a second with it and with plain SO_REUSEPORT. Questions
 * of a few clients, whose flows are known; cases take turns, a batch each.
 *
 * "empty program" and "bare select" are as in selector.c. Both are shards of one slot, so that both
 * servers share the load in either case; answers per second of CPU time are counted as well.
 */
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "../plane/client.h"
#include "../plane/server.h"
#include "core/config/config.h"
#include "plane/borrow/scan.h"
#include "plane/bpf/pins.h"
#include "plane/kernel/cgroup.h"
#include "reference.h"

#define CLIENTS	     64
#define CALL_ROUNDS  25
#define RATE_ROUNDS  100
#define CALLS	     20000
#define WINDOW_USEC  (60 * USEC_PER_MSEC)
#define SHORT_HEADER 0x40
#define LONG_HEADER  0xc3

enum port { SELECTOR = 8000, EMPTY, BARE, RATE };

struct udp_case {
	const char *name;
	enum hs_flow_mode mode;
	enum port port;
	uint8_t first; /* byte of a datagram */
	struct samples samples;
	enum hs_by by; /* 0: policy standby */
};

static struct udp_case cases[] = {
	{"connection", HS_FLOW_CONNECTION, SELECTOR, '?', {0}, 0},
	{"quic, long headers", HS_FLOW_QUIC, SELECTOR, LONG_HEADER, {0}, 0},
	{"quic, short headers", HS_FLOW_QUIC, SELECTOR, SHORT_HEADER, {0}, 0},
	{"none", HS_FLOW_NONE, SELECTOR, '?', {0}, 0},
	{"none, table by client", HS_FLOW_NONE, SELECTOR, '?', {0}, HS_BY_CLIENT},
	{"none, table by connection", HS_FLOW_NONE, SELECTOR, '?', {0}, HS_BY_CONNECTION},
	{"bare select", HS_FLOW_NONE, BARE, '?', {0}, 0},
	{"empty program", HS_FLOW_NONE, EMPTY, '?', {0}, 0},
};

static struct address at(enum port port)
{
	return (struct address) {
		.family = AF_INET, .port = port, .udp = true, .ip = {127, 0, 0, 1}};
}

/* ---- clients ---- */

static int clients[CLIENTS];

static void open_clients(enum port port)
{
	struct address address = at(port);

	for (unsigned i = 0; i < CLIENTS; i++)
		rig_check((clients[i] = client_connect(&address)) >= 0);
}

static void close_clients(void)
{
	for (unsigned i = 0; i < CLIENTS; i++)
		close(clients[i]);
}

/* Each client asks once, then each is answered. */
static void ask_all(uint8_t first)
{
	const uint8_t question[32] = {first};
	char answer;

	for (unsigned i = 0; i < CLIENTS; i++)
		rig_check(send(clients[i], question, sizeof(question), 0) == sizeof(question));
	for (unsigned i = 0; i < CLIENTS; i++)
		rig_check(recv(clients[i], &answer, 1, 0) == 1);
}

/* ---- one call ---- */

static void start_reference(struct rig *rig, enum port port, int program, int map)
{
	struct address address = at(port);
	struct sockaddr_storage raw;
	socklen_t size = address_to_sockaddr(&address, &raw);
	_cleanup_(close_fdp) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint64_t value = fd;
	uint32_t key = 0;
	int one = 1;

	rig_check(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) == 0);
	rig_check(bind(fd, (struct sockaddr *)&raw, size) == 0);
	rig_check(setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_EBPF, &program, sizeof(program)) ==
		  0);
	rig_check(map < 0 || bpf_map_update_elem(map, &key, &value, BPF_ANY) == 0);
	server_serve(server_start_holding(rig, 2, fd), true);
}

static void set_mode(struct rig *rig, enum hs_flow_mode mode)
{
	struct config config;

	config_init(&config);
	config.flow = mode;
	config.quic_slot_byte = 4;
	plane_set_flow(rig->plane, &config);
}

static void measure_call(struct rig *rig, struct udp_case *c, int program)
{
	struct bpf_prog_info before, after;

	set_mode(rig, c->mode);
	if (c->by)
		reference_spread(rig, c->by);
	else
		rig_policy(rig, HS_POLICY_STANDBY);
	open_clients(c->port);
	ask_all(c->first);
	before = reference_statistics(program);
	for (unsigned n = 0; n < CALLS; n += CLIENTS)
		ask_all(c->first);
	after = reference_statistics(program);
	close_clients();
	samples_add(&c->samples, (double)(after.run_time_ns - before.run_time_ns) /
					 (after.run_cnt - before.run_cnt));
}

static void measure_calls(struct rig *rig)
{
	int map = reference_map(), empty = reference_empty(), bare = reference_bare(map);
	int statistics_fd = bpf_enable_stats(BPF_STATS_RUN_TIME);
	struct address address = at(SELECTOR);
	size_t n;

	rig_check(statistics_fd >= 0);
	for (unsigned slot = 0; slot < 2; slot++) {
		struct server *server = server_start(rig, slot);

		rig_check(server_listen(server, &address, 0) >= 0);
		rig_adopt(rig, server);
		server_serve(server, true);
	}
	start_reference(rig, EMPTY, empty, -1);
	start_reference(rig, BARE, bare, map);
	for (unsigned round = 0; round < CALL_ROUNDS; round++)
		for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
			measure_call(rig, &cases[i],
				     cases[i].port == EMPTY ? empty
				     : cases[i].port == BARE
					     ? bare
					     : plane_listeners(rig->plane, &n)[0]->selector_fd);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cases[i].samples.row = "udp";
		cases[i].samples.name = cases[i].name;
		cases[i].samples.unit = "ns";
		samples_print(&cases[i].samples);
	}
	close(statistics_fd);
}

/* ---- answers per second ---- */

struct arm {
	struct server *servers[2];
	struct samples rate, cpu_rate;
};

/* Of this process, which asks and in whose time the selector runs, and of the servers. */
static double cpu_seconds(const struct arm *arm)
{
	struct rusage usage;
	double seconds = 0;

	getrusage(RUSAGE_SELF, &usage);
	seconds = usage.ru_utime.tv_sec + usage.ru_stime.tv_sec +
		  (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
	for (unsigned i = 0; i < 2; i++) {
		char mount[PATH_MAX], key[32];
		uint64_t value;
		FILE *file;

		rig_check(cgroup_mount(mount, sizeof(mount)) == 0);
		file = fopen(pin_path("%s%s/cpu.stat", mount, arm->servers[i]->cgroup).text, "re");
		rig_check(file && fscanf(file, "%31s %lu", key, &value) == 2);
		fclose(file);
		seconds += value / 1e6;
	}
	return seconds;
}

static void measure_rate(struct arm *arm, enum port port)
{
	uint64_t begun, now, answered = 0;
	double cpu;

	open_clients(port);
	ask_all('?');
	cpu = cpu_seconds(arm);
	begun = now_usec();
	do {
		ask_all('?');
		answered += CLIENTS;
		now = now_usec();
	} while (now - begun < WINDOW_USEC);
	samples_add(&arm->rate, answered * 1e6 / (now - begun));
	samples_add(&arm->cpu_rate, answered / (cpu_seconds(arm) - cpu));
	close_clients();
}

static void start_arm(struct rig *rig, struct arm *arm, enum port port, bool adopt)
{
	struct address address = at(port);

	for (unsigned i = 0; i < 2; i++) {
		arm->servers[i] = server_start(rig, 0);
		rig_check(server_listen(arm->servers[i], &address, 0) >= 0);
		server_serve(arm->servers[i], true);
		if (adopt)
			rig_adopt(rig, arm->servers[i]);
	}
}

static void print_arm(struct arm *arm, const char *name, const char *cpu_name)
{
	arm->rate.row = arm->cpu_rate.row = "datagrams";
	arm->rate.unit = arm->cpu_rate.unit = "1/s";
	arm->rate.name = name;
	arm->cpu_rate.name = cpu_name;
	samples_print(&arm->rate);
	samples_print(&arm->cpu_rate);
}

static void measure_rates(struct rig *rig)
{
	static struct arm plain, selector;

	set_mode(rig, HS_FLOW_CONNECTION);
	start_arm(rig, &plain, RATE, false);
	start_arm(rig, &selector, RATE + 1, true);
	for (unsigned round = 0; round < RATE_ROUNDS; round++)
		for (unsigned turn = 0; turn < 2; turn++) {
			/* neither is always the first */
			if ((turn ^ round) & 1)
				measure_rate(&plain, RATE);
			else
				measure_rate(&selector, RATE + 1);
		}
	print_arm(&plain, "plain SO_REUSEPORT", "plain SO_REUSEPORT, per CPU second");
	print_arm(&selector, "selector", "selector, per CPU second");
}

static int run(void *userdata)
{
	struct rig *rig = rig_begin();

	(void)userdata;
	rig_planes(rig);
	measure_calls(rig);
	rig_end(rig);
	rig = rig_begin();
	rig_planes(rig);
	measure_rates(rig);
	rig_end(rig);
	return 0;
}

int main(void)
{
	return rig_keep(run, NULL);
}
