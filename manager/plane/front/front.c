// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/front/front.h"

#include <errno.h>
#include <string.h>

struct front {
	char device[16];
};

int front_open(const char *folder, struct front **ret_front)
{
	(void)folder, (void)ret_front;
	return -ENOENT;
}

int front_apply(const char *folder, uint32_t service_id, const struct front_maps *maps,
		const struct config_front *config, struct front **front, struct problem *problem)
{
	(void)folder, (void)service_id, (void)maps, (void)config, (void)front;
	return problem_set(problem, -ENOSYS, "this hotstandby has no fronts yet");
}

struct front *front_free(struct front *front)
{
	(void)front;
	return NULL;
}

int front_remove(const char *folder, uint32_t service_id)
{
	(void)folder, (void)service_id;
	return 0;
}

uint32_t front_hosts(const struct front *front)
{
	(void)front;
	return 0;
}

uint32_t front_taking(const struct front *front)
{
	(void)front;
	return 0;
}

void front_set_taking(struct front *front, unsigned host, bool takes)
{
	(void)front, (void)host, (void)takes;
}

uint64_t front_run(const struct front *front, unsigned host)
{
	(void)front, (void)host;
	return 0;
}

bool front_host(const struct front *front, unsigned host, struct front_host_view *ret_view)
{
	(void)front, (void)host, (void)ret_view;
	return false;
}

int front_follow_routes(struct front *front)
{
	(void)front;
	return -ENOSYS;
}

const char *front_device(const struct front *front)
{
	return front->device;
}

bool front_is_native(const struct front *front)
{
	(void)front;
	return false;
}

int front_totals(const struct front *front, struct front_totals *ret_totals)
{
	(void)front;
	memset(ret_totals, 0, sizeof(*ret_totals));
	return 0;
}

int front_live(const struct front *front, struct front_live live[HS_SLOTS_MAX])
{
	(void)front;
	memset(live, 0, HS_SLOTS_MAX * sizeof(*live));
	return 0;
}

int front_each_flow(const struct front *front, front_flow_fn on_flow, void *userdata)
{
	(void)front, (void)on_flow, (void)userdata;
	return 0;
}

uint64_t front_hash(const struct front *front)
{
	(void)front;
	return 0;
}
