// SPDX-License-Identifier: GPL-2.0-or-later
/* doctor: what is found, told to the user. */
#include <string.h>
#include <unistd.h>

#include "hsctl/doctor/doctor.h"
#include "hsctl/json.h"
#include "hsctl/verb/elsewhere.h"
#include "hsctl/verb/verb.h"
#include "hsctl/verb_functions.h"
#include "hsctl/wrap.h"
#include "util/macro.h"

static json_object *text_or_null(const char *text)
{
	return text[0] ? json_object_new_string(text) : NULL;
}

static json_object *check_to_json(const struct doctor_check *check)
{
	json_object *object = json_object_new_object();

	json_object_object_add(object, "id", json_object_new_string(check->id));
	json_object_object_add(object, "status",
			       json_object_new_string(doctor_status_to_string(check->status)));
	json_object_object_add(object, "service", text_or_null(check->service));
	json_object_object_add(object, "what", json_object_new_string(check->what));
	json_object_object_add(object, "why", text_or_null(check->why));
	json_object_object_add(object, "remedy", text_or_null(check->remedy));
	return object;
}

static void print_json(const struct doctor_report *report)
{
	_cleanup_(json_object_putp) json_object *array = json_object_new_array();

	for (size_t i = 0; i < report->n; i++)
		json_object_array_add(array, check_to_json(&report->items[i]));
	puts(json_line(array));
}

static const char *color_of(enum doctor_status status)
{
	static const char *const colors[] = {
		[DOCTOR_OK] = "\033[32m",
		[DOCTOR_FINDING] = "\033[31m",
		[DOCTOR_SKIPPED] = "\033[33m",
	};

	return colors[status];
}

static void print_check(FILE *out, const struct doctor_check *check, bool color)
{
	const char *status = doctor_status_to_string(check->status);

	if (color)
		fprintf(out, "%s%-8s\033[0m", color_of(check->status), status);
	else
		fprintf(out, "%-8s", status);
	fprintf(out, " %-28s %s%s%s%s%s\n", check->id, check->service,
		check->service[0] ? ": " : "", check->what,
		check->status == DOCTOR_SKIPPED ? ": " : "",
		check->status == DOCTOR_SKIPPED ? check->why : "");
}

static void print_finding(FILE *out, const struct doctor_check *check, bool color)
{
	fprintf(out, "\n%s%s%s%s%s%s\n  what    %s\n  why     %s\n  remedy  %s\n",
		color ? color_of(DOCTOR_FINDING) : "", check->id, color ? "\033[0m" : "",
		check->service[0] ? " (" : "", check->service, check->service[0] ? ")" : "",
		check->what, check->why, check->remedy);
}

static size_t count(const struct doctor_report *report, enum doctor_status status)
{
	size_t n = 0;

	for (size_t i = 0; i < report->n; i++)
		n += report->items[i].status == status;
	return n;
}

static void write_text(FILE *out, const struct doctor_report *report, bool color)
{
	for (size_t i = 0; i < report->n; i++)
		print_check(out, &report->items[i], color);
	for (size_t i = 0; i < report->n; i++)
		if (report->items[i].status == DOCTOR_FINDING)
			print_finding(out, &report->items[i], color);
	fprintf(out, "\n%zu in order, %zu skipped, %zu finding%s.\n", count(report, DOCTOR_OK),
		count(report, DOCTOR_SKIPPED), report->findings, report->findings == 1 ? "" : "s");
}

static void print_text(const struct doctor_report *report, bool color)
{
	_cleanup_(freep) char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return;
	write_text(out, report, color);
	if (!fclose(out))
		wrap_print(stdout, text);
}

static int examine(const struct arguments *arguments, struct doctor_report *report,
		   struct problem *problem)
{
	char service[SERVICE_NAME_MAX];

	if (arguments->options & OPTION_FASTPATH) {
		if (arguments->n)
			return problem_set(problem, EXIT_USAGE,
					   "--fastpath is about the kernel, and takes no service");
		examine_fastpath(report);
		return EXIT_DONE;
	}
	if (!arguments->n) {
		examine_all(arguments, report);
		return EXIT_DONE;
	}
	if (arguments_service(arguments, service, problem) < 0)
		return EXIT_USAGE;
	return examine_service(arguments, service, report, problem) < 0 ? EXIT_FAILED : EXIT_DONE;
}

int verb_doctor(const struct arguments *arguments)
{
	_cleanup_(freep) struct doctor_report *report = calloc(1, sizeof(*report));
	struct problem problem = {0};
	int exit;

	if (arguments->host || arguments->machine)
		return elsewhere_run(arguments);
	if (geteuid()) {
		complain("this needs root, as it looks into processes and tries the kernel out; "
			 "run it with sudo");
		return EXIT_FAILED;
	}
	if (!report) {
		complain("out of memory");
		return EXIT_FAILED;
	}
	exit = examine(arguments, report, &problem);
	if (exit) {
		complain("%s", problem.text);
		return exit;
	}
	if (arguments->json)
		print_json(report);
	else
		print_text(report, arguments->color);
	return report->findings ? EXIT_FAILED : EXIT_DONE;
}
