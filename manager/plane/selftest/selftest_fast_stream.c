// SPDX-License-Identifier: GPL-2.0-or-later
/* Self-tests of the fast path: begin, end and flow of a stream. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>

#include "plane/kernel/diag.h"
#include "plane/selftest/fast_link.h"
#include "plane/selftest/selftest_checks.h"
#include "plane/selftest/selftest_fast_checks.h"
#include "util/macro.h"

#define CLIENT HS_FAST_CLIENT
#define SERVER HS_FAST_SERVER

#define PIECE	  60000 /* goes the fast way at once */
#define LARGE	  (UINT64_C(4608) << 20)
#define STALL_MAX (32 << 20)
/* Of two network namespaces; whoever has it is not disturbed. */
#define PORT 47011

/* ---- order ---- */

/* The server's end is not there before something has come, so that goes by TCP. */
static bool send_early(struct fast_link *link)
{
	int seconds = 5, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool works;

	setsockopt(link->listener, IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds, sizeof(seconds));
	if (fd < 0 || connect(fd, (struct sockaddr *)&link->at, sizeof(link->at)) < 0)
		return false;
	close_fd(link->ends[CLIENT]);
	link->ends[CLIENT] = fd;
	works = fast_link_send(link, CLIENT, "one");
	close_fd(link->ends[SERVER]);
	link->ends[SERVER] = accept4(link->listener, NULL, NULL, SOCK_CLOEXEC);
	return works && link->ends[SERVER] >= 0 && fast_link_send(link, CLIENT, "two") &&
	       fast_link_reads(link, SERVER, "onetwo");
}

/* A message that is too large for the fast way, behind one that was not. */
static bool go_over(const struct fast_link *link)
{
	char large[200000], read[sizeof(large)];
	size_t sent = 0, done = 0;
	ssize_t n = 1;

	memset(large, 'x', sizeof(large));
	if (!fast_link_send(link, CLIENT, "one"))
		return false;
	n = send(link->ends[CLIENT], large, sizeof(large), MSG_NOSIGNAL | MSG_DONTWAIT);
	sent = n > 0 ? (size_t)n : 0;
	if (!fast_link_reads(link, SERVER, "one"))
		return false;
	for (n = 1; done < sent && n > 0; done += n > 0 ? (size_t)n : 0)
		n = recv(link->ends[SERVER], read + done, sent - done, 0);
	return sent && done == sent && !memcmp(large, read, sent) &&
	       fast_link_send(link, CLIENT, "two") && fast_link_reads(link, SERVER, "two");
}

void selftest_fast_order(struct ability_result *result)
{
	struct fast_link link;
	bool works;

	if (!fast_link_open(&link, result))
		return;
	works = go_over(&link);
	fast_link_judge(&link, CLIENT, works, "behind a message by TCP", result);
	if (works && !send_early(&link))
		selftest_set(result, ABILITY_FAILS, "behind an early byte");
	fast_link_close(&link);
}

/* ---- the end ---- */

/* What comes last at this end: 0 = an end, else an error. */
static int last_of(const struct fast_link *link, enum hs_fast_side side)
{
	char byte;
	ssize_t n = recv(link->ends[side], &byte, 1, 0);

	return n < 0 ? -errno : n ? -EBADMSG : 0;
}

void selftest_fast_fin(struct ability_result *result)
{
	struct fast_link link;
	bool works;

	if (!fast_link_open(&link, result))
		return;
	works = fast_link_send(&link, CLIENT, "last");
	link.ends[CLIENT] = close_fd(link.ends[CLIENT]);
	works = works && fast_link_reads(&link, SERVER, "last") && !last_of(&link, SERVER);
	fast_link_judge(&link, CLIENT, works, "the last bytes, or the end, did not come", result);
	fast_link_close(&link);
}

void selftest_fast_half_close(struct ability_result *result)
{
	struct fast_link link;
	bool works;

	if (!fast_link_open(&link, result))
		return;
	works = fast_link_send(&link, CLIENT, "ask") && !shutdown(link.ends[CLIENT], SHUT_WR) &&
		fast_link_reads(&link, SERVER, "ask") && !last_of(&link, SERVER) &&
		fast_link_send(&link, SERVER, "answer") && fast_link_reads(&link, CLIENT, "answer");
	/* who has said that it sends no more is told so */
	works = works && send(link.ends[CLIENT], "x", 1, MSG_NOSIGNAL) < 0 && errno == EPIPE;
	fast_link_judge(&link, SERVER, works, "after shutdown(2)", result);
	fast_link_close(&link);
}

static void reset(struct fast_link *link, enum hs_fast_side side)
{
	struct linger at_once = {.l_onoff = 1};

	setsockopt(link->ends[side], SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	link->ends[side] = close_fd(link->ends[side]);
}

void selftest_fast_rst(struct ability_result *result)
{
	struct fast_link link;
	bool works;

	if (!fast_link_open(&link, result))
		return;
	works = fast_link_send(&link, SERVER, "last");
	reset(&link, SERVER);
	works = works && fast_link_reads(&link, CLIENT, "last") &&
		last_of(&link, CLIENT) == -ECONNRESET &&
		send(link.ends[CLIENT], "x", 1, MSG_NOSIGNAL) < 0 && errno == EPIPE;
	fast_link_judge(&link, SERVER, works, "it was not told as TCP does", result);
	fast_link_close(&link);
}

void selftest_fast_unread(struct ability_result *result)
{
	struct fast_link link;
	bool works;

	if (!fast_link_open(&link, result))
		return;
	works = fast_link_send(&link, CLIENT, "nobody reads it");
	link.ends[SERVER] = close_fd(link.ends[SERVER]);
	works = works && last_of(&link, CLIENT) == -ECONNRESET;
	fast_link_judge(&link, CLIENT, works, "an end is told instead", result);
	fast_link_close(&link);
}

static int destroy(const struct connection *connection, void *userdata)
{
	return *(int *)userdata = diag_destroy(&NETNS_OWN, connection);
}

void selftest_fast_destroy(struct ability_result *result)
{
	struct fast_link link;
	int r = -ENOENT;
	bool works;

	if (!fast_link_open(&link, result))
		return;
	works = fast_link_send(&link, CLIENT, "x") && fast_link_reads(&link, SERVER, "x");
	(void)diag_connections(&NETNS_OWN, ntohs(((struct sockaddr_in *)&link.at)->sin_port), -1,
			       destroy, &r);
	if (r)
		selftest_set(result, ABILITY_UNKNOWN, "SOCK_DESTROY: %s", strerror(-r));
	else
		fast_link_judge(&link, CLIENT, works && last_of(&link, CLIENT) < 0,
				"the other end does not see it", result);
	fast_link_close(&link);
}

/* ---- flow ---- */

/* How much was sent before the writer was to wait; 0 = something else stopped it. */
static size_t fill(const struct fast_link *link)
{
	static char piece[PIECE / 6];
	size_t sent = 0;
	ssize_t n;

	while (sent < STALL_MAX) {
		n = send(link->ends[CLIENT], piece, sizeof(piece), MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0)
			return errno == EAGAIN ? sent : 0;
		sent += (size_t)n;
	}
	return sent;
}

/* All of it, in one wait after the other. */
static bool drain(const struct fast_link *link, size_t sent)
{
	static char piece[PIECE];
	size_t done = 0;
	ssize_t n = 1;

	for (; done < sent && n > 0; done += n > 0 ? (size_t)n : 0)
		n = recv(link->ends[SERVER], piece, sizeof(piece), 0);
	return done == sent;
}

void selftest_fast_stall(struct ability_result *result)
{
	struct fast_link link;
	size_t sent;

	if (!fast_link_open(&link, result))
		return;
	sent = fill(&link);
	if (!sent || sent >= STALL_MAX)
		fast_link_judge(&link, CLIENT, false,
				sent ? "a writer goes on and on; nobody counts what waits"
				     : "a writer sees an error",
				result);
	else
		fast_link_judge(&link, CLIENT, drain(&link, sent),
				"the reader did not get the rest in time", result);
	fast_link_close(&link);
}

void selftest_fast_large(struct ability_result *result)
{
	static char piece[PIECE];
	struct fast_link link;
	uint64_t done = 0;
	bool works = true;

	if (!fast_link_open(&link, result))
		return;
	for (; works && done < LARGE; done += sizeof(piece))
		works = send(link.ends[CLIENT], piece, sizeof(piece), MSG_NOSIGNAL) ==
				sizeof(piece) &&
			drain(&link, sizeof(piece));
	if (fast_stage_counts(&link.stage).tcp_bytes[CLIENT])
		selftest_set(result, ABILITY_UNKNOWN, "it went over to TCP");
	else
		fast_link_judge(&link, CLIENT, works, "the stream stopped", result);
	fast_link_close(&link);
}

/* ---- moving ---- */

/* Never of a namespace that others are in. */
static bool move_at_random(void)
{
	_cleanup_(close_fdp) int fd = -1;

	if (unshare(CLONE_NEWNET) < 0 || selftest_loopback_up() < 0)
		return false;
	fd = open("/proc/sys/net/ipv4/tcp_migrate_req", O_WRONLY | O_CLOEXEC);
	return fd >= 0 && write(fd, "1", 1) == 1;
}

/* One waits, and its listener goes; there is another one. */
static bool send_and_move(struct fast_link *link)
{
	uint16_t port = ntohs(((struct sockaddr_in *)&link->at)->sin_port);
	int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), other;
	struct pollfd wait = {.events = POLLIN};

	close_fd(link->ends[CLIENT]);
	link->ends[CLIENT] = client;
	if (connect(client, (struct sockaddr *)&link->at, sizeof(link->at)) < 0 ||
	    !fast_link_send(link, CLIENT, "moved"))
		return false;
	other = fast_stage_listen(&link->stage, AF_INET, port, &link->at);
	close_fd(link->listener);
	link->listener = wait.fd = other;
	close_fd(link->ends[SERVER]);
	link->ends[SERVER] = -1;
	if (other >= 0 && poll(&wait, 1, FAST_WAIT_MS) == 1)
		link->ends[SERVER] = accept4(other, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	return link->ends[SERVER] >= 0;
}

void selftest_fast_moved(struct ability_result *result)
{
	struct fast_link link;

	if (!move_at_random()) {
		selftest_set(result, ABILITY_UNKNOWN, "tcp_migrate_req: %m");
		return;
	}
	if (!fast_link_open(&link, result))
		return;
	if (!send_and_move(&link))
		selftest_set(result, ABILITY_UNKNOWN, "it did not move: %m");
	else
		fast_link_judge(&link, CLIENT, fast_link_reads(&link, SERVER, "moved"),
				"it came without what was sent", result);
	fast_link_close(&link);
}

/* ---- namespaces ---- */

/* A connection between two ports that are the same each time, in the namespace where we are. */
static bool join_here(struct fast_link *link)
{
	struct sockaddr_in from = {.sin_family = AF_INET,
				   .sin_port = htons(PORT + 1),
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	link->ends[CLIENT] = fd;
	link->listener = fast_stage_listen(&link->stage, AF_INET, PORT, &link->at);
	if (fd < 0 || link->listener < 0 || bind(fd, (struct sockaddr *)&from, sizeof(from)) < 0 ||
	    connect(fd, (struct sockaddr *)&link->at, sizeof(link->at)) < 0)
		return false;
	link->ends[SERVER] = accept4(link->listener, NULL, NULL, SOCK_CLOEXEC);
	return link->ends[SERVER] >= 0;
}

static bool both_their_own(const struct fast_link links[2])
{
	struct timeval patience = {.tv_usec = FAST_WAIT_MS * 1000};

	for (unsigned i = 0; i < 2; i++)
		for (unsigned side = 0; side < HS_FAST_SIDES; side++)
			setsockopt(links[i].ends[side], SOL_SOCKET, SO_RCVTIMEO, &patience,
				   sizeof(patience));
	return fast_link_send(&links[0], CLIENT, "one") &&
	       fast_link_send(&links[1], CLIENT, "two") &&
	       fast_link_send(&links[0], SERVER, "three") &&
	       fast_link_send(&links[1], SERVER, "four") &&
	       fast_link_reads(&links[0], SERVER, "one") &&
	       fast_link_reads(&links[1], SERVER, "two") &&
	       fast_link_reads(&links[0], CLIENT, "three") &&
	       fast_link_reads(&links[1], CLIENT, "four");
}

void selftest_fast_namespaces(struct ability_result *result)
{
	struct fast_link links[2] = {{.listener = -1, .ends = {-1, -1}},
				     {.listener = -1, .ends = {-1, -1}}};
	struct problem problem;
	bool works;

	if (fast_stage_open(FAST_STAGE_EVERYWHERE, &links[0].stage, &problem)) {
		selftest_set(result, ABILITY_UNKNOWN, "%s", problem.text);
		return;
	}
	links[1].stage = links[0].stage;
	works = join_here(&links[0]);
	if (!works || unshare(CLONE_NEWNET) < 0 || selftest_loopback_up() < 0)
		selftest_set(result, ABILITY_UNKNOWN, "no second network namespace: %m");
	else
		fast_link_judge(&links[0], CLIENT, join_here(&links[1]) && both_their_own(links),
				"bytes came to the other one", result);
	/* the process ends here, and all descriptors with it */
	fast_stage_close(&links[0].stage);
}
