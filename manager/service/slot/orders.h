/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Orders (service/host.h) as a service gives them. */
#pragma once

#include "service/slot/instance.h"

/* About the instance of a slot, in its cgroup: fills what is missing in an order of which the kind
 * and what belongs to it are set. See host_order(). */
int instance_order(struct instance *instance, struct work_order *order, work_fn on_done,
		   void *userdata, struct work **ret_work);

/* What waited on it has moved, or not: the latter is told. */
void instance_moved(struct instance *instance, const struct work_answer *answer);

/* About all slots, in their cgroups; those of which `left_out` has the bit are left out (with `all`
 * their place is empty). `fds`: see host_order(). */
struct order_scope {
	uint32_t left_out;
	bool keep_places;
	const int *fds;
	size_t n_fds;
};
int service_order(struct service *service, const struct order_scope *scope,
		  struct work_order *order, work_fn on_done, void *userdata,
		  struct work **ret_work);
