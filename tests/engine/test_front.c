// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A front as its settings change: who has which number, and what does not become a front. Hosts are
 * on a device of the rig, and are well as their MAC addresses are known: nothing is asked of them.
 */
#include <netinet/in.h>
#include <string.h>
#include <syslog.h>

#include "../plane/cases.h"
#include "core/presence.h"
#include "engine.h"
#include "hs_front.h"
#include "plane/front/front.h"
#include "plane/front/route.h"
#include "plane/leaving.h"
#include "plane/parts/table.h"
#include "plane/plane_front.h"
#include "service/whole/assembly.h"
#include "service/whole/calls.h"
#include "service/whole/calls_slot.h"
#include "service/whole/calls_spread.h"
#include "service/whole/status.h"
#include "system/journal.h"
#include "util/clock.h"

#define QUICK "Settle=1ms\nDrain=0\n"
#define FRONT "[Front]\nDevice=front0\nAgent=0\nPorts=53/udp\nAddress=198.51.100.10\n"
#define FIRST "Host=192.0.2.11 slot=0\n"
#define OTHER "Host=192.0.2.12 slot=1\n"
#define THIRD "Host=192.0.2.13 slot=2\n"

/* With the neighbours, which go with the last address. */
static void make_address(void)
{
	rig_check(!system("ip addr add 192.0.2.1/24 dev front0"));
	rig_check(!system("for n in 11 12 13 14; do ip neigh replace 192.0.2.$n lladdr "
			  "02:00:00:00:00:$n dev front0 nud permanent || exit 1; done"));
}

static void make_device(void)
{
	rig_check(!system("ip link add front0 type veth peer name wire0 && ip link set wire0 up && "
			  "ip link set front0 up"));
	make_address();
}

static uint32_t taking(const struct engine *engine)
{
	return plane_is_front(engine->service->plane)
		       ? front_taking(plane_front(engine->service->plane))
		       : 0;
}

static void reload(struct engine *engine, const char *settings)
{
	engine_configure(settings);
	service_reload(engine->service);
}

static struct engine *begin_front(void)
{
	struct engine *engine = engine_begin(QUICK);

	make_device();
	engine->by_hand = true;
	reload(engine, QUICK FRONT FIRST OTHER THIRD);
	assert_string_equal(engine->service->problem.text, "");
	engine_until(engine, taking(engine) == 7);
	engine_until(engine, engine_active(engine) == 0);
	return engine;
}

static void drain(struct engine *engine, unsigned slot)
{
	struct asked *asked = engine_ask(engine);

	call_drain(engine->service, slot, 0, &asked->request);
	engine_until(engine, asked->answered);
	if (!asked->done)
		fail_msg("%s", asked->text);
}

static void another_host_is_active_when_one_is_taken_out(void **state)
{
	struct engine *engine = begin_front();

	(void)state;
	reload(engine, QUICK FRONT OTHER THIRD);
	engine_until(engine, engine_active(engine) == 1);
	assert_int_equal(taking(engine), 6);
	reload(engine, QUICK FRONT FIRST THIRD);
	engine_until(engine, taking(engine) == 5 && engine_active(engine) != 1);
	/* the highest number: there is no slot any more */
	reload(engine, QUICK FRONT FIRST OTHER);
	engine_until(engine, taking(engine) == 3 && engine_active(engine) != 2);
	engine_end(engine);
}

static void another_machine_under_a_number_begins_anew(void **state)
{
	struct engine *engine = begin_front();

	(void)state;
	drain(engine, 1);
	assert_int_equal(taking(engine), 5);
	reload(engine, QUICK FRONT "Host=192.0.2.14 slot=0\n" OTHER THIRD);
	engine_until(engine, engine_active(engine) == 2);
	engine_until(engine, taking(engine) == 5);
	assert_true(plane_is_drained(engine->service->plane, 1));
	reload(engine, QUICK FRONT FIRST "Host=192.0.2.14 slot=1\n" THIRD);
	assert_non_null(strstr(engine->service->problem.text, "was slot 0"));
	reload(engine, QUICK FRONT FIRST THIRD);
	reload(engine, QUICK FRONT FIRST "Host=192.0.2.14 slot=1\n" THIRD);
	assert_string_equal(engine->service->problem.text, "");
	engine_until(engine, taking(engine) == 7);
	engine_end(engine);
}

static void the_last_host_of_a_table_can_be_taken_out(void **state)
{
	struct engine *engine = begin_front();

	(void)state;
	reload(engine, QUICK "Policy=hash\n" FRONT FIRST OTHER THIRD);
	engine_until(engine, plane_is_spread(engine->service->plane));
	reload(engine, QUICK "Policy=hash\n" FRONT FIRST OTHER);
	assert_string_equal(engine->service->problem.text, "");
	engine_until(engine, taking(engine) == 3);
	engine_end(engine);
}

static void pin(struct engine *engine, const char *prefix, unsigned slot)
{
	struct asked *asked = engine_ask(engine);

	call_set_pinned(engine->service, prefix, slot, &asked->request);
	engine_until(engine, asked->answered);
	if (!asked->done)
		fail_msg("%s", asked->text);
}

static void a_host_that_the_table_needs_is_not_taken_out(void **state)
{
	struct engine *engine = begin_front();
	uint64_t word;

	(void)state;
	reload(engine, QUICK "Policy=hash\n" FRONT FIRST OTHER THIRD);
	engine_until(engine, plane_is_spread(engine->service->plane));
	pin(engine, "10.1.0.0/16", 2);
	word = plane_word(engine->service->plane);
	reload(engine, QUICK "Policy=hash\n" FRONT FIRST OTHER);
	assert_non_null(strstr(engine->service->problem.text,
			       "10.1.0.0/16 is pinned to slot 2, whose host the settings do not "
			       "name any more; unpin it first: hsctl pin web 10.1.0.0/16 none"));
	assert_int_equal(front_hosts(plane_front(engine->service->plane)), 7);
	assert_int_equal(engine->service->n_slots, 3);
	reload(engine, QUICK "Policy=hash\n" FRONT "Host=192.0.2.11 slot=0 weight=0\n"
			     "Host=192.0.2.12 slot=1 weight=0\n");
	assert_non_null(strstr(engine->service->problem.text, "add up to nothing"));
	assert_int_equal(front_hosts(plane_front(engine->service->plane)), 7);
	assert_true(plane_word(engine->service->plane) == word);
	/* as it was asked for */
	pin(engine, "10.1.0.0/16", HS_SLOT_NONE);
	reload(engine, QUICK "Policy=hash\n" FRONT FIRST OTHER);
	assert_string_equal(engine->service->problem.text, "");
	assert_int_equal(front_hosts(plane_front(engine->service->plane)), 3);
	engine_end(engine);
}

static void lose_neighbour(unsigned number)
{
	char command[128];

	snprintf(command, sizeof(command), "ip neigh replace 192.0.2.%u dev front0 nud failed",
		 number);
	rig_check(!system(command));
}

static uint32_t kept(const struct engine *engine)
{
	return front_kept(plane_front(engine->service->plane));
}

static const char *presence(const struct engine *engine)
{
	static char line[PRESENCE_TEXT_MAX];
	struct presence said = plane_presence(engine->service->plane, 3);

	presence_line(&said, line);
	return line;
}

static void the_last_hosts_go_on_when_none_is_well(void **state)
{
	struct engine *engine = begin_front();

	(void)state;
	lose_neighbour(11);
	engine_until(engine, taking(engine) == 6);
	assert_string_equal(presence(engine), "up ready 100%\n");
	lose_neighbour(12);
	lose_neighbour(13);
	/* the first one, too: it was well until a moment ago */
	engine_until(engine, kept(engine) == 7 && taking(engine) == 7);
	assert_string_equal(presence(engine), "down #no host is well\n");
	/* the hsd that comes next does not take them for well ones */
	engine_leave(engine);
	rig_check(service_new(&engine->host, "web", &engine->service) == 0);
	engine_until(engine, engine->service->plane && engine->service->well_until[2]);
	assert_int_equal(kept(engine), 7);
	rig_check(!system("ip neigh replace 192.0.2.13 lladdr 02:00:00:00:00:13 dev front0 "
			  "nud permanent"));
	engine_until(engine, taking(engine) == 4 && engine_active(engine) == 2);
	assert_int_equal(kept(engine), 0);
	assert_string_equal(presence(engine), "up ready 100%\n");
	engine_end(engine);
}

static void who_is_drained_is_not_kept(void **state)
{
	struct engine *engine = begin_front();

	(void)state;
	drain(engine, 0);
	for (unsigned number = 11; number <= 13; number++)
		lose_neighbour(number);
	engine_until(engine, kept(engine) == 6);
	assert_int_equal(taking(engine), 6);
	engine_end(engine);
}

/* ---- what is said of it ---- */

static json_object *member(json_object *object, const char *key)
{
	json_object *value;

	if (!json_object_object_get_ex(object, key, &value))
		fail_msg("no %s in %s", key, json_object_to_json_string(object));
	return value;
}

static const char *text_of(json_object *object, const char *key)
{
	return json_object_get_string(member(object, key)) ?: "null";
}

static json_object *slot_of(json_object *service, unsigned slot)
{
	return json_object_array_get_idx(member(service, "slots"), slot);
}

static void its_hosts_are_told_as_they_are(void **state)
{
	struct engine *engine = begin_front();
	struct service_report report;
	json_object *said;

	(void)state;
	lose_neighbour(12);
	engine_until(engine, taking(engine) == 5);
	said = service_to_json(engine->service, true);
	assert_string_equal(text_of(slot_of(said, 0), "host"), "192.0.2.11");
	assert_string_equal(text_of(slot_of(said, 0), "mac"), "02:00:00:00:00:11");
	assert_string_equal(text_of(slot_of(said, 0), "unit"), "null");
	assert_string_equal(text_of(slot_of(said, 0), "reached"), "true");
	assert_string_equal(text_of(slot_of(said, 1), "host"), "192.0.2.12");
	assert_string_equal(text_of(slot_of(said, 1), "reached"), "false");
	said = (json_object_put(said), service_to_json(engine->service, true));
	assert_string_equal(text_of(member(said, "front"), "device"), "front0");
	assert_string_equal(text_of(member(said, "front"), "addresses"), "[ \"198.51.100.10\" ]");
	assert_string_equal(text_of(member(said, "front"), "no_host"), "0");
	json_object_put(said);
	service_report(engine->service, &report);
	assert_int_equal(report.n_listeners, 1);
	assert_int_equal(report.listeners[0].port, 53);
	assert_true(report.listeners[0].udp);
	engine_end(engine);
}

/* As if the device's program had seen packets for a port of none. */
static void count_strays(uint64_t n)
{
	unsigned cpus = (unsigned)libbpf_num_possible_cpus();
	struct hs_front_device_counts *counts = calloc(cpus, sizeof(*counts));
	_cleanup_(close_fdp) int fd = -1;
	uint32_t zero = 0;

	assert_int_equal(pin_open(HS_PIN_ROOT "/" HS_PIN_FRONTS "/front0/counts", &fd), 0);
	assert_int_equal(bpf_map_lookup_elem(fd, &zero, counts), 0);
	counts[0].other_ports += n;
	assert_int_equal(bpf_map_update_elem(fd, &zero, counts, BPF_ANY), 0);
	free(counts);
}

static void packets_for_ports_of_none_are_told_and_not_at_every_turn(void **state)
{
	struct engine *engine = begin_front();
	json_object *said;

	(void)state;
	engine_until(engine, engine->service->strays_due);
	count_strays(7);
	engine_until(engine, engine->service->strays == 7);
	assert_true(
		journal_said_last("web: 7 packets came in by front0 for addresses of fronts, on "
				  "ports that no Ports= names; this machine had them"));
	assert_true(engine->service->strays_due > now_usec() + 30 * USEC_PER_SEC);
	said = service_to_json(engine->service, true);
	assert_string_equal(text_of(member(said, "front"), "other_ports"), "7");
	json_object_put(said);
	engine_end(engine);
}

/* ---- what it is asked for ---- */

static void expect_words(const struct asked *asked, bool done, const char *words)
{
	assert_true(asked->answered);
	if (asked->done != done || !strstr(asked->text, words))
		fail_msg("\"%s\" is not \"%s\"", asked->text, words);
}

static void adopt_host(struct engine *engine, unsigned slot, bool done, const char *words)
{
	struct asked *asked = engine_ask(engine);

	call_adopt(engine->service, slot, &asked->request);
	expect_words(asked, done, words);
}

static void one_that_was_drained_is_taken_back(void **state)
{
	struct engine *engine = begin_front();

	(void)state;
	drain(engine, 1);
	assert_int_equal(taking(engine), 5);
	adopt_host(engine, 1, true, "web: host 1 takes new connections");
	assert_int_equal(taking(engine), 7);
	assert_false(plane_is_drained(engine->service->plane, 1));
	/* one that is not well waits until it is */
	drain(engine, 1);
	lose_neighbour(12);
	engine_until(engine, engine_state(engine, 1) != SLOT_LEAVING);
	adopt_host(engine, 1, true, "as soon as it is found well");
	assert_int_equal(taking(engine), 5);
	rig_check(!system("ip neigh replace 192.0.2.12 lladdr 02:00:00:00:00:12 dev front0 "
			  "nud permanent"));
	engine_until(engine, taking(engine) == 7);
	reload(engine, QUICK FRONT FIRST THIRD);
	adopt_host(engine, 1, false, "web has no host 1");
	adopt_host(engine, 9, false, "web has no host 9");
	engine_end(engine);
}

static void what_is_done_to_instances_is_refused(void **state)
{
	struct switchover_call call = {.to = 1,
				       .settle_usec = USEC_INFINITY,
				       .drain_usec = USEC_INFINITY,
				       .then = "restart"};
	struct upgrade_order order = {.smoke = "", .ready_usec = USEC_INFINITY};
	struct engine *engine = begin_front();
	struct asked *asked[4];

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(asked); i++)
		asked[i] = engine_ask(engine);
	call_prepare(engine->service, 0, &asked[0]->request);
	expect_words(asked[0], false, "slot 0 is a host, not an instance of web@0.service");
	call_retire(engine->service, 0, &asked[1]->request);
	expect_words(asked[1], false, "hsctl drain web 0 takes its clients away");
	call_switchover(engine->service, &call, &asked[2]->request);
	expect_words(asked[2], false, "so there is no --then=stop or restart");
	call_upgrade(engine->service, &order, &asked[3]->request);
	expect_words(asked[3], false, "so there is no upgrade");
	assert_int_equal(taking(engine), 7);
	assert_int_equal(engine_active(engine), 0);
	engine_end(engine);
}

/* ---- its device ---- */

static void a_device_that_comes_back_is_a_front_again(void **state)
{
	struct engine *engine = begin_front();

	(void)state;
	rig_check(!system("ip link del front0"));
	engine_until(engine, strstr(engine->service->problem.text, "front0"));
	make_device();
	engine_until(engine, !engine->service->problem.text[0]);
	engine_until(engine, taking(engine) == 7);
	assert_true(front_device(plane_front(engine->service->plane)));
	engine_end(engine);
}

/* A machine has booted while one of the hosts is away. */
static void the_others_serve_while_one_has_no_route(void **state)
{
	struct engine *engine = engine_begin(QUICK);

	(void)state;
	make_device();
	engine->by_hand = true;
	engine_leave(engine);
	engine_configure(QUICK FRONT FIRST "Host=203.0.113.9 slot=1\n");
	rig_check(service_new(&engine->host, "web", &engine->service) == 0);
	assert_string_equal(engine->service->problem.text, "");
	engine_until(engine, taking(engine) == 1);
	engine_end(engine);
}

/* As at boot, where hsd may be there before the network is. */
static void a_host_without_a_route_is_waited_for(void **state)
{
	struct engine *engine = engine_begin(QUICK);
	struct journal_scope scope = {"web", -1, LOG_NOTICE};
	struct hs_spread spread;
	uint64_t begun;

	(void)state;
	make_device();
	rig_check(!system("ip addr flush dev front0"));
	engine->by_hand = true;
	engine_leave(engine);
	engine_configure(QUICK "Policy=hash\n" FRONT FIRST "Host=192.0.2.12 slot=1 weight=2\n");
	rig_check(service_new(&engine->host, "web", &engine->service) == 0);
	assert_non_null(strstr(engine->service->problem.text, "no route to Host=192.0.2.11"));
	assert_false(plane_is_front(engine->service->plane));
	/* tried again after a second, and told once */
	journal_log(JOURNAL_MANAGER, &scope, "nothing since");
	begun = now_usec();
	engine_until(engine, now_usec() - begun > 3 * USEC_PER_SEC / 2);
	assert_non_null(strstr(engine->service->problem.text, "no route to Host=192.0.2.11"));
	assert_true(journal_said_last("nothing since"));
	make_address();
	engine_until(engine, taking(engine) == 3);
	assert_string_equal(engine->service->problem.text, "");
	/* what the settings say of policy and weights has waited as well */
	assert_true(plane_is_spread(engine->service->plane) &&
		    plane_table_spread(engine->service->plane, &spread));
	assert_int_equal(spread.weights[1], 200);
	/* one that is there may have lost it for a time, and one that comes has to have it */
	rig_check(!system("ip addr flush dev front0"));
	reload(engine,
	       QUICK "Policy=hash\nBy=client\n" FRONT FIRST "Host=192.0.2.12 slot=1 weight=2\n");
	assert_string_equal(engine->service->problem.text, "");
	make_address();
	reload(engine, QUICK "Policy=hash\n" FRONT FIRST OTHER "Host=203.0.113.9 slot=2\n");
	assert_non_null(strstr(engine->service->problem.text, "no route to Host=203.0.113.9"));
	assert_int_equal(front_hosts(plane_front(engine->service->plane)), 3);
	assert_int_equal(engine->service->n_slots, 2);
	rig_check(!system("ip route add 203.0.113.0/24 dev front0"));
	engine_until(engine, !engine->service->problem.text[0]);
	assert_int_equal(front_hosts(plane_front(engine->service->plane)), 7);
	engine_end(engine);
}

static bool is_known(const char *text)
{
	uint8_t ip[16];

	rig_check(front_address_parse(text, ip) == 0);
	return route_is_known(ip);
}

static void an_address_is_routed_here_or_not(void **state)
{
	struct engine *engine = engine_begin(QUICK);

	(void)state;
	make_device();
	assert_true(is_known("192.0.2.1"));
	assert_true(is_known("192.0.2.77"));
	assert_false(is_known("198.51.100.10"));
	assert_false(is_known("2001:db8::10"));
	rig_check(!system("ip route add blackhole 198.51.100.0/24 && "
			  "ip -6 route add blackhole 2001:db8::/64"));
	assert_true(is_known("198.51.100.10"));
	assert_true(is_known("2001:db8::10"));
	rig_check(!system("ip route add unreachable 198.51.100.10 && "
			  "ip addr add 198.51.100.11/32 dev front0"));
	assert_false(is_known("198.51.100.10"));
	assert_true(is_known("198.51.100.11"));
	engine_end(engine);
}

/* As many as there is room for are open on slot 0. */
static void fill_flows(unsigned n)
{
	struct hs_front_flow_key key = {.port = 53, .protocol = IPPROTO_TCP};
	struct hs_front_flow flow = {.marks = HS_FRONT_ESTABLISHED,
				     .seen = (uint32_t)(now_nsec() >> HS_FLOW_TICK_SHIFT)};
	int fd;

	rig_check(pin_open(pin_path("%s/" HS_PIN_FRONT "/flows", pin_service_path("web").text).text,
			   &fd) == 0);
	for (unsigned i = 0; i < n; i++) {
		memcpy(key.client, &i, sizeof(i));
		rig_check(!bpf_map_update_elem(fd, &key, &flow, BPF_ANY));
	}
	close(fd);
}

static void that_there_is_hardly_room_is_told(void **state)
{
	struct engine *engine = engine_begin(QUICK);

	(void)state;
	make_device();
	engine->by_hand = true;
	reload(engine, QUICK FRONT "Flows=4096\n" FIRST OTHER THIRD);
	engine_until(engine, taking(engine) == 7);
	fill_flows(2000);
	engine_until(engine, plane_front_live(engine->service->plane)[0].connections == 2000);
	assert_false(engine->service->crowded);
	fill_flows(4000);
	engine_until(engine, plane_front_live(engine->service->plane)[0].connections &&
				     engine->service->crowded);
	engine_end(engine);
}

/* Whatever the settings say, those who serve go on. */
static void instances_do_not_become_hosts(void **state)
{
	struct engine *engine = engine_begin(QUICK);
	struct address address = engine_address();

	(void)state;
	make_device();
	actor_start_all(engine);
	engine_until(engine, engine_rests(engine));
	reload(engine, QUICK FRONT FIRST OTHER);
	assert_non_null(strstr(engine->service->problem.text, "its slots are instances"));
	assert_int_equal(engine->service->n_slots, 2);
	assert_false(plane_is_front(engine->service->plane));
	assert_int_equal(ask(&address), 'A');
	reload(engine, QUICK);
	assert_string_equal(engine->service->problem.text, "");
	engine_until(engine, engine_rests(engine));
	engine_end(engine);
}

static void hosts_do_not_become_instances(void **state)
{
	struct engine *engine = begin_front();

	(void)state;
	reload(engine, QUICK);
	assert_non_null(strstr(engine->service->problem.text, "its slots are hosts"));
	assert_int_equal(engine->service->n_slots, 3);
	assert_int_equal(taking(engine), 7);
	/* nor for the hsd that comes next, which leaves it alone */
	engine_leave(engine);
	rig_check(service_new(&engine->host, "web", &engine->service) == 0);
	assert_null(engine->service->plane);
	assert_non_null(strstr(engine->service->problem.text, "its slots are hosts"));
	reload(engine, QUICK FRONT FIRST OTHER THIRD);
	engine_until(engine, engine->service->plane && taking(engine) == 7);
	assert_string_equal(engine->service->problem.text, "");
	engine_end(engine);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(another_host_is_active_when_one_is_taken_out),
		cmocka_unit_test(another_machine_under_a_number_begins_anew),
		cmocka_unit_test(the_last_host_of_a_table_can_be_taken_out),
		cmocka_unit_test(a_host_that_the_table_needs_is_not_taken_out),
		cmocka_unit_test(the_last_hosts_go_on_when_none_is_well),
		cmocka_unit_test(who_is_drained_is_not_kept),
		cmocka_unit_test(its_hosts_are_told_as_they_are),
		cmocka_unit_test(packets_for_ports_of_none_are_told_and_not_at_every_turn),
		cmocka_unit_test(one_that_was_drained_is_taken_back),
		cmocka_unit_test(what_is_done_to_instances_is_refused),
		cmocka_unit_test(a_device_that_comes_back_is_a_front_again),
		cmocka_unit_test(the_others_serve_while_one_has_no_route),
		cmocka_unit_test(a_host_without_a_route_is_waited_for),
		cmocka_unit_test(an_address_is_routed_here_or_not),
		cmocka_unit_test(that_there_is_hardly_room_is_told),
		cmocka_unit_test(instances_do_not_become_hosts),
		cmocka_unit_test(hosts_do_not_become_instances),
	};

	return cases_run("front", tests);
}
