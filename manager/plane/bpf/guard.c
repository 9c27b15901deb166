// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/bpf/guard.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "guard.skel.h"
#include "hs_abi.h"
#include "plane/bpf/handover.h"
#include "plane/bpf/load.h"
#include "plane/bpf/pins.h"
#include "plane/bpf/pinset.h"
#include "plane/kernel/cgroup.h"
#include "util/keptfd.h"
#include "util/macro.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

#define FOLDER	  HS_PIN_ROOT "/" HS_PIN_ACCOUNTING
#define PIN(name) FOLDER "/" name

/* Two of our processes may attach through one socket: the first takes the mark away from under the
 * second. */
#define PASS_TRIES 5

struct guard {
	int program_fd, guarded_fd;
};

DEFINE_CLEANUP(struct guard, guard_free)
DEFINE_CLEANUP(struct guard_bpf, guard_bpf__destroy)

struct guard *guard_free(struct guard *guard)
{
	if (!guard)
		return NULL;
	close_fd(guard->program_fd);
	close_fd(guard->guarded_fd);
	free(guard);
	return NULL;
}

static uint64_t own_build(void)
{
	const void *bytes;
	size_t n;

	bytes = guard_bpf__elf_bytes(&n);
	return load_build(bytes, n);
}

int guard_attach(const char *folder, struct guard **ret_guard)
{
	_cleanup_(guard_freep) struct guard *guard = calloc(1, sizeof(*guard));
	int r;

	if (!guard)
		return -ENOMEM;
	guard->program_fd = guard->guarded_fd = -1;
	r = pin_open(pin_path("%s/guard", folder).text, &guard->program_fd);
	if (!r)
		r = pin_open(pin_path("%s/guarded", folder).text, &guard->guarded_fd);
	if (!r)
		*ret_guard = steal_ptr(&guard);
	return r;
}

static int open_pins(void *ret)
{
	return pinset_is_made(PIN("guard-build"), own_build()) ? guard_attach(FOLDER, ret)
							       : -ENOENT;
}

/* ---- making ---- */

static int replace_link(int program)
{
	_cleanup_(close_fdp) int link = -1;
	int r = pin_open(PIN("guard-link"), &link);

	if (r)
		return r == -ENOENT ? 0 : r;
	return bpf_link_update(link, program, NULL) ? -errno : 0;
}

static int pin_programs(const void *userdata)
{
	const struct guard_bpf *skel = userdata;
	int program = bpf_program__fd(skel->progs.hs_guard), r = replace_link(program);

	return r ? r : pinset_program(PIN("guard"), BPF_CGROUP_SETSOCKOPT, program);
}

static int make_pins(struct problem *problem)
{
	_cleanup_(guard_bpf__destroyp) struct guard_bpf *skel = guard_bpf__open();

	if (!skel)
		return problem_set(problem, -errno, "cannot open the guard of the selector: %m");
	const struct pinset_map maps[] = {
		{PIN("guarded"), skel->maps.hs_guarded},
		{PIN("guard-pass"), skel->maps.hs_guard_pass},
		{PIN("guard-build"), skel->maps.hs_guard_build},
	};
	struct pinset set = {"the guard of the selector",
			     skel->obj,
			     maps,
			     ARRAY_SIZE(maps),
			     own_build(),
			     pin_programs,
			     skel};

	return pinset_make(&set, problem);
}

int guard_open(struct guard **ret_guard, struct problem *problem)
{
	return pinset_open(open_pins, make_pins, ret_guard, problem);
}

/* ---- ports ---- */

int guard_port(const struct guard *guard, const struct address *address, int socket_fd,
	       uint32_t service_id)
{
	struct hs_guarded key = {.port = address->port, .udp = address->udp};
	socklen_t size = sizeof(key.netns_cookie);

	if (getsockopt(socket_fd, SOL_SOCKET, SO_NETNS_COOKIE, &key.netns_cookie, &size) < 0)
		return -errno;
	return bpf_map_update_elem(guard->guarded_fd, &key, &service_id, BPF_ANY) ? -errno : 0;
}

/* Who else has listeners where a key stands. */
struct heirs {
	const struct hs_guarded *key;
	bool is_here;	  /* in our own network namespace */
	uint32_t leaving; /* who has none any more, whatever is pinned; 0 = nobody */
	uint32_t heir;
};

/* Namespaces have one name in pins and another one in keys: those that are not ours are taken for
 * the same. A port that is guarded for too long does less harm than one that is not. */
static int has_key(const char *name, void *userdata)
{
	const struct heirs *heirs = userdata;
	struct address address;

	return !address_from_pin(name, &address) && address.port == heirs->key->port &&
	       address.udp == heirs->key->udp && !address.netns == heirs->is_here;
}

static int look_in_service(const char *name, void *userdata)
{
	struct heirs *heirs = userdata;
	uint32_t id;

	if (name[0] == '%' ||
	    pins_each_folder(pin_path(HS_PIN_ROOT "/%s", name).text, has_key, heirs) <= 0)
		return 0;
	id = handover_service_id(name);
	if (id != heirs->leaving)
		heirs->heir = id;
	return heirs->heir != 0;
}

static uint64_t own_netns(void)
{
	_cleanup_(close_fdp) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint64_t cookie = 0;
	socklen_t size = sizeof(cookie);

	if (fd >= 0)
		(void)getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size);
	return cookie;
}

/* In one step: there is no moment in which nobody guards what somebody has. */
static void give_up(int fd, const struct hs_guarded *key, uint32_t leaving)
{
	struct heirs heirs = {
		.key = key, .is_here = key->netns_cookie == own_netns(), .leaving = leaving};

	(void)pins_each_folder(HS_PIN_ROOT, look_in_service, &heirs);
	if (heirs.heir)
		bpf_map_update_elem(fd, key, &heirs.heir, BPF_EXIST);
	else
		bpf_map_delete_elem(fd, key);
}

/* Which keys of a service go. */
struct going {
	uint32_t owner, leaving;
	const struct address *address; /* NULL: all */
};

static bool is_going(int fd, const struct hs_guarded *key, const struct going *going)
{
	const struct address *address = going->address;
	uint32_t owner;

	return (!address || (key->port == address->port && key->udp == address->udp)) &&
	       !bpf_map_lookup_elem(fd, key, &owner) && owner == going->owner;
}

static void forget(const struct going *going)
{
	struct hs_guarded key, next, *previous = NULL;
	_cleanup_(close_fdp) int fd = -1;
	bool goes = false;

	if (pin_open(PIN("guarded"), &fd))
		return;
	while (!bpf_map_get_next_key(fd, previous, &next)) {
		if (goes)
			give_up(fd, &key, going->leaving);
		key = next;
		previous = &key;
		goes = is_going(fd, &key, going);
	}
	if (goes)
		give_up(fd, &key, going->leaving);
}

void guard_forget(uint32_t service_id)
{
	forget(&(struct going) {.owner = service_id, .leaving = service_id});
}

void guard_forget_address(uint32_t service_id, const struct address *address)
{
	forget(&(struct going) {.owner = service_id, .address = address});
}

/* ---- cgroups ---- */

int guard_cgroup(const struct guard *guard, const char *cgroup)
{
	_cleanup_(close_fdp) int fd = -1;
	int r = cgroup_open(cgroup, &fd);

	if (!r)
		r = cgroup_has_program(fd, BPF_CGROUP_SETSOCKOPT, guard->program_fd);
	if (r)
		return MIN(r, 0);
	return bpf_prog_attach(guard->program_fd, fd, BPF_CGROUP_SETSOCKOPT, BPF_F_ALLOW_MULTI)
		       ? -errno
		       : 0;
}

int guard_leave_cgroup(const struct guard *guard, const char *cgroup)
{
	_cleanup_(close_fdp) int fd = -1;
	int r = cgroup_open(cgroup, &fd);

	if (!r && bpf_prog_detach2(guard->program_fd, fd, BPF_CGROUP_SETSOCKOPT) &&
	    errno != ENOENT && errno != EINVAL)
		r = -errno;
	return r == -ENOENT ? 0 : r;
}

static int make_link(const struct guard *guard)
{
	_cleanup_(close_fdp) int root = -1, link = -1;
	char mount[PATH_MAX];
	int r = cgroup_mount(mount, sizeof(mount));

	if (r < 0)
		return r;
	root = open(mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return -errno;
	link = bpf_link_create(guard->program_fd, root, BPF_CGROUP_SETSOCKOPT, NULL);
	return link < 0 ? -errno : pin_object(link, PIN("guard-link"));
}

int guard_everywhere(const struct guard *guard)
{
	_cleanup_(close_fdp) int lock = -1, link = -1;
	int r = pin_open(PIN("guard-link"), &link);

	if (r != -ENOENT)
		return r;
	r = pins_lock(HS_PIN_ROOT, 1, &lock);
	if (!r)
		r = pin_open(PIN("guard-link"), &link);
	return r == -ENOENT ? make_link(guard) : r;
}

/* ---- our own way ---- */

static int set_option(int socket_fd, int option, int value)
{
	return setsockopt(socket_fd, SOL_SOCKET, option, &value, sizeof(value)) < 0 ? -errno : 0;
}

/* Kept: two of these calls are made for each socket of an adoption, and to look the pin up takes
 * longer than all the rest. An upgrade of the package may replace it, which -EPERM tells. */
static struct kept_fd kept_marks;

static int open_marks(void)
{
	int fd = -1;

	(void)pin_open(PIN("guard-pass"), &fd);
	return kept_fd_set(&kept_marks, fd);
}

static int pass_by(int marks, int socket_fd, int option, int value)
{
	uint32_t one = 1;
	int r = bpf_map_update_elem(marks, &socket_fd, &one, BPF_ANY) ? -errno : 0;

	if (!r)
		r = set_option(socket_fd, option, value);
	return r;
}

int guard_pass(int socket_fd, int option, int value)
{
	int marks = kept_fd_get(&kept_marks);
	int r = marks < 0 ? -EPERM : pass_by(marks, socket_fd, option, value);

	for (unsigned try = 0; r == -EPERM && try < PASS_TRIES; try++) {
		marks = open_marks();
		if (marks < 0)
			return set_option(socket_fd, option, value);
		r = pass_by(marks, socket_fd, option, value);
	}
	bpf_map_delete_elem(marks, &socket_fd);
	return r;
}
