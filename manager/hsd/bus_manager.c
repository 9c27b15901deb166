// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsd/bus_manager.h"

#include <string.h>

#include "core/contract.h"
#include "hsd/bus.h"
#include "hsd/bus_request.h"
#include "hsd/bus_tables.h"
#include "hsd/callers.h"
#include "hsd/services.h"
#include "hsd/state.h"
#include "plane/snapshot.h"
#include "service/watch/outdated_watch.h"
#include "service/whole/calls_slot.h"
#include "service/whole/status.h"
#include "util/macro.h"

static int append_services(sd_bus_message *m, const struct manager *manager)
{
	int r = sd_bus_message_open_container(m, 'a', "s");

	for (size_t i = 0; r >= 0 && i < manager->n_services; i++)
		r = sd_bus_message_append(m, "s", manager->services[i]->name);
	return r < 0 ? r : sd_bus_message_close_container(m);
}

static int bus_method_list_services(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	int r = sd_bus_message_new_method_return(m, &reply);

	(void)error;
	if (r >= 0)
		r = append_services(reply, userdata);
	return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

/* "[{...},{...}]" */
static int write_descriptions(struct manager *manager, bool may_see, FILE *out)
{
	fputc('[', out);
	for (size_t i = 0; i < manager->n_services; i++) {
		const char *text = service_describe(manager->services[i], may_see);

		if (!text)
			return -ENOMEM;
		fprintf(out, "%s%s", i ? "," : "", text);
	}
	fputc(']', out);
	return 0;
}

/* Likewise; there is nothing in it that some may not see. */
static int write_rows(struct manager *manager, bool may_see, FILE *out)
{
	(void)may_see;
	fputc('[', out);
	for (size_t i = 0; i < manager->n_services; i++) {
		json_object *row = service_to_row(manager->services[i]);
		_cleanup_(freep) char *text = row ? report_text(row) : NULL;

		json_object_put(row);
		if (!text)
			return -ENOMEM;
		fprintf(out, "%s%s", i ? "," : "", text);
	}
	fputc(']', out);
	return 0;
}

static int reply_of_all(sd_bus_message *m, struct manager *manager,
			int (*write)(struct manager *manager, bool may_see, FILE *out))
{
	bool may_see = callers_may_see(manager->callers, m);
	_cleanup_(freep) char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	int r;

	if (!out)
		return -ENOMEM;
	snapshot_begin();
	r = write(manager, may_see, out);
	snapshot_end();
	if (fclose(out))
		r = -ENOMEM;
	return r < 0 ? r : sd_bus_reply_method_return(m, "s", text);
}

static int bus_method_describe_all(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	(void)error;
	return reply_of_all(m, userdata, write_descriptions);
}

static int bus_method_list(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	(void)error;
	return reply_of_all(m, userdata, write_rows);
}

static int bus_method_describe_manager(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	const struct manager *manager = userdata;
	const struct manager_report report = {
		.version = HS_VERSION,
		.started_usec = manager->started_usec,
		.starts = manager->starts,
		.turns = manager->turns.n,
		.busy_usec = manager->turns.busy_usec,
		.longest_turn_usec = manager->turns.longest_usec,
		.n_services = manager->n_services,
		.n_missing = manager->n_missing,
	};
	json_object *object = report_manager(&report);
	_cleanup_(freep) char *text = object ? report_text(object) : NULL;

	(void)error;
	json_object_put(object);
	return text ? sd_bus_reply_method_return(m, "s", text) : -ENOMEM;
}

static int refuse_service(sd_bus_error *error, const char *name)
{
	return sd_bus_error_setf(error, BUS_ERROR_NO_SERVICE,
				 "%.200s is not managed by hotstandby; enable it: hsctl enable "
				 "%.200s@.service",
				 name, name);
}

/* Where a service is: its name is not what stands there for each. */
static int bus_method_get_service(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	_cleanup_(freep) char *path = NULL;
	const struct service *service;
	const char *name;
	int r = sd_bus_message_read(m, "s", &name);

	if (r < 0)
		return r;
	service = manager_find(userdata, name);
	if (!service)
		return refuse_service(error, name);
	r = sd_bus_path_encode(BUS_SERVICE_PATH, service->name, &path);
	return r < 0 ? r : sd_bus_reply_method_return(m, "o", path);
}

/* The service and slot that a unit name means; an error on the bus when there is no such service.
 */
static int read_unit(struct manager *manager, sd_bus_message *m, sd_bus_error *error,
		     struct service **ret_service, unsigned *ret_slot)
{
	char name[SERVICE_NAME_MAX];
	struct service *service;
	const char *unit;
	int r = sd_bus_message_read(m, "s", &unit);

	if (r < 0)
		return r;
	if (name_from_unit(unit, name, ret_slot))
		return sd_bus_error_setf(error, BUS_ERROR_INVALID,
					 "\"%s\" is not the unit of a slot, such as app@0.service",
					 unit);
	service = manager_find(manager, name);
	if (!service) {
		/* enabled a moment ago, perhaps */
		services_reload(manager);
		service = manager_find(manager, name);
	}
	if (!service)
		return refuse_service(error, name);
	*ret_service = service;
	return 0;
}

/* Answered when it is done. */
static int ask_slot(sd_bus_message *m, struct manager *manager, sd_bus_error *error,
		    void (*call)(struct service *service, unsigned slot, struct request *request))
{
	struct service *service;
	struct request *request;
	unsigned slot;
	int r = read_unit(manager, m, error, &service, &slot);

	if (r >= 0)
		r = bus_request_new(manager, m, &request);
	if (r < 0)
		return r;
	call(service, slot, request);
	return 1;
}

static int bus_method_prepare(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	return ask_slot(m, userdata, error, call_prepare);
}

static int bus_method_adopt(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	return ask_slot(m, userdata, error, call_adopt);
}

static int bus_method_retire(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	return ask_slot(m, userdata, error, call_retire);
}

/* Looking is done beforehand: what Describe says is what is known. */
static int bus_method_look(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct manager *manager = userdata;
	struct service *service;
	struct request *request;
	const char *name;
	int r = sd_bus_message_read(m, "s", &name);

	if (r < 0)
		return r;
	service = name[0] ? manager_find(manager, name) : NULL;
	if (name[0] && !service)
		return refuse_service(error, name);
	r = bus_request_new(manager, m, &request);
	if (r < 0)
		return r;
	outdated_ask(manager->host.outdated, service, request);
	return 1;
}

static int bus_method_reload(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	int r = services_reload(userdata);

	if (r < 0)
		return sd_bus_error_setf(error, BUS_ERROR_FAILED, "cannot read the settings: %s",
					 strerror(-r));
	return sd_bus_reply_method_return(m, "");
}

static int bus_get_version(sd_bus *bus, const char *path, const char *interface,
			   const char *property, sd_bus_message *reply, void *userdata,
			   sd_bus_error *error)
{
	(void)bus, (void)path, (void)interface, (void)property, (void)userdata, (void)error;
	return sd_bus_message_append(reply, "s", HS_VERSION);
}

static int bus_get_services(sd_bus *bus, const char *path, const char *interface,
			    const char *property, sd_bus_message *reply, void *userdata,
			    sd_bus_error *error)
{
	(void)bus, (void)path, (void)interface, (void)property, (void)error;
	return append_services(reply, userdata);
}

/* See hsd/bus.c. */
const sd_bus_vtable bus_manager_vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_PROPERTY("Version", "s", bus_get_version, 0, SD_BUS_VTABLE_PROPERTY_CONST),
	SD_BUS_PROPERTY("Services", "as", bus_get_services, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
	SD_BUS_METHOD_WITH_ARGS("GetService", SD_BUS_ARGS("s", name), SD_BUS_RESULT("o", path),
				bus_method_get_service, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("ListServices", SD_BUS_NO_ARGS, SD_BUS_RESULT("as", services),
				bus_method_list_services, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("Describe", SD_BUS_NO_ARGS, SD_BUS_RESULT("s", json),
				bus_method_describe_all, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("List", SD_BUS_NO_ARGS, SD_BUS_RESULT("s", json), bus_method_list,
				SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("DescribeManager", SD_BUS_NO_ARGS, SD_BUS_RESULT("s", json),
				bus_method_describe_manager, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("LookForOutdated", SD_BUS_ARGS("s", service), SD_BUS_NO_RESULT,
				bus_method_look, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("Prepare", SD_BUS_ARGS("s", unit), SD_BUS_RESULT("s", json),
				bus_method_prepare, 0),
	SD_BUS_METHOD_WITH_ARGS("Adopt", SD_BUS_ARGS("s", unit), SD_BUS_RESULT("s", json),
				bus_method_adopt, 0),
	SD_BUS_METHOD_WITH_ARGS("Retire", SD_BUS_ARGS("s", unit), SD_BUS_RESULT("s", json),
				bus_method_retire, 0),
	SD_BUS_METHOD_WITH_ARGS("Reload", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, bus_method_reload, 0),
	SD_BUS_VTABLE_END,
};

int bus_publish_manager(struct manager *manager)
{
	int r = sd_bus_add_object_vtable(manager->api, &manager->bus_object, BUS_PATH,
					 BUS_MANAGER_INTERFACE, bus_manager_vtable, manager);

	if (r >= 0)
		r = sd_bus_request_name(manager->api, BUS_NAME, 0);
	return r < 0 ? r : 0;
}

static int find_service(sd_bus *bus, const char *path, const char *interface, void *userdata,
			void **ret_found, sd_bus_error *error)
{
	struct service *service = bus_find_service(userdata, path);

	(void)bus, (void)interface, (void)error;
	*ret_found = service;
	return service ? 1 : 0;
}

int bus_publish_at_door(sd_bus *bus, void *userdata)
{
	int r = sd_bus_add_object_vtable(bus, NULL, BUS_PATH, BUS_MANAGER_INTERFACE,
					 bus_manager_vtable, userdata);

	if (r >= 0)
		r = sd_bus_add_fallback_vtable(bus, NULL, BUS_SERVICE_PATH, BUS_SERVICE_INTERFACE,
					       bus_service_vtable, find_service, userdata);
	return r < 0 ? r : 0;
}
