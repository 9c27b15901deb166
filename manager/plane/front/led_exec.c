// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/front/led_exec.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <string.h>

#include "led_exec.skel.h"
#include "plane/bpf/load.h"
#include "plane/kernel/cgroup.h"
#include "plane/kernel/owner.h"
#include "util/macro.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

DEFINE_CLEANUP(struct led_exec_bpf, led_exec_bpf__destroy)

/* ---- ways ---- */

/* A way without a path is closed. `mss` becomes the least of all that can be led. */
static int add_way(int ways_fd, const struct led_host *host, const uint8_t ip[16],
		   const struct hs_led_way *way, unsigned *mss)
{
	struct hs_led_path path = {0};
	int r = led_path(host, ip, ntohs(way->port), way->protocol, &path);
	unsigned its = r ? 0 : led_mss(&path);

	if (r && r != -EAFNOSUPPORT)
		return r;
	if (its)
		*mss = *mss ? MIN(*mss, its) : its;
	return bpf_map_update_elem(ways_fd, way, &path, BPF_ANY) ? -errno : 0;
}

static int add_address(int ways_fd, const struct led_order *order, const struct led_host *host,
		       const uint8_t ip[16], unsigned *mss)
{
	const struct config_front *front = order->front;
	struct hs_led_way way = {0};
	int r = 0;

	memcpy(way.address, ip, 16);
	for (unsigned i = 0; !r && i < front->n_ports; i++) {
		way.port = htons(front->ports[i].port);
		way.protocol = IPPROTO_TCP;
		if (front->ports[i].tcp)
			r = add_way(ways_fd, host, ip, &way, mss);
		way.protocol = IPPROTO_UDP;
		if (!r && front->ports[i].udp)
			r = add_way(ways_fd, host, ip, &way, mss);
	}
	return r;
}

static int add_ways(int ways_fd, const struct led_order *order, unsigned *mss)
{
	const struct config_front *front = order->front;
	struct led_host host = {
		.service_id = order->service_id, .slot = order->slot, .mode = front->mode};
	int r = 0;

	memcpy(host.ip, front->hosts[order->slot].address.ip, 16);
	for (unsigned i = 0; !r && i < front->n_addresses; i++)
		r = add_address(ways_fd, order, &host, front->addresses[i].ip, mss);
	return r;
}

/* ---- loading ---- */

static int netns_cookie(uint64_t *ret_cookie)
{
	_cleanup_(close_fdp) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	socklen_t size = sizeof(*ret_cookie);

	if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, ret_cookie, &size) < 0)
		return -errno;
	return 0;
}

/* The ways are made first, as the programs are told what fits into a packet as they are loaded. */
static int prepare(struct led_exec_bpf *skel, const struct led_order *order,
		   const struct hs_preview_owner_id *owner, int ways_fd)
{
	uint64_t netns;
	unsigned mss = 0;
	int r = netns_cookie(&netns);

	if (!r)
		r = add_ways(ways_fd, order, &mss);
	if (!r)
		r = bpf_map__reuse_fd(skel->maps.hs_led_ways, ways_fd);
	skel->rodata->hs_owner = owner->id;
	skel->rodata->hs_netns = netns;
	skel->rodata->hs_mss = mss;
	return r;
}

static int make_ways(void)
{
	LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_NO_PREALLOC);
	int fd = bpf_map_create(BPF_MAP_TYPE_HASH, "hs_led_ways", sizeof(struct hs_led_way),
				sizeof(struct hs_led_path), HS_LED_WAYS_MAX, &options);

	return fd < 0 ? -errno : fd;
}

static int load(struct led_exec_bpf *skel, struct led *led, const struct led_order *order,
		const struct hs_preview_owner_id *owner, struct problem *problem)
{
	const struct hs_exec_counts none = {.front = 1};
	_cleanup_(close_fdp) int ways = make_ways();
	int r = MIN(ways, 0);
	uint32_t zero = 0;

	if (!r)
		r = prepare(skel, order, owner, ways);
	if (!r)
		r = bpf_map__reuse_fd(skel->maps.hs_led_sockets, led_sockets_fd(led));
	if (r < 0)
		return problem_set(problem, r, "there is no way to host %u of %s: %s", order->slot,
				   order->service, strerror(-r));
	r = load_object(skel->obj, "the programs for a command", problem);
	if (!r && bpf_map_update_elem(bpf_map__fd(skel->maps.hs_led_counts), &zero, &none, BPF_ANY))
		r = problem_set(problem, -errno, "cannot write the counts of a command: %m");
	return r;
}

/* ---- attaching ---- */

/* What takes notes away and what shows comes before what leads. */
static int attach(const struct led_exec_bpf *skel, int cgroup)
{
	const struct {
		const struct bpf_program *program;
		enum bpf_attach_type type;
	} all[] = {
		{skel->progs.hs_led_release, BPF_CGROUP_INET_SOCK_RELEASE},
		{skel->progs.hs_led_peer4, BPF_CGROUP_INET4_GETPEERNAME},
		{skel->progs.hs_led_peer6, BPF_CGROUP_INET6_GETPEERNAME},
		{skel->progs.hs_led_recv4, BPF_CGROUP_UDP4_RECVMSG},
		{skel->progs.hs_led_recv6, BPF_CGROUP_UDP6_RECVMSG},
		{skel->progs.hs_led_send4, BPF_CGROUP_UDP4_SENDMSG},
		{skel->progs.hs_led_send6, BPF_CGROUP_UDP6_SENDMSG},
		{skel->progs.hs_led_conn4, BPF_CGROUP_INET4_CONNECT},
		{skel->progs.hs_led_conn6, BPF_CGROUP_INET6_CONNECT},
	};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		if (bpf_prog_attach(bpf_program__fd(all[i].program), cgroup, all[i].type,
				    BPF_F_ALLOW_MULTI))
			return -errno;
	return 0;
}

static int begin(struct led *led, const struct led_exec_bpf *skel, int cgroup,
		 const struct hs_preview_owner_id *owner)
{
	int r = led_begin(led, owner);

	if (!r)
		r = attach(skel, cgroup);
	if (r)
		led_end(led, owner);
	return r;
}

int led_exec_attach(struct led *led, const struct led_order *order, int *ret_counts_fd,
		    struct problem *problem)
{
	_cleanup_(led_exec_bpf__destroyp) struct led_exec_bpf *skel = led_exec_bpf__open();
	_cleanup_(close_fdp) int cgroup = -1, counts = -1;
	struct hs_preview_owner_id owner;
	int r;

	if (!skel)
		return problem_set(problem, -errno, "cannot open the programs for a command: %m");
	r = cgroup_open(order->cgroup, &cgroup);
	if (!r)
		r = owner_of_cgroup(order->cgroup, &owner);
	if (r < 0)
		return problem_set(problem, r, "cannot look at the command's cgroup %s: %s",
				   order->cgroup, strerror(-r));
	r = load(skel, led, order, &owner, problem);
	if (r < 0)
		return r;
	if (ret_counts_fd)
		counts = fcntl(bpf_map__fd(skel->maps.hs_led_counts), F_DUPFD_CLOEXEC, 3);
	if (ret_counts_fd && counts < 0)
		return -errno;
	r = begin(led, skel, cgroup, &owner);
	if (r < 0)
		return problem_set(problem, r,
				   "the programs for the command cannot be put on cgroup %s: %s",
				   order->cgroup, strerror(-r));
	if (ret_counts_fd)
		*ret_counts_fd = steal_fd(&counts);
	return 0;
}
