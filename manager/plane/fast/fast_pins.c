// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/fast/fast_pins.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "fast.skel.h"
#include "plane/bpf/load.h"
#include "plane/bpf/pinset.h"
#include "plane/kernel/cgroup.h"
#include "util/macro.h"

#define PIN(name) FAST_FOLDER "/" name
#define TAGS	  HS_PIN_ROOT "/" HS_PIN_ACCOUNTING "/tags"

DEFINE_CLEANUP(struct fast_bpf, fast_bpf__destroy)

/* What is pinned, and where its descriptor belongs. */
static const struct pinned {
	const char *path;
	size_t offset;
} pins[] = {
	{PIN("connect"), offsetof(struct fast, connect_fd)},
	{PIN("services"), offsetof(struct fast, services_fd)},
	{PIN("ports"), offsetof(struct fast, ports_fd)},
	{PIN("wants"), offsetof(struct fast, wants_fd)},
	{PIN("clients"), offsetof(struct fast, clients_fd)},
	{PIN("counts"), offsetof(struct fast, counts_fd)},
	{PIN("pairs"), offsetof(struct fast, pairs_fd)},
	{PIN("state"), offsetof(struct fast, state_fd)},
};

static int *fd_of(struct fast *fast, const struct pinned *pin)
{
	return (int *)((char *)fast + pin->offset);
}

void fast_pins_init(struct fast *fast)
{
	for (size_t i = 0; i < ARRAY_SIZE(pins); i++)
		*fd_of(fast, &pins[i]) = -1;
}

void fast_pins_close(struct fast *fast)
{
	for (size_t i = 0; i < ARRAY_SIZE(pins); i++)
		close_fd(*fd_of(fast, &pins[i]));
}

static int read_state(const struct fast *fast, struct hs_fast_state *ret_state)
{
	uint32_t zero = 0;

	return bpf_map_lookup_elem(fast->state_fd, &zero, ret_state) ? -errno : 0;
}

int fast_pins_open(struct fast *fast)
{
	struct hs_fast_state state = {0};
	int r = 0;

	for (size_t i = 0; !r && i < ARRAY_SIZE(pins); i++) {
		int *fd = fd_of(fast, &pins[i]);

		*fd = close_fd(*fd);
		r = pin_open(pins[i].path, fd);
	}
	if (!r)
		r = read_state(fast, &state);
	return !r && state.layout != HS_FAST_LAYOUT ? -ENOENT : r;
}

/* ---- loading ---- */

static uint64_t own_build(void)
{
	const void *bytes;
	size_t n;

	bytes = fast_bpf__elf_bytes(&n);
	return load_build(bytes, n);
}

static uint32_t map_id(int fd)
{
	struct bpf_map_info info = {0};
	uint32_t size = sizeof(info);

	return bpf_obj_get_info_by_fd(fd, &info, &size) ? 0 : info.id;
}

/* ---- the root control group ---- */

static int make_link(int program, int type, const char *path)
{
	_cleanup_(close_fdp) int cgroup = -1, link = -1;
	struct pin_path root;
	int r = cgroup_mount(root.text, sizeof(root.text));

	if (r)
		return r;
	cgroup = open(root.text, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (cgroup < 0)
		return -errno;
	link = bpf_link_create(program, cgroup, type, NULL);
	return link < 0 ? -errno : pin_object(link, path);
}

static int attach_root(int program, int type, const char *path)
{
	_cleanup_(close_fdp) int link = -1;
	int r = pin_open(path, &link);

	if (r == -ENOENT)
		return make_link(program, type, path);
	return r ?: bpf_link_update(link, program, NULL) ? -errno : 0;
}

/* ---- making ---- */

/* Those who send now keep the program that they began with; both know the same maps. */
static int pin_programs(const void *userdata)
{
	const struct fast_bpf *skel = userdata;
	int send = bpf_program__fd(skel->progs.hs_fast_send), r = 0;

	if (bpf_prog_attach(send, bpf_map__fd(skel->maps.hs_fast_peers), BPF_SK_MSG_VERDICT, 0))
		r = -errno;
	if (!r)
		r = attach_root(bpf_program__fd(skel->progs.hs_fast_hold), BPF_CGROUP_INET_EGRESS,
				PIN("hold-link"));
	if (!r)
		r = attach_root(bpf_program__fd(skel->progs.hs_fast_accept), BPF_CGROUP_SOCK_OPS,
				PIN("link"));
	return r
		       ?: pinset_program(PIN("connect"), BPF_CGROUP_SOCK_OPS,
					 bpf_program__fd(skel->progs.hs_fast_connect));
}

static int note_state(const struct fast_bpf *skel, uint32_t tags)
{
	int fd = bpf_map__fd(skel->maps.hs_fast_state);
	struct hs_fast_state state = {0};
	uint32_t zero = 0;

	if (bpf_map_lookup_elem(fd, &zero, &state))
		return -errno;
	state.layout = HS_FAST_LAYOUT;
	state.tags = tags;
	return bpf_map_update_elem(fd, &zero, &state, BPF_ANY) ? -errno : 0;
}

static int make_set(struct fast_bpf *skel, struct problem *problem)
{
	const struct pinset_map maps[] = {
		{PIN("state"), skel->maps.hs_fast_state},
		{PIN("peers"), skel->maps.hs_fast_peers},
		{PIN("offers"), skel->maps.hs_fast_offers},
		{PIN("ways"), skel->maps.hs_fast_ways},
		{PIN("pairs"), skel->maps.hs_fast_pairs},
		{PIN("services"), skel->maps.hs_fast_services},
		{PIN("ports"), skel->maps.hs_fast_ports},
		{PIN("wants"), skel->maps.hs_fast_wants},
		{PIN("clients"), skel->maps.hs_fast_clients},
		{PIN("counts"), skel->maps.hs_fast_counts},
		{PIN("build"), skel->maps.hs_fast_build},
	};
	struct pinset set = {"the fast path", skel->obj,    maps, ARRAY_SIZE(maps),
			     own_build(),     pin_programs, skel};

	return pinset_make(&set, problem);
}

static void leave(void)
{
	struct pinset_attached connect = {pin_path("%s", PIN("connect")), BPF_CGROUP_SOCK_OPS};

	(void)pinset_detach(&connect);
}

static int make_pins(struct problem *problem)
{
	_cleanup_(fast_bpf__destroyp) struct fast_bpf *skel = fast_bpf__open();
	_cleanup_(close_fdp) int tags = -1;
	int r = skel ? pinset_folder(FAST_FOLDER, HS_FAST_LAYOUT, leave) : -errno;

	if (!r)
		r = pin_open(TAGS, &tags);
	if (!r)
		r = bpf_map__reuse_fd(skel->maps.hs_tags, tags);
	if (r)
		return problem_set(problem, r, "cannot make the fast path: %s", strerror(-r));
	r = make_set(skel, problem);
	if (r)
		return r;
	r = note_state(skel, map_id(tags));
	return r ? problem_set(problem, r, "cannot note what the fast path is like: %s",
			       strerror(-r))
		 : 0;
}

/* Who has the tags of another accounting, which is no more, sees none. */
static int open_made(void *ret)
{
	_cleanup_(close_fdp) int tags = -1;
	struct hs_fast_state state = {0};
	struct fast *fast = ret;
	int r;

	if (!pinset_is_made(PIN("build"), own_build()))
		return -ENOENT;
	r = fast_pins_open(fast);
	if (!r)
		r = read_state(fast, &state);
	if (!r)
		r = pin_open(TAGS, &tags);
	return !r && state.tags != map_id(tags) ? -ENOENT : r;
}

int fast_pins_make(struct fast *fast, struct problem *problem)
{
	return pinset_open(open_made, make_pins, fast, problem);
}

int fast_pins_remove(void)
{
	leave();
	return pins_remove(FAST_FOLDER);
}
