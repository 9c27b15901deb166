// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsd/services.h"

#include <inttypes.h>
#include <string.h>
#include <syslog.h>

#include "hsd/bus.h"
#include "hsd/hosting.h"
#include "hsd/state.h"
#include "service/slot/states.h"
#include "service/whole/assembly.h"
#include "system/configfile.h"
#include "system/journal.h"
#include "util/clock.h"
#include "util/macro.h"
#include "util/strings.h"

/* How long a service that could not be taken up waits for the next try. */
#define MISSING_USEC (10 * USEC_PER_SEC)

/* Where no instance is told its role nobody looks after each event, as the manager does else. */
static void watch_roles(struct manager *manager)
{
	bool told = false;

	for (size_t i = 0; i < manager->n_services; i++)
		for (unsigned role = 0; role < ROLE_CHANGES; role++)
			told |= manager->services[i]->config.roles[role].means != ROLE_UNTOLD;
	sd_event_source_set_enabled(manager->roles_source, told ? SD_EVENT_ON : SD_EVENT_OFF);
}

static void tell_count(const struct manager *manager)
{
	struct journal_scope scope = {NULL, -1, LOG_INFO};

	journal_log(JOURNAL_MANAGER, &scope, "%zu service%s managed", manager->n_services,
		    manager->n_services == 1 ? "" : "s");
	bus_emit_services(manager);
}

/* NULL when that fails: told. */
static struct service *make(struct manager *manager, const char *name)
{
	struct journal_scope scope = {name, -1, LOG_ERR};
	struct service *service = NULL;
	int r = service_new(&manager->host, name, &service);

	if (r >= 0)
		r = hosting_publish(service);
	if (r < 0) {
		service = hosting_free(service);
		journal_log(JOURNAL_PROBLEM, &scope,
			    "%s cannot be managed: %s; it is tried again every %" PRIu64 " s", name,
			    strerror(-r), MISSING_USEC / USEC_PER_SEC);
	}
	manager->n_missing += !service;
	return service;
}

/* Takes an old service over if there is one, else makes it. The old one stays where it was: what is
 * of use to several services is asked for in all of them. */
static struct service *keep_or_make(struct manager *manager, const char *name)
{
	struct service *service = manager_find(manager, name);

	if (!service)
		return make(manager, name);
	service_reload(service);
	return service;
}

/* Those that were taken over are no longer the old array's. */
static void leave_kept(struct manager *manager, struct service *const *kept, size_t n)
{
	for (size_t i = 0; i < manager->n_services; i++)
		for (size_t k = 0; k < n; k++)
			if (manager->services[i] == kept[k])
				manager->services[i] = NULL;
}

void services_free(struct manager *manager)
{
	for (size_t i = 0; i < manager->n_services; i++)
		hosting_free(manager->services[i]);
	free(manager->services);
	manager->services = NULL;
	manager->n_services = 0;
}

/* Where its name sorts. There is room. */
static void insert(struct manager *manager, struct service *service)
{
	size_t at = manager->n_services++;

	for (; at && strcmp(manager->services[at - 1]->name, service->name) > 0; at--)
		manager->services[at] = manager->services[at - 1];
	manager->services[at] = service;
}

static void take_up_missing(struct manager *manager)
{
	_cleanup_(strings_freep) char **names = NULL;
	struct service **room, *service;

	if (configfile_list(&names) < 0)
		return;
	room = reallocarray(manager->services, manager->n_services + strings_count(names) + 1,
			    sizeof(*room));
	if (!room)
		return;
	manager->services = room;
	manager->n_missing = 0;
	for (char **name = names; name && *name; name++) {
		service = manager_find(manager, *name) ? NULL : make(manager, *name);
		if (service)
			insert(manager, service);
	}
	watch_roles(manager);
	tell_count(manager);
}

static int on_missing(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct manager *manager = userdata;

	take_up_missing(manager);
	sd_event_source_set_time(source, usec + MISSING_USEC);
	return sd_event_source_set_enabled(source,
					   manager->n_missing ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
}

/* What they lack may be there later. Without memory for that, too, the next reload does it. */
static void await_missing(struct manager *manager)
{
	manager->missing_source = sd_event_source_disable_unref(manager->missing_source);
	if (!manager->n_missing)
		return;
	(void)sd_event_add_time_relative(manager->host.event, &manager->missing_source,
					 CLOCK_MONOTONIC, MISSING_USEC, USEC_PER_SEC, on_missing,
					 manager);
}

bool services_are_known(const struct manager *manager)
{
	for (size_t i = 0; i < manager->n_services; i++)
		if (!service_is_known(manager->services[i]))
			return false;
	return true;
}

int services_reload(struct manager *manager)
{
	_cleanup_(strings_freep) char **names = NULL;
	struct service **services;
	size_t n = 0;
	int r = configfile_list(&names);

	if (r < 0)
		return r;
	services = calloc(strings_count(names) + 1, sizeof(*services));
	if (!services)
		return -ENOMEM;
	manager->n_missing = 0;
	for (char **name = names; name && *name; name++) {
		services[n] = keep_or_make(manager, *name);
		n += services[n] != NULL;
	}
	leave_kept(manager, services, n);
	for (size_t i = 0; i < manager->n_services; i++)
		service_forget(manager->services[i]);
	services_free(manager);
	manager->services = services;
	manager->n_services = n;
	await_missing(manager);
	watch_roles(manager);
	tell_count(manager);
	return 0;
}
