// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/accounting.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "accounting.skel.h"
#include "plane/census.h"
#include "plane/cgroup.h"
#include "plane/motion.h"
#include "plane/load.h"
#include "plane/pins.h"
#include "util/macro.h"

#define PIN(name) HS_PIN_ROOT "/" HS_PIN_ACCOUNTING "/" name

struct accounting {
	int tags_fd, services_fd, moved_fd, listens_fd;
	struct ring_buffer *ring;
	accounting_listen_fn on_listen;
	void *userdata;
	bool watching;
	int used_fd;	       /* the folder of its pins, locked for as long as it is used */
	struct census *census; /* from the first question on; so are these */
	struct motion *motion;
	bool motion_asked;
};

/* The pins of the maps, and where their descriptors belong. */
static const struct pinned_map {
	const char *path;
	size_t offset;
} pinned_maps[] = {
	{PIN("tags"), offsetof(struct accounting, tags_fd)},
	{PIN("services"), offsetof(struct accounting, services_fd)},
	{PIN("moved"), offsetof(struct accounting, moved_fd)},
	{PIN("listens"), offsetof(struct accounting, listens_fd)},
};

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
	a->used_fd = close_fd(a->used_fd);
}

struct accounting *accounting_free(struct accounting *a)
{
	if (!a)
		return NULL;
	ring_buffer__free(a->ring);
	census_free(a->census);
	motion_free(a->motion);
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
		a->used_fd = -1;
	return a;
}

/* The link is pinned last: without it the pins are a half-made set, to be made again. */
static int open_pins(struct accounting *a)
{
	_cleanup_(close_fdp) int link = -1;
	int r = pin_open(PIN("link"), &link);

	for (size_t i = 0; !r && i < ARRAY_SIZE(pinned_maps); i++)
		r = pin_open(pinned_maps[i].path, fd_of(a, &pinned_maps[i]));
	return r;
}

static int attach(struct accounting_bpf *skel, struct problem *problem)
{
	_cleanup_(close_fdp) int cgroup = -1;
	struct pin_path root;
	int r, link;

	r = cgroup_mount(root.text, sizeof(root.text));
	if (r < 0)
		return problem_set(problem, r,
				   "no cgroup2 mount found; connections cannot be counted");
	cgroup = open(root.text, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (cgroup < 0)
		return problem_set(problem, -errno, "cannot open %s: %m", root.text);
	link = bpf_link_create(bpf_program__fd(skel->progs.hs_account), cgroup, BPF_CGROUP_SOCK_OPS,
			       NULL);
	if (link < 0)
		return problem_set(problem, -errno,
				   "the kernel refused the accounting program on cgroup %s: %m",
				   root.text);
	r = pin_object(link, PIN("link"));
	close_fd(link);
	return r;
}

static int load_and_pin(struct accounting *a, struct problem *problem)
{
	_cleanup_(accounting_bpf__destroyp) struct accounting_bpf *skel = accounting_bpf__open();
	int r;

	if (!skel)
		return problem_set(problem, -errno, "cannot open the accounting program: %m");
	r = load_object(skel->obj, "the accounting program", problem);
	if (r < 0)
		return r;
	const struct bpf_map *maps[] = {skel->maps.hs_tags, skel->maps.hs_services,
					skel->maps.hs_moved, skel->maps.hs_listens};
	_Static_assert(ARRAY_SIZE(maps) == ARRAY_SIZE(pinned_maps), "one pin a map");
	for (size_t i = 0; i < ARRAY_SIZE(maps); i++) {
		r = pin_object(bpf_map__fd(maps[i]), pinned_maps[i].path);
		if (r < 0)
			return problem_set(problem, r, "cannot pin %s: %s", pinned_maps[i].path,
					   strerror(-r));
	}
	r = attach(skel, problem);
	return r ? r : open_pins(a);
}

/* Who uses it shares a lock, so that nobody takes the pins for unused. */
static int hold(struct accounting *a, struct problem *problem)
{
	a->used_fd = open(HS_PIN_ROOT "/" HS_PIN_ACCOUNTING, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (a->used_fd < 0 || flock(a->used_fd, LOCK_SH | LOCK_NB) < 0)
		return problem_set(problem, -errno, "cannot lock the accounting pins: %m");
	return 0;
}

/* The lock of all pins is for those who make some: these are there, and nobody takes them away. */
static bool open_made(struct accounting *a)
{
	if (!hold(a, NULL) && !open_pins(a))
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
	if (r < 0)
		return r;
	if (mkdir(HS_PIN_ROOT "/" HS_PIN_ACCOUNTING, 0750) < 0 && errno != EEXIST)
		return problem_set(problem, -errno,
				   "cannot make the accounting pins: %m; this needs root");
	r = open_pins(a);
	if (r == -ENOENT)
		r = load_and_pin(a, problem);
	else if (r < 0)
		problem_set(problem, r, "cannot open the accounting pins: %s", strerror(-r));
	if (!r)
		r = hold(a, problem);
	if (r < 0)
		return r;
	*ret_accounting = steal_ptr(&a);
	return 0;
}

int accounting_attach(struct accounting **ret_accounting)
{
	_cleanup_(accounting_freep) struct accounting *a = accounting_new();
	int r = a ? open_pins(a) : -ENOMEM;

	if (r < 0)
		return r;
	*ret_accounting = steal_ptr(&a);
	return 0;
}

int accounting_destroy(void)
{
	return pins_remove(HS_PIN_ROOT "/" HS_PIN_ACCOUNTING);
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
	r = pins_lock(HS_PIN_ROOT "/" HS_PIN_ACCOUNTING, 0, &unused);
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
}

int accounting_tag(struct accounting *a, int socket_fd, const struct hs_tag *tag)
{
	return bpf_map_update_elem(a->tags_fd, &socket_fd, tag, BPF_ANY) ? -errno : 0;
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

struct motion *accounting_motion(struct accounting *a)
{
	/* once: a kernel that does not describe itself will not do so later */
	if (!a->motion_asked && motion_open(a->tags_fd, a->moved_fd, &a->motion) < 0)
		a->motion = NULL;
	a->motion_asked = true;
	return a->motion;
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
	return 0;
}

int accounting_listens_watch(struct accounting *a, accounting_listen_fn on_listen, void *userdata,
			     int *ret_fd)
{
	a->ring = ring_buffer__new(a->listens_fd, on_record, a, NULL);
	if (!a->ring)
		return -errno;
	a->on_listen = on_listen;
	a->userdata = userdata;
	ring_buffer__consume(a->ring);
	a->watching = true;
	*ret_fd = ring_buffer__epoll_fd(a->ring);
	return 0;
}

int accounting_listens_consume(struct accounting *a)
{
	return ring_buffer__consume(a->ring);
}
