// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Canaries for some clients only, and by client instead of by connection. Clients are addresses of
 * 127.0.0.0/8, each a source of real connections; the answer tells which server had them.
 */
#include "cases.h"

#include <arpa/inet.h>
#include <math.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/time.h>

#include "plane/preview/canary.h"

#define PORT	8080
#define CLIENTS 1500

static int connect_as(const struct address *to, const char *client)
{
	struct sockaddr_in source = {.sin_family = AF_INET};
	struct sockaddr_storage dest;
	socklen_t size = address_to_sockaddr(to, &dest);
	struct timeval deadline = {.tv_sec = RIG_DEADLINE_USEC / USEC_PER_SEC};
	int fd = socket(AF_INET, (to->udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0), one = 1;

	assert_int_equal(inet_pton(AF_INET, client, &source.sin_addr), 1);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof(deadline));
	/* the port is chosen with the destination: there are enough of them then */
	assert_int_equal(setsockopt(fd, SOL_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one)), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&source, sizeof(source)), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&dest, size), 0);
	return fd;
}

static char ask_as(const struct address *to, const char *client)
{
	int fd = connect_as(to, client);
	char answer = client_ask(fd);

	client_reset(fd);
	return answer;
}

/* The address of client number N of a network "127.NET.0.0/16". */
static const char *client_of(unsigned net, unsigned number, char text[INET_ADDRSTRLEN])
{
	snprintf(text, INET_ADDRSTRLEN, "127.%u.%u.%u", net, number / 250, 1 + number % 250);
	return text;
}

static struct canary_filter filter_of(const char *by, const char *from)
{
	struct canary_filter filter = {0};
	struct problem problem;

	assert_int_equal(canary_set_by(&filter, by), 0);
	if (from)
		assert_int_equal(canary_add_list(&filter, from, &problem), 0);
	return filter;
}

static void set_canary(struct rig *rig, uint32_t share, const struct canary_filter *filter)
{
	struct canary_filter now;

	assert_int_equal(plane_set_canary(rig->plane, 1, share, filter), 0);
	assert_int_equal(hs_word_share(plane_word(rig->plane)), share);
	assert_int_equal(plane_canary_filter(rig->plane, &now), 0);
	assert_true(canary_equal(&now, filter));
}

/* Three standard deviations are left by chance in one of 370 tries; by a defect each time. */
static bool is_share(unsigned got, unsigned of, double share)
{
	double deviation = sqrt(of * share * (1 - share));

	print_message("# %u of %u, expected %.0f +- %.0f\n", got, of, of * share, deviation);
	return fabs(got - of * share) <= 3 * deviation;
}

static unsigned count_canaries(const struct address *to, unsigned net)
{
	char client[INET_ADDRSTRLEN];
	unsigned n = 0;

	for (unsigned i = 0; i < CLIENTS; i++)
		n += ask_as(to, client_of(net, i, client)) == 'B';
	return n;
}

/* By chance it may be wrong once, with these clients; with others, too, it is not by chance. */
static void assert_share(const struct address *to, unsigned net, unsigned other_net, double share)
{
	if (!is_share(count_canaries(to, net), CLIENTS, share))
		assert_true(is_share(count_canaries(to, other_net), CLIENTS, share));
}

static void some_clients_only(struct rig *rig, struct address at)
{
	struct canary_filter filter = filter_of("connection", "127.1.0.0/16,127.9.9.9");
	struct pair pair = start_pair(rig, &at);

	/* by its own address: a wildcard would be the client's */
	at.ip[0] = 127;
	at.ip[3] = 1;
	serve_pair(&pair);
	set_canary(rig, 65536 / 10, &filter);
	assert_share(&at, 1, 1, 0.1);
	assert_int_equal(count_canaries(&at, 2), 0);
	set_canary(rig, WORD_SHARE_MAX, &filter);
	assert_int_equal(ask_as(&at, "127.9.9.9"), 'B');
	assert_int_equal(ask_as(&at, "127.9.9.8"), 'A');
	assert_int_equal(ask(&at), 'A');
	/* another filter, and none */
	filter = filter_of("connection", "127.0.0.0/9");
	set_canary(rig, WORD_SHARE_MAX, &filter);
	assert_int_equal(ask_as(&at, "127.2.0.1"), 'B');
	assert_int_equal(ask_as(&at, "127.200.0.1"), 'A');
	filter = filter_of("connection", NULL);
	set_canary(rig, WORD_SHARE_MAX, &filter);
	assert_int_equal(ask_as(&at, "127.200.0.1"), 'B');
	assert_int_equal(rig_totals(rig).nothing_to_choose, 0);
}

static void for_some_clients_only(void **state)
{
	some_clients_only(*state, rig_any(PORT));
}

static void for_some_clients_of_a_dual_listener(void **state)
{
	struct rig *rig = *state;
	struct address dual = rig_dual(PORT), at = rig_local(PORT), at6 = rig_local6(PORT);
	struct canary_filter filter = filter_of("connection", "127.1.0.0/16,::1");
	struct pair pair = start_pair(rig, &dual);

	serve_pair(&pair);
	set_canary(rig, WORD_SHARE_MAX, &filter);
	assert_int_equal(ask_as(&at, "127.1.0.1"), 'B');
	assert_int_equal(ask_as(&at, "127.2.0.1"), 'A');
	assert_int_equal(ask(&at6), 'B');
	filter = filter_of("connection", "127.1.0.0/16,2001:db8::/32");
	set_canary(rig, WORD_SHARE_MAX, &filter);
	assert_int_equal(ask(&at6), 'A');
	/* all of IPv6 is not all of IPv4, and the other way round */
	filter = filter_of("connection", "0.0.0.0/0");
	set_canary(rig, WORD_SHARE_MAX, &filter);
	assert_int_equal(ask(&at6), 'A');
	assert_int_equal(ask_as(&at, "127.2.0.1"), 'B');
}

static void for_some_clients_over_udp(void **state)
{
	struct address at = rig_any(PORT);

	at.udp = true;
	some_clients_only(*state, at);
}

/* All connections of a client go the same way, whichever port they come from. */
static void by_client(struct rig *rig, struct address at)
{
	struct canary_filter filter = filter_of("client", NULL);
	struct pair pair = start_pair(rig, &at);
	char client[INET_ADDRSTRLEN], first[CLIENTS];

	serve_pair(&pair);
	set_canary(rig, 65536 / 5, &filter);
	assert_share(&at, 1, 3, 0.2);
	for (unsigned i = 0; i < CLIENTS; i++) {
		first[i] = ask_as(&at, client_of(1, i, client));
		assert_int_equal(ask_as(&at, client), first[i]);
		assert_int_equal(ask_as(&at, client), first[i]);
	}
	/* clients of a smaller share are among those of a larger */
	set_canary(rig, 65536 / 2, &filter);
	assert_share(&at, 1, 3, 0.5);
	for (unsigned i = 0; i < CLIENTS; i++)
		if (first[i] == 'B')
			assert_int_equal(ask_as(&at, client_of(1, i, client)), 'B');
}

static void by_client_all_its_connections_go_the_same_way(void **state)
{
	by_client(*state, rig_any(PORT));
}

static void by_client_with_syn_cookies(void **state)
{
	rig_sysctl("net/ipv4/tcp_syncookies", "2");
	by_client(*state, rig_any(PORT));
}

static void by_connection_one_client_goes_both_ways(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct canary_filter filter = filter_of("connection", "127.1.0.0/16");
	struct pair pair = start_pair(rig, &at);
	unsigned n = 0;

	serve_pair(&pair);
	set_canary(rig, 65536 / 2, &filter);
	for (unsigned i = 0; i < 200; i++)
		n += ask_as(&at, "127.1.0.1") == 'B';
	assert_in_range(n, 50, 150);
}

static void some_clients_by_client(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct canary_filter filter = filter_of("client", "127.1.0.0/16,127.3.0.0/16");
	struct pair pair = start_pair(rig, &at);

	serve_pair(&pair);
	set_canary(rig, 65536 / 4, &filter);
	assert_share(&at, 1, 3, 0.25);
	assert_int_equal(count_canaries(&at, 2), 0);
}

/* What waits has no packet: the client is known by the connection. */
static void waiting_connections_are_told_apart_too(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct canary_filter filter = filter_of("connection", "127.1.0.0/16");
	struct pair pair = start_pair(rig, &at);
	struct server *c = start_adopted(rig, 2, &at);
	int in[40], out[40];
	char client[INET_ADDRSTRLEN];

	case_needs(ABILITY_WAKEUP);
	rig_flip(rig, 2);
	for (unsigned i = 0; i < 40; i++) {
		in[i] = connect_as(&at, client_of(1, i, client));
		out[i] = connect_as(&at, client_of(2, i, client));
	}
	rig_until(rig_queued(rig, 2) == 80);
	rig_flip(rig, 0);
	set_canary(rig, WORD_SHARE_MAX, &filter);
	server_kill(c);
	rig_until(rig_queued(rig, 0) + rig_queued(rig, 1) == 80);
	/* the largest share is 65535 of 65536 */
	assert_in_range(rig_queued(rig, 1), 39, 40);
	serve_pair(&pair);
	for (unsigned i = 0; i < 40; i++) {
		client_ask(in[i]);
		assert_int_equal(client_ask(out[i]), 'A');
		client_reset(in[i]);
		client_reset(out[i]);
	}
}

/* Nobody is in a canary who was neither in the one before nor is in the one after. */
static void a_filter_changes_without_a_wrong_moment(void **state)
{
	struct rig *rig = *state;
	struct canary_filter before = filter_of("connection", "127.1.0.0/16");
	struct canary_filter after = filter_of("connection", "127.2.0.0/16");
	uint64_t word;

	rig_flip(rig, 0);
	set_canary(rig, WORD_SHARE_MAX, &before);
	/* the active one is none: nothing is done */
	word = plane_word(rig->plane);
	assert_int_equal(plane_set_canary(rig->plane, 0, WORD_SHARE_MAX, &after), -EAGAIN);
	assert_int_equal(plane_word(rig->plane), word);
	assert_int_equal(plane_canary_filter(rig->plane, &after), 0);
	assert_true(canary_equal(&before, &after));
	/* no canary: no filter either */
	assert_int_equal(plane_set_canary(rig->plane, HS_SLOT_NONE, 0, NULL), 0);
	assert_int_equal(plane_canary_mode(rig->plane), 0);
	assert_int_equal(plane_canary_filter(rig->plane, &after), 0);
	assert_int_equal(after.n, 0);
}

static void as_many_prefixes_as_there_may_be(void **state)
{
	struct rig *rig = *state;
	struct canary_filter filter = filter_of("client", NULL), now;
	char text[32];
	uint64_t word = plane_word(rig->plane);

	for (unsigned i = 0; i < HS_PREFIXES_MAX; i++) {
		snprintf(text, sizeof(text), "127.1.%u.0/24", i);
		assert_int_equal(canary_add(&filter, text), 0);
	}
	set_canary(rig, 1000, &filter);
	set_canary(rig, 2000, &filter);
	assert_int_not_equal(plane_word(rig->plane), word);
	assert_int_equal(plane_canary_filter(rig->plane, &now), 0);
	assert_int_equal(now.n, HS_PREFIXES_MAX);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(for_some_clients_only),
		CASE(for_some_clients_of_a_dual_listener),
		CASE(for_some_clients_over_udp),
		CASE(by_client_all_its_connections_go_the_same_way),
		CASE(by_client_with_syn_cookies),
		CASE(by_connection_one_client_goes_both_ways),
		CASE(some_clients_by_client),
		CASE(waiting_connections_are_told_apart_too),
		CASE(a_filter_changes_without_a_wrong_moment),
		CASE(as_many_prefixes_as_there_may_be),
	};

	return cases_run("canary", tests);
}
