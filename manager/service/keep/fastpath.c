// SPDX-License-Identifier: GPL-2.0-or-later
#include "service/keep/fastpath.h"

#include <string.h>
#include <sys/epoll.h>
#include <sys/utsname.h>
#include <syslog.h>

#include "plane/fast/fast.h"
#include "plane/fast/fast_programs.h"
#include "plane/kernel/cgroup.h"
#include "plane/selftest/selftest_fast.h"
#include "service/keep/fastserver.h"
#include "service/later.h"
#include "service/report/fastpath_report.h"
#include "service/slot/orders.h"
#include "system/journal.h"
#include "system/unit/unitwatch.h"
#include "util/clock.h"
#include "util/macro.h"

#define MADE_WITH_GO "made with Go, which may read by splice(2), and would get nothing so"

/* How long until the process of a unit that has just started runs its program. */
#define LOOK_PATIENCE (2 * USEC_PER_SEC)

struct client {
	struct fastpath *fastpath;
	char unit[UNIT_NAME_MAX];
	struct unit_watch *watch;
	struct work *work;	/* its main process is being looked at */
	bool known;		/* systemd has told of it */
	bool joined, elsewhere; /* the last: in another network namespace */
	bool splices;		/* its program may read by splice(2) */
	char run[33];		/* that was looked at, by its invocation */
	struct problem problem; /* why it could not */
};

struct fastpath {
	struct service *service;
	struct fast *fast;	/* NULL: see `problem` */
	struct problem problem; /* why there is none */
	struct fast_servers *servers;
	struct client *clients[CONFIG_FASTPATH_UNITS_MAX];
	unsigned n_clients;
};

/* The kernel is tried out once, for all services: what comes of it does not change while we live.
 */
static struct {
	unsigned services; /* that have the section */
	const struct host *host;
	struct selftest *test; /* which runs */
	sd_event_source *source;
	bool known, refuses;
	bool splice; /* readers by splice(2) get what comes */
	struct problem sentence;
} trial;

/* ---- its units ---- */

static const struct unit_facts *facts_of(const struct client *client)
{
	return unit_watch_facts(client->watch);
}

static bool has_processes(const struct unit_facts *facts)
{
	return facts->state != UNIT_DOWN && facts->control_group[0];
}

/* What its commands before the main one are says nothing of that. */
static bool has_begun(const struct unit_facts *facts)
{
	return has_processes(facts) && (facts->main_pid || facts->state != UNIT_STARTING);
}

/* Why its connections go by TCP; "" = they need not. */
static const char *reason(const struct client *client)
{
	if (!client->fastpath->fast)
		return client->fastpath->problem.text;
	if (!client->known)
		return "systemd has not told of it yet";
	if (client->problem.text[0])
		return client->problem.text;
	if (client->splices)
		return "its program is " MADE_WITH_GO;
	if (client->work && !client->joined)
		return "it is being looked at";
	if (client->elsewhere)
		return "it is in another network namespace than the service";
	if (client->joined)
		return "";
	return has_processes(facts_of(client)) ? "it is starting"
					       : "it does not run; it is seen to when it starts";
}

static bool is_of_service(const struct service *service, uint32_t netns)
{
	size_t n;
	struct listener **listeners = plane_listeners(service->plane, &n);
	bool any = false;

	for (size_t i = 0; i < n; i++) {
		if (!listeners[i]->address.udp && listeners[i]->address.netns == netns)
			return true;
		any |= !listeners[i]->address.udp;
	}
	return !any;
}

static void on_netns(struct work_answer *answer, void *userdata)
{
	struct client *client = userdata;
	struct service *service = client->fastpath->service;
	struct journal_scope scope = {service->name, -1, LOG_WARNING};
	bool was = client->elsewhere;
	uint32_t netns;

	client->work = NULL;
	if (answer->result < 0 || answer->size != sizeof(netns))
		return;
	memcpy(&netns, answer->data, sizeof(netns));
	client->elsewhere = !is_of_service(service, netns);
	if (client->elsewhere && !was)
		journal_log(JOURNAL_PROBLEM, &scope,
			    "%s: %s is in another network namespace than the service: its "
			    "connections go by TCP",
			    service->name, client->unit);
	if (client->elsewhere != was)
		service_changed(service);
}

/* At its main process. False: there is none, or no room for the question. */
static bool look_at(struct client *client, enum work_kind kind, work_fn on_done)
{
	struct work_order order = {
		.kind = kind, .slot = HS_SLOT_NONE, .patience_usec = LOOK_PATIENCE};
	struct order_scope nobody = {.left_out = UINT32_MAX};

	order.pid = fast_process_of(facts_of(client));
	client->work = work_forget(client->work);
	return order.pid && service_order(client->fastpath->service, &nobody, &order, on_done,
					  client, &client->work) >= 0;
}

static void tell_client(struct client *client, const struct problem *problem)
{
	struct journal_scope scope = {client->fastpath->service->name, -1, LOG_WARNING};

	if (problem->text[0] && strcmp(problem->text, client->problem.text))
		journal_log(JOURNAL_PROBLEM, &scope, "%s: %s", client->fastpath->service->name,
			    problem->text);
	client->problem = *problem;
}

static void join(struct client *client)
{
	const struct unit_facts *facts = facts_of(client);
	struct problem problem = {0};
	int r = fast_join(client->fastpath->fast, facts->control_group, client->unit, &problem);

	/* without its control group it is about to end: that is told as well */
	if (r == -ENOENT)
		problem.text[0] = '\0';
	client->joined = !r;
	tell_client(client, &problem);
	/* the kernel pairs no connections across namespaces, whatever is known here: it is for
	 * people */
	if (!r)
		(void)look_at(client, WORK_NETNS, on_netns);
	service_changed(client->fastpath->service);
}

static void on_looked(struct work_answer *answer, void *userdata)
{
	struct client *client = userdata;
	struct service *service = client->fastpath->service;
	struct journal_scope scope = {service->name, -1, LOG_WARNING};

	client->work = NULL;
	client->splices = answer->result > 0 && !trial.splice;
	if (!client->splices) {
		join(client);
		return;
	}
	journal_log(JOURNAL_PROBLEM, &scope, "%s: connections of %s go by TCP: %s", service->name,
		    client->unit, reason(client));
	service_changed(service);
}

/* Not before its process runs the program: by that it may have to be kept off. */
static void begin_run(struct client *client)
{
	snprintf(client->run, sizeof(client->run), "%s", facts_of(client)->invocation);
	client->joined = client->elsewhere = client->splices = false;
	if (!look_at(client, WORK_GO, on_looked))
		join(client);
}

static void forget_run(struct client *client)
{
	client->run[0] = '\0';
	client->joined = client->elsewhere = client->splices = false;
	client->problem.text[0] = '\0';
	client->work = work_forget(client->work);
}

/* A run that has joined has done so for good. */
static void follow_unit(struct client *client)
{
	const struct unit_facts *facts = facts_of(client);

	if (!client->known || !client->fastpath->fast)
		return;
	if (!has_begun(facts))
		forget_run(client);
	else if (strcmp(client->run, facts->invocation))
		begin_run(client);
	else if (!client->joined && !client->splices && !client->work)
		join(client);
}

static void on_unit(const struct unit_facts *facts, int error, void *userdata)
{
	struct client *client = userdata;
	bool was = client->known && client->joined;

	(void)facts;
	if (error)
		return;
	client->known = true;
	follow_unit(client);
	if (was != client->joined)
		service_changed(client->fastpath->service);
}

static struct client *client_free(struct client *client)
{
	if (!client)
		return NULL;
	unit_watch_free(client->watch);
	work_forget(client->work);
	free(client);
	return NULL;
}

static void watch_unit(struct fastpath *fastpath, const char *unit)
{
	struct client *client = calloc(1, sizeof(*client));

	if (!client)
		return;
	client->fastpath = fastpath;
	snprintf(client->unit, sizeof(client->unit), "%s", unit);
	if (unit_watch_new(fastpath->service->host->bus, unit, on_unit, client, &client->watch) < 0)
		client_free(client);
	else
		fastpath->clients[fastpath->n_clients++] = client;
}

static struct client *find(const struct fastpath *fastpath, const char *unit)
{
	for (unsigned i = 0; fastpath && i < fastpath->n_clients; i++)
		if (!strcmp(fastpath->clients[i]->unit, unit))
			return fastpath->clients[i];
	return NULL;
}

/* By any service: whose a connection is to be, the kernel decides by its port. */
static bool is_named(const struct host *host, const char *unit)
{
	size_t n;
	struct service *const *services = host_services(host, &n);

	for (size_t i = 0; i < n; i++)
		if (services[i] && config_fastpath_has(&services[i]->config.fastpath, unit))
			return true;
	return false;
}

static void unwatch_unit(struct client *client)
{
	const struct fastpath *fastpath = client->fastpath;

	if (client->joined && fastpath->fast && !is_named(fastpath->service->host, client->unit))
		(void)fast_part(fastpath->fast, facts_of(client)->control_group);
	client_free(client);
}

/* Watches those that the settings name, and no others. */
static void follow_units(struct fastpath *fastpath, const struct config_fastpath *config)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < fastpath->n_clients; i++) {
		if (config_fastpath_has(config, fastpath->clients[i]->unit))
			fastpath->clients[kept++] = fastpath->clients[i];
		else
			unwatch_unit(fastpath->clients[i]);
	}
	fastpath->n_clients = kept;
	for (unsigned i = 0; i < config->n_units; i++)
		if (!find(fastpath, config->units[i]))
			watch_unit(fastpath, config->units[i]);
}

static void follow_each(struct fastpath *fastpath)
{
	for (unsigned i = 0; i < fastpath->n_clients; i++)
		follow_unit(fastpath->clients[i]);
}

/* ---- the kernel side ---- */

static void tell(struct fastpath *fastpath, const struct problem *problem)
{
	struct journal_scope scope = {fastpath->service->name, -1, LOG_WARNING};

	if (problem->text[0] && strcmp(problem->text, fastpath->problem.text))
		journal_log(JOURNAL_PROBLEM, &scope, "%s: connections of From= go by TCP: %s",
			    fastpath->service->name, problem->text);
	fastpath->problem = *problem;
}

/* Where it listens by TCP, each once. */
static size_t list_ports(const struct service *service, uint16_t ports[PLANE_LISTENERS_MAX])
{
	size_t n, n_ports = 0;
	struct listener **listeners = plane_listeners(service->plane, &n);

	for (size_t i = 0; i < n; i++) {
		size_t k = 0;

		while (k < n_ports && ports[k] != listeners[i]->address.port)
			k++;
		if (!listeners[i]->address.udp && k == n_ports)
			ports[n_ports++] = listeners[i]->address.port;
	}
	return n_ports;
}

static int allow(struct fastpath *fastpath, struct problem *problem)
{
	const struct config_fastpath *config = &fastpath->service->config.fastpath;
	const char *units[CONFIG_FASTPATH_UNITS_MAX];
	uint16_t ports[PLANE_LISTENERS_MAX];
	struct fast_service allowed = {
		.service_id = plane_id(fastpath->service->plane),
		.units = units,
		.n_units = config->n_units,
		.ports = ports,
		.n_ports = list_ports(fastpath->service, ports),
	};

	for (unsigned i = 0; i < config->n_units; i++)
		units[i] = config->units[i];
	return fast_allow(fastpath->fast, &allowed, problem);
}

/* One of the service's own is enough: a connection may come to any of them. `ret_any`: it has a
 * process by which to judge. */
static bool is_kept_off(const struct fastpath *fastpath, bool *ret_any, struct problem *problem)
{
	const struct service *service = fastpath->service;

	*ret_any = false;
	for (unsigned slot = 0; slot < service->n_slots; slot++) {
		const struct unit_facts *facts = instance_facts(service->instances[slot]);

		if (!facts || !has_processes(facts))
			continue;
		*ret_any = true;
		if (fast_keeps_off(facts->control_group, problem))
			return true;
	}
	if (trial.splice || fast_servers_splice(fastpath->servers) <= 0)
		return false;
	problem_set(problem, 0, "the service's program is " MADE_WITH_GO);
	return true;
}

/* What an hsd before has opened stays as it is until there is an instance to judge by. */
static int open_or_close(struct fastpath *fastpath, struct problem *problem)
{
	bool any;
	int r;

	if (trial.refuses)
		return problem_set(problem, -EOPNOTSUPP, "%s", trial.sentence.text);
	if (is_kept_off(fastpath, &any, problem)) {
		fastpath->fast = fast_free(fastpath->fast);
		r = fast_remove(plane_id(fastpath->service->plane));
		return r == -EBUSY ? r : -EOPNOTSUPP;
	}
	if (fastpath->fast)
		return 0;
	if (!any)
		return problem_set(problem, -EAGAIN,
				   "no instance runs; it is opened when one has been looked at");
	if (!trial.splice && fast_servers_splice(fastpath->servers) < 0)
		return problem_set(problem, -EAGAIN, "an instance's program is being looked at");
	return fast_open(&fastpath->fast, problem);
}

/* -EBUSY: another process has the lock. */
static int open_and_allow(struct fastpath *fastpath)
{
	struct problem problem = {0};
	int r = open_or_close(fastpath, &problem);

	if (r == -EAGAIN) {
		fastpath->problem = problem;
		return 0;
	}
	if (!r)
		r = allow(fastpath, &problem);
	if (r == -EBUSY) {
		fastpath->problem = problem;
		return r;
	}
	tell(fastpath, &problem);
	/* what passes is tried again with the rest of the service */
	fastpath->service->lacking |= r == -ENOMEM || r == -EMFILE;
	return 0;
}

static void forget_test(void)
{
	trial.source = sd_event_source_disable_unref(trial.source);
	trial.test = selftest_free(trial.test);
}

/* hsd may make no network namespace, so what is vital about two of them is left to enable and
 * doctor to try. */
static void judge(const struct ability_result *results)
{
	struct ability_result tried[FAST_ABILITY_COUNT];
	struct utsname name = {0};

	(void)uname(&name);
	memcpy(tried, results, sizeof(tried));
	tried[FAST_NAMESPACES].verdict = ABILITY_WORKS;
	trial.splice = tried[FAST_SPLICE].verdict == ABILITY_WORKS;
	trial.refuses = fast_ability_refuses(tried, name.release, &trial.sentence);
	trial.known = true;
}

static void await_trial(struct fastpath *fastpath);

/* Also what an hsd before has left. */
static int try_to_apply(void *userdata, enum later_try try)
{
	struct service *service = userdata;

	if (try == LATER_DROP)
		return 0;
	if (!service->fastpath)
		return fast_remove(plane_id(service->plane));
	if (trial.known)
		return open_and_allow(service->fastpath);
	await_trial(service->fastpath);
	return 0;
}

static void apply(struct service *service)
{
	later_do(service, USEC_INFINITY, try_to_apply, service);
}

/* What is known now may be what it has waited for. */
static void go_on(struct service *service)
{
	apply(service);
	follow_each(service->fastpath);
	service_changed(service);
}

static int on_tested(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	size_t n;
	struct service *const *services = host_services(trial.host, &n);

	(void)source;
	(void)fd;
	(void)events;
	(void)userdata;
	judge(selftest_finish(trial.test, 0));
	forget_test();
	for (size_t i = 0; i < n; i++)
		if (services[i] && services[i]->fastpath)
			go_on(services[i]);
	return 0;
}

/* By doing, in a process of its own: nobody waits for it. */
static int begin_trial(const struct host *host)
{
	int r = selftest_fast_start(
		(fast_ability_vital() | 1U << FAST_SPLICE) & ~(1U << FAST_NAMESPACES), &trial.test);

	if (!r)
		r = sd_event_add_io(host->event, &trial.source, selftest_fd(trial.test), EPOLLIN,
				    on_tested, NULL);
	trial.host = host;
	if (r < 0)
		forget_test();
	return MIN(r, 0);
}

static void await_trial(struct fastpath *fastpath)
{
	int r = trial.test ? 0 : begin_trial(fastpath->service->host);
	struct problem problem = {0};

	if (!r) {
		problem_set(&fastpath->problem, 0, "it is being tried out on this kernel");
		return;
	}
	problem_set(&problem, r, "it cannot be tried out on this kernel: %s", strerror(-r));
	tell(fastpath, &problem);
	fastpath->service->lacking = true;
}

static struct fastpath *fastpath_new(struct service *service)
{
	struct fastpath *fastpath = calloc(1, sizeof(*fastpath));

	if (!fastpath)
		return NULL;
	fastpath->servers = fast_servers_new(service, go_on);
	if (!fastpath->servers) {
		free(fastpath);
		return NULL;
	}
	fastpath->service = service;
	trial.services++;
	return fastpath;
}

struct fastpath *fastpath_free(struct fastpath *fastpath)
{
	if (!fastpath)
		return NULL;
	for (unsigned i = 0; i < fastpath->n_clients; i++)
		client_free(fastpath->clients[i]);
	if (!--trial.services)
		forget_test();
	fast_servers_free(fastpath->servers);
	fast_free(fastpath->fast);
	free(fastpath);
	return NULL;
}

static void take_away(struct service *service)
{
	if (service->fastpath)
		follow_units(service->fastpath, &service->config.fastpath);
	service->fastpath = fastpath_free(service->fastpath);
	apply(service);
}

void fastpath_follow(struct service *service)
{
	const struct config_fastpath *config = &service->config.fastpath;

	if (!service->plane || !host_has(service->host, HOST_TENDS))
		return;
	if (!config->n_units) {
		take_away(service);
		return;
	}
	if (!service->fastpath)
		service->fastpath = fastpath_new(service);
	if (!service->fastpath)
		return;
	apply(service);
	follow_units(service->fastpath, config);
	follow_each(service->fastpath);
}

void fastpath_heard(struct service *service, const struct event *event)
{
	(void)event;
	if (!service->fastpath)
		return;
	apply(service);
	follow_each(service->fastpath);
}

/* ---- what is told ---- */

void fastpath_describe(const struct service *service, json_object *object)
{
	const struct config_fastpath *config = &service->config.fastpath;
	const struct fastpath *fastpath = service->fastpath;
	struct fastpath_report report = {.problem = fastpath ? fastpath->problem.text : "",
					 .n_units = config->n_units};

	if (!config->n_units || !service->plane)
		return;
	for (unsigned i = 0; i < config->n_units; i++) {
		const struct client *client = find(fastpath, config->units[i]);

		report.units[i] = (struct fastpath_unit) {
			.name = config->units[i],
			.known = client,
			.joined = client && client->joined && !client->elsewhere,
			.problem = client ? reason(client) : "",
		};
	}
	fastpath_report_add(&report, plane_id(service->plane), object);
}
