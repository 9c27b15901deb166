// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How many requests clients lose when an instance leaves, under load: the instance's listening
 * socket closes, and a new one is there 5 ms later; two instances take turns. In several ways:
 *
 *   plain         SO_REUSEPORT and no program: the kernel spreads connections over both
 *   select only   a selector that the kernel does not ask at migration (BPF_SK_REUSEPORT_SELECT):
 *                 flip, then close; at once, and with the same settle time as
 *   hotstandby    flip, settle, close; and also without the settle time
 *
 * The selector is the same in all cases but the first. What is counted is what the client saw.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <time.h>

#include "../plane/server.h"
#include "bench.h"
#include "plane/bpf/pins.h"
#include "selector.skel.h"

#define PORT	 8000
#define PARALLEL "64"
#define SETTLE	 5000 /* microseconds */
#define PAUSE	 5000
/* a server of the rig has room for 80 sockets in its life, so a rig is good for so many events */
#define PER_RIG 140

struct scheme {
	const char *name;
	bool selector, migrates;
	unsigned settle_usec, events;
};

static const struct scheme schemes[] = {
	{"plain SO_REUSEPORT, close", false, false, 0, 280},
	{"SELECT-only, flip and close", true, false, 0, 280},
	{"SELECT-only, flip, settle, close", true, false, SETTLE, 280},
	{"hotstandby, flip and close", true, true, 0, 280},
	{"hotstandby, flip, settle, close", true, true, SETTLE, 1120},
};

struct pair {
	struct rig *rig;
	struct server *servers[2];
	int numbers[2];
};

static void wait_usec(unsigned usec)
{
	nanosleep(&(struct timespec) {.tv_nsec = usec * 1000L}, NULL);
}

/* Puts another selector in the place of the listener's: the same maps, but never asked at
 * migration. */
static void make_select_only(struct rig *rig, const struct address *address)
{
	struct selector_bpf *skel = selector_bpf__open();
	char name[ADDRESS_PIN_MAX];
	struct listener *listener;
	struct pin_path folder = pin_service_path("web");

	rig_check(skel && plane_listener_get(rig->plane, address, &listener, NULL) == 0);
	address_to_pin(address, name);
#define SHARE(map, ...) bpf_map__set_pin_path(skel->maps.map, pin_path(__VA_ARGS__).text)
	rig_check(!SHARE(hs_control, "%s/control", folder.text));
	rig_check(!SHARE(hs_counters, "%s/counters", folder.text));
	rig_check(!SHARE(hs_events, "%s/events", folder.text));
	rig_check(!SHARE(hs_shards, "%s/%s/shards", folder.text, name));
	rig_check(!SHARE(hs_sockets, "%s/%s/sockets", folder.text, name));
	rig_check(!SHARE(hs_owners, "%s/%s/owners", folder.text, name));
#undef SHARE
	bpf_program__set_expected_attach_type(skel->progs.hs_select, BPF_SK_REUSEPORT_SELECT);
	rig_check(selector_bpf__load(skel) == 0);
	rig_check(dup2(bpf_program__fd(skel->progs.hs_select), listener->selector_fd) >= 0);
	selector_bpf__destroy(skel);
}

static void begin(struct pair *pair, const struct scheme *scheme)
{
	struct address address = rig_local(PORT);

	pair->rig = rig_begin();
	if (scheme->selector)
		rig_planes(pair->rig);
	if (scheme->selector && !scheme->migrates)
		make_select_only(pair->rig, &address);
	for (unsigned i = 0; i < 2; i++) {
		pair->servers[i] = server_start(pair->rig, i);
		pair->numbers[i] = server_listen(pair->servers[i], &address, 0);
		rig_check(pair->numbers[i] >= 0);
		server_serve(pair->servers[i], true);
		if (scheme->selector)
			rig_adopt(pair->rig, pair->servers[i]);
	}
}

static void leave_and_return(struct pair *pair, const struct scheme *scheme, unsigned from)
{
	struct address address = rig_local(PORT);

	if (scheme->selector)
		rig_flip(pair->rig, !from);
	if (scheme->settle_usec)
		wait_usec(scheme->settle_usec);
	server_close(pair->servers[from], pair->numbers[from]);
	wait_usec(PAUSE);
	pair->numbers[from] = server_listen(pair->servers[from], &address, 0);
	rig_check(pair->numbers[from] >= 0);
	if (scheme->selector)
		rig_adopt(pair->rig, pair->servers[from]);
	wait_usec(PAUSE);
}

static struct load_result run_rig(const struct scheme *scheme)
{
	struct load_result result;
	struct pair pair;
	struct load load;

	begin(&pair, scheme);
	load = load_start("8000", PARALLEL, "0");
	wait_usec(100 * 1000);
	for (unsigned i = 0; i < PER_RIG; i++)
		leave_and_return(&pair, scheme, i % 2);
	result = load_stop(&load);
	rig_end(pair.rig);
	return result;
}

static void run_scheme(const struct scheme *scheme)
{
	struct load_result sum = {0};

	for (unsigned done = 0; done < scheme->events; done += PER_RIG) {
		struct load_result result = run_rig(scheme);

		sum.answered += result.answered;
		sum.refused += result.refused;
		sum.reset += result.reset;
		sum.late += result.late;
		sum.slow += result.slow;
	}
	printf("{\"row\":\"loss\",\"case\":\"%s\",\"events\":%u,\"requests\":%lu,\"refused\":%lu,"
	       "\"reset\":%lu,\"timed_out\":%lu,\"slow\":%lu}\n",
	       scheme->name, scheme->events, sum.answered + sum.refused + sum.reset + sum.late,
	       sum.refused, sum.reset, sum.late, sum.slow);
	fflush(stdout);
}

static int run(void *userdata)
{
	(void)userdata;
	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++)
		run_scheme(&schemes[i]);
	return 0;
}

int main(void)
{
	return rig_keep(run, NULL);
}
