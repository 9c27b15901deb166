// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Pins go from one version to the next and back while connections live and come: nothing is lost,
 * no count begins anew, and who dies in the middle, at each step of it, is followed by one that
 * ends it. Programs in control groups are replaced where they are.
 *
 * There of all steps only some are tried, each time others; with HANDOVER_ALL=1 all.
 */
#include "cases.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/fsuid.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "plane/act/force.h"
#include "plane/bpf/guard.h"
#include "plane/bpf/handover.h"
#include "plane/bpf/load.h"
#include "plane/bpf/mptcp.h"
#include "plane/bpf/own.h"
#include "plane/bpf/pinset.h"
#include "plane/kernel/cgroup.h"
#include "plane/kernel/program.h"
#include "plane/parts/table.h"

#define PORT   8080
#define EVERY  10
#define FOLDER HS_PIN_ROOT "/web"
#define ROOM   FOLDER "/room"
#define NOW    HS_PIN_ROOT "/" HS_PIN_ACCOUNTING
#define BEFORE HS_PIN_ROOT "/" HS_PIN_ACCOUNTING_BEFORE

/* ---- the two versions ---- */

static void drop(struct rig *rig)
{
	rig->plane = plane_free(rig->plane);
	rig->accounting = accounting_free(rig->accounting);
}

static void give_back(void)
{
	struct problem problem = {0};

	if (handover_give_back(HS_ABI_BEFORE, false, &problem) < 0)
		rig_fail(__FILE__, __LINE__, "not given back: %s", problem.text);
}

static void assert_before(void)
{
	assert_int_equal(handover_version(FOLDER), HS_ABI_BEFORE);
	assert_int_equal(access(BEFORE "/link", F_OK), 0);
	assert_int_not_equal(access(NOW, F_OK), 0);
	assert_int_not_equal(access(ROOM, F_OK), 0);
}

static void assert_now(void)
{
	_cleanup_(close_fdp) int fd = -1;
	struct hs_room room;
	uint32_t zero = 0;

	assert_int_equal(handover_version(FOLDER), HS_ABI_VERSION);
	assert_int_equal(access(NOW "/link", F_OK), 0);
	assert_int_not_equal(access(BEFORE, F_OK), 0);
	assert_int_equal(pin_open(ROOM, &fd), 0);
	assert_int_equal(bpf_map_lookup_elem(fd, &zero, &room), 0);
	assert_int_equal(room.size, HS_ROOM_SIZE);
	assert_int_equal(room.needs, 0);
}

static void go_back(struct rig *rig)
{
	drop(rig);
	give_back();
	assert_before();
}

static uint32_t pinned_map(const char *path)
{
	_cleanup_(close_fdp) int fd = -1;
	struct bpf_map_info info = {0};
	uint32_t size = sizeof(info);

	assert_int_equal(pin_open(path, &fd), 0);
	assert_int_equal(bpf_obj_get_info_by_fd(fd, &info, &size), 0);
	return info.id;
}

/* ---- dying ---- */

/* What changes something that others see. */
static bool is_step(const struct __ptrace_syscall_info *info)
{
	switch (info->entry.nr) {
#ifdef SYS_rename
	case SYS_rename:
	case SYS_unlink:
	case SYS_rmdir:
	case SYS_mkdir:
#endif
	case SYS_renameat2:
	case SYS_unlinkat:
	case SYS_mkdirat:
		return true;
	case SYS_bpf:
		switch (info->entry.args[0]) {
		case BPF_MAP_UPDATE_ELEM:
		case BPF_OBJ_PIN:
		case BPF_PROG_ATTACH:
		case BPF_PROG_DETACH:
		case BPF_LINK_CREATE:
		case BPF_LINK_UPDATE:
			return true;
		}
	}
	return false;
}

static bool has_taken_step(pid_t pid, bool *entered)
{
	struct __ptrace_syscall_info info;

	if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info) <= 0)
		return false;
	if (info.op == PTRACE_SYSCALL_INFO_ENTRY)
		*entered = is_step(&info);
	return info.op == PTRACE_SYSCALL_INFO_EXIT && *entered && info.exit.rval >= 0;
}

static pid_t begin_traced(void (*task)(void))
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		task();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(
		ptrace(PTRACE_SETOPTIONS, pid, NULL, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL), 0);
	return pid;
}

/* Runs `task` in a child and kills it when it has taken its n-th step, from 1 on. False when it has
 * ended before. */
static bool dies_at(unsigned nth, void (*task)(void))
{
	pid_t pid = begin_traced(task);
	bool entered = false;
	int status;

	for (;;) {
		assert_int_equal(ptrace(PTRACE_SYSCALL, pid, NULL, NULL), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (WIFEXITED(status)) {
			assert_int_equal(status, 0);
			return false;
		}
		assert_true(WIFSTOPPED(status));
		if (has_taken_step(pid, &entered) && !--nth)
			break;
	}
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	return true;
}

static void take_over(void)
{
	struct accounting *accounting;
	struct plane *plane;

	if (accounting_open(&accounting, NULL) < 0 ||
	    plane_create("web", accounting, &plane, NULL) < 0)
		_exit(1);
}

/* ---- the tests ---- */

static void nothing_is_lost_forward_and_back(void **state)
{
	static const char *const kept[] = {"control", "counters", "tcp4-0_0_0_0-8080/sockets"};
	struct rig *rig = *state;
	struct address at = rig_any(PORT), client = rig_local(PORT);
	struct pair pair = start_pair(rig, &at);
	uint32_t ids[ARRAY_SIZE(kept)];
	int held, ended;
	uint64_t word;

	serve_pair(&pair);
	held = client_connect(&client);
	ended = client_connect(&client);
	assert_int_equal(client_ask(held), 'A');
	assert_int_equal(client_ask(ended), 'A');
	rig_until(rig_slot(rig, 0).opened == 2);
	for (size_t i = 0; i < ARRAY_SIZE(kept); i++)
		ids[i] = pinned_map(pin_path(FOLDER "/%s", kept[i]).text);
	word = plane_word(rig->plane);

	go_back(rig);
	assert_int_equal(client_ask(held), 'A');
	assert_int_equal(ask_often(&client, 10).of['A'], 10);
	client_reset(ended);

	rig_planes(rig);
	assert_now();
	assert_int_equal(plane_word(rig->plane), word);
	for (size_t i = 0; i < ARRAY_SIZE(kept); i++)
		assert_int_equal(pinned_map(pin_path(FOLDER "/%s", kept[i]).text), ids[i]);
	/* what happened meanwhile was counted, and what began before is counted to its end */
	rig_until(rig_slot(rig, 0).opened == 12 && rig_slot(rig, 0).closed == 11);
	rig_flip(rig, 1);
	assert_int_equal(ask_often(&client, 10).of['B'], 10);
	assert_int_equal(client_ask(held), 'A');
	assert_int_equal(rig_adopt(rig, pair.a), 0);
	assert_int_equal(rig_adopt(rig, pair.b), 0);
	client_reset(held);
	rig_until(rig_slot(rig, 0).closed == 12 && rig_slot(rig, 1).closed == 10);
}

static uint64_t fingerprint(const struct rig *rig)
{
	struct hs_table_copy *copy = malloc(sizeof(*copy));
	uint64_t print;

	assert_non_null(copy);
	assert_true(plane_table_read(rig->plane, copy));
	print = spread_fingerprint(copy);
	free(copy);
	return print;
}

static void take_hash(struct rig *rig)
{
	const struct table_change hash = {
		.in_service = 0x3, .take_policy = true, .by = HS_BY_CLIENT, .slots = 2};
	struct table_outcome outcome;
	struct problem problem = {0};

	if (plane_table_change(rig->plane, &hash, &outcome, &problem) < 0)
		rig_fail(__FILE__, __LINE__, "%s", problem.text);
}

/* Of a table the version before knows nothing: it has left all as it was when we are back. */
static void a_table_comes_when_it_is_wanted_and_is_kept(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT), client = rig_local(PORT);
	struct pair pair = start_pair(rig, &at);
	uint64_t print;
	char slot;
	int held;

	serve_pair(&pair);
	rig_policy(rig, HS_POLICY_HASH);
	go_back(rig);
	held = client_connect(&client);
	slot = client_ask(held);
	rig_planes(rig);
	assert_now();
	/* as before: over all that are ready, by the connection's own hash */
	assert_false(plane_is_spread(rig->plane));
	assert_true(ask_often(&client, 50).of['A'] > 5);
	assert_true(ask_often(&client, 50).of['B'] > 5);
	assert_int_equal(rig_adopt(rig, pair.a), 0);
	assert_int_equal(rig_adopt(rig, pair.b), 0);
	take_hash(rig);
	assert_true(plane_is_spread(rig->plane));
	print = fingerprint(rig);
	/* a client is on one slot now */
	assert_int_equal(ask_often(&client, 20).of['A'] % 20, 0);
	go_back(rig);
	assert_int_equal(ask_often(&client, 20).of['A'] % 20, 0);
	rig_planes(rig);
	assert_now();
	assert_true(plane_is_spread(rig->plane) && fingerprint(rig) == print);
	assert_int_equal(client_ask(held), slot);
	client_reset(held);
}

/* A look changes nothing, and finds what there is. */
static void who_looks_finds_the_version_before(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT), client = rig_local(PORT);
	struct pair pair = start_pair(rig, &at);
	struct problem problem = {0};

	serve_pair(&pair);
	rig_flip(rig, 1);
	go_back(rig);
	assert_int_equal(accounting_look(&rig->accounting), 0);
	assert_int_equal(plane_open("web", rig->accounting, &rig->plane, &problem), 0);
	assert_int_equal(hs_word_active(plane_word(rig->plane)), 1);
	assert_int_equal(ask_often(&client, 3).of['B'], 3);
	rig_until(rig_slot(rig, 1).closed == 3);
	assert_non_null(plane_own(rig->plane));
	assert_non_null(accounting_guard(rig->accounting));
	assert_before();
	drop(rig);
	assert_int_not_equal(access(NOW, F_OK), 0);
	rig_planes(rig);
}

/* An hsd of the version before, say: it would find pins that it refuses. */
static void pins_in_use_are_left_alone(void **state)
{
	struct rig *rig = *state;
	_cleanup_(close_fdp) int user = -1;
	struct accounting *accounting;
	struct problem problem = {0};
	struct plane *plane;

	assert_int_equal(handover_give_back(HS_ABI_BEFORE, false, &problem), -ETXTBSY);
	assert_non_null(strstr(problem.text, "fuser -v"));
	assert_now();
	go_back(rig);
	user = open(BEFORE, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(flock(user, LOCK_SH), 0);
	assert_int_equal(accounting_open(&accounting, &problem), -ETXTBSY);
	assert_non_null(strstr(problem.text, "systemctl restart hsd"));
	assert_int_equal(plane_create("web", NULL, &plane, &problem), -ETXTBSY);
	assert_before();
	user = close_fd(user);
	rig_planes(rig);
	assert_now();
}

static void a_service_alone_is_taken_over_without_accounting(void **state)
{
	struct rig *rig = *state;

	go_back(rig);
	assert_int_equal(plane_create("web", NULL, &rig->plane, NULL), 0);
	assert_now();
}

static void who_dies_is_followed_by_one_that_ends_it(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT), client = rig_local(PORT);
	struct pair pair = start_pair(rig, &at);
	unsigned nth = 0, active = 0;
	int held;
	bool died;

	serve_pair(&pair);
	held = client_connect(&client);
	do {
		go_back(rig);
		died = dies_at(++nth, take_over);
		assert_int_equal(ask_often(&client, 4).of['A' + active], 4);
		rig_planes(rig);
		assert_now();
		active = !active;
		rig_flip(rig, active);
		assert_int_equal(ask_often(&client, 4).of['A' + active], 4);
		assert_int_equal(client_ask(held), 'A');
	} while (died);
	print_message("# killed at %u steps\n", nth - 1);
	assert_true(nth > 4);
	client_reset(held);
	rig_until(rig_slot(rig, 0).opened == rig_slot(rig, 0).closed &&
		  rig_slot(rig, 1).opened == rig_slot(rig, 1).closed);
}

static struct hs_control *the_control(void)
{
	_cleanup_(close_fdp) int fd = bpf_obj_get(FOLDER "/control");
	struct hs_control *control = load_memory(fd, sizeof(*control));

	assert_non_null(control);
	return control;
}

/* It would leave them, and when we are back they are long past. */
static void what_the_version_before_knows_nothing_of_is_forgotten(void **state)
{
	struct rig *rig = *state;
	struct hs_control *control = the_control();

	/* and when it is done again, as hsctl has drained a slot since */
	for (unsigned i = 0; i < 2; i++) {
		control->retired = 1U << HS_SLOTS_MAX | 1U << 2;
		control->upgrade = HS_DRAIN_NOTED | 1;
		go_back(rig);
		assert_int_equal(control->retired, 1U << 2);
		assert_int_equal(control->upgrade, 0);
	}
	control->upgrade = HS_UPGRADE_NOTED | 1;
	rig_planes(rig);
	go_back(rig);
	assert_int_equal(control->upgrade, HS_UPGRADE_NOTED | 1);
	control->upgrade = 0;
	munmap(control, sizeof(*control));
	rig_planes(rig);
}

/* Whichever way it is gone on with. */
static void who_dies_on_the_way_back_is_followed_likewise(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT), client = rig_local(PORT);
	struct pair pair = start_pair(rig, &at);
	unsigned nth = 0;
	bool died;

	serve_pair(&pair);
	do {
		drop(rig);
		died = dies_at(++nth, give_back);
		assert_int_equal(ask_often(&client, 4).of['A'], 4);
		if (nth % 2) {
			give_back();
			assert_before();
			give_back();
			assert_before();
		}
		rig_planes(rig);
		assert_now();
	} while (died);
	print_message("# killed at %u steps\n", nth - 1);
	assert_true(nth > 2);
}

/* ---- what is refused ---- */

static void need(uint32_t needs)
{
	_cleanup_(close_fdp) int fd = -1;
	struct hs_room room = {.size = HS_ROOM_SIZE + 8, .needs = needs, .reserved = {[0] = 7}};
	uint32_t zero = 0;

	assert_int_equal(pin_open(ROOM, &fd), 0);
	assert_int_equal(bpf_map_update_elem(fd, &zero, &room, BPF_ANY), 0);
}

static void what_one_does_not_know_of_is_refused(void **state)
{
	struct rig *rig = *state;
	struct problem problem = {0};

	drop(rig);
	need(1U << 31);
	assert_int_equal(plane_create("web", NULL, &rig->plane, &problem), -EPROTO);
	assert_non_null(strstr(problem.text, "0x80000000"));
	assert_int_equal(handover_give_back(HS_ABI_BEFORE, false, &problem), -EPROTO);
	assert_non_null(strstr(problem.text, FOLDER));
	assert_int_equal(handover_version(FOLDER), HS_ABI_VERSION);
	/* more fields alone are no reason */
	need(0);
	rig_planes(rig);
}

static void no_other_version_is_given_back_to(void **state)
{
	struct problem problem = {0};

	drop(*state);
	assert_int_equal(handover_give_back(HS_ABI_BEFORE - 1, false, &problem), -EINVAL);
	assert_int_equal(handover_give_back(HS_ABI_VERSION, false, &problem), -EINVAL);
	assert_non_null(strstr(problem.text, "to version 3, the one before 4"));
	assert_now();
	rig_planes(*state);
}

/* The older one was installed without a word, and its hsd has begun anew beside. */
static void an_older_one_that_was_started_by_mistake_leaves_nothing(void **state)
{
	struct rig *rig = *state;
	struct plane *plane;
	struct problem problem = {0};

	drop(rig);
	assert_int_equal(mkdir(BEFORE, 0750), 0);
	rig_planes(rig);
	assert_now();
	/* but if it has a service, that one's connections are counted there */
	assert_int_equal(plane_create("db", NULL, &plane, NULL), 0);
	drop(rig);
	plane_free(plane);
	give_back();
	assert_int_equal(mkdir(NOW, 0750), 0);
	rig->accounting = NULL;
	assert_int_equal(plane_create("db", NULL, &plane, &problem), -EPROTO);
	assert_non_null(strstr(problem.text, "older hotstandby"));
	assert_int_equal(handover_give_back(HS_ABI_BEFORE, false, &problem), -EPROTO);
	assert_int_equal(rmdir(NOW), 0);
	rig_planes(rig);
	assert_now();
}

/* ---- programs in control groups ---- */

static const struct {
	enum bpf_attach_type type;
	const char *pin;
} attached[] = {
	{BPF_CGROUP_SOCK_OPS, NOW "/listening"},
	{BPF_CGROUP_SETSOCKOPT, NOW "/guard"},
	{BPF_CGROUP_INET_EGRESS, NOW "/own-egress"},
	{BPF_CGROUP_INET_SOCK_RELEASE, NOW "/own-release"},
	{BPF_CGROUP_INET_SOCK_CREATE, NOW "/mptcp"},
	{BPF_CGROUP_INET4_BIND, FOLDER "/bind4"},
	{BPF_CGROUP_INET6_BIND, FOLDER "/bind6"},
};

static void attach_all(struct rig *rig, const struct server *server)
{
	struct own_place place = {.service_id = plane_id(rig->plane), .slot = server->slot};
	struct force *force;

	rig_check(!accounting_watch_cgroup(rig->accounting, server->cgroup));
	rig_check(!guard_cgroup(accounting_guard(rig->accounting), server->cgroup));
	rig_check(!own_cgroup(plane_own(rig->plane), server->cgroup, &place));
	rig_check(!mptcp_refuse(server->cgroup, NULL));
	rig_check(!force_create("web", &force, NULL));
	rig_check(force_attach(force, server->cgroup, NULL) >= 0);
	force_free(force);
}

/* Each once, and what is pinned. */
static void assert_attached(const struct server *server)
{
	_cleanup_(close_fdp) int cgroup = -1;

	assert_int_equal(cgroup_open(server->cgroup, &cgroup), 0);
	for (size_t i = 0; i < ARRAY_SIZE(attached); i++) {
		_cleanup_(close_fdp) int pin = -1;
		uint32_t ids[8], n = ARRAY_SIZE(ids), id;

		assert_int_equal(bpf_prog_query(cgroup, attached[i].type, 0, NULL, ids, &n), 0);
		assert_int_equal(n, 1);
		assert_int_equal(pin_open(attached[i].pin, &pin), 0);
		assert_int_equal(program_id(pin, &id), 0);
		assert_int_equal(ids[0], id);
		assert_int_not_equal(access(pin_path("%s-next", attached[i].pin).text, F_OK), 0);
	}
}

/* Without hsd, between the two releases. */
static void who_disables_takes_the_bind_programs_of_the_version_before_away(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct pair pair = start_pair(rig, &at);
	_cleanup_(close_fdp) int cgroup = -1;
	struct force *force;

	attach_all(rig, pair.a);
	assert_int_equal(cgroup_open(pair.a->cgroup, &cgroup), 0);
	go_back(rig);
	assert_int_equal(force_open("web", &force), 0);
	assert_int_equal(force_detach(force, pair.a->cgroup), 0);
	force_free(force);
	for (size_t i = 0; i < ARRAY_SIZE(attached); i++) {
		bool binds = strstr(attached[i].pin, "/bind");
		uint32_t ids[8], n = ARRAY_SIZE(ids);

		assert_int_equal(bpf_prog_query(cgroup, attached[i].type, 0, NULL, ids, &n), 0);
		assert_int_equal(n, binds || attached[i].type == BPF_CGROUP_SOCK_OPS ? 0 : 1);
	}
	assert_before();
	rig_planes(rig);
}

/* As if another release had made them. */
static void forge_builds(void)
{
	static const char *const builds[] = {"build", "guard-build", "own-build", "mptcp-build"};
	uint32_t zero = 0;
	uint64_t other = 1;
	_cleanup_(close_fdp) int ports = -1;
	struct hs_ports *map;

	for (size_t i = 0; i < ARRAY_SIZE(builds); i++) {
		_cleanup_(close_fdp) int fd = -1;

		rig_check(!pin_open(pin_path("%s/%s", NOW, builds[i]).text, &fd));
		rig_check(!bpf_map_update_elem(fd, &zero, &other, BPF_ANY));
	}
	ports = bpf_obj_get(FOLDER "/ports");
	map = load_memory(ports, sizeof(*map));
	rig_check(map);
	map->build = 1;
	munmap(map, sizeof(*map));
}

static uint32_t pinned_program(const char *path)
{
	_cleanup_(close_fdp) int fd = -1;
	uint32_t id;

	rig_check(!pin_open(path, &fd));
	rig_check(!program_id(fd, &id));
	return id;
}

/* As hsd does, for all services at once; else as hsctl for one. */
static bool as_hsd;

static void open_all(void)
{
	struct accounting *accounting;
	struct plane *plane;
	struct force *force;

	if (as_hsd)
		force_renew();
	if (accounting_open(&accounting, NULL) < 0 || !accounting_guard(accounting) ||
	    plane_create("web", accounting, &plane, NULL) < 0 || !plane_own(plane) ||
	    mptcp_refuse("/no/such/cgroup", NULL) != -ENOENT ||
	    force_create("web", &force, NULL) < 0)
		_exit(1);
}

static unsigned count_attached(const struct server *server, int type)
{
	_cleanup_(close_fdp) int cgroup = -1;
	uint32_t ids[8], n = ARRAY_SIZE(ids);

	assert_int_equal(cgroup_open(server->cgroup, &cgroup), 0);
	assert_int_equal(bpf_prog_query(cgroup, type, 0, NULL, ids, &n), 0);
	return n;
}

/* In one control group it is the next one, in the other still the one before. */
static void leave_half_replaced(struct rig *rig, const struct server *server)
{
	_cleanup_(close_fdp) int now = -1, cgroup = -1, next = -1;

	drop(rig);
	assert_int_equal(pin_open(NOW "/listening", &now), 0);
	forge_builds();
	assert_false(dies_at(UINT32_MAX, open_all));
	assert_int_equal(rename(NOW "/listening", NOW "/listening-next"), 0);
	assert_int_equal(pin_object(now, NOW "/listening"), 0);
	assert_int_equal(pin_open(NOW "/listening-next", &next), 0);
	assert_int_equal(cgroup_open(server->cgroup, &cgroup), 0);
	assert_int_equal(bpf_prog_detach2(next, cgroup, BPF_CGROUP_SOCK_OPS), 0);
	assert_int_equal(bpf_prog_attach(now, cgroup, BPF_CGROUP_SOCK_OPS, BPF_F_ALLOW_MULTI), 0);
}

static void one_that_was_being_replaced_is_detached(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct pair pair = start_pair(rig, &at);

	attach_all(rig, pair.a);
	attach_all(rig, pair.b);
	leave_half_replaced(rig, pair.a);
	give_back();
	assert_int_equal(count_attached(pair.a, BPF_CGROUP_SOCK_OPS), 0);
	assert_int_equal(count_attached(pair.b, BPF_CGROUP_SOCK_OPS), 0);
	rig_planes(rig);
}

static void programs_in_control_groups_are_replaced(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct pair pair = start_pair(rig, &at);
	uint32_t ids[ARRAY_SIZE(attached)];

	attach_all(rig, pair.a);
	attach_all(rig, pair.b);
	assert_attached(pair.a);
	for (size_t i = 0; i < ARRAY_SIZE(attached); i++)
		ids[i] = pinned_program(attached[i].pin);
	forge_builds();
	drop(rig);
	assert_false(dies_at(UINT32_MAX, open_all));
	rig_planes(rig);
	for (size_t i = 0; i < ARRAY_SIZE(attached); i++)
		assert_int_not_equal(pinned_program(attached[i].pin), ids[i]);
	assert_attached(pair.a);
	assert_attached(pair.b);
	attach_all(rig, pair.a);
	assert_attached(pair.a);
}

/* The release to whose build they belong may be at work still, or again. */
static void who_looks_leaves_another_build_as_it_is(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct pair pair = start_pair(rig, &at);
	uint32_t ids[ARRAY_SIZE(attached)];
	struct force *force;

	attach_all(rig, pair.a);
	for (size_t i = 0; i < ARRAY_SIZE(attached); i++)
		ids[i] = pinned_program(attached[i].pin);
	forge_builds();
	drop(rig);
	assert_int_equal(accounting_look(&rig->accounting), 0);
	assert_int_equal(plane_open("web", rig->accounting, &rig->plane, NULL), 0);
	assert_non_null(plane_own(rig->plane));
	assert_non_null(accounting_guard(rig->accounting));
	assert_int_equal(force_open("web", &force), 0);
	force_free(force);
	for (size_t i = 0; i < ARRAY_SIZE(attached); i++)
		assert_int_equal(pinned_program(attached[i].pin), ids[i]);
	assert_attached(pair.a);
	drop(rig);
	rig_planes(rig);
}

static int count_one(int cgroup_fd, int type, uint32_t id, void *userdata)
{
	unsigned *n = userdata;

	(void)cgroup_fd, (void)type, (void)id;
	++*n;
	return 0;
}

/* Whoever has had one delegated to may close it to others, and must not stop an upgrade. */
static void a_closed_control_group_is_passed_over(void **state)
{
	static const int type = BPF_CGROUP_INET_SOCK_CREATE;
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct pair pair = start_pair(rig, &at);
	char mount[PATH_MAX];
	struct pin_path closed;
	unsigned n = 0;
	uid_t was;
	int r;

	rig_check(!mptcp_refuse(pair.b->cgroup, NULL));
	assert_int_equal(cgroup_mount(mount, sizeof(mount)), 0);
	closed = pin_path("%s%s/closed", mount, rig->group);
	rig_check(!mkdir(closed.text, 0700));
	was = setfsuid(65534);
	assert_null(opendir(closed.text));
	r = cgroup_each_program(&type, 1, count_one, &n);
	setfsuid(was);
	assert_int_equal(r, 0);
	assert_true(n >= 1);
	rig_check(!rmdir(closed.text));
}

static void who_dies_in_the_middle_leaves_none_behind(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT), client = rig_local(PORT);
	struct pair pair = start_pair(rig, &at);
	unsigned every = getenv("HANDOVER_ALL") ? 1 : EVERY;
	unsigned nth = 1 + now_usec() % every;
	bool died;

	print_message("# from step %u on, each %u-th\n", nth, every);
	serve_pair(&pair);
	attach_all(rig, pair.a);
	do {
		forge_builds();
		drop(rig);
		as_hsd = !as_hsd;
		died = dies_at(nth, open_all);
		nth += every;
		assert_int_equal(ask_often(&client, 4).of['A'], 4);
		assert_false(dies_at(UINT32_MAX, open_all));
		assert_attached(pair.a);
		rig_planes(rig);
	} while (died);
	assert_true(nth > 20);
}

/* ---- hundreds of services ---- */

static unsigned services(void)
{
	return getenv("HANDOVER_SERVICES") ? (unsigned)atoi(getenv("HANDOVER_SERVICES")) : 5;
}

static struct pin_path ports_of(unsigned number)
{
	return pin_path(HS_PIN_ROOT "/many-%u/ports", number);
}

/* As if another release had made them. */
static void forge_build(const char *path)
{
	_cleanup_(close_fdp) int fd = bpf_obj_get(path);
	struct hs_ports *map = load_memory(fd, sizeof(*map));

	rig_check(map);
	map->build = 1;
	munmap(map, sizeof(*map));
}

/* Each with an instance in a control group of its own. */
static void make_service(struct rig *rig, unsigned number)
{
	struct pin_path cgroup = pin_path("%s/many-%u", rig->group, number), folder;
	char mount[PATH_MAX], name[32];
	struct force *force;
	struct plane *plane;

	snprintf(name, sizeof(name), "many-%u", number);
	rig_check(!cgroup_mount(mount, sizeof(mount)));
	folder = pin_path("%s%s", mount, cgroup.text);
	rig_check(!mkdir(folder.text, 0755));
	rig_check(!plane_create(name, rig->accounting, &plane, NULL));
	rig_check(!force_create(name, &force, NULL));
	rig_check(force_attach(force, cgroup.text, NULL) >= 0);
	force_free(force);
	plane_free(plane);
	forge_build(ports_of(number).text);
}

static uint32_t attached_to(struct rig *rig, unsigned number, int type)
{
	_cleanup_(close_fdp) int cgroup = -1;
	uint32_t ids[8], n = ARRAY_SIZE(ids);

	rig_check(!cgroup_open(pin_path("%s/many-%u", rig->group, number).text, &cgroup));
	rig_check(!bpf_prog_query(cgroup, type, 0, NULL, ids, &n));
	assert_int_equal(n, 1);
	return ids[0];
}

/* As hsd does it when it starts after an upgrade. */
static uint64_t take_up(unsigned n)
{
	uint64_t begun = now_usec();
	struct force *force;
	char name[32];

	force_renew();
	for (unsigned i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "many-%u", i);
		rig_check(!force_create(name, &force, NULL));
		force_free(force);
	}
	return now_usec() - begun;
}

/* HANDOVER_SERVICES=300 shows how long it takes. */
static void all_services_are_renewed_at_once(void **state)
{
	struct rig *rig = *state;
	unsigned n = services();
	uint32_t id;

	for (unsigned i = 0; i < n; i++)
		make_service(rig, i);
	id = attached_to(rig, 0, BPF_CGROUP_INET6_BIND);
	force_renew();
	assert_int_not_equal(attached_to(rig, 0, BPF_CGROUP_INET6_BIND), id);
	id = attached_to(rig, 0, BPF_CGROUP_INET6_BIND);
	/* nothing is left to do for each */
	take_up(1);
	assert_int_equal(attached_to(rig, 0, BPF_CGROUP_INET6_BIND), id);
	for (unsigned i = 0; i < n; i++)
		forge_build(ports_of(i).text);
	print_message("# %u services are taken up in %" PRIu64 " ms\n", n, take_up(n) / 1000);
	for (unsigned i = 0; i < n; i++) {
		struct pin_path bind4 = pin_path(HS_PIN_ROOT "/many-%u/bind4", i);
		struct pin_path bind6 = pin_path(HS_PIN_ROOT "/many-%u/bind6", i);

		assert_int_equal(attached_to(rig, i, BPF_CGROUP_INET4_BIND),
				 pinned_program(bind4.text));
		assert_int_equal(attached_to(rig, i, BPF_CGROUP_INET6_BIND),
				 pinned_program(bind6.text));
	}
	assert_int_not_equal(attached_to(rig, 0, BPF_CGROUP_INET6_BIND), id);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(nothing_is_lost_forward_and_back),
		CASE(a_table_comes_when_it_is_wanted_and_is_kept),
		CASE(who_looks_finds_the_version_before),
		CASE(pins_in_use_are_left_alone),
		CASE(a_service_alone_is_taken_over_without_accounting),
		CASE(who_dies_is_followed_by_one_that_ends_it),
		CASE(who_dies_on_the_way_back_is_followed_likewise),
		CASE(what_the_version_before_knows_nothing_of_is_forgotten),
		CASE(what_one_does_not_know_of_is_refused),
		CASE(no_other_version_is_given_back_to),
		CASE(an_older_one_that_was_started_by_mistake_leaves_nothing),
		CASE(who_disables_takes_the_bind_programs_of_the_version_before_away),
		CASE(one_that_was_being_replaced_is_detached),
		CASE(programs_in_control_groups_are_replaced),
		CASE(who_looks_leaves_another_build_as_it_is),
		CASE(a_closed_control_group_is_passed_over),
		CASE(who_dies_in_the_middle_leaves_none_behind),
		CASE(all_services_are_renewed_at_once),
	};

	return cases_run("handover", tests);
}
