// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/preview/leading.h"

#include <netinet/in.h>
#include <string.h>

#include "plane/plane_front.h"
#include "util/macro.h"

int leading_open(const struct plane *plane, struct led **led, struct problem *problem)
{
	const struct front *front = plane_front(plane);
	struct front_host_view view;
	int r = 0;

	if (!*led)
		r = led_open(led, problem);
	for (unsigned i = 0; !r && i < HS_SLOTS_MAX; i++)
		if (front_host(front, i, &view) && view.ifindex)
			r = led_device(*led, view.ifindex, problem);
	return r;
}

bool leading_may(const struct plane *plane, unsigned slot, struct problem *ret_refusal)
{
	if (slot < HS_SLOTS_MAX && front_hosts(plane_front(plane)) >> slot & 1)
		return true;
	problem_set(ret_refusal, 0, "%s has no host %u", plane_service(plane), slot);
	return false;
}

int leading_path(const struct plane *plane, const struct config_front *front, unsigned slot,
		 uint16_t port, struct hs_led_path *ret_path)
{
	struct led_host host = {.service_id = plane_id(plane), .slot = slot, .mode = front->mode};
	int r = -EAFNOSUPPORT;

	memcpy(host.ip, front->hosts[slot].address.ip, sizeof(host.ip));
	for (unsigned i = 0; r == -EAFNOSUPPORT && i < front->n_addresses; i++)
		r = led_path(&host, front->addresses[i].ip, port, IPPROTO_TCP, ret_path);
	return r;
}
