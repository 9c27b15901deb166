// SPDX-License-Identifier: GPL-2.0-or-later
#include "service/slot/orders.h"

#include <string.h>
#include <syslog.h>

#include "util/macro.h"

static void fill(const struct service *service, struct work_order *order)
{
	memcpy(order->service, service->name, sizeof(order->service));
	order->counted = service->host->accounting;
	order->config = service->config;
}

int instance_order(struct instance *instance, struct work_order *order, work_fn on_done,
		   void *userdata, struct work **ret_work)
{
	fill(instance->service, order);
	order->slot = instance->slot;
	order->cgroups = &instance_facts(instance)->control_group;
	order->n_cgroups = 1;
	return host_order(instance->service->host, order, NULL, 0, on_done, userdata, ret_work);
}

void instance_moved(struct instance *instance, const struct work_answer *answer)
{
	struct journal_scope scope = instance_scope(instance, LOG_WARNING);

	if (answer->result < 0 && answer->result != -ENOENT)
		journal_log(JOURNAL_PROBLEM, &scope, "%s: slot %u: %s", instance->service->name,
			    instance->slot, answer->problem.text);
	if (answer->result > 0)
		service_post_moved(instance->service);
}

int service_order(struct service *service, const struct order_scope *scope,
		  struct work_order *order, work_fn on_done, void *userdata, struct work **ret_work)
{
	char(*cgroups)[PATH_MAX] = calloc(service->n_slots, sizeof(*cgroups));
	unsigned n = 0;
	int r;

	if (!cgroups)
		return -ENOMEM;
	for (unsigned i = 0; i < service->n_slots; i++) {
		if (!(scope->left_out & (1U << i)))
			strcpy(cgroups[n], instance_facts(service->instances[i])->control_group);
		n += scope->keep_places || !(scope->left_out & (1U << i));
	}
	fill(service, order);
	order->cgroups = (const char(*)[PATH_MAX])cgroups;
	order->n_cgroups = n;
	r = host_order(service->host, order, scope->fds, scope->n_fds, on_done, userdata, ret_work);
	free(cgroups);
	return r;
}
