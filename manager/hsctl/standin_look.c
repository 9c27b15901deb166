// SPDX-License-Identifier: GPL-2.0-or-later
/* Looking without hsd: what there is of one service or of all, as hsd would describe it. */
#include <string.h>

#include "hsctl/direct.h"
#include "hsctl/json.h"
#include "hsctl/standin.h"
#include "plane/bpf/pins.h"
#include "service/slot/instance.h"
#include "service/whole/calls.h"
#include "service/whole/status.h"
#include "system/configfile.h"
#include "util/strings.h"

/* ---- which services there are ---- */

static int add_pinned(const char *name, void *userdata)
{
	char service[SERVICE_NAME_MAX];
	char ***names = userdata;

	if (name_from_pin(name, service) || strings_contain(*names, service))
		return 0;
	return strings_add(names, service);
}

/* The configured ones, and those that are pinned and not configured any more. */
static int all_services(char ***ret_names, struct problem *problem)
{
	_cleanup_(strings_freep) char **names = NULL;
	int r = configfile_list(&names);

	if (r >= 0)
		r = pins_each_folder(HS_PIN_ROOT, add_pinned, &names);
	if (r == -EACCES || r == -EPERM)
		return direct_need_root(problem, r);
	if (r < 0 && r != -ENOENT)
		return problem_set(problem, r, "cannot list the services: %s", strerror(-r));
	if (names)
		strings_sort(names);
	*ret_names = steal_ptr(&names);
	return 0;
}

/* ---- describing ---- */

/* Also a service can be looked at that is enabled and has not run yet, or cannot. -ENOENT: there is
 * nothing to be looked at. */
static int explain_missing(struct service *service)
{
	struct problem wrong = {0};
	struct config config;
	int r;

	if (service->plane)
		return 0;
	r = configfile_load(service->name, &config, &wrong);
	if (r == -ENOENT)
		return r;
	if (service->plane_error != -ENOENT)
		return 0;
	if (!r)
		problem_set(&wrong, 0,
			    "nothing is pinned in the kernel for it yet; start hsd: systemctl "
			    "start hsd");
	if (!r && !config_is_front(&config.front))
		problem_set(&wrong, 0,
			    "nothing is pinned in the kernel for it yet; start hsd, or an "
			    "instance: systemctl start %s@0",
			    service->name);
	service->problem = wrong;
	return 0;
}

/* Where listeners in other network namespaces are, the units' processes tell. */
static void locate(const struct service *service)
{
	for (unsigned i = 0; service->plane && i < service->n_slots; i++)
		plane_locate(service->plane, instance_facts(service->instances[i])->control_group);
}

static json_object *describe(struct service *service)
{
	locate(service);
	return service_to_json(service, true);
}

static json_object *describe_brief(struct service *service)
{
	locate(service);
	return service_to_row(service);
}

static int describe_one(struct standin *standin, const char *name, json_object **ret_object,
			struct problem *problem)
{
	struct service *service;
	int r = standin_add(standin, name, &service);

	if (r < 0)
		return problem_set(problem, r, "%s cannot be looked at: %s", name, strerror(-r));
	if (explain_missing(service) < 0)
		return problem_set(problem, -ENOENT, "%s", service->problem.text);
	standin_await_facts(standin, STANDIN_PATIENCE);
	*ret_object = describe(service);
	return *ret_object ? 0 : problem_set(problem, -ENOMEM, "out of memory");
}

/* Makes an array of what `make` makes of each. */
static int describe_all(struct standin *standin, json_object *(*make)(struct service *service),
			json_object **ret_array, struct problem *problem)
{
	_cleanup_(strings_freep) char **names = NULL;
	json_object *array;
	struct service *const *services;
	struct service *service;
	size_t n;
	int r = all_services(&names, problem);

	if (r < 0)
		return r;
	/* one that there is no memory for must not hide the others */
	for (char **name = names; name && *name; name++)
		(void)standin_add(standin, *name, &service);
	standin_await_facts(standin, STANDIN_PATIENCE);
	array = json_object_new_array();
	services = standin_services(standin, &n);
	for (size_t i = 0; i < n; i++)
		if (!explain_missing(services[i]))
			json_object_array_add(array, make(services[i]));
	*ret_array = array;
	return 0;
}

static int look(const char *service, json_object *(*make)(struct service *service),
		struct reply *ret_reply)
{
	_cleanup_(standin_freep) struct standin *standin = NULL;
	_cleanup_(json_object_putp) json_object *object = NULL;
	struct problem problem = {0};
	int r = standin_open(&standin, &problem);

	if (r >= 0)
		r = service ? describe_one(standin, service, &object, &problem)
			    : describe_all(standin, make, &object, &problem);
	if (r < 0)
		return reply_fail(ret_reply, EXIT_FAILED, "%s", problem.text);
	ret_reply->text = strdup(json_line(object));
	return ret_reply->exit = EXIT_DONE;
}

int standin_describe(const char *service, struct reply *ret_reply)
{
	return look(service, describe, ret_reply);
}

int standin_list(struct reply *ret_reply)
{
	return look(NULL, describe_brief, ret_reply);
}

int standin_connections(const char *service, const struct connections_query *query,
			struct reply *ret_reply)
{
	_cleanup_(standin_freep) struct standin *standin = standin_new(service, ret_reply);

	if (!standin)
		return ret_reply->exit;
	locate(standin_service(standin));
	call_connections(standin_service(standin), query, standin_ask(standin, ret_reply));
	standin_wait(standin, NULL, USEC_INFINITY);
	return ret_reply->exit;
}
