// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/act/force.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "force.skel.h"
#include "hs_abi.h"
#include "plane/bpf/handover.h"
#include "plane/bpf/load.h"
#include "plane/bpf/pins.h"
#include "plane/bpf/pinset.h"
#include "plane/kernel/cgroup.h"
#include "plane/kernel/ephemeral.h"
#include "plane/kernel/program.h"
#include "util/macro.h"

struct force {
	struct hs_ports *ports; /* mapped */
	int program_fds[2];
};

static const struct {
	enum bpf_attach_type type;
	const char *pin;
} programs[] = {
	{BPF_CGROUP_INET4_BIND, "bind4"},
	{BPF_CGROUP_INET6_BIND, "bind6"},
};

DEFINE_CLEANUP(struct force_bpf, force_bpf__destroy)

static struct force *force_new(void)
{
	struct force *force = calloc(1, sizeof(*force));

	for (size_t i = 0; force && i < ARRAY_SIZE(programs); i++)
		force->program_fds[i] = -1;
	return force;
}

struct force *force_free(struct force *force)
{
	if (!force)
		return NULL;
	if (force->ports)
		munmap(force->ports, sizeof(*force->ports));
	for (size_t i = 0; i < ARRAY_SIZE(programs); i++)
		close_fd(force->program_fds[i]);
	free(force);
	return NULL;
}

static uint64_t own_build(void)
{
	const void *bytes;
	size_t n;

	bytes = force_bpf__elf_bytes(&n);
	return load_build(bytes, n);
}

static int map_ports(int fd, struct hs_ports **ret_ports)
{
	*ret_ports = load_memory(fd, sizeof(**ret_ports));
	return *ret_ports ? 0 : -errno;
}

static int open_ports(const char *folder, int *ret_fd, struct hs_ports **ret_ports)
{
	_cleanup_(close_fdp) int fd = -1;
	int r = pin_open(pin_path("%s/ports", folder).text, &fd);

	if (!r)
		r = map_ports(fd, ret_ports);
	if (!r)
		*ret_fd = steal_fd(&fd);
	return r;
}

static int open_pins(const char *folder, struct force **ret_force)
{
	_cleanup_(force_freep) struct force *force = force_new();
	_cleanup_(close_fdp) int ports = -1;
	int r;

	if (!force)
		return -ENOMEM;
	r = open_ports(folder, &ports, &force->ports);
	/* of the version before they do the same; another build is made anew before it is used */
	if (!r && !handover_is_readable(__atomic_load_n(&force->ports->abi, __ATOMIC_ACQUIRE)))
		r = -ENOENT;
	for (size_t i = 0; !r && i < ARRAY_SIZE(programs); i++)
		r = pin_open(pin_path("%s/%s", folder, programs[i].pin).text,
			     &force->program_fds[i]);
	if (!r)
		*ret_force = steal_ptr(&force);
	return r;
}

int force_open(const char *service, struct force **ret_force)
{
	return open_pins(pin_service_path(service).text, ret_force);
}

/* The map stays when programs are made anew, with what was counted. */
static int reuse_ports(const char *folder, struct force_bpf *skel)
{
	_cleanup_(close_fdp) int fd = -1;
	int r = pin_open(pin_path("%s/ports", folder).text, &fd);

	if (r)
		return r == -ENOENT ? 0 : r;
	return bpf_map__reuse_fd(skel->maps.hs_ports, fd);
}

/* Without accounting there are no tags; then a map of their own has none either. */
static int reuse_tags(struct force_bpf *skel)
{
	_cleanup_(close_fdp) int fd = -1;
	int r = pin_open(HS_PIN_ROOT "/" HS_PIN_ACCOUNTING "/tags", &fd);

	if (r)
		return r == -ENOENT ? 0 : r;
	return bpf_map__reuse_fd(skel->maps.hs_tags, fd);
}

static void set_attached(const char *folder, struct pinset_attached attached[])
{
	for (size_t i = 0; i < ARRAY_SIZE(programs); i++)
		attached[i] = (struct pinset_attached) {pin_path("%s/%s", folder, programs[i].pin),
							(int)programs[i].type};
}

static int pin_next(const struct pinset_attached attached[], const struct force_bpf *skel)
{
	const struct bpf_program *made[] = {skel->progs.hs_bind4, skel->progs.hs_bind6};
	int r = 0;

	_Static_assert(ARRAY_SIZE(made) == ARRAY_SIZE(programs), "one pin a program");
	for (size_t i = 0; !r && i < ARRAY_SIZE(programs); i++)
		r = pinset_next(&attached[i], bpf_program__fd(made[i]));
	return r;
}

static int pin_all(const char *folder, const struct force_bpf *skel)
{
	struct pinset_attached attached[ARRAY_SIZE(programs)];
	int r = pin_object(bpf_map__fd(skel->maps.hs_ports), pin_path("%s/ports", folder).text);

	set_attached(folder, attached);
	if (!r)
		r = pin_next(attached, skel);
	return r ? r : pinset_succeed(attached, ARRAY_SIZE(programs));
}

/* Until `abi` is set it is half made. A new set is all ports: a server that starts at this very
 * moment must not be missed. */
static int mark_made(int ports_fd)
{
	struct hs_ports *ports = NULL;
	int r = map_ports(ports_fd, &ports);

	if (r < 0)
		return r;
	if (!ports->abi) {
		memset(ports->tcp, 0xff, sizeof(ports->tcp));
		memset(ports->udp, 0xff, sizeof(ports->udp));
	}
	ports->build = own_build();
	__atomic_store_n(&ports->abi, HS_ABI_VERSION, __ATOMIC_RELEASE);
	munmap(ports, sizeof(*ports));
	return 0;
}

/* Loaded; with `folder` NULL into maps of its own. */
static int load(const char *folder, bool tells_mptcp, struct force_bpf **ret_skel,
		struct problem *problem)
{
	_cleanup_(force_bpf__destroyp) struct force_bpf *skel = force_bpf__open();
	int r = skel ? 0 : -errno;

	if (!r && folder)
		r = reuse_ports(folder, skel) ?: reuse_tags(skel);
	if (r < 0)
		return problem_set(problem, r, "cannot open the bind programs: %s", strerror(-r));
	skel->rodata->hs_tells_mptcp = tells_mptcp;
	r = load_object(skel->obj, "the bind programs", problem);
	if (!r)
		*ret_skel = steal_ptr(&skel);
	return r;
}

/* Where sockets of MPTCP cannot be told, nor can they be refused the option. */
static int load_as_can_be(const char *folder, struct force_bpf **ret_skel, struct problem *problem)
{
	int r = load(folder, true, ret_skel, problem);

	return r && r != -EPERM ? load(folder, false, ret_skel, problem) : r;
}

int force_try(struct problem *problem)
{
	_cleanup_(force_bpf__destroyp) struct force_bpf *skel = NULL;

	return load_as_can_be(NULL, &skel, problem);
}

static int make_pins(const char *folder, struct problem *problem)
{
	_cleanup_(force_bpf__destroyp) struct force_bpf *skel = NULL;
	struct problem refusal;
	int r = load_as_can_be(folder, &skel, &refusal);

	if (r < 0)
		return problem_set(
			problem, r,
			"%s; without them servers have to set SO_REUSEPORT themselves, or "
			"use a socket unit",
			refusal.text);
	r = pin_all(folder, skel);
	if (!r)
		r = mark_made(bpf_map__fd(skel->maps.hs_ports));
	if (r < 0)
		return problem_set(problem, r, "cannot pin the bind programs below %s: %s", folder,
				   strerror(-r));
	return 0;
}

int force_create(const char *service, struct force **ret_force, struct problem *problem)
{
	_cleanup_(force_freep) struct force *force = NULL;
	_cleanup_(close_fdp) int lock = -1;
	struct pin_path folder = pin_service_path(service);
	int r = open_pins(folder.text, ret_force);

	if (!r && (*ret_force)->ports->build == own_build())
		return 0;
	if (!r)
		force_free(*ret_force);
	r = pins_lock(HS_PIN_ROOT, 1, &lock);
	if (r < 0)
		return problem_set(problem, r, "cannot lock %s: %s%s", HS_PIN_ROOT, strerror(-r),
				   r == -EBUSY ? "" : "; this needs root");
	r = open_pins(folder.text, &force);
	if (!r && force->ports->build == own_build()) {
		*ret_force = steal_ptr(&force);
		return 0;
	}
	if (r && r != -ENOENT)
		return problem_set(problem, r, "cannot open the bind programs below %s: %s",
				   folder.text, strerror(-r));
	r = make_pins(folder.text, problem);
	return r ? r : open_pins(folder.text, ret_force);
}

/* ---- all services ---- */

/* One of another build. */
struct renewed {
	struct pin_path folder;
	uint32_t id; /* of the last program of ours that is pinned as the next; 0 = none */
};

struct renewal {
	struct renewed *all;
	size_t n;
};

static bool is_outdated(const char *folder)
{
	_cleanup_(force_freep) struct force *force = NULL;

	return !open_pins(folder, &force) && force->ports->build != own_build();
}

static int add_outdated(const char *name, void *userdata)
{
	struct renewal *renewal = userdata;
	struct pin_path folder = pin_path("%s/%s", HS_PIN_ROOT, name);
	struct renewed *more;

	if (name[0] == '%' || !is_outdated(folder.text))
		return 0;
	more = reallocarray(renewal->all, renewal->n + 1, sizeof(*more));
	if (!more)
		return -ENOMEM;
	renewal->all = more;
	more[renewal->n++] = (struct renewed) {.folder = folder};
	return 0;
}

/* With a lock for each: units that start meanwhile want it, too, and wait for a second only. */
static void make_next(struct renewed *one)
{
	struct pinset_attached attached[ARRAY_SIZE(programs)];
	_cleanup_(force_bpf__destroyp) struct force_bpf *skel = NULL;
	_cleanup_(close_fdp) int lock = -1;

	if (pins_enter(&lock, NULL) < 0 || !is_outdated(one->folder.text) ||
	    load_as_can_be(one->folder.text, &skel, NULL) < 0)
		return;
	set_attached(one->folder.text, attached);
	if (!pin_next(attached, skel))
		(void)program_id(bpf_program__fd(skel->progs.hs_bind6), &one->id);
}

/* Unless somebody else has put another one there since. */
static void mark_renewed(const struct renewed *one)
{
	_cleanup_(close_fdp) int program = -1, ports = -1;
	uint32_t id;

	if (one->id && !pin_open(pin_path("%s/bind6", one->folder.text).text, &program) &&
	    !program_id(program, &id) && id == one->id &&
	    !pin_open(pin_path("%s/ports", one->folder.text).text, &ports))
		(void)mark_made(ports);
}

static void succeed_all(const struct renewal *renewal)
{
	_cleanup_(freep) struct pinset_attached *attached = NULL;
	_cleanup_(close_fdp) int lock = -1;
	size_t n = renewal->n * ARRAY_SIZE(programs);

	attached = calloc(n, sizeof(*attached));
	if (!attached || pins_enter(&lock, NULL) < 0)
		return;
	for (size_t i = 0; i < renewal->n; i++)
		set_attached(renewal->all[i].folder.text, &attached[i * ARRAY_SIZE(programs)]);
	if (pinset_succeed(attached, n) < 0)
		return;
	for (size_t i = 0; i < renewal->n; i++)
		mark_renewed(&renewal->all[i]);
}

void force_renew(void)
{
	struct renewal renewal = {0};

	(void)pins_each_folder(HS_PIN_ROOT, add_outdated, &renewal);
	for (size_t i = 0; i < renewal.n; i++)
		make_next(&renewal.all[i]);
	if (renewal.n)
		succeed_all(&renewal);
	free(renewal.all);
}

/* ---- the ports ---- */

static void set_word(uint64_t *word, uint64_t bits)
{
	__atomic_store_n(word, bits, __ATOMIC_RELAXED);
}

/*
 * Not the ephemeral ports, unless they are named: a server binds such a one for a question of its
 * own (a resolver a random one for each), and with the option the other slot's server could bind
 * the same and get the answer.
 */
static void set_serving_udp(uint64_t udp[])
{
	struct ephemeral range = ephemeral_range();

	for (unsigned port = 0; port <= UINT16_MAX; port++)
		udp[port / 64] |= (uint64_t)!ephemeral_has(range, port) << (port % 64);
}

void force_set_service(struct force *force, uint32_t service_id)
{
	__atomic_store_n(&force->ports->service_id, service_id, __ATOMIC_RELAXED);
}

static void add_port(uint64_t set[], uint16_t port, bool is_meant)
{
	set[port / 64] |= (uint64_t)is_meant << (port % 64);
}

static void add_ports(uint64_t tcp[], uint64_t udp[], const struct config_port *ports, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		add_port(tcp, ports[i].port, ports[i].tcp);
		add_port(udp, ports[i].port, ports[i].udp);
	}
}

void force_set_ports(struct force *force, const struct config_port *ports, size_t n)
{
	uint64_t tcp[ARRAY_SIZE(force->ports->tcp)], udp[ARRAY_SIZE(force->ports->udp)];

	memset(tcp, n ? 0 : 0xff, sizeof(tcp));
	memset(udp, 0, sizeof(udp));
	if (!n)
		set_serving_udp(udp);
	add_ports(tcp, udp, ports, n);
	/* no port that is in both sets is missing for a moment */
	for (size_t i = 0; i < ARRAY_SIZE(tcp); i++) {
		set_word((uint64_t *)&force->ports->tcp[i], tcp[i]);
		set_word((uint64_t *)&force->ports->udp[i], udp[i]);
	}
}

void force_keep_addresses(struct force *force, struct plane *plane, const struct config_port *ports,
			  size_t n_ports)
{
	uint64_t tcp[ARRAY_SIZE(force->ports->tcp)] = {0};
	uint64_t udp[ARRAY_SIZE(force->ports->udp)] = {0};
	size_t n;
	struct listener **listeners = plane_listeners(plane, &n);

	for (size_t i = 0; i < n; i++) {
		const struct address *address = &listeners[i]->address;

		add_port(address->udp ? udp : tcp, address->port, true);
	}
	add_ports(tcp, udp, ports, n_ports);
	for (size_t i = 0; i < ARRAY_SIZE(tcp); i++) {
		set_word((uint64_t *)&force->ports->tcp[i], tcp[i] & force->ports->tcp[i]);
		set_word((uint64_t *)&force->ports->udp[i], udp[i] & force->ports->udp[i]);
	}
}

struct force_counts force_counts(const struct force *force)
{
	return (struct force_counts) {
		.had = __atomic_load_n(&force->ports->had, __ATOMIC_RELAXED),
		.forced = __atomic_load_n(&force->ports->forced, __ATOMIC_RELAXED),
		.refused = __atomic_load_n(&force->ports->refused, __ATOMIC_RELAXED),
	};
}

/* ---- cgroups ---- */

static int attach_one(const struct force *force, size_t i, int cgroup)
{
	int r = cgroup_has_program(cgroup, programs[i].type, force->program_fds[i]);

	if (r)
		return r < 0 ? r : 0;
	if (bpf_prog_attach(force->program_fds[i], cgroup, programs[i].type, BPF_F_ALLOW_MULTI))
		return -errno;
	return 1;
}

int force_attach(const struct force *force, const char *cgroup, struct problem *problem)
{
	_cleanup_(close_fdp) int fd = -1;
	bool attached = false;
	int r = cgroup_open(cgroup, &fd);

	for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(programs); i++) {
		r = attach_one(force, i, fd);
		attached |= r > 0;
	}
	if (r < 0)
		return problem_set(problem, r,
				   "the bind programs cannot be attached to cgroup %s: %s", cgroup,
				   strerror(-r));
	return attached;
}

int force_detach(const struct force *force, const char *cgroup)
{
	_cleanup_(close_fdp) int fd = -1;
	int r = cgroup_open(cgroup, &fd);

	if (r)
		return r == -ENOENT ? 0 : r;
	for (size_t i = 0; i < ARRAY_SIZE(programs); i++)
		if (bpf_prog_detach2(force->program_fds[i], fd, programs[i].type) &&
		    errno != ENOENT && errno != EINVAL)
			r = -errno;
	return r;
}
