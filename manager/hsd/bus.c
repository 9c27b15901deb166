// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsd/bus.h"

#include <json-c/json.h>
#include <string.h>

#include "hsd/bus_answer.h"
#include "hsd/bus_tables.h"
#include "hsd/callers.h"
#include "hsd/change_hold.h"
#include "hsd/change_run.h"
#include "hsd/exec_run.h"
#include "hsd/exclusive_run.h"
#include "hsd/health.h"
#include "hsd/park.h"
#include "hsd/upgrade_run.h"
#include "plane/preview/exec.h"
#include "system/service/connections.h"
#include "system/service/parking.h"
#include "util/macro.h"

static int bus_method_describe(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct service *service = userdata;
	const char *text = bus_describe(service, callers_may_see(service->context->callers, m));

	(void)error;
	return text ? sd_bus_reply_method_return(m, "s", text) : -ENOMEM;
}

static int reply_connections(sd_bus_message *m, struct service *service,
			     struct connections_query *query, sd_bus_error *error)
{
	json_object *object;

	query->withheld = !callers_may_see(service->context->callers, m);

	if (!service->plane)
		return sd_bus_error_setf(error, BUS_ERROR_FAILED,
					 "nothing is known of the connections of %s: %s",
					 service->name, service->problem.text);
	object = connections_report(service->plane, service->n_slots, query);
	if (!object)
		return sd_bus_error_setf(error, BUS_ERROR_FAILED,
					 "the kernel did not list the connections of %s: %m",
					 service->name);
	return bus_reply_json(m, object);
}

static int bus_method_connections(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct connections_query query = {.idle_usec = CONNECTIONS_IDLE_USEC, .list = true};

	return reply_connections(m, userdata, &query, error);
}

static int bus_method_inspect_connections(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct connections_query query;
	int list, r = sd_bus_message_read(m, "tb", &query.idle_usec, &list);

	if (r < 0)
		return r;
	query.list = list;
	return reply_connections(m, userdata, &query, error);
}

static int start_change(struct service *service, const struct change_order *order,
			sd_bus_message *m, sd_bus_error *error)
{
	enum gate_answer answer;
	struct problem refusal = {0};
	int r = bus_need_plane(service, error);

	if (r < 0)
		return r;
	if (order->to < GATE_STANDBY || order->to >= HS_SLOTS_MAX)
		return sd_bus_error_setf(error, BUS_ERROR_REFUSED, "%s has no slot %d",
					 service->name, order->to);
	r = change_hold_start(service, order, m, &answer, &refusal);
	if (r < 0)
		return r;
	return answer == GATE_OPEN ? 1 : bus_refuse(error, &refusal);
}

/* USEC_INFINITY and an empty text stand for the service's own setting. */
static int read_order(const struct service *service, sd_bus_message *m, sd_bus_error *error,
		      struct change_order *order)
{
	const char *then;
	int r = sd_bus_message_read(m, "itts", &order->to, &order->settle_usec, &order->drain_usec,
				    &then);

	if (r < 0)
		return r;
	order->then = then[0] ? switchover_then_from_string(then) : service->config.then;
	if (order->settle_usec == USEC_INFINITY)
		order->settle_usec = service->config.settle_usec;
	/* of an exclusive service only when asked for: all that time nobody is served anew */
	if (order->drain_usec == USEC_INFINITY)
		order->drain_usec = service->config.exclusive ? 0 : service->config.drain_usec;
	if (order->then == THEN_COUNT)
		return sd_bus_error_setf(error, BUS_ERROR_INVALID,
					 "\"%s\" is not keep, stop or restart", then);
	if (order->settle_usec > CONFIG_SETTLE_MAX || order->drain_usec > CONFIG_DRAIN_MAX)
		return sd_bus_error_set(error, BUS_ERROR_INVALID,
					"settle may be 10 minutes at the most, drain 7 days");
	return 0;
}

static int bus_method_switchover(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct change_order order = {.verb = VERB_SWITCHOVER};
	int r = read_order(userdata, m, error, &order);

	return r < 0 ? r : start_change(userdata, &order, m, error);
}

static int refuse_late(const struct service *service, sd_bus_error *error)
{
	return sd_bus_error_setf(error, BUS_ERROR_REFUSED,
				 "%s: it is too late to undo the upgrade: the old instance is gone",
				 service->name);
}

/* In the middle of an upgrade it is that which is undone. */
static int bus_method_rollback(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct service *service = userdata;
	struct change_order order = {
		.verb = VERB_ROLLBACK,
		.to = GATE_STANDBY,
		.settle_usec = service->config.settle_usec,
	};

	if (service->upgrade)
		return upgrade_run_cancel(service->upgrade, m) ? 1 : refuse_late(service, error);
	return start_change(service, &order, m, error);
}

static int bus_method_failover(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct service *service = userdata;
	struct change_order order = {
		.verb = VERB_FAILOVER,
		.settle_usec = service->config.settle_usec,
	};
	int r = sd_bus_message_read(m, "i", &order.to);

	return r < 0 ? r : start_change(service, &order, m, error);
}

static int bus_method_set_policy(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct service *service = userdata;
	struct problem message = {0};
	enum hs_policy policy;
	const char *text;
	int r = bus_need_plane(service, error);

	if (r >= 0)
		r = sd_bus_message_read(m, "s", &text);
	if (r < 0)
		return r;
	policy = policy_from_string(text);
	if (policy == HS_POLICY_COUNT)
		return sd_bus_error_setf(error, BUS_ERROR_INVALID,
					 "\"%s\" is not standby, parity or hash", text);
	if (!change_set_policy(service->plane, policy, &message))
		return bus_refuse(error, &message);
	bus_emit_changed(service);
	return bus_reply_json(m, change_word_json(service->plane, message.text));
}

/* `by`: "connection", "client"; `from`: prefixes with commas between them, "" = any client. */
static int read_canary(sd_bus_message *m, sd_bus_error *error, struct canary_request *request,
		       struct canary_filter *filter)
{
	struct problem problem = {0};
	const char *by, *from;
	int r = sd_bus_message_read(m, "uiss", &request->share, &request->to, &by, &from);

	if (r < 0)
		return r;
	if (request->share > WORD_SHARE_MAX || request->to < GATE_STANDBY ||
	    request->to >= HS_SLOTS_MAX)
		return sd_bus_error_set(error, BUS_ERROR_INVALID,
					"the share is 0 to 65535, the slot -1 to 15");
	if (canary_set_by(filter, by) < 0)
		return sd_bus_error_setf(error, BUS_ERROR_INVALID,
					 "\"%s\" is not connection or client", by);
	if (from[0] && canary_add_list(filter, from, &problem) < 0)
		return sd_bus_error_set(error, BUS_ERROR_INVALID, problem.text);
	request->filter = filter;
	return 0;
}

static int bus_method_set_canary(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct service *service = userdata;
	enum slot_state states[HS_SLOTS_MAX];
	struct slot_health health[HS_SLOTS_MAX];
	struct canary_request request = {
		.states = states, .n = service->n_slots, .health = health_of(service, health)};
	struct canary_filter filter = {0};
	struct problem message = {0};
	int r = bus_need_plane(service, error);

	if (r >= 0)
		r = read_canary(m, error, &request, &filter);
	if (r < 0)
		return r;
	if (upgrade_run_blocks(service)) {
		gate_describe(GATE_BUSY, service->name, HS_SLOT_NONE, SLOT_DOWN, &message);
		return bus_refuse(error, &message);
	}
	service_states(service, states);
	if (change_set_canary(service->plane, &request, &message) != GATE_OPEN)
		return bus_refuse(error, &message);
	bus_emit_changed(service);
	return bus_reply_json(m, change_word_json(service->plane, message.text));
}

static int bus_method_exec(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct service *service = userdata;
	struct problem refusal = {0};
	uint32_t slot;
	int r;

	/* exec_run_start() looks closer, which costs more */
	if (!callers_may_see(service->context->callers, m))
		return sd_bus_error_set(error, BUS_ERROR_FAILED,
					"only root and members of the group hotstandby may do "
					"this; run it with sudo");
	r = bus_need_plane(service, error);
	if (r >= 0)
		r = sd_bus_message_read(m, "u", &slot);
	if (r < 0)
		return r;
	if (slot >= service->n_slots)
		return sd_bus_error_setf(error, BUS_ERROR_REFUSED, "%s has no slot %u",
					 service->name, slot);
	if (!exec_may(service->plane, slot, &refusal))
		return bus_refuse(error, &refusal);
	r = exec_run_start(service, slot, m);
	return r < 0 ? r : 1; /* answered when the command's scope is there */
}

static int set_held(struct service *service, bool held, sd_bus_message *m, sd_bus_error *error)
{
	struct problem message = {0};
	int r = bus_need_plane(service, error);

	if (r < 0)
		return r;
	if (exclusive_run_blocks(service, &message) ||
	    (held && !parking_hold(service->plane, &service->config, &message)))
		return bus_refuse(error, &message);
	if (!held) {
		parking_release(service->plane, &message);
		park_look(service->park);
	}
	bus_emit_changed(service);
	return bus_reply_json(m, parking_json(service->plane, message.text));
}

static int bus_method_park(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	return set_held(userdata, true, m, error);
}

static int bus_method_release(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	return set_held(userdata, false, m, error);
}

static int bus_get_text(sd_bus *bus, const char *path, const char *interface, const char *property,
			sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	struct service *service = userdata;
	uint64_t word = service->plane ? plane_word(service->plane) : WORD_INITIAL;

	(void)bus, (void)path, (void)interface, (void)error;
	if (!strcmp(property, "Policy"))
		return sd_bus_message_append(reply, "s", policy_to_string(hs_word_policy(word)));
	return sd_bus_message_append(reply, "s", service->name);
}

static int bus_get_number(sd_bus *bus, const char *path, const char *interface,
			  const char *property, sd_bus_message *reply, void *userdata,
			  sd_bus_error *error)
{
	struct service *service = userdata;
	uint64_t word = service->plane ? plane_word(service->plane) : WORD_INITIAL;

	(void)bus, (void)path, (void)interface, (void)error;
	if (!strcmp(property, "Generation"))
		return sd_bus_message_append(reply, "u", word_generation(word));
	return sd_bus_message_append(reply, "u", hs_word_active(word));
}

/* -EINVAL: too many steps. */
static int read_canary_steps(sd_bus_message *m, struct upgrade_order *order)
{
	uint32_t share;
	int r = sd_bus_message_enter_container(m, 'a', "u");

	while (r >= 0 && (r = sd_bus_message_read(m, "u", &share)) > 0) {
		if (order->n_canary == UPGRADE_CANARY_STEPS_MAX || share > WORD_SHARE_MAX)
			return -EINVAL;
		order->canary[order->n_canary++] = share;
	}
	return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int bus_method_upgrade(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct service *service = userdata;
	struct upgrade_order order = {0};
	enum gate_answer answer;
	struct problem refusal = {0};
	int r = bus_need_plane(service, error), silent;

	if (r >= 0)
		r = sd_bus_message_read(m, "sbtttt", &order.smoke, &silent, &order.smoke_usec,
					&order.hold_usec, &order.probation_usec, &order.ready_usec);
	if (r >= 0)
		r = read_canary_steps(m, &order);
	if (r == -EINVAL)
		return sd_bus_error_setf(error, BUS_ERROR_INVALID,
					 "at most %u canary steps, each below 100%%",
					 UPGRADE_CANARY_STEPS_MAX);
	if (r < 0)
		return r;
	order.smoke_may_be_silent = silent;
	if (MAX(order.hold_usec, order.probation_usec) > CONFIG_DRAIN_MAX ||
	    order.smoke_usec > CONFIG_DRAIN_MAX ||
	    (order.ready_usec > CONFIG_DRAIN_MAX && order.ready_usec != USEC_INFINITY))
		return sd_bus_error_set(error, BUS_ERROR_INVALID, "a time is longer than 7d");
	r = upgrade_run_start(service, &order, m, &answer, &refusal);
	if (r < 0)
		return r;
	return answer == GATE_OPEN ? 1 : bus_refuse(error, &refusal);
}

static int bus_method_cancel_upgrade(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct service *service = userdata;

	if (!service->upgrade)
		return sd_bus_error_setf(error, BUS_ERROR_REFUSED, "%s: no upgrade is under way",
					 service->name);
	if (!upgrade_run_cancel(service->upgrade, NULL))
		return refuse_late(service, error);
	return sd_bus_reply_method_return(m, "");
}

const sd_bus_vtable bus_service_vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_PROPERTY("Name", "s", bus_get_text, 0, SD_BUS_VTABLE_PROPERTY_CONST),
	SD_BUS_PROPERTY("Policy", "s", bus_get_text, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
	/* 255 = none */
	SD_BUS_PROPERTY("Active", "u", bus_get_number, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
	SD_BUS_PROPERTY("Generation", "u", bus_get_number, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
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
	SD_BUS_METHOD_WITH_ARGS("SetPolicy", SD_BUS_ARGS("s", policy), SD_BUS_RESULT("s", json),
				bus_method_set_policy, 0),
	SD_BUS_METHOD_WITH_ARGS("SetCanary", SD_BUS_ARGS("u", share, "i", to, "s", by, "s", from),
				SD_BUS_RESULT("s", json), bus_method_set_canary, 0),
	/* not for root alone: exec_run_start() sees who it is */
	SD_BUS_METHOD_WITH_ARGS("Exec", SD_BUS_ARGS("u", slot),
				SD_BUS_RESULT("s", json, "h", counts), bus_method_exec,
				SD_BUS_VTABLE_UNPRIVILEGED),
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

int bus_publish_service(struct service *service)
{
	_cleanup_(freep) char *path = NULL;
	int r = service_path(service, &path);

	if (r >= 0)
		r = sd_bus_add_object_vtable(service->context->api, &service->bus_object, path,
					     BUS_SERVICE_INTERFACE, bus_service_vtable, service);
	return r < 0 ? r : 0;
}

void bus_emit_progress(const struct service *service, const char *json)
{
	_cleanup_(freep) char *path = NULL;

	if (service_path(service, &path) >= 0)
		sd_bus_emit_signal(service->context->api, path, BUS_SERVICE_INTERFACE, "Progress",
				   "s", json);
}

void bus_emit_changed(const struct service *service)
{
	_cleanup_(freep) char *path = NULL;

	if (service->bus_object && service_path(service, &path) >= 0)
		sd_bus_emit_properties_changed(service->context->api, path, BUS_SERVICE_INTERFACE,
					       "Active", "Policy", "Generation", NULL);
}
