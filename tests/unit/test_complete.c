/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hsctl/complete: what may come next on a command line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "hsctl/complete/expect.h"
#include "hsctl/verb_table.h"
#include "util/macro.h"

#define WORDS_MAX 16

/* What is expected behind a line, "_" for an empty word: kinds and words, "slots words:a|b". */
static const char *expected(const char *line)
{
	static const char *const names[] = {
		[OFFER_NONE] = "none",	       [OFFER_VERBS] = "verbs",
		[OFFER_OPTIONS] = "options",   [OFFER_WORDS] = "words",
		[OFFER_SERVICES] = "services", [OFFER_TEMPLATES] = "templates",
		[OFFER_SLOTS] = "slots",       [OFFER_SCENARIOS] = "scenarios",
		[OFFER_UNITS] = "units",       [OFFER_MACHINES] = "machines",
		[OFFER_FILES] = "files",       [OFFER_HOSTS] = "hosts",
		[OFFER_COMMAND] = "command",
	};
	static char text[256], copy[256], *words[WORDS_MAX], *saved;
	struct expect expect;
	size_t length = 0;
	int n = 0;

	snprintf(copy, sizeof(copy), "%s", line);
	for (char *w = strtok_r(copy, " ", &saved); w; w = strtok_r(NULL, " ", &saved))
		words[n++] = strcmp(w, "_") ? w : "";
	expect_next(&expect, n, words);
	text[0] = '\0';
	for (unsigned i = 0; i < expect.n; i++)
		length += (size_t)snprintf(text + length, sizeof(text) - length, "%s%s%s%s",
					   i ? " " : "", names[expect.offers[i].kind],
					   expect.offers[i].words ? ":" : "",
					   expect.offers[i].words ?: "");
	if (expect.prefix[0])
		snprintf(text + length, sizeof(text) - length, " behind %s", expect.prefix);
	return text;
}

static void test_lines(void **state)
{
	static const struct {
		const char *line, *expected;
	} cases[] = {
		{"_", "verbs words:help"},
		{"help _", "verbs"},
		{"help drain _", ""},
		{"--json _", "verbs words:help"},
		{"status _", "services"},
		{"status app _", ""},
		{"status -", "options"},
		{"nonsense _", ""},
		{"drain app _", "slots"},
		{"drain app 1 _", ""},
		{"enable _", "templates"},
		{"upgrade _", "services"},
		{"upgrade app _", ""},
		{"upgrade --outdated app web _", "services"},
		{"canary app _", "words:off|1%|5%|10%|50%"},
		{"canary app 5% --to _", "slots"},
		{"canary app 5% --to=1", "slots behind --to="},
		{"canary app 5% --from _", ""},
		{"enable a@.service --from _", "units"},
		{"connections app --slot=", "slots words:park behind --slot="},
		{"events -n _", "words:0|10|100|1000"},
		{"events -n 5 _", "services"},
		{"events -f _", "services"},
		{"-H _", "hosts"},
		{"-M _", "machines"},
		{"config _", "services words:check"},
		{"config check _", "files"},
		{"config check a _", "files"},
		{"config app _", ""},
		{"drill app --scenario=crash,h", "scenarios behind --scenario=crash,"},
		{"drill app --scenario crash,h", "scenarios behind crash,"},
		{"exec app 1 -- _", "command"},
		{"exec app 1 -- curl _", "command"},
		{"exec app 1 _", "command"},
		{"exec app 1 --", "options"},
		{"status -- _", "services"},
		{"status --unknown=", " behind --unknown="},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (strcmp(expected(cases[i].line), cases[i].expected))
			fail_msg("\"%s\": %s", cases[i].line, expected(cases[i].line));
}

/* Which word the command of exec is. */
static void test_command_place(void **state)
{
	char *words[] = {"exec", "app", "1", "--must-connect", "--", "curl", ""};
	struct expect expect;

	(void)state;
	expect_next(&expect, ARRAY_SIZE(words), words);
	assert_int_equal(expect.command, 5);
	assert_string_equal(expect.service, "app");
	expect_next(&expect, 6, words);
	assert_int_equal(expect.command, 5);
}

static void test_options_of_verbs(void **state)
{
	char *words[] = {"switchover", "app", "--drain=1s", "-"};
	const struct option_row *option;
	struct expect expect;
	bool to = false;

	(void)state;
	expect_next(&expect, ARRAY_SIZE(words), words);
	for (unsigned i = 0; (option = option_at(i)); i++) {
		bool takes = expect_takes(&expect, option);

		to |= takes && !strcmp(option->name, "to");
		if (takes && (!strcmp(option->name, "drain") || !strcmp(option->name, "scenario") ||
			      !strcmp(option->name, "list-verbs")))
			fail_msg("--%s", option->name);
	}
	assert_true(to);
}

/* The table says how a verb is used; completion has to understand all of it. */
static void test_usages(void **state)
{
	const struct verb *verb;

	(void)state;
	for (unsigned i = 0; (verb = verb_at(i)); i++) {
		char line[64];
		bool silent = strstr(verb->arguments, "UNIT") || verb->hidden;

		if (!verb->arguments[0])
			continue;
		snprintf(line, sizeof(line), "%s _", verb->name);
		if (!silent && !expected(line)[0])
			fail_msg("nothing is expected behind hsctl %s, which takes %s", verb->name,
				 verb->arguments);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_command_place),
		cmocka_unit_test(test_options_of_verbs),
		cmocka_unit_test(test_usages),
	};

	verb_table_use();
	return cmocka_run_group_tests_name("complete", tests, NULL, NULL);
}
