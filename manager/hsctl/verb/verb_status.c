// SPDX-License-Identifier: GPL-2.0-or-later
/* list, status: looking. */
#include "hsctl/json.h"
#include "hsctl/verb/verb.h"
#include "hsctl/verb/watch.h"
#include "hsctl/verb_functions.h"
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

/* What there is of an answer (whose exit code is `exit`). NULL after a complaint; *ret_exit says
 * how bad. */
static json_object *take(const struct arguments *arguments, int exit, bool direct,
			 struct reply *reply, int *ret_exit)
{
	json_object *object = exit ? NULL : json_parse(reply->text);

	*ret_exit = exit;
	if (!object) {
		*ret_exit = fail(reply);
		return NULL;
	}
	if (direct)
		verb_tell_direct(arguments, reply);
	reply_done(reply);
	return object;
}

/* A status object or an array of them; see take(). */
static json_object *look(const struct arguments *arguments, const char *service, int *ret_exit)
{
	struct reply reply = {0};
	bool direct;
	int exit;

	verb_look(arguments, service);
	exit = verb_describe(arguments, service, &reply, &direct);
	return take(arguments, exit, direct, &reply, ret_exit);
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
	_cleanup_(json_object_putp) json_object *list = NULL;
	struct reply reply = {0};
	bool direct;
	int exit;

	verb_look(arguments, NULL);
	exit = verb_ask_list(arguments, &reply, &direct);
	list = take(arguments, exit, direct, &reply, &exit);
	if (!list)
		return exit;
	if (arguments->json)
		puts(json_line(list));
	else if (json_count(list))
		render_wrapped(arguments, list, render_list);
	else /* says what to do */
		render_wrapped(arguments, list, render_status);
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
