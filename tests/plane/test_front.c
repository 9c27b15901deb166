// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A front's programs: what comes out of each frame, byte by byte, by BPF_PROG_TEST_RUN of the
 * device's program, which hands over to the service's. Hosts are 192.0.2.11, .12, .13 and
 * 2001:db8::11 and on, slots 0, 1, 2; clients' packets come from a router with the MAC address
 * CLIENT.
 */
#include "cases.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/mman.h>

#include "core/spread/spread.h"
#include "hs_front.h"
#include "plane/front/device_pins.h"
#include "plane/parts/plane_state.h"
#include "plane/parts/table.h"
#include "plane/plane_front.h"
#include "service/report/placement.h"
#include "stand.h"
#include "util/clock.h"

#define FIN 0x01
#define SYN 0x02
#define RST 0x04
#define ACK 0x10

static void expect(const struct stand *stand, const struct frame_spec *sent,
		   const struct frame_spec *wanted, unsigned verdict)
{
	struct frame frame = frame_make(sent), other = frame_make(wanted);

	assert_int_equal(stand_run(stand, &frame), verdict);
	assert_true(frame_equal(&frame, &other));
}

static void expect_pass(const struct stand *stand, const struct frame_spec *sent)
{
	expect(stand, sent, sent, XDP_PASS);
}

/* The host that a frame is sent to, in dsr; -1: none. */
static int host_of(const struct stand *stand, const struct frame_spec *sent)
{
	struct frame frame = frame_make(sent);

	if (stand_run(stand, &frame) != XDP_TX)
		return -1;
	for (unsigned i = 0; i < ARRAY_SIZE(stand_macs); i++)
		if (frame.bytes[5] == strtoul(stand_macs[i] + 15, NULL, 16))
			return (int)i;
	return -1;
}

static struct front_totals totals_of(const struct stand *stand)
{
	struct front_totals totals;

	assert_int_equal(front_totals(stand->front, &totals), 0);
	return totals;
}

/* ---- dsr ---- */

/* Each kind of packet that a client may send, to an address of either family. */
static void every_kind(const struct stand *stand, const char *client, const char *service,
		       void (*check)(const struct stand *stand, const struct frame_spec *sent))
{
	struct frame_spec spec = frame_from_client(client, service);

	check(stand, &spec);
	spec.flags = ACK;
	spec.payload = 1;
	check(stand, &spec);
	spec.options = 8;
	spec.tos = 0xb8;
	check(stand, &spec);
	spec.vlans[0] = 0;
	spec.options = 0;
	spec.protocol = FRAME_UDP;
	spec.payload = 33;
	check(stand, &spec);
	spec.no_checksum = !strchr(client, ':');
	spec.may_fragment = true;
	spec.source_port++;
	check(stand, &spec);
}

static void check_dsr(const struct stand *stand, const struct frame_spec *sent)
{
	struct frame_spec wanted = *sent;

	wanted.to_mac = stand_macs[0];
	wanted.from_mac = OWN_MAC;
	expect(stand, sent, &wanted, XDP_TX);
}

static void dsr_changes_nothing_but_mac_addresses(void **state)
{
	struct stand stand = stand_begin(*state, FRONT_DSR, stand_hosts);

	every_kind(&stand, CLIENT, SERVICE, check_dsr);
	every_kind(&stand, CLIENT6, SERVICE6, check_dsr);
	stand_end(&stand);
}

/* Not answers of others, and not what is for this machine itself. */
static void what_is_for_another_port_is_counted(void **state)
{
	struct stand stand = stand_begin(*state, FRONT_DSR, stand_hosts);
	struct frame_spec spec = frame_from_client(CLIENT, SERVICE);

	assert_int_equal(host_of(&stand, &spec), 0);
	spec.dest = "192.0.2.1";
	expect_pass(&stand, &spec);
	assert_int_equal(totals_of(&stand).other_ports, 0);
	spec.dest = SERVICE;
	spec.dest_port = 8080;
	expect_pass(&stand, &spec);
	assert_int_equal(totals_of(&stand).other_ports, 1);
	spec.protocol = FRAME_UDP;
	spec.dest_port = 80;
	expect_pass(&stand, &spec);
	spec = frame_from_client(CLIENT6, SERVICE6);
	spec.dest_port = 8080;
	expect_pass(&stand, &spec);
	assert_int_equal(totals_of(&stand).other_ports, 3);
	assert_int_equal(front_other_ports(stand.front), 3);
	assert_int_equal(totals_of(&stand).passed, 0);
	stand_end(&stand);
}

/* ---- ipip ---- */

static uint32_t label_of(const struct frame *frame)
{
	size_t l3 = frame_l3(frame);

	return (uint32_t)(frame->bytes[l3 + 1] & 0xf) << 16 | frame->bytes[l3 + 2] << 8 |
	       frame->bytes[l3 + 3];
}

/* Around the packet is one from this machine to the host. The label of IPv6 is whatever it is. */
static void check_ipip(const struct stand *stand, const struct frame_spec *sent)
{
	bool ipv4 = front_address_is_ipv4(stand->config.hosts[0].address.ip);
	struct frame inner = frame_make(sent), frame = inner, wanted;
	struct frame_spec outer = {.to_mac = stand_macs[0],
				   .from_mac = OWN_MAC,
				   .source = ipv4 ? "192.0.2.1" : "2001:db8::1",
				   .dest = ipv4 ? stand_hosts[0] : stand_hosts6[0],
				   .tos = sent->tos,
				   .inner = &inner};

	memcpy(outer.vlans, sent->vlans, sizeof(outer.vlans));
	assert_int_equal(stand_run(stand, &frame), XDP_TX);
	outer.flow_label = ipv4 ? 0 : label_of(&frame);
	wanted = frame_make(&outer);
	assert_true(frame_equal(&frame, &wanted));
}

static void ipip_puts_a_packet_around_it(void **state)
{
	struct stand stand = stand_begin(*state, FRONT_IPIP, stand_hosts);

	every_kind(&stand, CLIENT, SERVICE, check_ipip);
	every_kind(&stand, CLIENT6, SERVICE6, check_ipip);
	for (unsigned i = 0; i < 3; i++)
		front_set_taking(stand.front, i, false);
	stand_end(&stand);
}

static void ipip_of_both_families_goes_by_ipv6(void **state)
{
	struct stand stand = stand_begin(*state, FRONT_IPIP, stand_hosts6);

	every_kind(&stand, CLIENT, SERVICE, check_ipip);
	every_kind(&stand, CLIENT6, SERVICE6, check_ipip);
	stand_end(&stand);
}

/* ---- nat ---- */

static void check_nat(const struct stand *stand, const struct frame_spec *sent)
{
	bool ipv4 = front_address_is_ipv4(stand->config.hosts[0].address.ip);
	struct frame_spec wanted = *sent, answer;

	wanted.to_mac = stand_macs[0];
	wanted.from_mac = OWN_MAC;
	wanted.dest = ipv4 ? stand_hosts[0] : stand_hosts6[0];
	wanted.ttl = 63;
	expect(stand, sent, &wanted, XDP_TX);
	/* and back */
	answer = *sent;
	answer.to_mac = OWN_MAC;
	answer.from_mac = stand_macs[0];
	answer.source = wanted.dest;
	answer.dest = sent->source;
	answer.source_port = sent->dest_port;
	answer.dest_port = sent->source_port;
	answer.payload = 77;
	wanted = answer;
	wanted.to_mac = CLIENT_MAC;
	wanted.from_mac = OWN_MAC;
	wanted.source = sent->dest;
	wanted.ttl = 63;
	expect(stand, &answer, &wanted, XDP_TX);
}

static void nat_changes_address_and_checksums_both_ways(void **state)
{
	struct stand stand = stand_begin(*state, FRONT_NAT, stand_hosts);

	every_kind(&stand, CLIENT, SERVICE, check_nat);
	stand_end(&stand);
}

static void nat_of_ipv6(void **state)
{
	struct stand stand = stand_begin(*state, FRONT_NAT, stand_hosts6);

	every_kind(&stand, CLIENT6, SERVICE6, check_nat);
	stand_end(&stand);
}

/* ---- what is not for it ---- */

static void what_is_not_for_it_passes(void **state)
{
	struct stand stand = stand_begin(*state, FRONT_DSR, stand_hosts);
	struct frame_spec spec = frame_from_client(CLIENT, SERVICE);
	struct frame frame;

	spec.dest_port = 444;
	expect_pass(&stand, &spec);
	spec.dest_port = 80;
	spec.protocol = FRAME_UDP;
	expect_pass(&stand, &spec);
	spec = frame_from_client(CLIENT, "198.51.100.11");
	expect_pass(&stand, &spec);
	/* echo */
	spec = frame_from_client(CLIENT, SERVICE);
	spec.protocol = FRAME_ICMP;
	spec.type = 8;
	expect_pass(&stand, &spec);
	/* short at each place */
	spec = frame_from_client(CLIENT, SERVICE);
	frame = frame_make(&spec);
	for (size_t n = 14; n < 54; n++) {
		struct frame cut = frame;

		cut.n = n;
		assert_int_equal(stand_run(&stand, &cut), XDP_PASS);
		assert_memory_equal(cut.bytes, frame.bytes, n);
	}
	assert_true(totals_of(&stand).malformed > 0);
	stand_end(&stand);
}

/* ---- flows ---- */

static struct frame_spec with_flags(uint16_t port, uint8_t flags)
{
	struct frame_spec spec = frame_from_client(CLIENT, SERVICE);

	spec.source_port = port;
	spec.flags = flags;
	return spec;
}

static int sent_to(const struct stand *stand, uint16_t port, uint8_t flags)
{
	struct frame_spec spec = with_flags(port, flags);

	return host_of(stand, &spec);
}

static struct frame_spec from_port(uint16_t port, uint16_t to)
{
	struct frame_spec spec = with_flags(port, SYN);

	spec.dest_port = to;
	return spec;
}

static int datagram_to(const struct stand *stand, uint16_t port)
{
	struct frame_spec spec = with_flags(port, 0);

	spec.protocol = FRAME_UDP;
	return host_of(stand, &spec);
}

static void a_flow_stays_when_the_word_changes(void **state)
{
	struct stand stand = stand_begin(*state, FRONT_DSR, stand_hosts);

	assert_int_equal(sent_to(&stand, 1000, SYN), 0);
	assert_int_equal(sent_to(&stand, 1001, SYN), 0);
	assert_int_equal(sent_to(&stand, 1001, ACK), 0);
	assert_int_equal(datagram_to(&stand, 1000), 0);
	rig_flip(stand.rig, 1);
	assert_int_equal(sent_to(&stand, 1000, SYN), 0);
	assert_int_equal(sent_to(&stand, 1000, ACK), 0);
	assert_int_equal(sent_to(&stand, 1001, ACK), 0);
	assert_int_equal(datagram_to(&stand, 1000), 0);
	assert_int_equal(sent_to(&stand, 1002, SYN), 1);
	assert_int_equal(datagram_to(&stand, 1002), 1);
	/* of no flow */
	assert_int_equal(sent_to(&stand, 1003, ACK), 1);
	assert_int_equal(totals_of(&stand).unknown, 1);
	/* drained: what is in work goes on */
	front_set_taking(stand.front, 0, false);
	assert_int_equal(sent_to(&stand, 1001, ACK), 0);
	assert_int_equal(datagram_to(&stand, 1000), 0);
	stand_end(&stand);
}

static void a_flow_that_has_ended_begins_anew(void **state)
{
	struct stand stand = stand_begin(*state, FRONT_DSR, stand_hosts);
	struct front_live live[HS_SLOTS_MAX];

	for (uint16_t port = 1000; port < 1002; port++) {
		sent_to(&stand, port, SYN);
		sent_to(&stand, port, ACK);
	}
	assert_int_equal(front_live(stand.front, live), 0);
	assert_int_equal(live[0].connections, 2);
	assert_int_equal(sent_to(&stand, 1000, FIN | ACK), 0);
	assert_int_equal(sent_to(&stand, 1001, RST), 0);
	rig_flip(stand.rig, 1);
	assert_int_equal(sent_to(&stand, 1000, ACK), 0);
	for (uint16_t port = 1000; port < 1002; port++) {
		assert_int_equal(sent_to(&stand, port, SYN), 1);
		assert_int_equal(sent_to(&stand, port, ACK), 1);
	}
	assert_int_equal(front_live(stand.front, live), 0);
	assert_int_equal(live[0].connections, 0);
	assert_int_equal(live[1].connections, 2);
	stand_end(&stand);
}

static void a_host_that_does_not_take_gets_nothing_new(void **state)
{
	struct stand stand = stand_begin(*state, FRONT_DSR, stand_hosts);

	front_set_taking(stand.front, 0, false);
	assert_int_equal(sent_to(&stand, 1000, SYN), 1);
	front_set_taking(stand.front, 1, false);
	assert_int_equal(sent_to(&stand, 1001, SYN), 2);
	assert_int_equal(rig_slot(stand.rig, 2).fell_through, 1);
	front_set_taking(stand.front, 2, false);
	assert_int_equal(sent_to(&stand, 1002, SYN), -1);
	assert_int_equal(totals_of(&stand).no_host, 1);
	assert_int_equal(sent_to(&stand, 1001, ACK), 2);
	assert_int_equal(front_run(stand.front, 2), 1);
	front_set_taking(stand.front, 2, true);
	assert_int_equal(front_run(stand.front, 2), 2);
	assert_int_equal(sent_to(&stand, 1002, SYN), 2);
	stand_end(&stand);
}

static void the_canary_gets_its_share(void **state)
{
	struct stand stand = stand_begin(*state, FRONT_DSR, stand_hosts);
	unsigned got = 0;

	rig_canary(stand.rig, 2, 65536 / 5);
	for (uint16_t port = 1000; port < 2000; port++) {
		int host = sent_to(&stand, port, SYN);

		assert_true(host == 0 || host == 2);
		got += host == 2;
		/* the same again, and behind it by the flow */
		assert_int_equal(sent_to(&stand, port, SYN), host);
		assert_int_equal(sent_to(&stand, port, ACK), host);
	}
	print_message("# %u of 1000, expected 200 +- 38\n", got);
	assert_in_range(got, 162, 238);
	stand_end(&stand);
}

/* The budget is of 1000 in a second, and nothing is paid back in so short a time. */
static void beyond_the_budget_nothing_is_remembered(void **state)
{
	struct stand stand = stand_begin(*state, FRONT_DSR, stand_hosts);
	struct front_totals totals;

	stand.config.new_flows = 1000;
	stand_apply(&stand);
	for (unsigned port = 1000; port < 21000; port++)
		assert_int_equal(sent_to(&stand, (uint16_t)port, SYN), 0);
	totals = totals_of(&stand);
	print_message("# %" PRIu64 " of 20000 not remembered\n", totals.unremembered);
	assert_in_range(totals.unremembered, 10000, 19000);
	assert_int_equal(totals.hosts[0].flows, 20000);
	stand_end(&stand);
}

/* More SYNs than all maps have room for: who is established stays. */
static void a_flood_of_syns_pushes_nobody_out(void **state)
{
	struct stand stand = stand_begin(*state, FRONT_DSR, stand_hosts);

	stand.config.flows = 4096;
	stand.config.new_flows = 10000000;
	stand_apply(&stand);
	for (uint16_t port = 1000; port < 1500; port++) {
		sent_to(&stand, port, SYN);
		assert_int_equal(sent_to(&stand, port, ACK), 0);
	}
	rig_flip(stand.rig, 1);
	for (unsigned port = 2000; port < 42000; port++)
		assert_int_equal(sent_to(&stand, (uint16_t)port, SYN), 1);
	for (uint16_t port = 1000; port < 1500; port++)
		assert_int_equal(sent_to(&stand, port, ACK), 0);
	stand_end(&stand);
}

/* ---- what lasts ---- */

static int flows_map(const struct stand *stand, const char *pin)
{
	const struct plane *plane = stand->rig->plane;
	int fd;

	assert_int_equal(
		pin_open(pin_path("%s/" HS_PIN_FRONT "/%s", plane->folder.text, pin).text, &fd), 0);
	return fd;
}

/* How many are in a map. With `by_ns` they have begun so much earlier. */
static unsigned in_map(const struct stand *stand, const char *pin, uint64_t by_ns)
{
	static struct hs_front_flow_key keys[100000];
	_cleanup_(close_fdp) int fd = flows_map(stand, pin);
	struct hs_front_flow flow;
	unsigned n = 0;

	while (n < ARRAY_SIZE(keys) && !bpf_map_get_next_key(fd, n ? &keys[n - 1] : NULL, &keys[n]))
		n++;
	for (unsigned i = 0; by_ns && i < n; i++) {
		/* where there is no room left, one makes room for another */
		if (bpf_map_lookup_elem(fd, &keys[i], &flow))
			continue;
		flow.begun_ns -= by_ns;
		assert_int_equal(bpf_map_update_elem(fd, &keys[i], &flow, BPF_EXIST), 0);
	}
	return n;
}

#define TWO_SECONDS (2 * NSEC_PER_SEC)

/* From 1000 on: connections that are two seconds old, and seen again; some are of UDP. */
static void begin_lasting(const struct stand *stand, unsigned tcp, unsigned udp)
{
	for (unsigned i = 0; i < tcp; i++) {
		assert_int_equal(sent_to(stand, (uint16_t)(1000 + i), SYN), 0);
		assert_int_equal(sent_to(stand, (uint16_t)(1000 + i), ACK), 0);
	}
	for (unsigned i = 0; i < udp; i++)
		assert_int_equal(datagram_to(stand, (uint16_t)(1000 + i)), 0);
	assert_int_equal(in_map(stand, "young", TWO_SECONDS), tcp + udp);
	for (unsigned i = 0; i < tcp; i++)
		assert_int_equal(sent_to(stand, (uint16_t)(1000 + i), ACK), 0);
	for (unsigned i = 0; i < udp; i++)
		assert_int_equal(datagram_to(stand, (uint16_t)(1000 + i)), 0);
	assert_int_equal(in_map(stand, "young", 0), 0);
	assert_int_equal(in_map(stand, "flows", 0), tcp + udp);
}

/* More of them than all maps have room for, as somebody sends them who sees no answer. */
static void forge(const struct stand *stand, unsigned n, bool udp)
{
	for (unsigned i = 0; i < n; i++) {
		uint16_t port = (uint16_t)(2000 + i);

		if (udp) {
			datagram_to(stand, port);
			continue;
		}
		sent_to(stand, port, SYN);
		sent_to(stand, port, ACK);
	}
}

static void expect_at_first(const struct stand *stand, unsigned tcp, unsigned udp)
{
	for (unsigned i = 0; i < tcp; i++)
		assert_int_equal(sent_to(stand, (uint16_t)(1000 + i), ACK), 0);
	for (unsigned i = 0; i < udp; i++)
		assert_int_equal(datagram_to(stand, (uint16_t)(1000 + i)), 0);
}

static void what_is_forged_pushes_out_nothing_that_lasts(void **state)
{
	struct stand stand = stand_begin(*state, FRONT_DSR, stand_hosts);
	unsigned before;

	stand.config.flows = 16384;
	stand.config.new_flows = 10000000;
	stand_apply(&stand);
	begin_lasting(&stand, 40, 20);
	rig_flip(stand.rig, 1);
	forge(&stand, 40000, false);
	expect_at_first(&stand, 40, 20);
	forge(&stand, 40000, true);
	expect_at_first(&stand, 40, 20);
	/* and if he comes again later: few of them last */
	forge(&stand, 4000, false);
	in_map(&stand, "young", TWO_SECONDS);
	before = in_map(&stand, "flows", 0);
	forge(&stand, 4000, false);
	print_message("# %u have come to last\n", in_map(&stand, "flows", 0) - before);
	assert_in_range(in_map(&stand, "flows", 0) - before, 10, 1000);
	expect_at_first(&stand, 40, 20);
	stand_end(&stand);
}

/* In nat the host has to have answered; a SYN may be answered whoever has sent it. */
static void in_nat_a_flow_lasts_if_its_host_has_answered(void **state)
{
	struct stand stand = stand_begin(*state, FRONT_NAT, stand_hosts);
	struct frame_spec answer = frame_from_client(stand_hosts[0], CLIENT);
	struct frame frame;

	answer.from_mac = stand_macs[0];
	answer.source_port = 443;
	answer.dest_port = 1000;
	sent_to(&stand, 1000, SYN);
	answer.flags = SYN | ACK;
	frame = frame_make(&answer);
	assert_int_equal(stand_run(&stand, &frame), XDP_TX);
	sent_to(&stand, 1000, ACK);
	assert_int_equal(in_map(&stand, "young", TWO_SECONDS), 1);
	sent_to(&stand, 1000, ACK);
	assert_int_equal(in_map(&stand, "flows", 0), 0);
	answer.flags = ACK;
	frame = frame_make(&answer);
	assert_int_equal(stand_run(&stand, &frame), XDP_TX);
	sent_to(&stand, 1000, ACK);
	assert_int_equal(in_map(&stand, "flows", 0), 1);
	stand_end(&stand);
}

/* What an earlier build has pinned has no map of the young ones. */
static void a_map_that_is_missing_is_made(void **state)
{
	struct stand stand = stand_begin(*state, FRONT_DSR, stand_hosts);
	const struct plane *plane = stand.rig->plane;

	begin_lasting(&stand, 2, 1);
	stand.front = front_free(stand.front);
	assert_int_equal(unlink(pin_path("%s/" HS_PIN_FRONT "/young", plane->folder.text).text), 0);
	assert_int_equal(front_open(plane->folder.text, &stand.front), 0);
	assert_int_equal(front_taking(stand.front), 7);
	rig_flip(stand.rig, 1);
	stand_apply(&stand);
	expect_at_first(&stand, 2, 1);
	assert_int_equal(sent_to(&stand, 5000, SYN), 1);
	assert_int_equal(sent_to(&stand, 5000, ACK), 1);
	assert_int_equal(in_map(&stand, "young", 0), 1);
	stand_end(&stand);
}

/* Half of them are of host 1; none has closed. */
static void fill_flows(const struct stand *stand, unsigned n)
{
	_cleanup_(close_fdp) int fd = flows_map(stand, "flows");
	const struct hs_front *shared = stand_shared(stand);
	struct hs_front_flow_key key = {.port = htons(443), .protocol = IPPROTO_TCP};
	struct hs_front_flow flow = {.marks = HS_FRONT_ESTABLISHED,
				     .seen = (uint32_t)(now_nsec() >> HS_FLOW_TICK_SHIFT)};

	for (unsigned i = 0; i < n; i++) {
		memcpy(key.client, &i, sizeof(i));
		flow.host = i % 2;
		flow.epoch = shared->hosts[flow.host].epoch;
		assert_int_equal(bpf_map_update_elem(fd, &key, &flow, BPF_ANY), 0);
	}
	munmap((void *)(uintptr_t)shared, sizeof(*shared));
}

/* So that whoever has other things to do is not held up by it. */
static void many_flows_are_counted_in_portions(void **state)
{
	struct stand stand = stand_begin(*state, FRONT_DSR, stand_hosts);
	struct front_live live[HS_SLOTS_MAX] = {{0}}, whole[HS_SLOTS_MAX];
	struct front_tally *tally;
	unsigned portions = 1;
	int r;

	stand.config.flows = 200000;
	stand_apply(&stand);
	fill_flows(&stand, 100000);
	assert_int_equal(front_live(stand.front, whole), 0);
	assert_in_range(whole[0].connections, 45000, 50000);
	tally = front_tally_new(stand.front);
	assert_non_null(tally);
	/* each as short as can be */
	while (!(r = front_tally_go_on(tally, 0, live))) {
		assert_int_equal(live[0].connections, 0);
		portions++;
	}
	assert_int_equal(r, 1);
	assert_in_range(portions, 100000 / 4096, 200);
	assert_memory_equal(live, whole, sizeof(live));
	front_tally_free(tally);
	stand_end(&stand);
}

static void put_flow(const struct stand *stand, const char *map, uint16_t port,
		     struct hs_front_flow flow, uint32_t age)
{
	_cleanup_(close_fdp) int fd = flows_map(stand, map);
	const struct hs_front *shared = stand_shared(stand);
	struct hs_front_flow_key key = {.port = htons(443), .protocol = IPPROTO_TCP};

	key.client_port = htons(port);
	flow.epoch = (uint8_t)(shared->hosts[flow.host].epoch + flow.epoch);
	flow.seen = (uint32_t)(now_nsec() >> HS_FLOW_TICK_SHIFT) - age;
	assert_int_equal(bpf_map_update_elem(fd, &key, &flow, BPF_ANY), 0);
	munmap((void *)(uintptr_t)shared, sizeof(*shared));
}

static int count_connection(const struct connection *connection, void *userdata)
{
	unsigned *n = userdata;

	(void)connection;
	/* as many as are asked for: n[1] */
	return ++n[0] == n[1];
}

#define TICKS_OF(seconds) ((uint32_t)((seconds)*NSEC_PER_SEC >> HS_FLOW_TICK_SHIFT))

/* What nobody has answered, long ago, what is silent for more than two hours, and what was with
 * another host that had the number. */
static void what_is_over_is_no_connection(void **state)
{
	const struct hs_front_flow established = {.marks = HS_FRONT_ESTABLISHED},
				   of_another = {.marks = HS_FRONT_ESTABLISHED, .epoch = 1},
				   closing = {.marks = HS_FRONT_CLOSING}, begun = {.host = 0};
	struct stand stand = stand_begin(*state, FRONT_DSR, stand_hosts);
	struct plane *plane = stand.rig->plane;
	struct place_census places[HS_PLACES_MAX];
	unsigned all[2] = {0}, first[2] = {0, 1};

	put_flow(&stand, "flows", 1, established, TICKS_OF(7000));
	put_flow(&stand, "flows", 2, established, TICKS_OF(7300));
	put_flow(&stand, "flows", 3, of_another, 0);
	put_flow(&stand, "flows", 4, closing, 0);
	put_flow(&stand, "fresh", 5, begun, TICKS_OF(100));
	put_flow(&stand, "fresh", 6, begun, TICKS_OF(200));
	plane_front_open(plane);
	assert_int_equal(plane_front_census(plane, 0, places, NULL), 0);
	assert_int_equal(places[0].connections, 1);
	assert_int_equal(places[0].half_open, 1);
	assert_int_equal(plane_front_each(plane, count_connection, all), 0);
	assert_int_equal(all[0], 2);
	/* who has enough is asked no more */
	assert_int_equal(plane_front_each(plane, count_connection, first), 1);
	assert_int_equal(first[0], 1);
	plane_front_close(plane);
	stand_end(&stand);
}

static int count_flow(const struct hs_front_flow_key *key, const struct hs_front_flow *flow,
		      void *userdata)
{
	(void)key, (void)flow;
	++*(unsigned *)userdata;
	return 0;
}

static unsigned flows_of(const struct stand *stand)
{
	unsigned n = 0;

	assert_int_equal(front_each_flow(stand->front, count_flow, &n), 0);
	return n;
}

/* All that is known comes into the new map, and what has only begun into the new one of those. */
static void another_size_loses_no_flow(void **state)
{
	struct stand stand = stand_begin(*state, FRONT_DSR, stand_hosts);

	for (uint16_t port = 1000; port < 3000; port++) {
		sent_to(&stand, port, SYN);
		sent_to(&stand, port, ACK);
	}
	sent_to(&stand, 3000, SYN);
	rig_flip(stand.rig, 1);
	stand.config.flows = 16384;
	stand_apply(&stand);
	assert_int_equal(flows_of(&stand), 2001);
	for (uint16_t port = 1000; port < 3000; port++)
		assert_int_equal(sent_to(&stand, port, ACK), 0);
	stand_end(&stand);
}

static void a_host_that_is_gone_from_the_settings_has_no_flows(void **state)
{
	struct stand stand = stand_begin(*state, FRONT_DSR, stand_hosts);

	sent_to(&stand, 1000, SYN);
	sent_to(&stand, 1000, ACK);
	rig_flip(stand.rig, 1);
	/* the same number, another machine */
	stand_set_host(&stand.config, 0, "192.0.2.14");
	stand_apply(&stand);
	assert_int_equal(front_taking(stand.front), 6);
	front_set_taking(stand.front, 0, true);
	assert_int_equal(sent_to(&stand, 1000, ACK), 1);
	stand.config.hosts[0].given = false;
	stand_apply(&stand);
	assert_int_equal(front_hosts(stand.front), 6);
	stand_end(&stand);
}

/* ---- whole tables ---- */

static void change_table(struct rig *rig, const struct table_change *wanted)
{
	struct table_outcome outcome = {0};
	struct problem problem = {0};

	if (plane_table_change(rig->plane, wanted, &outcome, &problem) < 0)
		fail_msg("%s", problem.text);
}

static void spread_by(const struct stand *stand, enum hs_by by)
{
	change_table(stand->rig,
		     &(struct table_change) {
			     .slots = 3, .by = by, .in_service = 7, .take_policy = true});
	assert_int_equal(hs_word_policy(plane_word(stand->rig->plane)), HS_POLICY_HASH);
}

static struct frame_spec of_client(unsigned number, uint8_t flags, char text[32])
{
	struct frame_spec spec;

	snprintf(text, 32, "203.0.%u.%u", number / 250, 1 + number % 250);
	spec = frame_from_client(text, SERVICE);
	spec.flags = flags;
	return spec;
}

static unsigned first_of(const struct stand *stand, const char *client)
{
	static struct hs_table_copy copy;
	struct hs_client who;
	uint8_t ip[16];

	assert_true(plane_table_read(stand->rig->plane, &copy));
	assert_int_equal(front_address_parse(client, ip), 0);
	who = hs_client_of(ip);
	return hs_bucket_first(copy.buckets[hs_bucket(copy.spread.key, &who, 0)]);
}

static void each_client_is_where_the_table_says(void **state)
{
	struct stand stand = stand_begin(*state, FRONT_DSR, stand_hosts);
	unsigned got[3] = {0};
	char text[32];

	spread_by(&stand, HS_BY_CLIENT);
	for (unsigned i = 0; i < 600; i++) {
		struct frame_spec spec = of_client(i, SYN, text);
		int host = host_of(&stand, &spec);

		assert_int_equal(host, first_of(&stand, text));
		got[host]++;
		spec.protocol = FRAME_UDP;
		assert_int_equal(host_of(&stand, &spec), host);
	}
	for (unsigned i = 0; i < 3; i++)
		assert_in_range(got[i], 140, 260);
	stand_end(&stand);
}

static int said_of(const struct plane *plane, const char *client)
{
	json_object *answer = NULL, *slot = NULL;
	struct problem problem = {0};
	int said;

	if (placement_where(plane, client, &answer, &problem))
		fail_msg("%s", problem.text);
	json_object_object_get_ex(answer, "slot", &slot);
	said = slot ? json_object_get_int(slot) : -1;
	json_object_put(answer);
	return said;
}

/* Hosts that take nothing are passed over as the program does it. */
static void where_says_what_the_program_does(void **state)
{
	struct stand stand = stand_begin(*state, FRONT_DSR, stand_hosts);
	struct plane *plane = stand.rig->plane;
	char text[32];

	plane_front_open(plane);
	for (unsigned hashed = 0; hashed < 2; hashed++) {
		if (hashed)
			spread_by(&stand, HS_BY_CLIENT);
		else
			rig_flip(stand.rig, 1);
		for (unsigned taking = 0; taking < 8; taking++) {
			for (unsigned host = 0; host < 3; host++)
				front_set_taking(stand.front, host, taking >> host & 1);
			for (unsigned i = 0; i < 40; i++) {
				struct frame_spec spec = of_client(i, SYN, text);

				spec.source_port = (uint16_t)(1000 + 8 * hashed + taking);
				assert_int_equal(said_of(plane, text), host_of(&stand, &spec));
			}
		}
	}
	plane_front_close(plane);
	stand_end(&stand);
}

static void who_is_established_stays_when_the_table_changes(void **state)
{
	struct stand stand = stand_begin(*state, FRONT_DSR, stand_hosts);
	int was[300];
	char text[32];

	spread_by(&stand, HS_BY_CLIENT);
	for (unsigned i = 0; i < 300; i++) {
		struct frame_spec spec = of_client(i, SYN, text);

		was[i] = host_of(&stand, &spec);
		spec.flags = ACK;
		assert_int_equal(host_of(&stand, &spec), was[i]);
	}
	change_table(stand.rig, &(struct table_change) {.in_service = 5});
	for (unsigned i = 0; i < 300; i++) {
		struct frame_spec spec = of_client(i, ACK, text);

		assert_int_equal(host_of(&stand, &spec), was[i]);
		spec.flags = SYN;
		spec.source_port++;
		if (was[i] == 1)
			assert_int_not_equal(host_of(&stand, &spec), 1);
		else
			assert_int_equal(host_of(&stand, &spec), was[i]);
	}
	stand_end(&stand);
}

/* ---- who else may know a packet ---- */

static void check_second(const struct stand *stand, const char *client, const char *service,
			 const char *const given[])
{
	bool ipv4 = given == stand_hosts;
	struct frame_spec sent = frame_from_client(client, service), outer;
	struct frame inner, frame, wanted;

	sent.flags = ACK;
	inner = frame = frame_make(&sent);
	outer = (struct frame_spec) {.to_mac = stand_macs[1],
				     .from_mac = OWN_MAC,
				     .source = ipv4 ? "192.0.2.1" : "2001:db8::1",
				     .dest = given[1],
				     .second = given[0],
				     .inner = &inner};
	assert_int_equal(stand_run(stand, &frame), XDP_TX);
	outer.flow_label = ipv4 ? 0 : label_of(&frame);
	wanted = frame_make(&outer);
	assert_true(frame_equal(&frame, &wanted));
}

/* Slot 1 is active now, and 0 was before. */
static void without_a_flow_a_second_host_is_named(void **state)
{
	struct stand stand = stand_begin(*state, FRONT_IPIP, stand_hosts);

	stand.rig->plane->control->previous_word = plane_word(stand.rig->plane);
	rig_flip(stand.rig, 1);
	check_second(&stand, CLIENT, SERVICE, stand_hosts);
	check_second(&stand, CLIENT6, SERVICE6, stand_hosts);
	stand_end(&stand);
}

static void a_second_host_is_named_by_ipv6(void **state)
{
	struct stand stand = stand_begin(*state, FRONT_IPIP, stand_hosts6);

	stand.rig->plane->control->previous_word = plane_word(stand.rig->plane);
	rig_flip(stand.rig, 1);
	check_second(&stand, CLIENT, SERVICE, stand_hosts6);
	check_second(&stand, CLIENT6, SERVICE6, stand_hosts6);
	stand_end(&stand);
}

/* ---- too big ---- */

static void check_too_big(const struct stand *stand, const char *client, const char *service,
			  unsigned mtu)
{
	bool ipv6 = strchr(client, ':');
	struct frame_spec sent = frame_from_client(client, service);
	struct frame_spec told = {.to_mac = CLIENT_MAC,
				  .from_mac = OWN_MAC,
				  .source = service,
				  .dest = client,
				  .protocol = ipv6 ? FRAME_ICMP6 : FRAME_ICMP,
				  .type = ipv6 ? 2 : 3,
				  .code = ipv6 ? 0 : 4,
				  .rest = mtu,
				  .may_fragment = true,
				  .quote = ipv6 ? 48 : 28};
	struct frame quoted;

	sent.flags = ACK;
	sent.payload = mtu - (ipv6 ? 60 : 40);
	check_ipip(stand, &(struct frame_spec) {.to_mac = OWN_MAC,
						.from_mac = CLIENT_MAC,
						.source = client,
						.dest = service,
						.source_port = 40000,
						.dest_port = 443,
						.flags = SYN,
						.payload = sent.payload});
	sent.payload++;
	quoted = frame_make(&sent);
	told.quoted = &quoted;
	expect(stand, &sent, &told, XDP_TX);
}

static void what_is_too_big_for_ipip_is_told(void **state)
{
	struct stand stand = stand_begin(*state, FRONT_IPIP, stand_hosts);

	check_too_big(&stand, CLIENT, SERVICE, 1480);
	check_too_big(&stand, CLIENT6, SERVICE6, 1480);
	assert_int_equal(totals_of(&stand).too_big, 2);
	stand_end(&stand);
}

static void what_is_too_big_for_ipv6_around_it_is_told(void **state)
{
	struct stand stand = stand_begin(*state, FRONT_IPIP, stand_hosts6);

	check_too_big(&stand, CLIENT, SERVICE, 1460);
	check_too_big(&stand, CLIENT6, SERVICE6, 1460);
	stand_end(&stand);
}

/* ---- errors ---- */

/* One that a router on the way to the client has sent, about a packet of `server`'s. */
static struct frame_spec error_about(const struct frame *about, const char *client,
				     const char *service)
{
	bool ipv6 = strchr(client, ':');

	return (struct frame_spec) {.to_mac = OWN_MAC,
				    .from_mac = CLIENT_MAC,
				    .source = ipv6 ? "2001:db8:9::9" : "203.0.113.254",
				    .dest = service,
				    .protocol = ipv6 ? FRAME_ICMP6 : FRAME_ICMP,
				    .type = ipv6 ? 2 : 3,
				    .code = ipv6 ? 0 : 4,
				    .rest = 1400,
				    .quoted = about,
				    .quote = ipv6 ? 48 : 28};
}

static struct frame packet_of(const char *server, const char *client)
{
	struct frame_spec spec = frame_from_client(server, client);

	spec.source_port = 443;
	spec.dest_port = 40000;
	spec.flags = ACK;
	spec.payload = 1000;
	return frame_make(&spec);
}

/* It goes to the host of the flow that it is about, which is not the active one any more. */
static void check_error(const struct stand *stand, const char *client, const char *service)
{
	struct frame_spec spec = frame_from_client(client, service), sent, wanted;
	struct frame about = packet_of(service, client), as_host_sent;
	bool nat = stand->config.mode == FRONT_NAT;
	const char *host = strchr(client, ':') ? stand_hosts6[0] : stand_hosts[0];

	rig_flip(stand->rig, 0);
	assert_int_equal(host_of(stand, &spec), 0);
	spec.flags = ACK;
	assert_int_equal(host_of(stand, &spec), 0);
	rig_flip(stand->rig, 1);
	sent = wanted = error_about(&about, client, service);
	wanted.to_mac = stand_macs[0];
	wanted.from_mac = OWN_MAC;
	if (nat) {
		as_host_sent = packet_of(host, client);
		wanted.dest = host;
		wanted.quoted = &as_host_sent;
		wanted.ttl = 63;
	}
	expect(stand, &sent, &wanted, XDP_TX);
}

static void errors_go_to_the_host_of_the_flow(void **state)
{
	struct stand stand = stand_begin(*state, FRONT_DSR, stand_hosts);

	check_error(&stand, CLIENT, SERVICE);
	check_error(&stand, CLIENT6, SERVICE6);
	stand_end(&stand);
}

/* One that says that it is about a packet of the service's, and is for somebody else. */
static void errors_for_others_pass(void **state)
{
	struct stand stand = stand_begin(*state, FRONT_DSR, stand_hosts);
	struct frame about = packet_of(SERVICE, CLIENT);
	struct frame_spec sent = error_about(&about, CLIENT, "192.0.2.1");

	expect_pass(&stand, &sent);
	stand_end(&stand);
}

static void errors_are_translated(void **state)
{
	struct stand stand = stand_begin(*state, FRONT_NAT, stand_hosts);

	check_error(&stand, CLIENT, SERVICE);
	stand_end(&stand);
}

static void errors_of_ipv6_are_translated(void **state)
{
	struct stand stand = stand_begin(*state, FRONT_NAT, stand_hosts6);

	check_error(&stand, CLIENT6, SERVICE6);
	stand_end(&stand);
}

/* A host has no socket there, say: the client has to see its own packet in the error. */
static void check_error_of_host(const struct stand *stand, const char *client, const char *service,
				const char *host)
{
	struct frame_spec spec = frame_from_client(client, service), at_host, sent, wanted;
	struct frame as_sent, as_it_came;

	spec.protocol = FRAME_UDP;
	spec.no_checksum = true;
	assert_int_equal(host_of(stand, &spec), 0);
	at_host = spec;
	at_host.dest = host;
	as_sent = frame_make(&spec);
	as_it_came = frame_make(&at_host);
	sent = wanted = error_about(&as_it_came, client, client);
	sent.from_mac = stand_macs[0];
	sent.source = host;
	wanted.to_mac = CLIENT_MAC;
	wanted.from_mac = OWN_MAC;
	wanted.source = service;
	wanted.quoted = &as_sent;
	wanted.ttl = 63;
	expect(stand, &sent, &wanted, XDP_TX);
	/* one of a router between has the router's address */
	sent.source = wanted.source = strchr(client, ':') ? "2001:db8::77" : "192.0.2.77";
	expect(stand, &sent, &wanted, XDP_TX);
}

static void errors_of_hosts_are_translated(void **state)
{
	struct stand stand = stand_begin(*state, FRONT_NAT, stand_hosts);

	check_error_of_host(&stand, CLIENT, SERVICE, stand_hosts[0]);
	stand_end(&stand);
}

static void errors_of_hosts_are_translated_by_ipv6(void **state)
{
	struct stand stand = stand_begin(*state, FRONT_NAT, stand_hosts6);

	check_error_of_host(&stand, CLIENT6, SERVICE6, stand_hosts6[0]);
	stand_end(&stand);
}

/* ---- fragments ---- */

static struct frame_spec fragment(const char *client, const char *service, uint32_t id,
				  unsigned from)
{
	struct frame_spec spec = frame_from_client(client, service);

	spec.protocol = FRAME_UDP;
	spec.payload = 3000;
	spec.id = id;
	spec.from = from;
	spec.length = 1000;
	return spec;
}

static void check_fragments(const struct stand *stand, const char *client, const char *service)
{
	struct frame_spec spec = fragment(client, service, 7, 0);
	uint64_t lost = totals_of(stand).fragments_lost;

	rig_flip(stand->rig, 0);
	assert_int_equal(host_of(stand, &spec), 0);
	rig_flip(stand->rig, 1);
	for (unsigned from = 1000; from < 3008; from += 1000) {
		spec = fragment(client, service, 7, from);
		assert_int_equal(host_of(stand, &spec), 0);
	}
	assert_int_equal(totals_of(stand).fragments_lost, lost);
	/* whose first one was not seen */
	spec = fragment(client, service, 8, 1000);
	expect_pass(stand, &spec);
	assert_int_equal(totals_of(stand).fragments_lost, lost + 1);
	/* of another port of the same address: the kernel has all of them */
	spec = fragment(client, service, 9, 0);
	spec.dest_port = 53;
	expect_pass(stand, &spec);
	spec = fragment(client, service, 9, 1000);
	expect_pass(stand, &spec);
	assert_int_equal(totals_of(stand).fragments_lost, lost + 1);
}

static void fragments_follow_their_first(void **state)
{
	struct stand stand = stand_begin(*state, FRONT_DSR, stand_hosts);

	check_fragments(&stand, CLIENT, SERVICE);
	check_fragments(&stand, CLIENT6, SERVICE6);
	stand_end(&stand);
}

static void fragments_are_translated(void **state)
{
	struct stand stand = stand_begin(*state, FRONT_NAT, stand_hosts);

	for (unsigned from = 0; from < 3008; from += 1000) {
		struct frame_spec sent = fragment(CLIENT, SERVICE, 7, from), wanted = sent;

		wanted.to_mac = stand_macs[0];
		wanted.from_mac = OWN_MAC;
		wanted.dest = stand_hosts[0];
		wanted.ttl = 63;
		expect(&stand, &sent, &wanted, XDP_TX);
	}
	stand_end(&stand);
}

/* By the client alone no port is needed. */
static void fragments_of_a_client_need_no_first(void **state)
{
	struct stand stand = stand_begin(*state, FRONT_DSR, stand_hosts);
	char text[32];

	spread_by(&stand, HS_BY_CLIENT);
	for (unsigned i = 0; i < 50; i++) {
		struct frame_spec spec;

		snprintf(text, sizeof(text), "203.0.113.%u", 1 + i);
		spec = fragment(text, SERVICE, i, 1000);
		assert_int_equal(host_of(&stand, &spec), first_of(&stand, text));
	}
	assert_int_equal(totals_of(&stand).fragments_lost, 0);
	stand_end(&stand);
}

/* ---- VLANs ---- */

static void check_tagged(const struct stand *stand, uint16_t outer, uint16_t inner)
{
	struct frame_spec sent = frame_from_client(CLIENT, SERVICE), wanted;

	sent.vlans[0] = outer;
	sent.vlans[1] = inner;
	if (stand->config.mode == FRONT_IPIP) {
		check_ipip(stand, &sent);
		return;
	}
	wanted = sent;
	wanted.to_mac = stand_macs[0];
	wanted.from_mac = OWN_MAC;
	expect(stand, &sent, &wanted, XDP_TX);
}

/* The hosts' way is written by hand: this kernel may have no VLAN devices. */
static void use_vlan(const struct stand *stand, uint16_t vlan)
{
	struct hs_front *shared = stand_shared(stand);

	for (unsigned i = 0; i < 3; i++)
		shared->hosts[i].vlan = vlan;
	munmap(shared, sizeof(*shared));
}

static void tags_stay(void **state)
{
	struct stand stand = stand_begin(*state, FRONT_DSR, stand_hosts);
	struct frame_spec spec = frame_from_client(CLIENT, SERVICE);

	/* the hosts are not on that VLAN */
	spec.vlans[0] = 5;
	expect_pass(&stand, &spec);
	assert_int_equal(totals_of(&stand).no_way, 1);
	use_vlan(&stand, 5);
	check_tagged(&stand, 5, 0);
	check_tagged(&stand, 5, 7);
	stand_end(&stand);
}

static void tags_stay_around_what_is_put_around(void **state)
{
	struct stand stand = stand_begin(*state, FRONT_IPIP, stand_hosts);

	use_vlan(&stand, 5);
	check_tagged(&stand, 5, 0);
	check_tagged(&stand, 5, 7);
	stand_end(&stand);
}

static void tags_stay_around_ipv6(void **state)
{
	struct stand stand = stand_begin(*state, FRONT_IPIP, stand_hosts6);

	use_vlan(&stand, 5);
	check_tagged(&stand, 5, 0);
	check_tagged(&stand, 5, 7);
	stand_end(&stand);
}

/* ---- rules ---- */

static void a_rule_comes_before_the_word(void **state)
{
	struct stand stand = stand_begin(*state, FRONT_DSR, stand_hosts);
	struct plane *plane = stand.rig->plane;
	struct hs_preview_key key = {
		.source_port = htons(1000), .dest_port = htons(443), .protocol = IPPROTO_TCP};
	struct hs_preview_rule rule = {.slot = 2};

	front_set_taking(stand.front, 2, false);
	assert_int_equal(front_address_parse(CLIENT, key.source), 0);
	assert_int_equal(front_address_parse(SERVICE, key.dest), 0);
	assert_int_equal(sent_to(&stand, 1000, SYN), 0);
	assert_int_equal(bpf_map_update_elem(plane->preview_fd, &key, &rule, BPF_ANY), 0);
	/* nobody is told to look for rules */
	assert_int_equal(sent_to(&stand, 1000, SYN), 0);
	plane_set_preview(plane, true);
	assert_int_equal(sent_to(&stand, 1001, SYN), 0);
	/* also before what is known of another connection with the same ends */
	assert_int_equal(sent_to(&stand, 1000, SYN), 2);
	assert_int_equal(sent_to(&stand, 1000, ACK), 2);
	assert_int_equal(bpf_map_lookup_elem(plane->preview_fd, &key, &rule), 0);
	assert_int_equal(rule.hits, 2);
	/* it goes on when the rule has gone */
	assert_int_equal(bpf_map_delete_elem(plane->preview_fd, &key), 0);
	assert_int_equal(sent_to(&stand, 1000, ACK), 2);
	stand_end(&stand);
}

/* ---- what is refused ---- */

static void expect_refused(struct stand *stand, int error, const char *words)
{
	struct problem problem = {0};
	int r = stand_try_apply(stand, &problem);

	if (r != error || !strstr(problem.text, words))
		fail_msg("%d: %s", r, problem.text);
	print_message("# %s\n", problem.text);
}

/* Nothing has changed: packets go on. */
static void settings_that_cannot_be_are_refused(void **state)
{
	struct stand stand = stand_begin(*state, FRONT_DSR, stand_hosts);
	const struct config_front good = stand.config;

	memcpy(stand.config.device, "nosuch0", 8);
	expect_refused(&stand, -ENODEV, "no device nosuch0");
	stand.config = good;
	stand_set_host(&stand.config, 1, "192.0.2.1");
	expect_refused(&stand, -EINVAL, "192.0.2.1 is an address of this machine");
	stand.config = good;
	stand_set_host(&stand.config, 1, "203.0.113.9");
	expect_refused(&stand, -ENETUNREACH, "no route to Host=203.0.113.9");
	stand.config = good;
	stand_set_host(&stand.config, 0, stand_hosts[1]);
	stand.config.hosts[1].given = false;
	expect_refused(&stand, -EINVAL, "was slot 1 until now");
	stand.config = good;
	stand_command("ip route add 192.0.3.0/24 via 192.0.2.11");
	stand_set_host(&stand.config, 1, "192.0.3.7");
	expect_refused(&stand, -EINVAL, "behind the router 192.0.2.11");
	stand.config.mode = FRONT_IPIP;
	stand_command("ip route replace 192.0.3.0/24 via 192.0.2.11 mtu 1300");
	expect_refused(&stand, -EMSGSIZE, "carries 1300 bytes");
	stand.config = good;
	assert_int_equal(sent_to(&stand, 1000, SYN), 0);
	assert_int_equal(front_hosts(stand.front), 7);
	stand_apply(&stand);
	stand_end(&stand);
}

static int empty_program(void)
{
	static const struct bpf_insn code[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_PASS},
		{.code = BPF_JMP | BPF_EXIT},
	};
	int fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "hs_empty", "GPL", code, ARRAY_SIZE(code), NULL);

	assert_true(fd >= 0);
	return fd;
}

static bool is_pinned(const char *path)
{
	return !access(path, F_OK);
}

static void another_program_on_the_device_is_named(void **state)
{
	struct stand stand = stand_begin(*state, FRONT_DSR, stand_hosts);
	const struct plane *plane = stand.rig->plane;
	_cleanup_(close_fdp) int other = empty_program();

	stand.front = front_free(stand.front);
	assert_int_equal(front_remove(plane->folder.text, plane->control->service_id), 0);
	assert_false(is_pinned(HS_PIN_ROOT "/" HS_PIN_FRONTS));
	assert_false(is_pinned(pin_path("%s/" HS_PIN_FRONT, plane->folder.text).text));
	assert_int_equal(front_remove(plane->folder.text, plane->control->service_id), 0);
	assert_int_equal(bpf_xdp_attach((int)stand.ifindex, other, 0, NULL), 0);
	expect_refused(&stand, -EBUSY, "another XDP program is on " DEVICE);
	assert_false(is_pinned(pin_path("%s/" HS_PIN_FRONT, plane->folder.text).text));
	assert_int_equal(bpf_xdp_detach((int)stand.ifindex, 0, NULL), 0);
	stand_apply(&stand);
	stand_take_all(&stand);
	assert_int_equal(sent_to(&stand, 1000, SYN), 0);
	stand_end(&stand);
}

/* ---- devices ---- */

#define OTHER_DEVICE "front.9"
#define OTHER_PINS   HS_PIN_ROOT "/" HS_PIN_FRONTS "/front%2E9"

static void make_other_device(void)
{
	stand_command("ip link add " OTHER_DEVICE " type veth peer name wire9");
	stand_command("ip link set " OTHER_DEVICE " up");
}

/* As when its maker was killed before he had taken it off the device. */
static void leave_behind(const struct stand *stand, const char *device)
{
	_cleanup_(device_pins_close) struct device_pins pins = DEVICE_PINS_NONE;
	struct hs_front_port key = {.port = htons(443), .protocol = IPPROTO_TCP};
	_cleanup_(close_fdp) int lock = -1;
	struct problem problem = {0};
	struct device_facts facts;
	uint32_t index;

	assert_int_equal(front_address_parse(SERVICE, key.ip), 0);
	assert_int_equal(device_ask(device, &facts), 0);
	assert_int_equal(device_pins_enter(&lock, &problem), 0);
	assert_int_equal(device_pins_prepare(device, &facts, &pins, &problem), 0);
	assert_int_equal(device_pins_index(&pins, stand->rig->plane->control->service_id, &index),
			 0);
	assert_int_equal(device_pins_set_ports(&pins, index, &key, 1), 0);
}

static void what_is_left_on_another_device_goes(void **state)
{
	struct stand stand = stand_begin(*state, FRONT_DSR, stand_hosts);
	const struct plane *plane = stand.rig->plane;

	make_other_device();
	leave_behind(&stand, OTHER_DEVICE);
	assert_true(is_pinned(OTHER_PINS "/link"));
	stand_apply(&stand);
	assert_false(is_pinned(OTHER_PINS));
	assert_int_equal(sent_to(&stand, 1000, SYN), 0);
	leave_behind(&stand, OTHER_DEVICE);
	assert_int_equal(front_remove(plane->folder.text, plane->control->service_id), 0);
	assert_false(is_pinned(HS_PIN_ROOT "/" HS_PIN_FRONTS));
	stand_end(&stand);
}

#define TAP	 "front.5"
#define TAP_PINS HS_PIN_ROOT "/" HS_PIN_FRONTS "/front%2E5"

/* Whether the program is in the driver then. */
static bool comes_into_the_driver(const struct stand *stand, bool elsewhere)
{
	_cleanup_(device_pins_close) struct device_pins pins = DEVICE_PINS_NONE;
	_cleanup_(close_fdp) int lock = -1;
	struct problem problem = {0};
	struct device_facts facts;
	uint32_t index;

	assert_int_equal(device_ask(TAP, &facts), 0);
	facts.elsewhere = elsewhere;
	assert_int_equal(device_pins_enter(&lock, &problem), 0);
	if (device_pins_prepare(TAP, &facts, &pins, &problem) < 0)
		fail_msg("%s", problem.text);
	assert_true(device_pins_is_on(&pins, facts.ifindex));
	assert_int_equal(device_pins_index(&pins, stand->rig->plane->control->service_id, &index),
			 0);
	return pins.state->native;
}

/* Which need not be ready for what a driver sends there. */
static void with_hosts_behind_other_devices_it_is_not_in_the_driver(void **state)
{
	struct stand stand;

	if (access("/dev/net/tun", F_OK)) {
		print_message("# needs /dev/net/tun\n");
		skip();
	}
	stand = stand_begin(*state, FRONT_DSR, stand_hosts);
	stand_command("ip tuntap add dev " TAP " mode tap");
	stand_command("ip link set " TAP " up");
	assert_true(comes_into_the_driver(&stand, false));
	assert_false(comes_into_the_driver(&stand, true));
	/* it is not moved to and fro */
	assert_false(comes_into_the_driver(&stand, false));
	stand_apply(&stand);
	assert_false(is_pinned(TAP_PINS));
	assert_int_equal(sent_to(&stand, 1000, SYN), 0);
	stand_end(&stand);
}

/* ---- several services ---- */

static void each_service_has_its_ports(void **state)
{
	struct stand stand = stand_begin(*state, FRONT_DSR, stand_hosts), other = stand;
	struct rig rig = *stand.rig;
	struct problem problem;
	struct frame_spec spec = from_port(1000, 8443);

	assert_int_equal(plane_create("api", stand.rig->accounting, &rig.plane, &problem), 0);
	other.rig = &rig;
	other.front = NULL;
	other.program = -1;
	expect_refused(&other, -EEXIST, "443/tcp already");
	other.config.ports[0] = (struct config_port) {.port = 8443, .tcp = true};
	other.config.n_ports = 1;
	rig_flip(&rig, 2);
	stand_apply(&other);
	stand_take_all(&other);
	assert_int_equal(host_of(&other, &spec), 2);
	assert_int_equal(sent_to(&stand, 1000, SYN), 0);
	/* the first goes, the other stays */
	assert_int_equal(
		front_remove(stand.rig->plane->folder.text, stand.rig->plane->control->service_id),
		0);
	assert_int_equal(sent_to(&other, 1001, SYN), -1);
	assert_int_equal(host_of(&other, &spec), 2);
	assert_int_equal(front_remove(rig.plane->folder.text, rig.plane->control->service_id), 0);
	assert_false(is_pinned(HS_PIN_ROOT "/" HS_PIN_FRONTS));
	front_free(other.front);
	close_fd(other.program);
	plane_free(rig.plane);
	stand_end(&stand);
}

/* A change of size that is refused for another reason: the program and who reads have one map. */
static void what_is_refused_leaves_the_maps(void **state)
{
	struct stand stand = stand_begin(*state, FRONT_DSR, stand_hosts), other = stand;
	struct rig rig = *stand.rig;
	struct problem problem;
	struct frame_spec spec = from_port(1000, 8443);

	assert_int_equal(plane_create("api", stand.rig->accounting, &rig.plane, &problem), 0);
	other.rig = &rig;
	other.front = NULL;
	other.program = -1;
	other.config.ports[1].port = 8443;
	other.config.ports[0] = other.config.ports[1];
	other.config.n_ports = 1;
	rig_flip(&rig, 2);
	stand_apply(&other);
	stand_take_all(&other);
	other.config.ports[0].port = 443;
	other.config.flows = 16384;
	expect_refused(&other, -EEXIST, "443/tcp already");
	other.config.ports[0].port = 8443;
	stand_apply(&other);
	assert_int_equal(host_of(&other, &spec), 2);
	assert_int_equal(flows_of(&other), 1);
	assert_int_equal(front_remove(rig.plane->folder.text, rig.plane->control->service_id), 0);
	front_free(other.front);
	close_fd(other.program);
	plane_free(rig.plane);
	stand_end(&stand);
}

/* A port that is taken out is the kernel's again. */
static void ports_come_and_go(void **state)
{
	struct stand stand = stand_begin(*state, FRONT_DSR, stand_hosts);
	struct frame_spec spec = from_port(1000, 80);

	assert_int_equal(host_of(&stand, &spec), 0);
	stand.config.n_ports = 1;
	stand_apply(&stand);
	assert_int_equal(host_of(&stand, &spec), -1);
	assert_int_equal(sent_to(&stand, 1000, SYN), 0);
	stand.config.n_ports = 2;
	stand_apply(&stand);
	assert_int_equal(host_of(&stand, &spec), 0);
	stand_end(&stand);
}

/* Two fronts are alike in whichever order their files name the same. */
static void the_order_of_addresses_does_not_matter(void **state)
{
	struct stand stand = stand_begin(*state, FRONT_DSR, stand_hosts);
	struct front_address first = stand.config.addresses[0];
	uint64_t hash = front_hash(stand.front);

	stand.config.addresses[0] = stand.config.addresses[1];
	stand.config.addresses[1] = first;
	stand_apply(&stand);
	assert_true(front_hash(stand.front) == hash);
	stand.config.n_addresses = 1;
	stand_apply(&stand);
	assert_true(front_hash(stand.front) != hash);
	stand_end(&stand);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(dsr_changes_nothing_but_mac_addresses),
		CASE(what_is_for_another_port_is_counted),
		CASE(ipip_puts_a_packet_around_it),
		CASE(ipip_of_both_families_goes_by_ipv6),
		CASE(nat_changes_address_and_checksums_both_ways),
		CASE(nat_of_ipv6),
		CASE(what_is_not_for_it_passes),
		CASE(a_flow_stays_when_the_word_changes),
		CASE(a_flow_that_has_ended_begins_anew),
		CASE(a_host_that_does_not_take_gets_nothing_new),
		CASE(the_canary_gets_its_share),
		CASE(beyond_the_budget_nothing_is_remembered),
		CASE(a_flood_of_syns_pushes_nobody_out),
		CASE(what_is_forged_pushes_out_nothing_that_lasts),
		CASE(in_nat_a_flow_lasts_if_its_host_has_answered),
		CASE(a_map_that_is_missing_is_made),
		CASE(many_flows_are_counted_in_portions),
		CASE(what_is_over_is_no_connection),
		CASE(another_size_loses_no_flow),
		CASE(a_host_that_is_gone_from_the_settings_has_no_flows),
		CASE(each_client_is_where_the_table_says),
		CASE(where_says_what_the_program_does),
		CASE(who_is_established_stays_when_the_table_changes),
		CASE(without_a_flow_a_second_host_is_named),
		CASE(a_second_host_is_named_by_ipv6),
		CASE(what_is_too_big_for_ipip_is_told),
		CASE(what_is_too_big_for_ipv6_around_it_is_told),
		CASE(errors_go_to_the_host_of_the_flow),
		CASE(errors_for_others_pass),
		CASE(errors_are_translated),
		CASE(errors_of_ipv6_are_translated),
		CASE(errors_of_hosts_are_translated),
		CASE(errors_of_hosts_are_translated_by_ipv6),
		CASE(fragments_follow_their_first),
		CASE(fragments_are_translated),
		CASE(fragments_of_a_client_need_no_first),
		CASE(tags_stay),
		CASE(tags_stay_around_what_is_put_around),
		CASE(tags_stay_around_ipv6),
		CASE(a_rule_comes_before_the_word),
		CASE(settings_that_cannot_be_are_refused),
		CASE(the_order_of_addresses_does_not_matter),
		CASE(another_program_on_the_device_is_named),
		CASE(what_is_left_on_another_device_goes),
		CASE(with_hosts_behind_other_devices_it_is_not_in_the_driver),
		CASE(each_service_has_its_ports),
		CASE(what_is_refused_leaves_the_maps),
		CASE(ports_come_and_go),
	};

	return cases_run("front", tests);
}
