// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsd/bus.h"

#include <json-c/json.h>
#include <string.h>

#include "hsd/change_hold.h"
#include "hsd/change_run.h"
#include "hsd/exec_run.h"
#include "hsd/exclusive_run.h"
#include "hsd/health.h"
#include "hsd/instance.h"
#include "hsd/park.h"
#include "hsd/preparation.h"
#include "hsd/upgrade_run.h"
#include "plane/exec.h"
#include "system/connections.h"
#include "system/journal.h"
#include "system/parking.h"
#include "util/macro.h"

#define MANAGER_INTERFACE "org.hotstandby1.Manager"
#define SERVICE_INTERFACE "org.hotstandby1.Service"

/* ---- answers ---- */

/* Who is behind the call: the user who logged in, also behind sudo. */
uint32_t bus_sender_uid(sd_bus_message *message)
{
	sd_bus_creds *creds = NULL;
	uid_t uid = JOURNAL_UID_NONE;

	if (sd_bus_query_sender_creds(message,
				      SD_BUS_CREDS_EUID | SD_BUS_CREDS_AUDIT_LOGIN_UID |
					      SD_BUS_CREDS_AUGMENT,
				      &creds) < 0)
		return uid;
	if (sd_bus_creds_get_audit_login_uid(creds, &uid) < 0)
		(void)sd_bus_creds_get_euid(creds, &uid);
	sd_bus_creds_unref(creds);
	return uid;
}

static int reply_json(sd_bus_message *m, json_object *object)
{
	int r = sd_bus_reply_method_return(
		m, "s",
		json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN |
							       JSON_C_TO_STRING_NOSLASHESCAPE));

	json_object_put(object);
	return r;
}

static int refuse(sd_bus_error *error, const struct problem *sentence)
{
	return sd_bus_error_set(error, BUS_ERROR_REFUSED, sentence->text);
}

static int no_service(sd_bus_error *error, const char *name)
{
	return sd_bus_error_setf(error, BUS_ERROR_NO_SERVICE,
				 "%s is not managed by hotstandby; enable it: hsctl enable "
				 "%s@.service",
				 name, name);
}

/* A service without a kernel side can be looked at, not changed. */
static int need_plane(const struct service *service, sd_bus_error *error)
{
	if (service->plane)
		return 0;
	return sd_bus_error_setf(error, BUS_ERROR_FAILED, "%s cannot be changed: %s", service->name,
				 service->problem.text);
}

static json_object *describe(struct service *service)
{
	_cleanup_(freep) struct service_report *report = malloc(sizeof(*report));

	if (!report)
		return NULL;
	service_report(service, report);
	return report_to_json(report);
}

/* ---- the manager ---- */

static int bus_method_list_services(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct manager *manager = userdata;
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	int r = sd_bus_message_new_method_return(m, &reply);

	(void)error;
	if (r >= 0)
		r = sd_bus_message_open_container(reply, 'a', "s");
	for (size_t i = 0; r >= 0 && i < manager->n_services; i++)
		r = sd_bus_message_append(reply, "s", manager->services[i]->name);
	if (r >= 0)
		r = sd_bus_message_close_container(reply);
	return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

static int bus_method_describe_all(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct manager *manager = userdata;
	json_object *array = json_object_new_array();

	(void)error;
	for (size_t i = 0; i < manager->n_services; i++)
		json_object_array_add(array, describe(manager->services[i]));
	return reply_json(m, array);
}

/* The instance that a unit name means; an error on the bus when there is none. */
static int find_instance(struct manager *manager, sd_bus_message *m, sd_bus_error *error,
			 struct instance **ret_instance)
{
	char name[SERVICE_NAME_MAX];
	struct service *service;
	const char *unit;
	unsigned slot;
	int r = sd_bus_message_read(m, "s", &unit);

	if (r < 0)
		return r;
	if (name_from_unit(unit, name, &slot))
		return sd_bus_error_setf(error, BUS_ERROR_INVALID,
					 "\"%s\" is not the unit of a slot, such as app@0.service",
					 unit);
	service = manager_find(manager, name);
	if (!service) {
		/* enabled a moment ago, perhaps */
		manager_reload(manager);
		service = manager_find(manager, name);
	}
	if (!service)
		return no_service(error, name);
	if (slot >= service->n_slots)
		return sd_bus_error_setf(error, BUS_ERROR_INVALID,
					 "%s has %u slots and no slot %u; raise Slots= in %s.conf",
					 name, service->n_slots, slot, name);
	*ret_instance = service->instances[slot];
	return 0;
}

static int bus_method_prepare(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct instance *instance;
	int r = find_instance(userdata, m, error, &instance);

	if (r >= 0)
		r = instance_prepare(instance, m);
	return r < 0 ? r : 1; /* answered when it is done */
}

static int bus_method_adopt(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct instance *instance;
	int r = find_instance(userdata, m, error, &instance);

	if (r >= 0)
		r = instance_adopt(instance, m);
	return r < 0 ? r : 1;
}

static int bus_method_retire(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct instance *instance;
	int r = find_instance(userdata, m, error, &instance);

	if (r >= 0)
		r = instance_retire(instance, m);
	return r < 0 ? r : 1;
}

static int bus_method_reload(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	int r = manager_reload(userdata);

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

/* A method without SD_BUS_VTABLE_UNPRIVILEGED is for root: sd-bus checks the sender. */
static const sd_bus_vtable manager_vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_PROPERTY("Version", "s", bus_get_version, 0, SD_BUS_VTABLE_PROPERTY_CONST),
	SD_BUS_METHOD_WITH_ARGS("ListServices", SD_BUS_NO_ARGS, SD_BUS_RESULT("as", services),
				bus_method_list_services, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("Describe", SD_BUS_NO_ARGS, SD_BUS_RESULT("s", json),
				bus_method_describe_all, SD_BUS_VTABLE_UNPRIVILEGED),
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
	int r = sd_bus_add_object_vtable(manager->context.bus, &manager->bus_object, BUS_PATH,
					 MANAGER_INTERFACE, manager_vtable, manager);

	if (r >= 0)
		r = sd_bus_request_name(manager->context.bus, BUS_NAME, 0);
	return r < 0 ? r : 0;
}

/* ---- a service ---- */

static int bus_method_describe(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	(void)error;
	return reply_json(m, describe(userdata));
}

static int reply_connections(sd_bus_message *m, struct service *service,
			     const struct connections_query *query, sd_bus_error *error)
{
	json_object *object;

	if (!service->plane)
		return sd_bus_error_setf(error, BUS_ERROR_FAILED,
					 "nothing is known of the connections of %s: %s",
					 service->name, service->problem.text);
	object = connections_report(service->plane, service->n_slots, query);
	if (!object)
		return sd_bus_error_setf(error, BUS_ERROR_FAILED,
					 "the kernel did not list the connections of %s: %m",
					 service->name);
	return reply_json(m, object);
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
	int r = need_plane(service, error);

	if (r < 0)
		return r;
	if (order->to < GATE_STANDBY || order->to >= HS_SLOTS_MAX)
		return sd_bus_error_setf(error, BUS_ERROR_INVALID, "%s has no slot %d",
					 service->name, order->to);
	if (service->config.exclusive) {
		struct exclusive_order exclusive = {
			.verb = order->verb, .to = order->to, .drain_usec = order->drain_usec};

		r = exclusive_run_start(service, &exclusive, m, &refusal);
		return r ? r : refuse(error, &refusal);
	}
	r = change_hold_start(service, order, m, &answer, &refusal);
	if (r < 0)
		return r;
	return answer == GATE_OPEN ? 1 : refuse(error, &refusal);
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
	int r = need_plane(service, error);

	if (r >= 0)
		r = sd_bus_message_read(m, "s", &text);
	if (r < 0)
		return r;
	policy = policy_from_string(text);
	if (policy == HS_POLICY_COUNT)
		return sd_bus_error_setf(error, BUS_ERROR_INVALID,
					 "\"%s\" is not standby, parity or hash", text);
	change_set_policy(service->plane, policy, &message);
	bus_emit_changed(service);
	return reply_json(m, change_word_json(service->plane, message.text));
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
	int r = need_plane(service, error);

	if (r >= 0)
		r = read_canary(m, error, &request, &filter);
	if (r < 0)
		return r;
	if (upgrade_run_blocks(service)) {
		gate_describe(GATE_BUSY, service->name, HS_SLOT_NONE, SLOT_DOWN, &message);
		return refuse(error, &message);
	}
	service_states(service, states);
	if (change_set_canary(service->plane, &request, &message) != GATE_OPEN)
		return refuse(error, &message);
	bus_emit_changed(service);
	return reply_json(m, change_word_json(service->plane, message.text));
}

static int bus_method_exec(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct service *service = userdata;
	struct problem refusal = {0};
	struct exec_caller caller;
	uint32_t slot;
	int r = exec_caller_of(m, &caller, &refusal);

	if (r < 0)
		return sd_bus_error_set(error, BUS_ERROR_FAILED, refusal.text);
	r = need_plane(service, error);
	if (r >= 0)
		r = sd_bus_message_read(m, "u", &slot);
	if (r < 0)
		return r;
	if (slot >= service->n_slots)
		return sd_bus_error_setf(error, BUS_ERROR_INVALID, "%s has no slot %u",
					 service->name, slot);
	if (!exec_may(service->plane, slot, &refusal))
		return refuse(error, &refusal);
	r = exec_run_start(service, slot, &caller, m);
	return r < 0 ? r : 1; /* answered when the command's scope is there */
}

static int set_held(struct service *service, bool held, sd_bus_message *m, sd_bus_error *error)
{
	struct problem message = {0};
	int r = need_plane(service, error);

	if (r < 0)
		return r;
	if (exclusive_run_blocks(service, &message) ||
	    (held && !parking_hold(service->plane, &service->config, &message)))
		return refuse(error, &message);
	if (!held) {
		parking_release(service->plane, &message);
		park_look(service->park);
	}
	bus_emit_changed(service);
	return reply_json(m, parking_json(service->plane, message.text));
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
	int r = need_plane(service, error);

	if (r >= 0)
		r = sd_bus_message_read(m, "stttt", &order.smoke, &order.smoke_usec,
					&order.hold_usec, &order.probation_usec, &order.ready_usec);
	if (r >= 0)
		r = read_canary_steps(m, &order);
	if (r == -EINVAL)
		return sd_bus_error_setf(error, BUS_ERROR_INVALID,
					 "at most %u canary steps, each below 100%%",
					 UPGRADE_CANARY_STEPS_MAX);
	if (r < 0)
		return r;
	if (MAX(order.hold_usec, order.probation_usec) > CONFIG_DRAIN_MAX ||
	    order.smoke_usec > CONFIG_DRAIN_MAX ||
	    (order.ready_usec > CONFIG_DRAIN_MAX && order.ready_usec != USEC_INFINITY))
		return sd_bus_error_set(error, BUS_ERROR_INVALID, "a time is longer than 7d");
	r = upgrade_run_start(service, &order, m, &answer, &refusal);
	if (r < 0)
		return r;
	return answer == GATE_OPEN ? 1 : refuse(error, &refusal);
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

static const sd_bus_vtable service_vtable[] = {
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
				SD_BUS_ARGS("s", smoke, "t", smoke_usec, "t", hold_usec, "t",
					    probation_usec, "t", ready_usec, "au", canary),
				SD_BUS_RESULT("s", json), bus_method_upgrade, 0),
	SD_BUS_METHOD_WITH_ARGS("CancelUpgrade", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT,
				bus_method_cancel_upgrade, 0),
	SD_BUS_METHOD_WITH_ARGS("SetPolicy", SD_BUS_ARGS("s", policy), SD_BUS_RESULT("s", json),
				bus_method_set_policy, 0),
	SD_BUS_METHOD_WITH_ARGS("SetCanary", SD_BUS_ARGS("u", share, "i", to, "s", by, "s", from),
				SD_BUS_RESULT("s", json), bus_method_set_canary, 0),
	/* not for root alone: exec_caller_of() sees who it is */
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
	return sd_bus_path_encode(BUS_PATH "/service", service->name, ret_path);
}

int bus_publish_service(struct service *service)
{
	_cleanup_(freep) char *path = NULL;
	int r = service_path(service, &path);

	if (r >= 0)
		r = sd_bus_add_object_vtable(service->context->bus, &service->bus_object, path,
					     SERVICE_INTERFACE, service_vtable, service);
	return r < 0 ? r : 0;
}

void bus_emit_progress(const struct service *service, const char *json)
{
	_cleanup_(freep) char *path = NULL;

	if (service_path(service, &path) >= 0)
		sd_bus_emit_signal(service->context->bus, path, SERVICE_INTERFACE, "Progress", "s",
				   json);
}

void bus_emit_changed(const struct service *service)
{
	_cleanup_(freep) char *path = NULL;

	if (service->bus_object && service_path(service, &path) >= 0)
		sd_bus_emit_properties_changed(service->context->bus, path, SERVICE_INTERFACE,
					       "Active", "Policy", "Generation", NULL);
}
