// SPDX-License-Identifier: GPL-2.0-or-later
/* Retirement in steps: leave, settle, move the queue, wait for datagrams to be read; or wait for
 * another slot first. */
#include "service/slot/retirement.h"

#include <string.h>
#include <syslog.h>

#include "plane/act/retire.h"
#include "plane/parts/table.h"
#include "service/slot/orders.h"
#include "service/slot/roles.h"
#include "service/slot/states.h"
#include "util/clock.h"
#include "util/macro.h"

/* How long the last ready slot waits for another before it goes, so that a restart of all instances
 * in one command takes turns. Within the time that ExecStop= may take. */
#define PATIENCE (4 * USEC_PER_SEC)

/* How long datagrams that were received may take to be read, and how often that is looked at. All
 * ends before those who asked lose patience. */
#define READ_TIME  (1 * USEC_PER_SEC)
#define READ_EVERY (5 * USEC_PER_MSEC)
#define READ_LATE  (100 * USEC_PER_MSEC)
#define WHOLE_TIME (4100 * USEC_PER_MSEC)

/* How long after it was ready a server may begin to listen. */
#define LISTEN_TIME (2 * USEC_PER_SEC)
#define SETTLE_MAX  (3 * USEC_PER_SEC)
/* What is left for moving the queue, whatever was waited for. */
#define MOVE_TIME (200 * USEC_PER_MSEC)

static void end_retirement(struct instance *instance)
{
	struct service *service = instance->service;
	struct journal_scope scope = instance_scope(instance, LOG_INFO);
	struct problem sentence;

	if (retire_loses(&instance->queues.left))
		scope.priority = LOG_WARNING;
	retire_describe(instance->retire_answer, service->plane, instance->slot, &instance->queues,
			&sentence);
	journal_log(JOURNAL_RETIRE, &scope, "%s", sentence.text);
	requests_done(&instance->retirers, service->name, instance->slot, sentence.text);
}

/* It is about to end: what it received is read first, and what it is told has been sent. */
static bool is_busy(const struct instance *instance)
{
	return instance->retire_work || roles_telling(instance->service->roles, instance->slot);
}

static int on_read_look(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct instance *instance = userdata;

	if (is_busy(instance) && usec < instance->read_until &&
	    sd_event_source_set_time(source, usec + READ_EVERY) >= 0 &&
	    sd_event_source_set_enabled(source, SD_EVENT_ONESHOT) >= 0)
		return 0;
	instance->settle_source = sd_event_source_disable_unref(source);
	end_retirement(instance);
	return 0;
}

static void on_read(struct work_answer *answer, void *userdata)
{
	struct instance *instance = userdata;

	instance->retire_work = NULL;
	/* what cannot be asked is not waited for */
	if (answer->size == sizeof(instance->queues.left))
		memcpy(&instance->queues.left, answer->data, answer->size);
}

/* Until when it may take, from now on: what waits at a path is lost when its instance stops. */
static uint64_t time_to_read(const struct instance *instance, uint64_t now)
{
	bool has_paths = plane_paths(instance->service->plane)->entries;
	uint64_t end = host_time(instance->service->host, has_paths ? WHOLE_TIME : READ_TIME,
				 2 * READ_LATE);

	end = MIN(end, instance->retire_begun + WHOLE_TIME);
	return end > now ? end - now : 0;
}

static void on_bounced(struct work_answer *answer, void *userdata)
{
	struct instance *instance = userdata;
	struct service *service = instance->service;
	uint64_t now = now_usec();
	struct work_order order = {
		.kind = WORK_READ,
		.patience_usec = time_to_read(instance, now),
	};

	instance->retire_work = NULL;
	instance->queues = (struct retire_queues) {.moved = answer->result};
	instance_moved(instance, answer);
	roles_hurry(service->roles);
	instance->read_until = now + order.patience_usec + READ_LATE;
	if (retire_has_left(service->plane))
		instance_order(instance, &order, on_read, instance, &instance->retire_work);
	if (!is_busy(instance) ||
	    sd_event_add_time(service->host->event, &instance->settle_source, CLOCK_MONOTONIC,
			      now + READ_EVERY, 1, on_read_look, instance) < 0)
		end_retirement(instance);
}

static void move_queue(struct instance *instance)
{
	struct work_order order = {.kind = WORK_BOUNCE};

	instance->queues = (struct retire_queues) {0};
	if (instance_order(instance, &order, on_bounced, instance, &instance->retire_work) < 0)
		end_retirement(instance);
}

static int on_settled(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct instance *instance = userdata;

	(void)usec;
	instance->settle_source = sd_event_source_disable_unref(source);
	move_queue(instance);
	return 0;
}

/* What its unit does to stop it is meant for this instance. */
static void keep_reach(const struct instance *instance)
{
	const struct unit_facts *facts = instance_facts(instance);
	struct journal_scope scope = instance_scope(instance, LOG_WARNING);
	struct problem problem = {0};

	if (!facts->has_stop_commands || !facts->control_group[0])
		return;
	if (retire_keep_reach(instance->service->plane, instance->slot, facts->control_group,
			      &problem) < 0 &&
	    problem.text[0])
		journal_log(JOURNAL_PROBLEM, &scope,
			    "%s: slot %u: a command of ExecStop= that connects to the service may "
			    "reach another slot: %s",
			    instance->service->name, instance->slot, problem.text);
}

static void answer_unretired(struct instance *instance, enum retire_answer answer)
{
	struct journal_scope scope = instance_scope(instance, LOG_WARNING);
	struct service *service = instance->service;
	struct problem sentence = {0};

	if (answer == RETIRE_NOT_HERE && service->plane)
		keep_reach(instance);
	if (!service->plane) {
		problem_set(&sentence, 0, "%s: slot %u is not retired: %.400s", service->name,
			    instance->slot, service->problem.text);
		requests_fail(&instance->retirers, sentence.text);
		return;
	}
	retire_describe(answer, service->plane, instance->slot, NULL, &sentence);
	if (answer == RETIRE_LAST)
		journal_log(JOURNAL_RETIRE, &scope, "%s", sentence.text);
	requests_done(&instance->retirers, service->name, instance->slot, sentence.text);
}

static enum retire_answer leave(struct instance *instance)
{
	struct service *service = instance->service;
	enum slot_state states[HS_SLOTS_MAX];
	enum retire_answer answer;
	unsigned to;

	if (!service->plane)
		return RETIRE_NOT_HERE;
	service_states(service, states);
	answer = retire_leave(service->plane, instance->slot, slots_ready(states, service->n_slots),
			      &to);
	/* so far the other one has come */
	if (answer == RETIRE_NOT_HERE && service->host->resumes)
		answer = plane_live_slots(service->plane) ? RETIRE_DONE : RETIRE_PARKED;
	return answer;
}

static void settle(struct instance *instance, enum retire_answer answer)
{
	struct service *service = instance->service;
	uint64_t time = MIN(service->config.settle_usec, SETTLE_MAX);

	keep_reach(instance);
	instance->retire_answer = answer;
	service_post(service, EVENT_LOST, instance->slot, false);
	if (sd_event_add_time(service->host->event, &instance->settle_source, CLOCK_MONOTONIC,
			      host_time(service->host, time, MOVE_TIME), 1, on_settled,
			      instance) < 0)
		move_queue(instance);
}

/* Started, and its sockets are still to come; one whose sockets cannot be switched waits for
 * nothing. Who has not seen it be adopted does not know that, and goes by the time. */
static bool will_listen(const struct instance *instance)
{
	const struct unit_facts *facts = instance_facts(instance);

	if (facts->state != UNIT_RUNNING || instance->problem.text[0] ||
	    plane_slot_sockets(instance->service->plane, instance->slot))
		return false;
	return host_has(instance->service->host, HOST_TENDS) ||
	       now_usec() - facts->ready_usec < LISTEN_TIME;
}

static bool is_moving(const struct instance *instance)
{
	const struct unit_facts *facts = instance_facts(instance);

	return facts->state == UNIT_UNKNOWN || facts->job_pending || instance->adopt_wanted ||
	       instance_is_adopting(instance) || instance->restart_source ||
	       instance->restart_job || facts->state == UNIT_STARTING ||
	       facts->state == UNIT_START_POST || facts->state == UNIT_STOPPING ||
	       (facts->state == UNIT_RUNNING && instance_is_retired(instance)) ||
	       will_listen(instance);
}

static bool another_may_come(const struct instance *instance)
{
	const struct service *service = instance->service;

	for (unsigned i = 0; i < service->n_slots; i++)
		if (i != instance->slot && is_moving(service->instances[i]))
			return true;
	return false;
}

/* It ends without having been asked to, and who served is gone: the sooner it is left the better.
 */
static bool is_headless(const struct instance *instance)
{
	return instance->unasked && !instance_facts(instance)->main_pid;
}

/* There is nobody to wait for. */
static void leave_alone(struct instance *instance)
{
	enum retire_answer answer = retire_park(instance->service->plane, instance->slot);

	if (answer == RETIRE_PARKED)
		settle(instance, answer);
	else
		answer_unretired(instance, answer);
}

static void retire_now(struct instance *instance)
{
	enum retire_answer answer = leave(instance);

	instance->patience_source = sd_event_source_disable_unref(instance->patience_source);
	/* parked: it was, by an hsd that did not come to answer */
	if (answer == RETIRE_DONE || answer == RETIRE_PARKED)
		settle(instance, answer);
	else if (answer == RETIRE_LAST)
		leave_alone(instance);
	else
		answer_unretired(instance, answer);
}

/* ---- handing over ----
 *
 * With Replay=templates its clients are given to others while it still serves them, for what they
 * have to say to those is sent ahead: by whoever writes the table, and hears that it is to leave.
 */

/* Longer than that takes. */
#define HAND_TIME  (300 * USEC_PER_MSEC)
#define HAND_EVERY (1 * USEC_PER_MSEC)

/* There are clients of it by the table, and others who could have them. */
static bool has_clients(const struct instance *instance)
{
	const struct service *service = instance->service;
	uint32_t live, own = 1U << instance->slot;
	struct hs_spread spread;

	if (!service->replay || !service->plane || !plane_is_spread(service->plane) ||
	    !plane_table_spread(service->plane, &spread))
		return false;
	live = plane_live_slots(service->plane);
	return live & spread.members & own && live & ~own;
}

static int on_hand_look(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct instance *instance = userdata;

	if (has_clients(instance) && usec < instance->hand_until &&
	    sd_event_source_set_time(source, usec + HAND_EVERY) >= 0 &&
	    sd_event_source_set_enabled(source, SD_EVENT_ONESHOT) >= 0)
		return 0;
	instance->hand_source = sd_event_source_disable_unref(source);
	retire_now(instance);
	return 0;
}

/* False: there is nothing to wait for. */
static bool hand_over(struct instance *instance)
{
	struct service *service = instance->service;

	if (is_headless(instance) || !has_clients(instance))
		return false;
	instance->hand_until = now_usec() + HAND_TIME;
	if (sd_event_add_time_relative(service->host->event, &instance->hand_source,
				       CLOCK_MONOTONIC, HAND_EVERY, 1, on_hand_look, instance) < 0)
		return false;
	instance->patience_source = sd_event_source_disable_unref(instance->patience_source);
	plane_set_retired(service->plane, instance->slot, true);
	service_post(service, EVENT_LEFT, instance->slot, false);
	return true;
}

static int on_patience_ended(sd_event_source *source, uint64_t usec, void *userdata)
{
	(void)source;
	(void)usec;
	retire_now(userdata);
	return 0;
}

/* None that has its sockets could take over, but one is on its way: such a one may still fail its
 * own checks. Of those that are on their way out the first one goes where the other still serves.
 */
static bool is_to_wait(const struct instance *instance)
{
	const struct service *service = instance->service;
	enum slot_state states[HS_SLOTS_MAX];
	uint32_t live;

	if (!service->plane)
		return false;
	live = plane_live_slots(service->plane);
	if (!(live & (1U << instance->slot)) || is_headless(instance))
		return false;
	service_states(service, states);
	return !slots_proven(states, service->n_slots, live & ~(1U << instance->slot)) &&
	       another_may_come(instance);
}

static void try_retire(struct instance *instance)
{
	const struct service *service = instance->service;
	uint64_t spare = MIN(service->config.settle_usec, SETTLE_MAX) + 2 * MOVE_TIME;

	if (!is_to_wait(instance)) {
		if (!hand_over(instance))
			retire_now(instance);
		return;
	}
	plane_set_retired(service->plane, instance->slot, true);
	if (!instance->patience_source &&
	    sd_event_add_time(service->host->event, &instance->patience_source, CLOCK_MONOTONIC,
			      host_time(service->host, PATIENCE, spare), USEC_PER_MSEC,
			      on_patience_ended, instance) < 0)
		retire_now(instance);
}

bool instance_is_retiring(const struct instance *instance)
{
	return instance->settle_source || instance->retire_work || instance->patience_source ||
	       instance->news_source || instance->hand_source;
}

/* It ends by itself, which nobody says but systemd, and others have its sockets. */
static bool ends_unasked(const struct instance *instance)
{
	return instance->unasked && instance_facts(instance)->state == UNIT_STOPPING &&
	       instance->service->plane &&
	       plane_slot_sockets(instance->service->plane, instance->slot);
}

/* It was to be retired while it was being adopted, or before it was known why. */
static void go_on(struct instance *instance)
{
	/* what is just being put into the map would be there afterwards */
	if ((instance->retirers.n || ends_unasked(instance)) && !instance->adopt_work &&
	    !instance_is_retiring(instance))
		try_retire(instance);
}

/* ---- why it is to go ----
 *
 * ExecStop= may be quicker than the news that the unit stops, which tells whether somebody has
 * asked for that; and when the unit has ended systemd does not tell it any more. So it is asked
 * first. When somebody calls by hand it answers that the unit runs.
 */

#define NEWS_WITHIN (100 * USEC_PER_MSEC)

static int on_no_news(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct instance *instance = userdata;

	(void)source;
	(void)usec;
	instance->news_source = sd_event_source_disable_unref(instance->news_source);
	go_on(instance);
	return 0;
}

static void await_news(struct instance *instance)
{
	if (instance_facts(instance)->state == UNIT_RUNNING &&
	    sd_event_add_time_relative(instance->service->host->event, &instance->news_source,
				       CLOCK_MONOTONIC, NEWS_WITHIN, USEC_PER_MSEC, on_no_news,
				       instance) >= 0)
		instance_refresh(instance);
}

static void on_news(struct instance *instance)
{
	if (!instance->news_source)
		return;
	instance->news_source = sd_event_source_disable_unref(instance->news_source);
	go_on(instance);
}

void instance_retire(struct instance *instance, struct request *request)
{
	if (!requests_add(&instance->retirers, request) || instance_is_retiring(instance))
		return;
	instance->retire_begun = now_usec();
	if (request)
		await_news(instance);
	if (!instance->news_source && !instance->adopt_work)
		try_retire(instance);
}

/* Those that wait for another than themselves. */
static void look(struct service *service, unsigned slot)
{
	for (unsigned i = 0; i < service->n_slots; i++)
		if (i != slot && service->instances[i]->patience_source)
			try_retire(service->instances[i]);
}

void retirement_heard(struct service *service, const struct event *event)
{
	if (event->kind == EVENT_UNIT_CHANGED)
		on_news(service->instances[event->slot]);
	else
		go_on(service->instances[event->slot]);
	/* the slot came to be ready, or to rest */
	look(service, event->slot);
}

static bool one_waits(const struct service *service)
{
	for (unsigned i = 0; i < service->n_slots; i++)
		if (service->instances[i]->patience_source)
			return true;
	return false;
}

void retirement_look(struct service *service)
{
	if (!one_waits(service))
		return;
	plane_refresh(service->plane);
	look(service, HS_SLOT_NONE);
}
