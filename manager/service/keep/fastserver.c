// SPDX-License-Identifier: GPL-2.0-or-later
#include "service/keep/fastserver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plane/kernel/cgroup.h"
#include "service/slot/instance.h"
#include "service/slot/orders.h"
#include "util/clock.h"

/* How long until the process of a unit that has just started runs its program. */
#define LOOK_PATIENCE (2 * USEC_PER_SEC)

struct server {
	struct fast_servers *all;
	char run[33]; /* that was looked at, by its invocation */
	struct work *work;
	bool known, splices;
};

struct fast_servers {
	struct service *service;
	void (*on_known)(struct service *service);
	struct server servers[HS_SLOTS_MAX];
};

static int first_process(pid_t pid, void *userdata)
{
	*(pid_t *)userdata = pid;
	return 1;
}

pid_t fast_process_of(const struct unit_facts *facts)
{
	pid_t pid = facts->main_pid;

	if (!pid)
		(void)cgroup_each_process(facts->control_group, first_process, &pid);
	return pid;
}

struct fast_servers *fast_servers_new(struct service *service,
				      void (*on_known)(struct service *service))
{
	struct fast_servers *servers = calloc(1, sizeof(*servers));

	if (!servers)
		return NULL;
	servers->service = service;
	servers->on_known = on_known;
	for (unsigned slot = 0; slot < HS_SLOTS_MAX; slot++)
		servers->servers[slot].all = servers;
	return servers;
}

struct fast_servers *fast_servers_free(struct fast_servers *servers)
{
	for (unsigned slot = 0; servers && slot < HS_SLOTS_MAX; slot++)
		work_forget(servers->servers[slot].work);
	free(servers);
	return NULL;
}

/* What cannot be looked at is taken for what most are. */
static void on_looked(struct work_answer *answer, void *userdata)
{
	struct server *server = userdata;

	server->work = NULL;
	server->known = true;
	server->splices = answer->result > 0;
	server->all->on_known(server->all->service);
}

static void look_at(struct server *server, const struct unit_facts *facts)
{
	struct order_scope nobody = {.left_out = UINT32_MAX};
	struct work_order order = {
		.kind = WORK_GO,
		.slot = HS_SLOT_NONE,
		.patience_usec = LOOK_PATIENCE,
		.pid = fast_process_of(facts),
	};

	server->work = work_forget(server->work);
	snprintf(server->run, sizeof(server->run), "%s", facts->invocation);
	server->splices = false;
	server->known = !order.pid || service_order(server->all->service, &nobody, &order,
						    on_looked, server, &server->work) < 0;
}

/* As fast_servers_splice(), of one. */
static int splices(struct server *server, const struct unit_facts *facts)
{
	if (!facts || facts->state == UNIT_DOWN || !facts->control_group[0])
		return 0;
	if (strcmp(server->run, facts->invocation))
		look_at(server, facts);
	return server->known ? server->splices : -EAGAIN;
}

int fast_servers_splice(struct fast_servers *servers)
{
	const struct service *service = servers->service;
	int r = 0;

	for (unsigned slot = 0; slot < service->n_slots; slot++) {
		int one =
			splices(&servers->servers[slot], instance_facts(service->instances[slot]));

		if (one > 0)
			return one;
		r = one < 0 ? one : r;
	}
	return r;
}
