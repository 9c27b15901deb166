// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/front/device_pins.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <linux/if_link.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "front_device.skel.h"
#include "plane/bpf/load.h"
#include "plane/kernel/program.h"
#include "util/macro.h"

#define FOLDER HS_PIN_ROOT "/" HS_PIN_FRONTS

/* Whoever finds the folder removed makes it again. */
#define ENTER_TRIES 3

DEFINE_CLEANUP(struct front_device_bpf, front_device_bpf__destroy)

int device_pins_enter(int *ret_lock, struct problem *problem)
{
	int r = -ENOENT;

	for (unsigned i = 0; r == -ENOENT && i < ENTER_TRIES; i++) {
		r = pins_prepare(problem);
		if (r < 0)
			return r;
		if (mkdir(FOLDER, 0750) < 0 && errno != EEXIST)
			return problem_set(problem, -errno, "cannot make %s: %m", FOLDER);
		r = pins_lock(FOLDER, 1, ret_lock);
	}
	if (r < 0)
		return problem_set(problem, r, "cannot lock %s: %s", FOLDER, strerror(-r));
	return 0;
}

/* ---- opening ---- */

/* bpffs has no '.' in names. */
static struct pin_path folder_of(const char *name)
{
	struct pin_path path = pin_path("%s/", FOLDER);
	size_t n = strlen(path.text);

	for (; *name && n + 4 < sizeof(path.text); name++)
		n += (size_t)snprintf(path.text + n, sizeof(path.text) - n,
				      *name == '.' || *name == '%' ? "%%%02X" : "%c",
				      (unsigned char)*name);
	return path;
}

static struct pin_path pin_of(const struct device_pins *pins, const char *pin)
{
	return pin_path("%s/%s", pins->folder.text, pin);
}

void device_pins_close(struct device_pins *pins)
{
	if (pins->state)
		munmap(pins->state, sizeof(*pins->state));
	close_fd(pins->programs);
	close_fd(pins->ports);
	close_fd(pins->fragments);
	close_fd(pins->counts);
	*pins = DEVICE_PINS_NONE;
}

static struct device_pins pins_named(const char *name)
{
	struct device_pins pins = DEVICE_PINS_NONE;

	memcpy(pins.name, name, strnlen(name, sizeof(pins.name) - 1));
	pins.folder = folder_of(pins.name);
	return pins;
}

static int map_state(struct device_pins *pins, int fd)
{
	pins->state = load_memory(fd, sizeof(*pins->state));
	if (!pins->state)
		return -errno;
	return __atomic_load_n(&pins->state->layout, __ATOMIC_ACQUIRE) == HS_FRONT_LAYOUT ? 0
											  : -ENOENT;
}

int device_pins_open(const char *name, struct device_pins *ret_pins)
{
	_cleanup_(device_pins_close) struct device_pins pins = pins_named(name);
	_cleanup_(close_fdp) int state = -1;
	int r = pin_open(pin_of(&pins, "state").text, &state);

	if (!r)
		r = pin_open(pin_of(&pins, "programs").text, &pins.programs);
	if (!r)
		r = pin_open(pin_of(&pins, "ports").text, &pins.ports);
	if (!r)
		r = pin_open(pin_of(&pins, "fragments").text, &pins.fragments);
	if (!r)
		r = pin_open(pin_of(&pins, "counts").text, &pins.counts);
	if (!r)
		r = map_state(&pins, state);
	if (r < 0)
		return r;
	*ret_pins = pins;
	pins = DEVICE_PINS_NONE;
	return 0;
}

/* ---- the program and its link ---- */

/* Which program our link has there; 0: it has none, or is not on this device any more. */
static uint32_t linked_program(const struct device_pins *pins, uint32_t ifindex)
{
	_cleanup_(close_fdp) int link = -1;
	struct bpf_link_info info = {0};
	uint32_t size = sizeof(info);

	if (pin_open(pin_of(pins, "link").text, &link) ||
	    bpf_obj_get_info_by_fd(link, &info, &size) || info.type != BPF_LINK_TYPE_XDP)
		return 0;
	return info.xdp.ifindex == ifindex ? info.prog_id : 0;
}

bool device_pins_is_on(const struct device_pins *pins, uint32_t ifindex)
{
	return linked_program(pins, ifindex);
}

int device_pins_check(const char *name, uint32_t ifindex, struct problem *problem)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, query);
	const struct device_pins pins = pins_named(name);
	uint32_t ours = linked_program(&pins, ifindex), ids[3];

	if (bpf_xdp_query((int)ifindex, 0, &query))
		return problem_set(problem, -errno, "cannot ask what XDP program is on %s: %m",
				   name);
	ids[0] = query.drv_prog_id;
	ids[1] = query.skb_prog_id;
	ids[2] = query.hw_prog_id;
	for (unsigned i = 0; i < ARRAY_SIZE(ids); i++)
		if (ids[i] && ids[i] != ours)
			return problem_set(problem, -EBUSY,
					   "another XDP program is on %s, number %u: bpftool prog "
					   "show id %u says which; take it off, or name another "
					   "device by Device=",
					   name, ids[i], ids[i]);
	return 0;
}

/* What the driver is to send by another device is dropped without a word where that one is not made
 * ready for it: a bridge, a VLAN or most cards without a program of their own. veth sends by XDP
 * only what its other end is made ready for. Neither can be seen from here. Kernel:
 * xdp_do_redirect(), ndo_xdp_xmit. */
static bool may_be_native(const struct device_facts *facts)
{
	return strcmp(facts->driver, "veth") && !facts->elsewhere;
}

static bool is_as_it_may_be(const struct device_pins *pins, const struct device_facts *facts)
{
	return linked_program(pins, facts->ifindex) &&
	       (!pins->state->native || may_be_native(facts));
}

/* Waits until it is off the device: another way of attaching is refused as long as it is there. */
static void remove_link(const struct device_pins *pins)
{
	_cleanup_(close_fdp) int link = -1;

	if (!pin_open(pin_of(pins, "link").text, &link))
		(void)bpf_link_detach(link);
	unlink(pin_of(pins, "link").text);
}

static int new_link(struct device_pins *pins, const struct device_facts *facts, int program)
{
	LIBBPF_OPTS(bpf_link_create_opts, options, .flags = XDP_FLAGS_DRV_MODE);
	_cleanup_(close_fdp) int link = -1;

	/* one that is left of a device that is gone, or that would lose packets there now */
	remove_link(pins);
	if (may_be_native(facts))
		link = bpf_link_create(program, (int)facts->ifindex, BPF_XDP, &options);
	pins->state->native = link >= 0;
	options.flags = XDP_FLAGS_SKB_MODE;
	if (link < 0)
		link = bpf_link_create(program, (int)facts->ifindex, BPF_XDP, &options);
	if (link < 0)
		return -errno;
	pins->state->ifindex = facts->ifindex;
	return pin_object(link, pin_of(pins, "link").text);
}

static int link_program(struct device_pins *pins, const struct device_facts *facts, int program)
{
	_cleanup_(close_fdp) int link = -1;

	if (!is_as_it_may_be(pins, facts))
		return new_link(pins, facts, program);
	if (pin_open(pin_of(pins, "link").text, &link) || bpf_link_update(link, program, NULL))
		return -errno;
	return 0;
}

static uint64_t this_build(void)
{
	static uint64_t build;
	size_t n;
	const void *bytes;

	if (!build) {
		bytes = front_device_bpf__elf_bytes(&n);
		build = load_build(bytes, n);
	}
	return build;
}

struct pinned_map {
	const char *pin;
	struct bpf_map *map;
};

/* What is pinned stays. */
static int share(const struct device_pins *pins, const struct pinned_map *maps, size_t n)
{
	int r = 0;

	for (size_t i = 0; !r && i < n; i++) {
		_cleanup_(close_fdp) int fd = -1;

		r = pin_open(pin_of(pins, maps[i].pin).text, &fd);
		r = r == -ENOENT ? 0 : r ?: bpf_map__reuse_fd(maps[i].map, fd);
	}
	return r;
}

static int pin_maps(const struct device_pins *pins, const struct pinned_map *maps, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (bpf_obj_pin(bpf_map__fd(maps[i].map), pin_of(pins, maps[i].pin).text) &&
		    errno != EEXIST)
			return -errno;
	return 0;
}

static int finish(const char *name, const struct device_facts *facts,
		  const struct front_device_bpf *skel, struct device_pins *ret_pins)
{
	struct hs_front_device *state =
		load_memory(bpf_map__fd(skel->maps.hs_front_state), sizeof(*state));
	int r;

	if (!state)
		return -errno;
	__atomic_store_n(&state->layout, HS_FRONT_LAYOUT, __ATOMIC_RELEASE);
	munmap(state, sizeof(*state));
	r = device_pins_open(name, ret_pins);
	if (r < 0)
		return r;
	r = link_program(ret_pins, facts, bpf_program__fd(skel->progs.hs_front_dev));
	if (r < 0)
		device_pins_close(ret_pins);
	else
		ret_pins->state->build = this_build();
	return r;
}

static int make(const char *name, const struct device_facts *facts, struct device_pins *ret_pins,
		struct problem *problem)
{
	_cleanup_(front_device_bpf__destroyp) struct front_device_bpf *skel =
		front_device_bpf__open();
	const struct device_pins pins = pins_named(name);
	int r;

	if (!skel)
		return problem_set(problem, -errno,
				   "cannot open the program of a front's device: %m");
	const struct pinned_map maps[] = {
		{"programs", skel->maps.hs_front_progs},  {"ports", skel->maps.hs_front_ports},
		{"fragments", skel->maps.hs_front_frags}, {"counts", skel->maps.hs_front_counts},
		{"state", skel->maps.hs_front_state},
	};

	if (mkdir(pins.folder.text, 0750) < 0 && errno != EEXIST)
		return problem_set(problem, -errno, "cannot make %s: %m", pins.folder.text);
	r = share(&pins, maps, ARRAY_SIZE(maps));
	if (!r) {
		r = load_object(skel->obj, "the program of a front's device", problem);
		if (r < 0)
			return r;
		r = pin_maps(&pins, maps, ARRAY_SIZE(maps));
	}
	if (!r)
		r = finish(name, facts, skel, ret_pins);
	return r < 0 ? problem_set(problem, r, "cannot have the program of a front on %s: %s", name,
				   strerror(-r))
		     : 0;
}

int device_pins_prepare(const char *name, const struct device_facts *facts,
			struct device_pins *ret_pins, struct problem *problem)
{
	struct device_pins pins = DEVICE_PINS_NONE;
	int r = device_pins_open(name, &pins);

	if (!r && pins.state->build == this_build() && is_as_it_may_be(&pins, facts)) {
		*ret_pins = pins;
		return 0;
	}
	device_pins_close(&pins);
	return make(name, facts, ret_pins, problem);
}

/* ---- who has what ---- */

int device_pins_index(const struct device_pins *pins, uint32_t service_id, uint32_t *ret_index)
{
	uint32_t *users = pins->state->users, unused = HS_FRONT_INDICES_MAX;

	for (uint32_t i = HS_FRONT_INDICES_MAX; i-- > 0;) {
		if (users[i] == service_id) {
			*ret_index = i;
			return 0;
		}
		if (!users[i])
			unused = i;
	}
	if (unused == HS_FRONT_INDICES_MAX)
		return -ENOSPC;
	users[unused] = service_id;
	*ret_index = unused;
	return 0;
}

static bool is_whole_address(const struct hs_front_port *key)
{
	return !key->port && !key->protocol;
}

int device_pins_may_have(const struct device_pins *pins, uint32_t index,
			 const struct hs_front_port *keys, size_t n,
			 struct hs_front_port *ret_taken)
{
	uint32_t has;

	for (size_t i = 0; i < n; i++)
		if (!bpf_map_lookup_elem(pins->ports, &keys[i], &has) && has != index) {
			*ret_taken = keys[i];
			return -EEXIST;
		}
	return 0;
}

/* All keys there; the caller frees them. */
static int list_keys(const struct device_pins *pins, struct hs_front_port **ret_keys, size_t *ret_n)
{
	struct hs_front_port *keys = calloc(HS_FRONT_PORTS_MAX, sizeof(*keys)), *previous = NULL;
	size_t n = 0;

	if (!keys)
		return -ENOMEM;
	while (n < HS_FRONT_PORTS_MAX && !bpf_map_get_next_key(pins->ports, previous, &keys[n]))
		previous = &keys[n++];
	*ret_keys = keys;
	*ret_n = n;
	return 0;
}

static bool has_key(const struct hs_front_port *keys, size_t n, const struct hs_front_port *key)
{
	for (size_t i = 0; i < n; i++)
		if (!memcmp(&keys[i], key, sizeof(*key)))
			return true;
	return false;
}

/* Who has an address, whatever the port; HS_FRONT_INDICES_MAX: nobody. */
static uint32_t owner_of(const struct device_pins *pins, const struct hs_front_port *keys, size_t n,
			 const struct hs_front_port *address)
{
	uint32_t owner = HS_FRONT_INDICES_MAX, index;

	for (size_t i = 0; i < n; i++) {
		if (is_whole_address(&keys[i]) || keys[i].direction != address->direction ||
		    memcmp(keys[i].ip, address->ip, sizeof(address->ip)) ||
		    bpf_map_lookup_elem(pins->ports, &keys[i], &index))
			continue;
		if (owner != HS_FRONT_INDICES_MAX && owner != index)
			return HS_FRONT_INDEX_MANY;
		owner = index;
	}
	return owner;
}

/* What stands for whole addresses follows from the rest. */
static int update_addresses(const struct device_pins *pins)
{
	_cleanup_(freep) struct hs_front_port *keys = NULL;
	size_t n = 0;
	int r = list_keys(pins, &keys, &n);

	for (size_t i = 0; !r && i < n; i++) {
		struct hs_front_port address = keys[i];
		uint32_t owner;

		address.port = 0;
		address.protocol = 0;
		owner = owner_of(pins, keys, n, &address);
		if (owner == HS_FRONT_INDICES_MAX)
			bpf_map_delete_elem(pins->ports, &address);
		else if (bpf_map_update_elem(pins->ports, &address, &owner, BPF_ANY))
			r = -errno;
	}
	return r;
}

static int drop_others(const struct device_pins *pins, uint32_t index,
		       const struct hs_front_port *wanted, size_t n_wanted)
{
	_cleanup_(freep) struct hs_front_port *keys = NULL;
	size_t n = 0;
	int r = list_keys(pins, &keys, &n);
	uint32_t has;

	for (size_t i = 0; !r && i < n; i++)
		if (!is_whole_address(&keys[i]) && !has_key(wanted, n_wanted, &keys[i]) &&
		    !bpf_map_lookup_elem(pins->ports, &keys[i], &has) && has == index &&
		    bpf_map_delete_elem(pins->ports, &keys[i]) && errno != ENOENT)
			r = -errno;
	return r;
}

static void count_answers(const struct device_pins *pins)
{
	_cleanup_(freep) struct hs_front_port *keys = NULL;
	uint32_t answers = 0;
	size_t n = 0;

	if (list_keys(pins, &keys, &n))
		return;
	for (size_t i = 0; i < n; i++)
		answers += keys[i].direction == HS_FRONT_FROM_HOST;
	__atomic_store_n(&pins->state->answers, answers, __ATOMIC_SEQ_CST);
}

int device_pins_set_ports(const struct device_pins *pins, uint32_t index,
			  const struct hs_front_port *keys, size_t n)
{
	int r = 0;

	for (size_t i = 0; !r && i < n; i++)
		if (bpf_map_update_elem(pins->ports, &keys[i], &index, BPF_ANY))
			r = -errno;
	if (!r)
		r = drop_others(pins, index, keys, n);
	if (!r)
		r = update_addresses(pins);
	count_answers(pins);
	return r;
}

static bool has_users(const struct device_pins *pins)
{
	for (uint32_t i = 0; i < HS_FRONT_INDICES_MAX; i++)
		if (pins->state->users[i])
			return true;
	return false;
}

/* By its pin alone it would go a moment later, and stand in the way of the next one. */
static void detach(const struct device_pins *pins)
{
	_cleanup_(close_fdp) int link = -1;

	if (!pin_open(pin_of(pins, "link").text, &link))
		(void)bpf_link_detach(link);
}

static int leave(struct device_pins *pins, uint32_t service_id)
{
	int r = 0;

	for (uint32_t i = 0; i < HS_FRONT_INDICES_MAX; i++) {
		if (pins->state->users[i] != service_id)
			continue;
		r = device_pins_set_ports(pins, i, NULL, 0) ?: r;
		bpf_map_delete_elem(pins->programs, &i);
		pins->state->users[i] = 0;
	}
	if (has_users(pins))
		return r;
	detach(pins);
	return pins_remove(pins->folder.text) ?: r;
}

/* What folder_of() has made of it. */
static void name_of(const char *folder, char name[IFNAMSIZ])
{
	size_t n = 0;
	unsigned byte;

	for (; *folder && n + 1 < IFNAMSIZ; folder++) {
		if (*folder == '%' && sscanf(folder + 1, "%2X", &byte) == 1) {
			name[n++] = (char)byte;
			folder += 2;
		} else {
			name[n++] = *folder;
		}
	}
	name[n] = '\0';
}

void device_pins_leave(const char *but, uint32_t service_id)
{
	_cleanup_(closedirp) DIR *folder = opendir(FOLDER);
	const struct dirent *entry;
	char name[IFNAMSIZ];

	while (folder && (entry = readdir(folder))) {
		_cleanup_(device_pins_close) struct device_pins pins = DEVICE_PINS_NONE;

		name_of(entry->d_name, name);
		if (*name != '.' && (!but || strcmp(name, but)) && !device_pins_open(name, &pins))
			(void)leave(&pins, service_id);
	}
	/* only if nobody is on any device */
	rmdir(FOLDER);
}
