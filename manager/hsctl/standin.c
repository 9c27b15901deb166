// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsctl/standin.h"

#include <string.h>

#include "hsctl/direct.h"
#include "plane/bpf/accounting.h"
#include "plane/kernel/netns.h"
#include "service/change/run.h"
#include "service/keep/nudging.h"
#include "service/slot/instance.h"
#include "service/slot/retirement.h"
#include "service/slot/roles.h"
#include "service/slot/states.h"
#include "service/whole/assembly.h"
#include "service/workers.h"
#include "system/journal.h"
#include "util/clock.h"
#include "util/macro.h"

/* How often a change looks at its slots: nobody tells us of their sockets. */
#define LOOK_EVERY (20 * USEC_PER_MSEC)
/* How long those who are told their role may take: what is queued is accepted, and then units that
 * are started then come up. */
#define ROLES_TIME (3 * USEC_PER_SEC)

struct standin {
	struct host host;
	struct workers *workers; /* NULL: nothing was ordered yet */
	struct service **services;
	size_t n;
	sd_event_source *look;
	uint64_t next_revisit;
	bool nudge;
	struct request request;
	struct reply *reply; /* NULL: nothing is asked, or it was answered */
	int (*on_progress)(const char *json, void *userdata);
	void *userdata;
};

static struct standin *of(const struct host *host)
{
	return container_of(host, struct standin, host);
}

/* ---- the host ---- */

static void on_released(const char *service, unsigned slot, void *userdata)
{
	(void)service;
	(void)slot;
	(void)userdata;
}

static int need_workers(struct standin *standin)
{
	int host_fd, r;

	if (standin->workers)
		return 0;
	r = work_host_new(false, standin->host.until, &host_fd);
	return r < 0 ? r
		     : workers_new(standin->host.event, host_fd, on_released, standin,
				   &standin->workers);
}

static int order(const struct host *host, const struct work_order *work_order, const int *fds,
		 size_t n_fds, const struct work *work, struct work **ret_work)
{
	struct standin *standin = of(host);
	int r = need_workers(standin);

	if (r < 0)
		return r;
	return workers_order(standin->workers, work_order, fds, n_fds, work, ret_work);
}

static unsigned busy(const struct host *host)
{
	const struct standin *standin = of(host);

	return standin->workers ? workers_busy(standin->workers) : 0;
}

static void changed(const struct service *service)
{
	(void)service;
}

static void progress(const struct service *service, const char *json)
{
	const struct standin *standin = of(service->host);

	if (standin->on_progress)
		standin->on_progress(json, standin->userdata);
}

static struct service *const *services(const struct host *host, size_t *ret_n)
{
	*ret_n = of(host)->n;
	return of(host)->services;
}

static const struct host_ops host_ops = {
	.order = order,
	.busy = busy,
	.changed = changed,
	.progress = progress,
	.services = services,
};

/* ---- the request ---- */

static struct reply *take_reply(struct request *request)
{
	struct standin *standin = container_of(request, struct standin, request);

	return steal_ptr(&standin->reply);
}

static void on_done(struct request *request, const char *json, int fd)
{
	struct reply *reply = take_reply(request);

	(void)fd;
	if (!reply)
		return;
	reply->text = json ? strdup(json) : NULL;
	reply->exit = EXIT_DONE;
}

static void on_fail(struct request *request, enum request_failure failure, const char *sentence)
{
	static const int exits[REQUEST_FAILURE_COUNT] = {
		[REQUEST_REFUSED] = EXIT_REFUSED,   [REQUEST_UNDONE] = EXIT_UNDONE,
		[REQUEST_NO_SERVICE] = EXIT_FAILED, [REQUEST_INVALID] = EXIT_FAILED,
		[REQUEST_FAILED] = EXIT_FAILED,	    [REQUEST_LEFT] = EXIT_FAILED,
		[REQUEST_DENIED] = EXIT_FAILED,
	};
	struct reply *reply = take_reply(request);

	if (reply)
		reply_fail(reply, exits[failure], "%s", sentence);
}

static void on_actor(const struct request *request, struct journal_actor *ret_actor)
{
	(void)request;
	journal_own_actor(ret_actor);
}

/* Only root comes so far. */
static bool is_root(const struct request *request)
{
	(void)request;
	return true;
}

static const struct request_ops request_ops = {
	.done = on_done,
	.fail = on_fail,
	.actor = on_actor,
	.may_see = is_root,
	.is_root = is_root,
};

struct request *standin_ask(struct standin *standin, struct reply *reply)
{
	standin->reply = reply;
	standin->request.ops = &request_ops;
	return &standin->request;
}

void standin_on_progress(struct standin *standin, int (*on_progress)(const char *, void *),
			 void *userdata)
{
	standin->on_progress = on_progress;
	standin->userdata = userdata;
}

/* ---- the loop ---- */

static int on_look(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct standin *standin = userdata;

	for (size_t i = 0; i < standin->n; i++) {
		run_look(standin->services[i]->runs[SERVICE_CHANGE]);
		retirement_look(standin->services[i]);
	}
	sd_event_source_set_time(source, usec + LOOK_EVERY);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static void run_once(struct standin *standin, uint64_t deadline)
{
	uint64_t now = now_usec();

	sd_event_run(standin->host.event,
		     deadline == USEC_INFINITY ? UINT64_MAX : deadline - MIN(now, deadline));
}

bool standin_wait(struct standin *standin, const volatile sig_atomic_t *interrupted,
		  uint64_t deadline)
{
	while (standin->reply && !(interrupted && *interrupted) && now_usec() < deadline)
		run_once(standin, deadline);
	return !standin->reply;
}

static bool is_at_it(const struct standin *standin)
{
	bool hears = false;

	for (size_t i = 0; i < standin->n; i++)
		hears |= standin->services[i]->events.n ||
			 nudging_waits(standin->services[i]->nudging);
	return hears;
}

static bool is_telling(const struct service *service)
{
	bool telling = false;

	for (unsigned i = 0; i < service->n_slots; i++)
		telling |= roles_telling(service->roles, i);
	return telling;
}

/* What is told is the start of a unit, perhaps, and that one waits for the unit whose hook we are.
 */
static bool is_told(const struct standin *standin)
{
	const struct service *service = standin_service(standin);

	return standin->host.until ? !is_telling(service) : roles_rest(service->roles);
}

void standin_settle(struct standin *standin)
{
	struct service *service = standin_service(standin);
	uint64_t deadline = standin->host.until ?: USEC_INFINITY;

	/* each ends, or is given up */
	while ((host_busy(&standin->host) || is_at_it(standin)) && now_usec() < deadline)
		run_once(standin, deadline);
	deadline = MIN(deadline, now_usec() + ROLES_TIME);
	/* of a change that was not waited for, or of no change */
	if (service->runs[SERVICE_CHANGE] || standin->host.until)
		roles_hurry(service->roles);
	while (!is_told(standin) && now_usec() < deadline)
		run_once(standin, deadline);
}

static bool has_been_told(const struct service *service)
{
	for (unsigned i = 0; i < service->n_slots; i++)
		if (!service->instances[i]->known && !service->instances[i]->silence)
			return false;
	return true;
}

static bool all_have_been_told(const struct standin *standin)
{
	for (size_t i = 0; i < standin->n; i++)
		if (!has_been_told(standin->services[i]))
			return false;
	return true;
}

void standin_await_facts(struct standin *standin, uint64_t patience_usec)
{
	uint64_t deadline = now_usec() + patience_usec;

	while (standin->host.bus && !all_have_been_told(standin) && now_usec() < deadline)
		run_once(standin, deadline);
	if (!all_have_been_told(standin))
		direct_give_systemd_up();
	/* what they have told is heard before anything is asked */
	while (is_at_it(standin))
		run_once(standin, deadline);
}

/* ---- beginning and end ---- */

static int open_loop(struct standin *standin)
{
	struct host *host = &standin->host;
	int r = sd_event_new(&host->event);

	if (r < 0)
		return r;
	host->bus = direct_systemd();
	if (host->bus)
		r = sd_bus_attach_event(host->bus, host->event, SD_EVENT_PRIORITY_NORMAL);
	if (r >= 0)
		r = sd_event_add_time_relative(host->event, &standin->look, CLOCK_MONOTONIC,
					       LOOK_EVERY, USEC_PER_MSEC, on_look, standin);
	return MIN(r, 0);
}

int standin_add(struct standin *standin, const char *name, struct service **ret_service)
{
	struct service **more = reallocarray(standin->services, standin->n + 1, sizeof(*more));
	int r;

	if (!more)
		return -ENOMEM;
	standin->services = more;
	r = service_new(&standin->host, name, &more[standin->n]);
	if (r < 0)
		return r;
	*ret_service = more[standin->n++];
	return 0;
}

/* It does with what there is. */
static void enter_and_make(struct host *host)
{
	struct problem problem = {0};

	if (netns_join_init() < 0)
		complain("the network namespace of PID 1 cannot be entered: %m");
	if (accounting_open(&host->accounting, &problem) < 0)
		complain("connections are not counted: %s", problem.text);
}

static int open_standin(const struct host *like, struct standin **ret_standin,
			struct problem *problem)
{
	_cleanup_(standin_freep) struct standin *standin = calloc(1, sizeof(*standin));
	int r = 0;

	if (!standin)
		return problem_set(problem, -ENOMEM, "out of memory");
	standin->nudge = true;
	standin->host = *like;
	standin->host.ops = &host_ops;
	standin->host.nudge = &standin->nudge;
	standin->host.next_revisit = &standin->next_revisit;
	if (host_has(&standin->host, HOST_MAKES))
		enter_and_make(&standin->host);
	else
		r = direct_enter(&standin->host.accounting, problem);
	if (r < 0)
		return r;
	r = open_loop(standin);
	if (r < 0)
		return problem_set(problem, r, "cannot make ready: %s", strerror(-r));
	*ret_standin = steal_ptr(&standin);
	return 0;
}

int standin_open(struct standin **ret_standin, struct problem *problem)
{
	struct host looks = {0};

	return open_standin(&looks, ret_standin, problem);
}

int standin_open_hook(uint64_t until, bool resumes, struct standin **ret_standin,
		      struct problem *problem)
{
	struct host makes = {.parts = HOST_MAKES, .until = until, .resumes = resumes};

	return open_standin(&makes, ret_standin, problem);
}

static int begin(const char *name, struct standin **ret_standin, struct problem *problem)
{
	_cleanup_(standin_freep) struct standin *standin = NULL;
	struct service *service;
	int r = standin_open(&standin, problem);

	if (r < 0)
		return r;
	r = standin_add(standin, name, &service);
	if (r < 0)
		return problem_set(problem, r, "%s cannot be taken up: %s", name, strerror(-r));
	if (!service->plane)
		return problem_set(problem, -ENOENT, "%s", service->problem.text);
	standin_await_facts(standin, STANDIN_PATIENCE);
	*ret_standin = steal_ptr(&standin);
	return 0;
}

struct standin *standin_new(const char *service, struct reply *ret_reply)
{
	struct standin *standin = NULL;
	struct problem problem = {0};

	*ret_reply = (struct reply) {0};
	if (begin(service, &standin, &problem) < 0)
		reply_fail(ret_reply, EXIT_FAILED, "%s", problem.text);
	return standin;
}

struct standin *standin_free(struct standin *standin)
{
	if (!standin)
		return NULL;
	standin->reply = NULL;
	for (size_t i = 0; i < standin->n; i++)
		service_free(standin->services[i]);
	free(standin->services);
	sd_event_source_disable_unref(standin->look);
	workers_free(standin->workers);
	accounting_free(standin->host.accounting);
	/* one that has never answered would be waited for */
	if (standin->host.bus && sd_bus_is_ready(standin->host.bus) > 0)
		sd_bus_flush(standin->host.bus);
	sd_bus_close_unref(standin->host.bus);
	sd_event_unref(standin->host.event);
	free(standin);
	return NULL;
}

struct service *standin_service(const struct standin *standin)
{
	return standin->services[0];
}

struct service *const *standin_services(const struct standin *standin, size_t *ret_n)
{
	return services(&standin->host, ret_n);
}
