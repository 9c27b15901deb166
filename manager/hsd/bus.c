// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsd/bus.h"

#include <json-c/json.h>
#include <string.h>

#include "core/contract.h"
#include "hsd/bus_properties.h"
#include "hsd/bus_request.h"
#include "hsd/bus_tables.h"
#include "hsd/callers.h"
#include "hsd/state.h"
#include "service/whole/calls.h"
#include "service/whole/calls_spread.h"
#include "service/whole/status.h"
#include "util/macro.h"

/* ---- methods ----
 *
 * Each reads what is asked for, and hands it on; it is answered there.
 */

static int new_request(struct service *service, sd_bus_message *m, struct request **ret_request)
{
	return bus_request_new(manager_of(service), m, ret_request);
}

static int bus_method_describe(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct service *service = userdata;
	const char *text =
		service_describe(service, callers_may_see(manager_of(service)->callers, m));

	(void)error;
	return text ? sd_bus_reply_method_return(m, "s", text) : -ENOMEM;
}

static int ask_connections(sd_bus_message *m, struct service *service,
			   const struct connections_query *query)
{
	struct request *request;
	int r = new_request(service, m, &request);

	if (r < 0)
		return r;
	call_connections(service, query, request);
	return 1;
}

static int bus_method_connections(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct connections_query query = {.idle_usec = CONNECTIONS_IDLE_USEC, .list = true};

	(void)error;
	return ask_connections(m, userdata, &query);
}

static int bus_method_inspect_connections(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct connections_query query = {0};
	int list, r = sd_bus_message_read(m, "tb", &query.idle_usec, &list);

	(void)error;
	if (r < 0)
		return r;
	query.list = list;
	return ask_connections(m, userdata, &query);
}

static int bus_method_switchover(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct switchover_call call;
	struct request *request;
	int r = sd_bus_message_read(m, "itts", &call.to, &call.settle_usec, &call.drain_usec,
				    &call.then);

	(void)error;
	if (r >= 0)
		r = new_request(userdata, m, &request);
	if (r < 0)
		return r;
	call_switchover(userdata, &call, request);
	return 1;
}

static int bus_method_rollback(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct request *request;
	int r = new_request(userdata, m, &request);

	(void)error;
	if (r < 0)
		return r;
	call_rollback(userdata, request);
	return 1;
}

static int bus_method_failover(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct request *request;
	int to, r = sd_bus_message_read(m, "i", &to);

	(void)error;
	if (r >= 0)
		r = new_request(userdata, m, &request);
	if (r < 0)
		return r;
	call_failover(userdata, to, request);
	return 1;
}

static int bus_method_set_policy(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct request *request;
	const char *policy;
	int r = sd_bus_message_read(m, "s", &policy);

	(void)error;
	if (r >= 0)
		r = new_request(userdata, m, &request);
	if (r < 0)
		return r;
	call_set_policy(userdata, policy, request);
	return 1;
}

static int bus_method_set_hash(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct request *request;
	const char *by;
	int r = sd_bus_message_read(m, "s", &by);

	(void)error;
	if (r >= 0)
		r = new_request(userdata, m, &request);
	if (r < 0)
		return r;
	call_set_hash(userdata, by, request);
	return 1;
}

static int bus_method_set_weight(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct request *request;
	uint32_t slot, percent;
	int r = sd_bus_message_read(m, "uu", &slot, &percent);

	(void)error;
	if (r >= 0)
		r = new_request(userdata, m, &request);
	if (r < 0)
		return r;
	call_set_weight(userdata, slot, percent, request);
	return 1;
}

static int bus_method_set_pinned(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct request *request;
	const char *prefix;
	uint32_t slot;
	int r = sd_bus_message_read(m, "su", &prefix, &slot);

	(void)error;
	if (r >= 0)
		r = new_request(userdata, m, &request);
	if (r < 0)
		return r;
	call_set_pinned(userdata, prefix, slot, request);
	return 1;
}

static int bus_method_set_slots(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct request *request;
	uint32_t slots;
	int r = sd_bus_message_read(m, "u", &slots);

	(void)error;
	if (r >= 0)
		r = new_request(userdata, m, &request);
	if (r < 0)
		return r;
	call_set_slots(userdata, slots, request);
	return 1;
}

static int bus_method_rebalance(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct request *request;
	int dry_run, r = sd_bus_message_read(m, "b", &dry_run);

	(void)error;
	if (r >= 0)
		r = new_request(userdata, m, &request);
	if (r < 0)
		return r;
	call_rebalance(userdata, dry_run, request);
	return 1;
}

static int bus_method_table(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct request *request;
	int r = new_request(userdata, m, &request);

	(void)error;
	if (r < 0)
		return r;
	call_table(userdata, request);
	return 1;
}

static int bus_method_where(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct request *request;
	const char *client;
	int r = sd_bus_message_read(m, "s", &client);

	(void)error;
	if (r >= 0)
		r = new_request(userdata, m, &request);
	if (r < 0)
		return r;
	call_where(userdata, client, request);
	return 1;
}

static int bus_method_set_canary(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct canary_call call;
	struct request *request;
	int r = sd_bus_message_read(m, "uiss", &call.share, &call.to, &call.by, &call.from);

	(void)error;
	if (r >= 0)
		r = new_request(userdata, m, &request);
	if (r < 0)
		return r;
	call_set_canary(userdata, &call, request);
	return 1;
}

static int bus_method_exec(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct request *request;
	uint32_t slot;
	int r = sd_bus_message_read(m, "u", &slot);

	(void)error;
	if (r >= 0)
		r = new_request(userdata, m, &request);
	if (r < 0)
		return r;
	call_exec(userdata, slot, request);
	return 1;
}

static int ask_hold(sd_bus_message *m, struct service *service, bool held)
{
	struct request *request;
	int r = new_request(service, m, &request);

	if (r < 0)
		return r;
	call_hold(service, held, request);
	return 1;
}

static int bus_method_park(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	(void)error;
	return ask_hold(m, userdata, true);
}

static int bus_method_release(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	(void)error;
	return ask_hold(m, userdata, false);
}

static int read_canary_steps(sd_bus_message *m, struct upgrade_order *order)
{
	uint32_t share;
	int r = sd_bus_message_enter_container(m, 'a', "u");

	while (r >= 0 && (r = sd_bus_message_read(m, "u", &share)) > 0)
		if (order->n_canary++ < UPGRADE_CANARY_STEPS_MAX)
			order->canary[order->n_canary - 1] = share;
	return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int bus_method_upgrade(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct upgrade_order order = {0};
	struct request *request;
	int silent,
		r = sd_bus_message_read(m, "sbtttt", &order.smoke, &silent, &order.smoke_usec,
					&order.hold_usec, &order.probation_usec, &order.ready_usec);

	(void)error;
	if (r >= 0)
		r = read_canary_steps(m, &order);
	if (r >= 0)
		r = new_request(userdata, m, &request);
	if (r < 0)
		return r;
	order.smoke_may_be_silent = silent;
	call_upgrade(userdata, &order, request);
	return 1;
}

static int bus_method_cancel_upgrade(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct request *request;
	int r = new_request(userdata, m, &request);

	(void)error;
	if (r < 0)
		return r;
	call_cancel_upgrade(userdata, request);
	return 1;
}

static int bus_method_drain(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct request *request;
	uint64_t deadline;
	uint32_t slot;
	int r = sd_bus_message_read(m, "ut", &slot, &deadline);

	(void)error;
	if (r >= 0)
		r = new_request(userdata, m, &request);
	if (r < 0)
		return r;
	call_drain(userdata, slot, deadline, request);
	return 1;
}

static int bus_method_cancel_drain(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct request *request;
	int r = new_request(userdata, m, &request);

	(void)error;
	if (r < 0)
		return r;
	call_cancel_drain(userdata, request);
	return 1;
}

/* ---- the object ---- */

/* What is not SD_BUS_VTABLE_UNPRIVILEGED is for root, and for who has the right that core/right.h
 * names: hsd/bus_dispatch.c asks. */

const sd_bus_vtable bus_service_vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_PROPERTY("Name", "s", bus_get_text, 0, SD_BUS_VTABLE_PROPERTY_CONST),
	SD_BUS_PROPERTY("Policy", "s", bus_get_text, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
	/* 255 = none */
	SD_BUS_PROPERTY("Active", "u", bus_get_number, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
	SD_BUS_PROPERTY("Generation", "u", bus_get_number, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
	SD_BUS_PROPERTY("Canary", "u", bus_get_number, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
	SD_BUS_PROPERTY("CanaryShare", "u", bus_get_number, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
	SD_BUS_PROPERTY("Held", "b", bus_get_held, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
	SD_BUS_PROPERTY("Slots", "a(uss)", bus_get_slots, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
	SD_BUS_PROPERTY("Change", "s", bus_get_text, 0, 0),
	SD_BUS_METHOD_WITH_ARGS("Describe", SD_BUS_NO_ARGS, SD_BUS_RESULT("s", json),
				bus_method_describe, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("Connections", SD_BUS_NO_ARGS, SD_BUS_RESULT("s", json),
				bus_method_connections, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("InspectConnections", SD_BUS_ARGS("t", idle_usec, "b", list),
				SD_BUS_RESULT("s", json), bus_method_inspect_connections,
				SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("Switchover",
				SD_BUS_ARGS("i", to, "t", settle_usec, "t", drain_usec, "s", then),
				SD_BUS_RESULT("s", json), bus_method_switchover, 0),
	SD_BUS_METHOD_WITH_ARGS("Rollback", SD_BUS_NO_ARGS, SD_BUS_RESULT("s", json),
				bus_method_rollback, 0),
	SD_BUS_METHOD_WITH_ARGS("Failover", SD_BUS_ARGS("i", to), SD_BUS_RESULT("s", json),
				bus_method_failover, 0),
	SD_BUS_METHOD_WITH_ARGS("Upgrade",
				SD_BUS_ARGS("s", smoke, "b", smoke_may_be_silent, "t", smoke_usec,
					    "t", hold_usec, "t", probation_usec, "t", ready_usec,
					    "au", canary),
				SD_BUS_RESULT("s", json), bus_method_upgrade, 0),
	SD_BUS_METHOD_WITH_ARGS("CancelUpgrade", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT,
				bus_method_cancel_upgrade, 0),
	SD_BUS_METHOD_WITH_ARGS("Drain", SD_BUS_ARGS("u", slot, "t", deadline_usec),
				SD_BUS_RESULT("s", json), bus_method_drain, 0),
	SD_BUS_METHOD_WITH_ARGS("CancelDrain", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT,
				bus_method_cancel_drain, 0),
	SD_BUS_METHOD_WITH_ARGS("SetPolicy", SD_BUS_ARGS("s", policy), SD_BUS_RESULT("s", json),
				bus_method_set_policy, 0),
	SD_BUS_METHOD_WITH_ARGS("SetHash", SD_BUS_ARGS("s", by), SD_BUS_RESULT("s", json),
				bus_method_set_hash, 0),
	SD_BUS_METHOD_WITH_ARGS("SetWeight", SD_BUS_ARGS("u", slot, "u", percent),
				SD_BUS_RESULT("s", json), bus_method_set_weight, 0),
	SD_BUS_METHOD_WITH_ARGS("SetPinned", SD_BUS_ARGS("s", prefix, "u", slot),
				SD_BUS_RESULT("s", json), bus_method_set_pinned, 0),
	SD_BUS_METHOD_WITH_ARGS("SetSlots", SD_BUS_ARGS("u", slots), SD_BUS_RESULT("s", json),
				bus_method_set_slots, 0),
	SD_BUS_METHOD_WITH_ARGS("Rebalance", SD_BUS_ARGS("b", dry_run), SD_BUS_RESULT("s", json),
				bus_method_rebalance, 0),
	SD_BUS_METHOD_WITH_ARGS("Table", SD_BUS_NO_ARGS, SD_BUS_RESULT("s", json), bus_method_table,
				0),
	SD_BUS_METHOD_WITH_ARGS("Where", SD_BUS_ARGS("s", client), SD_BUS_RESULT("s", json),
				bus_method_where, 0),
	SD_BUS_METHOD_WITH_ARGS("SetCanary", SD_BUS_ARGS("u", share, "i", to, "s", by, "s", from),
				SD_BUS_RESULT("s", json), bus_method_set_canary, 0),
	SD_BUS_METHOD_WITH_ARGS("Exec", SD_BUS_ARGS("u", slot),
				SD_BUS_RESULT("s", json, "h", counts), bus_method_exec, 0),
	SD_BUS_METHOD_WITH_ARGS("Park", SD_BUS_NO_ARGS, SD_BUS_RESULT("s", json), bus_method_park,
				0),
	SD_BUS_METHOD_WITH_ARGS("Release", SD_BUS_NO_ARGS, SD_BUS_RESULT("s", json),
				bus_method_release, 0),
	SD_BUS_SIGNAL_WITH_ARGS("Progress", SD_BUS_ARGS("s", json), 0),
	SD_BUS_VTABLE_END,
};

static int service_path(const struct service *service, char **ret_path)
{
	return sd_bus_path_encode(BUS_SERVICE_PATH, service->name, ret_path);
}

struct service *bus_find_service(const struct manager *manager, const char *path)
{
	_cleanup_(freep) char *name = NULL;

	if (sd_bus_path_decode(path, BUS_SERVICE_PATH, &name) <= 0)
		return NULL;
	return manager_find(manager, name);
}

int bus_publish_service(struct service *service, sd_bus_slot **ret_object)
{
	_cleanup_(freep) char *path = NULL;
	int r = service_path(service, &path);

	if (r >= 0)
		r = sd_bus_add_object_vtable(manager_of(service)->api, ret_object, path,
					     BUS_SERVICE_INTERFACE, bus_service_vtable, service);
	return r < 0 ? r : 0;
}

void bus_emit_progress(const struct service *service, const char *json)
{
	_cleanup_(freep) char *path = NULL;

	if (service_path(service, &path) < 0)
		return;
	sd_bus_emit_signal(manager_of(service)->api, path, BUS_SERVICE_INTERFACE, "Progress", "s",
			   json);
}

void bus_emit_changed(const struct service *service, struct bus_told *told)
{
	_cleanup_(freep) char *path = NULL;
	const char *names[BUS_PROPERTIES_MAX];
	struct bus_told now;

	bus_look(service, &now);
	bus_compare(told, &now, names);
	*told = now;
	if (names[0] && service_path(service, &path) >= 0)
		sd_bus_emit_properties_changed_strv(manager_of(service)->api, path,
						    BUS_SERVICE_INTERFACE, (char **)names);
}

void bus_emit_services(const struct manager *manager)
{
	/* at first nobody knows us, and has not asked */
	if (manager->bus_object)
		sd_bus_emit_properties_changed(manager->api, BUS_PATH, BUS_MANAGER_INTERFACE,
					       "Services", NULL);
}
