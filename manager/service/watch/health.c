// SPDX-License-Identifier: GPL-2.0-or-later
#include "service/watch/health.h"

#include <string.h>
#include <syslog.h>

#include "core/presence.h"
#include "plane/illness.h"
#include "plane/plane_front.h"
#include "service/rules.h"
#include "service/slot/front_facts.h"
#include "service/slot/instance.h"
#include "service/slot/orders.h"
#include "service/watch/selection.h"
#include "system/journal.h"
#include "system/probe/agent.h"
#include "system/probe/prober.h"
#include "util/clock.h"
#include "util/macro.h"

/* Between two rounds while nothing is known: a good standby is not to wait for Rise= intervals. */
#define EAGER_USEC (30 * USEC_PER_MSEC)

/* Another process has the lock of the preview rules. */
#define LOCKED_USEC (50 * USEC_PER_MSEC)

/* An adoption takes so long as a rule. */
#define ATTACHED_USEC (200 * USEC_PER_MSEC)

/* Behind those of Probe= comes the agent. */
#define CHECKS_MAX (CONFIG_PROBES_MAX + 1)

/* That a slot cannot be probed is not told more often: an instance may be the reason. */
#define VOID_TOLD_USEC (60 * USEC_PER_SEC)

/* For so long behind the time in which it would have been asked again a verdict is known without
 * hsd. */
#define NOTED_USEC (60 * USEC_PER_SEC)

struct checked_slot;

/* Of a front: the word of its host's agent. */
static const struct probe_spec agent_spec = {.kind = PROBE_AGENT};

/* One probe of a round. */
struct check {
	struct checked_slot *slot;
	const struct probe_spec *spec;
	struct work *work;     /* a connection to its AF_UNIX socket is being made */
	struct probe_run *run; /* NULL: it has ended, or not begun */
	struct probe_result result;
};

struct checked_slot {
	struct health_watch *watch;
	unsigned number;
	struct front_address host; /* of a front: who was asked */
	struct health health;
	bool asked; /* since it came */
	uint64_t due;
	struct check *checks;	    /* room for CHECKS_MAX, from the first round on */
	bool leaves, refuses;	    /* as its host's agent has said last: drain, down; */
	bool heard;		    /* in the last round */
	unsigned n_checks, running; /* of this round */
	struct problem note;	    /* what a good or a void round has said */
	uint64_t void_told;	    /* when; 0 = not yet */
};

struct health_watch {
	struct service *service;
	sd_event_source *timer;
	bool begun;	 /* they can be sent where they belong; */
	bool ruled;	 /* selectors look for rules, for that */
	int rules_error; /* why they do not; 0 = they do, or were not asked to */
	bool has_noted;
	uint32_t noted; /* who is not well, in the kernel: as a bit mask */
	struct config_health used;
	struct checked_slot slots[HS_SLOTS_MAX];
};

static const struct config_health *settings(const struct health_watch *watch)
{
	return &watch->service->config.health;
}

static bool asks_agent(const struct health_watch *watch)
{
	return service_is_front(watch->service) && watch->service->config.front.agent_port;
}

static bool asks_anything(const struct health_watch *watch)
{
	return settings(watch)->n_probes || asks_agent(watch);
}

/* ---- one slot ---- */

static void cancel(struct checked_slot *slot)
{
	for (unsigned i = 0; i < slot->n_checks; i++) {
		slot->checks[i].work = work_forget(slot->checks[i].work);
		slot->checks[i].run = probe_run_free(slot->checks[i].run);
	}
	slot->running = slot->n_checks = 0;
}

static const char *reason_of(const struct checked_slot *slot)
{
	if (slot->health.state == HEALTH_GOOD)
		return slot->note.text;
	return slot->health.reason.text[0] ? slot->health.reason.text : slot->note.text;
}

/* To who asks the service. */
static void publish(const struct checked_slot *slot)
{
	struct service *service = slot->watch->service;

	service->verdicts[slot->number] =
		(struct slot_health) {.state = slot->health.state, .reason = reason_of(slot)};
	service->leaving &= ~(1U << slot->number);
	service->leaving |= (uint32_t)slot->leaves << slot->number;
	service->refusing &= ~(1U << slot->number);
	service->refusing |= (uint32_t)slot->refuses << slot->number;
}

static void forget(struct checked_slot *slot)
{
	cancel(slot);
	health_init(&slot->health, now_usec());
	slot->note.text[0] = '\0';
	slot->asked = slot->leaves = slot->refuses = false;
	slot->void_told = 0;
	slot->due = 0;
	publish(slot);
}

/* Nobody says any more that it is not well, which is news to who has left it out for that. */
static void take_back(struct checked_slot *slot)
{
	struct service *service = slot->watch->service;
	bool was_bad = slot->health.state == HEALTH_BAD;

	forget(slot);
	if (was_bad && slot->number < service->n_slots)
		service_post(service, EVENT_VERDICT, slot->number, true);
}

static bool is_askable(const struct checked_slot *slot)
{
	const struct service *service = slot->watch->service;

	if (service_is_front(service))
		return front_slot_is_given(service, slot->number) &&
		       front_slot_is_asked(service, slot->number) && plane_is_front(service->plane);
	return slot->number < service->n_slots && !plane_is_retired(service->plane, slot->number) &&
	       instance_is_up(instance_facts(service->instances[slot->number])->state) &&
	       plane_slot_sockets(service->plane, slot->number);
}

/* ---- verdicts ---- */

static void tell_verdict(const struct checked_slot *slot, enum health_state before)
{
	const struct service *service = slot->watch->service;
	struct journal_scope scope = {service->name, (int)slot->number, LOG_INFO};

	if (slot->health.state == HEALTH_BAD) {
		scope.priority = LOG_WARNING;
		journal_log(JOURNAL_HEALTH, &scope, "%s: slot %u is unhealthy: %s", service->name,
			    slot->number, slot->health.reason.text);
		return;
	}
	if (before == HEALTH_BAD)
		scope.priority = LOG_NOTICE;
	journal_log(JOURNAL_HEALTH, &scope, "%s: slot %u is healthy%s", service->name, slot->number,
		    before == HEALTH_BAD ? " again" : "");
}

static void tell_void(struct checked_slot *slot, const char *words)
{
	const struct service *service = slot->watch->service;
	struct journal_scope scope = {service->name, (int)slot->number, LOG_WARNING};
	uint64_t now = now_usec();

	if (slot->void_told && now - slot->void_told < VOID_TOLD_USEC)
		return;
	slot->void_told = now;
	journal_log(JOURNAL_PROBLEM, &scope, "%s: slot %u cannot be probed: %s", service->name,
		    slot->number, words);
}

/* The first probe that says something worse than the others speaks for all. */
static const struct probe_result *worst_of(const struct checked_slot *slot)
{
	const struct probe_result *worst = &slot->checks[0].result;

	for (unsigned i = 1; i < slot->n_checks; i++) {
		const struct probe_result *result = &slot->checks[i].result;

		if (worst->verdict == PROBE_BAD)
			break;
		if (result->verdict == PROBE_BAD ||
		    (result->verdict == PROBE_VOID && worst->verdict == PROBE_GOOD) ||
		    (result->verdict == worst->verdict && !worst->words.text[0]))
			worst = result;
	}
	return worst;
}

static void set_timer(struct health_watch *watch);

/* What the agent says, if it was asked and says anything: of one that does not answer nothing is
 * known. Where nobody else is asked it has to answer. */
static void hear_agent(struct checked_slot *slot)
{
	struct check *check = &slot->checks[slot->n_checks - 1];
	struct probe_result *result = &check->result;
	enum presence_state state;
	struct problem reason;
	bool told;

	if (check->spec != &agent_spec)
		return;
	slot->heard = false;
	told = result->verdict == PROBE_GOOD && presence_read(result->words.text, &state, &reason);
	if (!told && slot->n_checks == 1) {
		result->verdict = result->verdict == PROBE_VOID ? PROBE_VOID : PROBE_BAD;
		problem_set(&reason, 0, "its agent: %.200s", result->words.text);
		result->words = reason;
		return;
	}
	result->verdict = told && state == PRESENCE_DOWN ? PROBE_BAD : PROBE_GOOD;
	slot->heard = told;
	if (told) {
		slot->leaves = state == PRESENCE_DRAIN;
		slot->refuses = state == PRESENCE_DOWN;
	}
	problem_set(&result->words, 0, "%s%.200s",
		    told && state != PRESENCE_UP ? "its agent says: " : "",
		    !told		      ? ""
		    : state == PRESENCE_UP    ? ""
		    : state == PRESENCE_DRAIN ? "drain"
		    : reason.text[0]	      ? reason.text
					      : "down");
}

/* When it is asked again because the selector has been attached again. */
static void look_for_strays(struct checked_slot *slot, uint64_t now)
{
	bool stray = false;

	for (unsigned i = 0; i < slot->n_checks; i++)
		stray |= slot->checks[i].result.stray;
	if (stray && selection_on_stray(slot->watch->service->selection, slot->number))
		slot->due = MIN(slot->due, now + ATTACHED_USEC);
}

/* For who comes while no hsd runs. Of an earlier hsd nothing is known until this one has asked. */
static void note_ill(struct health_watch *watch)
{
	uint32_t ill = 0;

	for (unsigned i = 0; i < HS_SLOTS_MAX; i++)
		ill |= (uint32_t)(watch->slots[i].health.state == HEALTH_BAD) << i;
	if (watch->has_noted && !ill && !watch->noted)
		return;
	plane_note_ill(watch->service->plane, ill);
	watch->noted = ill;
	watch->has_noted = true;
}

static void judge_round(struct checked_slot *slot)
{
	const struct config_health *config = settings(slot->watch);
	enum health_state before = slot->health.state;
	bool bad, changed = false, left = slot->leaves;
	const struct probe_result *worst;
	uint64_t now = now_usec();

	hear_agent(slot);
	worst = worst_of(slot);
	bad = worst->verdict == PROBE_BAD;
	look_for_strays(slot, now);
	slot->note = worst->words;
	if (worst->verdict == PROBE_VOID)
		tell_void(slot, worst->words.text);
	else
		changed = health_note(&slot->health, &config->rule, bad ? worst->words.text : NULL,
				      now);
	/* it went as it said that it would; who comes back may have no agent that unsays it */
	if (slot->health.state == HEALTH_BAD && !slot->heard)
		slot->leaves = false;
	if (slot->health.state == HEALTH_GOOD && !slot->heard)
		slot->refuses = false;
	publish(slot);
	note_ill(slot->watch);
	slot->n_checks = 0;
	if (slot->health.state == HEALTH_UNKNOWN && worst->verdict != PROBE_VOID)
		slot->due = MIN(now + EAGER_USEC, MAX(slot->due, now));
	if (bad && slot->health.state == HEALTH_GOOD && service_is_front(slot->watch->service))
		slot->due = MIN(slot->due, now + HEALTH_HURRIED_USEC);
	set_timer(slot->watch);
	if (changed)
		tell_verdict(slot, before);
	changed |= left != slot->leaves;
	/* as long as it is unhealthy: the reason not to leave it may go away */
	if (changed || slot->health.state == HEALTH_BAD)
		service_post(slot->watch->service, EVENT_VERDICT, slot->number, changed);
}

static void end_check(struct check *check, const struct probe_result *result)
{
	struct checked_slot *slot = check->slot;

	check->result = *result;
	if (--slot->running)
		return;
	/* on its way out while it was asked: that says nothing */
	if (is_askable(slot)) {
		judge_round(slot);
		return;
	}
	take_back(slot);
	set_timer(slot->watch);
}

static void on_checked(const struct probe_result *result, void *userdata)
{
	struct check *check = userdata;

	check->run = NULL;
	end_check(check, result);
}

/* ---- rounds ---- */

static struct health_pace pace_of(const struct health_watch *watch)
{
	const struct config_health *config = settings(watch);
	struct health_pace pace = {.every_usec = config->interval_usec};

	if (!service_is_front(watch->service))
		return pace;
	pace = health_front_pace(config->interval_usec, config->rule.fall);
	pace.connect_usec = MIN(pace.connect_usec, config->timeout_usec);
	return pace;
}

/* `connection`: to its AF_UNIX socket, which is taken; NULL = none. */
static int start_check(struct check *check, int *connection)
{
	struct checked_slot *slot = check->slot;
	struct service *service = slot->watch->service;
	struct probe_target target = {
		.plane = service->plane,
		.slot = slot->number,
		.health = settings(slot->watch),
		.spec = check->spec,
		.connect_usec = pace_of(slot->watch).connect_usec,
		.front = service_is_front(service) ? &service->config.front : NULL,
		.is_connected = connection,
		.fd = connection ? *connection : -1,
	};
	int r = prober_start(service->host->prober, &target, on_checked, check, &check->run);

	if (r >= 0 && connection)
		*connection = -1;
	return r;
}

/* What clients are told, too; NULL: it says nothing of the slot. */
static const char *fault_of(int error)
{
	switch (error) {
	case -ECONNREFUSED:
		return "nobody listens at its AF_UNIX socket";
	case -EAGAIN:
		return "the queue of its AF_UNIX socket is full";
	case -ENOENT:
	case -ENOTSOCK:
		return "its AF_UNIX socket is not where it was";
	default:
		return NULL;
	}
}

static void refuse_check(struct check *check, const struct work_answer *answer)
{
	const char *fault = fault_of(answer->result);
	struct probe_result result = {.verdict = fault ? PROBE_BAD : PROBE_VOID};

	problem_set(&result.words, 0, "%.400s", fault ?: answer->problem.text);
	end_check(check, &result);
}

static void on_reached(struct work_answer *answer, void *userdata)
{
	struct check *check = userdata;

	check->work = NULL;
	if (answer->result >= 0 && !answer->n_fds)
		answer->result = -ENOMEM;
	if (answer->result >= 0)
		answer->result = start_check(check, &answer->fds[0]);
	if (answer->result < 0 && !answer->problem.text[0])
		problem_set(&answer->problem, 0, "%s", strerror(-answer->result));
	if (answer->result < 0)
		refuse_check(check, answer);
}

/* A slot that serves no TCP address is asked at its path: hsd itself may not connect there. */
static bool is_asked_at_path(const struct check *check)
{
	const struct plane *plane = check->slot->watch->service->plane;
	size_t n;

	plane_listeners(plane, &n);
	return check->spec->kind != PROBE_EXEC && !n && plane_paths(plane)->entries;
}

/* At the host's own address: it is what the machine says, not what the service answers. */
static int begin_agent_check(struct check *check)
{
	const struct service *service = check->slot->watch->service;
	const struct config_front *front = &service->config.front;
	int r, fd = agent_reach(&front->hosts[check->slot->number].address,
				(uint16_t)front->agent_port);

	if (fd < 0)
		return fd;
	r = start_check(check, &fd);
	close_fd(fd);
	return r;
}

static int begin_check(struct check *check)
{
	struct service *service = check->slot->watch->service;
	struct work_order order = {.kind = WORK_REACH};

	if (check->spec == &agent_spec)
		return begin_agent_check(check);
	if (!is_asked_at_path(check))
		return start_check(check, NULL);
	return instance_order(service->instances[check->slot->number], &order, on_reached, check,
			      &check->work);
}

static unsigned probes_of(const struct checked_slot *slot)
{
	const struct service *service = slot->watch->service;

	return service_is_front(service) ? front_slot_probes(service, slot->number)
					 : service->config.health.n_probes;
}

/* Of connect(2), to who is on the network. */
static bool is_out_of_reach(int error)
{
	return error == -ENETUNREACH || error == -EHOSTUNREACH || error == -ENETDOWN ||
	       error == -EACCES || error == -EINVAL;
}

/* An agent that there is no way to is as one that does not answer; what else has failed says
 * nothing of the slot. */
static bool may_begin(struct check *check)
{
	int r = begin_check(check);

	if (r >= 0)
		return true;
	if (check->spec == &agent_spec && is_out_of_reach(r))
		check->result.verdict = PROBE_BAD;
	problem_set(&check->result.words, 0, "%s", strerror(-r));
	return false;
}

static void begin_round(struct checked_slot *slot, uint64_t now)
{
	struct health_watch *watch = slot->watch;
	const struct config_health *config = settings(watch);
	unsigned n_probes = probes_of(slot);

	slot->asked = true;
	slot->n_checks = slot->running = 0;
	slot->due = now + pace_of(watch).every_usec;
	if (!slot->checks)
		slot->checks = calloc(CHECKS_MAX, sizeof(*slot->checks));
	if (!slot->checks)
		return;
	for (unsigned i = 0; i < n_probes + asks_agent(watch); i++) {
		struct check *check = &slot->checks[i];

		*check = (struct check) {
			.slot = slot,
			.spec = i < n_probes ? &config->probes[i] : &agent_spec,
			.result.verdict = PROBE_VOID,
		};
		slot->n_checks++;
		slot->running += may_begin(check);
	}
	if (slot->n_checks && !slot->running)
		judge_round(slot);
}

static void look_at(struct checked_slot *slot, uint64_t now)
{
	if (slot->running)
		return;
	/* one that has just become askable is asked at once */
	if (is_askable(slot)) {
		if (slot->due <= now || !slot->asked)
			begin_round(slot, now);
		return;
	}
	if (slot->asked)
		take_back(slot);
	slot->due = now + settings(slot->watch)->interval_usec;
}

/* What is led to a host is noted by whoever leads it: there are no rules to begin, or to end. */
static void begin_or_end(struct health_watch *watch, bool wanted)
{
	struct service *service = watch->service;

	if (wanted == watch->begun)
		return;
	if (wanted && plane_is_front(service->plane)) {
		watch->begun = true;
	} else if (wanted) {
		watch->rules_error = rules_begin(service);
		watch->ruled = !watch->rules_error;
		watch->begun = watch->ruled;
	} else {
		prober_end(service->host->prober, service->plane);
		if (watch->ruled)
			rules_end(service);
		watch->begun = watch->ruled = false;
	}
}

static void set_due(struct health_watch *watch, uint64_t due)
{
	sd_event_source_set_time(watch->timer, due);
	sd_event_source_set_enabled(watch->timer, SD_EVENT_ONESHOT);
}

static void look(struct health_watch *watch)
{
	uint64_t now = now_usec();

	begin_or_end(watch, asks_anything(watch));
	for (unsigned i = 0; i < HS_SLOTS_MAX && watch->begun; i++)
		look_at(&watch->slots[i], now);
	set_timer(watch);
	if (asks_anything(watch) && !watch->begun)
		set_due(watch,
			now + (watch->rules_error == -EBUSY ? LOCKED_USEC
							    : settings(watch)->interval_usec));
}

static int on_due(sd_event_source *source, uint64_t usec, void *userdata)
{
	(void)source;
	(void)usec;
	look(userdata);
	return 0;
}

static void set_timer(struct health_watch *watch)
{
	uint64_t due = USEC_INFINITY;

	for (unsigned i = 0; i < watch->service->n_slots; i++)
		if (!watch->slots[i].running)
			due = MIN(due, watch->slots[i].due);
	if (due == USEC_INFINITY || !asks_anything(watch)) {
		sd_event_source_set_enabled(watch->timer, SD_EVENT_OFF);
		return;
	}
	set_due(watch, due);
}

/* ---- from outside ---- */

/* Of another machine nothing is known. */
static void follow_host(struct checked_slot *slot)
{
	const struct front_host *host = &slot->watch->service->config.front.hosts[slot->number];

	if (memcmp(&slot->host, &host->address, sizeof(slot->host)) != 0)
		take_back(slot);
	slot->host = host->address;
}

void health_reload(struct health_watch *watch)
{
	if (!watch)
		return;
	for (unsigned i = 0; i < HS_SLOTS_MAX; i++)
		follow_host(&watch->slots[i]);
	if (memcmp(&watch->used, settings(watch), sizeof(watch->used))) {
		for (unsigned i = 0; i < HS_SLOTS_MAX; i++)
			take_back(&watch->slots[i]);
		/* it may be of no use any more */
		if (watch->begun)
			prober_end(watch->service->host->prober, watch->service->plane);
	}
	watch->used = *settings(watch);
	health_poke(watch);
}

void health_poke(struct health_watch *watch)
{
	if (watch)
		set_due(watch, 0);
}

void health_heard(struct service *service, const struct event *event)
{
	struct health_watch *watch = service->health;

	if (!watch)
		return;
	/* not for one that has opened another socket: it is the same that was asked */
	if (event->kind == EVENT_NEW_RUN)
		take_back(&watch->slots[event->slot]);
	/* hsd may have just come up, and the instance long ago: then what it has asked is forgotten
	 * as it is adopted, and its sockets are none that were not there */
	if (event->kind == EVENT_LOST || event->kind == EVENT_NEW_RUN || event->anew)
		health_poke(watch);
}

bool health_was_bad(const struct service *service, unsigned slot, struct problem *ret_refusal)
{
	const struct config_health *config = &service->config.health;
	uint64_t noted, now = now_usec();
	char span[SPAN_TEXT_MAX];

	if (host_has(service->host, HOST_WATCHES) || !config->n_probes ||
	    service_is_front(service) || !(plane_noted_ill(service->plane, &noted) >> slot & 1) ||
	    noted + config->rule.fall * config->interval_usec + NOTED_USEC < now ||
	    instance_facts(service->instances[slot])->ready_usec > noted)
		return false;
	problem_set(
		ret_refusal, 0,
		"%s: slot %u was unhealthy %s ago, when hsd asked it last; start hsd, which asks "
		"it again, or take it as it is: hsctl failover %s --to=%u",
		service->name, slot, span_format(now - noted, span, sizeof(span)), service->name,
		slot);
	return true;
}

uint64_t health_patience(const struct service *service)
{
	const struct config_health *config = &service->config.health;

	return config->rule.rise * (config->timeout_usec + EAGER_USEC) + PROBER_START_USEC;
}

int health_new(struct service *service, struct health_watch **ret_watch)
{
	struct health_watch *watch = calloc(1, sizeof(*watch));
	int r;

	if (!watch)
		return -ENOMEM;
	watch->service = service;
	watch->used = service->config.health;
	for (unsigned i = 0; i < HS_SLOTS_MAX; i++) {
		watch->slots[i].watch = watch;
		watch->slots[i].number = i;
		publish(&watch->slots[i]);
	}
	r = sd_event_add_time(service->host->event, &watch->timer, CLOCK_MONOTONIC, 0,
			      USEC_PER_MSEC, on_due, watch);
	if (r < 0) {
		free(watch);
		return r;
	}
	*ret_watch = watch;
	return 0;
}

struct health_watch *health_free(struct health_watch *watch)
{
	if (!watch)
		return NULL;
	for (unsigned i = 0; i < HS_SLOTS_MAX; i++) {
		cancel(&watch->slots[i]);
		free(watch->slots[i].checks);
	}
	begin_or_end(watch, false);
	memset(watch->service->verdicts, 0, sizeof(watch->service->verdicts));
	sd_event_source_disable_unref(watch->timer);
	free(watch);
	return NULL;
}
