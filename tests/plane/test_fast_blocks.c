// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The fast path loses, doubles and moves no byte: streams of numbered blocks in both directions at
 * once, with early data, readers that are late, ways that end in the middle, messages from a byte
 * to a megabyte, for so many bytes of one seed:
 *
 *   FAST_SEED=1 FAST_BYTES=100000000000 build/tests/plane/test_fast_blocks
 *
 * Without the order rule, and without the flow rule, the same fails; that is shown, too.
 */
#include "cases.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "blocks.h"
#include "plane/selftest/fast_stage.h"

#define SEED_DEFAULT  15
#define BYTES_DEFAULT UINT64_C(1000000000)

/* What a run is like; each is drawn by itself. */
struct run {
	struct blocks blocks;
	int family;
	bool early; /* the client sends before the server's end is there */
	uint32_t early_bytes;
	int buffer; /* of the receivers; 0 = as the kernel has it */
};

static uint64_t from_environment(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 10) : otherwise;
}

static struct fast_stage open_stage(unsigned without)
{
	struct fast_stage stage;
	struct problem problem;

	case_needs(ABILITY_LOADS_FAST);
	if (fast_stage_open(without, &stage, &problem) < 0)
		rig_fail(__FILE__, __LINE__, "%s", problem.text);
	return stage;
}

/* ---- connections ---- */

static int listen_for(struct fast_stage *stage, const struct run *run, struct sockaddr_storage *at)
{
	int fd = fast_stage_listen(stage, run->family, 0, at), seconds = 5;

	assert_true(fd >= 0);
	/* the server's end is not there before something has come */
	if (run->early)
		assert_int_equal(
			setsockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds, sizeof(seconds)),
			0);
	if (run->buffer)
		assert_int_equal(
			setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &run->buffer, sizeof(run->buffer)),
			0);
	return fd;
}

static void connect_for(struct fast_stage *stage, struct run *run)
{
	struct sockaddr_storage at;
	int listener = listen_for(stage, run, &at);
	int client = socket(run->family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (run->buffer)
		assert_int_equal(setsockopt(client, SOL_SOCKET, SO_RCVBUF, &run->buffer,
					    sizeof(run->buffer)),
				 0);
	assert_int_equal(connect(client, (struct sockaddr *)&at, sizeof(at)), 0);
	run->blocks.ends[0] = client;
	if (run->early) {
		blocks_send(&run->blocks, 0, 0, run->early_bytes);
		run->blocks.sent[0] = run->early_bytes;
	}
	run->blocks.ends[1] = accept(listener, NULL, NULL);
	assert_true(run->blocks.ends[1] >= 0);
	close(listener);
}

static void hang_up(const struct run *run)
{
	close(run->blocks.ends[0]);
	close(run->blocks.ends[1]);
}

static uint32_t draw(uint64_t *state, uint32_t n)
{
	return (uint32_t)(blocks_next(state) % n);
}

static struct run draw_run(uint64_t *state)
{
	static const uint32_t most[] = {1, 64, 4096, 65536, 1 << 20, 1 << 20};
	static const int buffers[] = {0, 0, 0, 4096, 65536, 1 << 20};
	uint32_t piece, bytes;
	struct run run = {
		.family = draw(state, 2) ? AF_INET6 : AF_INET,
		.early = !draw(state, 4),
		.early_bytes = 1 + draw(state, 5000),
		.buffer = buffers[draw(state, ARRAY_SIZE(buffers))],
		.blocks =
			{
				.seed = blocks_next(state),
				.most = most[draw(state, ARRAY_SIZE(most))],
				.stalls = draw(state, 3) ? 0 : 50 + draw(state, 2000),
				.stall_ms = draw(state, 8),
				.poll = draw(state, 2),
			},
	};
	/* what goes in small pieces is slow */
	run.blocks.window = 1 + draw(state, run.buffer && run.buffer < 65536 ? 1000 : 60000);
	piece = MIN(run.blocks.most, run.blocks.window);
	bytes = piece < 64 ? 5000 : piece < 4000 ? 300000 : piece < 16000 ? 6000000 : 30000000;
	for (unsigned side = 0; side < 2; side++) {
		run.blocks.bytes[side] = run.early_bytes + draw(state, 2 * bytes);
		/* those that go on waiting for their readers stay on the fast way */
		run.blocks.paced[side] = draw(state, 4) ? UINT64_MAX : draw(state, 2 * bytes);
	}
	return run;
}

/* ---- streams ---- */

static void print_counts(uint64_t seed, const struct hs_fast_counts *counts)
{
	print_message("# seed %ju: %ju connections; from client and server: fast %ju %ju, by TCP "
		      "%ju %ju bytes; early %ju, full %ju\n",
		      (uintmax_t)seed, (uintmax_t)counts->begun, (uintmax_t)counts->fast_bytes[0],
		      (uintmax_t)counts->fast_bytes[1], (uintmax_t)counts->tcp_bytes[0],
		      (uintmax_t)counts->tcp_bytes[1], (uintmax_t)counts->why[HS_FAST_WHY_EARLY],
		      (uintmax_t)counts->why[HS_FAST_WHY_FULL]);
}

static void streams_arrive_whole(void **state)
{
	uint64_t seed = from_environment("FAST_SEED", SEED_DEFAULT), random = seed;
	uint64_t bytes = from_environment("FAST_BYTES", BYTES_DEFAULT);
	struct fast_stage stage = open_stage(0);
	struct hs_fast_counts counts;
	uint64_t done = 0;

	(void)state;
	while (done < bytes) {
		struct run run = draw_run(&random);
		struct blocks_wrong wrong;

		connect_for(&stage, &run);
		wrong = blocks_run(&run.blocks);
		hang_up(&run);
		done += run.blocks.bytes[0] + run.blocks.bytes[1];
		if (wrong.wrong)
			rig_fail(__FILE__, __LINE__, "after %ju bytes, sent by %s, byte %ju: %s",
				 (uintmax_t)done, wrong.side ? "the server" : "the client",
				 (uintmax_t)wrong.at, wrong.what);
	}
	counts = fast_stage_counts(&stage);
	print_counts(seed, &counts);
	for (unsigned side = 0; side < 2; side++) {
		assert_true(counts.fast_bytes[side] > 0);
		assert_true(counts.tcp_bytes[side] > 0);
	}
	assert_true(counts.why[HS_FAST_WHY_EARLY] > 0);
	assert_true(counts.why[HS_FAST_WHY_FULL] > 0);
	fast_stage_close(&stage);
}

/* ---- with the rules, and without ---- */

/* A byte that came by TCP waits when others come that could go the fast way. */
static struct blocks_wrong send_early(unsigned without)
{
	struct fast_stage stage = open_stage(without);
	struct run run = {
		.family = AF_INET,
		.early = true,
		.early_bytes = 8,
		.blocks = {.seed = 1, .bytes = {5000, 5000}, .most = 100},
	};
	struct blocks_wrong wrong;

	connect_for(&stage, &run);
	blocks_send(&run.blocks, 0, run.early_bytes, 1000);
	run.blocks.sent[0] += 1000;
	wrong = blocks_run(&run.blocks);
	hang_up(&run);
	fast_stage_close(&stage);
	return wrong;
}

static void early_bytes_are_first(void **state)
{
	(void)state;
	assert_false(send_early(0).wrong);
	assert_true(send_early(HS_FAST_WITHOUT_ORDER).wrong);
}

/* How much of it the kernel takes while nobody reads. */
static size_t send_until_full(int fd, const uint8_t *bytes, size_t n)
{
	size_t sent = 0;
	ssize_t r;

	while (sent < n && (r = send(fd, bytes + sent, MIN(n - sent, 10000), MSG_DONTWAIT)) > 0)
		sent += (size_t)r;
	return sent;
}

/* Whether it is this that comes next. */
static bool reads(int fd, const uint8_t *expected, size_t n)
{
	_cleanup_(freep) uint8_t *read = malloc(n);
	size_t done = 0;
	ssize_t r = 1;

	for (; done < n && r > 0; done += r > 0 ? (size_t)r : 0)
		r = recv(fd, read + done, n - done, 0);
	return done == n && !memcmp(read, expected, n);
}

/* A direction that has gone over to TCP, of which the reader has then left some bytes unread. */
static bool come_back(unsigned without)
{
	const size_t most = 32 << 20, left = 1000, more = 100;
	struct fast_stage stage = open_stage(without);
	_cleanup_(freep) uint8_t *bytes = malloc(most);
	struct run run = {.family = AF_INET6};
	size_t sent;
	bool right;

	connect_for(&stage, &run);
	blocks_fill(&run.blocks, 0, 0, bytes, most);
	sent = send_until_full(run.blocks.ends[0], bytes, most - more);
	assert_true(sent > left && sent < most - more);
	right = reads(run.blocks.ends[1], bytes, sent - left);
	assert_int_equal(send(run.blocks.ends[0], bytes + sent, more, 0), more);
	right = right && reads(run.blocks.ends[1], bytes + sent - left, left + more);
	hang_up(&run);
	fast_stage_close(&stage);
	return right;
}

static void once_by_tcp_always_by_tcp(void **state)
{
	(void)state;
	assert_true(come_back(0));
	assert_false(come_back(HS_FAST_WITHOUT_ORDER));
}

/* How much a writer gets rid of while nobody reads, up to `most`. */
static uint64_t send_to_nobody(unsigned without, enum hs_fast_side side, uint64_t most)
{
	struct fast_stage stage = open_stage(without);
	struct run run = {.family = AF_INET};
	static char bytes[10000];
	uint64_t sent = 0;
	ssize_t n = 0;

	connect_for(&stage, &run);
	for (; n >= 0 && sent<most; sent += n> 0 ? (uint64_t)n : 0)
		n = send(run.blocks.ends[side], bytes, sizeof(bytes), MSG_DONTWAIT);
	if (n < 0)
		assert_int_equal(errno, EAGAIN);
	hang_up(&run);
	fast_stage_close(&stage);
	return sent;
}

static void who_does_not_read_stops_the_writer(void **state)
{
	const uint64_t most = 64 << 20;

	(void)state;
	for (unsigned side = 0; side < 2; side++) {
		assert_true(send_to_nobody(0, side, most) < most / 4);
		assert_true(send_to_nobody(HS_FAST_WITHOUT_FLOW, side, most) >= most);
	}
}

/* Reads until it gets less than it asks for, which is the last for now, as epoll(7) says. */
static size_t read_by_edge(int epoll, int fd, size_t most)
{
	struct epoll_event event;
	size_t done = 0;
	char bytes[4096];
	ssize_t n;

	while (done < most && epoll_wait(epoll, &event, 1, 3000) == 1)
		do {
			n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
			done += n > 0 ? (size_t)n : 0;
		} while (n == sizeof(bytes));
	return done;
}

/* Whether a reader by edge is told of what comes by TCP behind what came the fast way. TLS goes
 * over at once. */
static bool is_told_of_all(unsigned without)
{
	static const char fast[1000], hello[] = "\x16\x03\x01";
	struct epoll_event event = {.events = EPOLLIN | EPOLLET};
	struct fast_stage stage = open_stage(without);
	_cleanup_(close_fdp) int epoll = epoll_create1(EPOLL_CLOEXEC);
	struct run run = {.family = AF_INET};
	size_t read;

	connect_for(&stage, &run);
	assert_int_equal(send(run.blocks.ends[0], fast, sizeof(fast), 0), sizeof(fast));
	assert_int_equal(send(run.blocks.ends[0], hello, sizeof(hello), 0), sizeof(hello));
	assert_int_equal(fast_stage_counts(&stage).tcp_bytes[0], sizeof(hello));
	assert_int_equal(epoll_ctl(epoll, EPOLL_CTL_ADD, run.blocks.ends[1], &event), 0);
	read = read_by_edge(epoll, run.blocks.ends[1], sizeof(fast) + sizeof(hello));
	hang_up(&run);
	fast_stage_close(&stage);
	return read == sizeof(fast) + sizeof(hello);
}

static void what_comes_by_tcp_is_news(void **state)
{
	(void)state;
	assert_true(is_told_of_all(0));
	assert_false(is_told_of_all(HS_FAST_WITHOUT_HOLD));
}

/* ---- threads ---- */

/* How many of so many connections had a message torn by another thread's. */
static unsigned crowd(unsigned without, unsigned times, struct hs_fast_counts *ret_counts)
{
	struct fast_stage stage = open_stage(without);
	const int large = 16 << 20;
	unsigned torn = 0;

	for (unsigned i = 0; i < times; i++) {
		struct run run = {.family = AF_INET};
		const char *wrong;

		connect_for(&stage, &run);
		/* root may have more than others */
		assert_int_equal(setsockopt(run.blocks.ends[0], SOL_SOCKET, SO_SNDBUFFORCE, &large,
					    sizeof(large)),
				 0);
		wrong = blocks_crowd(run.blocks.ends, 4, 200, 3000, i);
		torn += wrong != NULL;
		if (wrong && !without)
			print_error("connection %u: %s\n", i, wrong);
		hang_up(&run);
	}
	*ret_counts = fast_stage_counts(&stage);
	fast_stage_close(&stage);
	return torn;
}

static void messages_of_threads_stay_whole(void **state)
{
	struct hs_fast_counts counts;

	(void)state;
	assert_int_equal(crowd(0, 60, &counts), 0);
	print_message("# threads: %ju bytes fast, %ju by TCP, %ju went over; without care %u of 60 "
		      "torn\n",
		      (uintmax_t)counts.fast_bytes[0], (uintmax_t)counts.tcp_bytes[0],
		      (uintmax_t)counts.why[HS_FAST_WHY_FULL],
		      crowd(HS_FAST_WITHOUT_CARE, 60, &counts));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BARE_CASE(early_bytes_are_first),
		BARE_CASE(once_by_tcp_always_by_tcp),
		BARE_CASE(who_does_not_read_stops_the_writer),
		BARE_CASE(what_comes_by_tcp_is_news),
		BARE_CASE(messages_of_threads_stay_whole),
		BARE_CASE(streams_arrive_whole),
	};

	return cases_run("fast_blocks", tests);
}
