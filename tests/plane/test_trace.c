// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Tracing: each reason for which a selector decides is provoked, and told as it was; of whom, and
 * how much is told; that what is decided does not depend on it; and what is left of one who is
 * killed. Real sockets; the answer tells where they were led in truth.
 */
#include "cases.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "command.h"
#include "core/canary.h"
#include "core/spread/spread.h"
#include "plane/act/park.h"
#include "plane/act/retire.h"
#include "plane/borrow/scan.h"
#include "plane/bpf/handover.h"
#include "plane/bpf/own.h"
#include "plane/parts/table.h"
#include "plane/parts/trace.h"
#include "plane/preview/preview.h"

#define PORT	 8080
#define KEPT_MAX 20000
#define ALL	 1000000 /* a second */

struct seen {
	struct rig *rig;
	struct trace *trace;
	struct trace_counts counts;
	unsigned n, most, looked_at;
	struct hs_trace_record records[KEPT_MAX];
};

static struct seen seen;

static int keep(const struct hs_trace_record *record, void *userdata)
{
	struct seen *to = userdata;

	rig_check(to->n < KEPT_MAX);
	to->records[to->n++] = *record;
	return to->n == to->most ? -ECANCELED : 0;
}

static int try_begin(struct rig *rig, const char *from, unsigned per_second,
		     struct problem *problem)
{
	struct hs_prefix prefix;
	struct trace_order order = {
		.from = from ? &prefix : NULL,
		.per_second = per_second,
		.on_record = keep,
		.userdata = &seen,
	};

	memset(&seen, 0, sizeof(seen));
	seen.rig = rig;
	rig_check(!from || !prefix_parse(from, &prefix));
	return trace_begin(rig->plane, &order, &seen.trace, problem);
}

static void begin(struct rig *rig, const char *from, unsigned per_second)
{
	struct problem problem = {0};

	if (try_begin(rig, from, per_second, &problem) < 0)
		rig_fail(__FILE__, __LINE__, "%s", problem.text);
}

static void end(void)
{
	trace_end(seen.trace, &seen.counts);
	rig_check(!trace_consume(seen.trace));
	seen.trace = trace_free(seen.trace);
}

static bool is_flagged(const struct rig *rig)
{
	return hs_word_flags(plane_word(rig->plane)) & HS_FLAG_TRACE;
}

/* Those that have come since this was asked last. */
static unsigned news(void)
{
	unsigned n;

	rig_check(!trace_consume(seen.trace));
	n = seen.n - seen.looked_at;
	seen.looked_at = seen.n;
	return n;
}

/* The one that has come since. */
static const struct hs_trace_record *the_one(void)
{
	assert_int_equal(news(), 1);
	return &seen.records[seen.n - 1];
}

static void assert_told(enum hs_trace_why why, unsigned slot)
{
	const struct hs_trace_record *record = the_one();

	assert_int_equal(record->why, why);
	assert_int_equal(record->slot, slot);
	assert_int_equal(record->marks & HS_TRACE_MOVED, 0);
	assert_int_equal(record->from, HS_SLOT_NONE);
}

static struct address with_udp(struct address address)
{
	address.udp = true;
	return address;
}

static void set_flow(struct rig *rig, enum hs_flow_mode mode)
{
	struct config config;

	config_init(&config);
	config.flow = mode;
	config.quic_slot_byte = 3;
	plane_set_flow(rig->plane, &config);
}

static struct pair serve(struct rig *rig, const struct address *at)
{
	struct pair pair = start_pair(rig, at);

	serve_pair(&pair);
	return pair;
}

/* ---- what is told ---- */

static void assert_ends(const struct hs_trace_record *record, const struct address *listener,
			const char *client, const char *local)
{
	char text[INET6_ADDRSTRLEN];

	assert_string_equal(inet_ntop(AF_INET6, record->client, text, sizeof(text)), client);
	assert_string_equal(inet_ntop(AF_INET6, record->local, text, sizeof(text)), local);
	assert_int_equal(record->local_port, PORT);
	assert_int_equal(record->listener, trace_name(listener));
	assert_int_equal(record->protocol, listener->udp ? IPPROTO_UDP : IPPROTO_TCP);
	assert_int_equal(record->layout, HS_TRACE_LAYOUT);
}

static void who_came_where_and_when(void **state)
{
	const struct address all[] = {rig_any(PORT), rig_only6(PORT), with_udp(rig_any(PORT)),
				      with_udp(rig_only6(PORT))};
	struct rig *rig = *state;
	uint64_t before;

	for (unsigned slot = 0; slot < 2; slot++) {
		struct server *server = server_start(rig, slot);

		for (size_t i = 0; i < ARRAY_SIZE(all); i++)
			assert_true(server_listen(server, &all[i], 0) >= 0);
		rig_adopt(rig, server);
		server_serve(server, true);
	}
	begin(rig, NULL, ALL);
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		const char *loopback = all[i].family == AF_INET ? "::ffff:127.0.0.1" : "::1";
		const struct hs_trace_record *record;

		before = now_nsec();
		assert_int_equal(ask_from(&all[i], 20000), 'A');
		record = the_one();
		assert_ends(record, &all[i], loopback, loopback);
		assert_int_equal(record->client_port, 20000);
		assert_in_range(record->time_ns, before, now_nsec());
		assert_int_equal(record->marks, 0);
	}
	end();
	assert_int_equal(seen.counts.matched, ARRAY_SIZE(all));
	assert_int_equal(seen.counts.skipped + seen.counts.lost + seen.counts.foreign, 0);
}

static void over_ipv4_on_a_dual_listener(void **state)
{
	struct address dual = rig_dual(PORT), local = rig_local(PORT);

	serve(*state, &dual);
	begin(*state, NULL, ALL);
	assert_int_equal(ask(&local), 'A');
	assert_ends(the_one(), &dual, "::ffff:127.0.0.1", "::ffff:127.0.0.1");
	end();
}

/* ---- why ---- */

static void by_role(struct rig *rig, const struct address *at)
{
	serve(rig, at);
	set_flow(rig, HS_FLOW_NONE);
	begin(rig, NULL, ALL);
	assert_int_equal(ask(at), 'A');
	assert_told(HS_WHY_ACTIVE, 0);
	rig_flip(rig, 1);
	assert_int_equal(ask(at), 'B');
	assert_told(HS_WHY_ACTIVE, 1);
	rig_canary(rig, 0, WORD_SHARE_MAX);
	assert_int_equal(ask(at), 'A');
	assert_told(HS_WHY_CANARY, 0);
	rig_canary(rig, 0, 0);
	rig_policy(rig, HS_POLICY_PARITY);
	assert_int_equal(ask_from(at, 20001), 'B');
	assert_told(HS_WHY_PARITY, 1);
	assert_int_equal(ask_from(at, 20002), 'A');
	assert_told(HS_WHY_PARITY, 0);
	rig_policy(rig, HS_POLICY_HASH);
	assert_told(HS_WHY_HASH, (unsigned)(ask(at) - 'A'));
	end();
}

static void active_canary_parity_hash(void **state)
{
	struct address at = rig_any(PORT);

	by_role(*state, &at);
}

static void the_same_by_datagrams(void **state)
{
	struct address at = with_udp(rig_only6(PORT));

	by_role(*state, &at);
}

static int pin(struct hs_spread *spread, void *userdata, struct problem *problem)
{
	struct hs_prefix prefix;

	rig_check(!prefix_parse("127.0.0.1", &prefix));
	return spread_pin(spread, &prefix, *(unsigned *)userdata, problem);
}

static void change(struct rig *rig, const struct table_change *wanted)
{
	struct table_outcome outcome;
	struct problem problem;

	if (plane_table_change(rig->plane, wanted, &outcome, &problem) < 0)
		rig_fail(__FILE__, __LINE__, "%s", problem.text);
}

/* The bucket of 127.0.0.1, and of ::1; and its first slot. */
static unsigned bucket(struct rig *rig, bool six, uint16_t port, unsigned *ret_first)
{
	static struct hs_table_copy copy;
	struct hs_client client = six ? (struct hs_client) {.low = 1} : hs_client_ipv4(0x7f000001);
	unsigned number;

	rig_check(plane_table_read(rig->plane, &copy));
	number = hs_bucket(copy.spread.key, &client, copy.spread.by == HS_BY_CONNECTION ? port : 0);
	*ret_first = hs_bucket_first(copy.buckets[number]);
	return number;
}

static void assert_bucket(struct rig *rig, const struct address *at, enum hs_trace_why why,
			  unsigned slot, unsigned wanted)
{
	const struct hs_trace_record *record = the_one();
	unsigned first;

	assert_int_equal(record->why, why);
	assert_int_equal(record->marks, HS_TRACE_BUCKET);
	assert_int_equal(record->bucket,
			 bucket(rig, at->family == AF_INET6, record->client_port, &first));
	assert_int_equal(record->slot, slot);
	assert_int_equal(record->wanted, wanted);
}

static void by_table(struct rig *rig, const struct address *at, enum hs_by by)
{
	struct pair pair = serve(rig, at);
	struct server *servers[] = {pair.a, pair.b};
	unsigned first, port = 20000;

	set_flow(rig, HS_FLOW_NONE);
	change(rig,
	       &(struct table_change) {.take_policy = true, .by = by, .slots = 2, .in_service = 3});
	begin(rig, NULL, ALL);
	bucket(rig, at->family == AF_INET6, port, &first);
	assert_int_equal(ask_from(at, port), 'A' + (int)first);
	assert_bucket(rig, at, HS_WHY_FIRST, first, first);
	server_kill(servers[first]);
	assert_int_equal(ask_from(at, port), 'A' + (int)!first);
	assert_bucket(rig, at, HS_WHY_SECOND, !first, first);
	end();
}

static void by_table_and_client(void **state)
{
	struct address at = rig_any(PORT);

	by_table(*state, &at, HS_BY_CLIENT);
}

static void by_table_and_connection(void **state)
{
	struct address at = with_udp(rig_only6(PORT));

	by_table(*state, &at, HS_BY_CONNECTION);
}

static void pinned_clients(void **state)
{
	struct address at = rig_any(PORT);
	struct rig *rig = *state;
	unsigned first, other;

	serve(rig, &at);
	change(rig, &(struct table_change) {
			    .take_policy = true, .by = HS_BY_CLIENT, .slots = 2, .in_service = 3});
	bucket(rig, false, 0, &first);
	other = !first;
	change(rig, &(struct table_change) {.edit = pin, .userdata = &other});
	begin(rig, NULL, ALL);
	assert_int_equal(ask(&at), 'A' + (int)other);
	assert_bucket(rig, &at, HS_WHY_PINNED, other, other);
	end();
}

static char ask_quic(int fd, uint8_t first, uint8_t slot)
{
	uint8_t bytes[48] = {first, 'i', 'd', '!', slot};

	rig_check(send(fd, bytes, sizeof(bytes), 0) == sizeof(bytes));
	return client_read(fd);
}

static void known_flows_and_quic_ids(void **state)
{
	struct address at = with_udp(rig_any(PORT));
	struct rig *rig = *state;
	struct pair pair = serve(rig, &at);
	int fd;

	set_flow(rig, HS_FLOW_QUIC);
	begin(rig, NULL, ALL);
	fd = client_connect(&at);
	assert_int_equal(ask_quic(fd, 0xc3, 1), 'A');
	assert_told(HS_WHY_ACTIVE, 0);
	assert_int_equal(ask_quic(fd, 0xc3, 1), 'A');
	assert_told(HS_WHY_FLOW, 0);
	rig_flip(rig, 1);
	assert_int_equal(ask_quic(fd, 0xc3, 1), 'A');
	assert_told(HS_WHY_FLOW, 0);
	assert_int_equal(ask_quic(fd, 0x40, 1), 'B');
	assert_told(HS_WHY_QUIC, 1);
	assert_int_equal(ask_quic(fd, 0x40, 0), 'A');
	assert_told(HS_WHY_QUIC, 0);
	/* the id names a slot that is gone; the flow is known on the other */
	server_kill(pair.b);
	assert_int_equal(ask_quic(fd, 0x40, 1), 'A');
	assert_told(HS_WHY_FLOW, 0);
	close(fd);
	end();
}

static void fell_through(struct rig *rig, const struct address *at)
{
	struct pair pair = serve(rig, at);
	const struct hs_trace_record *record;

	begin(rig, NULL, ALL);
	server_kill(pair.a);
	assert_int_equal(ask(at), 'B');
	record = the_one();
	assert_int_equal(record->why, HS_WHY_FELL);
	assert_int_equal(record->slot, 1);
	assert_int_equal(record->wanted, 0);
	end();
}

static void falling_through(void **state)
{
	struct address at = rig_any(PORT);

	fell_through(*state, &at);
}

static void falling_through_by_datagrams(void **state)
{
	struct address at = with_udp(rig_any(PORT));

	fell_through(*state, &at);
}

/* The sockets are there, and nobody has them in the map. */
static void nothing_to_choose(struct rig *rig, const struct address *at)
{
	struct listener *listener;
	char answer;

	serve(rig, at);
	listener = plane_find(rig->plane, at);
	begin(rig, NULL, ALL);
	listener_withdraw(listener, 0);
	listener_withdraw(listener, 1);
	answer = ask(at);
	assert_true(answer == 'A' || answer == 'B');
	assert_told(HS_WHY_NOTHING, HS_SLOT_NONE);
	end();
}

static void nobody_is_there(void **state)
{
	struct address at = rig_any(PORT);

	nothing_to_choose(*state, &at);
}

static void nobody_is_there_for_datagrams(void **state)
{
	struct address at = with_udp(rig_any(PORT));

	nothing_to_choose(*state, &at);
}

/* ---- the park, and what moves ---- */

static int borrow(const struct server *server)
{
	struct held_socket *held;
	size_t n;
	int fd;

	rig_check(!scan_cgroup(server->cgroup, &held, &n) && n == 1);
	rig_check(!scan_borrow(&held[0], &fd));
	free(held);
	return fd;
}

static int open_park(struct rig *rig, const struct server *server, const struct address *at)
{
	_cleanup_(close_fdp) int model = borrow(server);
	int fd = -1;

	rig_check(!park_open(rig->plane, plane_find(rig->plane, at), model, 0, &fd));
	return fd;
}

static void assert_moved(enum hs_trace_why why, unsigned from, unsigned to)
{
	const struct hs_trace_record *record = the_one();

	assert_int_equal(record->why, why);
	assert_int_equal(record->marks & HS_TRACE_MOVED, HS_TRACE_MOVED);
	assert_int_equal(record->from, from);
	assert_int_equal(record->slot, to);
	assert_int_equal(record->local_port, PORT);
	assert_true(record->client_port > 0);
}

/* One client waits on A, then in the park, then on B. */
static void into_the_park_and_out_of_it(void **state)
{
	struct address at = rig_any(PORT);
	struct rig *rig = *state;
	struct server *a = start_adopted(rig, 0, &at), *b;
	int park = open_park(rig, a, &at), moving, held, waits;

	begin(rig, NULL, ALL);
	moving = client_connect(&at);
	assert_told(HS_WHY_ACTIVE, 0);
	plane_edit_word(rig->plane, word_park, WORD_ARGS(.on = true), NULL);
	held = client_connect(&at);
	assert_told(HS_WHY_PARK_ALL, HS_SLOT_PARK);
	plane_edit_word(rig->plane, word_park, WORD_ARGS(.on = false), NULL);
	server_kill(a);
	assert_moved(HS_WHY_PARK, 0, HS_SLOT_PARK);
	waits = client_connect(&at);
	assert_told(HS_WHY_PARK, HS_SLOT_PARK);
	client_reset(held);
	client_reset(waits);
	b = start_adopted(rig, 1, &at);
	news();
	/* the other two are over, and move as well */
	park_close(plane_find(rig->plane, &at), park);
	assert_int_equal(news(), 3);
	assert_int_equal(seen.records[seen.n - 3].from, HS_SLOT_PARK);
	assert_int_equal(seen.records[seen.n - 3].slot, 1);
	server_serve(b, true);
	client_send(moving, 'q');
	assert_int_equal(client_read(moving), 'B');
	client_reset(moving);
	close(park);
	end();
}

static void from_slot_to_slot(void **state)
{
	struct address at = rig_local6(PORT);
	struct rig *rig = *state;
	struct pair pair = start_pair(rig, &at);
	int fd;

	begin(rig, NULL, ALL);
	fd = client_connect(&at);
	assert_told(HS_WHY_ACTIVE, 0);
	rig_flip(rig, 1);
	server_kill(pair.a);
	assert_moved(HS_WHY_ACTIVE, 0, 1);
	assert_ends(&seen.records[seen.n - 1], &at, "::1", "::1");
	server_serve(pair.b, true);
	assert_int_equal(client_ask(fd), 'B');
	client_reset(fd);
	end();
}

/* ---- rules ---- */

static char ask_by_rule(struct rig *rig, const struct address *at, unsigned slot)
{
	struct hs_preview_owner_id owner;
	struct preview_wish wish = {.owner = &owner, .slot = slot};
	struct hs_preview_key key;
	struct sockaddr_storage dest;
	socklen_t size = address_to_sockaddr(at, &dest);
	int fd = socket(dest.ss_family, at->udp ? SOCK_DGRAM : SOCK_STREAM, 0);
	char answer;

	rig_check(!owner_of_process(0, &owner) && !preview_begin(rig->plane, &owner));
	rig_check(!preview_direct(rig->plane, &wish, fd, (struct sockaddr *)&dest, &key));
	rig_check(!connect(fd, (struct sockaddr *)&dest, size));
	answer = client_ask(fd);
	client_reset(fd);
	rig_check(!preview_end(rig->plane, &owner));
	return answer;
}

static void preview_rules(void **state)
{
	const struct address all[] = {rig_any(PORT), with_udp(rig_any(PORT))};
	struct rig *rig = *state;

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		serve(rig, &all[i]);
		begin(rig, NULL, ALL);
		assert_int_equal(ask_by_rule(rig, &all[i], 1), 'B');
		assert_told(HS_WHY_PREVIEW, 1);
		end();
	}
}

static void open_way(struct rig *rig, const struct server *server)
{
	struct own_place place = {
		.service_id = plane_id(rig->plane), .slot = server->slot, .on = true};

	assert_int_equal(own_cgroup(plane_own(rig->plane), server->cgroup, &place), 0);
}

static int beside(struct rig *rig, const struct server *server, command_fn run,
		  const struct address *to)
{
	struct command command = command_start_beside(rig, server, run, to);
	int found;

	command_go(&command);
	found = command_wait(&command);
	command_done(&command);
	return found;
}

static void own_way(struct rig *rig, const struct address *any, const struct address *local)
{
	struct server *a = server_start(rig, 0), *b = start_adopted(rig, 1, any);

	server_serve(b, true);
	open_way(rig, a);
	open_way(rig, b);
	begin(rig, NULL, ALL);
	assert_int_equal(beside(rig, b, command_ask_50, local), 50);
	assert_int_equal(news(), 50);
	for (unsigned i = 0; i < 50; i++) {
		assert_int_equal(seen.records[i].why, HS_WHY_OWN);
		assert_int_equal(seen.records[i].slot, 1);
	}
	if (!any->udp)
		assert_int_equal(beside(rig, a, command_refused_50, local), 50);
	else
		beside(rig, a, command_ask_once, local);
	assert_true(news() > 0);
	for (unsigned i = 50; i < seen.n; i++) {
		assert_int_equal(seen.records[i].why, HS_WHY_REFUSED);
		assert_int_equal(seen.records[i].slot, HS_SLOT_NONE);
	}
	end();
}

static void instances_that_ask_themselves(void **state)
{
	struct address any = rig_any(PORT), local = rig_local(PORT);

	own_way(*state, &any, &local);
}

static void instances_that_ask_themselves_by_datagrams(void **state)
{
	struct address any = with_udp(rig_any(PORT)), local = with_udp(rig_local(PORT));

	own_way(*state, &any, &local);
}

/* ---- of whom, and how much ---- */

/* From 127.0.0.2. */
static char ask_as_second(const struct address *to)
{
	struct sockaddr_in source = {.sin_family = AF_INET,
				     .sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1)};
	struct sockaddr_storage dest;
	socklen_t size = address_to_sockaddr(to, &dest);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	char answer;

	rig_check(!bind(fd, (struct sockaddr *)&source, sizeof(source)));
	rig_check(!connect(fd, (struct sockaddr *)&dest, size));
	answer = client_ask(fd);
	close(fd);
	return answer;
}

/* How many are told about when one client has come from 127.0.0.1 and one from 127.0.0.2. */
static unsigned told_from(struct rig *rig, const char *prefix)
{
	struct address at = with_udp(rig_local(PORT));
	unsigned n;

	begin(rig, prefix, ALL);
	assert_int_equal(ask(&at), 'A');
	assert_int_equal(ask_as_second(&at), 'A');
	n = news();
	end();
	assert_int_equal(seen.counts.matched, n);
	return n;
}

static void only_of_those_who_are_meant(void **state)
{
	struct address at = with_udp(rig_any(PORT)), six = with_udp(rig_only6(PORT));
	struct rig *rig = *state;

	serve(rig, &at);
	assert_int_equal(told_from(rig, NULL), 2);
	assert_int_equal(told_from(rig, "127.0.0.1"), 1);
	assert_int_equal(told_from(rig, "127.0.0.0/8"), 2);
	assert_int_equal(told_from(rig, "127.0.0.2/31"), 1);
	assert_int_equal(told_from(rig, "0.0.0.0/0"), 2);
	assert_int_equal(told_from(rig, "10.0.0.0/8"), 0);
	assert_int_equal(told_from(rig, "::/0"), 2);
	assert_int_equal(told_from(rig, "::ffff:0:0/96"), 2);
	assert_int_equal(told_from(rig, "::1"), 0);
	serve(rig, &six);
	begin(rig, "::1", ALL);
	assert_int_equal(ask(&at), 'A');
	assert_int_equal(news(), 0);
	assert_int_equal(ask(&six), 'A');
	assert_int_equal(news(), 1);
	end();
	begin(rig, "::/64", ALL);
	assert_int_equal(ask(&six), 'A');
	assert_int_equal(news(), 1);
	end();
	begin(rig, "8000::/1", ALL);
	assert_int_equal(ask(&six), 'A');
	assert_int_equal(news(), 0);
	end();
}

static void ask_many(const struct address *at, unsigned n)
{
	int fd = client_connect(at);

	for (unsigned i = 0; i < n; i++)
		rig_check(client_ask(fd) == 'A');
	close(fd);
}

/* At most so many in a second, and what is more is counted. */
static void a_flood_is_sampled(void **state)
{
	struct address at = with_udp(rig_any(PORT));
	struct rig *rig = *state;
	uint64_t begun, most;

	serve(rig, &at);
	begun = now_nsec();
	begin(rig, NULL, 100);
	ask_many(&at, 2000);
	/* of each CPU; 50 at once */
	most = (now_nsec() - begun) / (NSEC_PER_SEC / 100) + 50 + 1;
	news();
	end();
	assert_in_range(seen.n, 50, most * (unsigned)sysconf(_SC_NPROCESSORS_ONLN));
	assert_int_equal(seen.counts.matched, 2000);
	assert_int_equal(seen.counts.skipped, 2000 - seen.n);
	assert_int_equal(seen.counts.lost, 0);
}

/* Nobody takes what is told: the ring is full, and that holds nobody up. */
static void a_reader_that_stands_still(void **state)
{
	struct address at = with_udp(rig_any(PORT));
	struct rig *rig = *state;

	serve(rig, &at);
	begin(rig, NULL, ALL);
	ask_many(&at, 18000);
	news();
	end();
	assert_int_equal(seen.counts.matched, 18000);
	assert_true(seen.counts.lost > 0);
	assert_int_equal(seen.n + seen.counts.lost, 18000);
}

/* Those that it wants no more stay, and are had later. */
static void who_wants_no_more(void **state)
{
	struct address at = with_udp(rig_any(PORT));

	serve(*state, &at);
	begin(*state, NULL, ALL);
	seen.most = 2;
	ask_many(&at, 5);
	assert_int_equal(trace_consume(seen.trace), -ECANCELED);
	assert_int_equal(seen.n, 2);
	end();
	assert_int_equal(seen.n, 5);
}

/* Who waits for news gets them. */
static void it_can_be_waited_for(void **state)
{
	struct address at = rig_any(PORT);
	struct pollfd news_fd;

	serve(*state, &at);
	begin(*state, NULL, ALL);
	news_fd = (struct pollfd) {.fd = trace_fd(seen.trace), .events = POLLIN};
	assert_int_equal(poll(&news_fd, 1, 0), 0);
	assert_int_equal(ask(&at), 'A');
	assert_int_equal(poll(&news_fd, 1, RIG_DEADLINE_USEC / USEC_PER_MSEC), 1);
	assert_told(HS_WHY_ACTIVE, 0);
	end();
}

/* ---- whoever traces ---- */

static void one_at_a_time(void **state)
{
	struct rig *rig = *state;
	struct trace *other;
	struct problem problem;
	struct trace_order order = {.per_second = 1, .on_record = keep, .userdata = &seen};

	begin(rig, NULL, ALL);
	assert_true(is_flagged(rig));
	assert_int_equal(trace_begin(rig->plane, &order, &other, &problem), -EBUSY);
	assert_non_null(strstr(problem.text, "fuser -v " HS_PIN_ROOT "/web/trace"));
	assert_true(is_flagged(rig));
	assert_false(trace_sweep(rig->plane));
	end();
	assert_false(is_flagged(rig));
	begin(rig, NULL, ALL);
	end();
	assert_false(is_flagged(rig));
}

/* Changes of the word and a tracer do not get in each other's way. */
static void the_word_is_changed_meanwhile(void **state)
{
	struct address at = rig_any(PORT);
	struct rig *rig = *state;
	uint64_t before;

	serve(rig, &at);
	before = plane_word(rig->plane);
	begin(rig, NULL, ALL);
	rig_flip(rig, 1);
	assert_true(is_flagged(rig));
	assert_int_equal(ask(&at), 'B');
	assert_told(HS_WHY_ACTIVE, 1);
	end();
	assert_int_equal(hs_word_active(plane_word(rig->plane)), 1);
	assert_int_equal(word_generation(plane_word(rig->plane)), word_generation(before) + 3);
	assert_int_equal(ask(&at), 'B');
}

struct tracer {
	pid_t pid, keeper;
};

static pid_t child_of(pid_t pid)
{
	char path[64];
	FILE *file;
	pid_t child = 0;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
	file = fopen(path, "re");
	rig_check(file);
	if (fscanf(file, "%d", &child) != 1)
		child = 0;
	fclose(file);
	return child;
}

static struct tracer start_tracer(struct rig *rig)
{
	struct tracer tracer = {.pid = fork()};

	rig_check(tracer.pid >= 0);
	if (!tracer.pid) {
		begin(rig, NULL, ALL);
		for (;;)
			pause();
	}
	rig_until(is_flagged(rig));
	tracer.keeper = child_of(tracer.pid);
	rig_check(tracer.keeper);
	return tracer;
}

static void kill_and_wait(pid_t pid)
{
	kill(pid, SIGKILL);
	rig_check(waitpid(pid, NULL, 0) == pid);
}

static bool has_ring(const struct rig *rig)
{
	_cleanup_(close_fdp) int fd = -1;
	uint32_t zero = 0, id;

	rig_check(!pin_open(HS_PIN_ROOT "/web/trace/rings", &fd));
	(void)rig;
	return !bpf_map_lookup_elem(fd, &zero, &id);
}

static void killed_it_leaves_nothing(void **state)
{
	struct address at = rig_any(PORT);
	struct rig *rig = *state;
	struct tracer tracer;

	serve(rig, &at);
	tracer = start_tracer(rig);
	assert_int_equal(ask(&at), 'A');
	assert_true(has_ring(rig));
	kill_and_wait(tracer.pid);
	rig_until(!is_flagged(rig));
	rig_until(!has_ring(rig));
	assert_int_equal(ask(&at), 'A');
	begin(rig, NULL, ALL);
	assert_int_equal(ask(&at), 'A');
	assert_told(HS_WHY_ACTIVE, 0);
	end();
}

/* Both are killed: traffic goes on, and hsd or the next tracer takes away what is left. */
static void killed_with_its_keeper(void **state)
{
	struct address at = rig_any(PORT);
	struct rig *rig = *state;

	serve(rig, &at);
	for (unsigned next = 0; next < 2; next++) {
		struct tracer tracer = start_tracer(rig);

		kill(tracer.keeper, SIGKILL);
		kill_and_wait(tracer.pid);
		assert_true(is_flagged(rig) && has_ring(rig));
		for (unsigned i = 0; i < 100; i++)
			assert_int_equal(ask(&at), 'A');
		if (next) {
			begin(rig, NULL, ALL);
			assert_int_equal(ask(&at), 'A');
			assert_told(HS_WHY_ACTIVE, 0);
			end();
		} else {
			rig_until(trace_sweep(rig->plane));
		}
		assert_false(is_flagged(rig));
		assert_false(has_ring(rig));
		assert_false(trace_sweep(rig->plane));
	}
}

/* A release that knows nothing of it, and leaves the flag as it is. */
static void given_back_while_it_is_traced(void **state)
{
	struct address at = rig_any(PORT);
	struct rig *rig = *state;
	struct problem problem = {0};
	struct tracer tracer;

	serve(rig, &at);
	tracer = start_tracer(rig);
	kill(tracer.keeper, SIGKILL);
	kill_and_wait(tracer.pid);
	rig->plane = plane_free(rig->plane);
	rig->accounting = accounting_free(rig->accounting);
	/* the keeper has what this process had open, until it is gone */
	rig_until(!handover_give_back(HS_ABI_BEFORE, false, &problem));
	assert_int_equal(ask(&at), 'A');
	rig_planes(rig);
	assert_true(is_flagged(rig));
	assert_int_equal(ask(&at), 'A');
	assert_true(trace_sweep(rig->plane));
	begin(rig, NULL, ALL);
	assert_int_equal(ask(&at), 'A');
	assert_told(HS_WHY_ACTIVE, 0);
	end();
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(who_came_where_and_when),
		CASE(over_ipv4_on_a_dual_listener),
		CASE(active_canary_parity_hash),
		CASE(the_same_by_datagrams),
		CASE(by_table_and_client),
		CASE(by_table_and_connection),
		CASE(pinned_clients),
		CASE(known_flows_and_quic_ids),
		CASE(falling_through),
		CASE(falling_through_by_datagrams),
		CASE(nobody_is_there),
		CASE(nobody_is_there_for_datagrams),
		CASE(into_the_park_and_out_of_it),
		CASE(from_slot_to_slot),
		CASE(preview_rules),
		CASE(instances_that_ask_themselves),
		CASE(instances_that_ask_themselves_by_datagrams),
		CASE(only_of_those_who_are_meant),
		CASE(a_flood_is_sampled),
		CASE(a_reader_that_stands_still),
		CASE(who_wants_no_more),
		CASE(it_can_be_waited_for),
		CASE(one_at_a_time),
		CASE(the_word_is_changed_meanwhile),
		CASE(killed_it_leaves_nothing),
		CASE(killed_with_its_keeper),
		CASE(given_back_while_it_is_traced),
	};

	return cases_run("trace", tests);
}
