// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsctl/verb/elsewhere.h"

#include <string.h>

#include "hsctl/client.h"
#include "hsctl/verb/child.h"
#include "util/files.h"
#include "util/macro.h"
#include "util/strings.h"

#define SSH_FAILED	   255
#define SYSTEMD_CANNOT_RUN 203 /* EXIT_EXEC of systemd */

char *elsewhere_quote(const char *const *words, unsigned n)
{
	char *line = NULL;
	size_t size;
	FILE *out = open_memstream(&line, &size);

	for (unsigned i = 0; out && i < n; i++) {
		fputs(i ? " '" : "'", out);
		for (const char *p = words[i]; *p; p++)
			fputs(*p == '\'' ? "'\\''" : (char[]) {*p, '\0'}, out);
		fputc('\'', out);
	}
	if (!out || fclose(out))
		return NULL;
	return line;
}

static int by_ssh(const struct arguments *a)
{
	_cleanup_(freep) char *words = elsewhere_quote(a->words, a->n_words);
	_cleanup_(freep) char *line = format("hsctl %s", words ?: "");
	const char *ssh = getenv("SYSTEMD_SSH") ?: "ssh";
	const char *command[] = {ssh, "-xT", "--", a->host, line, NULL};
	int status;

	if (!getenv("SYSTEMD_SSH") && !program_is_installed("ssh")) {
		complain(CLIENT_NO_SSH, a->host);
		return EXIT_FAILED;
	}
	if (!words || !line) {
		complain("out of memory");
		return EXIT_FAILED;
	}
	status = child_run((char **)command);
	if (status == SSH_FAILED)
		complain("%s cannot be reached by ssh; what ssh says of it stands above", a->host);
	else if (status == EXIT_NOT_FOUND)
		complain("%s has no hsctl; install hotstandby there", a->host);
	return status > EXIT_UNDONE ? EXIT_FAILED : status;
}

/* systemd replaces variables in a command; "$$" is a '$'. */
static int add_escaped(char ***command, const char *word)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	for (; out && *word; word++)
		fputs(*word == '$' ? "$$" : (char[]) {*word, '\0'}, out);
	if (!out || fclose(out))
		return -ENOMEM;
	return strings_take(command, text);
}

static int in_machine(const struct arguments *a)
{
	static const char *const begin[] = {"systemd-run", "--quiet", "--pipe", "--wait",
					    "--collect"};
	_cleanup_(strings_freep) char **command = NULL;
	int r = 0, status;

	for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(begin); i++)
		r = strings_add(&command, begin[i]);
	if (r >= 0)
		r = strings_take(&command, format("--machine=%s", a->machine));
	if (r >= 0)
		r = strings_add(&command, "hsctl");
	for (unsigned i = 0; r >= 0 && i < a->n_words; i++)
		r = add_escaped(&command, a->words[i]);
	if (r < 0) {
		complain("out of memory");
		return EXIT_FAILED;
	}
	status = child_run(command);
	if (status == SYSTEMD_CANNOT_RUN)
		complain("container %s has no hsctl; install hotstandby there", a->machine);
	return status > EXIT_UNDONE ? EXIT_FAILED : status;
}

static bool is_there(const struct arguments *arguments)
{
	_cleanup_(sd_bus_close_unrefp) sd_bus *bus = NULL;
	struct problem problem = {0};

	if (client_open(arguments, &bus, &problem) >= 0)
		return true;
	complain("%s", problem.text);
	return false;
}

int elsewhere_run(const struct arguments *arguments)
{
	if (arguments->host)
		return by_ssh(arguments);
	return is_there(arguments) ? in_machine(arguments) : EXIT_FAILED;
}
