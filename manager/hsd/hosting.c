// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsd/hosting.h"

#include <systemd/sd-bus.h>

#include "hsd/bus.h"
#include "hsd/door.h"
#include "hsd/state.h"
#include "service/whole/assembly.h"
#include "service/workers.h"

/* On the bus. */
struct hosted {
	sd_bus_slot *object;
	struct bus_told told;
};

static const struct manager *of(const struct host *host)
{
	return container_of(host, struct manager, host);
}

static int order(const struct host *host, const struct work_order *work_order, const int *fds,
		 size_t n_fds, const struct work *work, struct work **ret_work)
{
	return workers_order(of(host)->workers, work_order, fds, n_fds, work, ret_work);
}

static unsigned busy(const struct host *host)
{
	return workers_busy(of(host)->workers);
}

static struct service *const *services(const struct host *host, size_t *ret_n)
{
	*ret_n = of(host)->n_services;
	return of(host)->services;
}

/* Nobody can have looked at it before it was published. */
static void changed(const struct service *service)
{
	struct hosted *hosted = service->hosting;

	if (hosted)
		bus_emit_changed(service, &hosted->told);
}

static void progress(const struct service *service, const char *json)
{
	bus_emit_progress(service, json);
	door_emit_progress(manager_of(service)->door, service->name, json);
}

const struct host_ops hosting_ops = {
	.order = order,
	.busy = busy,
	.changed = changed,
	.progress = progress,
	.services = services,
};

void hosting_debug(const char *line)
{
	fprintf(stderr, "%s\n", line);
}

int hosting_publish(struct service *service)
{
	struct hosted *hosted = calloc(1, sizeof(*hosted));

	if (!hosted)
		return -ENOMEM;
	service->hosting = hosted;
	bus_look(service, &hosted->told);
	return bus_publish_service(service, &hosted->object);
}

struct service *hosting_free(struct service *service)
{
	struct hosted *hosted = service ? steal_ptr(&service->hosting) : NULL;

	if (hosted)
		sd_bus_slot_unref(hosted->object);
	free(hosted);
	return service_free(service);
}
