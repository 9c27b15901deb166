// SPDX-License-Identifier: GPL-2.0-or-later
/* metrics: what hsd says of itself and its services, for Prometheus. */
#include "hsctl/json.h"
#include "hsctl/metrics/metrics.h"
#include "hsctl/verb/verb.h"
#include "hsctl/verb_functions.h"
#include "util/macro.h"

/* NULL: nobody answers, or it is a hsd that does not know the question. */
static json_object *ask_manager(const struct arguments *arguments)
{
	_cleanup_(reply_done) struct reply reply = {0};
	struct client_call call = {
		.method = "DescribeManager",
		.timeout_usec = verb_timeout(arguments, VERB_TIMEOUT),
	};

	return client_ask(arguments, &call, &reply, "") == CLIENT_ANSWERED ? json_parse(reply.text)
									   : NULL;
}

static void print_json(const struct metrics_facts *facts)
{
	_cleanup_(json_object_putp) json_object *object = json_object_new_object();

	json_object_object_add(object, "up", json_object_new_boolean(facts->up));
	json_object_object_add(object, "manager", json_object_get(facts->manager));
	json_object_object_add(object, "services", json_object_get(facts->services));
	puts(json_line(object));
}

/* That hsd is away is a fact, too: it is printed, and told by the exit code where nothing else is
 * known. */
int verb_metrics(const struct arguments *arguments)
{
	_cleanup_(json_object_putp) json_object *services = NULL, *manager = NULL;
	_cleanup_(reply_done) struct reply reply = {0};
	struct metrics_facts facts = {0};
	bool direct;
	int exit = verb_describe(arguments, NULL, &reply, &direct);

	services = json_parse(reply.text);
	facts.up = !exit && !direct;
	if (facts.up)
		manager = ask_manager(arguments);
	facts.services = services;
	facts.manager = manager;
	if (arguments->json)
		print_json(&facts);
	else
		metrics_write(stdout, arguments->openmetrics ? METRICS_OPENMETRICS : METRICS_TEXT,
			      &facts);
	if (exit)
		complain("%s", reply.problem.text);
	return exit;
}
