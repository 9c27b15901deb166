// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the prober of a drill costs: CPU time of its process, as a share of one core, while it asks
 * a server over HTTP at a fixed rate. The server is a process of its own and does not count.
 */
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

#include "../plane/client.h"
#include "bench.h"
#include "hsctl/drill/prober.h"

#define PORT   8000
#define ROUNDS 10

static const char answer[] =
	"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n";

static void serve(int listener)
{
	char request[4096];

	for (;;) {
		int fd = accept(listener, NULL, NULL);

		if (fd < 0 || read(fd, request, sizeof(request)) < 0 ||
		    write(fd, answer, sizeof(answer) - 1) < 0)
			_exit(1);
		close(fd);
	}
}

static pid_t start_server(const struct address *address)
{
	struct sockaddr_storage to;
	socklen_t size = address_to_sockaddr(address, &to);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	pid_t pid;

	rig_check(fd >= 0 && bind(fd, (struct sockaddr *)&to, size) == 0 && listen(fd, 1024) == 0);
	pid = fork();
	rig_check(pid >= 0);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		serve(fd);
	}
	close(fd);
	return pid;
}

/* Of our children that have ended: the prober, for the server has not. */
static double cpu_seconds(void)
{
	struct rusage spent;

	rig_check(getrusage(RUSAGE_CHILDREN, &spent) == 0);
	return spent.ru_utime.tv_sec + spent.ru_stime.tv_sec +
	       (spent.ru_utime.tv_usec + spent.ru_stime.tv_usec) / 1e6;
}

static double share(const struct prober_target *target)
{
	struct drill_record record = {0};
	struct drillprober *prober;
	double begun = cpu_seconds();
	uint64_t end;

	rig_check(drillprober_start(target, &prober) == 0);
	nanosleep(&(struct timespec) {.tv_sec = 1}, NULL);
	rig_check(drillprober_stop(prober, &record, &end) == 0);
	drillprober_free(prober);
	for (size_t i = 0; i < record.n_probes; i++)
		rig_check(record.probes[i].outcome == DRILL_ANSWERED);
	rig_check(record.n_probes >= target->rate * 9 / 10);
	drill_record_done(&record);
	return 100 * (cpu_seconds() - begun) / (end / 1e6);
}

static void measure(unsigned rate, struct samples *samples)
{
	struct config_health health = {.n_status = 1, .status = {{200, 200}}};
	struct prober_target target = {
		.address = rig_local(PORT),
		.netns_fd = -1,
		.path = "/",
		.health = &health,
		.rate = rate,
		.timeout_usec = RIG_DEADLINE_USEC,
	};

	for (unsigned round = 0; round < ROUNDS; round++)
		samples_add(samples, share(&target));
	samples_print(samples);
}

static int run(void *userdata)
{
	struct rig *rig = rig_begin();
	struct address address = rig_local(PORT);
	pid_t server = start_server(&address);

	(void)userdata;
	measure(100, &(struct samples) {"prober", "100 connections a second", "%", NULL, 0, 0});
	measure(1000, &(struct samples) {"prober", "1000 connections a second", "%", NULL, 0, 0});
	kill(server, SIGKILL);
	rig_end(rig);
	return 0;
}

int main(void)
{
	return rig_keep(run, NULL);
}
