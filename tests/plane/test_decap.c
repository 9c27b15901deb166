// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A host behind a front takes packets out of those that they come in, and passes on what it does
 * not know to the second host that is named. The client is made of single packets, which the test
 * puts into others as a front does; its own machine never sees the answers.
 */
#include "cases.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>

#include "core/canary.h"
#include "frames.h"
#include "hosts.h"
#include "hs_tc.h"
#include "plane/bpf/tc.h"
#include "plane/front/decap.h"

#define PORT	8080
#define CLIENT	"10.9.0.77"
#define CLIENT6 "fd09::77"
#define NOBODY	HS_SLOT_NONE

struct scene {
	struct hosts hosts;
	int wire;
	char front_mac[18], host_mac[2][18];
	bool ipv6, in_ipv6; /* the client's packets; those that they come in */
	bool udp;
	uint16_t vlan;		 /* by which the packets come; 0 = none */
	const char *second_text; /* instead of a host's address */
};

struct flow {
	uint16_t port;
	uint32_t sequence, expected; /* as in wire.h */
};

/* ---- the scene ---- */

static int open_wire(uint32_t ifindex)
{
	struct sockaddr_ll here = {.sll_family = AF_PACKET,
				   .sll_protocol = htons(ETH_P_ALL),
				   .sll_ifindex = (int)ifindex};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&here, sizeof(here)), 0);
	return fd;
}

static void read_mac(const struct server *where, const char *device, char text[18])
{
	char command[128];
	FILE *out;

	snprintf(command, sizeof(command), "nsenter -n -t %d ip -o link show %s",
		 where ? (int)where->pid : (int)getpid(), device);
	out = popen(command, "re");
	assert_non_null(out);
	assert_int_equal(fscanf(out, "%*[^\\]\\ link/ether %17s", text), 1);
	pclose(out);
}

/* The client is behind the front's device, for all that hosts know. */
static void know_client(const struct scene *scene, const struct server *host)
{
	hosts_run(host,
		  "ip neigh add " CLIENT " lladdr %s dev " HOST_DEVICE "; "
		  "ip -6 neigh add " CLIENT6 " lladdr %s dev " HOST_DEVICE,
		  scene->front_mac, scene->front_mac);
}

static struct address service_of(const struct scene *scene)
{
	uint8_t ip[16];

	hosts_service(scene->ipv6, ip);
	return hosts_address(ip, PORT, scene->udp);
}

static void listen_on(const struct scene *scene, struct server *host)
{
	struct address address = service_of(scene);

	assert_int_equal(server_listen(host, &address, 0), 0);
	server_serve(host, true);
}

static void begin_listening(struct rig *rig, struct scene *scene, const struct address *on)
{
	scene->hosts = hosts_begin(rig, false);
	scene->wire = open_wire(scene->hosts.ifindex);
	read_mac(NULL, HOSTS_DEVICE, scene->front_mac);
	read_mac(scene->hosts.a, HOST_DEVICE, scene->host_mac[0]);
	read_mac(scene->hosts.b, HOST_DEVICE, scene->host_mac[1]);
	know_client(scene, scene->hosts.a);
	know_client(scene, scene->hosts.b);
	listen_on(scene, scene->hosts.a);
	listen_on(scene, scene->hosts.b);
	hosts_unpack(scene->hosts.a, on, 1);
	hosts_unpack(scene->hosts.b, on, 1);
}

static void begin(struct rig *rig, struct scene *scene)
{
	struct address address = service_of(scene);

	begin_listening(rig, scene, &address);
}

static void end(struct scene *scene)
{
	close(scene->wire);
	assert_int_equal(decap_remove(HOSTS_SERVICE_ID), 0);
}

static struct decap_totals totals_of(uint32_t service_id)
{
	struct decap_totals counts;

	assert_int_equal(decap_totals(service_id, &counts), 0);
	return counts;
}

static struct decap_totals totals(void)
{
	return totals_of(HOSTS_SERVICE_ID);
}

/* ---- packets ---- */

static const char *host_text(const struct scene *scene, unsigned host)
{
	static const char *const texts[2][2] = {{"10.9.0.11", "10.9.0.12"},
						{"fd09::11", "fd09::12"}};

	return texts[scene->in_ipv6][host];
}

static struct frame_spec client_spec(const struct scene *scene, const struct flow *flow)
{
	return (struct frame_spec) {
		.to_mac = scene->host_mac[0],
		.from_mac = scene->front_mac,
		.source = scene->ipv6 ? CLIENT6 : CLIENT,
		.dest = scene->ipv6 ? HOSTS_SERVICE6 : HOSTS_SERVICE,
		.protocol = scene->udp ? FRAME_UDP : FRAME_TCP,
		.source_port = flow->port,
		.dest_port = PORT,
		.sequence = flow->sequence,
		.expected = flow->expected,
	};
}

/* To a host, in a packet that names another one or NOBODY. */
static void send_in(const struct scene *scene, const struct frame_spec *spec, unsigned host,
		    unsigned second)
{
	struct frame inner = frame_make(spec), outer;

	outer = frame_make(&(struct frame_spec) {
		.to_mac = scene->host_mac[host],
		.from_mac = scene->front_mac,
		.vlans = {scene->vlan},
		.source = scene->in_ipv6 ? "fd09::1" : "10.9.0.1",
		.dest = host_text(scene, host),
		.inner = &inner,
		.second = second == NOBODY     ? NULL
			  : scene->second_text ? scene->second_text
					       : host_text(scene, second),
	});
	assert_int_equal(send(scene->wire, outer.bytes, outer.n, 0), outer.n);
}

static void send_tcp(const struct scene *scene, struct flow *flow, uint8_t flags, unsigned payload,
		     unsigned host, unsigned second)
{
	struct frame_spec spec = client_spec(scene, flow);

	spec.flags = flags;
	spec.payload = payload;
	send_in(scene, &spec, host, second);
	flow->sequence += payload + !!(flags & WIRE_SYN);
}

struct answer {
	uint8_t flags;
	uint32_t sequence;
	char byte; /* '\0': it carries none */
};

/* Whether the frame is for the client. */
static bool read_answer(const struct scene *scene, const struct flow *flow, const uint8_t *frame,
			size_t n, struct answer *ret_answer)
{
	size_t l4 = ETH_HLEN + (scene->ipv6 ? 40 : 20), data;
	const uint8_t *ip = frame + ETH_HLEN;
	uint8_t protocol = scene->udp ? IPPROTO_UDP : IPPROTO_TCP;
	uint16_t ports[2];
	struct tcphdr tcp;

	if (n < l4 + 8 || ip[0] >> 4 != (scene->ipv6 ? 6 : 4) ||
	    ip[scene->ipv6 ? 6 : 9] != protocol)
		return false;
	memcpy(ports, frame + l4, sizeof(ports));
	if (ntohs(ports[0]) != PORT || ntohs(ports[1]) != flow->port)
		return false;
	*ret_answer = (struct answer) {.byte = (char)frame[l4 + 8]};
	if (scene->udp)
		return true;
	memcpy(&tcp, frame + l4, sizeof(tcp));
	data = l4 + tcp.th_off * 4U;
	/* what Ethernet fills it up by is no data */
	n = scene->ipv6 ? n : ETH_HLEN + (size_t)(ip[2] << 8 | ip[3]);
	*ret_answer = (struct answer) {.flags = tcp.th_flags,
				       .sequence = ntohl(tcp.th_seq),
				       .byte = data < n ? (char)frame[data] : '\0'};
	return true;
}

static bool receive(const struct scene *scene, const struct flow *flow, struct answer *ret_answer,
		    int deadline_ms)
{
	struct pollfd ready = {.fd = scene->wire, .events = POLLIN};
	uint8_t frame[2048];
	ssize_t n;

	while (poll(&ready, 1, deadline_ms) == 1) {
		n = recv(scene->wire, frame, sizeof(frame), 0);
		if (n > 0 && read_answer(scene, flow, frame, n, ret_answer))
			return true;
	}
	return false;
}

/* The answer that has all of these flags. */
static struct answer expect(const struct scene *scene, const struct flow *flow, uint8_t flags)
{
	struct answer answer = {0};

	do {
		if (!receive(scene, flow, &answer, 5000))
			fail_msg("nothing has come back");
	} while ((answer.flags & flags) != flags);
	return answer;
}

static struct flow handshake(const struct scene *scene, uint16_t port, unsigned host,
			     unsigned second)
{
	struct flow flow = {.port = port, .sequence = 5000};

	send_tcp(scene, &flow, WIRE_SYN, 0, host, second);
	flow.expected = expect(scene, &flow, WIRE_SYN | WIRE_ACK).sequence + 1;
	return flow;
}

/* A byte that says who has answered. */
static char ask_tcp(const struct scene *scene, struct flow *flow, unsigned host, unsigned second)
{
	struct answer answer;

	send_tcp(scene, flow, WIRE_ACK | WIRE_PSH, 1, host, second);
	do {
		answer = expect(scene, flow, 0);
		if (answer.flags & WIRE_RST)
			return ANSWER_RESET;
	} while (!answer.byte);
	flow->expected++;
	return answer.byte;
}

static char ask_udp(const struct scene *scene, uint16_t port, unsigned host, unsigned second)
{
	struct flow flow = {.port = port};
	struct frame_spec spec = client_spec(scene, &flow);

	spec.payload = 1;
	send_in(scene, &spec, host, second);
	return expect(scene, &flow, 0).byte;
}

/* ---- taking out ---- */

static void takes_out(struct rig *rig, struct scene *scene)
{
	struct flow flow;

	begin(rig, scene);
	for (unsigned host = 0; host < 2; host++) {
		if (scene->udp) {
			assert_int_equal(ask_udp(scene, 40000, host, NOBODY), 'A' + host);
			assert_int_equal(ask_udp(scene, 40001, host, !host), 'A' + host);
			continue;
		}
		flow = handshake(scene, 40000 + host, host, NOBODY);
		send_tcp(scene, &flow, WIRE_ACK, 0, host, NOBODY);
		for (unsigned i = 0; i < 3; i++)
			assert_int_equal(ask_tcp(scene, &flow, host, i == 1 ? !host : NOBODY),
					 'A' + host);
	}
	assert_int_equal(totals().packets, scene->udp ? 4 : 10);
	assert_int_equal(totals().passed_on, 0);
	end(scene);
}

static void ipv4_in_ipv4(void **state)
{
	takes_out(*state, &(struct scene) {0});
}

static void ipv6_in_ipv4(void **state)
{
	takes_out(*state, &(struct scene) {.ipv6 = true});
}

static void ipv4_in_ipv6(void **state)
{
	takes_out(*state, &(struct scene) {.in_ipv6 = true});
}

static void ipv6_in_ipv6(void **state)
{
	takes_out(*state, &(struct scene) {.ipv6 = true, .in_ipv6 = true});
}

static void datagrams_ipv4_in_ipv4(void **state)
{
	takes_out(*state, &(struct scene) {.udp = true});
}

static void datagrams_ipv6_in_ipv4(void **state)
{
	takes_out(*state, &(struct scene) {.udp = true, .ipv6 = true});
}

static void datagrams_ipv4_in_ipv6(void **state)
{
	takes_out(*state, &(struct scene) {.udp = true, .in_ipv6 = true});
}

static void datagrams_ipv6_in_ipv6(void **state)
{
	takes_out(*state, &(struct scene) {.udp = true, .ipv6 = true, .in_ipv6 = true});
}

/* A host looks at whence a packet comes as strictly as it can; and it forwards for others. */
static void a_strict_host_that_forwards(void **state)
{
	struct scene scene = {0};
	struct flow flow;

	begin(*state, &scene);
	hosts_run(scene.hosts.a, "cd /proc/sys/net/ipv4; echo 1 >ip_forward; "
				 "for all in conf/*/rp_filter; do echo 1 >$all; done");
	flow = handshake(&scene, 40000, 0, NOBODY);
	assert_int_equal(ask_tcp(&scene, &flow, 0, NOBODY), 'A');
	end(&scene);
}

/* To any address of the machine, of both families. */
static void wildcards(void **state)
{
	struct address any = {.family = AF_INET6, .port = PORT};
	struct scene scene = {0};
	struct flow flow;

	begin_listening(*state, &scene, &any);
	flow = handshake(&scene, 40000, 0, NOBODY);
	assert_int_equal(ask_tcp(&scene, &flow, 0, NOBODY), 'A');
	any.v6only = true;
	hosts_unpack(scene.hosts.a, &any, 1);
	send_tcp(&scene, &flow, WIRE_ACK, 1, 0, NOBODY);
	assert_int_equal(totals().packets, 2);
	end(&scene);
}

/* Another port, another address, another machine's packet: the kernel has it, which has no tunnel
 * here. */
static void what_is_not_ours_is_left_alone(void **state)
{
	struct scene scene = {.udp = true};
	struct flow flow = {.port = 40000};
	struct frame_spec spec;

	begin(*state, &scene);
	spec = client_spec(&scene, &flow);
	spec.dest_port = PORT + 1;
	send_in(&scene, &spec, 0, NOBODY);
	spec = client_spec(&scene, &flow);
	spec.dest = "10.9.0.11";
	send_in(&scene, &spec, 0, NOBODY);
	spec = client_spec(&scene, &flow);
	memcpy(scene.host_mac[1], scene.host_mac[0], sizeof(scene.host_mac[1]));
	hosts_run(scene.hosts.a, "echo 1 >/proc/sys/net/ipv4/ip_forward");
	send_in(&scene, &spec, 1, NOBODY);
	/* the last one, forwarded, comes to B, which it was for */
	assert_int_equal(expect(&scene, &flow, 0).byte, 'B');
	assert_int_equal(totals().packets, 1);
	end(&scene);
}

/* Larger than fits once it is inside another one. */
static void inner_fragments(void **state)
{
	struct scene scene = {.udp = true};
	struct flow flow = {.port = 40000};
	struct frame_spec spec;

	begin(*state, &scene);
	spec = client_spec(&scene, &flow);
	spec.payload = 2000;
	spec.id = 77;
	spec.length = 1000;
	send_in(&scene, &spec, 0, NOBODY);
	spec.from = 1000;
	spec.length = 2008 - 1000;
	send_in(&scene, &spec, 0, NOBODY);
	assert_int_equal(expect(&scene, &flow, 0).byte, 'A');
	assert_int_equal(totals().packets, 2);
	end(&scene);
}

/* Another service on the same address, which has to do with somebody else: what has no ports may be
 * either one's. */
static void inner_fragments_of_one_of_two(void **state)
{
	struct scene scene = {.udp = true};
	struct flow flow = {.port = 40000};
	struct address other = service_of(&scene);
	struct decap_terms terms = {.device = "", .n_from = 1};
	struct frame_spec spec;
	struct hs_prefix from;

	begin(*state, &scene);
	assert_int_equal(prefix_parse("10.9.0.77", &from), 0);
	terms.from = &from;
	other.port++;
	hosts_unpack_by(scene.hosts.a, HOSTS_SERVICE_ID + 1, &other, 1, &terms);
	spec = client_spec(&scene, &flow);
	spec.payload = 2000;
	spec.id = 78;
	spec.length = 1000;
	send_in(&scene, &spec, 0, NOBODY);
	spec.from = 1000;
	spec.length = 2008 - 1000;
	send_in(&scene, &spec, 0, NOBODY);
	assert_int_equal(expect(&scene, &flow, 0).byte, 'A');
	/* of the two it is the first one that goes, and the other one is still asked */
	hosts_unpack_by(scene.hosts.a, HOSTS_SERVICE_ID, NULL, 0,
			&(struct decap_terms) {.device = ""});
	hosts_unpack_by(scene.hosts.a, HOSTS_SERVICE_ID + 1, &other, 1, &terms);
	assert_int_equal(totals().packets, 2);
	send_in(&scene, &spec, 0, NOBODY);
	terms.n_from = 0;
	hosts_unpack_by(scene.hosts.a, HOSTS_SERVICE_ID + 1, &other, 1, &terms);
	send_in(&scene, &spec, 0, NOBODY);
	rig_until(totals_of(HOSTS_SERVICE_ID + 1).packets == 1);
	assert_int_equal(decap_remove(HOSTS_SERVICE_ID + 1), 0);
	end(&scene);
}

/* Options before the ports, which a front has read. */
static void inner_options(void **state)
{
	struct scene scene = {.udp = true, .ipv6 = true};
	struct flow flow = {.port = 40000};
	struct frame_spec spec;

	begin(*state, &scene);
	spec = client_spec(&scene, &flow);
	spec.payload = 1;
	spec.options = 8;
	send_in(&scene, &spec, 0, NOBODY);
	assert_int_equal(expect(&scene, &flow, 0).byte, 'A');
	assert_int_equal(totals().packets, 1);
	end(&scene);
}

/* ---- the second host ---- */

static void second_chance(struct rig *rig, struct scene *scene)
{
	struct flow flow;

	begin(rig, scene);
	flow = handshake(scene, 40000, 1, NOBODY);
	send_tcp(scene, &flow, WIRE_ACK, 0, 1, NOBODY);
	assert_int_equal(ask_tcp(scene, &flow, 1, NOBODY), 'B');
	assert_int_equal(ask_tcp(scene, &flow, 0, 1), 'B');
	assert_int_equal(ask_tcp(scene, &flow, 0, 1), 'B');
	assert_int_equal(totals().passed_on, 2);
	/* both ends hear of the end */
	send_tcp(scene, &flow, WIRE_RST | WIRE_ACK, 0, 0, 1);
	rig_until(!server_state(scene->hosts.b).open);
	end(scene);
}

static void second_chance_ipv4_in_ipv4(void **state)
{
	second_chance(*state, &(struct scene) {0});
}

static void second_chance_ipv6_in_ipv4(void **state)
{
	second_chance(*state, &(struct scene) {.ipv6 = true});
}

static void second_chance_ipv4_in_ipv6(void **state)
{
	second_chance(*state, &(struct scene) {.in_ipv6 = true});
}

static void second_chance_ipv6_in_ipv6(void **state)
{
	second_chance(*state, &(struct scene) {.ipv6 = true, .in_ipv6 = true});
}

/* The device below that of the VLAN sees a packet before, and is not the one by which it goes on.
 */
static void not_passed_on_below_a_vlan(void **state)
{
	struct scene scene = {0};
	struct flow flow = {.port = 40000, .sequence = 1, .expected = 1};

	begin(*state, &scene);
	scene.vlan = 20;
	send_tcp(&scene, &flow, WIRE_ACK, 1, 0, 1);
	scene.vlan = 0;
	flow = handshake(&scene, 40001, 0, NOBODY);
	assert_int_equal(totals().passed_on, 0);
	assert_int_equal(totals().packets, 1);
	end(&scene);
}

/* A SYN is for the first host, and so is what comes while it is under way there. */
static void a_handshake_stays(void **state)
{
	struct scene scene = {0};
	struct flow flow;

	begin(*state, &scene);
	flow = handshake(&scene, 40000, 0, 1);
	send_tcp(&scene, &flow, WIRE_ACK, 0, 0, 1);
	assert_int_equal(ask_tcp(&scene, &flow, 0, 1), 'A');
	assert_int_equal(totals().passed_on, 0);
	end(&scene);
}

/* The first host has nothing but its cookie. */
static void a_cookie_stays(void **state)
{
	struct scene scene = {0};
	struct flow flow;

	begin(*state, &scene);
	hosts_run(scene.hosts.a, "echo 2 >/proc/sys/net/ipv4/tcp_syncookies");
	flow = handshake(&scene, 40000, 0, 1);
	send_tcp(&scene, &flow, WIRE_ACK, 0, 0, 1);
	assert_int_equal(ask_tcp(&scene, &flow, 0, 1), 'A');
	assert_int_equal(totals().passed_on, 0);
	/* what is none goes on */
	flow = handshake(&scene, 40001, 1, NOBODY);
	send_tcp(&scene, &flow, WIRE_ACK, 0, 0, 1);
	assert_int_equal(ask_tcp(&scene, &flow, 0, 1), 'B');
	assert_int_equal(totals().passed_on, 2);
	end(&scene);
}

/* Not known at either: the second one says so, and it goes no further. */
static void once_only(void **state)
{
	struct scene scene = {0};
	struct flow flow = {.port = 40000, .sequence = 1, .expected = 1};

	begin(*state, &scene);
	assert_int_equal(ask_tcp(&scene, &flow, 0, 1), ANSWER_RESET);
	assert_int_equal(totals().passed_on, 1);
	assert_int_equal(totals().packets, 1);
	/* nor is there another host in this one's own name */
	flow.port++;
	assert_int_equal(ask_tcp(&scene, &flow, 0, 0), ANSWER_RESET);
	assert_int_equal(totals().passed_on, 1);
	end(&scene);
}

/* Just ended here: the kernel still answers for it. */
static void one_that_has_just_ended_stays(void **state)
{
	struct scene scene = {0};
	struct flow flow;

	begin(*state, &scene);
	flow = handshake(&scene, 40000, 0, NOBODY);
	send_tcp(&scene, &flow, WIRE_ACK, 0, 0, NOBODY);
	assert_int_equal(ask_tcp(&scene, &flow, 0, NOBODY), 'A');
	server_hang_up(scene.hosts.a, false);
	expect(&scene, &flow, WIRE_FIN);
	flow.expected++;
	send_tcp(&scene, &flow, WIRE_FIN | WIRE_ACK, 0, 0, 1);
	flow.sequence++;
	send_tcp(&scene, &flow, WIRE_FIN | WIRE_ACK, 0, 0, 1);
	assert_int_equal(totals().passed_on, 0);
	end(&scene);
}

/* ---- of whom ---- */

static void unpack_of(const struct scene *scene, const char *from)
{
	struct address address = service_of(scene);
	struct hs_prefix prefix;

	assert_int_equal(prefix_parse(from, &prefix), 0);
	hosts_unpack_of(scene->hosts.a, &address, 1, &prefix, 1);
}

/* A second host that is on none of this host's networks is none, unless it is named. */
static void a_second_host_far_away_is_none(void **state)
{
	struct scene scene = {0};
	struct flow flow = {.port = 40000, .sequence = 1, .expected = 1};
	struct frame_spec spec = client_spec(&scene, &flow);
	struct address address = service_of(&scene);

	begin(*state, &scene);
	spec.to_mac = scene.host_mac[0];
	spec.from_mac = scene.front_mac;
	spec.flags = WIRE_ACK;
	hosts_run(scene.hosts.a, "ip route add default via 10.9.0.1");
	scene.second_text = "203.0.113.200";
	send_in(&scene, &spec, 0, 1);
	assert_int_equal(expect(&scene, &flow, 0).flags & WIRE_RST, WIRE_RST);
	assert_int_equal(totals().passed_on, 0);
	unpack_of(&scene, "0.0.0.0/0");
	send_in(&scene, &spec, 0, 1);
	rig_until(totals().passed_on == 1);
	/* and again */
	hosts_unpack(scene.hosts.a, &address, 1);
	send_in(&scene, &spec, 0, 1);
	assert_int_equal(expect(&scene, &flow, 0).flags & WIRE_RST, WIRE_RST);
	assert_int_equal(totals().passed_on, 1);
	end(&scene);
}

/* What somebody else has packed is left to the kernel, which has no tunnel here. */
static void what_others_have_packed_is_left_alone(void **state)
{
	struct scene scene = {0};
	struct flow flow;

	begin(*state, &scene);
	unpack_of(&scene, "10.9.0.12");
	flow = (struct flow) {.port = 40000, .sequence = 5000};
	send_tcp(&scene, &flow, WIRE_SYN, 0, 0, NOBODY);
	unpack_of(&scene, "10.9.0.1");
	flow = handshake(&scene, 40001, 0, NOBODY);
	send_tcp(&scene, &flow, WIRE_ACK, 0, 0, NOBODY);
	assert_int_equal(ask_tcp(&scene, &flow, 0, NOBODY), 'A');
	/* B is no second host for it */
	flow = (struct flow) {.port = 40002, .sequence = 1, .expected = 1};
	assert_int_equal(ask_tcp(&scene, &flow, 0, 1), ANSWER_RESET);
	assert_int_equal(totals().passed_on, 0);
	assert_int_equal(totals().packets, 4);
	end(&scene);
}

/* By one device alone, though the program is on another one, too: of another service. */
static void by_one_device_alone(void **state)
{
	struct scene scene = {0};
	struct address address = service_of(&scene);
	struct decap_terms terms = {.device = "other0"};
	struct flow flow = {.port = 40000, .sequence = 5000};

	begin(*state, &scene);
	hosts_run(scene.hosts.a, "ip link add other0 type veth peer name other1; "
				 "ip addr add 10.77.0.1/24 dev other0; ip link set other0 up");
	hosts_unpack_by(scene.hosts.a, HOSTS_SERVICE_ID + 1, NULL, 0,
			&(struct decap_terms) {.device = ""});
	hosts_unpack_by(scene.hosts.a, HOSTS_SERVICE_ID, &address, 1, &terms);
	send_tcp(&scene, &flow, WIRE_SYN, 0, 0, NOBODY);
	/* this one is behind it */
	terms.device = HOST_DEVICE;
	hosts_unpack_by(scene.hosts.a, HOSTS_SERVICE_ID, &address, 1, &terms);
	flow = handshake(&scene, 40001, 0, NOBODY);
	assert_int_equal(totals().packets, 1);
	assert_int_equal(ask_tcp(&scene, &flow, 0, NOBODY), 'A');
	assert_int_equal(decap_remove(HOSTS_SERVICE_ID + 1), 0);
	end(&scene);
}

/* ---- making and taking away ---- */

static const struct decap_terms on_device = {.device = HOSTS_DEVICE}, on_all = {.device = ""};

static void two_services_on_one_address(void **state)
{
	struct scene scene = {0};
	struct address other = service_of(&scene);
	const struct address *all[] = {&other};
	struct decap_totals counts;
	struct flow flow;

	begin(*state, &scene);
	other.port = PORT + 1;
	assert_int_equal(decap_apply(HOSTS_SERVICE_ID + 1, all, 1, &on_device, NULL), 0);
	assert_int_equal(decap_remove(HOSTS_SERVICE_ID + 1), 0);
	assert_int_equal(decap_totals(HOSTS_SERVICE_ID + 1, &counts), -ENOENT);
	flow = handshake(&scene, 40000, 0, NOBODY);
	assert_int_equal(ask_tcp(&scene, &flow, 0, NOBODY), 'A');
	end(&scene);
	assert_int_equal(decap_totals(HOSTS_SERVICE_ID, &counts), -ENOENT);
}

static void nothing_is_left(void **state)
{
	struct address address = {.family = AF_INET, .port = PORT, .ip = {10, 9, 0, 1}};
	const struct address *all[] = {&address};
	uint32_t ifindex = hosts_begin(*state, false).ifindex;

	assert_int_equal(decap_apply(HOSTS_SERVICE_ID, all, 1, &on_all, NULL), 0);
	assert_true(tc_program(ifindex, TC_INGRESS, TC_PLACE_DECAP));
	assert_int_equal(decap_apply(HOSTS_SERVICE_ID, all, 1, &on_all, NULL), 0);
	assert_int_equal(decap_remove(HOSTS_SERVICE_ID), 0);
	assert_false(tc_program(ifindex, TC_INGRESS, TC_PLACE_DECAP));
	assert_int_equal(access(HS_PIN_ROOT "/%decap", F_OK), -1);
	hosts_run(NULL, "test -z \"$(tc qdisc show dev " HOSTS_DEVICE " | grep clsact)\"");
	assert_int_equal(decap_remove(HOSTS_SERVICE_ID), 0);
}

static void add_second_device(void)
{
	hosts_run(NULL, "ip link add second0 type veth peer name second1; "
			"ip addr add 10.78.0.1/24 dev second0; ip link set second0 up");
}

/* From what nobody wants it goes, and what somebody wants stays. */
static void it_is_where_it_is_wanted(void **state)
{
	const struct decap_terms on_second = {.device = "second0"};
	uint32_t first = hosts_begin(*state, false).ifindex, second;

	add_second_device();
	second = if_nametoindex("second0");
	assert_int_equal(decap_apply(HOSTS_SERVICE_ID, NULL, 0, &on_all, NULL), 0);
	assert_int_equal(decap_apply(HOSTS_SERVICE_ID + 1, NULL, 0, &on_all, NULL), 0);
	assert_true(tc_program(second, TC_INGRESS, TC_PLACE_DECAP));
	assert_int_equal(decap_apply(HOSTS_SERVICE_ID, NULL, 0, &on_device, NULL), 0);
	assert_true(tc_program(second, TC_INGRESS, TC_PLACE_DECAP));
	assert_int_equal(decap_apply(HOSTS_SERVICE_ID + 1, NULL, 0, &on_second, NULL), 0);
	assert_true(tc_program(first, TC_INGRESS, TC_PLACE_DECAP));
	assert_int_equal(decap_remove(HOSTS_SERVICE_ID + 1), 0);
	assert_false(tc_program(second, TC_INGRESS, TC_PLACE_DECAP));
	assert_true(tc_program(first, TC_INGRESS, TC_PLACE_DECAP));
	assert_int_equal(decap_remove(HOSTS_SERVICE_ID), 0);
}

/* Of containers that are gone: there is room for those that come. */
static void devices_that_are_gone_make_room(void **state)
{
	const struct hs_tc_device gone = {0};
	uint32_t ifindex = hosts_begin(*state, false).ifindex, number = 100000;
	int fd;

	assert_int_equal(decap_apply(HOSTS_SERVICE_ID, NULL, 0, &on_device, NULL), 0);
	assert_int_equal(pin_open(HS_PIN_ROOT "/%decap/devices", &fd), 0);
	while (!bpf_map_update_elem(fd, &number, &gone, BPF_ANY))
		number++;
	assert_true(number > 100000);
	add_second_device();
	assert_int_equal(decap_apply(HOSTS_SERVICE_ID, NULL, 0, &on_all, NULL), 0);
	assert_true(tc_program(if_nametoindex("second0"), TC_INGRESS, TC_PLACE_DECAP));
	assert_true(tc_program(ifindex, TC_INGRESS, TC_PLACE_DECAP));
	close(fd);
	assert_int_equal(decap_remove(HOSTS_SERVICE_ID), 0);
}

static void a_device_that_is_not_there(void **state)
{
	struct problem problem = {0};

	(void)state;
	assert_int_equal(decap_apply(HOSTS_SERVICE_ID, NULL, 0,
				     &(struct decap_terms) {.device = "none0"}, &problem),
			 -ENODEV);
	assert_non_null(strstr(problem.text, "on device none0"));
}

static void another_build_takes_its_place(void **state)
{
	struct address address = {.family = AF_INET, .port = PORT, .ip = {10, 9, 0, 1}};
	const struct address *all[] = {&address};
	uint32_t ifindex = hosts_begin(*state, false).ifindex, before, zero = 0;
	uint64_t build = 1;
	int fd;

	assert_int_equal(decap_apply(HOSTS_SERVICE_ID, all, 1, &on_device, NULL), 0);
	before = tc_program(ifindex, TC_INGRESS, TC_PLACE_DECAP);
	assert_int_equal(pin_open(HS_PIN_ROOT "/%decap/build", &fd), 0);
	assert_int_equal(bpf_map_update_elem(fd, &zero, &build, BPF_ANY), 0);
	close(fd);
	assert_int_equal(decap_apply(HOSTS_SERVICE_ID, all, 1, &on_device, NULL), 0);
	assert_int_not_equal(tc_program(ifindex, TC_INGRESS, TC_PLACE_DECAP), before);
	assert_int_equal(decap_remove(HOSTS_SERVICE_ID), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BARE_CASE(ipv4_in_ipv4),
		BARE_CASE(ipv6_in_ipv4),
		BARE_CASE(ipv4_in_ipv6),
		BARE_CASE(ipv6_in_ipv6),
		BARE_CASE(datagrams_ipv4_in_ipv4),
		BARE_CASE(datagrams_ipv6_in_ipv4),
		BARE_CASE(datagrams_ipv4_in_ipv6),
		BARE_CASE(datagrams_ipv6_in_ipv6),
		BARE_CASE(a_strict_host_that_forwards),
		BARE_CASE(wildcards),
		BARE_CASE(what_is_not_ours_is_left_alone),
		BARE_CASE(inner_fragments),
		BARE_CASE(inner_fragments_of_one_of_two),
		BARE_CASE(inner_options),
		BARE_CASE(second_chance_ipv4_in_ipv4),
		BARE_CASE(second_chance_ipv6_in_ipv4),
		BARE_CASE(second_chance_ipv4_in_ipv6),
		BARE_CASE(second_chance_ipv6_in_ipv6),
		BARE_CASE(not_passed_on_below_a_vlan),
		BARE_CASE(a_handshake_stays),
		BARE_CASE(a_cookie_stays),
		BARE_CASE(once_only),
		BARE_CASE(one_that_has_just_ended_stays),
		BARE_CASE(a_second_host_far_away_is_none),
		BARE_CASE(what_others_have_packed_is_left_alone),
		BARE_CASE(by_one_device_alone),
		BARE_CASE(two_services_on_one_address),
		BARE_CASE(nothing_is_left),
		BARE_CASE(it_is_where_it_is_wanted),
		BARE_CASE(devices_that_are_gone_make_room),
		BARE_CASE(a_device_that_is_not_there),
		BARE_CASE(another_build_takes_its_place),
	};

	return cases_run("decap", tests);
}
