// SPDX-License-Identifier: GPL-2.0-or-later
/* park, release: holding new connections, and letting them go. */
#include "hsctl/standin.h"
#include "hsctl/verb/verb.h"
#include "hsctl/verb_functions.h"
#include "service/whole/calls.h"
#include "util/macro.h"

/* The flag alone: what waits is handed over by the next hsd. */
static void do_directly(const char *service, bool hold, struct reply *reply)
{
	_cleanup_(standin_freep) struct standin *standin = standin_new(service, reply);

	if (!standin)
		return;
	call_hold(standin_service(standin), hold, standin_ask(standin, reply));
	standin_wait(standin, NULL, USEC_INFINITY);
}

static int change(const struct arguments *arguments, bool hold)
{
	char service[SERVICE_NAME_MAX];
	struct reply reply = {0};
	struct client_call call = {
		.service = service,
		.method = hold ? "Park" : "Release",
		.timeout_usec = verb_timeout(arguments, VERB_TIMEOUT),
	};
	enum client_answer answer;

	if (verb_service(arguments, service))
		return EXIT_USAGE;
	answer = client_ask(arguments, &call, &reply, "");
	if (verb_may_do_directly(arguments, answer)) {
		do_directly(service, hold, &reply);
		verb_tell_direct(arguments, &reply);
		if (!hold && reply.exit == EXIT_DONE)
			complain("what waits is handed over by hsd, as soon as it runs");
	}
	return verb_end(arguments, &reply);
}

int verb_park(const struct arguments *arguments)
{
	return change(arguments, true);
}

int verb_release(const struct arguments *arguments)
{
	return change(arguments, false);
}
