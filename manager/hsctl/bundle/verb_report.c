// SPDX-License-Identifier: GPL-2.0-or-later
/* report: all that is to be known for a look at a fault, in one file, without secrets. */
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "hsctl/bundle/bundle.h"
#include "hsctl/json.h"
#include "hsctl/verb/verb.h"
#include "hsctl/verb_functions.h"
#include "util/files.h"

#define SINCE_DEFAULT (24 * 3600)

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
	(void)number;
	interrupted = 1;
}

static void catch_signals(void)
{
	static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
	struct sigaction action = {.sa_handler = on_signal};

	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		sigaction(numbers[i], &action, NULL);
}

/* A file, or a folder in which it is named by us. */
static char *output_path(const struct bundle *bundle, const char *wanted)
{
	struct stat st;

	if (!wanted)
		return format("%s%s", bundle->name, bundle_suffix());
	if (stat(wanted, &st) == 0 && S_ISDIR(st.st_mode))
		return format("%s/%s%s", wanted, bundle->name, bundle_suffix());
	return strdup(wanted);
}

static json_object *summary(const struct bundle *bundle, const char *output, uint64_t bytes)
{
	json_object *object = json_object_new_object(), *left_out = json_object_new_object();
	const struct redact *redact = &bundle->redact;

	json_object_object_add(object, "file", json_object_new_string(output));
	json_object_object_add(object, "bytes", json_object_new_uint64(bytes));
	json_object_object_add(object, "since", json_object_new_uint64(bundle->since_sec));
	json_object_object_add(object, "parts", json_object_get(bundle->parts));
	json_object_object_add(left_out, "environment",
			       json_object_new_uint64(redact->n_environment));
	json_object_object_add(left_out, "secrets", json_object_new_uint64(redact->n_secrets));
	json_object_object_add(left_out, "addresses", json_object_new_uint64(redact->n_addresses));
	json_object_object_add(object, "left_out", left_out);
	return object;
}

static void print_problems(json_object *parts)
{
	for (size_t i = 0; i < json_count(parts); i++) {
		json_object *part = json_object_array_get_idx(parts, i);

		if (json_text(part, "problem")[0])
			printf("  %s: %s\n", json_text(part, "name"), json_text(part, "problem"));
	}
}

static void tell(const struct arguments *arguments, json_object *object)
{
	json_object *parts = json_array(object, "parts"), *left_out;
	int64_t bytes = json_number(object, "bytes", 0);

	if (arguments->json) {
		puts(json_line(object));
		return;
	}
	json_object_object_get_ex(object, "left_out", &left_out);
	printf("%s: %" PRId64 " KiB, %zu files; README.txt in it says what each is.\n",
	       json_text(object, "file"), (bytes + 1023) / 1024, json_count(parts) + 1);
	printf("Left out: %" PRId64 " values of Environment= and credentials, %" PRId64
	       " of passwords and the like, %" PRId64
	       " addresses. Look at it before you hand it on.\n",
	       json_number(left_out, "environment", 0), json_number(left_out, "secrets", 0),
	       json_number(left_out, "addresses", 0));
	print_problems(parts);
}

static int fail(int error, const struct problem *problem)
{
	if (interrupted || error == -EINTR)
		complain("interrupted; no report was written");
	else
		complain("%s", problem->text[0] ? problem->text : strerror(-error));
	return error == -EINVAL ? EXIT_USAGE : EXIT_FAILED;
}

static int make_report(const struct arguments *arguments, struct bundle *bundle,
		       const char *service)
{
	_cleanup_(json_object_putp) json_object *object = NULL;
	_cleanup_(freep) char *output = NULL;
	struct problem problem = {};
	uint64_t bytes;
	int r = bundle_begin(bundle, service, &problem);

	if (r >= 0)
		r = bundle_add_all(bundle);
	output = r >= 0 ? output_path(bundle, arguments->texts[TEXT_OUTPUT]) : NULL;
	if (r >= 0)
		r = output ? bundle_pack(bundle, output, &bytes, &problem) : -ENOMEM;
	if (r < 0)
		return fail(r, &problem);
	object = summary(bundle, output, bytes);
	tell(arguments, object);
	return EXIT_DONE;
}

int verb_report(const struct arguments *arguments)
{
	_cleanup_(bundle_done) struct bundle bundle = {.interrupted = &interrupted};
	char service[SERVICE_NAME_MAX];
	time_t now = time(NULL);

	if (arguments->n && verb_service(arguments, service))
		return EXIT_USAGE;
	bundle.since_sec = (uint64_t)now - SINCE_DEFAULT;
	bundle.since_given = arguments->texts[TEXT_SINCE] != NULL;
	if (verb_since(arguments, &bundle.since_sec))
		return EXIT_USAGE;
	bundle.redact.keep_environment = arguments->with_environment;
	bundle.redact.keep_addresses = arguments->with_addresses;
	catch_signals();
	return make_report(arguments, &bundle, arguments->n ? service : NULL);
}
