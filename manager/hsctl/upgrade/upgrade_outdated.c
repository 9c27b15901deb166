// SPDX-License-Identifier: GPL-2.0-or-later
/* upgrade --outdated: one service after the other, so that what is broken in a new version is
 * undone in one of them before the next one meets it. */
#include <string.h>

#include "hsctl/json.h"
#include "hsctl/upgrade/upgrade.h"
#include "hsctl/verb/verb.h"
#include "util/macro.h"
#include "util/strings.h"

static bool is_outdated(json_object *status)
{
	json_object *slots = json_array(status, "slots"), *outdated;

	for (size_t i = 0; i < json_count(slots); i++)
		if (json_object_object_get_ex(json_object_array_get_idx(slots, i), "outdated",
					      &outdated) &&
		    outdated)
			return true;
	return false;
}

/* All of them, each as it is now. */
static int look(const struct arguments *arguments, struct reply *reply)
{
	_cleanup_(json_object_putp) json_object *statuses = NULL;
	bool direct = false;
	int exit = verb_describe(arguments, NULL, reply, &direct);

	if (exit)
		return exit;
	statuses = json_parse(reply->text);
	reply_done(reply);
	*reply = (struct reply) {0};
	/* one by one: for all at once hsd does not let anybody wait */
	for (size_t i = 0; i < json_count(statuses); i++)
		verb_look(arguments, json_text(json_object_array_get_idx(statuses, i), "service"));
	return verb_describe(arguments, NULL, reply, &direct);
}

/* The names that were given, each once, or all there are. 0, or EXIT_USAGE after a complaint. */
static int wanted(const struct arguments *arguments, json_object *statuses, char ***ret_names)
{
	struct arguments one = *arguments;
	char name[SERVICE_NAME_MAX];

	for (unsigned i = 0; i < arguments->n; i++) {
		one.given[0] = arguments->given[i];
		if (verb_service(&one, name))
			return EXIT_USAGE;
		if (!strings_contain(*ret_names, name))
			strings_add(ret_names, name);
	}
	for (size_t i = 0; !arguments->n && i < json_count(statuses); i++)
		strings_add(ret_names,
			    json_text(json_object_array_get_idx(statuses, i), "service"));
	return EXIT_DONE;
}

static json_object *find(json_object *statuses, const char *service)
{
	for (size_t i = 0; i < json_count(statuses); i++)
		if (!strcmp(json_text(json_object_array_get_idx(statuses, i), "service"), service))
			return json_object_array_get_idx(statuses, i);
	return NULL;
}

/* What is worst for who has to look after it. */
static int worse(int a, int b)
{
	static const int order[] = {EXIT_DONE, EXIT_USAGE, EXIT_REFUSED, EXIT_UNDONE, EXIT_FAILED};
	int worst = EXIT_DONE;

	for (size_t i = 0; i < ARRAY_SIZE(order); i++)
		if (order[i] == a || order[i] == b)
			worst = order[i];
	return worst;
}

static int upgrade_all(const struct arguments *arguments, char *const *names, json_object *statuses,
		       json_object *results)
{
	int exit = EXIT_DONE, n = 0;

	for (; names && *names && !upgrade_interrupted(); names++) {
		json_object *status = find(statuses, *names);

		if (status && !is_outdated(status))
			continue;
		/* one that there is not is refused by name */
		exit = worse(exit, upgrade_service(arguments, *names, results));
		n++;
	}
	if (!n && !results)
		puts("Nothing to do: every slot runs what is on the disk.");
	return exit;
}

int upgrade_outdated(const struct arguments *arguments)
{
	_cleanup_(json_object_putp) json_object *statuses = NULL, *results = NULL;
	_cleanup_(strings_freep) char **names = NULL;
	struct reply reply = {0};
	int exit;

	/* not of one after the other, and also where there is nothing to do */
	if (upgrade_check(arguments))
		return EXIT_USAGE;
	if (look(arguments, &reply)) {
		complain("%s", reply.problem.text);
		exit = reply.exit;
		reply_done(&reply);
		return exit;
	}
	statuses = json_parse(reply.text);
	reply_done(&reply);
	if (wanted(arguments, statuses, &names))
		return EXIT_USAGE;
	results = arguments->json ? json_object_new_array() : NULL;
	exit = upgrade_all(arguments, names, statuses, results);
	if (results)
		puts(json_line(results));
	return exit;
}
