// SPDX-License-Identifier: GPL-2.0-or-later
#include "service/slot/lifecycle.h"

#include <inttypes.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <syslog.h>

#include "plane/act/retire.h"
#include "plane/kernel/cgroup.h"
#include "service/rules.h"
#include "service/slot/adoption.h"
#include "service/slot/filtering.h"
#include "service/slot/front_facts.h"
#include "service/slot/ownership.h"
#include "service/slot/preparation.h"
#include "service/slot/reaching.h"
#include "service/slot/restart.h"
#include "service/slot/retirement.h"
#include "service/slot/states.h"
#include "system/journal.h"
#include "util/clock.h"
#include "util/macro.h"

/* Of those that serve already when hsd starts one is adopted in this time, unless so much is to be
 * done as it is. */
#define REVISIT_EVERY (20 * USEC_PER_MSEC)
#define REVISITS_MAX  2

DEFINE_CLEANUP(struct instance, instance_free)

/* ---- the main process ---- */

static void unwatch_main(struct instance *instance)
{
	instance->exit_source = sd_event_source_disable_unref(instance->exit_source);
	instance->watched_pid = 0;
}

static void tell_crash(struct instance *instance, const struct unit_facts *facts)
{
	struct journal_scope scope = instance_scope(instance, LOG_WARNING);
	char how[ENDING_TEXT_MAX];

	instance->crash_seen = false;
	if (instance->crash_told)
		return;
	instance->crash_told = true;
	ending_describe(&facts->ending, how);
	journal_log(JOURNAL_CRASH, &scope,
		    "%s: the instance of slot %u ended by itself%s%s%s; see journalctl -u %s",
		    instance->service->name, instance->slot, how[0] ? " (" : "", how,
		    how[0] ? ")" : "", instance->unit);
}

/* Its end was seen before systemd had told how it ended. */
static void tell_seen_crash(struct instance *instance, const struct unit_facts *facts)
{
	if (instance->crash_seen && (facts->ending.code || !instance_is_up(facts->state)))
		tell_crash(instance, facts);
}

static int on_main_exit(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct instance *instance = userdata;
	struct service *service = instance->service;

	(void)source;
	(void)fd;
	(void)events;
	instance->ended_pid = instance->watched_pid;
	unwatch_main(instance);
	/* systemd's news follow; where other processes still hold the sockets they decide */
	unit_watch_refresh(instance->watch);
	/* but not at paths: systemd ends those processes in a moment, and what waits there then is
	 * lost, for the kernel moves none of it */
	if (service->plane && host_has(service->host, HOST_TENDS))
		paths_set_aside(plane_paths(service->plane), instance->slot);
	if (!service->plane || plane_slot_sockets(service->plane, instance->slot))
		return 0;
	if (!instance_is_retired(instance) && instance_facts(instance)->state != UNIT_STOPPING)
		instance->crash_seen = true;
	service_post(service, EVENT_LOST, instance->slot, false);
	return 0;
}

/* The number is the bus's word, and old: it may be another process's by now. */
static int open_main(const struct instance *instance, pid_t pid)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);

	if (fd >= 0 && !cgroup_has_process(instance_facts(instance)->control_group, pid))
		fd = close_fd(fd);
	return fd;
}

static void watch_main(struct instance *instance, pid_t pid)
{
	int fd;

	if (pid == instance->watched_pid)
		return;
	unwatch_main(instance);
	fd = pid > 0 ? open_main(instance, pid) : -1;
	if (fd < 0)
		return;
	if (sd_event_add_io(instance->service->host->event, &instance->exit_source, fd, EPOLLIN,
			    on_main_exit, instance) < 0) {
		close_fd(fd);
		return;
	}
	sd_event_source_set_io_fd_own(instance->exit_source, true);
	instance->watched_pid = pid;
	instance->ended_pid = 0;
}

/* ---- the unit ---- */

/* Nobody serves its sockets, who has them still: systemd for the next run
 * (FileDescriptorStoreMax=), or a process that is left. New connections leave; what waits there is
 * the next run's. */
static void abandon(struct instance *instance)
{
	struct plane *plane = instance->service->plane;
	bool was_retired = plane_is_retired(plane, instance->slot);
	unsigned to;

	if (retire_leave(plane, instance->slot, ~0U, &to) == RETIRE_LAST)
		retire_park(plane, instance->slot);
	/* it was not asked to go */
	plane_set_retired(plane, instance->slot, was_retired);
}

static void on_down(struct instance *instance, const struct unit_facts *facts)
{
	struct service *service = instance->service;
	bool same_run = !strcmp(instance->adopted_run, facts->invocation);

	if (facts->state != UNIT_STARTING)
		ownership_ended(instance);
	if (facts->state == UNIT_FAILED)
		preparation_explain_failure(instance);
	if (!service->plane)
		return;
	/* that was about the instance, not its slot */
	plane_set_drained(service->plane, instance->slot, false);
	/* the way to it, for the commands that stopped it */
	if (plane_has_preview(service->plane))
		rules_sweep(service);
	if (facts->state != UNIT_STOPPING && plane_slot_sockets(service->plane, instance->slot))
		abandon(instance);
	if (!plane_slot_sockets(service->plane, instance->slot))
		service_post(service, EVENT_LOST, instance->slot, false);
	if ((instance_is_retired(instance) && !instance->unasked) || !facts->was_active)
		return;
	/* with Restart= systemd goes from its end to the next start; without, it has failed */
	if (facts->state == UNIT_FAILED || (facts->state == UNIT_STARTING && same_run))
		tell_crash(instance, facts);
	if (facts->state == UNIT_FAILED)
		restart_later(instance);
}

/* With the bus itself gone: our host says that, once, instead of each of hundreds of services. */
static bool is_of_the_bus(int error)
{
	return error == -ENOTCONN || error == -ECONNRESET;
}

/* Told once for all slots, not with every question. */
static void note_silence(struct instance *instance, int error)
{
	struct journal_scope scope = instance_scope(instance, LOG_WARNING);
	const struct service *service = instance->service;
	struct problem sentence;
	bool told = false;

	for (unsigned i = 0; i < service->n_slots; i++)
		told |= service->instances[i]->silence;
	instance->silence = error;
	if (!error || told || is_of_the_bus(error))
		return;
	instance_describe_silence(instance, &sentence);
	journal_log(JOURNAL_PROBLEM, &scope, "%s: slot %u: %s", instance->service->name,
		    instance->slot, sentence.text);
}

/* ---- those that serve already when hsd starts ---- */

static bool may_be_adopted(const struct unit_facts *facts)
{
	/* a job that waits may end this run: its sockets are left to it until it is clear */
	return !(facts->state == UNIT_RUNNING && facts->job_pending && !facts->reloading);
}

static bool revisit_later(struct instance *instance);

static int on_revisit(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct instance *instance = userdata;
	const struct unit_facts *facts = instance_facts(instance);

	(void)usec;
	sd_event_source_disable_unref(source);
	instance->revisit_source = NULL;
	if (facts->state != UNIT_RUNNING || !may_be_adopted(facts) ||
	    instance_is_adopting(instance) || !strcmp(instance->adopted_run, facts->invocation))
		return 0;
	/* what somebody waits for goes first */
	if (host_busy(instance->service->host) < REVISITS_MAX || !revisit_later(instance))
		adoption_start(instance, facts);
	return 0;
}

/* What is in the map is served, whoever put it there. It is adopted again for what may have been
 * opened since, but of hundreds one after the other, so that nobody who asks has to wait. */
static bool revisit_later(struct instance *instance)
{
	const struct host *host = instance->service->host;
	uint64_t due = MAX(now_usec(), *host->next_revisit);

	if (!instance->service->plane || instance->adopters.n ||
	    !plane_slot_sockets(instance->service->plane, instance->slot) ||
	    sd_event_add_time(host->event, &instance->revisit_source, CLOCK_MONOTONIC, due,
			      USEC_PER_MSEC, on_revisit, instance) < 0)
		return false;
	sd_event_source_set_priority(instance->revisit_source, SD_EVENT_PRIORITY_IDLE);
	*host->next_revisit = due + REVISIT_EVERY;
	return true;
}

/* Its main process has ended, and yet the unit runs: as one with ExitType=cgroup, or because
 * another process is the main one now. */
static bool goes_on_without_main(const struct instance *instance, const struct unit_facts *facts)
{
	const struct service *service = instance->service;

	return facts->state == UNIT_RUNNING && facts->main_pid != instance->ended_pid &&
	       service->plane && paths_is_aside(plane_paths(service->plane), instance->slot) &&
	       !instance_is_retired(instance) && !plane_is_suspect(service->plane, instance->slot);
}

/* Its main process may have gone while others hold its sockets and accept nothing: not every such
 * end comes to ExecStop=. */
static void on_unasked(struct instance *instance)
{
	instance->unasked = true;
	if (host_has(instance->service->host, HOST_TENDS) && instance->service->plane &&
	    plane_slot_sockets(instance->service->plane, instance->slot))
		instance_retire(instance, NULL);
}

/* Who ends it: somebody by a job, or it does by itself. */
static void note_end(struct instance *instance, const struct unit_facts *facts)
{
	if (facts->state == UNIT_STOPPING && facts->job_pending)
		instance->asked = true;
	else if (facts->state == UNIT_STOPPING && !instance->unasked)
		on_unasked(instance);
	else if (instance_is_up(facts->state) || facts->state == UNIT_STARTING)
		instance->asked = instance->unasked = false;
}

static void on_unit_changed(const struct unit_facts *facts, int error, void *userdata)
{
	struct instance *instance = userdata;
	bool first = !instance->known;

	(void)facts;
	note_silence(instance, error);
	if (error)
		return;
	instance->known = true;
	service_post(instance->service, EVENT_UNIT_CHANGED, instance->slot, first);
}

/* The hsd before has seen it come, and leave. */
static void take_up_drained(struct instance *instance, const struct unit_facts *facts)
{
	const struct plane *plane = instance->service->plane;

	if (!instance->adopted_run[0] && facts->state == UNIT_RUNNING && plane &&
	    plane_is_drained(plane, instance->slot))
		memcpy(instance->adopted_run, facts->invocation, sizeof(instance->adopted_run));
}

/* What nobody has asked for. */
static void tend(struct instance *instance, const struct unit_facts *facts, bool first)
{
	bool new_run;

	take_up_drained(instance, facts);
	new_run = strcmp(instance->adopted_run, facts->invocation) != 0;
	reaching_follow(instance);
	tell_seen_crash(instance, facts);
	/* a run that nobody announced: hsd was not there, or ExecStartPost= is missing */
	if (facts->state == UNIT_RUNNING && new_run && !(first && revisit_later(instance)))
		instance->adopt_wanted = true;
	if (goes_on_without_main(instance, facts))
		instance->adopt_wanted = true;
}

void lifecycle_heard(struct service *service, const struct event *event)
{
	struct instance *instance = service->instances[event->slot];
	const struct unit_facts *facts = instance_facts(instance);
	bool up = instance_is_up(facts->state), tends = host_has(service->host, HOST_TENDS);
	/* a word of a later systemd may be for one that serves */
	bool said = facts->state != UNIT_UNKNOWN;

	if (service->plane)
		plane_set_cgroup(service->plane, instance->slot, facts->control_group);
	note_end(instance, facts);
	preparation_run(instance, facts);
	if (said)
		watch_main(instance, up ? facts->main_pid : 0);
	if (tends)
		tend(instance, facts, event->anew);
	if (instance->adopt_wanted && !instance_is_adopting(instance) && may_be_adopted(facts))
		adoption_start(instance, facts);
	if (tends)
		restart_check(instance, facts);
	if (tends && said && !up)
		on_down(instance, facts);
}

void instance_reload(struct instance *instance)
{
	char cgroup[CONFIG_CGROUP_MAX] = "";

	(void)config_cgroup(&instance->service->config, instance->slot, cgroup);
	if (instance->watch && strcmp(cgroup, instance->cgroup))
		unit_watch_set_cgroup(instance->watch, cgroup);
	memcpy(instance->cgroup, cgroup, sizeof(cgroup));
}

int instance_new(struct service *service, unsigned slot, struct instance **ret_instance)
{
	_cleanup_(instance_freep) struct instance *instance = calloc(1, sizeof(*instance));
	int r;

	if (!instance)
		return -ENOMEM;
	instance->service = service;
	instance->slot = slot;
	name_unit(service->name, slot, instance->unit, sizeof(instance->unit));
	if (service->host->bus && !service_is_front(service)) {
		r = unit_watch_new(service->host->bus, instance->unit, on_unit_changed, instance,
				   &instance->watch);
		if (r < 0)
			return r;
	}
	instance_reload(instance);
	*ret_instance = steal_ptr(&instance);
	return 0;
}

struct instance *instance_free(struct instance *instance)
{
	if (!instance)
		return NULL;
	unwatch_main(instance);
	sd_event_source_disable_unref(instance->revisit_source);
	sd_event_source_disable_unref(instance->look_source);
	sd_event_source_disable_unref(instance->settle_source);
	sd_event_source_disable_unref(instance->news_source);
	sd_event_source_disable_unref(instance->patience_source);
	sd_event_source_disable_unref(instance->hand_source);
	sd_event_source_disable_unref(instance->restart_source);
	sd_event_source_disable_unref(instance->stop_source);
	unit_job_free(instance->restart_job);
	for (unsigned i = 0; i < INSTANCE_SOCKET_UNITS_MAX; i++)
		unit_job_free(instance->socket_stops[i].job);
	sd_event_source_disable_unref(instance->retry_source);
	work_forget(instance->shed_work);
	work_forget(instance->adopt_work);
	work_forget(instance->look_work);
	work_forget(instance->move_work);
	work_forget(instance->retire_work);
	adoption_free(instance->adoption);
	reaching_done(instance);
	filtering_done(instance);
	ownership_done(instance);
	requests_leave(&instance->preparers);
	requests_leave(&instance->adopters);
	requests_leave(&instance->retirers);
	unit_watch_free(instance->watch);
	free(instance);
	return NULL;
}
