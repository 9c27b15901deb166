// SPDX-License-Identifier: GPL-2.0-or-later
#include "rig.h"

#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "plane/bpf/pins.h"
#include "plane/kernel/cgroup.h"
#include "server.h"
#include "util/files.h"
#include "util/macro.h"

#define GROUP_PREFIX "hotstandby-test."

static void print_and_exit(const char *file, int line, const char *text)
{
	fprintf(stderr, "%s:%d: %s\n", file, line, text);
	exit(1);
}

void (*rig_on_failure)(const char *file, int line, const char *text) = print_and_exit;

void rig_fail(const char *file, int line, const char *template, ...)
{
	char text[PROBLEM_TEXT_MAX + 256];
	va_list args;

	va_start(args, template);
	vsnprintf(text, sizeof(text), template, args);
	va_end(args);
	rig_on_failure(file, line, text);
	abort();
}

void rig_breathe(void)
{
	nanosleep(&(struct timespec) {.tv_nsec = 200000}, NULL);
}

static struct pin_path group_folder(const char *group)
{
	char mount[PATH_MAX] = "";

	if (cgroup_mount(mount, sizeof(mount)) < 0)
		rig_fail(__FILE__, __LINE__, "there is no cgroup2 mount");
	return pin_path("%s%s", mount, group);
}

static void kill_group(const char *folder)
{
	_cleanup_(close_fdp) int fd =
		open(pin_path("%s/cgroup.kill", folder).text, O_WRONLY | O_CLOEXEC);

	if (fd >= 0 && write(fd, "1", 1) < 0)
		fprintf(stderr, "cannot end what runs in %s: %m\n", folder);
}

/* cgroups go deepest first, and only when they are empty. */
static int remove_tree(const char *folder)
{
	_cleanup_(closedirp) DIR *dir = opendir(folder);
	struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
			remove_tree(pin_path("%s/%s", folder, entry->d_name).text);
	return rmdir(folder) < 0 && errno != ENOENT ? -errno : 0;
}

static void remove_group(const char *folder)
{
	uint64_t end = now_usec() + RIG_DEADLINE_USEC;

	if (access(folder, F_OK) < 0)
		return;
	kill_group(folder);
	while (remove_tree(folder) == -EBUSY && now_usec() < end)
		rig_breathe();
}

/* What programs that were killed together with their keeper have left behind. */
static void sweep_groups(void)
{
	struct pin_path mount = group_folder("");
	_cleanup_(closedirp) DIR *dir = opendir(mount.text);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		if (strncmp(entry->d_name, GROUP_PREFIX, strlen(GROUP_PREFIX)))
			continue;
		if (kill(atoi(entry->d_name + strlen(GROUP_PREFIX)), 0) < 0 && errno == ESRCH)
			remove_group(pin_path("%s/%s", mount.text, entry->d_name).text);
	}
}

static int wait_for_child(pid_t child, const sigset_t *signals)
{
	int status;

	for (;;) {
		int signal = sigwaitinfo(signals, NULL);

		if (signal > 0 && signal != SIGCHLD)
			kill(child, SIGKILL);
		if (waitpid(child, &status, signal == SIGCHLD ? WNOHANG : 0) == child)
			return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	}
}

static pid_t fork_child(const sigset_t *restore)
{
	pid_t parent = getpid(), child = fork();

	if (child)
		return child;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigprocmask(SIG_SETMASK, restore, NULL);
	if (getppid() != parent)
		_exit(1);
	return 0;
}

int rig_keep(int (*run)(void *userdata), void *userdata)
{
	sigset_t signals, before;
	struct pin_path folder;
	pid_t child;
	int status;

	if (geteuid()) {
		fprintf(stderr, "skipped: needs root\n");
		return 77;
	}
	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGHUP);
	sigaddset(&signals, SIGCHLD);
	sigprocmask(SIG_BLOCK, &signals, &before);
	sweep_groups();
	folder = group_folder(pin_path("/" GROUP_PREFIX "%d", getpid()).text);
	rig_check(mkdir(folder.text, 0755) == 0);
	child = fork_child(&before);
	if (!child)
		exit(run(userdata));
	status = wait_for_child(child, &signals);
	remove_group(folder.text);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return status;
}

void rig_loopback_up(void)
{
	_cleanup_(close_fdp) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP};

	rig_check(ioctl(fd, SIOCSIFFLAGS, &request) == 0);
}

static void new_namespaces(void)
{
	rig_check(unshare(CLONE_NEWNS | CLONE_NEWNET) == 0);
	rig_check(mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	/* what ends later than its test must not find the machine's own in its place */
	while (!umount2("/sys/fs/bpf", MNT_DETACH))
		;
	rig_check(mount("bpf", "/sys/fs/bpf", "bpf", 0, "mode=0755") == 0);
	rig_loopback_up();
	/* ports of clients must never run out, nor be one that a test listens on */
	rig_sysctl("net/ipv4/ip_local_port_range", "10000 65000");
	rig_sysctl("net/core/somaxconn", "8192");
}

struct rig *rig_begin(void)
{
	static unsigned number;
	struct rig *rig = calloc(1, sizeof(*rig));

	rig_check(rig);
	/* the keeper's child makes one after the other; the keeper removes them all */
	snprintf(rig->group, sizeof(rig->group), "/" GROUP_PREFIX "%d/%u", getppid(), number++);
	rig_check(mkdir(group_folder(rig->group).text, 0755) == 0);
	new_namespaces();
	return rig;
}

void rig_end(struct rig *rig)
{
	if (!rig)
		return;
	for (size_t i = 0; i < rig->n_servers; i++)
		server_free(rig->servers[i]);
	plane_free(rig->plane);
	accounting_free(rig->accounting);
	umount2("/sys/fs/bpf", MNT_DETACH);
	remove_group(group_folder(rig->group).text);
	free(rig);
}

void rig_planes(struct rig *rig)
{
	struct problem problem = {0};

	if (accounting_open(&rig->accounting, &problem) < 0)
		rig_fail(__FILE__, __LINE__, "no accounting: %s", problem.text);
	if (plane_create("web", rig->accounting, &rig->plane, &problem) < 0)
		rig_fail(__FILE__, __LINE__, "no plane: %s", problem.text);
}

void rig_sysctl(const char *name, const char *value)
{
	_cleanup_(close_fdp) int fd =
		open(pin_path("/proc/sys/%s", name).text, O_WRONLY | O_CLOEXEC);

	rig_check(fd >= 0 && write(fd, value, strlen(value)) > 0);
}

struct address rig_any(uint16_t port)
{
	return (struct address) {.family = AF_INET, .port = port};
}

struct address rig_local(uint16_t port)
{
	return (struct address) {.family = AF_INET, .port = port, .ip = {127, 0, 0, 1}};
}

struct address rig_dual(uint16_t port)
{
	return (struct address) {.family = AF_INET6, .port = port};
}

struct address rig_only6(uint16_t port)
{
	return (struct address) {.family = AF_INET6, .port = port, .v6only = true};
}

struct address rig_local6(uint16_t port)
{
	return (struct address) {
		.family = AF_INET6, .port = port, .v6only = true, .ip = {[15] = 1}};
}

struct adoption *rig_try_adopt(struct rig *rig, const struct server *server)
{
	struct adopt_scope scope = {.cgroup = server->cgroup, .slot = server->slot};
	struct adoption *adoption;
	struct problem problem = {0};

	if (adoption_begin(rig->plane, &scope, &adoption, &problem) < 0)
		rig_fail(__FILE__, __LINE__, "no adoption: %s", problem.text);
	rig_check(adoption_commit(rig->plane, server->slot, adoption) == 0);
	return adoption;
}

unsigned rig_adopt(struct rig *rig, const struct server *server)
{
	struct adoption *adoption = rig_try_adopt(rig, server);
	unsigned fresh = adoption->fresh;

	for (size_t i = 0; i < adoption->n; i++) {
		struct problem sentence;

		adopt_describe(&adoption->sockets[i], &sentence);
		if (sentence.text[0])
			rig_fail(__FILE__, __LINE__, "%s", sentence.text);
	}
	adoption_free(adoption);
	return fresh;
}

void rig_flip(struct rig *rig, unsigned slot)
{
	plane_edit_word(rig->plane, word_activate, WORD_ARGS(.to = slot), NULL);
	rig_check(hs_word_active(plane_word(rig->plane)) == slot);
}

void rig_policy(struct rig *rig, enum hs_policy policy)
{
	plane_edit_word(rig->plane, word_set_policy, WORD_ARGS(.policy = policy), NULL);
	rig_check(hs_word_policy(plane_word(rig->plane)) == policy);
}

void rig_canary(struct rig *rig, unsigned slot, uint32_t share)
{
	plane_edit_word(rig->plane, word_set_canary, WORD_ARGS(.to = slot, .share = share), NULL);
	rig_check(hs_word_share(plane_word(rig->plane)) == share);
}

struct plane_totals rig_totals(const struct rig *rig)
{
	struct plane_totals totals;

	rig_check(plane_totals(rig->plane, &totals) == 0);
	return totals;
}

struct slot_totals rig_slot(const struct rig *rig, unsigned slot)
{
	struct slot_totals totals;

	rig_check(plane_slot_totals(rig->plane, slot, &totals) == 0);
	return totals;
}

uint32_t rig_queued(const struct rig *rig, unsigned slot)
{
	uint32_t queued[HS_PLACES_MAX];

	rig_check(plane_queued(rig->plane, queued) == 0);
	return queued[slot];
}
