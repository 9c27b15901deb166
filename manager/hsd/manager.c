// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsd/manager.h"

#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "core/contract.h"
#include "hsd/bus_dispatch.h"
#include "hsd/bus_manager.h"
#include "hsd/bus_methods.h"
#include "hsd/callers.h"
#include "hsd/door.h"
#include "hsd/hosting.h"
#include "hsd/listens.h"
#include "hsd/polkit.h"
#include "hsd/services.h"
#include "hsd/state.h"
#include "plane/act/force.h"
#include "plane/bpf/accounting.h"
#include "plane/bpf/pins.h"
#include "service/slot/adoption.h"
#include "service/slot/instance.h"
#include "service/slot/netns_stock.h"
#include "service/slot/roles.h"
#include "service/watch/filewatch.h"
#include "service/watch/foreign_watch.h"
#include "service/watch/hang.h"
#include "service/watch/outdated_watch.h"
#include "service/whole/exec_run.h"
#include "service/workers.h"
#include "system/fdstore.h"
#include "system/journal.h"
#include "system/probe/prober.h"
#include "system/unit/scope.h"
#include "util/clock.h"
#include "util/macro.h"

/* How often it is looked whether all services have what the hsd before has left for them. */
#define SETTLE_USEC (1 * USEC_PER_SEC)

DEFINE_CLEANUP(struct manager, manager_free)

/* ---- roles ---- */

/* Whatever has changed which slot is active, it was an event. */
static int on_any_event(sd_event_source *source, void *userdata)
{
	struct manager *manager = userdata;

	(void)source;
	for (size_t i = 0; i < manager->n_services; i++)
		roles_look(manager->services[i]->roles);
	return 0;
}

/* ---- the whole ---- */

/* A connection of its own for what others ask: however much that is, what systemd answers does not
 * wait behind it, and nothing else here does. */
#define API_PRIORITY (SD_EVENT_PRIORITY_NORMAL + 10)

static int connect_bus(sd_event *event, int64_t priority, sd_bus **ret_bus)
{
	int r = sd_bus_open_system(ret_bus);

	if (r >= 0)
		/* without the bus there is nobody to serve: systemd starts us anew, traffic goes on
		 */
		r = sd_bus_set_exit_on_disconnect(*ret_bus, true);
	return r < 0 ? r : sd_bus_attach_event(*ret_bus, event, (int)priority);
}

static void on_scope_ended(void *userdata)
{
	struct manager *manager = userdata;

	for (size_t i = 0; i < manager->n_services; i++)
		exec_run_sweep(manager->services[i]);
}

static const struct callers_ops callers_ops = {
	.is_ours = bus_is_ours,
	.length = bus_length,
	.dispatch = bus_dispatch,
};

static int open_bus(struct manager *manager, struct problem *problem)
{
	struct host *host = &manager->host;
	int r = connect_bus(host->event, SD_EVENT_PRIORITY_NORMAL, &host->bus);

	if (r >= 0)
		r = connect_bus(host->event, API_PRIORITY, &manager->api);
	if (r >= 0)
		r = callers_new(manager->api, host->bus, &callers_ops, manager, &manager->callers);
	if (r >= 0)
		r = polkit_new(host->bus, bus_dispatch_asked, manager, &manager->polkit);
	if (r >= 0)
		r = scope_watch_new(host->bus, on_scope_ended, manager, &manager->scopes);
	if (r < 0)
		return problem_set(problem, r, "cannot use the system bus: %s", strerror(-r));
	return 0;
}

/* The last to open: whoever comes in finds everything there. */
static void open_door(struct manager *manager)
{
	struct journal_scope scope = {NULL, -1, LOG_WARNING};
	struct problem problem = {0};
	int r = door_open(manager->host.event, bus_publish_at_door, manager, &manager->door,
			  &problem);

	if (r < 0)
		journal_log(JOURNAL_PROBLEM, &scope, "%s", problem.text);
}

static int open_accounting(struct manager *manager, struct problem *problem)
{
	struct journal_scope scope = {NULL, -1, LOG_WARNING};
	struct problem *why = &manager->accounting_problem;
	int r = accounting_open(&manager->host.accounting, why);

	/* pins of an earlier release are taken over as a whole, or another time */
	if (r == -ETXTBSY)
		return problem_set(problem, r, "%s", why->text);
	if (r < 0) {
		journal_log(JOURNAL_PROBLEM, &scope,
			    "connections are not counted and late listeners not noticed: %s",
			    why->text);
		return 0;
	}
	/* so that hangs are found and services described without a question to sock_diag */
	accounting_load_queues(manager->host.accounting);
	/* before they are taken up, when each would go through all control groups by itself */
	force_renew();
	return 0;
}

static bool all_are_open(const struct manager *manager)
{
	for (size_t i = 0; i < manager->n_services; i++)
		if (!service_is_open(manager->services[i]))
			return false;
	return !manager->n_missing;
}

/* What is left when each service has taken what is its own belongs to none. As long as one could
 * not be opened it may be that one's: connections wait there. */
static int on_settle(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct journal_scope scope = {NULL, -1, LOG_NOTICE};
	struct manager *manager = userdata;
	unsigned dropped;

	if (!all_are_open(manager)) {
		sd_event_source_set_time(source, usec + SETTLE_USEC);
		return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
	}
	manager->settle_source = sd_event_source_disable_unref(source);
	dropped = fdstore_drop_rest(manager->host.fdstore);
	if (dropped)
		journal_log(JOURNAL_PARK, &scope,
			    "%u sockets in systemd's store belong to no service any more and were "
			    "closed",
			    dropped);
	manager->host.fdstore = fdstore_free(manager->host.fdstore);
	return 0;
}

/* Takes up the services, and with them the sockets that the hsd before has left. */
static int load(struct manager *manager)
{
	int r = fdstore_open(&manager->host.fdstore);

	if (r >= 0)
		r = services_reload(manager);
	if (r >= 0)
		r = sd_event_add_time(manager->host.event, &manager->settle_source, CLOCK_MONOTONIC,
				      0, 0, on_settle, manager);
	return r;
}

static int explain_name(int error, struct problem *problem)
{
	static const char cannot[] = "cannot get the name " BUS_NAME " on the system bus";

	if (error == -EEXIST)
		return problem_set(problem, error, "%s: another hsd is running", cannot);
	if (error != -EACCES && error != -EPERM)
		return problem_set(problem, error, "%s: %s", cannot, strerror(-error));
	if (geteuid())
		return problem_set(problem, error, "%s: only root may have it; run: %s", cannot,
				   "systemctl start hsd");
	return problem_set(problem, error,
			   "%s: the bus's policy does not allow it, so the bus has not read "
			   "org.hotstandby1.conf, which \"make install\" puts into a folder "
			   "dbus-1/system.d; run: systemctl reload dbus",
			   cannot);
}

/* It was given up because of a lock that is not held any more. */
static void on_released(const char *service, unsigned slot, void *userdata)
{
	const struct service *found = manager_find(userdata, service);

	if (found && slot < found->n_slots)
		adoption_retry(found->instances[slot]);
}

/* All that services stand on. */
static int open_context(struct manager *manager, const struct manager_options *options,
			struct problem *problem)
{
	struct host *host = &manager->host;
	sd_event *event = host->event;
	int r = workers_new(event, options->work_host, on_released, manager, &manager->workers);

	if (r < 0)
		return problem_set(problem, r, "cannot make ready for work: %s", strerror(-r));
	netns_stock_begin(host);
	r = open_bus(manager, problem);
	if (r < 0)
		return r;
	r = open_accounting(manager, problem);
	if (r < 0)
		return r;
	if (hang_watch_new(event, &host->hangs) < 0)
		return problem_set(problem, -ENOMEM, "cannot watch for hangs: no memory");
	r = prober_new(event, host->bus, &host->prober);
	if (r < 0)
		return problem_set(problem, r, "cannot make ready for probes: %s", strerror(-r));
	if (filewatch_new(event, &host->filewatch) < 0)
		host->filewatch = NULL;
	/* nothing but what is told to people depends on it */
	if (!host->filewatch || outdated_watch_new(host, &host->outdated) < 0)
		host->outdated = NULL;
	/* without a test they are woken in any case */
	nudging_test_new(event, options->nudging, &manager->nudge, &manager->nudging_test);
	return 0;
}

static int open_watches(struct manager *manager, struct problem *problem)
{
	int r = listens_new(manager, &manager->listens);

	if (r < 0)
		return problem_set(problem, r, "cannot watch for listening sockets: %s",
				   strerror(-r));
	r = sd_event_add_post(manager->host.event, &manager->roles_source, on_any_event, manager);
	if (r < 0)
		return problem_set(problem, r, "cannot watch which slots are active: %s",
				   strerror(-r));
	return 0;
}

int manager_new(sd_event *event, const struct manager_options *options,
		struct manager **ret_manager, struct problem *problem)
{
	_cleanup_(manager_freep) struct manager *manager = calloc(1, sizeof(*manager));
	int r;

	if (!manager) {
		close_fd(options->work_host);
		return -ENOMEM;
	}
	manager->host.ops = &hosting_ops;
	manager->host.parts = HOST_ALL;
	manager->host.debug = options->debug ? hosting_debug : NULL;
	manager->host.event = event;
	manager->host.nudge = &manager->nudge;
	manager->host.next_revisit = &manager->next_revisit;
	manager->started_usec = now_real_usec();
	r = open_context(manager, options, problem);
	/* accounting, without which little can be done, was worth a wait. From here on the loop
	 * stands still for nobody's lock: see service/later.h */
	pins_set_waiting(false);
	if (!r)
		r = open_watches(manager, problem);
	if (r < 0)
		return r;
	r = load(manager);
	if (r < 0)
		return problem_set(problem, r, "cannot read the settings: %s", strerror(-r));
	r = bus_publish_manager(manager);
	if (r < 0)
		return explain_name(r, problem);
	open_door(manager);
	*ret_manager = steal_ptr(&manager);
	return 0;
}

struct manager *manager_free(struct manager *manager)
{
	bool unused;

	if (!manager)
		return NULL;
	unused = !manager->n_services;

	manager->door = door_close(manager->door);
	polkit_free(manager->polkit);
	callers_free(manager->callers);
	sd_bus_slot_unref(manager->bus_object);
	scope_watch_free(manager->scopes);
	sd_event_source_disable_unref(manager->roles_source);
	sd_event_source_disable_unref(manager->settle_source);
	sd_event_source_disable_unref(manager->missing_source);
	outdated_watch_free(manager->host.outdated);
	services_free(manager);
	fdstore_free(manager->host.fdstore);
	filewatch_free(manager->host.filewatch);
	listens_free(manager->listens);
	hang_watch_free(manager->host.hangs);
	prober_free(manager->host.prober);
	netns_stock_done();
	workers_free(manager->workers);
	nudging_test_free(manager->nudging_test);
	accounting_free(manager->host.accounting);
	pins_set_waiting(true);
	/* with services, pins outlive us on purpose */
	if (unused)
		accounting_drop_unused();
	sd_bus_flush_close_unref(manager->api);
	sd_bus_flush_close_unref(manager->host.bus);
	free(manager);
	return NULL;
}
