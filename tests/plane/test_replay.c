// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * hs-replay, as a process with CAP_NET_RAW alone: it hears templates that come to the service's
 * ports and nothing else, and sends them again, in their exporters' name, without what stood beside
 * them, where a rule leads them. Real sockets, IPv4 and IPv6, also with strict rp_filter.
 */
#include "cases.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "core/wire/errand.h"
#include "core/wire/replay.h"
#include "plane/preview/preview.h"
#include "replay/filter.h"
#include "replay/replaying.h"
#include "util/clock.h"

#define PORT   2055
#define NOBODY 65534

/* ---- the process ---- */

struct helper {
	pid_t pid;
	int fd;
};

static void keep_one_capability(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {0};

	data[0].effective = data[0].permitted = 1U << CAP_NET_RAW;
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) || setresuid(NOBODY, NOBODY, NOBODY) ||
	    syscall(SYS_capset, &head, data))
		_exit(99);
}

static struct helper start(const struct replay_watch *watch)
{
	struct timeval patience = {.tv_sec = RIG_DEADLINE_USEC / USEC_PER_SEC};
	struct errand_hello hello;
	struct helper helper;
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	helper.pid = fork();
	assert_true(helper.pid >= 0);
	if (!helper.pid) {
		close(pair[0]);
		keep_one_capability();
		_exit(replaying_run(pair[1]) < 0);
	}
	close(pair[1]);
	helper.fd = pair[0];
	setsockopt(helper.fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	assert_int_equal(recv(helper.fd, &hello, sizeof(hello), 0), sizeof(hello));
	assert_true(errand_check_hello(&hello, sizeof(hello)));
	assert_int_equal(send(helper.fd, watch, sizeof(*watch), 0), sizeof(*watch));
	return helper;
}

/* It ends by itself when nobody is there any more, and in peace. */
static void end(struct helper *helper)
{
	int status;

	close(helper->fd);
	assert_int_equal(waitpid(helper->pid, &status, 0), helper->pid);
	assert_true(WIFEXITED(status) && !WEXITSTATUS(status));
}

/* Its next answer of a kind; what it says without having been asked is passed over. */
static void await(struct helper *helper, enum replay_kind kind, void *packet, size_t size)
{
	_Alignas(8) char any[ERRAND_PACKET_MAX];
	enum replay_kind got;
	ssize_t n;

	do {
		n = recv(helper->fd, any, sizeof(any), 0);
		assert_true(n > 0);
		got = replay_check(any, (size_t)n);
	} while (got == REPLAY_COUNTS);
	assert_int_equal(got, kind);
	memcpy(packet, any, MIN(size, (size_t)n));
}

/* Those that it knows; where there are many, the first of them. */
static struct replay_places ask_places(struct helper *helper)
{
	struct replay_ask question = {REPLAY_ASK, 7};
	struct replay_places places;

	assert_int_equal(send(helper->fd, &question, sizeof(question), 0), sizeof(question));
	await(helper, REPLAY_PLACES, &places, sizeof(places));
	assert_int_equal(places.id, 7);
	return places;
}

static struct replay_places await_places(struct helper *helper, unsigned n)
{
	struct replay_places places;

	rig_until((places = ask_places(helper)).n == n);
	return places;
}

static struct replay_sent have_sent(struct helper *helper, const struct replay_places *places)
{
	struct replay_send order = {.kind = REPLAY_SEND, .id = 8, .n = places->n};
	struct replay_sent sent;

	for (unsigned i = 0; i < places->n; i++)
		order.numbers[i] = places->places[i].number;
	assert_true(send(helper->fd, &order, replay_send_size(order.n), 0) > 0);
	await(helper, REPLAY_SENT, &sent, sizeof(sent));
	assert_int_equal(sent.id, 8);
	return sent;
}

/* ---- exporter and collector ---- */

static socklen_t take_address(const char *ip, uint16_t port, struct sockaddr_storage *ret)
{
	struct address address = {.port = port};

	address.family = strchr(ip, ':') ? AF_INET6 : AF_INET;
	assert_int_equal(inet_pton(address.family, ip, address.ip), 1);
	return address_to_sockaddr(&address, ret);
}

static int open_at(const char *ip, uint16_t port)
{
	struct timeval patience = {.tv_sec = 5};
	struct sockaddr_storage here;
	socklen_t size = take_address(ip, port, &here);
	int fd = socket(here.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (strchr(ip, ':') && port) {
		/* the wildcard is for both families: address_to_sockaddr() means loopback */
		((struct sockaddr_in6 *)&here)->sin6_addr = in6addr_any;
	}
	assert_int_equal(bind(fd, (struct sockaddr *)&here, size), 0);
	return fd;
}

struct text {
	uint8_t data[2048];
	size_t size;
};

static void put(struct text *text, unsigned value)
{
	text->data[text->size++] = (uint8_t)(value >> 8);
	text->data[text->size++] = (uint8_t)value;
}

static void put_header(struct text *text, unsigned version)
{
	text->size = 0;
	put(text, version);
	for (unsigned i = 0; i < (version == 9 ? 9 : 7); i++)
		put(text, 3);
}

static void put_flows(struct text *text)
{
	put(text, 256);
	put(text, 8);
	put(text, 0xf10f);
	put(text, 0xf10f);
}

static void put_template(struct text *text, unsigned set, unsigned id)
{
	put(text, set);
	put(text, 12);
	put(text, id);
	put(text, 1);
	put(text, 8);
	put(text, 4);
}

static void end_text(struct text *text)
{
	if (text->data[1] == 10) {
		text->data[2] = (uint8_t)(text->size >> 8);
		text->data[3] = (uint8_t)text->size;
	}
}

/* `before` sets of flows, a template, and one more set of flows. */
static struct text make(unsigned version, unsigned before)
{
	struct text text = {0};

	put_header(&text, version);
	for (unsigned i = 0; i < before; i++)
		put_flows(&text);
	put_template(&text, version == 9 ? 0 : 2, 256);
	put_flows(&text);
	end_text(&text);
	return text;
}

static void say(int fd, const char *ip, uint16_t port, const struct text *text)
{
	struct sockaddr_storage to;
	socklen_t size = take_address(ip, port, &to);

	assert_int_equal(sendto(fd, text->data, text->size, 0, (struct sockaddr *)&to, size),
			 text->size);
}

/* What the collector gets next. */
static struct text get(int fd, struct sockaddr_storage *ret_from)
{
	socklen_t size = sizeof(*ret_from);
	struct text text;
	ssize_t n;

	memset(ret_from, 0, sizeof(*ret_from));
	n = recvfrom(fd, text.data, sizeof(text.data), 0, (struct sockaddr *)ret_from, &size);
	assert_true(n > 0);
	text.size = (size_t)n;
	return text;
}

/* The port that a socket is bound to, or that something came from. */
static uint16_t port_of(const struct sockaddr_storage *end)
{
	return ntohs(((const struct sockaddr_in *)end)->sin_port);
}

static uint16_t own_port(int fd)
{
	struct sockaddr_storage here;
	socklen_t size = sizeof(here);

	assert_int_equal(getsockname(fd, (struct sockaddr *)&here, &size), 0);
	return port_of(&here);
}

static struct replay_watch everywhere(void)
{
	struct replay_watch watch = {.kind = REPLAY_WATCH, .n = 1};

	watch.listeners[0] = (struct replay_listener) {.port = PORT, .ipv4 = 1, .ipv6 = 1};
	return watch;
}

/* The header and one set of templates; nothing of the flows. */
static void check_templates_only(const struct text *text, unsigned version)
{
	assert_int_equal(text->size, (version == 9 ? 20 : 16) + 12);
	assert_int_equal(text->data[1], version);
	assert_null(memmem(text->data, text->size, "\xf1\x0f", 2));
}

static void run(const char *command)
{
	rig_check(!system(command));
}

/* ---- tests ---- */

static void replay_one(struct helper *helper, int collector, const char *from, const char *to,
		       unsigned version)
{
	struct text text = make(version, 1), got;
	int exporter = open_at(from, 0);
	struct sockaddr_storage source, again;
	struct replay_places places;
	struct replay_sent sent;

	say(exporter, to, PORT, &text);
	got = get(collector, &source);
	assert_int_equal(got.size, text.size);
	places = await_places(helper, 1);
	assert_int_equal(places.places[0].port, own_port(exporter));
	sent = have_sent(helper, &places);
	assert_int_equal(sent.datagrams, 1);
	assert_int_equal(sent.error, 0);
	got = get(collector, &again);
	check_templates_only(&got, version);
	/* in the exporter's name, by address and port */
	assert_memory_equal(&source, &again, sizeof(source));
	/* nobody takes it for an exporter's: twice as many would be told of */
	assert_int_equal(await_places(helper, 1).places[0].number, places.places[0].number);
	close(exporter);
}

static void what_was_heard_is_sent_in_the_exporters_name(void **state)
{
	static const struct {
		const char *from, *to, *strict;
		unsigned version;
	} rows[] = {
		{"127.0.0.9", "127.0.0.1", "0", 9},
		{"127.0.0.9", "127.0.0.1", "1", 10},
		{"::1", "::1", "0", 9},
		{"::1", "::1", "1", 10},
	};
	struct replay_watch watch = everywhere();
	int collector;

	(void)state;
	rig_loopback_up();
	collector = open_at("::", PORT);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct helper helper = start(&watch);

		rig_sysctl("net/ipv4/conf/all/rp_filter", rows[i].strict);
		await_places(&helper, 0);
		replay_one(&helper, collector, rows[i].from, rows[i].to, rows[i].version);
		end(&helper);
	}
	close(collector);
}

/* A listener on one address: what is sent there is no exporter's, whatever its port. */
static void to_one_address_from_another_port(void **state)
{
	struct replay_watch watch = everywhere();
	struct text text = make(9, 0), got;
	struct sockaddr_storage from;
	struct replay_places places;
	struct helper helper;
	int collector, exporter;

	(void)state;
	rig_loopback_up();
	memcpy(watch.listeners[0].ip, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x7f\0\0\1", 16);
	helper = start(&watch);
	await_places(&helper, 0);
	collector = open_at("127.0.0.1", PORT);
	exporter = open_at("127.0.0.9", 0);
	say(exporter, "127.0.0.1", PORT, &text);
	get(collector, &from);
	places = await_places(&helper, 1);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(have_sent(&helper, &places).datagrams, 1);
		got = get(collector, &from);
		check_templates_only(&got, 9);
		assert_int_not_equal(port_of(&from), own_port(exporter));
		assert_int_equal(await_places(&helper, 1).places[0].number,
				 places.places[0].number);
	}
	close(exporter);
	close(collector);
	end(&helper);
}

/* An address that is not this machine's gets nothing. */
static void nothing_leaves_the_machine(void **state)
{
	struct replay_watch watch = everywhere();
	struct text text = make(9, 0);
	struct replay_places places;
	struct replay_sent sent;
	struct helper helper;
	int exporter;

	(void)state;
	rig_loopback_up();
	run("ip link add here type veth peer name there");
	run("ip addr add 198.51.100.1/24 dev here");
	run("ip link set here up");
	run("ip link set there up");
	memcpy(watch.listeners[0].ip, "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc6\x33\x64\1", 16);
	helper = start(&watch);
	await_places(&helper, 0);
	exporter = open_at("127.0.0.9", 0);
	say(exporter, "198.51.100.1", PORT, &text);
	places = await_places(&helper, 1);
	assert_int_equal(have_sent(&helper, &places).datagrams, 1);
	run("ip addr del 198.51.100.1/24 dev here");
	run("ip addr add 198.51.100.2/24 dev here");
	sent = have_sent(&helper, &places);
	assert_int_equal(sent.datagrams, 0);
	assert_int_equal(sent.error, -EADDRNOTAVAIL);
	close(exporter);
	end(&helper);
}

/* Where it is told apart in the kernel: what is passed is heard, what is not costs nothing more. */
static void templates_to_our_ports_are_heard_alone(void **state)
{
	struct replay_watch watch = everywhere();
	struct helper helper;
	struct text text;
	int exporters[4];

	(void)state;
	rig_loopback_up();
	helper = start(&watch);
	await_places(&helper, 0);
	for (unsigned i = 0; i < 4; i++)
		exporters[i] = open_at("127.0.0.9", 0);
	/* no templates, another version, another port, too far behind */
	put_header(&text, 9);
	put_flows(&text);
	say(exporters[0], "127.0.0.1", PORT, &text);
	text = make(9, 0);
	text.data[1] = 8;
	say(exporters[0], "127.0.0.1", PORT, &text);
	text = make(9, 0);
	say(exporters[0], "127.0.0.1", PORT + 1, &text);
	text = make(10, FILTER_SETS);
	say(exporters[0], "127.0.0.1", PORT, &text);
	/* all that is to be heard comes behind these */
	text = make(9, FILTER_SETS - 1);
	say(exporters[1], "127.0.0.1", PORT, &text);
	text = make(10, FILTER_SETS - 1);
	say(exporters[2], "127.0.0.1", PORT, &text);
	text = make(10, 0);
	text.data[19] = 3; /* of options; what is in it is none */
	say(exporters[0], "127.0.0.1", PORT, &text);
	await_places(&helper, 2);
	for (unsigned i = 0; i < 4; i++)
		close(exporters[i]);
	end(&helper);
}

/* Whatever comes, it goes on; and who is heard least lately goes. */
static void whatever_comes_it_goes_on(void **state)
{
	struct replay_watch watch = everywhere();
	struct helper helper;
	struct text text;
	unsigned seed = 1;
	int exporter;

	(void)state;
	rig_loopback_up();
	helper = start(&watch);
	await_places(&helper, 0);
	exporter = open_at("127.0.0.9", 0);
	for (unsigned i = 0; i < 20000; i++) {
		text = make(i % 2 ? 9 : 10, i % 3);
		for (unsigned k = 0; k < 4; k++)
			text.data[2 + (unsigned)rand_r(&seed) % (text.size - 2)] =
				(uint8_t)rand_r(&seed);
		text.size -= i % 5;
		say(exporter, "127.0.0.1", PORT, &text);
	}
	ask_places(&helper);
	close(exporter);
	end(&helper);
}

/* To the slot that a rule names, while its flows go on to where they went. */
static void a_rule_leads_it_while_flows_stay(void **state)
{
	struct rig *rig = *state;
	struct replay_watch watch = everywhere();
	struct address any = rig_any(PORT), here = rig_local(PORT);
	struct hs_preview_owner_id owner;
	struct sockaddr_storage to, from = {0};
	struct replay_places places;
	struct preview_landing landing;
	struct hs_preview_key key;
	struct helper helper;
	struct text text = make(9, 1);
	int exporter;

	rig_loopback_up();
	any.udp = here.udp = true;
	serve_pair(&(struct pair) {start_adopted(rig, 0, &any), start_adopted(rig, 1, &any)});
	helper = start(&watch);
	await_places(&helper, 0);
	exporter = open_at("127.0.0.1", 0);
	say(exporter, "127.0.0.1", PORT, &text);
	assert_int_equal(client_read(exporter), 'A');
	places = await_places(&helper, 1);
	assert_int_equal(owner_of_process(0, &owner), 0);
	assert_int_equal(preview_begin(rig->plane, &owner), 0);
	address_to_sockaddr(&here, &to);
	from = to;
	((struct sockaddr_in *)&from)->sin_port = htons(places.places[0].ends.source_port);
	assert_int_equal(preview_key(&(struct preview_ends) {.source = (struct sockaddr *)&from,
							     .dest = (struct sockaddr *)&to,
							     .protocol = IPPROTO_UDP},
				     &key),
			 0);
	assert_int_equal(preview_add(rig->plane, &key, 1, &owner), 0);
	assert_int_equal(have_sent(&helper, &places).datagrams, 1);
	/* its server answers whom it takes for the sender */
	assert_int_equal(client_read(exporter), 'B');
	assert_int_equal(preview_landed(rig->plane, &key, &landing), 0);
	assert_int_equal(landing.hits, 1);
	assert_int_equal(landing.misses, 0);
	preview_end(rig->plane, &owner);
	say(exporter, "127.0.0.1", PORT, &text);
	assert_int_equal(client_read(exporter), 'A');
	close(exporter);
	end(&helper);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BARE_CASE(what_was_heard_is_sent_in_the_exporters_name),
		BARE_CASE(to_one_address_from_another_port),
		BARE_CASE(nothing_leaves_the_machine),
		BARE_CASE(templates_to_our_ports_are_heard_alone),
		BARE_CASE(whatever_comes_it_goes_on),
		CASE(a_rule_leads_it_while_flows_stay),
	};

	return cases_run("replay", tests);
}
