// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/selftest/fast_stage.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/stat.h>

#include "fast.skel.h"
#include "plane/bpf/load.h"
#include "plane/fast/fast_pins.h"
#include "plane/kernel/cgroup.h"
#include "util/macro.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

#define BACKLOG 64

void fast_stage_close(struct fast_stage *stage)
{
	stage->hold_link = close_fd(stage->hold_link);
	stage->accept_link = close_fd(stage->accept_link);
	stage->connect_link = close_fd(stage->connect_link);
	stage->cgroup = close_fd(stage->cgroup);
	fast_bpf__destroy(stage->skel);
	stage->skel = NULL;
}

/* ---- making ---- */

static int own_netns(uint64_t *ret_cookie)
{
	_cleanup_(close_fdp) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t size = sizeof(*ret_cookie);

	return fd < 0 || getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, ret_cookie, &size) < 0 ? -errno
											    : 0;
}

static int load(struct fast_stage *stage, unsigned without, struct problem *problem)
{
	uint64_t netns;
	int r = own_netns(&netns);

	if (r)
		return problem_set(problem, r, "the cookie of a network namespace: %s",
				   strerror(-r));
	stage->skel = fast_bpf__open();
	if (!stage->skel)
		return problem_set(problem, -errno, "opening the programs: %m");
	stage->skel->rodata->hs_fast_without = without & ~FAST_STAGE_EVERYWHERE;
	stage->skel->rodata->hs_fast_netns = without & FAST_STAGE_EVERYWHERE ? 0 : netns;
	return load_object(stage->skel->obj, "the fast path", problem);
}

static int attach(struct fast_stage *stage)
{
	const struct fast_bpf *skel = stage->skel;
	char root[PATH_MAX];
	int r = cgroup_mount(root, sizeof(root));

	if (r)
		return r;
	stage->cgroup = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (stage->cgroup < 0 ||
	    bpf_prog_attach(bpf_program__fd(skel->progs.hs_fast_send),
			    bpf_map__fd(skel->maps.hs_fast_peers), BPF_SK_MSG_VERDICT, 0))
		return -errno;
	stage->accept_link = bpf_link_create(bpf_program__fd(skel->progs.hs_fast_accept),
					     stage->cgroup, BPF_CGROUP_SOCK_OPS, NULL);
	if (stage->accept_link < 0)
		return -errno;
	stage->hold_link = bpf_link_create(bpf_program__fd(skel->progs.hs_fast_hold), stage->cgroup,
					   BPF_CGROUP_INET_EGRESS, NULL);
	if (stage->hold_link < 0)
		return -errno;
	stage->connect_link = bpf_link_create(bpf_program__fd(skel->progs.hs_fast_connect),
					      stage->cgroup, BPF_CGROUP_SOCK_OPS, NULL);
	return stage->connect_link < 0 ? -errno : 0;
}

static int put(const struct bpf_map *map, const void *key, const void *value)
{
	return bpf_map_update_elem(bpf_map__fd(map), key, value, BPF_ANY) ? -errno : 0;
}

static int add_counts(const struct fast_stage *stage)
{
	int n = libbpf_num_possible_cpus();
	_cleanup_(freep) struct hs_fast_counts *counts = n > 0 ? calloc(n, sizeof(*counts)) : NULL;
	struct hs_fast_place place = {.service_id = FAST_STAGE_SERVICE};

	return counts ? put(stage->skel->maps.hs_fast_counts, &place, counts) : -ENOMEM;
}

static int fill(struct fast_stage *stage)
{
	struct hs_fast_client client = {.client = FAST_STAGE_CLIENT,
					.service_id = FAST_STAGE_SERVICE};
	struct hs_fast_group group = {.client = FAST_STAGE_CLIENT};
	uint32_t one = 1;
	struct stat st;
	uint64_t id;
	int r = put(stage->skel->maps.hs_fast_services, &client, &one);

	if (!r && fstat(stage->cgroup, &st) < 0)
		r = -errno;
	if (r)
		return r;
	id = st.st_ino;
	return put(stage->skel->maps.hs_fast_clients, &id, &group) ?: add_counts(stage);
}

int fast_stage_open(unsigned without, struct fast_stage *ret_stage, struct problem *problem)
{
	struct fast_stage stage = {
		.cgroup = -1, .accept_link = -1, .connect_link = -1, .hold_link = -1};
	int r = load(&stage, without, problem);

	if (!r) {
		r = attach(&stage) ?: fill(&stage);
		if (r)
			problem_set(problem, r, "attaching the programs: %s", strerror(-r));
	}
	if (r)
		fast_stage_close(&stage);
	else
		*ret_stage = stage;
	return r;
}

/* ---- connections ---- */

static socklen_t set_loopback(int family, uint16_t port, struct sockaddr_storage *ret_at)
{
	memset(ret_at, 0, sizeof(*ret_at));
	ret_at->ss_family = (sa_family_t)family;
	/* at the same place in both families */
	((struct sockaddr_in *)ret_at)->sin_port = htons(port);
	if (family == AF_INET6) {
		((struct sockaddr_in6 *)ret_at)->sin6_addr = in6addr_loopback;
		return sizeof(struct sockaddr_in6);
	}
	((struct sockaddr_in *)ret_at)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return sizeof(struct sockaddr_in);
}

static uint16_t port_of(const struct sockaddr_storage *at)
{
	return ntohs(((const struct sockaddr_in *)at)->sin_port);
}

int fast_stage_listen(struct fast_stage *stage, int family, uint16_t port_wanted,
		      struct sockaddr_storage *ret_at)
{
	_cleanup_(close_fdp) int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int share = 1;
	struct hs_fast_port port = {.client = FAST_STAGE_CLIENT};
	struct hs_tag tag = {.service_id = FAST_STAGE_SERVICE};
	socklen_t size = set_loopback(family, port_wanted, ret_at);
	uint32_t one = 1;
	int r;

	/* others may come beside */
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &share, sizeof(share)) < 0 ||
	    bind(fd, (struct sockaddr *)ret_at, size) < 0 || listen(fd, BACKLOG) < 0 ||
	    getsockname(fd, (struct sockaddr *)ret_at, &size) < 0)
		return -errno;
	port.port = port_of(ret_at);
	r = put(stage->skel->maps.hs_tags, &fd, &tag);
	if (!r)
		r = put(stage->skel->maps.hs_fast_ports, &port, &one);
	return r ? r : steal_fd(&fd);
}

int fast_stage_connect(const struct sockaddr_storage *at, int listener, int *ret_client,
		       int *ret_server)
{
	_cleanup_(close_fdp) int client = socket(at->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int server;

	if (client < 0 || connect(client, (const struct sockaddr *)at, sizeof(*at)) < 0)
		return -errno;
	server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (server < 0)
		return -errno;
	*ret_server = server;
	*ret_client = steal_fd(&client);
	return 0;
}

int fast_stage_pair(const struct fast_stage *stage, int client, struct hs_fast_pair *ret_pair)
{
	socklen_t size = sizeof(uint64_t);
	uint64_t cookie;

	if (getsockopt(client, SOL_SOCKET, SO_COOKIE, &cookie, &size) < 0)
		return -errno;
	return bpf_map_lookup_elem(bpf_map__fd(stage->skel->maps.hs_fast_pairs), &cookie, ret_pair)
		       ? -errno
		       : 0;
}

struct hs_fast_counts fast_stage_counts(const struct fast_stage *stage)
{
	const struct fast view = {.counts_fd = bpf_map__fd(stage->skel->maps.hs_fast_counts)};
	struct hs_fast_counts counts = {0};

	(void)fast_counts(&view, FAST_STAGE_SERVICE, 0, &counts);
	return counts;
}

bool fast_stage_is_fast(const struct fast_stage *stage, int client, enum hs_fast_side side)
{
	struct hs_fast_pair pair;

	return !fast_stage_pair(stage, client, &pair) && pair.directions[side].fast_bytes;
}
