// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What is pinned: made once however many want it, found again by the next process, mended when it
 * is half made, left alone when it is another version's; and the sentence when it cannot be.
 */
#include "cases.h"
#include "core/ledger.h"
#include "plane/act/told.h"

#include <bpf/bpf.h>
#include <linux/capability.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define PORT   8080
#define FOLDER HS_PIN_ROOT "/web"

/* A process of its own, which may ruin itself; what it reports comes back through memory. */
struct report {
	int r;
	struct problem problem;
};

static struct report in_process(void (*task)(struct rig *rig, struct report *report),
				struct rig *rig)
{
	struct report report, *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
					     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status;
	pid_t pid;

	assert_ptr_not_equal(shared, MAP_FAILED);
	pid = fork();
	if (!pid) {
		task(rig, shared);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	report = *shared;
	munmap(shared, sizeof(*shared));
	print_message("# %d: %s\n", report.r, report.problem.text);
	return report;
}

static void assert_says(const struct report *report, int r, const char *what)
{
	assert_int_equal(report->r, r);
	assert_non_null(strstr(report->problem.text, what));
}

static void create(struct rig *rig, struct report *report)
{
	struct accounting *accounting;
	struct plane *plane;

	(void)rig;
	report->r = accounting_open(&accounting, &report->problem);
	if (!report->r)
		report->r = plane_create("web", accounting, &plane, &report->problem);
}

static void create_without_accounting(struct rig *rig, struct report *report)
{
	struct plane *plane;

	(void)rig;
	report->r = plane_create("web", NULL, &plane, &report->problem);
}

static void open_it(struct rig *rig, struct report *report)
{
	struct plane *plane;

	(void)rig;
	report->r = plane_open("web", NULL, &plane, &report->problem);
}

/* Everything outlives the process that made it, and goes on without any. */
static void pins_outlive_their_maker(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct pair pair;
	uint64_t word;

	assert_int_equal(in_process(create, rig).r, 0);
	rig_planes(rig);
	pair = start_pair(rig, &at);
	serve_pair(&pair);
	rig_canary(rig, 1, 77);
	rig_flip(rig, 1);
	word = plane_word(rig->plane);
	assert_int_equal(ask_often(&at, 10).of['B'], 10);
	rig->plane = plane_free(rig->plane);
	rig->accounting = accounting_free(rig->accounting);
	assert_int_equal(ask_often(&at, 10).of['B'], 10);
	rig_planes(rig);
	assert_int_equal(plane_word(rig->plane), word);
	assert_int_equal(plane_live_slots(rig->plane), 3);
	assert_int_equal(rig_slot(rig, 1).chosen, 20);
	rig_until(rig_slot(rig, 1).closed == 20);
	assert_int_equal(rig_adopt(rig, pair.a) + rig_adopt(rig, pair.b), 0);
}

static void destroyed_they_can_be_made_again(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct pair pair = start_pair(rig, &at);

	serve_pair(&pair);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(plane_destroy(rig->plane), 0);
		rig->plane = plane_free(rig->plane);
		assert_int_equal(access(FOLDER, F_OK), -1);
		/* the selector is still attached, and lets the kernel choose */
		assert_int_not_equal(ask(&at), ANSWER_REFUSED);
		rig_planes(rig);
		assert_int_equal(hs_word_active(plane_word(rig->plane)), HS_SLOT_NONE);
		assert_int_equal(rig_adopt(rig, pair.b) + rig_adopt(rig, pair.a), 2);
		assert_int_equal(ask_often(&at, 10).of['B'], 10);
	}
}

static void only_the_owner_may_look(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(stat(HS_PIN_ROOT, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0750);
	assert_int_equal(stat(FOLDER, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0750);
}

/* Both get the same, whoever made it. */
static void two_may_create_at_once(void **state)
{
	enum { ROUNDS = 8, PROCESSES = 3 };
	struct rig *rig = *state;

	for (int round = 0; round < ROUNDS; round++) {
		int start[2], result[2];
		uint32_t ids[PROCESSES];

		assert_int_equal(pipe(start), 0);
		assert_int_equal(pipe(result), 0);
		for (int i = 0; i < PROCESSES; i++) {
			struct report report = {0};
			uint32_t id;
			char byte;

			if (fork())
				continue;
			close(start[1]);
			(void)!read(start[0], &byte, 1);
			create(rig, &report);
			if (!report.r && !plane_open("web", NULL, &rig->plane, &report.problem)) {
				id = plane_id(rig->plane);
				(void)!write(result[1], &id, sizeof(id));
			}
			_exit(0);
		}
		close(start[0]);
		close(start[1]);
		close(result[1]);
		for (int i = 0; i < PROCESSES; i++) {
			assert_int_equal(read(result[0], &ids[i], sizeof(ids[i])), sizeof(ids[i]));
			assert_int_equal(ids[i], ids[0]);
			wait(NULL);
		}
		close(result[0]);
		rig_planes(rig);
		assert_int_equal(plane_id(rig->plane), ids[0]);
		plane_destroy(rig->plane);
		rig->plane = plane_free(rig->plane);
		rig->accounting = accounting_free(rig->accounting);
		assert_int_equal(accounting_destroy(), 0);
	}
}

/* As a maker leaves them that dies half-way. */
static void half_made_pins_are_made_whole(void **state)
{
	static const char *const parts[] = {"control", "counters", "events"};
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct server *a;

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		rig->plane = plane_free(rig->plane);
		assert_int_equal(unlink(pin_path(FOLDER "/%s", parts[i]).text), 0);
		assert_int_equal(in_process(open_it, rig).r, -ENOENT);
		assert_int_equal(
			plane_create("web", rig->accounting, &rig->plane, &(struct problem) {0}),
			0);
	}
	a = start_adopted(rig, 0, &at);
	server_serve(a, true);
	assert_int_equal(ask(&at), 'A');
	assert_int_equal(rig_slot(rig, 0).chosen, 1);
	assert_int_equal(rig_slot(rig, 0).opened, 1);
}

/* What is left of a service whose control map is gone must not be taken for the new one's. */
static void old_listeners_do_not_outlive_the_control_map(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct pair pair = start_pair(rig, &at);
	size_t n;

	serve_pair(&pair);
	rig->plane = plane_free(rig->plane);
	assert_int_equal(unlink(FOLDER "/control"), 0);
	assert_int_equal(plane_create("web", rig->accounting, &rig->plane, &(struct problem) {0}),
			 0);
	plane_listeners(rig->plane, &n);
	assert_int_equal(n, 0);
}

static uint64_t read_control(struct hs_control *ret_control)
{
	uint32_t zero = 0;
	int fd = bpf_obj_get(FOLDER "/control");

	assert_true(fd >= 0);
	assert_int_equal(bpf_map_lookup_elem(fd, &zero, ret_control), 0);
	close(fd);
	return ret_control->word;
}

static void write_abi(uint32_t abi)
{
	struct hs_control control;
	uint32_t zero = 0;
	int fd;

	read_control(&control);
	control.abi = abi;
	fd = bpf_obj_get(FOLDER "/control");
	assert_int_equal(bpf_map_update_elem(fd, &zero, &control, BPF_ANY), 0);
	close(fd);
}

static void a_creator_that_died_before_the_end_is_made_up_for(void **state)
{
	struct rig *rig = *state;

	write_abi(0);
	assert_int_equal(in_process(open_it, rig).r, -ENOENT);
	assert_int_equal(in_process(create, rig).r, 0);
	assert_int_equal(in_process(open_it, rig).r, 0);
}

#define NEXT_VERSION "version 5"

static void another_version_is_left_alone(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct pair pair = start_pair(rig, &at);
	struct hs_control control;
	struct report report;
	uint64_t word;

	serve_pair(&pair);
	_Static_assert(HS_ABI_VERSION == 4, "the texts below");
	write_abi(HS_ABI_VERSION + 1);
	word = read_control(&control);
	report = in_process(open_it, rig);
	assert_says(&report, -EPROTO, NEXT_VERSION);
	assert_says(&report, -EPROTO, "versions 3 and 4");
	/* and if that version has other maps than ours, those that we miss are not half made */
	assert_int_equal(unlink(FOLDER "/events"), 0);
	report = in_process(create, rig);
	assert_says(&report, -EPROTO, NEXT_VERSION);
	assert_int_equal(read_control(&control), word);
	assert_int_equal(control.abi, HS_ABI_VERSION + 1);
	assert_int_equal(ask_often(&at, 10).of['A'], 10);
}

static void a_half_made_listener_is_made_whole(void **state)
{
	static const char *const parts[] = {"selector", "sockets", "owners", "shards"};
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct listener *listener;

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		assert_int_equal(plane_listener_get(rig->plane, &at, &listener, NULL), 0);
		rig->plane = plane_free(rig->plane);
		assert_int_equal(unlink(pin_path(FOLDER "/tcp4-0_0_0_0-8080/%s", parts[i]).text),
				 0);
		assert_int_equal(plane_open("web", rig->accounting, &rig->plane, NULL), 0);
	}
	server_serve(start_adopted(rig, 0, &at), true);
	assert_int_equal(ask(&at), 'A');
	assert_int_equal(rig_slot(rig, 0).chosen, 1);
}

static void accounting_goes_with_its_last_user_and_the_folder_with_it(void **state)
{
	struct accounting *a, *b;
	struct problem problem;

	(void)state;
	assert_int_equal(accounting_open(&a, &problem), 0);
	assert_int_equal(accounting_open(&b, &problem), 0);
	accounting_free(a);
	/* somebody counts with it */
	accounting_drop_unused();
	assert_int_equal(access(HS_PIN_ROOT "/" HS_PIN_ACCOUNTING "/link", F_OK), 0);
	accounting_free(b);
	accounting_drop_unused();
	assert_int_equal(access(HS_PIN_ROOT, F_OK), -1);
	/* and comes again */
	assert_int_equal(accounting_open(&a, &problem), 0);
	accounting_free(a);
	assert_int_equal(accounting_destroy(), 0);
}

/* Whoever runs out of descriptors must not take live pins for half-made ones. */
static void open_without_descriptors(struct rig *rig, struct report *report)
{
	/* 3 of the service's own, the folder that is read, and one for its listener, which wants 4
	 */
	struct rlimit limit = {.rlim_cur = 3 + 3 + 1 + 1, .rlim_max = 4096};
	struct plane *plane;

	(void)rig;
	close_range(3, ~0U, 0);
	setrlimit(RLIMIT_NOFILE, &limit);
	report->r = plane_open("web", NULL, &plane, &report->problem);
}

static void live_pins_are_never_taken_for_half_made(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);

	start_pair(rig, &at);
	assert_int_equal(in_process(open_without_descriptors, rig).r, -EMFILE);
}

static void foreign_files_are_passed_over(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	size_t n;

	start_pair(rig, &at);
	assert_int_equal(mkdir(FOLDER "/backup", 0700), 0);
	assert_int_equal(mkdir(FOLDER "/tcp4-nonsense-80", 0700), 0);
	rig->plane = plane_free(rig->plane);
	assert_int_equal(plane_open("web", rig->accounting, &rig->plane, NULL), 0);
	plane_listeners(rig->plane, &n);
	assert_int_equal(n, 1);
	assert_int_equal(plane_destroy(rig->plane), 0);
	assert_int_equal(access(FOLDER, F_OK), -1);
}

static void a_missing_bpffs_is_named(void **state)
{
	struct rig *rig = *state;
	struct report report;

	assert_int_equal(umount2("/sys/fs/bpf", MNT_DETACH), 0);
	/* what is below may be a bpffs, too: the machine's own, which is none of ours */
	assert_int_equal(mount("none", "/sys/fs/bpf", "tmpfs", 0, NULL), 0);
	report = in_process(create, rig);
	assert_says(&report, -ENODEV, "mount -t bpf -o mode=0700 bpf /sys/fs/bpf");
	assert_int_equal(in_process(open_it, rig).r, -ENOENT);
}

static void a_folder_that_is_another_users_is_not_used(void **state)
{
	struct rig *rig = *state;
	struct report report;

	rig->plane = plane_free(rig->plane);
	assert_int_equal(chown(HS_PIN_ROOT, 65534, 65534), 0);
	report = in_process(create, rig);
	assert_says(&report, -EPERM, "user 65534");
	assert_non_null(strstr(report.problem.text, "chmod 0700 /sys/fs/bpf"));
	report = in_process(open_it, rig);
	assert_says(&report, -EPERM, "user 65534");
	assert_int_equal(chown(HS_PIN_ROOT, 0, 65534), 0);
	assert_int_equal(chmod(HS_PIN_ROOT, 0770), 0);
	report = in_process(create, rig);
	assert_says(&report, -EPERM, "mode 0770");
	/* a group that may read is in order */
	assert_int_equal(chmod(HS_PIN_ROOT, 0750), 0);
	assert_int_equal(in_process(open_it, rig).r, 0);
}

static void adopt_again(struct rig *rig, struct report *report)
{
	struct adopt_scope scope = {.cgroup = rig->servers[0]->cgroup, .slot = 0};
	struct adoption *adoption;
	struct plane *plane;

	report->r = plane_create("web", NULL, &plane, &report->problem);
	if (!report->r)
		report->r = adoption_begin(plane, &scope, &adoption, &report->problem);
	if (!report->r)
		report->r = adoption_commit(plane, 0, adoption);
	if (!report->r && adoption->n == 1)
		adopt_describe(&adoption->sockets[0], &report->problem);
}

static void sockets_whose_pins_were_moved_away_are_named(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct report report;

	start_pair(rig, &at);
	assert_int_equal(rename(FOLDER, HS_PIN_ROOT "/elsewhere"), 0);
	report = in_process(adopt_again, rig);
	assert_says(&report, 0, "restart its unit");
	assert_non_null(strstr(report.problem.text, "whose pins"));
}

static void become_nobody(void)
{
	if (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534))
		_exit(1);
}

static void create_as_nobody(struct rig *rig, struct report *report)
{
	become_nobody();
	create(rig, report);
}

static void create_without_accounting_as_nobody(struct rig *rig, struct report *report)
{
	become_nobody();
	create_without_accounting(rig, report);
}

static void open_as_nobody(struct rig *rig, struct report *report)
{
	become_nobody();
	open_it(rig, report);
}

static void without_permission_it_says_so(void **state)
{
	struct rig *rig = *state;
	struct report report = in_process(create_as_nobody, rig);

	/* nothing is there, and nobody may make it */
	assert_says(&report, -EACCES, "root");
	report = in_process(create_without_accounting_as_nobody, rig);
	assert_says(&report, -EACCES, "root");
	rig_planes(rig);
	report = in_process(create_as_nobody, rig);
	assert_says(&report, -EACCES, "root");
	report = in_process(create_without_accounting_as_nobody, rig);
	assert_says(&report, -EACCES, "root");
	report = in_process(open_as_nobody, rig);
	assert_says(&report, -EACCES, "root");
}

/* Root in name only: the files are ours, the kernel's BPF is not. */
static void drop_capabilities(uint64_t kept)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {
		{.effective = (uint32_t)kept, .permitted = (uint32_t)kept},
		{.effective = kept >> 32, .permitted = kept >> 32},
	};

	if (syscall(SYS_capset, &header, data))
		_exit(1);
}

static void create_powerless(struct rig *rig, struct report *report)
{
	drop_capabilities(1ULL << CAP_DAC_OVERRIDE);
	create(rig, report);
}

static void create_powerless_without_accounting(struct rig *rig, struct report *report)
{
	drop_capabilities(1ULL << CAP_DAC_OVERRIDE);
	create_without_accounting(rig, report);
}

/* Maps it may make, but not load a program for the network. */
static void adopt_powerless(struct rig *rig, struct report *report)
{
	struct server *a = rig->servers[0];
	struct adopt_scope scope = {.cgroup = a->cgroup, .slot = 0};
	struct adoption *adoption;

	drop_capabilities(1ULL << CAP_BPF | 1ULL << CAP_SYS_PTRACE | 1ULL << CAP_DAC_OVERRIDE);
	report->r = adoption_begin(rig->plane, &scope, &adoption, &report->problem);
	if (!report->r && adoption->n == 1 && adoption->sockets[0].verdict == ADOPT_ERROR)
		adopt_describe(&adoption->sockets[0], &report->problem);
}

static void borrow_powerless(struct rig *rig, struct report *report)
{
	struct adopt_scope scope = {.cgroup = rig->servers[0]->cgroup, .slot = 0};
	struct adoption *adoption;

	become_nobody();
	report->r = adoption_begin(rig->plane, &scope, &adoption, &report->problem);
}

static void a_kernel_that_refuses_is_quoted(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct server *a = server_start(rig, 0);
	struct report report = in_process(create_powerless, rig);

	assert_says(&report, -EPERM, "CAP_BPF");
	report = in_process(create_powerless_without_accounting, rig);
	assert_says(&report, -EPERM, "CAP_BPF");
	rig_planes(rig);
	server_listen(a, &at, 0);
	report = in_process(adopt_powerless, rig);
	assert_says(&report, 0, "0.0.0.0:8080");
	assert_says(&report, 0, "CAP_NET_ADMIN");
	assert_int_equal(plane_live_slots(rig->plane), 0);
}

static void a_process_that_may_not_be_looked_into_is_named(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct server *a = server_start(rig, 0);
	struct report report;

	server_listen(a, &at, 0);
	report = in_process(borrow_powerless, rig);
	assert_true(report.r == -EPERM || report.r == -EACCES);
	assert_non_null(strstr(report.problem.text, a->cgroup));
}

/* One at a time, and never one that is gone: the lock ends with its holder. */
static void a_change_holds_the_lock(void **state)
{
	struct rig *rig = *state;
	int first, second = -1;

	assert_int_equal(plane_lock(rig->plane, &first), 0);
	assert_int_equal(plane_lock(rig->plane, &second), -EBUSY);
	assert_int_equal(second, -1);
	close(first);
	assert_int_equal(plane_lock(rig->plane, &second), 0);
	close(second);
}

/* Servers that listen on other ports at every start. */
static void dead_listeners_make_room(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT), next = at;
	struct server *stays = start_adopted(rig, 0, &at), *changes = server_start(rig, 1);

	server_serve(stays, true);
	server_serve(changes, true);
	for (int i = 1; i < 2 * PLANE_LISTENERS_MAX; i++) {
		next.port = PORT + i;
		assert_int_equal(server_listen(changes, &next, 0), 0);
		assert_int_equal(rig_adopt(rig, changes), 1);
		assert_int_equal(ask(&next), 'B');
		server_close(changes, 0);
	}
	assert_int_equal(ask(&at), 'A');
}

static uint32_t program_id(int fd)
{
	struct bpf_prog_info info = {0};
	uint32_t size = sizeof(info);

	assert_int_equal(bpf_obj_get_info_by_fd(fd, &info, &size), 0);
	return info.id;
}

/* After an upgrade of the package: the next adoption brings the new selector; sockets and word
 * stay. */
static void an_old_selector_is_replaced(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct pair pair = start_pair(rig, &at);
	struct listener *listener;
	uint64_t word = plane_word(rig->plane);
	uint32_t old;

	serve_pair(&pair);
	assert_int_equal(plane_listener_get(rig->plane, &at, &listener, NULL), 0);
	assert_false(listener_is_outdated(listener));
	old = program_id(listener->selector_fd);
	listener->shards->build = 1;
	assert_true(listener_is_outdated(listener));
	assert_int_equal(ask(&at), 'A');
	assert_int_equal(rig_adopt(rig, pair.a), 0);
	assert_false(listener_is_outdated(listener));
	assert_int_not_equal(program_id(listener->selector_fd), old);
	assert_int_equal(plane_slot_sockets(rig->plane, 0), 1);
	assert_int_equal(plane_slot_sockets(rig->plane, 1), 1);
	assert_int_equal(plane_word(rig->plane), word);
	assert_int_equal(ask(&at), 'A');
	rig_flip(rig, 1);
	assert_int_equal(ask(&at), 'B');
	assert_int_equal(rig_slot(rig, 0).chosen, 2);
}

static void renew_it(struct rig *rig, struct report *report)
{
	struct address at = rig_any(PORT);
	struct listener *listener;

	(void)rig;
	report->r = plane_open("web", NULL, &rig->plane, &report->problem);
	if (!report->r)
		report->r = plane_listener_get(rig->plane, &at, &listener, &report->problem);
}

/* What has a program in its hands keeps it in the kernel, and might attach it again. */
static void who_had_the_old_selector_lets_it_go(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct listener *listener;
	uint32_t old;

	assert_int_equal(plane_listener_get(rig->plane, &at, &listener, NULL), 0);
	old = program_id(listener->selector_fd);
	listener->shards->build = listener->build = 1;
	assert_int_equal(in_process(renew_it, rig).r, 0);
	assert_int_equal(program_id(listener->selector_fd), old);
	assert_int_equal(plane_refresh(rig->plane), 0);
	assert_int_not_equal(program_id(listener->selector_fd), old);
	assert_false(listener_is_outdated(listener));
	rig_until(bpf_prog_get_fd_by_id(old) < 0);
}

/* More at one time are refused, each with a sentence; the others work. */
static void live_listeners_have_a_limit(void **state)
{
	struct rig *rig = *state;
	struct server *a = server_start(rig, 0);
	struct adoption *adoption;
	struct problem sentence;
	struct address next;

	for (int i = 0; i < PLANE_LISTENERS_MAX + 2; i++) {
		next = rig_any(PORT + i);
		assert_int_equal(server_listen(a, &next, 0), i);
	}
	server_serve(a, true);
	adoption = rig_try_adopt(rig, a);
	assert_int_equal(adoption->adopted, PLANE_LISTENERS_MAX);
	assert_int_equal(adoption->refused, 2);
	for (size_t i = 0; i < adoption->n; i++) {
		if (adoption->sockets[i].verdict == ADOPT_OK)
			continue;
		adopt_describe(&adoption->sockets[i], &sentence);
		assert_non_null(strstr(sentence.text, "Ports="));
	}
	adoption_free(adoption);
	for (int i = 0; i < PLANE_LISTENERS_MAX + 2; i++) {
		next = rig_any(PORT + i);
		assert_int_equal(ask(&next), 'A');
	}
	assert_int_equal(rig_slot(rig, 0).chosen, PLANE_LISTENERS_MAX);
}

/* Made when it is first written; lost with the service. */
static void who_was_told_is_kept(void **state)
{
	struct role_told told = {true, true, 3, 0x123456789abc}, read = {.known = true};
	struct rig *rig = *state;
	int lock = -1, other;

	assert_int_equal(told_read(rig->plane, &read), 0);
	assert_false(read.known);
	assert_int_equal(access(FOLDER "/" HS_PIN_ROLE, F_OK), -1);
	assert_int_equal(told_lock(rig->plane, &lock), 0);
	assert_int_equal(told_lock(rig->plane, &other), -EBUSY);
	assert_int_equal(told_write(rig->plane, &told), 0);
	close(lock);
	rig->plane = plane_free(rig->plane);
	rig_planes(rig);
	assert_int_equal(told_read(rig->plane, &read), 0);
	assert_true(read.known && read.told);
	assert_int_equal(read.slot, told.slot);
	assert_int_equal(read.run, told.run);
	assert_int_equal(plane_destroy(rig->plane), 0);
	assert_int_equal(access(FOLDER, F_OK), -1);
}

/* Counted by whoever has the plane, and there for the next. */
static void what_was_done_is_counted_for_all(void **state)
{
	struct rig *rig = *state;
	struct plane *other;
	struct problem problem;

	assert_non_null(plane_ledger(rig->plane));
	ledger_change(plane_ledger(rig->plane), LEDGER_DRAIN, LEDGER_DONE, 7, 100);
	assert_int_equal(plane_open("web", NULL, &other, &problem), 0);
	assert_int_equal(plane_ledger(other)->changes[LEDGER_DRAIN].ended[LEDGER_DONE], 1);
	ledger_change(plane_ledger(other), LEDGER_DRAIN, LEDGER_DONE, 7, 200);
	assert_int_equal(plane_ledger(rig->plane)->changes[LEDGER_DRAIN].ended[LEDGER_DONE], 2);
	assert_int_equal(plane_ledger(rig->plane)->last_usec, 200);
	plane_free(other);
}

/* Pins of a hotstandby that knew no such counts get them, with all else as it is; counts of
 * another layout are left alone. */
static void counts_are_made_where_they_are_missing(void **state)
{
	struct rig *rig = *state;
	struct plane *other;
	struct problem problem;
	uint64_t word = plane_word(rig->plane);

	assert_int_equal(unlink(FOLDER "/" HS_PIN_LEDGER), 0);
	assert_int_equal(plane_open("web", NULL, &other, &problem), 0);
	assert_null(plane_ledger(other));
	plane_free(other);
	assert_int_equal(plane_create("web", NULL, &other, &problem), 0);
	assert_non_null(plane_ledger(other));
	assert_int_equal(plane_word(other), word);
	plane_ledger(other)->layout = LEDGER_LAYOUT + 1;
	plane_free(other);
	assert_int_equal(plane_create("web", NULL, &other, &problem), 0);
	assert_null(plane_ledger(other));
	plane_free(other);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		BARE_CASE(pins_outlive_their_maker),
		CASE(destroyed_they_can_be_made_again),
		CASE(only_the_owner_may_look),
		BARE_CASE(two_may_create_at_once),
		CASE(half_made_pins_are_made_whole),
		CASE(old_listeners_do_not_outlive_the_control_map),
		CASE(a_creator_that_died_before_the_end_is_made_up_for),
		CASE(another_version_is_left_alone),
		CASE(a_half_made_listener_is_made_whole),
		BARE_CASE(accounting_goes_with_its_last_user_and_the_folder_with_it),
		CASE(live_pins_are_never_taken_for_half_made),
		CASE(foreign_files_are_passed_over),
		BARE_CASE(a_missing_bpffs_is_named),
		CASE(a_folder_that_is_another_users_is_not_used),
		CASE(sockets_whose_pins_were_moved_away_are_named),
		BARE_CASE(without_permission_it_says_so),
		BARE_CASE(a_kernel_that_refuses_is_quoted),
		CASE(a_process_that_may_not_be_looked_into_is_named),
		CASE(a_change_holds_the_lock),
		CASE(an_old_selector_is_replaced),
		CASE(who_had_the_old_selector_lets_it_go),
		CASE(dead_listeners_make_room),
		CASE(live_listeners_have_a_limit),
		CASE(who_was_told_is_kept),
		CASE(what_was_done_is_counted_for_all),
		CASE(counts_are_made_where_they_are_missing),
	};

	return cases_run("pins", tests);
}
