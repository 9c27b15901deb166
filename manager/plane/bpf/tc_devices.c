// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/bpf/tc_devices.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <net/if.h>

#include "hs_tc.h"

struct programs {
	const struct tc_program *all;
	size_t n;
};

void tc_devices_each(int devices_fd, void (*each)(int devices_fd, uint32_t ifindex, void *data),
		     void *data)
{
	uint32_t key, next, *previous = NULL;

	while (!bpf_map_get_next_key(devices_fd, previous, &next)) {
		if (previous)
			each(devices_fd, key, data);
		key = next;
		previous = &key;
	}
	if (previous)
		each(devices_fd, key, data);
}

static int attach(uint32_t ifindex, const struct programs *programs, bool *made_qdisc)
{
	int r = 0;

	for (size_t i = 0; !r && i < programs->n; i++)
		r = tc_attach(ifindex, programs->all[i].side, programs->all[i].place,
			      programs->all[i].fd, made_qdisc);
	return r;
}

static void drop_if_gone(int devices_fd, uint32_t ifindex, void *data)
{
	char name[IF_NAMESIZE];

	(void)data;
	if (!if_indextoname(ifindex, name) && errno == ENXIO)
		bpf_map_delete_elem(devices_fd, &ifindex);
}

static int note(int devices_fd, uint32_t ifindex, const struct hs_tc_device *device)
{
	return bpf_map_update_elem(devices_fd, &ifindex, device, BPF_ANY) ? -errno : 0;
}

/* Devices come and go, those of containers above all: who is no more makes room. */
static int note_new(int devices_fd, uint32_t ifindex)
{
	const struct hs_tc_device device = {0};
	int r = note(devices_fd, ifindex, &device);

	if (r != -E2BIG)
		return r;
	tc_devices_each(devices_fd, drop_if_gone, NULL);
	return note(devices_fd, ifindex, &device);
}

/* It is noted before: what is on a device and noted nowhere would never be taken off. */
int tc_devices_put(int devices_fd, uint32_t ifindex, const struct tc_program *programs, size_t n)
{
	struct hs_tc_device device = {0};
	bool known = !bpf_map_lookup_elem(devices_fd, &ifindex, &device), made = false;
	int r = known ? 0 : note_new(devices_fd, ifindex);

	if (!r)
		r = attach(ifindex, &(struct programs) {programs, n}, &made);
	if (r || !made)
		return r;
	device.made_qdisc = 1;
	return note(devices_fd, ifindex, &device);
}

static void renew(int devices_fd, uint32_t ifindex, void *data)
{
	bool made = false;

	/* one that is no more, perhaps */
	if (attach(ifindex, data, &made) == -ENODEV)
		bpf_map_delete_elem(devices_fd, &ifindex);
}

void tc_devices_renew(int devices_fd, const struct tc_program *programs, size_t n)
{
	tc_devices_each(devices_fd, renew, &(struct programs) {programs, n});
}

static void take_off(int devices_fd, uint32_t ifindex, void *data)
{
	const struct programs *programs = data;
	struct hs_tc_device device = {0};

	bpf_map_lookup_elem(devices_fd, &ifindex, &device);
	for (size_t i = programs->n; i; i--)
		tc_detach(ifindex, programs->all[i - 1].side, programs->all[i - 1].place);
	if (device.made_qdisc)
		tc_clear(ifindex);
	bpf_map_delete_elem(devices_fd, &ifindex);
}

void tc_devices_take_off(int devices_fd, uint32_t ifindex, const struct tc_program *programs,
			 size_t n)
{
	take_off(devices_fd, ifindex, &(struct programs) {programs, n});
}

void tc_devices_clear(int devices_fd, const struct tc_program *programs, size_t n)
{
	tc_devices_each(devices_fd, take_off, &(struct programs) {programs, n});
}
