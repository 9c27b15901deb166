// SPDX-License-Identifier: GPL-2.0-or-later
#include "service/slot/ownership.h"

#include <string.h>

#include "plane/act/owners.h"
#include "service/slot/orders.h"
#include "util/clock.h"
#include "util/macro.h"

/* How long one waits for another to have its sockets: within the time that the hook has. */
#define PATIENCE (3 * USEC_PER_SEC)
/* How long after its preparation a server is expected to open its sockets, */
#define BINDING_MAX (10 * USEC_PER_SEC)
/* and how long after one of them more of them: those of other workers. */
#define QUIET (100 * USEC_PER_MSEC)
/* How often that is looked at where nobody tells of it. */
#define LOOK_EVERY (20 * USEC_PER_MSEC)
/* What is left for the rest of a preparation. */
#define SPARE_TIME (500 * USEC_PER_MSEC)

static void again(struct instance *instance)
{
	service_post(instance->service, EVENT_MAY_PREPARE, instance->slot, false);
}

static void on_answer(int error, uid_t uid, void *userdata)
{
	struct instance *instance = userdata;
	struct ownership *own = &instance->ownership;

	own->question = owner_question_free(own->question);
	own->known = true;
	own->error = error;
	own->uid = uid;
	again(instance);
}

static void on_found(struct work_answer *answer, void *userdata)
{
	struct instance *instance = userdata;
	uid_t uid = 0;
	int error = answer->result;

	instance->ownership.finding = NULL;
	if (!error && answer->size == sizeof(uid))
		memcpy(&uid, answer->data, sizeof(uid));
	else if (!error)
		error = -EBADMSG;
	on_answer(error, uid, instance);
}

/* Not in the event loop: the user database may be on a machine that does not answer. */
static int find_elsewhere(struct instance *instance, const struct unit_facts *facts)
{
	struct work_order order = {.kind = WORK_USER};

	snprintf(order.user, sizeof(order.user), "%s", facts->user);
	return instance_order(instance, &order, on_found, instance, &instance->ownership.finding);
}

/* True when it is known, or known not to be found out. */
static bool find_uid(struct instance *instance, const struct unit_facts *facts)
{
	struct ownership *own = &instance->ownership;

	if (own->known || own->question || own->finding)
		return own->known;
	own->error = owner_of(facts, &own->uid);
	if (own->error == -EINPROGRESS)
		own->error = owner_question_new(instance->service->host->bus, facts, on_answer,
						instance, &own->question);
	else if (own->error == -ENOLINK)
		own->error = find_elsewhere(instance, facts);
	own->known = !own->question && !own->finding;
	return own->known;
}

/* Of a run that began unseen its unit tells. */
static bool is_other_than_root(const struct instance *instance)
{
	const struct unit_facts *facts = instance_facts(instance);

	return instance->ownership.other_than_root || (unit_lives(facts) && !owner_is_root(facts));
}

/* A server of root's may take another user before it opens its sockets. Where all of them are like
 * that, what they do is alike. */
static bool all_are_root(const struct service *service, const struct unit_facts *facts)
{
	bool root = owner_is_root(facts);

	for (unsigned i = 0; i < service->n_slots; i++)
		root &= !is_other_than_root(service->instances[i]);
	return root;
}

/* It is starting, and has no sockets yet. */
static bool is_to_bind(const struct instance *instance)
{
	enum unit_state state = instance_facts(instance)->state;

	return (state == UNIT_STARTING || state == UNIT_START_POST) &&
	       !plane_slot_sockets(instance->service->plane, instance->slot);
}

/* As others_bind_until(), for a host that has not seen them begin: of those that start at the same
 * time the one with the lower number goes first. */
static uint64_t first_binds_until(const struct instance *instance)
{
	const struct service *service = instance->service;
	const char *user = instance_facts(instance)->user;

	for (unsigned i = 0; i < instance->slot; i++)
		if (is_to_bind(service->instances[i]) &&
		    strcmp(instance_facts(service->instances[i])->user, user))
			return now_usec() + LOOK_EVERY;
	return 0;
}

/* Until when another one, with another user, may open sockets; 0 = none will. */
static uint64_t others_bind_until(const struct instance *instance)
{
	const struct service *service = instance->service;
	uint64_t until = 0;

	if (!host_has(service->host, HOST_TENDS))
		return first_binds_until(instance);
	for (unsigned i = 0; i < service->n_slots; i++) {
		const struct ownership *other = &service->instances[i]->ownership;

		if (service->instances[i] != instance &&
		    other->bound_uid != instance->ownership.uid)
			until = MAX(until, other->binding_until);
	}
	return until;
}

static int on_turn(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct instance *instance = userdata;

	(void)usec;
	sd_event_source_disable_unref(source);
	instance->ownership.turn_source = NULL;
	again(instance);
	return 0;
}

static bool wait_for_turn(struct instance *instance)
{
	struct service *service = instance->service;
	struct ownership *own = &instance->ownership;
	uint64_t now = now_usec(), until;

	if (!own->deadline)
		own->deadline = host_time(service->host, PATIENCE, SPARE_TIME);
	if (!host_has(service->host, HOST_TENDS))
		plane_refresh(service->plane);
	until = MIN(others_bind_until(instance), own->deadline);
	own->turn_source = sd_event_source_disable_unref(own->turn_source);
	return until > now &&
	       sd_event_add_time(service->host->event, &own->turn_source, CLOCK_MONOTONIC, until,
				 USEC_PER_MSEC, on_turn, instance) >= 0;
}

static void on_given(struct work_answer *answer, void *userdata)
{
	struct instance *instance = userdata;

	instance->ownership.giving = NULL;
	instance->ownership.given = true;
	instance->ownership.changed = answer->result;
	again(instance);
}

static void on_compared(struct work_answer *answer, void *userdata)
{
	struct instance *instance = userdata;
	struct ownership *own = &instance->ownership;

	own->comparing = NULL;
	/* not when another one has opened sockets since: then it is to be done anew */
	own->compared = others_bind_until(instance) < own->compared_at ||
			now_usec() >= own->deadline || answer->result < 0;
	own->differ = answer->result > 0;
	/* it would come to the same */
	if (answer->result < 0) {
		own->given = true;
		own->changed = answer->result;
	}
	again(instance);
}

/* True when it is known. Not in the event loop: before Linux 6.9 who asks sock_diag about sockets
 * waits for whoever asks for more, and that may be somebody who is held up. */
static bool compare(struct instance *instance, uid_t uid)
{
	struct ownership *own = &instance->ownership;
	struct order_scope scope = {0};
	struct work_order order = {.kind = WORK_DIFFER, .slot = instance->slot, .uid = uid};
	int r = 0;

	if (!own->compared && !own->comparing) {
		own->compared_at = now_usec();
		r = service_order(instance->service, &scope, &order, on_compared, instance,
				  &own->comparing);
	}
	if (r < 0)
		own->compared = own->differ = true;
	return own->compared;
}

/* What root's server has taken for itself is left with it. */
static uint32_t left_out(const struct service *service, uid_t uid)
{
	uint32_t slots = 0;

	for (unsigned i = 0; !uid && i < service->n_slots; i++)
		if (!is_other_than_root(service->instances[i]))
			slots |= 1U << i;
	return slots;
}

/* True when it is done, with or without success. */
static bool give_all(struct instance *instance, uid_t uid)
{
	struct service *service = instance->service;
	struct ownership *own = &instance->ownership;
	struct work_order order = {.kind = WORK_GIVE, .slot = HS_SLOT_NONE, .uid = uid};
	int parks[PLANE_LISTENERS_MAX];
	struct order_scope scope = {.left_out = left_out(service, uid), .fds = parks};
	size_t n;

	if (own->given || own->giving)
		return own->given;
	own->changed = 0;
	plane_listeners(service->plane, &n);
	if (!n)
		return true;
	if (!compare(instance, uid))
		return false;
	if (!own->differ)
		return true;
	/* what systemd opens is root's, and so is the park beside it */
	if (!unit_has_socket(instance_facts(instance)) && service->park_sockets)
		scope.n_fds = service->park_sockets(service->park, parks);
	else if (!unit_has_socket(instance_facts(instance)))
		order.all = !host_has(service->host, HOST_PARKS);
	/* from now on: others with another user wait until this one has its sockets */
	own->binding_until = now_usec() + BINDING_MAX;
	own->bound_uid = uid;
	own->changed = service_order(service, &scope, &order, on_given, instance, &own->giving);
	return own->changed < 0;
}

static bool users_differ(const struct service *service)
{
	const char *first = NULL;

	for (unsigned i = 0; i < service->n_slots; i++) {
		const struct unit_facts *facts = instance_facts(service->instances[i]);

		if (!service->instances[i]->known || !instance_is_up(facts->state))
			continue;
		if (first && strcmp(first, facts->user))
			return true;
		first = facts->user;
	}
	return false;
}

void ownership_heard(struct service *service, const struct event *event)
{
	struct work_order order;

	(void)event;
	if (!users_differ(service) || !plane_has_datagrams(service->plane))
		return;
	for (unsigned i = 0; i < service->n_slots; i++) {
		struct ownership *own = &service->instances[i]->ownership;

		if (own->datagrams_closed || !service->instances[i]->adopted_run[0])
			continue;
		order = (struct work_order) {.kind = WORK_CLOSE};
		own->datagrams_closed =
			!instance_order(service->instances[i], &order, NULL, NULL, NULL);
	}
}

static void forget_comparison(struct ownership *own)
{
	own->comparing = work_forget(own->comparing);
	own->compared = false;
}

static void forget_request(struct ownership *own)
{
	own->question = owner_question_free(own->question);
	own->turn_source = sd_event_source_disable_unref(own->turn_source);
	own->giving = work_forget(own->giving);
	own->finding = work_forget(own->finding);
	forget_comparison(own);
	own->given = false;
	own->known = false;
	own->deadline = 0;
}

bool ownership_prepare(struct instance *instance, const struct unit_facts *facts, int *ret_changed)
{
	struct ownership *own = &instance->ownership;

	*ret_changed = 0;
	if (!find_uid(instance, facts))
		return false;
	if (!own->error && !all_are_root(instance->service, facts)) {
		if (!own->given && !own->giving && wait_for_turn(instance)) {
			/* who goes first opens sockets meanwhile */
			forget_comparison(own);
			return false;
		}
		if (!give_all(instance, own->uid))
			return false;
		*ret_changed = own->changed;
	}
	if (own->error)
		*ret_changed = own->error;
	else
		own->binding_until = now_usec() + BINDING_MAX;
	own->bound_uid = own->uid;
	own->other_than_root = !owner_is_root(facts);
	forget_request(own);
	return true;
}

static void set_until(struct instance *instance, uint64_t until)
{
	struct service *service = instance->service;

	if (!instance->ownership.binding_until)
		return;
	instance->ownership.binding_until = until;
	for (unsigned i = 0; i < service->n_slots; i++)
		if (service->instances[i]->ownership.turn_source)
			instance_refresh(service->instances[i]);
}

void ownership_bound(struct instance *instance)
{
	set_until(instance, now_usec() + QUIET);
}

void ownership_ended(struct instance *instance)
{
	set_until(instance, 0);
}

void ownership_done(struct instance *instance)
{
	forget_request(&instance->ownership);
}
