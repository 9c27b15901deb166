/* SPDX-License-Identifier: GPL-2.0-or-later */
/* core/config: each key with good and bad values. system/configfile: which files count, in which
 * order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/config/config.h"
#include "system/configfile.h"
#include "util/files.h"
#include "util/macro.h"
#include "util/strings.h"

static bool same(const struct config *a, const struct config *b)
{
	return a->slots == b->slots && a->n_ports == b->n_ports &&
	       memcmp(a->ports, b->ports, sizeof(a->ports)) == 0 &&
	       a->settle_usec == b->settle_usec && a->drain_usec == b->drain_usec &&
	       a->then == b->then && a->restart_on_crash == b->restart_on_crash &&
	       a->drain_end == b->drain_end && a->intake == b->intake &&
	       a->exclusive == b->exclusive && a->park == b->park && a->park_max == b->park_max &&
	       a->park_timeout_usec == b->park_timeout_usec && a->flow == b->flow &&
	       a->flow_timeout_usec == b->flow_timeout_usec && a->flow_max == b->flow_max &&
	       a->quic_slot_byte == b->quic_slot_byte && a->failover == b->failover &&
	       a->stall_usec == b->stall_usec && a->on_hang == b->on_hang &&
	       a->failover_hold_usec == b->failover_hold_usec &&
	       !memcmp(a->roles, b->roles, sizeof(a->roles)) &&
	       !memcmp(a->health.probes, b->health.probes, sizeof(a->health.probes)) &&
	       a->health.n_probes == b->health.n_probes &&
	       a->health.interval_usec == b->health.interval_usec &&
	       a->health.timeout_usec == b->health.timeout_usec &&
	       a->health.rule.fall == b->health.rule.fall &&
	       a->health.rule.rise == b->health.rule.rise &&
	       !strcmp(a->health.host, b->health.host) && !strcmp(a->health.text, b->health.text) &&
	       a->health.n_status == b->health.n_status &&
	       !memcmp(a->health.status, b->health.status, sizeof(a->health.status)) &&
	       !memcmp(&a->front, &b->front, sizeof(a->front)) &&
	       !memcmp(&a->fastpath, &b->fastpath, sizeof(a->fastpath));
}

static void test_defaults(void **state)
{
	struct config config;

	(void)state;
	config_init(&config);
	assert_int_equal(config.slots, 2);
	assert_int_equal(config.n_ports, 0);
	assert_int_equal(config.settle_usec, 50000);
	assert_int_equal(config.drain_usec, 30000000);
	assert_int_equal(config.then, THEN_KEEP);
	assert_true(config.restart_on_crash);
	assert_true(config_has_port(&config, 1, false));
	assert_int_equal(config.policy, CONFIG_POLICY_KEEP);
	assert_int_equal(config_by(&config), HS_BY_CONNECTION);
	assert_string_equal(config.hash_key, "");
	assert_int_equal(config.replay, CONFIG_REPLAY_NO);
	assert_int_equal(config.intake, INTAKE_AUTO);
	assert_int_equal(config.mptcp, MPTCP_NO);
	assert_false(config.exclusive);
	assert_true(config.park);
	assert_int_equal(config.park_max, 0);
	assert_int_equal(config.park_timeout_usec, 60000000);
	assert_int_equal(config.flow, HS_FLOW_CONNECTION);
	assert_int_equal(config.flow_timeout_usec, 60000000);
	assert_int_equal(config.flow_max, 65536);
	assert_int_equal(config.quic_slot_byte, 0);
	assert_int_equal(config.failover, FAILOVER_AUTO);
	assert_int_equal(config.stall_usec, 1000000);
	assert_int_equal(config.on_hang, ON_HANG_RESTART);
	assert_int_equal(config.failover_hold_usec, 10000000);
	assert_int_equal(config.health.n_probes, 0);
	assert_int_equal(config.health.interval_usec, 1000000);
	assert_int_equal(config.health.timeout_usec, 1000000);
	assert_int_equal(config.health.rule.fall, 3);
	assert_int_equal(config.health.rule.rise, 2);
	assert_int_equal(config.health.proxy, PROXY_NO);
	assert_string_equal(config.health.host, "");
	assert_string_equal(config.health.text, "");
	assert_true(config_health_takes(&config.health, 200));
	assert_true(config_health_takes(&config.health, 399));
	assert_false(config_health_takes(&config.health, 199));
	assert_false(config_health_takes(&config.health, 400));
}

/* Every key that the manual lists exists, and its default is what config_init() sets. */
static void test_keys(void **state)
{
	struct config config, fresh;
	const struct setting *key;
	size_t n;

	(void)state;
	config_init(&fresh);
	memset(&config, 0xff, sizeof(config));
	/* lists are cleared to what is unused */
	memset(&config.front, 0, sizeof(config.front));
	memset(&config.fastpath, 0, sizeof(config.fastpath));
	for (n = 0; (key = config_key(n)); n++)
		assert_int_equal(config_set(&config, key->section, key->name, "", NULL), 0);
	assert_int_equal(n, 51);
	assert_true(same(&config, &fresh));
	assert_null(config_key(SIZE_MAX));
}

/* A slot's processes, wherever they are put; nobody else's. */
static void test_cgroup(void **state)
{
	struct config config;
	char cgroup[CONFIG_CGROUP_MAX];

	(void)state;
	config_init(&config);
	assert_false(config_cgroup(&config, 0, cgroup));
	assert_false(config_is_cgroup(&config, "/"));
	assert_int_equal(config_set(&config, "Service", "Cgroup", "/x.slice/app-%i.scope", NULL),
			 0);
	assert_true(config_cgroup(&config, 1, cgroup));
	assert_string_equal(cgroup, "/x.slice/app-1.scope");
	assert_true(config_is_cgroup(&config, "/x.slice/app-0.scope"));
	assert_true(config_is_cgroup(&config, "/x.slice/app-1.scope/below"));
	/* there are two slots */
	assert_false(config_is_cgroup(&config, "/x.slice/app-2.scope"));
	assert_false(config_is_cgroup(&config, "/x.slice/app-1.scope2"));
	assert_false(config_is_cgroup(&config, "/x.slice"));
}

static void set_front(struct config *config, const char *key, const char *value)
{
	struct problem problem = {};

	if (config_set(config, "Front", key, value, &problem))
		fail_msg("%s", problem.text);
}

static void test_front(void **state)
{
	char text[FRONT_ADDRESS_TEXT_MAX];
	struct config config;

	(void)state;
	config_init(&config);
	assert_false(config_is_front(&config.front));
	assert_int_equal(config.front.agent_port, 9790);
	set_front(&config, "Address", "198.51.100.10, 2001:db8::10");
	set_front(&config, "Address", "198.51.100.10");
	set_front(&config, "Ports", "443/udp 80/tcp 443/tcp");
	set_front(&config, "Host", "10.0.0.11");
	set_front(&config, "Host", "10.0.0.14 slot=3 weight=50%");
	set_front(&config, "Host", "10.0.0.12 weight=2");
	assert_int_equal(config_settle(&config, "app", NULL), 0);
	set_front(&config, "DecapFrom", "10.0.0.21, 10.1.0.0/16");
	set_front(&config, "DecapFrom", "2001:db8::/64 10.0.0.21");
	assert_int_equal(config.front.n_decap_from, 3);
	assert_int_equal(config.front.decap_from[1].length, 96 + 16);
	assert_true(config_set(&config, "Front", "DecapFrom", "10.0.0.0/33", NULL) < 0);
	assert_int_equal(config.front.n_decap_from, 3);
	set_front(&config, "DecapFrom", "");
	assert_int_equal(config.front.n_decap_from, 0);
	assert_true(config_is_front(&config.front));
	assert_int_equal(config.slots, 4);
	assert_int_equal(config.front.n_addresses, 2);
	assert_string_equal(front_address_format(config.front.addresses[1].ip, text),
			    "2001:db8::10");
	assert_int_equal(config.front.n_ports, 2);
	assert_true(config.front.ports[1].tcp && config.front.ports[1].udp);
	assert_int_equal(config.front.n_hosts, 3);
	assert_string_equal(front_address_format(config.front.hosts[1].address.ip, text),
			    "10.0.0.12");
	assert_int_equal(config.front.hosts[0].weight, 100);
	assert_int_equal(config.front.hosts[1].weight, 200);
	assert_int_equal(config.front.hosts[3].weight, 50);
	assert_false(config.front.hosts[2].given);
	/* our own connections go by an address of the host's family */
	assert_true(config_front_leads(&config.front, 0));
	set_front(&config, "Address", "");
	assert_false(config_front_leads(&config.front, 0));
	set_front(&config, "Address", "2001:db8::10");
	assert_false(config_front_leads(&config.front, 0));
	/* an empty one takes back those before it */
	set_front(&config, "Host", "");
	assert_int_equal(config.front.n_hosts, 0);
}

/* Each by itself is well, and they do not go together. */
static void test_front_whole(void **state)
{
	static const struct {
		const char *keys[6][2], *text;
	} wrong[] = {
		{{{"Address", "192.0.2.1"}}, "lacks Ports="},
		{{{"Address", "192.0.2.1"}, {"Ports", "80"}}, "lacks Host="},
		{{{"Host", "192.0.2.1"}, {"Ports", "80"}}, "lacks Address="},
		{{{"Address", "192.0.2.1"}, {"Ports", "80"}, {"Host", "192.0.2.1"}},
		 "Host=192.0.2.1 is an Address= of the service as well"},
		{{{"Address", "2001:db8::1"},
		  {"Ports", "80"},
		  {"Host", "192.0.2.1"},
		  {"Mode", "nat"}},
		 "Mode=nat: Address=2001:db8::1 and Host=192.0.2.1 are of two families"},
		{{{"Address", "192.0.2.1"},
		  {"Ports", "80"},
		  {"Host", "192.0.2.2"},
		  {"Decap", "yes"}},
		 "Decap=yes is for a host"},
		{{{"Address", "192.0.2.1"},
		  {"Ports", "80"},
		  {"Host", "192.0.2.2 weight=0"},
		  {"Host", "192.0.2.3 weight=0%"}},
		 "The weights of all Host= add up to nothing; give one of them a weight"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		struct problem problem = {};
		struct config config;

		config_init(&config);
		for (size_t k = 0; wrong[i].keys[k][0]; k++)
			set_front(&config, wrong[i].keys[k][0], wrong[i].keys[k][1]);
		assert_int_equal(config_settle(&config, "app", &problem), -EINVAL);
		if (!strstr(problem.text, wrong[i].text))
			fail_msg("row %zu: %s", i, problem.text);
	}
}

static void test_front_interval(void **state)
{
	struct problem problem = {};
	struct config config;

	(void)state;
	config_init(&config);
	set_front(&config, "Address", "192.0.2.1");
	set_front(&config, "Ports", "80");
	set_front(&config, "Host", "192.0.2.2");
	assert_int_equal(config_set(&config, "Health", "Interval", "100ms", NULL), 0);
	assert_int_equal(config_settle(&config, "app", &problem), -EINVAL);
	assert_non_null(strstr(problem.text, "a front takes 150ms or more"));
	assert_int_equal(config_set(&config, "Health", "Interval", "150ms", NULL), 0);
	assert_int_equal(config_settle(&config, "app", &problem), 0);
}

static int set_from(struct config *config, const char *value, struct problem *problem)
{
	return config_set(config, "FastPath", "From", value, problem);
}

static void test_fastpath(void **state)
{
	struct problem problem = {};
	struct config config;
	char unit[32];

	(void)state;
	config_init(&config);
	assert_int_equal(config.fastpath.n_units, 0);
	assert_int_equal(set_from(&config, "haproxy.service\t pool@a.service", NULL), 0);
	assert_int_equal(set_from(&config, "haproxy.service session-1.scope", NULL), 0);
	assert_int_equal(config.fastpath.n_units, 3);
	assert_string_equal(config.fastpath.units[2], "session-1.scope");
	assert_true(config_fastpath_has(&config.fastpath, "pool@a.service"));
	assert_false(config_fastpath_has(&config.fastpath, "pool@b.service"));
	assert_int_equal(config_settle(&config, "app", NULL), 0);
	/* slots of another service may be clients, those of this one not */
	assert_int_equal(set_from(&config, "app@1.service", NULL), 0);
	assert_int_equal(config_settle(&config, "other", NULL), 0);
	assert_int_equal(config_settle(&config, "app", &problem), -EINVAL);
	assert_non_null(strstr(problem.text, "From=app@1.service is a slot of the service itself"));
	/* an empty one takes back those before it */
	assert_int_equal(set_from(&config, "", NULL), 0);
	assert_int_equal(config.fastpath.n_units, 0);
	for (unsigned i = 0; i < CONFIG_FASTPATH_UNITS_MAX; i++) {
		snprintf(unit, sizeof(unit), "u%u.service", i);
		assert_int_equal(set_from(&config, unit, NULL), 0);
	}
	assert_int_equal(set_from(&config, "u0.service", NULL), 0);
	assert_int_equal(set_from(&config, "more.service", &problem), -EINVAL);
	assert_non_null(strstr(problem.text, "allowed are up to 16 units"));
	assert_int_equal(config.fastpath.n_units, CONFIG_FASTPATH_UNITS_MAX);
	/* hosts are no instances */
	set_front(&config, "Address", "192.0.2.1");
	set_front(&config, "Ports", "80");
	set_front(&config, "Host", "192.0.2.2");
	assert_int_equal(config_settle(&config, "app", &problem), -EINVAL);
	assert_non_null(strstr(problem.text, "the slots of a front are hosts"));
}

/* Two that listen by MPTCP cannot be told apart. */
static void test_settle(void **state)
{
	struct config config;

	(void)state;
	config_init(&config);
	assert_int_equal(config_settle(&config, "app", NULL), 0);
	assert_false(config.exclusive);
	assert_int_equal(config_set(&config, "Service", "MPTCP", "keep", NULL), 0);
	assert_int_equal(config_set(&config, "Service", "Exclusive", "no", NULL), 0);
	assert_int_equal(config_settle(&config, "app", NULL), 0);
	assert_true(config.exclusive);
	assert_int_equal(config_set(&config, "Service", "MPTCP", "", NULL), 0);
	assert_int_equal(config_settle(&config, "app", NULL), 0);
	assert_true(config.exclusive);
}

static void test_good(void **state)
{
	struct config config, expected, fresh;

	(void)state;
	config_init(&fresh);
	config = fresh;
	assert_int_equal(config_set(&config, "Service", "Slots", "16", NULL), 0);
	assert_int_equal(
		config_set(&config, "Service", "Ports", "443/udp, 80/udp \t8080/tcp,80", NULL), 0);
	assert_int_equal(config_set(&config, "Service", "Settle", "0", NULL), 0);
	assert_int_equal(config_set(&config, "Service", "Drain", "2min 30s", NULL), 0);
	assert_int_equal(config_set(&config, "Service", "Then", "restart", NULL), 0);
	assert_int_equal(config_set(&config, "Service", "RestartOnCrash", "off", NULL), 0);
	assert_int_equal(config_set(&config, "Service", "Stall", "0", NULL), 0);
	assert_int_equal(config_set(&config, "Service", "Flow", "quic", NULL), 0);
	assert_int_equal(config_set(&config, "Service", "OnDemote", "USR2", NULL), 0);
	assert_int_equal(config_set(&config, "Service", "OnPromote", "a@.service", NULL), 0);

	expected = fresh;
	expected.slots = 16;
	expected.n_ports = 3;
	expected.ports[0] = (struct config_port) {80, true, true};
	expected.ports[1] = (struct config_port) {443, false, true};
	expected.ports[2] = (struct config_port) {8080, true, false};
	expected.settle_usec = 0;
	expected.drain_usec = 150000000;
	expected.then = THEN_RESTART;
	expected.restart_on_crash = false;
	expected.stall_usec = 0;
	expected.roles[ROLE_DEMOTE].means = ROLE_BY_SIGNAL;
	expected.roles[ROLE_DEMOTE].signal = SIGUSR2;
	expected.roles[ROLE_PROMOTE].means = ROLE_BY_UNIT;
	strcpy(expected.roles[ROLE_PROMOTE].unit, "a@.service");
	expected.flow = HS_FLOW_QUIC;
	assert_true(same(&config, &expected));
	assert_true(config_has_port(&config, 443, true));
	assert_false(config_has_port(&config, 443, false));
	assert_true(config_has_port(&config, 80, true));
	assert_false(config_has_port(&config, 444, false));

	/* the last one counts, and replaces */
	assert_int_equal(config_set(&config, "Service", "Ports", "65535", NULL), 0);
	assert_int_equal(config.n_ports, 1);
	assert_false(config_has_port(&config, 80, false));
	assert_int_equal(config_set(&config, "Service", "Ports", "", NULL), 0);
	assert_true(config_has_port(&config, 80, false));
}

static int set_health(struct config *config, const char *key, const char *value)
{
	return config_set(config, "Health", key, value, NULL);
}

static void test_health(void **state)
{
	struct config config;

	(void)state;
	config_init(&config);
	assert_int_equal(set_health(&config, "Probe", "tcp"), 0);
	assert_int_equal(set_health(&config, "Probe", "https:8443/healthz"), 0);
	assert_int_equal(config.health.n_probes, 2);
	assert_int_equal(config.health.probes[0].kind, PROBE_TCP);
	assert_int_equal(config.health.probes[1].port, 8443);
	assert_string_equal(config.health.probes[1].text, "/healthz");
	/* an empty one takes back those before it */
	assert_int_equal(set_health(&config, "Probe", ""), 0);
	assert_int_equal(config.health.n_probes, 0);
	for (unsigned i = 0; i < CONFIG_PROBES_MAX; i++)
		assert_int_equal(set_health(&config, "Probe", "tcp"), 0);
	assert_int_equal(set_health(&config, "Probe", "tcp"), -EINVAL);
	assert_int_equal(config.health.n_probes, CONFIG_PROBES_MAX);

	assert_int_equal(set_health(&config, "Status", "204, 300-302 418"), 0);
	assert_true(config_health_takes(&config.health, 204));
	assert_true(config_health_takes(&config.health, 302));
	assert_true(config_health_takes(&config.health, 418));
	assert_false(config_health_takes(&config.health, 200));
	assert_false(config_health_takes(&config.health, 303));
	assert_int_equal(set_health(&config, "Host", "www.example.org"), 0);
	assert_string_equal(config.health.host, "www.example.org");
	assert_int_equal(set_health(&config, "Host", "x"), 0);
	assert_string_equal(config.health.host, "x");
	assert_int_equal(set_health(&config, "User", "_nagios-1"), 0);
	assert_string_equal(config.health.user, "_nagios-1");
	assert_int_equal(set_health(&config, "User", "root"), -EINVAL);
	assert_int_equal(set_health(&config, "User", "0"), -EINVAL);
	assert_int_equal(set_health(&config, "User", "-x"), -EINVAL);
	assert_int_equal(set_health(&config, "User", "a b"), -EINVAL);
	assert_int_equal(set_health(&config, "User", "abcdefghijklmnopqrstuvwxyz0123456"), -EINVAL);
	assert_string_equal(config.health.user, "_nagios-1");
	assert_int_equal(set_health(&config, "User", ""), 0);
	assert_string_equal(config.health.user, "");
	assert_int_equal(set_health(&config, "Text", "all is \"well\""), 0);
	assert_string_equal(config.health.text, "all is \"well\"");
}

static void test_limits(void **state)
{
	struct config config;

	(void)state;
	config_init(&config);
	assert_int_equal(config_set(&config, "Service", "Settle", "10min", NULL), 0);
	assert_int_equal(config.settle_usec, CONFIG_SETTLE_MAX);
	assert_int_equal(config_set(&config, "Service", "Drain", "7d", NULL), 0);
	assert_int_equal(config.drain_usec, CONFIG_DRAIN_MAX);
	assert_int_equal(config_set(&config, "Service", "Ports",
				    "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 "
				    "24 25 26 27 28 29 30 31 65535 1",
				    NULL),
			 0);
	assert_int_equal(config.n_ports, CONFIG_PORTS_MAX);
	assert_int_equal(config.ports[31].port, 65535);
}

static const struct {
	const char *section, *key, *value, *text;
} bad[] = {
	{"Service", "Slots", "1",
	 "Slots=1 is out of range; allowed is a whole number from 2 to 16."},
	{"Service", "Slots", "17", "Slots=17 is out of range"},
	{"Service", "Slots", "18446744073709551618", "is out of range"},
	{"Service", "Slots", "two", "Slots=two is not a number"},
	{"Service", "Slots", "-2", "is not a number"},
	{"Service", "Slots", "2 # two", "Slots=2 # two is not a number"},
	{"Service", "Slots", "0x2", "is not a number"},
	{"Service", "Ports", "0", "Ports=0 is not a list of ports; allowed are numbers from 1 to"},
	{"Service", "Ports", "65536", "is not a list of ports"},
	{"Service", "Ports", "80 http", "is not a list of ports"},
	{"Service", "Ports", "80;443", "is not a list of ports"},
	{"Service", "Ports", "-1", "is not a list of ports"},
	{"Service", "Ports", "80-90", "is not a list of ports"},
	{"Service", "Ports", "00000000080", "is not a list of ports"},
	{"Service", "Ports",
	 "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 "
	 "33",
	 "has too many ports; allowed are up to 32"},
	{"Service", "Settle", "600.000001s", "is too long; allowed is 0 to 10min"},
	{"Service", "Settle", "infinity", "Settle=infinity is too long"},
	{"Service", "Settle", "fast",
	 "Settle=fast is not a time span; allowed is 0 to 10min, written"},
	{"Service", "Drain", "8d", "Drain=8d is too long; allowed is 0 to 7d"},
	{"Service", "Drain", "30 s x", "is not a time span"},
	{"Service", "Drain", "18446744073709551615us", "is too long"},
	{"Service", "Then", "Keep", "Then=Keep is not known; allowed is keep, stop or restart."},
	{"Service", "Then", "keep stop", "is not known"},
	{"Service", "RestartOnCrash", "maybe",
	 "RestartOnCrash=maybe is not known; allowed is yes or no."},
	{"Service", "Ports", "80/sctp", "is not a list of ports"},
	{"Service", "Ports", "80/", "is not a list of ports"},
	{"Service", "Intake", "magic",
	 "Intake=magic is not known; allowed is auto, socket, own or forced."},
	{"Service", "MPTCP", "yes", "MPTCP=yes is not known; allowed is no or keep."},
	{"Service", "Flow", "tcp", "Flow=tcp is not known; allowed is connection, none or quic."},
	{"Service", "FlowTimeout", "10ms", "FlowTimeout=10ms is too short; allowed is 1s to 1d"},
	{"Service", "FlowMax", "12", "FlowMax=12 is out of range; allowed is a whole number from"},
	{"Service", "QuicSlotByte", "20",
	 "is out of range; allowed is a whole number from 0 to 19."},
	{"Service", "Park", "never", "Park=never is not known; allowed is yes, no or always."},
	{"Service", "ParkMax", "-1", "is not a number"},
	{"Service", "ParkTimeout", "0", "is too short"},
	{"Service", "Stall", "10ms", "Stall=10ms is too short; allowed is 100ms to 10min"},
	{"Service", "Failover", "yes", "is not known; allowed is auto or manual."},
	{"Service", "OnHang", "stop", "is not known; allowed is restart or keep."},
	{"Service", "slots", "2",
	 "slots= is not a setting of section [Service]; perhaps Slots= is meant; allowed are "
	 "Slots=, Policy=, By=, HashKey=, Replay=, "
	 "Ports=, Paths=, Cgroup=, Intake=, MPTCP=, Self=, Settle=, Drain=, DrainEnd=, "
	 "Then=, "
	 "RestartOnCrash=, "
	 "Exclusive=, Park=, "},
	{"Service", "", "", " is not a setting"},
	{"Service", "Slots ", "2", "is not a setting"},
	{"service", "Slots", "2",
	 "[service] is not a section of this file; there are [Service], [Health], [Front] and "
	 "[FastPath]."},
	{"Unit", "After", "x", "[Unit] is not a section"},
	{"", "Slots", "2", "before the first section; write [Service] above it."},
	{NULL, "Slots", "2", "before the first section"},
	{"Health", "Probe", "ping",
	 "Probe=ping is not a probe; allowed are tcp, tcp:PORT, http:/PATH, http:PORT/PATH, "},
	{"Service", "Cgroup", "system.slice/app-%i.scope", "is no control group"},
	{"Service", "Cgroup", "/a/../b-%i", "is no control group"},
	{"Service", "Cgroup", "/a-%i/", "is no control group"},
	{"Service", "Cgroup", "/system.slice/app.scope", "the same for all slots"},
	{"Service", "Cgroup", "/%i/app-%i.scope", "the same for all slots"},
	{"Service", "Cgroup", "/%n-%i", "the same for all slots"},
	{"Health", "Probe", "exec:/bin/x 'y", "is not a probe"},
	{"Health", "Interval", "10ms", "Interval=10ms is too short; allowed is 100ms to 1h"},
	{"Health", "Timeout", "2min", "Timeout=2min is too long; allowed is 10ms to 1min"},
	{"Health", "Fall", "0", "Fall=0 is out of range; allowed is a whole number from 1 to 100."},
	{"Health", "Rise", "101", "is out of range"},
	{"Health", "Host", "a/b", "Host=a/b is not a host name; allowed are letters"},
	{"Health", "Host", "a b", "is not a host name"},
	{"Health", "Status", "ok", "is not a list of HTTP status numbers; allowed are up to 8"},
	{"Health", "Status", "399-200", "is not a list"},
	{"Health", "Status", "200-", "is not a list"},
	{"Health", "Status", "99", "is not a list"},
	{"Health", "Status", "600", "is not a list"},
	{"Health", "Status", "200-300-400", "is not a list"},
	{"Health", "Status", "1 2 3 4 5 6 7 8 9", "is not a list"},
	{"Health", "Status", "200 201 202 203 204 205 206 207 208", "is not a list"},
	{"Health", "Status", ",", "is empty"},
	{"Health", "Slots", "2",
	 "Slots= is not a setting of section [Health]; allowed are Probe=, Interval=, Timeout=, "
	 "Fall=, Rise=, Proxy=, Host=, Status=, Text=, User=."},
	{"Service", "Drian", "5s", "; perhaps Drain= is meant; allowed are Slots="},
	{"Health", "Intervall", "5s", "; perhaps Interval= is meant; allowed are Probe="},
	{"Service", "Probe", "tcp", "Probe= is not a setting of section [Service]"},
	/* whatever stands there: printable, and not endless */
	{"Service", "Policy", "round", "allowed is keep, standby, parity or hash"},
	{"Service", "By", "port", "allowed is connection or client"},
	{"Service", "HashKey", "app.key", "is no path"},
	{"Service", "Replay", "yes", "allowed is no or templates"},
	{"Front", "Address", "host", "does not begin with an address of one machine"},
	{"Front", "Address", "127.0.0.1", "does not begin with an address"},
	{"Front", "Address", "192.0.2.1 ff02::1", "does not begin with an address"},
	{"Front", "Address", "0.0.0.0", "does not begin with an address"},
	{"Front", "Host", "fe80::1", "does not begin with an address"},
	{"Front", "Ports", "443/sctp", "is not a list of ports"},
	{"Front", "Host", "10.0.0.1 weight=11", "has a word that is not known"},
	{"Front", "Host", "10.0.0.1 weight=-1%", "has a word that is not known"},
	{"Front", "Host", "10.0.0.1 slot=16", "has a word that is not known"},
	{"Front", "Host", "10.0.0.1 backup", "has a word that is not known"},
	{"Front", "Mode", "tunnel", "allowed is dsr, ipip or nat"},
	{"Front", "Device", "eth/0", "is no name of a network device"},
	{"Front", "Device", "muchtoolonganame", "is no name of a network device"},
	{"Front", "Agent", "65536", "out of range"},
	{"Front", "Hosts", "10.0.0.1", "; perhaps Host= is meant; allowed are Address="},
	{"FastPath", "From", "haproxy", "does not end in .service or .scope"},
	{"FastPath", "From", "a.service b.socket", "does not end in .service or .scope"},
	{"FastPath", "From", "a.service .service", "has a word that is no unit"},
	{"FastPath", "From", "a.service, b.service", "has a word that is no unit"},
	{"FastPath", "From", "system.slice", "has a slice"},
	{"FastPath", "From", "proxy@.service", "has a template; it takes its instances"},
	{"FastPath", "Form", "a.service", "; perhaps From= is meant; allowed are From="},
	{"Service", "Slots", "17", "from 2 to 16"},
	{"Service", "Slots", "\x1b[2J\xff\n", "Slots=?[2J?? is not a number"},
	{"\x1b]0;x", "Slots", "2", "[?]0;x] is not a section"},
	{"Service", "\xc3\xa4", "2", "?\?= is not a setting"},
};

static void test_bad(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct config config, before;
		struct problem problem = {};
		int r;

		config_init(&config);
		before = config;
		r = config_set(&config, bad[i].section, bad[i].key, bad[i].value, &problem);
		if (r != -EINVAL || !strstr(problem.text, bad[i].text))
			fail_msg("row %zu: %d, \"%s\"", i, r, problem.text);
		assert_true(same(&config, &before));
		assert_int_equal(
			config_set(&config, bad[i].section, bad[i].key, bad[i].value, NULL),
			-EINVAL);
	}
}

static void test_huge(void **state)
{
	_cleanup_(freep) char *huge = calloc(1, 1000001);
	struct config config;
	const struct setting *key;

	(void)state;
	config_init(&config);
	memset(huge, '9', 1000000);
	for (size_t i = 0; (key = config_key(i)); i++) {
		struct problem problem = {};

		assert_int_equal(config_set(&config, key->section, key->name, huge, &problem),
				 -EINVAL);
		assert_non_null(strstr(problem.text, "999..."));
		assert_true(strlen(problem.text) < 300);
	}
	assert_int_equal(config_set(&config, "Service", huge, huge, NULL), -EINVAL);
	assert_int_equal(config_set(&config, huge, huge, huge, NULL), -EINVAL);
}

/* ---- files ---- */

static int make_root(void **state)
{
	char template[] = "/tmp/hotstandby-test-XXXXXX";

	*state = mkdtemp(template) ? strdup(template) : NULL;
	configfile_set_root(*state);
	return *state ? 0 : -1;
}

static int remove_root(void **state)
{
	_cleanup_(freep) char *command = format("rm -rf '%s'", (char *)*state);
	int r = system(command);

	configfile_set_root("");
	free(*state);
	return r;
}

/* Writes a file below the root, with the folders that it needs. */
static void put(void **state, const char *path, const char *text)
{
	_cleanup_(freep) char *full = format("%s%s", (char *)*state, path);
	_cleanup_(freep) char *folder = strdup(full);

	*strrchr(folder, '/') = 0;
	assert_int_equal(make_folders(folder, 0755), 0);
	assert_int_equal(file_write(full, text, 0644), 0);
}

static void mask(void **state, const char *path)
{
	_cleanup_(freep) char *full = format("%s%s", (char *)*state, path);

	put(state, path, "");
	unlink(full);
	assert_int_equal(symlink("/dev/null", full), 0);
}

#define ETC HS_SYSCONFDIR "/hotstandby/"
#define LIB HS_PREFIX "/lib/hotstandby/"

static void test_load_none(void **state)
{
	struct config config;

	assert_int_equal(configfile_load("app", &config, NULL), -ENOENT);
	/* drop-ins alone configure nothing */
	put(state, ETC "app.conf.d/10.conf", "[Service]\nSlots=3\n");
	assert_int_equal(configfile_load("app", &config, NULL), -ENOENT);
}

static void test_load_empty(void **state)
{
	struct config config, fresh;

	config_init(&fresh);
	put(state, ETC "app.conf", "");
	assert_int_equal(configfile_load("app", &config, NULL), 0);
	assert_true(same(&config, &fresh));
	put(state, ETC "app.conf", "# only a comment\n\n; and another\n[Service]\n");
	assert_int_equal(configfile_load("app", &config, NULL), 0);
	assert_true(same(&config, &fresh));
}

static void test_load_order(void **state)
{
	struct config config;

	put(state, LIB "app.conf", "[Service]\nSlots=3\nThen=stop\nDrain=1s\nSettle=1s\n");
	assert_int_equal(configfile_load("app", &config, NULL), 0);
	assert_int_equal(config.slots, 3);

	put(state, ETC "app.conf", "[Service]\r\n  Slots = 4 \r\nDrain=2s\r\nSettle=2s");
	assert_int_equal(configfile_load("app", &config, NULL), 0);
	assert_int_equal(config.slots, 4);
	assert_int_equal(config.then, THEN_STOP);

	/* by file name, not by folder */
	put(state, LIB "app.conf.d/50.conf", "[Service]\nDrain=3s\nSettle=3s\n");
	put(state, ETC "app.conf.d/10.conf",
	    "[Service]\nDrain=4s\nPorts=80 \\\n# why not\n  443\n");
	assert_int_equal(configfile_load("app", &config, NULL), 0);
	assert_int_equal(config.drain_usec, 3000000);
	assert_int_equal(config.settle_usec, 3000000);
	assert_int_equal(config.n_ports, 2);

	/* the same name in /etc hides, a link to /dev/null masks, other suffixes do not count */
	put(state, ETC "app.conf.d/50.conf", "[Service]\nDrain=5s\n");
	put(state, ETC "app.conf.d/60.conf.bak", "garbage");
	put(state, ETC "app.conf.d/.conf", "garbage");
	put(state, ETC "app.conf.d/README", "garbage");
	assert_int_equal(configfile_load("app", &config, NULL), 0);
	assert_int_equal(config.drain_usec, 5000000);
	assert_int_equal(config.settle_usec, 2000000);
	mask(state, ETC "app.conf.d/50.conf");
	assert_int_equal(configfile_load("app", &config, NULL), 0);
	assert_int_equal(config.drain_usec, 4000000);
}

static void test_load_masked(void **state)
{
	struct config config;

	put(state, LIB "app.conf", "");
	assert_int_equal(configfile_load("app", &config, NULL), 0);
	mask(state, ETC "app.conf");
	assert_int_equal(configfile_load("app", &config, NULL), -ENOENT);
}

/* Refused as a whole, with the file and the line of the first problem. */
static void test_load_bad(void **state)
{
	static const struct {
		const char *text, *problem;
	} cases[] = {
		{"[Service]\nSlots=3\nSlots=1\n", "/app.conf:3: Slots=1 is out of range"},
		{"\n# x\n\n[Service]\nSlotz=3\n", "/app.conf:5: Slotz= is not a setting"},
		{"[Service]\n[Other]\n", "/app.conf:2: [Other] is not a section"},
		{"Slots=3\n", "/app.conf:1: A setting stands before the first section"},
		{"[Service]\nSlots\n", "/app.conf:2: This line is neither"},
		{"[Service\nSlots=3\n", "/app.conf:1: This line is neither"},
		{"[Service]\n=3\n", "/app.conf:2: This line is neither"},
		{"[]\n", "/app.conf:1: This line is neither"},
		{"[Service]\nPorts=80 \\\n443 \\\n99999\nSlots=1\n", "/app.conf:2: Ports=80"},
		{"\xff\xfe\x01", "/app.conf:1: This line is neither"},
	};
	struct config config, before;

	memset(&config, 0x5a, sizeof(config));
	before = config;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct problem problem = {};

		put(state, ETC "app.conf", cases[i].text);
		assert_int_equal(configfile_load("app", &config, &problem), -EINVAL);
		if (!strstr(problem.text, cases[i].problem))
			fail_msg("row %zu: %s", i, problem.text);
		assert_memory_equal(&config, &before, sizeof(config));
	}
}

static void test_load_bad_drop_in(void **state)
{
	struct problem problem = {};
	struct config config;

	put(state, ETC "app.conf", "");
	put(state, LIB "app.conf.d/x.conf", "[Service]\nThen=explode\n");
	assert_int_equal(configfile_load("app", &config, &problem), -EINVAL);
	assert_non_null(strstr(problem.text, LIB "app.conf.d/x.conf:2: Then=explode"));
}

static void test_load_unreadable(void **state)
{
	_cleanup_(freep) char *folder = format("%s" ETC "folder.conf", (char *)*state);
	_cleanup_(freep) char *large = calloc(1, 70001);
	struct problem problem = {};
	struct config config;
	FILE *file;

	assert_int_equal(make_folders(folder, 0755), 0);
	assert_int_equal(configfile_load("folder", &config, &problem), -EISDIR);
	assert_non_null(strstr(problem.text, "folder.conf: Is a directory"));

	memset(large, '\n', 70000);
	put(state, ETC "app.conf", large);
	assert_int_equal(configfile_load("app", &config, &problem), -EINVAL);
	assert_non_null(strstr(problem.text, "larger than"));

	free(steal_ptr(&folder));
	folder = format("%s" ETC "app.conf", (char *)*state);
	file = fopen(folder, "we");
	assert_int_equal(fwrite("[Service]\n\0Slots=1\n", 1, 19, file), 19);
	fclose(file);
	assert_int_equal(configfile_load("app", &config, &problem), -EINVAL);
	assert_non_null(strstr(problem.text, "not text"));
}

static void test_load_bad_name(void **state)
{
	static const char *const names[] = {"", "../app", "app@", "a/b", ".", "app.service"};
	struct config config;

	put(state, ETC "app.conf", "");
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct problem problem = {};

		assert_int_equal(configfile_load(names[i], &config, &problem), -EINVAL);
		assert_true(*problem.text);
	}
}

static void test_list(void **state)
{
	_cleanup_(strings_freep) char **services = NULL;

	assert_int_equal(configfile_list(&services), 0);
	assert_null(services);

	put(state, LIB "web.conf", "");
	put(state, LIB "masked.conf", "");
	mask(state, ETC "masked.conf");
	put(state, ETC "app.conf", "garbage");
	put(state, ETC "web.conf", "");
	put(state, ETC "php8.2-fpm.conf", "");
	put(state, ETC "app.conf.d/10.conf", "");
	put(state, ETC "old.conf.disabled", "");
	put(state, ETC "no good.conf", "");
	put(state, ETC ".hidden.conf", "");
	assert_int_equal(configfile_list(&services), 0);
	assert_int_equal(strings_count(services), 3);
	assert_string_equal(services[0], "app");
	assert_string_equal(services[1], "php8.2-fpm");
	assert_string_equal(services[2], "web");
}

#define WITH_ROOT(test) cmocka_unit_test_setup_teardown(test, make_root, remove_root)

static void test_what_is_served(void **state)
{
	static const struct {
		struct address address;
		bool all, named; /* without Ports=; with it, for 53 and 40000 */
	} rows[] = {
		{{.family = AF_INET, .port = 80}, true, false},
		{{.family = AF_INET, .port = 40000}, true, true},
		{{.family = AF_INET, .port = 53, .udp = true}, true, true},
		/* what a server asks others by */
		{{.family = AF_INET, .port = 40001, .udp = true}, false, false},
		{{.family = AF_INET, .port = 40000, .udp = true}, false, true},
		/* a group */
		{{.family = AF_INET, .port = 53, .udp = true, .ip = {224, 0, 0, 251}},
		 false,
		 false},
	};
	struct config all = {0}, named = {.n_ports = 2};

	(void)state;
	named.ports[0].port = 53;
	named.ports[1].port = 40000;
	named.ports[0].tcp = named.ports[0].udp = named.ports[1].tcp = named.ports[1].udp = true;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct address *address = &rows[i].address;
		bool is_ephemeral = address->port >= 32768;

		assert_int_equal(config_serves(&all, address, is_ephemeral), rows[i].all);
		assert_int_equal(config_serves(&named, address, is_ephemeral), rows[i].named);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_cgroup),
		cmocka_unit_test(test_settle),
		cmocka_unit_test(test_front),
		cmocka_unit_test(test_front_whole),
		cmocka_unit_test(test_front_interval),
		cmocka_unit_test(test_fastpath),
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_health),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_huge),
		WITH_ROOT(test_load_none),
		WITH_ROOT(test_load_empty),
		WITH_ROOT(test_load_order),
		WITH_ROOT(test_load_masked),
		WITH_ROOT(test_load_bad),
		WITH_ROOT(test_load_bad_drop_in),
		WITH_ROOT(test_load_unreadable),
		WITH_ROOT(test_load_bad_name),
		WITH_ROOT(test_list),
		cmocka_unit_test(test_what_is_served),
	};

	return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
