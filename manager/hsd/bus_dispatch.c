// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsd/bus_dispatch.h"

#include <string.h>

#include "core/contract.h"
#include "hsd/bus.h"
#include "hsd/bus_methods.h"
#include "hsd/bus_tables.h"
#include "hsd/callers.h"
#include "hsd/state.h"
#include "service/change/run.h"
#include "util/macro.h"

/* What a question to polkit costs its user's budget, besides what hsd has to do for it: some ten
 * messages, by way of a bus that others wait for, too. */
#define QUESTION_COST (10 * USEC_PER_MSEC)

/* A call on its way. */
struct call {
	struct manager *manager;
	sd_bus_message *message;
	struct service *service;	   /* NULL: it is of the manager */
	const struct polkit_case *granted; /* polkit has said that this is given */
};

/* ---- who needs a right ---- */

static int refuse(sd_bus_error *error, enum right_answer answer, enum right right,
		  const char *detail)
{
	struct problem sentence;

	right_describe(answer, right, detail, &sentence);
	return sd_bus_error_set(error,
				answer == RIGHT_UNASKED
					? SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED
					: SD_BUS_ERROR_ACCESS_DENIED,
				sentence.text);
}

/* Its types are those of the method, as was checked. */
static int read_slot(sd_bus_message *m, const struct guarded *guarded)
{
	int32_t slot = -1;

	for (const char *type = guarded->slot; *type; type++)
		if (sd_bus_message_read_basic(m, *type, &slot) < 0)
			slot = -1;
	sd_bus_message_rewind(m, true);
	return slot < 0 || slot >= HS_SLOTS_MAX ? -1 : slot;
}

static enum right needs(const struct call *call, const struct guarded *guarded)
{
	return right_needed(guarded, call->service && call->service->runs[SERVICE_UPGRADE]);
}

static void refuse_busy(const struct call *call, uid_t uid)
{
	struct problem sentence;

	problem_set(&sentence, 0,
		    "polkit has not answered yet what user %u, or everybody, has asked before; "
		    "answer its questions, or ask again later",
		    uid);
	callers_refuse(call->manager->callers, call->message, sentence.text);
}

/* It is carried out later, when that is given. 1, or an error. */
static int ask(const struct call *call, const struct guarded *guarded, sd_bus_error *error)
{
	struct polkit_case asked = {
		.message = call->message,
		.right = needs(call, guarded),
		.verb = guarded->verb,
		.service = call->service ? call->service->name : "",
		.slot = read_slot(call->message, guarded),
		.uid = callers_uid(call->manager->callers, call->message),
	};
	int r;

	if (bus_length(call->message) < 0)
		return sd_bus_error_setf(error, SD_BUS_ERROR_LIMITS_EXCEEDED,
					 "this is longer than what users other than root may ask");
	callers_actor(call->manager->callers, call->message, &asked.by);
	snprintf(asked.by.right, sizeof(asked.by.right), "%s", right_to_action(asked.right));
	callers_charge(call->manager->callers, QUESTION_COST);
	r = polkit_ask(call->manager->polkit, &asked);
	if (r == -EBUSY)
		refuse_busy(call, asked.uid);
	return r < 0 && r != -EBUSY ? r : 1;
}

static const struct run *ended_by(const struct call *call, const struct guarded *guarded)
{
	static const enum service_work works[] = {
		[RIGHT_ENDS_NOTHING] = SERVICE_IDLE,
		[RIGHT_ENDS_UPGRADE] = SERVICE_UPGRADE,
		[RIGHT_ENDS_DRAIN] = SERVICE_DRAIN,
	};

	_Static_assert(ARRAY_SIZE(works) == RIGHT_END_COUNT, "what each ends");
	return call->service && guarded->ends ? call->service->runs[works[guarded->ends]] : NULL;
}

static bool ends_own(const struct call *call, const struct guarded *guarded)
{
	const struct run *run = ended_by(call, guarded);
	struct journal_actor by;

	callers_actor(call->manager->callers, call->message, &by);
	return run && right_may_end(guarded, by.uid, run->by.uid, run->by.right);
}

/* 0: go on. 1: it is answered, or will be. Or an error. */
static int permit(const struct call *call, const sd_bus_vtable *method, sd_bus_error *error)
{
	const char *member = sd_bus_message_get_member(call->message);
	const struct guarded *guarded = right_of_method(member);

	if (method->flags & SD_BUS_VTABLE_UNPRIVILEGED ||
	    callers_is_root(call->manager->callers, call->message))
		return 0;
	if (!guarded)
		return sd_bus_error_setf(error, SD_BUS_ERROR_ACCESS_DENIED,
					 "only root may call %s; run it with sudo", member);
	if (right_is_of_members(guarded) && callers_may_see(call->manager->callers, call->message))
		return 0;
	if (!call->granted && ends_own(call, guarded))
		return 0;
	if (!call->granted)
		return ask(call, guarded, error);
	if (needs(call, guarded) == call->granted->right)
		return 0;
	return sd_bus_error_setf(error, BUS_ERROR_REFUSED,
				 "something has begun or ended while polkit was asked, and this "
				 "needs another right now; ask again");
}

/* ---- carrying out ---- */

static int call_method(const struct call *call, const sd_bus_vtable *method, void *object,
		       sd_bus_error *error)
{
	sd_bus_message *m = call->message;
	int r;

	if (!method)
		return sd_bus_error_setf(error, SD_BUS_ERROR_UNKNOWN_METHOD,
					 "there is no method %s", sd_bus_message_get_member(m));
	if (!sd_bus_message_has_signature(m, method->x.method.signature))
		return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
					 "%s takes \"%s\", not \"%s\"",
					 sd_bus_message_get_member(m), method->x.method.signature,
					 sd_bus_message_get_signature(m, true));
	r = permit(call, method, error);
	return r ? r : method->x.method.handler(m, object, error);
}

static int dispatch(struct call *call, sd_bus_error *error)
{
	sd_bus_message *m = call->message;
	const char *path = sd_bus_message_get_path(m), *member = sd_bus_message_get_member(m);

	call->service = bus_find_service(call->manager, path);
	if (call->service && bus_is_of(m, BUS_SERVICE_INTERFACE))
		return call_method(call, bus_find_method(bus_service_vtable, member), call->service,
				   error);
	if (!strcmp(path, BUS_PATH) && bus_is_of(m, BUS_MANAGER_INTERFACE))
		return call_method(call, bus_find_method(bus_manager_vtable, member), call->manager,
				   error);
	if (call->service || !strcmp(path, BUS_PATH))
		return sd_bus_error_setf(error, SD_BUS_ERROR_UNKNOWN_INTERFACE,
					 "there is no interface %s here",
					 sd_bus_message_get_interface(m));
	return sd_bus_error_setf(error, SD_BUS_ERROR_UNKNOWN_OBJECT, "there is no object %s", path);
}

static void answer_error(sd_bus_message *m, int r, const sd_bus_error *error)
{
	if (sd_bus_error_is_set(error))
		sd_bus_reply_method_error(m, error);
	else if (r < 0)
		sd_bus_reply_method_errno(m, r, NULL);
}

void bus_dispatch(sd_bus_message *m, void *userdata)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	struct call call = {.manager = userdata, .message = m};

	answer_error(m, dispatch(&call, &error), &error);
}

void bus_dispatch_asked(const struct polkit_case *asked, enum right_answer answer,
			const char *detail, void *userdata)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	struct manager *manager = userdata;
	struct call call = {.manager = manager, .message = asked->message, .granted = asked};
	int r;

	callers_begin(manager->callers, asked->uid, &asked->by);
	if (answer == RIGHT_GIVEN)
		r = dispatch(&call, &error);
	else
		r = refuse(&error, answer, asked->right, detail);
	answer_error(asked->message, r, &error);
	callers_end(manager->callers);
}
