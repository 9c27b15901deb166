// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Policy hash with a table: each client is on the slot that the table names, by TCP and UDP, IPv4
 * and IPv6 alike; who moves when slots die, come back and change; and that nobody ever sees half of
 * a change. Real sockets; the answer tells which server had them.
 */
#include "cases.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

#include "core/canary.h"
#include "core/spread/spread.h"
#include "plane/parts/table.h"

#define PORT	8080
#define CLIENTS 64
#define SLOTS	4
#define CHANGES 100000

struct fleet {
	struct server *servers[SLOTS];
	struct address tcp4, tcp6, udp4, udp6;
};

static struct address with_udp(struct address address)
{
	address.udp = true;
	return address;
}

static void listen_everywhere(struct rig *rig, struct fleet *fleet, unsigned slot)
{
	const struct address all[] = {fleet->tcp4, fleet->tcp6, fleet->udp4, fleet->udp6};
	struct server *server = server_start(rig, slot);

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		assert_true(server_listen(server, &all[i], 0) >= 0);
	assert_int_equal(rig_adopt(rig, server), ARRAY_SIZE(all));
	server_serve(server, true);
	fleet->servers[slot] = server;
}

static void set_flow_none(struct rig *rig)
{
	struct config config;

	config_init(&config);
	config.flow = HS_FLOW_NONE;
	plane_set_flow(rig->plane, &config);
}

static struct table_outcome change(struct rig *rig, const struct table_change *wanted)
{
	struct table_outcome outcome = {0};
	struct problem problem = {0};
	int r = plane_table_change(rig->plane, wanted, &outcome, &problem);

	if (r < 0)
		rig_fail(__FILE__, __LINE__, "%s", problem.text);
	return outcome;
}

static void in_service(struct rig *rig, uint32_t slots)
{
	change(rig, &(struct table_change) {.in_service = slots});
}

static struct fleet start_fleet(struct rig *rig, enum hs_by by)
{
	struct fleet fleet = {
		.tcp4 = rig_any(PORT),
		.tcp6 = rig_only6(PORT),
		.udp4 = with_udp(rig_any(PORT)),
		.udp6 = with_udp(rig_only6(PORT)),
	};

	rig_check(!system("for i in $(seq 64); do echo addr add fd00::$(printf %x $i)/128 dev lo "
			  "nodad; done | ip -6 -batch -"));
	set_flow_none(rig);
	for (unsigned slot = 0; slot < SLOTS; slot++)
		listen_everywhere(rig, &fleet, slot);
	change(rig, &(struct table_change) {
			    .take_policy = true, .by = by, .slots = SLOTS, .in_service = 0xf});
	return fleet;
}

/* ---- clients ---- */

static void set_source(unsigned number, bool six, uint16_t port, struct sockaddr_storage *ret)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)ret;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret;

	memset(ret, 0, sizeof(*ret));
	if (!six) {
		v4->sin_family = AF_INET;
		v4->sin_addr.s_addr = htonl(0x7f000100 + number);
		v4->sin_port = htons(port);
		return;
	}
	v6->sin6_family = AF_INET6;
	v6->sin6_addr.s6_addr[0] = 0xfd;
	v6->sin6_addr.s6_addr[15] = (uint8_t)number;
	v6->sin6_port = htons(port);
}

/* Where it asks is where the kernel has an answer by UDP come from. */
static int open_client(const struct address *to, unsigned number, uint16_t port)
{
	bool six = to->family == AF_INET6;
	const struct timeval deadline = {.tv_sec = 5};
	struct sockaddr_storage source, dest;
	socklen_t size = six ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
	int one = 1,
	    fd = socket(to->family, (to->udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0);

	set_source(number, six, port, &source);
	set_source(number, six, to->port, &dest);
	if (!six)
		((struct sockaddr_in *)&dest)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof(deadline));
	rig_check(!bind(fd, (void *)&source, size));
	rig_check(!connect(fd, (void *)&dest, size));
	return fd;
}

static char ask_as(const struct address *to, unsigned number, uint16_t port)
{
	int fd = open_client(to, number, port);
	char answer = client_ask(fd);

	if (to->udp)
		close(fd);
	else
		client_reset(fd);
	return answer;
}

/* As everybody can work it out who has the key: that is what `hsctl where` does. */
static unsigned bucket_of(const struct hs_spread *spread, unsigned number, bool six, uint16_t port)
{
	struct hs_client client;
	uint8_t ip[16] = {0};

	if (six) {
		ip[0] = 0xfd;
		ip[15] = (uint8_t)number;
	} else {
		const uint8_t four[] = {0xff, 0xff, 127, 0, 1, (uint8_t)number};

		memcpy(ip + 10, four, sizeof(four));
	}
	client = hs_client_of(ip);
	return hs_bucket(spread->key, &client, spread->by == HS_BY_CONNECTION ? port : 0);
}

static struct hs_table_copy held;

static void read_table(struct rig *rig)
{
	rig_check(plane_table_read(rig->plane, &held));
}

static char first_of(unsigned number, bool six, uint16_t port)
{
	return (char)('A' +
		      hs_bucket_first(held.buckets[bucket_of(&held.spread, number, six, port)]));
}

static char second_of(unsigned number)
{
	return (char)('A' +
		      hs_bucket_second(held.buckets[bucket_of(&held.spread, number, false, 0)]));
}

/* ---- cases ---- */

static void a_client_is_on_one_slot_with_all_it_sends(void **state)
{
	struct rig *rig = *state;
	struct fleet fleet = start_fleet(rig, HS_BY_CLIENT);
	struct tally tally = {0};

	read_table(rig);
	for (unsigned i = 1; i <= CLIENTS; i++) {
		char want = first_of(i, false, 0);

		tally.of[(unsigned char)want]++;
		assert_int_equal(ask_as(&fleet.tcp4, i, 0), want);
		assert_int_equal(ask_as(&fleet.udp4, i, 0), want);
		want = first_of(i, true, 0);
		assert_int_equal(ask_as(&fleet.tcp6, i, 0), want);
		assert_int_equal(ask_as(&fleet.udp6, i, 0), want);
	}
	for (unsigned slot = 0; slot < SLOTS; slot++)
		assert_in_range(tally.of['A' + slot], 1, CLIENTS / 2);
	assert_int_equal(rig_slot(rig, 0).fell_through + rig_slot(rig, 1).fell_through, 0);
}

/* Clients of IPv4 that come to a socket of both families are the same clients. */
static void a_socket_of_both_families_agrees(void **state)
{
	struct rig *rig = *state;
	struct address dual = rig_dual(PORT), four = rig_any(PORT);

	for (unsigned slot = 0; slot < 2; slot++)
		server_serve(start_adopted(rig, slot, &dual), true);
	change(rig,
	       &(struct table_change) {
		       .take_policy = true, .by = HS_BY_CLIENT, .slots = 2, .in_service = 0x3});
	read_table(rig);
	for (unsigned i = 1; i <= CLIENTS; i++)
		assert_int_equal(ask_as(&four, i, 0), first_of(i, false, 0));
}

static void by_connection_the_port_counts(void **state)
{
	struct rig *rig = *state;
	struct fleet fleet = start_fleet(rig, HS_BY_CONNECTION);
	struct tally tally = {0};

	read_table(rig);
	for (uint16_t port = 20000; port < 20000 + CLIENTS; port++) {
		char want = first_of(1, false, port);

		tally.of[(unsigned char)want]++;
		assert_int_equal(ask_as(&fleet.tcp4, 1, port), want);
		assert_int_equal(ask_as(&fleet.udp4, 1, port), want);
	}
	for (unsigned slot = 0; slot < SLOTS; slot++)
		assert_in_range(tally.of['A' + slot], 1, CLIENTS / 2);
}

/* Nobody has changed the table: the kernel's side alone. */
static void only_clients_of_a_dead_slot_move_and_they_come_back(void **state)
{
	struct rig *rig = *state;
	struct fleet fleet = start_fleet(rig, HS_BY_CLIENT);

	read_table(rig);
	server_kill(fleet.servers[2]);
	for (unsigned i = 1; i <= CLIENTS; i++) {
		char first = first_of(i, false, 0), now = first == 'C' ? second_of(i) : first;

		assert_int_equal(ask_as(&fleet.tcp4, i, 0), now);
		assert_int_equal(ask_as(&fleet.udp4, i, 0), now);
	}
	/* and the table without it says the same */
	in_service(rig, 0xb);
	for (unsigned i = 1; i <= CLIENTS; i++) {
		char first = first_of(i, false, 0);

		assert_int_equal(ask_as(&fleet.udp4, i, 0), first == 'C' ? second_of(i) : first);
	}
	listen_everywhere(rig, &fleet, 2);
	in_service(rig, 0xf);
	for (unsigned i = 1; i <= CLIENTS; i++)
		assert_int_equal(ask_as(&fleet.udp4, i, 0), first_of(i, false, 0));
}

/* What waits when its slot dies goes where new connections of the same client go. */
static void waiting_connections_move_to_the_second(void **state)
{
	struct rig *rig = *state;
	struct fleet fleet = start_fleet(rig, HS_BY_CLIENT);
	int fds[CLIENTS + 1];

	read_table(rig);
	for (unsigned slot = 0; slot < SLOTS; slot++)
		server_serve(fleet.servers[slot], false);
	for (unsigned i = 1; i <= CLIENTS; i++) {
		fds[i] = open_client(&fleet.tcp4, i, 0);
		client_send(fds[i], 'q');
	}
	server_kill(fleet.servers[1]);
	for (unsigned slot = 0; slot < SLOTS; slot++)
		if (slot != 1)
			server_serve(fleet.servers[slot], true);
	for (unsigned i = 1; i <= CLIENTS; i++) {
		char first = first_of(i, false, 0);

		assert_int_equal(client_read(fds[i]), first == 'B' ? second_of(i) : first);
		close(fds[i]);
	}
}

static int pin_to(struct hs_spread *spread, void *userdata, struct problem *problem)
{
	struct hs_prefix prefix;

	rig_check(!prefix_parse("127.0.1.16/28", &prefix));
	return spread_pin(spread, &prefix, *(unsigned *)userdata, problem);
}

static void pinned_clients_go_where_they_are_pinned_to(void **state)
{
	struct rig *rig = *state;
	struct fleet fleet = start_fleet(rig, HS_BY_CLIENT);
	unsigned slot = 3;

	change(rig, &(struct table_change) {.edit = pin_to, .userdata = &slot});
	read_table(rig);
	for (unsigned i = 1; i <= CLIENTS; i++) {
		char want = i >= 16 && i < 32 ? 'D' : first_of(i, false, 0);

		assert_int_equal(ask_as(&fleet.tcp4, i, 0), want);
		assert_int_equal(ask_as(&fleet.udp4, i, 0), want);
	}
	/* without its slot they go by their buckets: at once, and when the table says so */
	server_kill(fleet.servers[3]);
	for (unsigned i = 16; i < 32; i++) {
		char first = first_of(i, false, 0);

		assert_int_equal(ask_as(&fleet.udp4, i, 0), first == 'D' ? 'A' : first);
	}
	in_service(rig, 0x7);
	read_table(rig);
	assert_int_equal(held.spread.pinned_live, 0);
	for (unsigned i = 16; i < 32; i++)
		assert_int_equal(ask_as(&fleet.udp4, i, 0), first_of(i, false, 0));
	listen_everywhere(rig, &fleet, 3);
	in_service(rig, 0xf);
	assert_int_equal(ask_as(&fleet.udp4, 20, 0), 'D');
}

static int set_weight(struct hs_spread *spread, void *userdata, struct problem *problem)
{
	return spread_set_weight(spread, 0, *(unsigned *)userdata, problem);
}

static void one_that_changes_nothing_leaves_the_word_alone(void **state)
{
	struct rig *rig = *state;
	unsigned weight = 100;
	uint64_t word;

	start_fleet(rig, HS_BY_CLIENT);
	word = plane_word(rig->plane);
	assert_false(change(rig, &(struct table_change) {.edit = set_weight, .userdata = &weight})
			     .changed);
	assert_true(plane_word(rig->plane) == word);
	weight = 0;
	assert_true(change(rig, &(struct table_change) {.edit = set_weight, .userdata = &weight})
			    .moved > HS_BUCKETS / 5);
	assert_int_equal(word_generation(plane_word(rig->plane)), word_generation(word) + 1);
	read_table(rig);
	assert_int_equal(held.spread.members, 0xe);
}

static void a_refused_edit_changes_nothing(void **state)
{
	struct rig *rig = *state;
	struct table_outcome outcome;
	unsigned slot = 7;
	struct problem problem;
	uint64_t word;

	assert_int_equal(plane_table_change(rig->plane, &(struct table_change) {.in_service = 1},
					    &outcome, &problem),
			 -ENOENT);
	assert_non_null(strstr(problem.text, "hsctl policy"));
	start_fleet(rig, HS_BY_CLIENT);
	word = plane_word(rig->plane);
	read_table(rig);
	assert_int_equal(
		plane_table_change(rig->plane,
				   &(struct table_change) {.edit = pin_to, .userdata = &slot},
				   &outcome, &problem),
		-EINVAL);
	assert_true(plane_word(rig->plane) == word);
}

/* It cannot be read, and is left as it is; connections go on as it says. */
static void a_table_of_another_layout_is_refused(void **state)
{
	struct rig *rig = *state;
	struct fleet fleet = start_fleet(rig, HS_BY_CLIENT);
	struct table_outcome outcome;
	struct problem problem;
	struct hs_table *table;
	uint32_t *hits = plane_table_hits(rig->plane);

	read_table(rig);
	table = (struct hs_table *)((char *)hits - offsetof(struct hs_table, hits));
	table->layout = HS_TABLE_LAYOUT + 1;
	assert_false(plane_has_table(rig->plane));
	assert_int_equal(plane_table_change(rig->plane, &(struct table_change) {.in_service = 1},
					    &outcome, &problem),
			 -EPROTO);
	assert_non_null(strstr(problem.text, "layout"));
	for (unsigned i = 1; i <= 16; i++)
		assert_int_equal(ask_as(&fleet.udp4, i, 0), first_of(i, false, 0));
}

static void what_buckets_got_is_counted(void **state)
{
	struct rig *rig = *state;
	struct fleet fleet = start_fleet(rig, HS_BY_CLIENT);
	unsigned bucket;

	read_table(rig);
	bucket = bucket_of(&held.spread, 5, false, 0);
	for (int i = 0; i < 80 << HS_HITS_SHIFT; i++)
		ask_as(&fleet.udp4, 5, 0);
	assert_in_range(plane_table_hits(rig->plane)[bucket], 75, 85);
}

static int change_key(struct hs_spread *spread, void *userdata, struct problem *problem)
{
	(void)problem;
	spread->key += *(unsigned *)userdata;
	return 0;
}

/* One that sends all the time from one port, whose bucket is remembered: it goes by another key, by
 * its port, and where it is pinned to, from the change on. */
static void what_is_remembered_of_a_sender_follows_changes(void **state)
{
	struct rig *rig = *state;
	struct fleet fleet = start_fleet(rig, HS_BY_CLIENT);
	_cleanup_(close_fdp) int fd = open_client(&fleet.udp4, 20, 0);
	struct tally tally = {0};
	unsigned step = 1, slot = 2;

	for (unsigned i = 0; i < 60; i++) {
		char want;

		change(rig, &(struct table_change) {.edit = change_key, .userdata = &step});
		read_table(rig);
		want = first_of(20, false, 0);
		tally.of[(unsigned char)want]++;
		assert_int_equal(client_ask(fd), want);
		assert_int_equal(client_ask(fd), want);
	}
	for (slot = 0; slot < SLOTS; slot++)
		assert_in_range(tally.of['A' + slot], 1, 59);
	for (slot = 0; slot < SLOTS; slot++) {
		change(rig, &(struct table_change) {.edit = pin_to, .userdata = &slot});
		assert_int_equal(client_ask(fd), 'A' + (char)slot);
	}
}

/* ---- nobody sees half a change ---- */

#define SIDES 3
static struct hs_table_copy sides[SIDES];

/* Client 1 is on slot 0, 1 or 3, as the side says; whoever takes the key of one and the buckets of
 * another finds slot 2. Three of them, so that neither copy is written with what it had. */
static void make_sides(struct rig *rig)
{
	static const uint8_t slots[SIDES] = {0, 1, 3};

	for (unsigned i = 0; i < SIDES; i++) {
		rig_check(plane_table_read(rig->plane, &sides[i]));
		sides[i].spread.key = hs_mix64(4711 + i);
		memset(sides[i].buckets, 0x32, sizeof(sides[i].buckets));
		sides[i].buckets[bucket_of(&sides[i].spread, 1, false, 0)] =
			(uint8_t)(0x20 | slots[i]);
	}
}

static bool publishing;

static void *publish(void *userdata)
{
	struct rig *rig = userdata;

	for (unsigned i = 0; i < CHANGES; i++)
		if (plane_table_publish(rig->plane, &sides[i % SIDES], false))
			break;
	__atomic_store_n(&publishing, false, __ATOMIC_SEQ_CST);
	return NULL;
}

static bool is_one_side(const struct hs_table_copy *copy)
{
	for (unsigned i = 0; i < SIDES; i++)
		if (copy->spread.key == sides[i].spread.key)
			return !memcmp(copy->buckets, sides[i].buckets, sizeof(copy->buckets));
	return false;
}

static void nobody_sees_half_a_change(void **state)
{
	struct rig *rig = *state;
	struct fleet fleet = start_fleet(rig, HS_BY_CLIENT);
	unsigned asked = 0, torn = 0, read = 0;
	struct hs_table_copy *copy = malloc(sizeof(*copy));
	_cleanup_(close_fdp) int lock = -1, fd = -1;
	pthread_t thread;
	char answer;

	make_sides(rig);
	assert_int_equal(plane_preview_lock(rig->plane, true, &lock), 0);
	assert_int_equal(plane_table_publish(rig->plane, &sides[0], false), 0);
	fd = open_client(&fleet.udp4, 1, 0);
	publishing = true;
	assert_int_equal(pthread_create(&thread, NULL, publish, rig), 0);
	while (__atomic_load_n(&publishing, __ATOMIC_SEQ_CST)) {
		answer = client_ask(fd);
		torn += answer == 'C';
		asked++;
		if (asked % 16)
			continue;
		torn += !plane_table_read(rig->plane, copy) || !is_one_side(copy);
		read++;
	}
	pthread_join(thread, NULL);
	free(copy);
	print_message("# %u changes, %u datagrams and %u readings meanwhile, %u torn\n", CHANGES,
		      asked, read, torn);
	assert_int_equal(torn, 0);
	assert_true(asked > 1000);
}

static void policies_come_and_go_with_the_table_kept(void **state)
{
	struct rig *rig = *state;
	struct fleet fleet = start_fleet(rig, HS_BY_CLIENT);
	unsigned weight = 50;

	change(rig, &(struct table_change) {.edit = set_weight, .userdata = &weight});
	read_table(rig);
	rig_policy(rig, HS_POLICY_STANDBY);
	for (unsigned i = 1; i <= 8; i++)
		assert_int_equal(ask_as(&fleet.tcp4, i, 0), 'A');
	rig_policy(rig, HS_POLICY_PARITY);
	assert_int_equal(ask_as(&fleet.tcp4, 1, 20001), 'B');
	change(rig,
	       &(struct table_change) {
		       .take_policy = true, .by = HS_BY_CLIENT, .slots = SLOTS, .in_service = 0xf});
	for (unsigned i = 1; i <= CLIENTS; i++)
		assert_int_equal(ask_as(&fleet.tcp4, i, 0), first_of(i, false, 0));
	rig_check(plane_table_read(rig->plane, &held));
	assert_int_equal(held.spread.weights[0], 50);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_client_is_on_one_slot_with_all_it_sends),
		CASE(a_socket_of_both_families_agrees),
		CASE(by_connection_the_port_counts),
		CASE(only_clients_of_a_dead_slot_move_and_they_come_back),
		CASE(waiting_connections_move_to_the_second),
		CASE(pinned_clients_go_where_they_are_pinned_to),
		CASE(one_that_changes_nothing_leaves_the_word_alone),
		CASE(a_refused_edit_changes_nothing),
		CASE(a_table_of_another_layout_is_refused),
		CASE(what_buckets_got_is_counted),
		CASE(what_is_remembered_of_a_sender_follows_changes),
		CASE(nobody_sees_half_a_change),
		CASE(policies_come_and_go_with_the_table_kept),
	};

	return cases_run("spread", tests);
}
