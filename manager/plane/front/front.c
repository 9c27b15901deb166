// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/front/front.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "plane/bpf/load.h"
#include "plane/front/front_state.h"
#include "util/macro.h"

DEFINE_CLEANUP(struct front, front_free)

/* ---- opening ---- */

struct front *front_free(struct front *front)
{
	if (!front)
		return NULL;
	if (front->shared)
		munmap(front->shared, sizeof(*front->shared));
	if (front->control)
		munmap(front->control, sizeof(*front->control));
	close_fd(front->front_fd);
	close_fd(front->flows);
	close_fd(front->young);
	close_fd(front->fresh);
	close_fd(front->load);
	close_fd(front->pace);
	device_pins_close(&front->device);
	free(front);
	return NULL;
}

static struct front *front_new(const char *folder)
{
	struct front *front = calloc(1, sizeof(*front));

	if (!front)
		return NULL;
	front->folder = pin_path("%s/" HS_PIN_FRONT, folder);
	front->front_fd = front->flows = front->young = front->fresh = -1;
	front->load = front->pace = -1;
	front->device = DEVICE_PINS_NONE;
	return front;
}

static int open_maps(struct front *front, const char *folder)
{
	const struct {
		const char *pin;
		int *fd;
	} maps[] = {{"front", &front->front_fd},
		    {"flows", &front->flows},
		    {"fresh", &front->fresh},
		    {"traffic", &front->load},
		    {"pace", &front->pace}};
	_cleanup_(close_fdp) int control = -1;
	int r = 0;

	for (size_t i = 0; !r && i < ARRAY_SIZE(maps); i++)
		r = pin_open(front_pin(folder, maps[i].pin).text, maps[i].fd);
	if (!r)
		r = pin_open(front_pin(folder, "young").text, &front->young);
	/* of an earlier build, until it is brought up to date: all are in one */
	if (r == -ENOENT && front->pace >= 0)
		r = 0;
	if (r < 0)
		return r;
	front->shared = load_memory(front->front_fd, sizeof(*front->shared));
	if (!front->shared)
		return -errno;
	if (!pin_open(pin_path("%s/control", folder).text, &control))
		front->control = load_memory(control, sizeof(*front->control));
	return 0;
}

static uint32_t layout_of(const struct front *front)
{
	return __atomic_load_n(&front->shared->layout, __ATOMIC_ACQUIRE);
}

int front_open_any(const char *folder, struct front **ret_front)
{
	_cleanup_(front_freep) struct front *front = front_new(folder);
	int r = front ? open_maps(front, folder) : -ENOMEM;

	if (r < 0)
		return r;
	if (layout_of(front) && layout_of(front) != HS_FRONT_LAYOUT)
		return -EPROTO;
	*ret_front = steal_ptr(&front);
	return 0;
}

int front_open(const char *folder, struct front **ret_front)
{
	_cleanup_(front_freep) struct front *front = NULL;
	int r = front_open_any(folder, &front);

	if (!r && !layout_of(front))
		r = -ENOENT;
	if (!r && *front->shared->device)
		r = device_pins_open((const char *)front->shared->device, &front->device);
	if (r < 0)
		return r;
	*ret_front = steal_ptr(&front);
	return 0;
}

/* ---- asking ---- */

uint32_t front_hosts(const struct front *front)
{
	uint32_t hosts = 0;

	for (unsigned i = 0; i < HS_SLOTS_MAX; i++)
		if (front->shared->hosts[i].flags & HS_FRONT_CONFIGURED)
			hosts |= 1U << i;
	return hosts;
}

uint32_t front_taking(const struct front *front)
{
	return __atomic_load_n(&front->shared->taking, __ATOMIC_SEQ_CST);
}

void front_set_taking(struct front *front, unsigned host, bool takes)
{
	uint32_t bit = 1U << host;

	if (!takes) {
		__atomic_and_fetch(&front->shared->taking, ~bit, __ATOMIC_SEQ_CST);
		front_set_kept(front, host, false);
		return;
	}
	if (front_taking(front) & bit)
		return;
	__atomic_add_fetch(&front->shared->hosts[host].run, 1, __ATOMIC_SEQ_CST);
	__atomic_or_fetch(&front->shared->taking, bit, __ATOMIC_SEQ_CST);
}

uint32_t front_kept(const struct front *front)
{
	return __atomic_load_n(&front->shared->kept, __ATOMIC_SEQ_CST) & front_taking(front);
}

void front_set_kept(struct front *front, unsigned host, bool kept)
{
	if (kept)
		__atomic_or_fetch(&front->shared->kept, 1U << host, __ATOMIC_SEQ_CST);
	else
		__atomic_and_fetch(&front->shared->kept, ~(1U << host), __ATOMIC_SEQ_CST);
}

uint64_t front_run(const struct front *front, unsigned host)
{
	return __atomic_load_n(&front->shared->hosts[host].run, __ATOMIC_SEQ_CST);
}

bool front_host(const struct front *front, unsigned host, struct front_host_view *ret_view)
{
	const struct hs_front_host *one;
	struct front_host_view view;

	if (host >= HS_SLOTS_MAX)
		return false;
	one = &front->shared->hosts[host];
	if (!(one->flags & HS_FRONT_CONFIGURED))
		return false;
	view = (struct front_host_view) {
		.reached = one->flags & HS_FRONT_REACHED,
		.ifindex = one->ifindex,
		.mtu = one->mtu,
		.vlan = one->vlan,
	};
	memcpy(view.ip, one->ip, sizeof(view.ip));
	for (unsigned i = 0; i < sizeof(view.mac); i++)
		view.mac[i] = one->next_mac >> (8 * i) & 0xff;
	*ret_view = view;
	return true;
}

const char *front_device(const struct front *front)
{
	return (const char *)front->shared->device;
}

/* A route has changed since it was attached: see device_pins.c. */
static bool sends_elsewhere(const struct front *front, uint32_t ifindex)
{
	for (unsigned i = 0; i < HS_SLOTS_MAX; i++) {
		const struct hs_front_host *host = &front->shared->hosts[i];

		if (host->flags & HS_FRONT_CONFIGURED && host->ifindex && host->ifindex != ifindex)
			return true;
	}
	return false;
}

bool front_is_attached(const struct front *front)
{
	uint32_t ifindex = if_nametoindex(front_device(front));

	return ifindex && device_pins_is_on(&front->device, ifindex) &&
	       !(front_is_native(front) && sends_elsewhere(front, ifindex));
}

bool front_merges(const struct front *front)
{
	struct device_facts facts;

	return !front_is_native(front) && !device_ask(front_device(front), &facts) && facts.merges;
}

bool front_lacks_tags(const struct front *front, char ret_vlan[IFNAMSIZ])
{
	struct device_facts facts;

	return !device_ask(front_device(front), &facts) && facts.strips &&
	       device_find_vlan(front_device(front), ret_vlan);
}

bool front_is_pair(const struct front *front)
{
	struct device_facts facts;

	return !device_ask(front_device(front), &facts) && !strcmp(facts.driver, "veth");
}

bool front_is_native(const struct front *front)
{
	return front->device.state && front->device.state->native;
}

uint64_t front_hash(const struct front *front)
{
	return front->shared->hash;
}
