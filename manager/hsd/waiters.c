// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsd/waiters.h"

#include <errno.h>
#include <json-c/json.h>

int waiters_add(struct waiters *waiters, sd_bus_message *message)
{
	if (!message)
		return 0;
	if (waiters->n == WAITERS_MAX)
		return -EBUSY;
	waiters->messages[waiters->n++] = sd_bus_message_ref(message);
	return 0;
}

void waiters_refuse(struct waiters *waiters, const char *text)
{
	while (waiters->n) {
		sd_bus_message *message = waiters->messages[--waiters->n];

		sd_bus_reply_method_errorf(message, SD_BUS_ERROR_NO_REPLY, "%s", text);
		sd_bus_message_unref(message);
	}
}

void waiters_answer(struct waiters *waiters, const char *service, unsigned slot, const char *text)
{
	json_object *object;

	if (!waiters->n)
		return;
	object = json_object_new_object();
	json_object_object_add(object, "service", json_object_new_string(service));
	json_object_object_add(object, "slot", json_object_new_int(slot));
	json_object_object_add(object, "message", json_object_new_string(text));
	while (waiters->n) {
		sd_bus_message *message = waiters->messages[--waiters->n];

		sd_bus_reply_method_return(message, "s", json_object_to_json_string(object));
		sd_bus_message_unref(message);
	}
	json_object_put(object);
}
