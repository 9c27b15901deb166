// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/bpf/accounting.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "accounting.skel.h"
#include "plane/bpf/census.h"
#include "plane/bpf/guard.h"
#include "plane/bpf/handover.h"
#include "plane/bpf/load.h"
#include "plane/bpf/motion.h"
#include "plane/bpf/own.h"
#include "plane/bpf/pins.h"
#include "plane/bpf/pinset.h"
#include "plane/bpf/queues.h"
#include "plane/kernel/cgroup.h"
#include "util/macro.h"

#define FOLDER	  HS_PIN_ROOT "/" HS_PIN_ACCOUNTING
#define BEFORE	  HS_PIN_ROOT "/" HS_PIN_ACCOUNTING_BEFORE
#define PIN(name) FOLDER "/" name

struct accounting {
	int tags_fd, services_fd, moved_fd, listens_fd;
	int watched_fd, telling_fd, build_fd;
	int listening_fd;  /* the program for the units' cgroups */
	unsigned may_tell; /* records that may still be told in this go */
	struct ring_buffer *ring;
	accounting_listen_fn on_listen;
	void *userdata;
	bool watching;
	int used_fd;	       /* the folder of its pins, locked for as long as it is used */
	struct census *census; /* from the first question on; so are these */
	struct motion *motion;
	struct queues *queues;
	bool motion_asked, queues_asked;
	struct guard *guard;
	struct own *own;
	bool own_refused;
	const char *looks; /* into this folder, and makes nothing; NULL: makes what is missing */
};

/* The pins of the maps, and where their descriptors belong. */
static const struct pinned_map {
	const char *name;
	size_t offset;
} pinned_maps[] = {
	{"tags", offsetof(struct accounting, tags_fd)},
	{"services", offsetof(struct accounting, services_fd)},
	{"moved", offsetof(struct accounting, moved_fd)},
	{"listens", offsetof(struct accounting, listens_fd)},
	{"ports", offsetof(struct accounting, watched_fd)},
	{"telling", offsetof(struct accounting, telling_fd)},
	{"build", offsetof(struct accounting, build_fd)},
};

static struct pin_path map_path(const char *folder, const struct pinned_map *map)
{
	return pin_path("%s/%s", folder, map->name);
}

static int *fd_of(struct accounting *a, const struct pinned_map *map)
{
	return (int *)((char *)a + map->offset);
}

DEFINE_CLEANUP(struct accounting, accounting_free)
DEFINE_CLEANUP(struct accounting_bpf, accounting_bpf__destroy)

static void close_pins(struct accounting *a)
{
	for (size_t i = 0; i < ARRAY_SIZE(pinned_maps); i++)
		*fd_of(a, &pinned_maps[i]) = close_fd(*fd_of(a, &pinned_maps[i]));
	a->listening_fd = close_fd(a->listening_fd);
	a->used_fd = close_fd(a->used_fd);
}

struct accounting *accounting_free(struct accounting *a)
{
	if (!a)
		return NULL;
	ring_buffer__free(a->ring);
	census_free(a->census);
	motion_free(a->motion);
	queues_free(a->queues);
	guard_free(a->guard);
	own_free(a->own);
	close_pins(a);
	free(a);
	return NULL;
}

static struct accounting *accounting_new(void)
{
	struct accounting *a = calloc(1, sizeof(*a));

	for (size_t i = 0; a && i < ARRAY_SIZE(pinned_maps); i++)
		*fd_of(a, &pinned_maps[i]) = -1;
	if (a)
		a->used_fd = a->listening_fd = -1;
	return a;
}

/* The link is pinned last: without it the pins are a half-made set, to be made again. */
static int open_pins(struct accounting *a, const char *folder)
{
	_cleanup_(close_fdp) int link = -1;
	int r = pin_open(pin_path("%s/link", folder).text, &link);

	for (size_t i = 0; !r && i < ARRAY_SIZE(pinned_maps); i++)
		r = pin_open(map_path(folder, &pinned_maps[i]).text, fd_of(a, &pinned_maps[i]));
	return r ? r : pin_open(pin_path("%s/listening", folder).text, &a->listening_fd);
}

static uint64_t own_build(void)
{
	const void *bytes;
	size_t n;

	bytes = accounting_bpf__elf_bytes(&n);
	return load_build(bytes, n);
}

static bool is_outdated(const struct accounting *a)
{
	uint32_t zero = 0;
	uint64_t build = 0;

	return bpf_map_lookup_elem(a->build_fd, &zero, &build) || build != own_build();
}

static int make_link(int program, struct problem *problem)
{
	_cleanup_(close_fdp) int cgroup = -1, link = -1;
	struct pin_path root;
	int r;

	r = cgroup_mount(root.text, sizeof(root.text));
	if (r < 0)
		return problem_set(problem, r,
				   "no cgroup2 mount found; connections cannot be counted");
	cgroup = open(root.text, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (cgroup < 0)
		return problem_set(problem, -errno, "cannot open %s: %m", root.text);
	link = bpf_link_create(program, cgroup, BPF_CGROUP_SOCK_OPS, NULL);
	if (link < 0)
		return problem_set(problem, -errno,
				   "the kernel refused the accounting program on cgroup %s: %m",
				   root.text);
	r = pin_object(link, PIN("link"));
	return r ? problem_set(problem, r, "cannot pin %s: %s", PIN("link"), strerror(-r)) : 0;
}

/* The program of an earlier release is replaced in one step: none is counted twice or not at all.
 */
static int attach(struct accounting_bpf *skel, struct problem *problem)
{
	int program = bpf_program__fd(skel->progs.hs_account), r;
	_cleanup_(close_fdp) int link = -1;

	r = pin_open(PIN("link"), &link);
	if (r == -ENOENT)
		return make_link(program, problem);
	if (!r && bpf_link_update(link, program, NULL))
		r = -errno;
	return r ? problem_set(problem, r, "cannot replace the accounting program: %s",
			       strerror(-r))
		 : 0;
}

/* Whatever of them is pinned goes on, with what it holds. */
static int reuse_maps(struct bpf_map *maps[])
{
	int r = 0;

	for (size_t i = 0; !r && i < ARRAY_SIZE(pinned_maps); i++) {
		_cleanup_(close_fdp) int fd = -1;

		r = pin_open(map_path(FOLDER, &pinned_maps[i]).text, &fd);
		if (!r)
			r = bpf_map__reuse_fd(maps[i], fd);
		r = r == -ENOENT ? 0 : r;
	}
	return r;
}

static int pin_all(struct accounting_bpf *skel, struct bpf_map *maps[], struct problem *problem)
{
	int r = pinset_program(PIN("listening"), BPF_CGROUP_SOCK_OPS,
			       bpf_program__fd(skel->progs.hs_listening));

	for (size_t i = 0; !r && i < ARRAY_SIZE(pinned_maps); i++) {
		struct pin_path path = map_path(FOLDER, &pinned_maps[i]);

		if (access(path.text, F_OK) < 0)
			r = pin_object(bpf_map__fd(maps[i]), path.text);
	}
	return r ? problem_set(problem, r, "cannot make the accounting pins: %s", strerror(-r)) : 0;
}

static int mark_build(const struct accounting *a)
{
	uint64_t build = own_build();
	uint32_t zero = 0;

	return bpf_map_update_elem(a->build_fd, &zero, &build, BPF_ANY) ? -errno : 0;
}

static int load_and_pin(struct accounting *a, struct problem *problem)
{
	_cleanup_(accounting_bpf__destroyp) struct accounting_bpf *skel = accounting_bpf__open();
	int r;

	if (!skel)
		return problem_set(problem, -errno, "cannot open the accounting program: %m");
	struct bpf_map *maps[] = {skel->maps.hs_tags,	 skel->maps.hs_services,
				  skel->maps.hs_moved,	 skel->maps.hs_listens,
				  skel->maps.hs_watched, skel->maps.hs_telling,
				  skel->maps.hs_build};
	_Static_assert(ARRAY_SIZE(maps) == ARRAY_SIZE(pinned_maps), "one pin a map");
	r = reuse_maps(maps);
	if (r < 0)
		return problem_set(problem, r, "cannot open the accounting pins: %s", strerror(-r));
	r = load_object(skel->obj, "the accounting program", problem);
	if (!r)
		r = pin_all(skel, maps, problem);
	if (!r)
		r = attach(skel, problem);
	if (!r)
		r = open_pins(a, FOLDER);
	return r ? r : mark_build(a);
}

/* Who uses it shares a lock, so that nobody takes the pins for unused. */
static int hold(struct accounting *a, const char *folder, struct problem *problem)
{
	a->used_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (a->used_fd < 0 || flock(a->used_fd, LOCK_SH | LOCK_NB) < 0)
		return problem_set(problem, -errno, "cannot lock the accounting pins: %m");
	return 0;
}

/* The lock of all pins is for those who make some: these are there, and nobody takes them away. */
static bool open_made(struct accounting *a)
{
	if (!handover_is_due() && !hold(a, FOLDER, NULL) && !open_pins(a, FOLDER) &&
	    !is_outdated(a))
		return true;
	close_pins(a);
	return false;
}

int accounting_open(struct accounting **ret_accounting, struct problem *problem)
{
	_cleanup_(accounting_freep) struct accounting *a = accounting_new();
	_cleanup_(close_fdp) int lock = -1;
	int r = pins_prepare(problem);

	if (r < 0)
		return r;
	if (!a)
		return -ENOMEM;
	if (open_made(a)) {
		*ret_accounting = steal_ptr(&a);
		return 0;
	}
	r = pins_enter(&lock, problem);
	if (!r)
		r = handover_take_accounting(problem);
	if (r < 0)
		return r;
	if (mkdir(FOLDER, 0750) < 0 && errno != EEXIST)
		return problem_set(problem, -errno,
				   "cannot make the accounting pins: %m; this needs root");
	r = open_pins(a, FOLDER);
	if (r == -ENOENT || (!r && is_outdated(a))) {
		close_pins(a);
		r = load_and_pin(a, problem);
	} else if (r < 0)
		problem_set(problem, r, "cannot open the accounting pins: %s", strerror(-r));
	if (!r)
		r = hold(a, FOLDER, problem);
	if (r < 0)
		return r;
	*ret_accounting = steal_ptr(&a);
	return 0;
}

int accounting_attach(struct accounting **ret_accounting)
{
	_cleanup_(accounting_freep) struct accounting *a = accounting_new();
	int r = a ? open_pins(a, FOLDER) : -ENOMEM;

	if (r < 0)
		return r;
	*ret_accounting = steal_ptr(&a);
	return 0;
}

int accounting_look(struct accounting **ret_accounting)
{
	_cleanup_(accounting_freep) struct accounting *a = accounting_new();
	const char *folder = access(FOLDER "/link", F_OK) && errno == ENOENT ? BEFORE : FOLDER;
	int r = a ? open_pins(a, folder) : -ENOMEM;

	if (!r)
		r = hold(a, folder, NULL);
	if (r < 0)
		return r;
	a->looks = folder;
	*ret_accounting = steal_ptr(&a);
	return 0;
}

int accounting_destroy(void)
{
	return pins_remove(FOLDER);
}

static int is_service(const char *name, void *userdata)
{
	(void)userdata;
	return name[0] != '%';
}

void accounting_drop_unused(void)
{
	_cleanup_(close_fdp) int lock = -1, unused = -1;
	int r;

	/* nobody makes a service's pins meanwhile */
	if (pins_lock(HS_PIN_ROOT, 1, &lock) < 0 || pins_each_folder(HS_PIN_ROOT, is_service, NULL))
		return;
	r = pins_lock(FOLDER, 0, &unused);
	if (r < 0 && r != -ENOENT)
		return;
	accounting_destroy();
	rmdir(HS_PIN_ROOT);
}

int accounting_register(struct accounting *a, uint32_t service_id, int counters_fd)
{
	uint32_t known = 0;

	/* an update waits until no program can still see the old map (milliseconds): not for
	 * nothing. What is looked up is the id of the inner map, which is what names a service. */
	if (!bpf_map_lookup_elem(a->services_fd, &service_id, &known) && known == service_id)
		return 0;
	return bpf_map_update_elem(a->services_fd, &service_id, &counters_fd, BPF_ANY) ? -errno : 0;
}

void accounting_unregister(struct accounting *a, uint32_t service_id)
{
	bpf_map_delete_elem(a->services_fd, &service_id);
	guard_forget(service_id);
	own_forget(service_id);
}

int accounting_tag(struct accounting *a, int socket_fd, const struct hs_tag *tag)
{
	if (bpf_map_update_elem(a->tags_fd, &socket_fd, tag, BPF_ANY))
		return -errno;
	if (a->queues)
		queues_forget(a->queues);
	return 0;
}

int accounting_tags_fd(const struct accounting *a)
{
	return a->tags_fd;
}

int accounting_moved_fd(const struct accounting *a)
{
	return a->moved_fd;
}

struct census **accounting_census(struct accounting *a)
{
	return &a->census;
}

/* Once: a kernel that does not describe itself will not do so later. */
void accounting_load_queues(struct accounting *a)
{
	if (!a->queues_asked && queues_open(a->tags_fd, &a->queues) < 0)
		a->queues = NULL;
	a->queues_asked = true;
}

struct queues *accounting_queues(struct accounting *a)
{
	return a->queues;
}

struct motion *accounting_motion(struct accounting *a)
{
	/* once: a kernel that does not describe itself will not do so later */
	if (!a->motion_asked && motion_open(a->tags_fd, a->moved_fd, &a->motion) < 0)
		a->motion = NULL;
	a->motion_asked = true;
	return a->motion;
}

struct guard *accounting_guard(struct accounting *a)
{
	int r;

	if (a->guard)
		return a->guard;
	/* what stood against it may be over: another process was making pins */
	r = a->looks ? guard_attach(a->looks, &a->guard) : guard_open(&a->guard, NULL);
	return r < 0 ? NULL : a->guard;
}

struct own *accounting_own(struct accounting *a)
{
	int r;

	if (a->own || a->own_refused)
		return a->own;
	r = a->looks ? own_attach(a->looks, &a->own) : own_open(&a->own, NULL);
	/* what stood against it may be over: another process was making pins */
	a->own_refused = r < 0 && r != -EBUSY;
	return r < 0 ? NULL : a->own;
}

unsigned accounting_slot_of(const struct accounting *a, uint64_t cookie, const struct hs_tag *tag)
{
	struct hs_move move;

	return bpf_map_lookup_elem(a->moved_fd, &cookie, &move) ? tag->slot : move.to;
}

static int on_record(void *userdata, void *data, size_t size)
{
	struct accounting *a = userdata;

	if (a->watching && size >= sizeof(struct hs_listen))
		a->on_listen(data, a->userdata);
	/* this one is taken; libbpf would go on as long as more of them come */
	return --a->may_tell ? 0 : -EAGAIN;
}

int accounting_listens_watch(struct accounting *a, accounting_listen_fn on_listen, void *userdata,
			     int *ret_fd)
{
	a->ring = ring_buffer__new(a->listens_fd, on_record, a, NULL);
	if (!a->ring)
		return -errno;
	a->on_listen = on_listen;
	a->userdata = userdata;
	/* all that a ring can hold */
	a->may_tell = UINT16_MAX;
	ring_buffer__consume(a->ring);
	a->watching = true;
	*ret_fd = ring_buffer__epoll_fd(a->ring);
	return 0;
}

int accounting_listens_consume(struct accounting *a)
{
	int r;

	a->may_tell = ACCOUNTING_LISTENS_AT_ONCE;
	r = ring_buffer__consume(a->ring);
	return r == -EAGAIN ? 0 : r;
}

int accounting_listens_lost(const struct accounting *a, uint64_t *ret_lost)
{
	int n = libbpf_num_possible_cpus();
	_cleanup_(freep) struct hs_telling *telling = NULL;
	uint32_t zero = 0;

	if (n <= 0)
		return n;
	telling = calloc(n, sizeof(*telling));
	if (!telling)
		return -ENOMEM;
	if (bpf_map_lookup_elem(a->telling_fd, &zero, telling))
		return -errno;
	*ret_lost = 0;
	for (int i = 0; i < n; i++)
		*ret_lost += telling[i].lost;
	return 0;
}

int accounting_watch_port(struct accounting *a, uint16_t port)
{
	uint32_t key = port, one = 1;

	return bpf_map_update_elem(a->watched_fd, &key, &one, BPF_ANY) ? -errno : 0;
}

int accounting_watch_cgroup(struct accounting *a, const char *cgroup)
{
	_cleanup_(close_fdp) int fd = -1;
	int r = cgroup_open(cgroup, &fd);

	if (!r)
		r = cgroup_has_program(fd, BPF_CGROUP_SOCK_OPS, a->listening_fd);
	if (r)
		return MIN(r, 0);
	return bpf_prog_attach(a->listening_fd, fd, BPF_CGROUP_SOCK_OPS, BPF_F_ALLOW_MULTI) ? -errno
											    : 0;
}

int accounting_unwatch_cgroup(struct accounting *a, const char *cgroup)
{
	_cleanup_(close_fdp) int fd = -1;
	int r = cgroup_open(cgroup, &fd);

	if (!r && bpf_prog_detach2(a->listening_fd, fd, BPF_CGROUP_SOCK_OPS) && errno != ENOENT &&
	    errno != EINVAL)
		r = -errno;
	return r == -ENOENT ? 0 : r;
}
