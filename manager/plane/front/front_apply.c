// SPDX-License-Identifier: GPL-2.0-or-later
/* A front is made and brought up to date with its settings, and taken away. */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "core/config/config_front.h"
#include "plane/front/front.h"
#include "plane/front/front_state.h"
#include "util/macro.h"

DEFINE_CLEANUP(struct front, front_free)

#define TEXT	 FRONT_ADDRESS_TEXT_MAX
#define KEYS_MAX ((HS_FRONT_ADDRESSES_MAX + HS_SLOTS_MAX) * CONFIG_PORTS_MAX * 2)

/* ---- filling ---- */

static void store32(uint32_t *to, uint32_t value)
{
	__atomic_store_n(to, value, __ATOMIC_SEQ_CST);
}

static void leave_host(struct hs_front *shared, unsigned host)
{
	__atomic_and_fetch(&shared->taking, ~(1U << host), __ATOMIC_SEQ_CST);
	__atomic_and_fetch(&shared->kept, ~(1U << host), __ATOMIC_SEQ_CST);
	store32(&shared->hosts[host].flags, 0);
}

/* What is known of the one before is no one's any more: that the program does not find it half
 * written, its flags are gone meanwhile. */
static void set_host(struct hs_front *shared, unsigned host, const uint8_t ip[16])
{
	static const uint8_t none[16];
	struct hs_front_host *one = &shared->hosts[host];

	if (memcmp(one->ip, ip, 16)) {
		leave_host(shared, host);
		__atomic_store_n(&one->next_mac, 0, __ATOMIC_SEQ_CST);
		one->epoch += !!memcmp(one->ip, none, 16);
		memcpy(one->ip, ip, 16);
	}
	__atomic_or_fetch(&one->flags, HS_FRONT_CONFIGURED, __ATOMIC_SEQ_CST);
}

static bool wants_address(const struct config_front *config, const uint8_t ip[16])
{
	for (unsigned i = 0; i < config->n_addresses; i++)
		if (!memcmp(config->addresses[i].ip, ip, 16))
			return true;
	return false;
}

/* The place of an address, or a free one. */
static unsigned place_of(const struct hs_front *shared, const uint8_t ip[16])
{
	static const uint8_t none[16];
	unsigned unused = HS_FRONT_ADDRESSES_MAX;

	for (unsigned i = HS_FRONT_ADDRESSES_MAX; i-- > 0;) {
		if (!memcmp(shared->addresses[i], ip, 16))
			return i;
		if (!memcmp(shared->addresses[i], none, 16))
			unused = i;
	}
	return unused;
}

static void set_addresses(struct hs_front *shared, const struct config_front *config)
{
	unsigned place, n = 0;

	for (unsigned i = 0; i < HS_FRONT_ADDRESSES_MAX; i++)
		if (!wants_address(config, shared->addresses[i]))
			memset(shared->addresses[i], 0, 16);
	for (unsigned i = 0; i < config->n_addresses; i++) {
		place = place_of(shared, config->addresses[i].ip);
		memcpy(shared->addresses[place], config->addresses[i].ip, 16);
		n = MAX(n, place + 1);
	}
	for (unsigned i = 0; i < HS_FRONT_ADDRESSES_MAX; i++)
		if (wants_address(config, shared->addresses[i]))
			n = MAX(n, i + 1);
	store32(&shared->n_addresses, n);
}
_Static_assert(CONFIG_FRONT_ADDRESSES_MAX <= HS_FRONT_ADDRESSES_MAX, "room for each");

static uint64_t add_to_hash(uint64_t hash, const void *data, size_t n)
{
	const uint8_t *bytes = data;

	for (size_t i = 0; i < n; i++)
		hash = (hash ^ bytes[i]) * 0x100000001b3ULL;
	return hash;
}

static int compare_addresses(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct front_address));
}

/* In whichever order they stand in the file; ports are in one already. */
static uint64_t hash_of(const struct config_front *config)
{
	struct front_address addresses[CONFIG_FRONT_ADDRESSES_MAX];
	uint8_t mode = (uint8_t)config->mode;
	uint64_t hash = add_to_hash(0xcbf29ce484222325ULL, &mode, 1);

	memcpy(addresses, config->addresses, sizeof(addresses));
	qsort(addresses, config->n_addresses, sizeof(addresses[0]), compare_addresses);
	for (unsigned i = 0; i < config->n_addresses; i++)
		hash = add_to_hash(hash, addresses[i].ip, 16);
	for (unsigned i = 0; i < config->n_ports; i++) {
		uint8_t port[4] = {config->ports[i].port >> 8, config->ports[i].port & 0xff,
				   config->ports[i].tcp, config->ports[i].udp};

		hash = add_to_hash(hash, port, sizeof(port));
	}
	for (uint8_t i = 0; i < HS_SLOTS_MAX; i++)
		if (config->hosts[i].given) {
			hash = add_to_hash(hash, &i, 1);
			hash = add_to_hash(hash, config->hosts[i].address.ip, 16);
		}
	return hash;
}

static void fill(struct front *front, const struct config_front *config, uint32_t index)
{
	struct hs_front *shared = front->shared;

	set_addresses(shared, config);
	for (unsigned i = 0; i < HS_SLOTS_MAX; i++)
		if (config->hosts[i].given)
			set_host(shared, i, config->hosts[i].address.ip);
		else
			leave_host(shared, i);
	store32(&shared->mode, config->mode + HS_FRONT_DSR);
	__atomic_store_n(&shared->span_ns, NSEC_PER_SEC, __ATOMIC_SEQ_CST);
	__atomic_store_n(&shared->cost_ns, NSEC_PER_SEC / config_front_new_flows(config),
			 __ATOMIC_SEQ_CST);
	shared->hash = hash_of(config);
	shared->index = index;
	memcpy(shared->device, front->device.name, sizeof(shared->device));
	__atomic_store_n(&shared->layout, HS_FRONT_LAYOUT, __ATOMIC_RELEASE);
}
_Static_assert(FRONT_DSR + HS_FRONT_DSR == HS_FRONT_DSR &&
		       FRONT_IPIP + HS_FRONT_DSR == HS_FRONT_IPIP &&
		       FRONT_NAT + HS_FRONT_DSR == HS_FRONT_NAT,
	       "modes in one order");
_Static_assert(IFNAMSIZ == sizeof(((struct hs_front *)0)->device), "room for a device's name");

/* ---- what is for it ---- */

struct keys {
	struct hs_front_port all[KEYS_MAX];
	size_t n;
};

static void add_keys(struct keys *keys, const struct config_front *config, const uint8_t ip[16],
		     uint8_t direction)
{
	for (unsigned i = 0; i < config->n_ports; i++)
		for (unsigned udp = 0; udp < 2; udp++) {
			struct hs_front_port *key = &keys->all[keys->n];

			if (!(udp ? config->ports[i].udp : config->ports[i].tcp))
				continue;
			memcpy(key->ip, ip, 16);
			key->port = htons(config->ports[i].port);
			key->protocol = udp ? IPPROTO_UDP : IPPROTO_TCP;
			key->direction = direction;
			keys->n++;
		}
}

/* The caller frees it. */
static struct keys *keys_of(const struct config_front *config)
{
	struct keys *keys = calloc(1, sizeof(*keys));

	for (unsigned i = 0; keys && i < config->n_addresses; i++)
		add_keys(keys, config, config->addresses[i].ip, HS_FRONT_TO_HOST);
	for (unsigned i = 0; keys && config->mode == FRONT_NAT && i < HS_SLOTS_MAX; i++)
		if (config->hosts[i].given)
			add_keys(keys, config, config->hosts[i].address.ip, HS_FRONT_FROM_HOST);
	return keys;
}

static int refuse_taken(const struct front *front, const struct hs_front_port *taken,
			struct problem *problem)
{
	char text[TEXT];

	return problem_set(problem, -EEXIST,
			   "another front on %s has %s %u/%s already; each port of an address%s is "
			   "one front's",
			   front->device.name, front_address_format(taken->ip, text),
			   ntohs(taken->port), taken->protocol == IPPROTO_UDP ? "udp" : "tcp",
			   taken->direction == HS_FRONT_FROM_HOST ? ", or of a host with Mode=nat,"
								  : "");
}

/* ---- making ---- */

/* What an application of settings has come to. */
struct making {
	const char *folder;
	uint32_t service_id, index;
	const struct front_maps *maps;
	const struct config_front *config;
	struct front *front; /* owned */
	struct device_facts device;
	struct keys *keys; /* owned */
	int program;	   /* -1: the one that is there is right */
	bool changed;	   /* maps */
};

static void making_done(struct making *making)
{
	front_free(making->front);
	free(making->keys);
	close_fd(making->program);
}

/* On the device, but nothing is sent there yet. */
static int prepare_device(struct making *making, const char *name, struct problem *problem)
{
	struct front *front = making->front;
	struct hs_front_port taken;
	int r = device_pins_prepare(name, &making->device, &front->device, problem);

	if (r < 0)
		return r;
	r = device_pins_index(&front->device, making->service_id, &making->index);
	if (r < 0)
		return problem_set(problem, r, "there are %u fronts on %s already",
				   HS_FRONT_INDICES_MAX, name);
	making->keys = keys_of(making->config);
	if (!making->keys)
		return problem_set(problem, -ENOMEM, "no memory for the ports of a front");
	if (device_pins_may_have(&front->device, making->index, making->keys->all, making->keys->n,
				 &taken))
		return refuse_taken(front, &taken, problem);
	return 0;
}

static bool needs_program(const struct making *making)
{
	const struct front *front = making->front;
	uint32_t unused;

	return making->changed || front->shared->build != front_program_build() ||
	       strncmp((const char *)front->shared->device, front->device.name, IFNAMSIZ) ||
	       front->shared->index != making->index ||
	       bpf_map_lookup_elem(front->device.programs, &making->index, &unused) ||
	       access(pin_path("%s/program", front->folder.text).text, F_OK);
}

/* From here on packets go. */
static int put_to_work(struct making *making)
{
	struct front *front = making->front;
	int r = 0;

	fill(front, making->config, making->index);
	if (making->program >= 0) {
		if (bpf_map_update_elem(front->device.programs, &making->index, &making->program,
					BPF_ANY))
			return -errno;
		front_maps_settle(front);
		r = pin_object(making->program, pin_path("%s/program", front->folder.text).text);
		front->shared->build = r ? 0 : front_program_build();
	}
	return r
		       ?: device_pins_set_ports(&front->device, making->index, making->keys->all,
						making->keys->n);
}

static int make(struct making *making, const char *name, struct problem *problem)
{
	char before[IFNAMSIZ];
	int r;

	memcpy(before, making->front->shared->device, sizeof(before));
	r = prepare_device(making, name, problem);
	if (!r && needs_program(making)) {
		r = front_try(problem);
		if (!r)
			r = front_program_load(making->front, making->maps, &making->program,
					       problem);
	}
	if (!r) {
		r = put_to_work(making);
		if (r < 0)
			problem_set(problem, r, "cannot put the front on %s to work: %s", name,
				    strerror(-r));
	}
	if (r < 0 && strcmp(before, name)) {
		device_pins_close(&making->front->device);
		device_pins_leave(before, making->service_id);
	} else if (!r) {
		device_pins_leave(name, making->service_id);
	}
	return r;
}

int front_apply(const char *folder, uint32_t service_id, const struct front_maps *maps,
		const struct config_front *config, struct front **front, struct problem *problem)
{
	_cleanup_(making_done) struct making making = {.folder = folder,
						       .service_id = service_id,
						       .maps = maps,
						       .config = config,
						       .program = -1};
	_cleanup_(close_fdp) int lock = -1;
	char name[IFNAMSIZ];
	bool is_new = false;
	int r = device_pins_enter(&lock, problem);

	if (!r)
		r = front_find_device(config, name, &making.device, problem);
	if (!r)
		r = front_check(*front, config, &making.device, problem);
	if (!r)
		r = device_pins_check(name, making.device.ifindex, problem);
	if (r < 0)
		return r;
	is_new = access(front_pin(folder, "front").text, F_OK);
	r = front_maps_make(folder, config, &making.changed);
	if (!r)
		r = front_open_any(folder, &making.front);
	r = r < 0 ? problem_set(problem, r, "cannot make the maps of the front below %s: %s",
				folder, strerror(-r))
		  : make(&making, name, problem);
	if (r < 0) {
		front_maps_undo(folder);
		if (is_new)
			(void)pins_remove(pin_path("%s/" HS_PIN_FRONT, folder).text);
		return r;
	}
	front_free(*front);
	*front = steal_ptr(&making.front);
	(void)front_follow_routes(*front);
	return 0;
}

int front_remove(const char *folder, uint32_t service_id)
{
	_cleanup_(close_fdp) int lock = -1;
	struct problem unused;
	int r;

	if (access(pin_path("%s/" HS_PIN_FRONT, folder).text, F_OK))
		return 0;
	r = device_pins_enter(&lock, &unused);
	if (r < 0)
		return r;
	device_pins_leave(NULL, service_id);
	return pins_remove(pin_path("%s/" HS_PIN_FRONT, folder).text);
}
