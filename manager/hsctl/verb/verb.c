// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsctl/verb/verb.h"

#include <stdarg.h>
#include <string.h>
#include <time.h>

#include "hsctl/json.h"
#include "hsctl/standin.h"
#include "hsctl/verb/since.h"
#include "hsctl/wrap.h"
#include "util/files.h"
#include "util/macro.h"

#define RELOAD_TIMEOUT (10 * USEC_PER_SEC)

uint64_t verb_timeout(const struct arguments *arguments, uint64_t otherwise)
{
	return arguments->timeout_usec == USEC_INFINITY ? otherwise : arguments->timeout_usec;
}

bool verb_may_do_directly(const struct arguments *arguments, enum client_answer answer)
{
	return answer == CLIENT_ABSENT && !arguments->host && !arguments->machine;
}

void verb_tell_direct(const struct arguments *arguments, const struct reply *reply)
{
	if (reply->exit == EXIT_DONE || reply->exit == EXIT_UNDONE)
		complain("%sdone directly through the kernel's pins",
			 arguments->direct ? "" : "hsd is not running; ");
}

int verb_tell_under_way(const struct arguments *arguments, json_object *what, const char *template,
			...)
{
	va_list args;

	if (arguments->json) {
		json_object_object_add(what, "outcome", json_object_new_string("under-way"));
		puts(json_line(what));
	} else {
		va_start(args, template);
		vprintf(template, args);
		va_end(args);
		putchar('\n');
	}
	json_object_put(what);
	return EXIT_DONE;
}

int verb_service(const struct arguments *arguments, char ret_service[SERVICE_NAME_MAX])
{
	struct problem problem = {0};

	if (!arguments_service(arguments, ret_service, &problem))
		return EXIT_DONE;
	complain("%s", problem.text);
	return EXIT_USAGE;
}

int verb_since(const struct arguments *arguments, uint64_t *ret_seconds)
{
	const char *since = arguments->texts[TEXT_SINCE];

	if (!since || since_parse(since, time(NULL), ret_seconds) >= 0)
		return EXIT_DONE;
	complain("\"%s\" is no value for --since; it takes a span such as 2h, or a time "
		 "such as \"2026-11-30 10:45\"",
		 since);
	return EXIT_USAGE;
}

int verb_end_of_journal(int r)
{
	if (r >= 0 || r == -EINTR || r == -EPIPE)
		return EXIT_DONE;
	if (r == -ENOMEDIUM)
		complain("there is no journal on this machine, so nothing is known of what was: "
			 "see that systemd-journald runs (systemctl status systemd-journald), and "
			 "that Storage= in journald.conf(5) is not none");
	else
		complain("cannot read the journal: %s", strerror(-r));
	return EXIT_FAILED;
}

static void say(const char *sentence)
{
	_cleanup_(freep) char *line = format("%s\n", sentence);

	wrap_print(stdout, line ?: sentence);
}

int verb_end(const struct arguments *arguments, struct reply *reply)
{
	_cleanup_(json_object_putp) json_object *object = json_parse(reply->text);
	const char *message = json_text(object, "message");
	int exit = reply->exit;

	if (exit)
		complain("%s", reply->problem.text);
	if (object && arguments->json)
		puts(json_line(object));
	else if (message[0])
		say(message);
	reply_done(reply);
	return exit;
}

struct render verb_render(const struct arguments *arguments)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (struct render) {
		.out = stdout,
		.color = arguments->color,
		.now_usec = now.tv_sec * USEC_PER_SEC + now.tv_nsec / NSEC_PER_USEC,
	};
}

void verb_look(const struct arguments *arguments, const char *service)
{
	_cleanup_(reply_done) struct reply reply = {0};
	struct client_call call = {.method = "LookForOutdated"};

	call.timeout_usec = MIN(verb_timeout(arguments, VERB_TIMEOUT), VERB_LOOK_PATIENCE);
	/* without it something is not told: no reason to tell nothing */
	(void)client_ask(arguments, &call, &reply, "s", service ?: "");
}

int verb_describe(const struct arguments *arguments, const char *service, struct reply *ret_reply,
		  bool *ret_direct)
{
	struct client_call call = {
		.service = service,
		.method = "Describe",
		.timeout_usec = verb_timeout(arguments, VERB_TIMEOUT),
	};
	enum client_answer answer = client_ask(arguments, &call, ret_reply, "");

	/* looking can be done twice */
	*ret_direct =
		verb_may_do_directly(arguments, answer == CLIENT_LOST ? CLIENT_ABSENT : answer);
	if (!*ret_direct)
		return ret_reply->exit;
	*ret_reply = (struct reply) {0};
	return standin_describe(service, ret_reply);
}

int verb_ask_list(const struct arguments *arguments, struct reply *ret_reply, bool *ret_direct)
{
	struct client_call call = {
		.method = "List",
		.timeout_usec = verb_timeout(arguments, VERB_TIMEOUT),
	};
	enum client_answer answer = client_ask(arguments, &call, ret_reply, "");

	*ret_direct =
		verb_may_do_directly(arguments, answer == CLIENT_LOST ? CLIENT_ABSENT : answer);
	if (!*ret_direct)
		return ret_reply->exit;
	*ret_reply = (struct reply) {0};
	return standin_list(ret_reply);
}

int verb_inspect(const struct arguments *arguments, const char *service,
		 const struct connections_query *query, struct reply *ret_reply, bool *ret_direct)
{
	struct client_call call = {
		.service = service,
		.method = "InspectConnections",
		.timeout_usec = verb_timeout(arguments, VERB_TIMEOUT),
	};
	enum client_answer answer =
		client_ask(arguments, &call, ret_reply, "tb", query->idle_usec, (int)query->list);

	*ret_direct =
		verb_may_do_directly(arguments, answer == CLIENT_LOST ? CLIENT_ABSENT : answer);
	if (!*ret_direct)
		return ret_reply->exit;
	*ret_reply = (struct reply) {0};
	return standin_connections(service, query, ret_reply);
}

bool verb_tell_manager(const struct arguments *arguments)
{
	_cleanup_(reply_done) struct reply reply = {0};
	struct client_call call = {.method = "Reload", .timeout_usec = RELOAD_TIMEOUT};
	struct arguments local = *arguments;
	enum client_answer answer;

	local.direct = false;
	answer = client_ask(&local, &call, &reply, "");
	if (answer == CLIENT_ABSENT)
		return false;
	if (answer != CLIENT_ANSWERED)
		complain("hsd has not read the settings again: %s", reply.problem.text);
	return true;
}
