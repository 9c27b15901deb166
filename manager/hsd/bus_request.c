// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsd/bus_request.h"

#include "core/contract.h"
#include "hsd/callers.h"
#include "hsd/state.h"
#include "util/macro.h"

struct bus_request {
	struct request request; /* the first: see of() */
	sd_bus_message *message;
	struct callers *callers;
	struct journal_actor by; /* who may have left the bus by the time that it is needed */
	sd_bus *bus;		 /* to who knows them */
};

static struct bus_request *of(const struct request *request)
{
	return (struct bus_request *)request;
}

static void end(struct request *request)
{
	sd_bus_message_unref(of(request)->message);
	free(of(request));
}

static void done(struct request *request, const char *json, int fd)
{
	sd_bus_message *message = of(request)->message;

	if (fd >= 0)
		sd_bus_reply_method_return(message, "sh", json, fd);
	else
		sd_bus_reply_method_return(message, json ? "s" : "", json);
	end(request);
}

static void fail(struct request *request, enum request_failure failure, const char *sentence)
{
	static const char *const names[] = {
		[REQUEST_REFUSED] = BUS_ERROR_REFUSED,
		[REQUEST_UNDONE] = BUS_ERROR_UNDONE,
		[REQUEST_NO_SERVICE] = BUS_ERROR_NO_SERVICE,
		[REQUEST_INVALID] = BUS_ERROR_INVALID,
		[REQUEST_FAILED] = BUS_ERROR_FAILED,
		[REQUEST_LEFT] = SD_BUS_ERROR_NO_REPLY,
		[REQUEST_DENIED] = SD_BUS_ERROR_ACCESS_DENIED,
	};

	_Static_assert(ARRAY_SIZE(names) == REQUEST_FAILURE_COUNT, "a name for each");
	sd_bus_reply_method_errorf(of(request)->message, names[failure], "%s", sentence);
	end(request);
}

static void actor(const struct request *request, struct journal_actor *ret_actor)
{
	*ret_actor = of(request)->by;
}

static bool may_see(const struct request *request)
{
	return callers_may_see(of(request)->callers, of(request)->message);
}

static bool is_root(const struct request *request)
{
	return callers_is_root(of(request)->callers, of(request)->message);
}

static int ask_peer(struct request *request, peer_fn on_answer, void *userdata,
		    struct peer_question **ret_question)
{
	return peer_question_new(of(request)->bus, of(request)->message, on_answer, userdata,
				 ret_question);
}

static const struct request_ops ops = {
	.done = done,
	.fail = fail,
	.actor = actor,
	.may_see = may_see,
	.is_root = is_root,
	.ask_peer = ask_peer,
};

int bus_request_new(const struct manager *manager, sd_bus_message *m, struct request **ret_request)
{
	struct bus_request *made = calloc(1, sizeof(*made));

	if (!made)
		return -ENOMEM;
	*made = (struct bus_request) {
		.request.ops = &ops,
		.message = sd_bus_message_ref(m),
		.callers = manager->callers,
		.bus = manager->host.bus,
	};
	callers_actor(manager->callers, m, &made->by);
	*ret_request = &made->request;
	return 0;
}
