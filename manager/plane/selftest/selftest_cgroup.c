// SPDX-License-Identifier: GPL-2.0-or-later
/* Self-tests of programs on cgroups. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "hs_probe.h"
#include "plane/bpf/load.h"
#include "plane/kernel/cgroup.h"
#include "plane/selftest/selftest_checks.h"
#include "probe_cgroup.skel.h"
#include "util/clock.h"
#include "util/files.h"
#include "util/macro.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

#define WAIT_USEC   (200 * USEC_PER_MSEC)
#define HOOKS_MAX   2
#define PROC_CGROUP "/proc/self/cgroup"

struct hooks {
	struct probe_cgroup_bpf *skel;
	int cgroup;
	int links[HOOKS_MAX]; /* the programs go with them */
};

static void hooks_done(struct hooks *hooks)
{
	for (unsigned i = 0; i < HOOKS_MAX; i++)
		close_fd(hooks->links[i]);
	close_fd(hooks->cgroup);
	probe_cgroup_bpf__destroy(hooks->skel);
}

/* Programs act on sockets of processes below their cgroup. Who came into a container from outside
 * is not below what the container sees as the root. */
static bool is_below_mount(void)
{
	_cleanup_(freep) char *text = NULL;
	const char *own;

	if (file_read(PROC_CGROUP, 65536, &text) < 0)
		return false;
	own = strstr(text, "0::/");
	return own && strncmp(own, "0::/..", 6) != 0;
}

static bool open_root(struct hooks *hooks, struct ability_result *result)
{
	char mount[PATH_MAX];

	*hooks = (struct hooks) {.cgroup = -1, .links = {-1, -1}};
	if (cgroup_mount(mount, sizeof(mount)) < 0) {
		selftest_set(result, ABILITY_UNKNOWN, "no cgroup2 mount found");
		return false;
	}
	if (!is_below_mount()) {
		selftest_set(result, ABILITY_UNKNOWN,
			     "the cgroup of this process is not below the mount %.64s", mount);
		return false;
	}
	hooks->cgroup = open(mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (hooks->cgroup < 0)
		selftest_set(result, ABILITY_UNKNOWN, "opening %.64s: %m", mount);
	return hooks->cgroup >= 0;
}

/* What may be missing for want of permission says nothing about the kernel. */
static bool is_unknown(int error)
{
	return error == -EPERM || error == -EACCES || error == -ENOMEM;
}

static bool give_up(int error, const char *step, struct ability_result *result)
{
	selftest_set(result, is_unknown(error) ? ABILITY_UNKNOWN : ABILITY_FAILS, "%s: %s", step,
		     strerror(-error));
	return false;
}

/* Loads either the counting program or those at bind(2), and nothing of the other. */
static bool load(struct hooks *hooks, bool counting, struct ability_result *result)
{
	struct probe_cgroup_bpf *skel = probe_cgroup_bpf__open();
	_cleanup_(close_fdp) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	uint64_t cookie = 0;
	socklen_t size = sizeof(cookie);
	struct problem refusal;
	int r;

	hooks->skel = skel;
	if (!skel)
		return give_up(-errno, "opening the program", result);
	if (getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size) < 0)
		return give_up(-errno, "the cookie of a network namespace", result);
	skel->rodata->hs_pr_netns = cookie;
	bpf_program__set_autoload(skel->progs.hs_pr_count, counting);
	bpf_program__set_autoload(skel->progs.hs_pr_bind4, !counting);
	bpf_program__set_autoload(skel->progs.hs_pr_bind6, !counting);
	bpf_map__set_autocreate(skel->maps.hs_pr_tags, counting);
	bpf_map__set_autocreate(skel->maps.hs_pr_counts, counting);
	r = load_object(skel->obj, "a program to try it with", &refusal);
	if (r < 0)
		selftest_set(result, is_unknown(r) ? ABILITY_UNKNOWN : ABILITY_FAILS, "%s",
			     refusal.text);
	return r >= 0;
}

static bool attach(struct hooks *hooks, unsigned number, const struct bpf_program *program,
		   struct ability_result *result)
{
	hooks->links[number] = bpf_link_create(bpf_program__fd(program), hooks->cgroup,
					       bpf_program__expected_attach_type(program), NULL);
	return hooks->links[number] < 0 ? give_up(-errno, "attaching the program", result) : true;
}

/* ---- counts ---- */

static int listen_on(struct sockaddr_in *at)
{
	_cleanup_(close_fdp) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t size = sizeof(*at);

	*at = (struct sockaddr_in) {.sin_family = AF_INET,
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	if (fd < 0 || bind(fd, (struct sockaddr *)at, size) < 0 || listen(fd, 8) < 0 ||
	    getsockname(fd, (struct sockaddr *)at, &size) < 0)
		return -errno;
	return steal_fd(&fd);
}

/* One connection from its beginning to its end, on both sides; with a RST, so that nothing of it
 * stays. */
static int live_and_die(int listener, const struct sockaddr_in *at)
{
	_cleanup_(close_fdp) int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct timeval patience = {.tv_usec = WAIT_USEC};
	struct pollfd wait = {.fd = listener, .events = POLLIN};
	struct linger at_once = {.l_onoff = 1};

	setsockopt(client, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	setsockopt(client, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	if (connect(client, (const struct sockaddr *)at, sizeof(*at)) < 0)
		return -errno;
	if (poll(&wait, 1, WAIT_USEC / USEC_PER_MSEC) != 1)
		return -ETIMEDOUT;
	return close_fd(accept4(listener, NULL, NULL, SOCK_CLOEXEC)) == -1 ? 0 : -errno;
}

static bool counted(const struct probe_cgroup_bpf *skel)
{
	uint64_t end = now_usec() + WAIT_USEC;
	struct hs_probe counts = {0};
	uint32_t zero = 0;

	do {
		if (bpf_map_lookup_elem(bpf_map__fd(skel->maps.hs_pr_counts), &zero, &counts))
			return false;
		if (counts.opened == 1 && counts.closed == 1)
			return true;
		(void)poll(NULL, 0, 1);
	} while (now_usec() < end);
	return false;
}

void selftest_counts(struct ability_result *result)
{
	_cleanup_(hooks_done) struct hooks hooks;
	_cleanup_(close_fdp) int listener = -1;
	struct sockaddr_in at;
	uint64_t tag = 1;
	int r;

	if (!open_root(&hooks, result) || !load(&hooks, true, result) ||
	    !attach(&hooks, 0, hooks.skel->progs.hs_pr_count, result))
		return;
	listener = listen_on(&at);
	if (listener < 0 ||
	    bpf_map_update_elem(bpf_map__fd(hooks.skel->maps.hs_pr_tags), &listener, &tag, 0)) {
		give_up(listener < 0 ? listener : -errno, "tagging a listener", result);
		return;
	}
	r = live_and_die(listener, &at);
	if (r < 0)
		give_up(r, "connecting", result);
	else if (counted(hooks.skel))
		selftest_set(result, ABILITY_WORKS, NULL);
	else
		selftest_set(result, ABILITY_FAILS, "a connection was not counted");
}

/* ---- bind ---- */

/* Two listeners on one address, without a word about SO_REUSEPORT. 0, or what stood against it;
 * also 0 when there is no such family. */
static int listen_twice(int family)
{
	struct sockaddr_in6 at = {.sin6_family = family};
	socklen_t size = family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(at);
	int fds[2] = {-1, -1}, r = 0;

	for (unsigned i = 0; !r && i < 2; i++) {
		fds[i] = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (fds[i] < 0) {
			r = errno == EAFNOSUPPORT ? 0 : -errno;
			break;
		}
		if (bind(fds[i], (struct sockaddr *)&at, size) < 0 || listen(fds[i], 8) < 0 ||
		    getsockname(fds[i], (struct sockaddr *)&at, &size) < 0)
			r = -errno;
	}
	close_fd(fds[0]);
	close_fd(fds[1]);
	return r;
}

void selftest_bind(struct ability_result *result)
{
	_cleanup_(hooks_done) struct hooks hooks;
	int r;

	if (!open_root(&hooks, result) || !load(&hooks, false, result) ||
	    !attach(&hooks, 0, hooks.skel->progs.hs_pr_bind4, result) ||
	    !attach(&hooks, 1, hooks.skel->progs.hs_pr_bind6, result))
		return;
	r = listen_twice(AF_INET);
	if (!r)
		r = listen_twice(AF_INET6);
	if (r)
		selftest_set(result, ABILITY_FAILS, "a second listener on the address: %s",
			     strerror(-r));
	else
		selftest_set(result, ABILITY_WORKS, NULL);
}
