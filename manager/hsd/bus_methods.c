// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsd/bus_methods.h"

#include <string.h>

#include "core/contract.h"
#include "hsd/bus_tables.h"
#include "util/macro.h"

const sd_bus_vtable *bus_find_method(const sd_bus_vtable *table, const char *member)
{
	for (; table->type != _SD_BUS_VTABLE_END; table++)
		if (table->type == _SD_BUS_VTABLE_METHOD && !strcmp(table->x.method.member, member))
			return table;
	return NULL;
}

bool bus_is_of(sd_bus_message *m, const char *interface)
{
	const char *given = sd_bus_message_get_interface(m);

	return !given || !strcmp(given, interface);
}

static const sd_bus_vtable *method_of(sd_bus_message *m)
{
	const char *member = sd_bus_message_get_member(m);
	const sd_bus_vtable *method = NULL;

	if (bus_is_of(m, BUS_SERVICE_INTERFACE))
		method = bus_find_method(bus_service_vtable, member);
	if (!method && bus_is_of(m, BUS_MANAGER_INTERFACE))
		method = bus_find_method(bus_manager_vtable, member);
	return method;
}

bool bus_is_ours(sd_bus_message *m)
{
	return method_of(m);
}

/* Of one argument, and behind it. Numbers are short. */
static int length_of(sd_bus_message *m, char type, size_t *length)
{
	const char *text;
	const void *list;
	size_t size;
	int r;

	switch (type) {
	case 's':
		r = sd_bus_message_read_basic(m, type, &text);
		size = r >= 0 ? strlen(text) : 0;
		break;
	case 'a':
		r = sd_bus_message_read_array(m, 'u', &list, &size);
		break;
	default:
		r = sd_bus_message_skip(m, (char[]) {type, '\0'});
		size = 0;
	}
	*length += size;
	return r;
}

/* Arrays among the arguments of our methods are "au". */
static int body_length(sd_bus_message *m, const char *types, size_t *ret_length)
{
	size_t length = strlen(sd_bus_message_get_path(m));
	int r = 0;

	for (; *types && r >= 0 && length <= BUS_SHORT; types++) {
		r = length_of(m, *types, &length);
		types += *types == 'a';
	}
	*ret_length = length;
	return r < 0 ? r : sd_bus_message_rewind(m, true);
}

int bus_length(sd_bus_message *m)
{
	const sd_bus_vtable *method = method_of(m);
	size_t length = 0;
	int r;

	if (!method || sd_bus_message_has_signature(m, method->x.method.signature) <= 0)
		return -EINVAL;
	/* NULL where there are none */
	r = body_length(m, method->x.method.signature ?: "", &length);
	if (r < 0)
		return r;
	return length > BUS_SHORT ? -E2BIG : (int)length;
}
