// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/bpf/own.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <string.h>
#include <sys/mman.h>

#include "hs_abi.h"
#include "own.skel.h"
#include "plane/bpf/load.h"
#include "plane/bpf/pins.h"
#include "plane/bpf/pinset.h"
#include "plane/kernel/cgroup.h"
#include "plane/kernel/program.h"
#include "util/macro.h"

#define FOLDER	  HS_PIN_ROOT "/" HS_PIN_ACCOUNTING
#define PIN(name) FOLDER "/" name

struct own {
	int egress_fd, release_fd, own_fd, rules_fd, ports_fd, marks_fd;
	uint32_t *marks; /* mapped */
};

#define MARKS_SIZE (HS_OWN_MARKS_MAX * sizeof(uint32_t))

/* What is pinned, and where its descriptor belongs. */
static const struct pinned {
	const char *name;
	size_t offset;
} pins[] = {
	{"own-egress", offsetof(struct own, egress_fd)},
	{"own-release", offsetof(struct own, release_fd)},
	{"own", offsetof(struct own, own_fd)},
	{"own-rules", offsetof(struct own, rules_fd)},
	{"own-ports", offsetof(struct own, ports_fd)},
	{"own-marks", offsetof(struct own, marks_fd)},
};

DEFINE_CLEANUP(struct own, own_free)
DEFINE_CLEANUP(struct own_bpf, own_bpf__destroy)

static int *fd_of(struct own *own, const struct pinned *pin)
{
	return (int *)((char *)own + pin->offset);
}

static struct own *own_new(void)
{
	struct own *own = calloc(1, sizeof(*own));

	for (size_t i = 0; own && i < ARRAY_SIZE(pins); i++)
		*fd_of(own, &pins[i]) = -1;
	return own;
}

struct own *own_free(struct own *own)
{
	if (!own)
		return NULL;
	if (own->marks)
		munmap(own->marks, MARKS_SIZE);
	for (size_t i = 0; i < ARRAY_SIZE(pins); i++)
		close_fd(*fd_of(own, &pins[i]));
	free(own);
	return NULL;
}

static uint64_t own_build(void)
{
	const void *bytes;
	size_t n;

	bytes = own_bpf__elf_bytes(&n);
	return load_build(bytes, n);
}

int own_attach(const char *folder, struct own **ret_own)
{
	_cleanup_(own_freep) struct own *own = own_new();
	int r = own ? 0 : -ENOMEM;

	for (size_t i = 0; !r && i < ARRAY_SIZE(pins); i++)
		r = pin_open(pin_path("%s/%s", folder, pins[i].name).text, fd_of(own, &pins[i]));
	if (r)
		return r;
	own->marks = load_memory(own->marks_fd, MARKS_SIZE);
	if (!own->marks)
		return -errno;
	*ret_own = steal_ptr(&own);
	return 0;
}

static int open_pins(void *ret)
{
	return pinset_is_made(PIN("own-build"), own_build()) ? own_attach(FOLDER, ret) : -ENOENT;
}

/* ---- making ---- */

static int pin_programs(const void *userdata)
{
	const struct own_bpf *skel = userdata;
	int release = bpf_program__fd(skel->progs.hs_own_release), r;

	r = pinset_program(PIN("own-release"), BPF_CGROUP_INET_SOCK_RELEASE, release);
	return r ? r
		 : pinset_program(PIN("own-egress"), BPF_CGROUP_INET_EGRESS,
				  bpf_program__fd(skel->progs.hs_own_egress));
}

static int make_pins(struct problem *problem)
{
	_cleanup_(own_bpf__destroyp) struct own_bpf *skel = own_bpf__open();

	if (!skel)
		return problem_set(problem, -errno, "cannot open the programs of the own way: %m");
	const struct pinset_map maps[] = {
		{PIN("own"), skel->maps.hs_own},
		{PIN("own-rules"), skel->maps.hs_own_rules},
		{PIN("own-ports"), skel->maps.hs_own_ports},
		{PIN("own-marks"), skel->maps.hs_own_marks},
		{PIN("own-sockets"), skel->maps.hs_own_sockets},
		{PIN("own-build"), skel->maps.hs_own_build},
	};
	struct pinset set = {"the programs of the own way",
			     skel->obj,
			     maps,
			     ARRAY_SIZE(maps),
			     own_build(),
			     pin_programs,
			     skel};

	return pinset_make(&set, problem);
}

int own_open(struct own **ret_own, struct problem *problem)
{
	return pinset_open(open_pins, make_pins, ret_own, problem);
}

/* ---- services ---- */

int own_marks_fd(const struct own *own)
{
	return own->marks_fd;
}

void own_unmark(struct own *own, uint32_t service_id, uint16_t source_port)
{
	uint32_t *services = own->marks + HS_OWN_MARKS;

	__atomic_fetch_sub(&own->marks[ntohs(source_port) % HS_OWN_MARKS], 1, __ATOMIC_RELAXED);
	__atomic_fetch_sub(&services[service_id % HS_OWN_SERVICES], 1, __ATOMIC_RELAXED);
}

static uint32_t map_id(int fd)
{
	struct bpf_map_info info = {0};
	uint32_t size = sizeof(info);

	return bpf_obj_get_info_by_fd(fd, &info, &size) ? 0 : info.id;
}

int own_register(const struct own *own, uint32_t service_id, int rules_fd)
{
	uint32_t known = 0;

	/* see accounting_register() */
	if (!bpf_map_lookup_elem(own->rules_fd, &service_id, &known) && known == map_id(rules_fd))
		return 0;
	return bpf_map_update_elem(own->rules_fd, &service_id, &rules_fd, BPF_ANY) ? -errno : 0;
}

int own_add_address(const struct own *own, uint32_t service_id, const struct address *address)
{
	struct hs_own_port port = {
		.service_id = service_id,
		.port = htons(address->port),
		.protocol = address->udp ? IPPROTO_UDP : IPPROTO_TCP,
	};
	uint8_t one = 1;

	return bpf_map_update_elem(own->ports_fd, &port, &one, BPF_ANY) ? -errno : 0;
}

static void forget_ports(int fd, uint32_t service_id)
{
	struct hs_own_port key, next, *previous = NULL;

	while (!bpf_map_get_next_key(fd, previous, &next)) {
		if (previous && key.service_id == service_id)
			bpf_map_delete_elem(fd, &key);
		key = next;
		previous = &key;
	}
	if (previous && key.service_id == service_id)
		bpf_map_delete_elem(fd, &key);
}

void own_forget(uint32_t service_id)
{
	_cleanup_(close_fdp) int ports = -1, rules = -1;

	if (!pin_open(PIN("own-rules"), &rules))
		bpf_map_delete_elem(rules, &service_id);
	if (!pin_open(PIN("own-ports"), &ports))
		forget_ports(ports, service_id);
}

/* ---- cgroups ---- */

static int attach_one(int program_fd, int type, int cgroup_fd)
{
	int r = cgroup_has_program(cgroup_fd, type, program_fd);

	if (r)
		return MIN(r, 0);
	return bpf_prog_attach(program_fd, cgroup_fd, type, BPF_F_ALLOW_MULTI) ? -errno : 0;
}

/* The count of rules is the programs': it is not written when nothing else has to be. */
static int set_place(const struct own *own, uint64_t id, const struct own_place *place)
{
	struct hs_own now = {0};

	if (bpf_map_lookup_elem(own->own_fd, &id, &now))
		return -errno;
	if (now.service_id == place->service_id && now.slot == place->slot && now.on == place->on)
		return 0;
	now.service_id = place->service_id;
	now.slot = place->slot;
	now.on = place->on;
	return bpf_map_update_elem(own->own_fd, &id, &now, BPF_ANY) ? -errno : 0;
}

int own_cgroup(const struct own *own, const char *cgroup, const struct own_place *place)
{
	_cleanup_(close_fdp) int fd = -1;
	uint64_t id;
	int r = cgroup_open(cgroup, &fd);

	if (!r)
		r = cgroup_id(cgroup, &id);
	/* the one that takes rules away comes first */
	if (!r)
		r = attach_one(own->release_fd, BPF_CGROUP_INET_SOCK_RELEASE, fd);
	if (!r)
		r = attach_one(own->egress_fd, BPF_CGROUP_INET_EGRESS, fd);
	return r ? r : set_place(own, id, place);
}

static bool is_program(int fd, uint32_t id)
{
	uint32_t its_id;

	return !program_id(fd, &its_id) && its_id == id;
}

bool own_has_program(const struct own *own, uint32_t id)
{
	return is_program(own->egress_fd, id) || is_program(own->release_fd, id);
}

int own_leave_cgroup(const struct own *own, const char *cgroup)
{
	_cleanup_(close_fdp) int fd = -1;
	int r = cgroup_open(cgroup, &fd);

	if (r)
		return r == -ENOENT ? 0 : r;
	if (bpf_prog_detach2(own->egress_fd, fd, BPF_CGROUP_INET_EGRESS) && errno != ENOENT &&
	    errno != EINVAL)
		r = -errno;
	if (bpf_prog_detach2(own->release_fd, fd, BPF_CGROUP_INET_SOCK_RELEASE) &&
	    errno != ENOENT && errno != EINVAL)
		r = -errno;
	return r;
}
