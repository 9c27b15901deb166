// SPDX-License-Identifier: GPL-2.0-or-later
/* list, status: looking. */
#include "hsctl/json.h"
#include "hsctl/verb/verb.h"
#include "hsctl/verb/watch.h"
#include "hsctl/verbs.h"
#include "hsctl/wrap.h"
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

	verb_look(arguments, service);
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

/* What a table or a sentence has too much for the terminal goes to the next line, by whole words.
 */
static void render_wrapped(const struct arguments *arguments, json_object *object,
			   void (*show)(const struct render *render, json_object *object))
{
	struct render render = verb_render(arguments);
	_cleanup_(freep) char *text = NULL;
	size_t size;

	render.out = open_memstream(&text, &size);
	if (!render.out)
		return;
	show(&render, object);
	if (!fclose(render.out))
		wrap_print(stdout, text);
}

int verb_list(const struct arguments *arguments)
{
	_cleanup_(json_object_putp) json_object *statuses = NULL, *list = NULL;
	int exit;

	statuses = look(arguments, NULL, &exit);
	if (!statuses)
		return exit;
	list = list_from_statuses(statuses);
	if (arguments->json)
		puts(json_line(list));
	else if (json_count(list))
		render_wrapped(arguments, list, render_list);
	else
		render_wrapped(arguments, statuses, render_status);
	return EXIT_DONE;
}

static int show_once(const struct arguments *arguments, const char *service)
{
	_cleanup_(json_object_putp) json_object *status = NULL;
	int exit;

	status = look(arguments, service, &exit);
	if (!status)
		return exit;
	if (arguments->json)
		puts(json_line(status));
	else
		render_wrapped(arguments, status, render_status);
	return EXIT_DONE;
}

static void draw(const struct arguments *arguments, const char *service, FILE *out)
{
	_cleanup_(json_object_putp) json_object *status = NULL;
	struct render render = verb_render(arguments);
	struct reply reply = {0};
	bool direct;

	render.out = out;
	verb_look(arguments, service);
	verb_describe(arguments, service, &reply, &direct);
	status = json_parse(reply.text);
	if (!status)
		fprintf(out, "%s\n", reply.problem.text);
	else if (arguments->json)
		fprintf(out, "%s\n", json_line(status));
	else
		render_status(&render, status);
	reply_done(&reply);
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
	if (arguments->watch)
		return watch(arguments, &(struct watched) {service, draw});
	return show_once(arguments, service);
}
