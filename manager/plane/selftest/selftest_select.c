// SPDX-License-Identifier: GPL-2.0-or-later
/* Self-tests of the selector: two sockets on one address, and clients of them. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "hs_probe.h"
#include "plane/bpf/load.h"
#include "plane/selftest/selftest_checks.h"
#include "probe_select.skel.h"
#include "util/clock.h"
#include "util/macro.h"

#define CLIENTS	  4
#define WAIT_USEC (200 * USEC_PER_MSEC)

DEFINE_CLEANUP(struct probe_select_bpf, probe_select_bpf__destroy)

struct group {
	struct probe_select_bpf *skel;
	struct hs_probe *state; /* mapped */
	int type;		/* SOCK_STREAM, SOCK_DGRAM */
	int sockets[2];
	struct sockaddr_in at;
	int clients[2 * CLIENTS];
	unsigned n_clients;
	const char *step;	/* what was being done when it went wrong */
	struct problem refusal; /* why a program was not loaded */
};

static void group_done(struct group *group)
{
	for (unsigned i = 0; i < group->n_clients; i++)
		close_fd(group->clients[i]);
	for (unsigned i = 0; i < 2; i++)
		close_fd(group->sockets[i]);
	if (group->state)
		munmap(group->state, sizeof(*group->state));
	probe_select_bpf__destroy(group->skel);
}

/* ---- making one ---- */

static int load(struct group *group, bool migrate)
{
	struct probe_select_bpf *skel = probe_select_bpf__open();
	void *page;
	int r;

	group->step = "loading the program";
	group->skel = skel;
	if (!skel)
		return -errno;
	bpf_program__set_autoload(skel->progs.hs_pr_select, !migrate);
	bpf_program__set_autoload(skel->progs.hs_pr_move, migrate);
	r = load_object(skel->obj, "a program to try it with", &group->refusal);
	if (r < 0)
		return r;
	group->step = "mapping a map's memory";
	page = mmap(NULL, sizeof(*group->state), PROT_READ | PROT_WRITE, MAP_SHARED,
		    bpf_map__fd(skel->maps.hs_pr_state), 0);
	if (page == MAP_FAILED)
		return -errno;
	group->state = page;
	return 0;
}

static int bind_socket(struct group *group, int fd)
{
	socklen_t size = sizeof(group->at);
	int one = 1;

	if (setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) < 0 ||
	    bind(fd, (struct sockaddr *)&group->at, size) < 0 ||
	    getsockname(fd, (struct sockaddr *)&group->at, &size) < 0)
		return -errno;
	return group->type == SOCK_STREAM && listen(fd, 64) < 0 ? -errno : 0;
}

static int open_sockets(struct group *group)
{
	int r = 0;

	group->step = "listening twice on one address";
	group->at = (struct sockaddr_in) {.sin_family = AF_INET,
					  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	for (unsigned i = 0; !r && i < 2; i++) {
		group->sockets[i] = socket(AF_INET, group->type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		r = group->sockets[i] < 0 ? -errno : bind_socket(group, group->sockets[i]);
	}
	return r;
}

static int attach(struct group *group, int program)
{
	int map = bpf_map__fd(group->skel->maps.hs_pr_sockets);

	group->step = "attaching the program";
	if (setsockopt(group->sockets[0], SOL_SOCKET, SO_ATTACH_REUSEPORT_EBPF, &program,
		       sizeof(program)) < 0)
		return -errno;
	group->step = "putting sockets into a map";
	for (uint32_t i = 0; i < 2; i++) {
		uint64_t fd = group->sockets[i];

		if (bpf_map_update_elem(map, &i, &fd, BPF_ANY))
			return -errno;
	}
	return 0;
}

/* What may be missing for want of permission says nothing about the kernel. */
static bool give_up(const struct group *group, int error, struct ability_result *result)
{
	bool unknown = error == -EPERM || error == -EACCES || error == -ENOMEM;

	if (group->refusal.text[0])
		selftest_set(result, unknown ? ABILITY_UNKNOWN : ABILITY_FAILS, "%s",
			     group->refusal.text);
	else
		selftest_set(result, unknown ? ABILITY_UNKNOWN : ABILITY_FAILS, "%s: %s",
			     group->step, strerror(-error));
	return false;
}

static bool group_open(struct group *group, bool migrate, int type, struct ability_result *result)
{
	int r;

	*group = (struct group) {.type = type, .sockets = {-1, -1}};
	r = load(group, migrate);
	if (!r)
		r = open_sockets(group);
	if (!r)
		r = attach(group, bpf_program__fd(migrate ? group->skel->progs.hs_pr_move
							  : group->skel->progs.hs_pr_select));
	return r ? give_up(group, r, result) : true;
}

/* ---- using one ---- */

static void want(struct group *group, unsigned index)
{
	__atomic_store_n(&group->state->want, index, __ATOMIC_SEQ_CST);
}

/* Loopback is quick: what takes longer than this hangs. */
static bool connect_clients(struct group *group, unsigned n)
{
	struct timeval patience = {.tv_usec = WAIT_USEC};

	for (unsigned i = 0; i < n; i++) {
		int fd = socket(AF_INET, group->type | SOCK_CLOEXEC, 0);

		if (fd < 0)
			return false;
		group->clients[group->n_clients++] = fd;
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
		if (connect(fd, (struct sockaddr *)&group->at, sizeof(group->at)) < 0)
			return false;
	}
	return true;
}

static unsigned queued(int listener)
{
	struct tcp_info info = {0};
	socklen_t size = sizeof(info);

	/* of a listener this is the length of its accept queue */
	return getsockopt(listener, IPPROTO_TCP, TCP_INFO, &info, &size) < 0 ? 0
									     : info.tcpi_unacked;
}

static bool until_queued(int listener, unsigned n)
{
	uint64_t end = now_usec() + WAIT_USEC;

	while (queued(listener) < n && now_usec() < end)
		(void)poll(NULL, 0, 1);
	return queued(listener) == n;
}

static void judge(bool works, const char *detail, struct ability_result *result)
{
	selftest_set(result, works ? ABILITY_WORKS : ABILITY_FAILS, "%s", works ? "" : detail);
}

void selftest_select(struct ability_result *result)
{
	_cleanup_(group_done) struct group group;
	bool works = true;

	if (!group_open(&group, false, SOCK_STREAM, result))
		return;
	for (unsigned i = 0; works && i < 2; i++) {
		want(&group, i);
		works = connect_clients(&group, CLIENTS) && until_queued(group.sockets[i], CLIENTS);
	}
	judge(works, "connections did not go where the program sent them", result);
}

void selftest_mmap(struct ability_result *result)
{
	_cleanup_(group_done) struct group group;

	if (!group_open(&group, false, SOCK_STREAM, result))
		return;
	judge(connect_clients(&group, 1) && group.state->selected == 1,
	      "what a program counted is not seen", result);
}

/* Clients wait on socket 0, which closes; socket 1 is to get them. */
static bool begin_move(struct group *group, struct ability_result *result)
{
	if (!group_open(group, true, SOCK_STREAM, result))
		return false;
	if (!connect_clients(group, CLIENTS) || !until_queued(group->sockets[0], CLIENTS)) {
		selftest_set(result, ABILITY_FAILS,
			     "connections did not go where the program sent them");
		return false;
	}
	want(group, 1);
	return true;
}

static bool move(struct group *group)
{
	group->sockets[0] = close_fd(group->sockets[0]);
	return until_queued(group->sockets[1], CLIENTS);
}

void selftest_migration(struct ability_result *result)
{
	_cleanup_(group_done) struct group group;

	if (begin_move(&group, result))
		judge(move(&group), "waiting connections were lost with their listener", result);
}

/*
 * No need for a sleeper: with EPOLLET the epoll reports what it was woken for, and nothing else.
 * (Asked without, it would look into the queue by itself.)
 */
void selftest_wakeup(struct ability_result *result)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET};
	_cleanup_(close_fdp) int epoll = epoll_create1(EPOLL_CLOEXEC);
	_cleanup_(group_done) struct group group;

	if (!begin_move(&group, result))
		return;
	if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, group.sockets[1], &event) < 0 ||
	    epoll_wait(epoll, &event, 1, 0) != 0) {
		selftest_set(result, ABILITY_UNKNOWN, "epoll: %m");
		return;
	}
	if (!move(&group))
		selftest_set(result, ABILITY_UNKNOWN, "nothing moves");
	else
		judge(epoll_wait(epoll, &event, 1, 0) == 1,
		      "a server that sleeps is not woken for connections that moved to it", result);
}

void selftest_ring(struct ability_result *result)
{
	_cleanup_(group_done) struct group group;
	struct bpf_map *map;
	uint64_t *positions;
	long page = sysconf(_SC_PAGESIZE);

	if (!begin_move(&group, result))
		return;
	move(&group);
	/* the second page of the map begins with the producer's position */
	map = group.skel->maps.hs_pr_ring;
	positions = mmap(NULL, (size_t)page, PROT_READ, MAP_SHARED, bpf_map__fd(map), page);
	if (positions == MAP_FAILED) {
		selftest_set(result, ABILITY_UNKNOWN, "mapping the ring: %m");
		return;
	}
	judge(*positions > 0, "a record did not arrive", result);
	munmap(positions, (size_t)page);
}

/* With TCP_DEFER_ACCEPT a handshake stays half open until the client sends something. */
static bool begin_half_open(struct group *group, struct ability_result *result)
{
	int seconds = 5;

	if (!group_open(group, true, SOCK_STREAM, result))
		return false;
	for (unsigned i = 0; i < 2; i++)
		setsockopt(group->sockets[i], IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds,
			   sizeof(seconds));
	if (connect_clients(group, 1) && !queued(group->sockets[0]))
		return true;
	selftest_set(result, ABILITY_UNKNOWN, "a handshake could not be left half open");
	return false;
}

void selftest_handshakes(struct ability_result *result)
{
	_cleanup_(group_done) struct group group;

	if (!begin_half_open(&group, result))
		return;
	want(&group, 1);
	group.sockets[0] = close_fd(group.sockets[0]);
	judge(send(group.clients[0], "x", 1, MSG_NOSIGNAL) == 1 &&
		      until_queued(group.sockets[1], 1),
	      "a handshake was lost with its listener", result);
}

void selftest_udp(struct ability_result *result)
{
	_cleanup_(group_done) struct group group;
	bool works = true;
	char byte;

	if (!group_open(&group, false, SOCK_DGRAM, result))
		return;
	for (unsigned i = 0; works && i < 2; i++) {
		struct pollfd wait = {.fd = group.sockets[i], .events = POLLIN};

		want(&group, i);
		works = connect_clients(&group, 1) && send(group.clients[i], "x", 1, 0) == 1 &&
			poll(&wait, 1, WAIT_USEC / USEC_PER_MSEC) == 1 &&
			recv(group.sockets[i], &byte, 1, 0) == 1;
	}
	judge(works, "datagrams did not go where the program sent them", result);
}

/* Of this network namespace, which is the test's own. */
static bool always_cookies(void)
{
	_cleanup_(close_fdp) int fd =
		open("/proc/sys/net/ipv4/tcp_syncookies", O_WRONLY | O_CLOEXEC);

	return fd >= 0 && write(fd, "2", 1) == 1;
}

void selftest_cookies(struct ability_result *result)
{
	_cleanup_(group_done) struct group group;

	if (!group_open(&group, true, SOCK_STREAM, result))
		return;
	if (!always_cookies()) {
		selftest_set(result, ABILITY_UNKNOWN, "net.ipv4.tcp_syncookies: %m");
		return;
	}
	want(&group, 1);
	judge(connect_clients(&group, CLIENTS) && until_queued(group.sockets[1], CLIENTS),
	      "handshakes with cookies did not end where the program sent them", result);
}
