/* SPDX-License-Identifier: GPL-2.0-or-later */
/* core/doctor: nothing is found on a healthy machine with a healthy service, and each fault by its
 * id. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "core/doctor/doctor.h"
#include "core/doctor/doctor_front.h"
#include "core/doctor/fastability.h"
#include "util/macro.h"

static struct doctor_report report;

static void begin(void)
{
	report = (struct doctor_report) {.service = "app"};
}

/* All findings are of this one id ("" = there are none), and are whole messages. */
static void assert_found(const char *id, size_t times)
{
	size_t n = 0;

	for (size_t i = 0; i < report.n; i++) {
		const struct doctor_check *check = &report.items[i];

		assert_true(strlen(check->id) > 3 && strchr(check->id, '.'));
		assert_true(strlen(check->what) > 5);
		if (check->status == DOCTOR_SKIPPED)
			assert_true(strlen(check->why) > 5);
		if (check->status != DOCTOR_FINDING)
			continue;
		assert_string_equal(check->id, id);
		assert_true(strlen(check->why) > 15 && strlen(check->remedy) > 10);
		assert_string_equal(check->service, "app");
		n++;
	}
	assert_int_equal(n, times);
	assert_int_equal(report.findings, times);
}

static bool is_checked(const char *id)
{
	for (size_t i = 0; i < report.n; i++)
		if (!strcmp(report.items[i].id, id))
			return true;
	return false;
}

static const struct doctor_check *found(const char *id)
{
	for (size_t i = 0; i < report.n; i++)
		if (!strcmp(report.items[i].id, id))
			return &report.items[i];
	fail_msg("no check %s", id);
	return NULL;
}

static enum doctor_status status_of(const char *id)
{
	const struct doctor_check *check = found(id);

	return check ? check->status : DOCTOR_STATUS_COUNT;
}

/* ---- the machine ---- */

static void each_ability_is_a_check(void **state)
{
	struct ability_result results[ABILITY_COUNT];

	(void)state;
	for (unsigned i = 0; i < ABILITY_COUNT; i++)
		results[i] = (struct ability_result) {.verdict = ABILITY_WORKS};
	begin();
	doctor_kernel(&report, results);
	assert_int_equal(report.n, ABILITY_COUNT);
	assert_found("", 0);
	for (unsigned i = 0; i < ABILITY_COUNT; i++) {
		const char *id = report.items[i].id;

		for (unsigned j = 0; j < i; j++)
			assert_string_not_equal(report.items[j].id, id);
		results[i] = (struct ability_result) {ABILITY_FAILS, "at some step"};
		begin();
		doctor_kernel(&report, results);
		assert_found(id, 1);
		results[i] = (struct ability_result) {ABILITY_UNKNOWN, "was not allowed to"};
		begin();
		doctor_kernel(&report, results);
		assert_found("", 0);
		assert_int_equal(status_of(id), DOCTOR_SKIPPED);
		results[i].verdict = ABILITY_WORKS;
	}
}

static void what_is_vital_to_the_fast_path(void **state)
{
	struct ability_result results[FAST_ABILITY_COUNT];
	struct problem sentence;

	(void)state;
	for (unsigned i = 0; i < FAST_ABILITY_COUNT; i++)
		results[i] = (struct ability_result) {.verdict = ABILITY_WORKS};
	assert_false(fast_ability_refuses(results, "6.1.0", &sentence));
	for (unsigned i = 0; i < FAST_ABILITY_COUNT; i++) {
		bool vital = fast_ability_vital() & 1U << i;

		results[i] = (struct ability_result) {ABILITY_FAILS, "at some step"};
		assert_int_equal(fast_ability_refuses(results, "6.1.0", &sentence), vital);
		if (vital)
			assert_non_null(strstr(sentence.text, "6.1.0"));
		begin();
		doctor_fastpath(&report, results);
		assert_int_equal(report.n, FAST_ABILITY_COUNT);
		assert_found(fast_ability_to_string(i), 1);
		/* hsd may make no namespaces */
		results[i].verdict = ABILITY_UNKNOWN;
		assert_int_equal(fast_ability_refuses(results, "6.1.0", &sentence),
				 vital && i != FAST_NAMESPACES);
		results[i].verdict = ABILITY_WORKS;
	}
}

static struct doctor_sysctls normal_sysctls(void)
{
	return (struct doctor_sysctls) {
		.values = {[SYSCTL_MIGRATE_REQ] = 0,
			   [SYSCTL_ABORT_ON_OVERFLOW] = 0,
			   [SYSCTL_SYNCOOKIES] = 1,
			   [SYSCTL_MAX_SYN_BACKLOG] = 256,
			   [SYSCTL_SOMAXCONN] = 4096,
			   [SYSCTL_BPF_JIT] = 1},
		.ports_from = 32768,
		.ports_to = 60999,
	};
}

static void sysctls_that_hurt(void **state)
{
	static const struct {
		enum doctor_sysctl sysctl;
		int64_t value;
		const char *id;
	} bad[] = {
		{SYSCTL_MIGRATE_REQ, 1, "sysctl.migrate-req"},
		{SYSCTL_ABORT_ON_OVERFLOW, 1, "sysctl.abort-on-overflow"},
		{SYSCTL_SYNCOOKIES, 0, "sysctl.syncookies"},
		{SYSCTL_MAX_SYN_BACKLOG, 16, "sysctl.max-syn-backlog"},
		{SYSCTL_SOMAXCONN, 64, "sysctl.somaxconn"},
		{SYSCTL_BPF_JIT, 0, "sysctl.bpf-jit"},
	};
	struct doctor_sysctls sysctls = normal_sysctls();

	(void)state;
	begin();
	doctor_sysctls(&report, &sysctls);
	assert_found("", 0);
	assert_int_equal(report.n, DOCTOR_SYSCTL_COUNT);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		sysctls = normal_sysctls();
		sysctls.values[bad[i].sysctl] = bad[i].value;
		begin();
		doctor_sysctls(&report, &sysctls);
		assert_found(bad[i].id, 1);
		sysctls.values[bad[i].sysctl] = -1;
		begin();
		doctor_sysctls(&report, &sysctls);
		assert_found("", 0);
		assert_int_equal(status_of(bad[i].id), DOCTOR_SKIPPED);
	}
	assert_int_equal(ARRAY_SIZE(bad), DOCTOR_SYSCTL_COUNT);
}

static struct doctor_machine debian(void)
{
	return (struct doctor_machine) {.bpffs = true,
					.cgroups = CGROUPS_UNIFIED,
					.cgroup_mount = "/sys/fs/cgroup",
					.systemd = 252,
					.hsd_runs = true,
					.hsd_answers = true,
					.store_max = 4096,
					.store_used = 3};
}

static void judge_machine(const struct doctor_machine *machine)
{
	begin();
	doctor_machine(&report, machine);
	doctor_hsd(&report, machine);
}

static void faults_of_the_machine(void **state)
{
	struct doctor_machine machine = debian();

	(void)state;
	judge_machine(&machine);
	assert_found("", 0);
	machine.cgroups = CGROUPS_HYBRID;
	machine.systemd = 247;
	judge_machine(&machine);
	assert_found("", 0);
	machine.cgroups = CGROUPS_NONE;
	judge_machine(&machine);
	assert_found("system.cgroup", 1);
	machine = debian();
	machine.systemd = 0;
	judge_machine(&machine);
	assert_found("system.systemd", 1);
	machine = debian();
	machine.bpffs = false;
	judge_machine(&machine);
	assert_found("system.bpffs", 1);
	machine = debian();
	snprintf(machine.capabilities, sizeof(machine.capabilities), "CAP_BPF");
	judge_machine(&machine);
	assert_found("system.capabilities", 1);
	machine = debian();
	machine.store_used = 4096;
	judge_machine(&machine);
	assert_found("hsd.fd-store", 1);
	machine.store_max = machine.store_used = 0;
	judge_machine(&machine);
	assert_found("hsd.fd-store", 1);
	machine = debian();
	machine.hsd_answers = false;
	judge_machine(&machine);
	assert_found("hsd.running", 1);
	assert_null(strstr(found("hsd.running")->what, "halted"));
	machine.hsd_halted = true;
	judge_machine(&machine);
	assert_found("hsd.running", 1);
	assert_non_null(strstr(found("hsd.running")->what, "halted"));
	machine.hsd_halted = false;
	machine.hsd_runs = false;
	judge_machine(&machine);
	assert_found("hsd.running", 1);
	assert_non_null(strstr(found("hsd.running")->remedy, "systemctl enable --now hsd"));
	/* to start it is what has just failed */
	machine.hsd_ends = true;
	strcpy(machine.hsd_status, "no name; run: systemctl reload dbus");
	judge_machine(&machine);
	assert_found("hsd.running", 1);
	assert_non_null(strstr(found("hsd.running")->what, "no name; run: systemctl reload dbus"));
	assert_null(strstr(found("hsd.running")->remedy, "enable --now"));
	machine.hsd_ends = false;
	machine.hsd_absent = true;
	judge_machine(&machine);
	assert_non_null(strstr(found("hsd.running")->remedy, "make install"));
}

/* ---- a service ---- */

/* Two slots, each with a socket on 0.0.0.0:80 and one on [::]:443. */
struct example {
	struct doctor_service service;
	struct doctor_socket sockets[4];
	struct doctor_foreign foreign;
	struct lint_report lint;
};

static struct doctor_socket socket_of(unsigned slot, int family, uint16_t port)
{
	struct doctor_socket socket = {
		.slot = slot,
		.address = {.family = (uint8_t)family, .port = port},
		.backlog = 511,
		.uid = 33,
		.borrowed = true,
		.reuseport = true,
	};

	for (unsigned i = 0; i < DOCTOR_OPTION_COUNT; i++)
		snprintf(socket.options[i], sizeof(socket.options[i]), "%u", i);
	return socket;
}

static struct example *healthy(void)
{
	static struct example example;
	struct doctor_service *service = &example.service;

	example = (struct example) {
		.service = {.sockets = example.sockets,
			    .n_sockets = 4,
			    .foreign = &example.foreign,
			    .lint = &example.lint,
			    .sysctls = normal_sysctls()},
		.sockets = {socket_of(0, AF_INET, 80), socket_of(0, AF_INET6, 443),
			    socket_of(1, AF_INET, 80), socket_of(1, AF_INET6, 443)},
	};
	config_init(&service->config);
	for (unsigned i = 0; i < 2; i++) {
		struct doctor_slot *slot = &service->slots[i];

		snprintf(slot->unit, sizeof(slot->unit), "app@%u.service", i);
		snprintf(slot->kill_mode, sizeof(slot->kill_mode), "mixed");
		slot->state = SLOT_READY;
		slot->timeout_stop_usec = 90 * USEC_PER_SEC;
	}
	return &example;
}

static void judge(const struct example *example)
{
	begin();
	doctor_service(&report, &example->service);
}

/* What anybody may have packed. */
static void unpacking_is_open_or_not(void **state)
{
	struct example *example = healthy();

	(void)state;
	judge(example);
	assert_false(is_checked("service.decap"));
	example->service.config.front.decap = true;
	judge(example);
	assert_int_equal(status_of("service.decap"), DOCTOR_FINDING);
	assert_non_null(strstr(found("service.decap")->remedy, "DecapFrom="));
	example->service.config.front.n_decap_from = 1;
	judge(example);
	assert_int_equal(status_of("service.decap"), DOCTOR_OK);
}

static void units_on_the_fast_path_and_one_that_is_not(void **state)
{
	struct example *example = healthy();

	(void)state;
	example->service.fast_told = true;
	judge(example);
	assert_false(is_checked("service.fastpath"));
	example->service.config.fastpath.n_units = 2;
	judge(example);
	assert_int_equal(status_of("service.fastpath"), DOCTOR_OK);
	problem_set(&example->service.fast_problem, 0, "a.service does not run");
	judge(example);
	assert_int_equal(status_of("service.fastpath"), DOCTOR_FINDING);
	assert_non_null(strstr(found("service.fastpath")->what, "a.service does not run"));
	/* nobody has told */
	example->service.fast_told = false;
	judge(example);
	assert_false(is_checked("service.fastpath"));
}

static void replay_that_works_and_that_does_not(void **state)
{
	struct example *example = healthy();

	(void)state;
	example->service.replays = true;
	judge(example);
	assert_false(is_checked("service.replay"));
	example->service.config.replay = CONFIG_REPLAY_TEMPLATES;
	example->service.replay_exporters = 7;
	judge(example);
	assert_int_equal(status_of("service.replay"), DOCTOR_OK);
	assert_non_null(strstr(found("service.replay")->what, "of 7 exporters"));
	problem_set(&example->service.replay_problem, 0, "hs-replay does not run");
	judge(example);
	assert_int_equal(status_of("service.replay"), DOCTOR_FINDING);
	assert_non_null(strstr(found("service.replay")->what, "hs-replay does not run"));
	/* nobody has told */
	example->service.replays = false;
	judge(example);
	assert_false(is_checked("service.replay"));
}

/* What is said of UDP: nothing, what Flow=connection means, and besides that for a port of
 * collectors. */
static void flows_that_stay(void **state)
{
	struct example *example = healthy();

	(void)state;
	judge(example);
	assert_false(is_checked("service.flow"));
	for (unsigned i = 0; i < 4; i++)
		example->sockets[i].address.udp = true;
	judge(example);
	assert_non_null(strstr(found("service.flow")->what, CONFIG_FLOW_STAYS));
	assert_null(strstr(found("service.flow")->what, "a port of"));
	example->sockets[1].address.port = example->sockets[3].address.port = 4739;
	judge(example);
	assert_int_equal(status_of("service.flow"), DOCTOR_OK);
	assert_non_null(strstr(found("service.flow")->what,
			       "a port of IPFIX: Flow=none is what exporters want"));
	example->service.config.flow = HS_FLOW_NONE;
	judge(example);
	assert_false(is_checked("service.flow"));
}

static void a_healthy_service_has_no_findings(void **state)
{
	struct example *example = healthy();

	(void)state;
	judge(example);
	assert_found("", 0);
	assert_int_equal(status_of("service.sockets"), DOCTOR_OK);
	/* several shards, unlike each other only in what is theirs */
	example->sockets[1] = socket_of(0, AF_INET, 80);
	example->sockets[3] = socket_of(1, AF_INET, 80);
	judge(example);
	assert_found("", 0);
	/* a backlog as large as the kernel's default allows */
	for (unsigned i = 0; i < 4; i++)
		example->sockets[i].backlog = 4096;
	judge(example);
	assert_found("", 0);
	/* started at boot: all, or none */
	example->service.slots[0].boot = example->service.slots[1].boot = BOOT_YES;
	judge(example);
	assert_found("", 0);
	example->service.slots[0].boot = example->service.slots[1].boot = BOOT_NO;
	judge(example);
	assert_found("", 0);
	/* without systemd nothing is known of units */
	example->service.lint = NULL;
	example->service.slots[0].kill_mode[0] = '\0';
	example->service.slots[0].timeout_stop_usec = 0;
	judge(example);
	assert_found("", 0);
}

static void an_exclusive_service_has_one_instance(void **state)
{
	struct example *example = healthy();

	(void)state;
	example->service.slots[1].state = SLOT_DOWN;
	example->service.n_sockets = 2;
	judge(example);
	assert_found("slot.ready", 1);
	example->service.config.exclusive = true;
	judge(example);
	assert_found("", 0);
	example->service.slots[1].state = SLOT_FAILED;
	judge(example);
	assert_found("slot.ready", 1);
	example->service.slots[1].state = SLOT_DOWN;
	example->service.active = 1;
	example->service.slots[0].state = SLOT_DOWN;
	judge(example);
	assert_found("slot.ready", 1);
}

static void a_key_that_is_refused(struct example *example)
{
	problem_set(&example->service.unsettled, 0, "HashKey=/etc/key can be read by others");
}

static void wrong_settings(struct example *example)
{
	struct doctor_service *service = &example->service;
	struct lint_finding finding = {.refuses = true,
				       .what = "The configuration is wrong",
				       .why = service->config_problem.text,
				       .remedy = "Correct it first"};

	problem_set(&service->config_problem, 0, "app.conf:3: Drain=soon is wrong");
	/* enable says the same: once is enough */
	lint_add(&example->lint, &finding);
}

static void a_lint_finding(struct example *example)
{
	struct lint_finding finding = {.refuses = true,
				       .file = "/etc/systemd/system/app@.socket",
				       .what = "Accept=yes",
				       .why = "systemd then accepts by itself",
				       .remedy = "Set Accept=no there"};

	lint_add(&example->lint, &finding);
}

static void files_missing(struct example *example)
{
	example->service.pending = 2;
}

static void reload_missing(struct example *example)
{
	example->service.needs_reload = true;
}

static void a_slot_failed(struct example *example)
{
	example->service.slots[1].state = SLOT_FAILED;
}

static void both_at_boot_though_exclusive(struct example *example)
{
	example->service.config.exclusive = true;
	example->service.slots[1].state = SLOT_DOWN;
	example->service.slots[0].boot = example->service.slots[1].boot = BOOT_YES;
}

static void half_at_boot(struct example *example)
{
	example->service.slots[0].boot = BOOT_YES;
	example->service.slots[1].boot = BOOT_NO;
}

static void kills_nobody(struct example *example)
{
	strcpy(example->service.slots[1].kill_mode, "none");
}

static void stops_in_haste(struct example *example)
{
	example->service.slots[0].timeout_stop_usec = USEC_PER_SEC;
}

static void another_backlog(struct example *example)
{
	example->sockets[2].backlog = 128;
}

static void a_cut_backlog(struct example *example)
{
	example->service.sysctls.values[SYSCTL_SOMAXCONN] = 600;
	example->sockets[0].backlog = example->sockets[2].backlog = 600;
}

static void another_owner(struct example *example)
{
	example->sockets[3].uid = 0;
}

static void another_option(struct example *example)
{
	strcpy(example->sockets[2].options[SOCKOPT_DEFER_ACCEPT], "77");
	strcpy(example->sockets[2].options[SOCKOPT_CONGESTION], "bbr");
}

static void multipath(struct example *example)
{
	example->sockets[0].mptcp = true;
}

static void no_reuseport(struct example *example)
{
	example->sockets[1].reuseport = false;
}

static void a_port_for_clients(struct example *example)
{
	for (unsigned i = 0; i < 4; i += 2)
		example->sockets[i].address.port = 40000;
}

static void a_port_nobody_serves(struct example *example)
{
	example->service.config.ports[0] = (struct config_port) {.port = 81, .tcp = true};
	example->service.config.n_ports = 1;
}

static void more_addresses_than_there_may_be(struct example *example)
{
	static struct doctor_socket many[CONFIG_LISTENERS_MAX + 1];

	for (unsigned i = 0; i < ARRAY_SIZE(many); i++)
		many[i] = socket_of(0, AF_INET, (uint16_t)(1000 + i));
	example->service.sockets = many;
	example->service.n_sockets = ARRAY_SIZE(many);
}

static void no_park(struct example *example)
{
	example->service.unparked = true;
	example->service.without_park = example->sockets[0].address;
}

static void a_folder_that_was_left(struct example *example)
{
	snprintf(example->service.held, sizeof(example->service.held), "/run/app/app.sock");
}

static void a_stranger(struct example *example)
{
	problem_set(&example->foreign.text, 0, "process 7 (nc) listens on 0.0.0.0:80");
	example->service.n_foreign = 1;
}

static void a_stranger_in_front(struct example *example)
{
	a_stranger(example);
	example->foreign.in_front = true;
}

static void each_fault_is_found_once(void **state)
{
	static const struct {
		void (*harm)(struct example *example);
		const char *id;
		size_t times;
	} faults[] = {
		{wrong_settings, "service.settings", 1},
		{a_key_that_is_refused, "service.settings", 1},
		{a_lint_finding, "unit.lint", 1},
		{files_missing, "unit.drop-in", 1},
		{reload_missing, "unit.reload", 1},
		{a_slot_failed, "slot.ready", 1},
		{half_at_boot, "unit.boot", 1},
		{both_at_boot_though_exclusive, "unit.boot", 1},
		{kills_nobody, "unit.kill-mode", 1},
		{stops_in_haste, "unit.stop-timeout", 1},
		{another_backlog, "service.backlog-differs", 1},
		{a_cut_backlog, "service.backlog-cut", 2},
		{another_owner, "service.uid", 1},
		{another_option, "service.options", 1},
		{multipath, "service.mptcp", 1},
		{no_reuseport, "service.reuseport", 1},
		{a_port_for_clients, "service.local-ports", 1},
		{a_port_nobody_serves, "service.ports", 1},
		{more_addresses_than_there_may_be, "service.listeners", 1},
		{no_park, "service.park", 1},
		{a_folder_that_was_left, "service.folder", 1},
		{a_stranger, "service.foreign", 1},
		{a_stranger_in_front, "service.foreign-in-front", 1},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(faults); i++) {
		struct example *example = healthy();

		faults[i].harm(example);
		judge(example);
		assert_found(faults[i].id, faults[i].times);
	}
}

static void options_that_differ_are_named(void **state)
{
	struct example *example = healthy();

	(void)state;
	another_option(example);
	judge(example);
	for (size_t i = 0; i < report.n; i++) {
		if (report.items[i].status != DOCTOR_FINDING)
			continue;
		assert_non_null(strstr(report.items[i].what, "TCP_DEFER_ACCEPT 1 and 77"));
		assert_non_null(strstr(report.items[i].what, "TCP_CONGESTION 11 and bbr"));
		assert_null(strstr(report.items[i].what, "SO_RCVBUF"));
	}
	/* of one that could not be borrowed nothing is known */
	example->sockets[2].borrowed = false;
	judge(example);
	assert_found("", 0);
}

static void reserved_ports_are_kept_free(void **state)
{
	static const struct {
		const char *list;
		bool found;
	} lists[] = {
		{"", true},
		{"40000", false},
		{"80,39999-40001\n", false},
		{"80,40001-40002", true},
		{"39000-39999,41000", true},
		{"nonsense", true},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		struct example *example = healthy();

		a_port_for_clients(example);
		snprintf(example->service.sysctls.reserved,
			 sizeof(example->service.sysctls.reserved), "%s", lists[i].list);
		judge(example);
		assert_found(lists[i].found ? "service.local-ports" : "", lists[i].found);
	}
}

static void a_note_is_no_finding(void **state)
{
	struct example *example = healthy();

	(void)state;
	a_lint_finding(example);
	example->lint.items[0].refuses = example->lint.refused = false;
	judge(example);
	assert_found("", 0);
	assert_int_equal(status_of("unit.lint"), DOCTOR_OK);
}

static void who_filters_has_no_park(void **state)
{
	struct example *example = healthy();

	(void)state;
	no_park(example);
	example->service.filtered = true;
	judge(example);
	assert_found("", 0);
	assert_int_equal(status_of("service.park"), DOCTOR_SKIPPED);
}

static void too_many_are_counted(void **state)
{
	static const struct doctor_advice advice = {"some.id", "why it matters so much",
						    "what can be done"};

	(void)state;
	begin();
	for (unsigned i = 0; i < DOCTOR_CHECKS_MAX + 5; i++)
		doctor_add(&report, DOCTOR_FINDING, &advice, "number %u", i);
	assert_int_equal(report.n, DOCTOR_CHECKS_MAX);
	assert_int_equal(report.findings, DOCTOR_CHECKS_MAX + 5);
}

static struct doctor_front a_front(void)
{
	return (struct doctor_front) {
		.device = "eth0",
		.native = true,
		.hosts = {{.given = true,
			   .address = "10.0.0.1",
			   .state = SLOT_READY,
			   .reached = true},
			  {.given = true,
			   .address = "10.0.0.2",
			   .state = SLOT_READY,
			   .reached = true},
			  {.given = true, .address = "10.0.0.3", .state = SLOT_LEAVING}},
		.own = {.hash = "1", .policy = "hash", .by = "client", .fingerprint = "a"},
		.other = {.hash = "1", .policy = "hash", .by = "client", .fingerprint = "a"},
	};
}

static void judge_front(const struct doctor_front *front, const char *id, size_t times)
{
	begin();
	doctor_front(&report, front);
	assert_found(id, times);
}

static void each_fault_of_a_front_is_found(void **state)
{
	struct doctor_front front = a_front();

	(void)state;
	judge_front(&front, "", 0);
	problem_set(&front.config_problem, 0, "Section [Front] lacks Ports=");
	judge_front(&front, "service.settings", 1);
	front = a_front();
	problem_set(&front.unsettled, 0, "HashKey=/etc/key can be read by others");
	judge_front(&front, "service.settings", 1);
	front = a_front();
	problem_set(&front.problem, 0, "another XDP program is on eth0");
	judge_front(&front, "front.device", 1);
	front = a_front();
	front.device[0] = '\0';
	judge_front(&front, "front.device", 1);
	front = a_front();
	front.merges = true;
	judge_front(&front, "", 0);
	front.mode = FRONT_IPIP;
	judge_front(&front, "front.merging", 1);
	front = a_front();
	memcpy(front.untagged, "eth0.5", sizeof("eth0.5"));
	judge_front(&front, "front.vlan", 1);
	assert_non_null(strstr(found("front.vlan")->remedy, "ethtool -K eth0 rxvlan off"));
	front = a_front();
	front.no_way = 3;
	judge_front(&front, "front.way", 1);
	assert_null(strstr(found("front.way")->what, "VLAN"));
	front.hosts[1].vlan = 10;
	judge_front(&front, "front.way", 1);
	assert_non_null(strstr(found("front.way")->what, "VLAN"));
	assert_non_null(strstr(found("front.way")->remedy, "such as eth0.10"));
	front = a_front();
	strcpy(front.unrouted, "198.51.100.10");
	judge_front(&front, "front.address", 1);
	front = a_front();
	front.hosts[2].state = SLOT_DOWN;
	problem_set(&front.hosts[2].reason, 0, "connection refused");
	judge_front(&front, "front.host", 1);
	assert_non_null(strstr(found("front.host")->what, "10.0.0.1"));
	front = a_front();
	front.hosts[1].state = SLOT_LEAVING;
	judge_front(&front, "front.standby", 1);
}

static void what_becomes_of_packets_is_told_where_it_counts(void **state)
{
	struct doctor_front front = a_front();
	struct problem sentence = {0};

	(void)state;
	front.tried = true;
	front.place = (struct front_place) {.mode = FRONT_NAT, .device = "eth0", .native = true};
	front.mode = FRONT_NAT;
	for (unsigned i = 0; i < FRONT_ABILITY_COUNT; i++)
		front.results[i].verdict = ABILITY_WORKS;
	judge_front(&front, "", 0);
	assert_int_equal(status_of("front.driver"), DOCTOR_OK);
	front.results[FRONT_SENDS] =
		(struct ability_result) {ABILITY_FAILS, "a SYN, IPv4, is lost"};
	/* behind the driver, where it is not */
	judge_front(&front, "", 0);
	assert_false(front_ability_is_wrong(front.results, &front.place, &sentence));
	front.place.native = false;
	judge_front(&front, "front.sends", 1);
	assert_true(front_ability_is_wrong(front.results, &front.place, &sentence));
	assert_non_null(strstr(sentence.text, "a SYN, IPv4, is lost"));
	assert_non_null(strstr(sentence.text, "Use another kernel"));
	front.results[FRONT_SENDS].verdict = ABILITY_WORKS;
	front.results[FRONT_CHECKSUMS] =
		(struct ability_result) {ABILITY_FAILS, "a SYN, IPv4, has a wrong checksum"};
	judge_front(&front, "", 0);
	front.place.is_pair = true;
	judge_front(&front, "", 0);
	assert_int_equal(status_of("front.checksums"), DOCTOR_SKIPPED);
	assert_false(front_ability_is_wrong(front.results, &front.place, &sentence));
	front.place.native = true;
	front.results[FRONT_IN_DRIVER] = (struct ability_result) {ABILITY_FAILS, "it is lost"};
	judge_front(&front, "front.driver", 1);
	front.results[FRONT_IN_DRIVER].verdict = ABILITY_UNKNOWN;
	judge_front(&front, "", 0);
	assert_int_equal(status_of("front.driver"), DOCTOR_SKIPPED);
}

/* The table differs, from the key on to what is seen soonest. */
static void a_table_that_differs_is_explained(struct doctor_front front)
{
	front.own.told = front.other.told = true;
	front.own.members = front.other.members = 7;
	judge_front(&front, "front.peer", 1);
	assert_string_equal(found("front.peer")->what, "The key is not that of front2");
	front.other.moved = 3;
	judge_front(&front, "front.peer", 1);
	assert_non_null(strstr(found("front.peer")->what, "moved 0 buckets here and 3 on front2"));
	front.other.weights[1] = 50;
	judge_front(&front, "front.peer", 1);
	assert_string_equal(found("front.peer")->what, "The weights are not those of front2");
	front.own.pinned = 5;
	judge_front(&front, "front.peer", 1);
	assert_string_equal(found("front.peer")->what, "The pins are not those of front2");
	front.other.members = 5;
	judge_front(&front, "front.peer", 1);
	assert_non_null(strstr(found("front.peer")->what, "are 0, 1, 2 here, and 0, 2 on front2"));
}

static void a_peer_has_the_same_or_it_is_told(void **state)
{
	struct doctor_front front = a_front();

	(void)state;
	front.peer = "front2";
	judge_front(&front, "", 0);
	assert_int_equal(status_of("front.peer"), DOCTOR_OK);
	problem_set(&front.peer_problem, 0, "no way there");
	judge_front(&front, "front.peer", 1);
	front.peer_problem.text[0] = '\0';
	strcpy(front.other.fingerprint, "b");
	judge_front(&front, "front.peer", 1);
	assert_non_null(strstr(found("front.peer")->remedy, "HashKey="));
	a_table_that_differs_is_explained(front);
	front.own.fingerprint[0] = front.other.fingerprint[0] = '\0';
	strcpy(front.own.policy, "standby");
	strcpy(front.other.policy, "standby");
	judge_front(&front, "", 0);
	front.other.active = 1;
	judge_front(&front, "front.peer", 1);
	assert_non_null(strstr(found("front.peer")->remedy, "switchover"));
	strcpy(front.own.policy, "hash");
	judge_front(&front, "front.peer", 1);
	assert_non_null(strstr(found("front.peer")->what, "standby"));
	strcpy(front.other.hash, "2");
	judge_front(&front, "front.peer", 1);
	assert_non_null(strstr(found("front.peer")->what, "ports"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_fault_of_a_front_is_found),
		cmocka_unit_test(what_becomes_of_packets_is_told_where_it_counts),
		cmocka_unit_test(a_peer_has_the_same_or_it_is_told),
		cmocka_unit_test(each_ability_is_a_check),
		cmocka_unit_test(what_is_vital_to_the_fast_path),
		cmocka_unit_test(sysctls_that_hurt),
		cmocka_unit_test(faults_of_the_machine),
		cmocka_unit_test(a_healthy_service_has_no_findings),
		cmocka_unit_test(flows_that_stay),
		cmocka_unit_test(unpacking_is_open_or_not),
		cmocka_unit_test(replay_that_works_and_that_does_not),
		cmocka_unit_test(units_on_the_fast_path_and_one_that_is_not),
		cmocka_unit_test(an_exclusive_service_has_one_instance),
		cmocka_unit_test(each_fault_is_found_once),
		cmocka_unit_test(options_that_differ_are_named),
		cmocka_unit_test(reserved_ports_are_kept_free),
		cmocka_unit_test(a_note_is_no_finding),
		cmocka_unit_test(who_filters_has_no_park),
		cmocka_unit_test(too_many_are_counted),
	};

	return cmocka_run_group_tests_name("doctor", tests, NULL, NULL);
}
