// SPDX-License-Identifier: GPL-2.0-or-later
/* list, status, connections: looking. */
#include "hsctl/direct.h"
#include "hsctl/json.h"
#include "hsctl/verb.h"
#include "hsctl/verbs.h"
#include "hsctl/watch.h"
#include "util/macro.h"

static int fail(struct reply *reply)
{
	int exit = reply->exit ? reply->exit : EXIT_FAILED;

	complain("%s",
		 reply->problem.text[0] ? reply->problem.text : "hsd's answer is not understood");
	reply_done(reply);
	return exit;
}

/* A status object or an array of them. NULL after a complaint; *ret_exit says how bad. */
static json_object *look(const struct arguments *arguments, const char *service, int *ret_exit)
{
	json_object *object = NULL;
	struct reply reply = {0};
	bool direct;

	*ret_exit = verb_describe(arguments, service, &reply, &direct);
	if (!*ret_exit)
		object = json_parse(reply.text);
	if (!object) {
		*ret_exit = fail(&reply);
		return NULL;
	}
	if (direct)
		verb_tell_direct(arguments, &reply);
	reply_done(&reply);
	return object;
}

int verb_list(const struct arguments *arguments)
{
	_cleanup_(json_object_putp) json_object *statuses = NULL, *list = NULL;
	struct render render = verb_render(arguments);
	int exit;

	statuses = look(arguments, NULL, &exit);
	if (!statuses)
		return exit;
	list = list_from_statuses(statuses);
	if (arguments->json)
		puts(json_line(list));
	else if (json_count(list))
		render_list(&render, list);
	else
		render_status(&render, statuses);
	return EXIT_DONE;
}

static int show_once(const struct arguments *arguments, const char *service)
{
	_cleanup_(json_object_putp) json_object *status = NULL;
	struct render render = verb_render(arguments);
	int exit;

	status = look(arguments, service, &exit);
	if (!status)
		return exit;
	if (arguments->json)
		puts(json_line(status));
	else
		render_status(&render, status);
	return EXIT_DONE;
}

int verb_status(const struct arguments *arguments)
{
	char name[SERVICE_NAME_MAX];
	const char *service = NULL;

	if (arguments->n) {
		if (verb_service(arguments, name))
			return EXIT_USAGE;
		service = name;
	}
	return arguments->watch ? watch_status(arguments, service) : show_once(arguments, service);
}

/* The whole list, from hsd or made here. */
static int look_at_each(const struct arguments *arguments, const char *service, struct reply *reply)
{
	struct client_call call = {
		.service = service,
		.method = "Connections",
		.timeout_usec = verb_timeout(arguments, VERB_TIMEOUT),
	};
	enum client_answer answer = client_ask(arguments, &call, reply, "");

	if (!verb_may_do_directly(arguments, answer))
		return reply->exit;
	*reply = (struct reply) {0};
	direct_connections(service, reply);
	verb_tell_direct(arguments, reply);
	return reply->exit;
}

/* The counts are in the status already, whatever the number of connections. */
static json_object *look_at_counts(const struct arguments *arguments, const char *service,
				   int *ret_exit)
{
	_cleanup_(json_object_putp) json_object *status = look(arguments, service, ret_exit);

	return status ? connections_from_status(status) : NULL;
}

int verb_connections(const struct arguments *arguments)
{
	_cleanup_(json_object_putp) json_object *connections = NULL;
	struct render render = verb_render(arguments);
	char service[SERVICE_NAME_MAX];
	struct reply reply = {0};
	int exit = EXIT_DONE;

	if (verb_service(arguments, service))
		return EXIT_USAGE;
	if (!arguments->list) {
		connections = look_at_counts(arguments, service, &exit);
		if (!connections)
			return exit;
	} else {
		if (!look_at_each(arguments, service, &reply))
			connections = json_parse(reply.text);
		if (!connections)
			return fail(&reply);
		reply_done(&reply);
	}
	if (arguments->json)
		puts(json_line(connections));
	else
		render_connections(&render, connections);
	return EXIT_DONE;
}
