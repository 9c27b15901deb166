// SPDX-License-Identifier: GPL-2.0-or-later
#include "service/watch/outdated_watch.h"

#include <string.h>
#include <syslog.h>

#include "service/slot/instance.h"
#include "service/slot/orders.h"
#include "service/watch/filewatch.h"
#include "system/journal.h"
#include "util/clock.h"
#include "util/macro.h"

/* A new run opens and forks for a while. */
#define LOOK_AFTER (2 * USEC_PER_SEC)
/* One service after the other, and only while nothing else is to be done: of hundreds all are
 * looked at within a minute. Also who waits for all must not keep the workers from what is urgent.
 */
#define LOOK_EVERY (100 * USEC_PER_MSEC)
#define BUSY	   2
#define LOOKS_MAX  2
/* Who asks about more than this does not wait for all of them. */
#define AWAITED_MAX 16
/* Who may change a file must not keep us busy. */
#define LOOK_AGAIN (2 * USEC_PER_SEC)
/* What is not watched, as there are too many of them, or files of another machine. */
#define STALE_WATCHED	(10 * 60 * USEC_PER_SEC)
#define STALE_UNWATCHED (5 * USEC_PER_SEC)
/* How long somebody waits who has asked, and how many do. */
#define ANSWER_WITHIN (1 * USEC_PER_SEC)
#define ASKERS_MAX    64

/* Of one service. */
struct outdated_slots {
	bool due, blind;     /* blind: not all files are watched */
	uint64_t not_before; /* it need not be looked earlier, unless somebody asks */
	uint64_t looked;     /* 0 = never */
	struct work *work;
	char runs[HS_SLOTS_MAX][33]; /* InvocationID of those that were looked at */
	struct outdated slots[HS_SLOTS_MAX];
	struct watched watched; /* the files of all slots */
};

struct asker {
	struct outdated_watch *watch;
	struct request *request;
	char service[SERVICE_NAME_MAX]; /* "" = all */
	sd_event_source *patience;
};

struct outdated_watch {
	const struct host *host;
	sd_event_source *pace;
	uint64_t next; /* no look in the background before */
	struct asker askers[ASKERS_MAX];
	unsigned n_askers;
};

DEFINE_CLEANUP(struct outdated_watch, outdated_watch_free)

/* ---- when ---- */

static void set_pace(struct outdated_watch *watch, uint64_t usec)
{
	uint64_t at;
	int on;

	/* the earlier one holds */
	if (sd_event_source_get_enabled(watch->pace, &on) >= 0 && on != SD_EVENT_OFF &&
	    sd_event_source_get_time(watch->pace, &at) >= 0 && at <= usec)
		return;
	sd_event_source_set_time(watch->pace, usec);
	sd_event_source_set_enabled(watch->pace, SD_EVENT_ONESHOT);
}

static void on_changed(void *userdata);

static bool prepare(struct service *service)
{
	if (service->outdated)
		return true;
	service->outdated = calloc(1, sizeof(*service->outdated));
	if (!service->outdated)
		return false;
	watched_init(&service->outdated->watched, service->host->filewatch, on_changed, service);
	return true;
}

static void make_due(struct service *service, uint64_t delay)
{
	struct outdated_watch *watch = service->host->outdated;
	struct outdated_slots *o;

	if (!watch || !prepare(service))
		return;
	o = service->outdated;
	o->due = true;
	o->not_before = MAX(now_usec() + delay, o->looked + LOOK_AGAIN);
	set_pace(watch, o->not_before);
}

static void on_changed(void *userdata)
{
	make_due(userdata, 0);
}

static bool is_current(const struct service *service, unsigned slot)
{
	const struct unit_facts *facts = instance_facts(service->instances[slot]);

	return instance_is_up(facts->state) &&
	       !strcmp(service->outdated->runs[slot], facts->invocation);
}

static bool lacks_run(const struct service *service)
{
	for (unsigned i = 0; i < service->n_slots; i++)
		if (instance_is_up(instance_facts(service->instances[i])->state) &&
		    !is_current(service, i))
			return true;
	return false;
}

/* It is looked at, or is to be. */
static bool is_pending(const struct service *service)
{
	return service->outdated && (service->outdated->due || service->outdated->work);
}

/* ---- who has asked ---- */

static bool is_about(const struct asker *asker, const struct service *service)
{
	return !asker->service[0] || !strcmp(asker->service, service->name);
}

static bool must_wait(const struct outdated_watch *watch, const struct asker *asker)
{
	size_t n, pending = 0;
	struct service *const *services = host_services(watch->host, &n);

	for (size_t i = 0; i < n; i++)
		pending += is_about(asker, services[i]) && is_pending(services[i]);
	return pending && pending <= AWAITED_MAX;
}

/* The last one takes its place. */
static void answer(struct outdated_watch *watch, struct asker *asker)
{
	struct asker *last = &watch->askers[--watch->n_askers];

	request_done(asker->request, NULL);
	sd_event_source_disable_unref(asker->patience);
	*asker = *last;
	*last = (struct asker) {0};
	if (asker->patience)
		sd_event_source_set_userdata(asker->patience, asker);
}

static int on_patience_ended(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct asker *asker = userdata;

	(void)source;
	(void)usec;
	answer(asker->watch, asker);
	return 0;
}

static void answer_askers(struct outdated_watch *watch)
{
	for (unsigned i = watch->n_askers; i-- > 0;)
		if (!must_wait(watch, &watch->askers[i]))
			answer(watch, &watch->askers[i]);
}

static bool is_asked_for(const struct outdated_watch *watch, const struct service *service)
{
	for (unsigned i = 0; i < watch->n_askers; i++)
		if (is_about(&watch->askers[i], service))
			return true;
	return false;
}

/* ---- looking ---- */

static void tell(const struct service *service, unsigned slot, const struct outdated *outdated)
{
	struct journal_scope scope = {service->name, slot, LOG_NOTICE};
	char text[OUTDATED_TEXT_MAX];

	journal_log(JOURNAL_OUTDATED, &scope,
		    "%s: slot %u: %s; bring the new version into service: hsctl upgrade %s",
		    service->name, slot, outdated_describe(outdated, text), service->name);
}

static void keep(struct service *service, const struct work_file *files, size_t n, int *watches)
{
	struct outdated_slots *o = service->outdated;
	struct outdated now[HS_SLOTS_MAX] = {0};
	size_t n_watches = 0;

	o->blind = !watches;
	for (size_t i = 0; i < n; i++) {
		if (files[i].place >= service->n_slots)
			continue;
		outdated_add(&now[files[i].place], &files[i].file);
		o->blind |= !files[i].file.gone && files[i].file.watch < 0;
		if (watches && files[i].file.watch >= 0)
			watches[n_watches++] = files[i].file.watch;
	}
	watched_end(&o->watched, watches, n_watches);
	for (unsigned i = 0; i < service->n_slots; i++) {
		if (now[i].files && !o->slots[i].files && is_current(service, i))
			tell(service, i, &now[i]);
		o->slots[i] = now[i];
	}
}

static void look_next(struct outdated_watch *watch);

/* Where it could not be looked, what is known stays, and it is tried when somebody asks. */
static void on_looked(struct work_answer *taken, void *userdata)
{
	struct service *service = userdata;
	struct outdated_slots *o = service->outdated;
	const struct work_file *files = taken->data;
	size_t n = taken->size / sizeof(*files);

	o->work = NULL;
	o->looked = now_usec();
	if (taken->result >= 0) {
		keep(service, files, n, calloc(n + 1, sizeof(int)));
	} else {
		o->blind = true;
		watched_end(&o->watched, NULL, 0);
	}
	answer_askers(service->host->outdated);
	look_next(service->host->outdated);
}

static void look(struct service *service)
{
	int fd = filewatch_fd(service->host->filewatch);
	struct order_scope all = {.keep_places = true, .fds = &fd, .n_fds = 1};
	struct work_order order = {.kind = WORK_OUTDATED, .slot = HS_SLOT_NONE};
	struct outdated_slots *o = service->outdated;

	o->due = false;
	for (unsigned i = 0; i < service->n_slots; i++) {
		const char *run = instance_facts(service->instances[i])->invocation;

		if (strcmp(o->runs[i], run))
			o->slots[i] = (struct outdated) {0};
		memcpy(o->runs[i], run, sizeof(o->runs[i]));
	}
	watched_begin(&o->watched);
	if (service_order(service, &all, &order, on_looked, service, &o->work) < 0)
		watched_end(&o->watched, NULL, 0);
}

static unsigned looks(struct service *const *services, size_t n_services)
{
	unsigned n = 0;

	for (size_t i = 0; i < n_services; i++)
		n += services[i]->outdated && services[i]->outdated->work;
	return n;
}

static void look_next(struct outdated_watch *watch)
{
	size_t n;
	struct service *const *services = host_services(watch->host, &n);
	bool busy = host_busy(watch->host) >= BUSY;
	unsigned running = looks(services, n);
	uint64_t now = now_usec();

	for (size_t i = 0; i < n; i++) {
		struct service *service = services[i];
		struct outdated_slots *o = service->outdated;
		bool asked = is_asked_for(watch, service);

		if (!o || !o->due || o->work)
			continue;
		if (asked ? running < LOOKS_MAX
			  : !running && !busy && MAX(o->not_before, watch->next) <= now) {
			look(service);
			watch->next = now + LOOK_EVERY;
			running++;
		} else if (!asked) {
			set_pace(watch, MAX(o->not_before, now + LOOK_EVERY));
		}
	}
}

static int on_pace(sd_event_source *source, uint64_t usec, void *userdata)
{
	(void)source;
	(void)usec;
	look_next(userdata);
	return 0;
}

/* ---- for others ---- */

static bool is_stale(const struct service *service)
{
	const struct outdated_slots *o = service->outdated;
	uint64_t now = now_usec();

	if (!o->looked || now - o->looked > (o->blind ? STALE_UNWATCHED : STALE_WATCHED))
		return true;
	return lacks_run(service);
}

/* What it is about is due if it is old. False: nobody has to wait for it. */
static bool begin_to_wait(struct outdated_watch *watch, struct asker *asker)
{
	size_t n;
	struct service *const *services = host_services(watch->host, &n);

	for (size_t i = 0; i < n; i++)
		if (is_about(asker, services[i]) && prepare(services[i]))
			services[i]->outdated->due |= is_stale(services[i]);
	return must_wait(watch, asker) &&
	       sd_event_add_time_relative(watch->host->event, &asker->patience, CLOCK_MONOTONIC,
					  ANSWER_WITHIN, 0, on_patience_ended, asker) >= 0;
}

void outdated_ask(struct outdated_watch *watch, struct service *service, struct request *request)
{
	struct asker *asker;

	if (!watch) {
		request_done(request, NULL);
		return;
	}
	if (watch->n_askers == ASKERS_MAX) {
		request_fail_errno(request, -EBUSY);
		return;
	}
	asker = &watch->askers[watch->n_askers];
	*asker = (struct asker) {.watch = watch, .request = request};
	if (service)
		memcpy(asker->service, service->name, sizeof(asker->service));
	if (begin_to_wait(watch, asker))
		watch->n_askers++;
	else
		asker->request = request_done(request, NULL);
	look_next(watch);
}

void outdated_read(const struct service *service, unsigned slot, struct outdated *ret_outdated)
{
	*ret_outdated = (struct outdated) {0};
	if (service->outdated && is_current(service, slot))
		*ret_outdated = service->outdated->slots[slot];
}

void outdated_forget(struct service *service)
{
	struct outdated_slots *o = service->outdated;

	service->outdated = NULL;
	if (!o)
		return;
	work_forget(o->work);
	watched_done(&o->watched);
	free(o);
}

int outdated_watch_new(const struct host *host, struct outdated_watch **ret_watch)
{
	_cleanup_(outdated_watch_freep) struct outdated_watch *watch = calloc(1, sizeof(*watch));
	int r;

	if (!watch)
		return -ENOMEM;
	watch->host = host;
	r = sd_event_add_time(host->event, &watch->pace, CLOCK_MONOTONIC, 0, LOOK_EVERY, on_pace,
			      watch);
	if (r >= 0)
		r = sd_event_source_set_enabled(watch->pace, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_source_set_priority(watch->pace, SD_EVENT_PRIORITY_IDLE);
	if (r < 0)
		return r;
	*ret_watch = steal_ptr(&watch);
	return 0;
}

struct outdated_watch *outdated_watch_free(struct outdated_watch *watch)
{
	if (!watch)
		return NULL;
	while (watch->n_askers)
		answer(watch, &watch->askers[watch->n_askers - 1]);
	sd_event_source_disable_unref(watch->pace);
	free(watch);
	return NULL;
}

void outdated_heard(struct service *service, const struct event *event)
{
	/* a new hsd has looked at nothing */
	if (event->anew || !service->outdated || (!is_pending(service) && lacks_run(service)))
		make_due(service, LOOK_AFTER);
}
