// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsd/bus_dispatch.h"

#include <string.h>

#include "hsd/bus_tables.h"
#include "util/macro.h"

static const sd_bus_vtable *find_method(const sd_bus_vtable *table, const char *member)
{
	for (; table->type != _SD_BUS_VTABLE_END; table++)
		if (table->type == _SD_BUS_VTABLE_METHOD && !strcmp(table->x.method.member, member))
			return table;
	return NULL;
}

/* An interface may be left out of a call. */
static bool is_of(sd_bus_message *m, const char *interface)
{
	const char *given = sd_bus_message_get_interface(m);

	return !given || !strcmp(given, interface);
}

static int call(const sd_bus_vtable *method, sd_bus_message *m, bool privileged, void *object,
		sd_bus_error *error)
{
	if (!method)
		return sd_bus_error_setf(error, SD_BUS_ERROR_UNKNOWN_METHOD,
					 "there is no method %s", sd_bus_message_get_member(m));
	if (!privileged && !(method->flags & SD_BUS_VTABLE_UNPRIVILEGED))
		return sd_bus_error_setf(error, SD_BUS_ERROR_ACCESS_DENIED, "only root may call %s",
					 sd_bus_message_get_member(m));
	if (!sd_bus_message_has_signature(m, method->x.method.signature))
		return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
					 "%s takes \"%s\", not \"%s\"",
					 sd_bus_message_get_member(m), method->x.method.signature,
					 sd_bus_message_get_signature(m, true));
	return method->x.method.handler(m, object, error);
}

static const sd_bus_vtable *method_of(sd_bus_message *m)
{
	const char *member = sd_bus_message_get_member(m);
	const sd_bus_vtable *method = NULL;

	if (is_of(m, BUS_SERVICE_INTERFACE))
		method = find_method(bus_service_vtable, member);
	if (!method && is_of(m, BUS_MANAGER_INTERFACE))
		method = find_method(bus_manager_vtable, member);
	return method;
}

bool bus_is_ours(sd_bus_message *m)
{
	return method_of(m);
}

bool bus_may_hold(sd_bus_message *m)
{
	const sd_bus_vtable *method = method_of(m);

	return method && sd_bus_message_has_signature(m, method->x.method.signature) > 0;
}

static int dispatch(struct manager *manager, sd_bus_message *m, bool privileged,
		    sd_bus_error *error)
{
	const char *path = sd_bus_message_get_path(m), *member = sd_bus_message_get_member(m);
	struct service *service = bus_find_service(manager, path);

	if (service && is_of(m, BUS_SERVICE_INTERFACE))
		return call(find_method(bus_service_vtable, member), m, privileged, service, error);
	if (!strcmp(path, BUS_PATH) && is_of(m, BUS_MANAGER_INTERFACE))
		return call(find_method(bus_manager_vtable, member), m, privileged, manager, error);
	if (service || !strcmp(path, BUS_PATH))
		return sd_bus_error_setf(error, SD_BUS_ERROR_UNKNOWN_INTERFACE,
					 "there is no interface %s here",
					 sd_bus_message_get_interface(m));
	return sd_bus_error_setf(error, SD_BUS_ERROR_UNKNOWN_OBJECT, "there is no object %s", path);
}

void bus_dispatch(sd_bus_message *m, bool privileged, void *userdata)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	int r = dispatch(userdata, m, privileged, &error);

	if (sd_bus_error_is_set(&error))
		sd_bus_reply_method_error(m, &error);
	else if (r < 0)
		sd_bus_reply_method_errno(m, r, NULL);
}
