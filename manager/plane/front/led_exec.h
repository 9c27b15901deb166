/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A cgroup whose processes reach one host of a front on the service's own addresses: for `hsctl
 * exec`, and for plugins. As plane/preview/exec.h, for a service whose slots are hosts.
 *
 * The programs stay on the cgroup as long as that lives, whatever becomes of who attached them.
 */
#pragma once

#include "plane/front/led.h"

struct led_order {
	const char *cgroup; /* as systemd names it */
	const char *service;
	const struct config_front *front;
	uint32_t service_id;
	unsigned slot;
};

/*
 * Connections and datagrams to the addresses and ports of the front, by sockets that processes in
 * the cgroup connect or send by from now on, come to the host, or are refused: EPERM. The devices
 * have the programs already (led_device()). The caller closes `ret_counts_fd` (may be NULL), a map
 * for struct hs_exec_counts.
 */
int led_exec_attach(struct led *led, const struct led_order *order, int *ret_counts_fd,
		    struct problem *problem);
