// SPDX-License-Identifier: GPL-2.0-or-later
/* policy, canary: the fields of the routing word beside the active slot. */
#include <string.h>

#include "core/canary.h"
#include "core/spread/spread.h"
#include "core/word.h"
#include "hsctl/standin.h"
#include "hsctl/verb/verb.h"
#include "hsctl/verb_functions.h"
#include "service/whole/calls.h"
#include "service/whole/calls_spread.h"
#include "util/macro.h"
#include "util/parse.h"

static void set_policy(const char *service, enum hs_policy policy, const char *by,
		       struct reply *reply)
{
	_cleanup_(standin_freep) struct standin *standin = standin_new(service, reply);

	if (!standin)
		return;
	if (policy == HS_POLICY_HASH)
		call_set_hash(standin_service(standin), by, standin_ask(standin, reply));
	else
		call_set_policy(standin_service(standin), policy_to_string(policy),
				standin_ask(standin, reply));
	standin_wait(standin, NULL, USEC_INFINITY);
}

int verb_policy(const struct arguments *arguments)
{
	enum hs_policy policy = policy_from_string(arguments->given[1]);
	const char *by = arguments->texts[TEXT_BY] ?: "";
	char service[SERVICE_NAME_MAX];
	struct reply reply = {0};
	struct client_call call = {
		.service = service,
		.method = policy == HS_POLICY_HASH ? "SetHash" : "SetPolicy",
		.timeout_usec = verb_timeout(arguments, VERB_TIMEOUT),
	};
	enum client_answer answer;

	if (verb_service(arguments, service))
		return EXIT_USAGE;
	if (policy == HS_POLICY_COUNT) {
		complain("there is no such policy; hsctl policy %s standby|parity|hash", service);
		return EXIT_USAGE;
	}
	if (by[0] && (policy != HS_POLICY_HASH || !spread_by_from_string(by))) {
		complain("--by takes client or connection, and is for policy hash: hsctl policy %s "
			 "hash --by=client",
			 service);
		return EXIT_USAGE;
	}
	answer = client_ask(arguments, &call, &reply, "s",
			    policy == HS_POLICY_HASH ? by : policy_to_string(policy));
	if (verb_may_do_directly(arguments, answer)) {
		set_policy(service, policy, by, &reply);
		verb_tell_direct(arguments, &reply);
	}
	return verb_end(arguments, &reply);
}

static int parse_share(const char *text, uint32_t *ret_share)
{
	if (strcmp(text, "off"))
		return parse_percent(text, ret_share);
	*ret_share = 0;
	return 0;
}

static int read_filter(const struct arguments *arguments, struct canary_filter *ret_filter)
{
	const char *by = arguments->texts[TEXT_BY], *from = arguments->texts[TEXT_FROM];
	struct canary_filter filter = {0};
	struct problem problem;

	if (by && canary_set_by(&filter, by) < 0) {
		complain("--by takes connection or client");
		return EXIT_USAGE;
	}
	if (from && canary_add_list(&filter, from, &problem) < 0) {
		complain("--from: %s", problem.text);
		return EXIT_USAGE;
	}
	*ret_filter = filter;
	return EXIT_DONE;
}

static void set_canary(const char *service, const struct canary_call *call, struct reply *reply)
{
	_cleanup_(standin_freep) struct standin *standin = standin_new(service, reply);

	if (!standin)
		return;
	call_set_canary(standin_service(standin), call, standin_ask(standin, reply));
	standin_wait(standin, NULL, USEC_INFINITY);
}

int verb_canary(const struct arguments *arguments)
{
	char service[SERVICE_NAME_MAX];
	struct reply reply = {0};
	struct client_call call = {
		.service = service,
		.method = "SetCanary",
		.timeout_usec = verb_timeout(arguments, VERB_TIMEOUT),
	};
	const char *from = arguments->texts[TEXT_FROM];
	struct canary_filter filter;
	enum client_answer answer;
	uint32_t share;

	if (verb_service(arguments, service))
		return EXIT_USAGE;
	if (parse_share(arguments->given[1], &share) < 0) {
		complain("a canary share is 0%% to 100%% or \"off\", such as: hsctl canary %s 5%%",
			 service);
		return EXIT_USAGE;
	}
	if (read_filter(arguments, &filter))
		return EXIT_USAGE;
	answer = client_ask(arguments, &call, &reply, "uiss", share, arguments->to,
			    canary_by(&filter), from ?: "");
	if (verb_may_do_directly(arguments, answer)) {
		struct canary_call wanted = {
			.share = share,
			.to = arguments->to,
			.by = canary_by(&filter),
			.from = from ?: "",
		};

		set_canary(service, &wanted, &reply);
		verb_tell_direct(arguments, &reply);
	}
	return verb_end(arguments, &reply);
}
