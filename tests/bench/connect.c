// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * New connections per second with hotstandby in place, and with plain SO_REUSEPORT and nothing
 * else: the same two server processes, the same clients, in turns. Between the two: the selector
 * without the accounting.
 *
 * Connections per second of CPU time are measured as well: whatever else the machine does hardly
 * shows in them.
 *
 * Both servers are shards of one slot, so that both share the load in either case.
 */
#include <fcntl.h>
#include <sys/resource.h>

#include "../plane/server.h"
#include "bench.h"
#include "plane/borrow/scan.h"
#include "plane/bpf/pins.h"
#include "plane/kernel/cgroup.h"

#define PORT	    8000
#define ROUNDS	    30
#define PARALLEL    "32"
#define CLIENTS_MAX 64
#define WINDOW	    "250ms"

enum arm { PLAIN, SELECTOR, WHOLE, ARMS };

static void enable(struct rig *rig, enum arm arm)
{
	struct problem problem = {0};

	if (arm == WHOLE)
		rig_planes(rig);
	else if (plane_create("web", NULL, &rig->plane, &problem) < 0)
		rig_fail(__FILE__, __LINE__, "no plane: %s", problem.text);
	for (size_t i = 0; i < rig->n_servers; i++)
		rig_adopt(rig, rig->servers[i]);
}

static void detach(const struct server *server)
{
	_cleanup_(freep) struct held_socket *held = NULL;
	size_t n;
	int fd;

	rig_check(scan_cgroup(server->cgroup, &held, &n) == 0);
	for (size_t i = 0; i < n; i++) {
		rig_check(scan_borrow(&held[i], &fd) == 0);
		rig_check(listener_detach(fd) == 0);
		close(fd);
	}
}

static void disable(struct rig *rig)
{
	for (size_t i = 0; i < rig->n_servers; i++)
		detach(rig->servers[i]);
	rig_check(plane_destroy(rig->plane) == 0);
	rig->plane = plane_free(rig->plane);
	if (!rig->accounting)
		return;
	rig->accounting = accounting_free(rig->accounting);
	rig_check(accounting_destroy() == 0);
}

/* CPU time of the servers, by their cgroup, and of the clients that have ended. */
static double cpu_seconds(const struct rig *rig)
{
	char mount[PATH_MAX];
	_cleanup_(fclosep) FILE *stat = NULL;
	struct rusage clients;
	uint64_t usec;

	rig_check(cgroup_mount(mount, sizeof(mount)) == 0);
	stat = fopen(pin_path("%s%s/cpu.stat", mount, rig->group).text, "re");
	rig_check(stat && fscanf(stat, "usage_usec %lu", &usec) == 1);
	rig_check(getrusage(RUSAGE_CHILDREN, &clients) == 0);
	usec += clients.ru_utime.tv_usec + clients.ru_stime.tv_usec;
	return usec / 1e6 + clients.ru_utime.tv_sec + clients.ru_stime.tv_sec;
}

struct rate {
	double per_second, per_cpu_second;
};

/* As many clients as CPUs: none is to be idle, or only the clients' half of the cost would show. */
static struct rate rate(const struct rig *rig)
{
	long n = MIN(sysconf(_SC_NPROCESSORS_ONLN), CLIENTS_MAX);
	struct load loads[CLIENTS_MAX];
	double begun = cpu_seconds(rig);
	struct rate rate = {0};
	uint64_t answered = 0;

	for (long i = 0; i < n; i++)
		loads[i] = load_start("8000", PARALLEL, WINDOW);
	for (long i = 0; i < n; i++) {
		struct load_result result = load_finish(&loads[i]);

		if (result.refused + result.reset + result.late)
			rig_fail(__FILE__, __LINE__, "requests were lost without reason");
		answered += result.answered;
		rate.per_second += result.answered / result.seconds;
	}
	rate.per_cpu_second = answered / (cpu_seconds(rig) - begun);
	return rate;
}

static struct rate measure(struct rig *rig, enum arm arm)
{
	struct rate with;

	if (arm == PLAIN)
		return rate(rig);
	enable(rig, arm);
	with = rate(rig);
	if (!rig_slot(rig, 0).chosen)
		rig_fail(__FILE__, __LINE__, "the selector was not asked");
	disable(rig);
	return with;
}

/* Each arm as often as the others, and in all orders. */
static void take_turns(struct rig *rig, struct samples rates[ARMS], struct samples cpu_rates[ARMS])
{
	rate(rig); /* warm */
	for (unsigned round = 0; round < ROUNDS; round++)
		for (unsigned turn = 0; turn < ARMS; turn++) {
			enum arm arm = (round % 2 ? ARMS - 1 - turn : turn + round / 2) % ARMS;
			struct rate rate = measure(rig, arm);

			samples_add(&rates[arm], rate.per_second);
			samples_add(&cpu_rates[arm], rate.per_cpu_second);
		}
}

static void start_servers(struct rig *rig)
{
	struct address address = rig_local(PORT);

	for (unsigned i = 0; i < 2; i++) {
		struct server *server = server_start(rig, 0);

		rig_check(server_listen(server, &address, 0) >= 0);
		server_serve(server, true);
	}
}

static int run(void *userdata)
{
	struct samples rates[ARMS] = {
		[PLAIN] = {.name = "plain SO_REUSEPORT"},
		[SELECTOR] = {.name = "selector alone"},
		[WHOLE] = {.name = "selector and accounting"},
	};
	struct samples cpu_rates[ARMS] = {
		[PLAIN] = {.name = "plain SO_REUSEPORT, per CPU second"},
		[SELECTOR] = {.name = "selector alone, per CPU second"},
		[WHOLE] = {.name = "selector and accounting, per CPU second"},
	};
	struct rig *rig = rig_begin();

	(void)userdata;
	start_servers(rig);
	take_turns(rig, rates, cpu_rates);
	for (unsigned i = 0; i < 2 * ARMS; i++) {
		struct samples *samples = i < ARMS ? &rates[i] : &cpu_rates[i - ARMS];

		samples->row = "connect";
		samples->unit = "/s";
		samples_print(samples);
	}
	rig_end(rig);
	return 0;
}

int main(void)
{
	return rig_keep(run, NULL);
}
