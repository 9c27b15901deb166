// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Clients that a UDP server has a socket of its own for are counted, for the slot in whose control
 * group the socket was made.
 */
#include "cases.h"

#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "plane/bpf/pins.h"
#include "plane/kernel/cgroup.h"
#include "plane/peers.h"

#define PORT 5353

static struct address udp(struct address address)
{
	address.udp = true;
	return address;
}

static void enter(const char *cgroup)
{
	char mount[PATH_MAX];
	FILE *procs;

	rig_check(cgroup_mount(mount, sizeof(mount)) == 0);
	procs = fopen(pin_path("%s%s/cgroup.procs", mount, cgroup).text, "we");
	rig_check(procs && fprintf(procs, "%d", getpid()) > 0 && !fclose(procs));
}

static int connected_socket(const struct address *from, const struct address *to)
{
	struct sockaddr_storage local, peer;
	socklen_t local_size = address_to_sockaddr(from, &local),
		  peer_size = address_to_sockaddr(to, &peer);
	int fd = socket(from->family, SOCK_DGRAM, 0), one = 1;

	rig_check(fd >= 0);
	rig_check(!setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)));
	rig_check(!bind(fd, (struct sockaddr *)&local, local_size));
	rig_check(!connect(fd, (struct sockaddr *)&peer, peer_size));
	return fd;
}

/* A process of the server that has `n` such sockets; ends with peers_end(). */
static pid_t peers_begin(const char *cgroup, const struct address *from, unsigned n)
{
	struct address to = udp(from->family == AF_INET ? rig_local(0) : rig_local6(0));
	int ends[2];
	char byte;
	pid_t pid;

	rig_check(!pipe(ends));
	pid = fork();
	rig_check(pid >= 0);
	if (!pid) {
		enter(cgroup);
		for (unsigned i = 0; i < n; i++) {
			to.port = (uint16_t)(40000 + i);
			connected_socket(from, &to);
		}
		rig_check(write(ends[1], "x", 1) == 1);
		for (;;)
			pause();
	}
	close(ends[1]);
	rig_check(read(ends[0], &byte, 1) == 1);
	close(ends[0]);
	return pid;
}

static void peers_end(pid_t pid)
{
	kill(pid, SIGKILL);
	rig_check(waitpid(pid, NULL, 0) == pid);
}

static void assert_peers(const struct rig *rig, uint64_t first, uint64_t second)
{
	uint64_t peers[HS_SLOTS_MAX];

	assert_int_equal(plane_peers(rig->plane, peers), 1);
	assert_int_equal(peers[0], first);
	assert_int_equal(peers[1], second);
}

static struct pair begin(struct rig *rig, const struct address *at)
{
	struct pair pair = start_pair(rig, at);

	plane_set_cgroup(rig->plane, 0, pair.a->cgroup);
	plane_set_cgroup(rig->plane, 1, pair.b->cgroup);
	return pair;
}

static void they_are_counted_for_the_slot_that_made_them(void **state)
{
	struct rig *rig = *state;
	struct address at = udp(rig_local(PORT));
	struct pair pair = begin(rig, &at);
	pid_t of_a, of_b;

	assert_peers(rig, 0, 0);
	of_a = peers_begin(pair.a->cgroup, &at, 10);
	of_b = peers_begin(pair.b->cgroup, &at, 3);
	assert_peers(rig, 10, 3);
	assert_int_equal(plane_remaining(rig->plane, 0), 10);
	/* whatever is active */
	rig_flip(rig, 1);
	assert_peers(rig, 10, 3);
	peers_end(of_a);
	assert_peers(rig, 0, 3);
	assert_int_equal(plane_remaining(rig->plane, 0), 0);
	assert_int_equal(plane_remaining(rig->plane, 1), 3);
	peers_end(of_b);
}

static void of_a_retired_slot_too(void **state)
{
	struct rig *rig = *state;
	struct address at = udp(rig_local6(PORT));
	struct pair pair = begin(rig, &at);
	pid_t pid = peers_begin(pair.a->cgroup, &at, 4);

	server_close(pair.a, 0);
	assert_peers(rig, 4, 0);
	peers_end(pid);
}

/* Others that talk from the same port, and servers without UDP. */
static void what_is_no_slots_is_not_counted(void **state)
{
	struct rig *rig = *state;
	struct address at = udp(rig_local(PORT)), other = udp(rig_local(PORT + 1));
	struct server *stranger = server_start(rig, 9);
	struct pair pair = begin(rig, &at);
	pid_t theirs = peers_begin(stranger->cgroup, &at, 2);
	pid_t elsewhere = peers_begin(pair.a->cgroup, &other, 2);

	assert_peers(rig, 0, 0);
	peers_end(theirs);
	peers_end(elsewhere);
}

static void without_udp_there_is_nothing_to_count(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	uint64_t peers[HS_SLOTS_MAX];

	begin(rig, &at);
	assert_int_equal(plane_peers(rig->plane, peers), 0);
}

/* Nobody waits for the listing of them all. */
static void very_many_are_counted_up_to_a_bound(void **state)
{
	struct rig *rig = *state;
	struct address at = udp(rig_any(PORT));
	struct pair pair = begin(rig, &at);
	struct rlimit limit = {PEERS_MAX + 2000, PEERS_MAX + 2000};
	pid_t pid;

	rig_check(!setrlimit(RLIMIT_NOFILE, &limit));
	pid = peers_begin(pair.b->cgroup, &at, PEERS_MAX + 1000);
	assert_peers(rig, 0, PEERS_MAX);
	peers_end(pid);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(they_are_counted_for_the_slot_that_made_them),
		CASE(of_a_retired_slot_too),
		CASE(what_is_no_slots_is_not_counted),
		CASE(without_udp_there_is_nothing_to_count),
		CASE(very_many_are_counted_up_to_a_bound),
	};

	return cases_run("peers", tests);
}
