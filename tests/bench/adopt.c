// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Adoption of a slot with 4 sockets, both halves of it (manager/plane/act/adopt.h):
 *
 *   first       the kernel side of the listeners does not exist: it is made, programs are loaded
 *   restarted   the instance has new sockets, the kernel side is there
 *   again       nothing is new
 *
 * once with 4 sockets on one address (one program), once with 4 addresses (four programs).
 */
#include "../plane/server.h"
#include "bench.h"

#define SOCKETS 4
#define RUNS	15
#define PORT	8000

static int numbers[SOCKETS];

static void open_sockets(struct server *server, bool apart)
{
	for (unsigned i = 0; i < SOCKETS; i++) {
		struct address address = rig_local(PORT + (apart ? i : 0));

		numbers[i] = server_listen(server, &address, 0);
		rig_check(numbers[i] >= 0);
	}
}

static void restart(struct server *server, bool apart)
{
	for (unsigned i = 0; i < SOCKETS; i++)
		server_close(server, numbers[i]);
	open_sockets(server, apart);
}

static void measure(struct rig *rig, const struct server *server, unsigned fresh,
		    struct samples *samples)
{
	uint64_t begun = now_nsec();
	unsigned n = rig_adopt(rig, server);

	samples_add(samples, (now_nsec() - begun) / 1e6);
	if (n != fresh)
		rig_fail(__FILE__, __LINE__, "%s: %u sockets were new", samples->name, n);
}

static void forget(struct rig *rig)
{
	rig_check(plane_destroy(rig->plane) == 0);
	rig->plane = plane_free(rig->plane);
}

static void measure_all(bool apart, const char *names[3])
{
	struct rig *rig = rig_begin();
	struct server *server = server_start(rig, 0);
	struct samples samples[3];

	for (unsigned i = 0; i < 3; i++)
		samples[i] = (struct samples) {.row = "adopt", .name = names[i], .unit = "ms"};
	rig_planes(rig);
	open_sockets(server, apart);
	for (unsigned run = 0; run < RUNS; run++) {
		struct problem problem = {0};

		measure(rig, server, SOCKETS, &samples[0]);
		measure(rig, server, 0, &samples[2]);
		restart(server, apart);
		measure(rig, server, SOCKETS, &samples[1]);
		forget(rig);
		if (plane_create("web", rig->accounting, &rig->plane, &problem) < 0)
			rig_fail(__FILE__, __LINE__, "no plane: %s", problem.text);
	}
	for (unsigned i = 0; i < 3; i++)
		samples_print(&samples[i]);
	rig_end(rig);
}

static int run(void *userdata)
{
	(void)userdata;
	measure_all(false, (const char *[]) {"1 address, first", "1 address, restarted",
					     "1 address, again"});
	measure_all(true, (const char *[]) {"4 addresses, first", "4 addresses, restarted",
					    "4 addresses, again"});
	return 0;
}

int main(void)
{
	return rig_keep(run, NULL);
}
