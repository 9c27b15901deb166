// SPDX-License-Identifier: GPL-2.0-or-later
/* __complete: what may come next, for the shells: a line for each word, with a tab and what it is
 * behind it; or a line with ':' in front for what the shell knows by itself. Nothing is waited for
 * longer than a second, and nothing is complained about. */
#include <string.h>
#include <systemd/sd-bus.h>

#include "core/drill.h"
#include "hsctl/complete/expect.h"
#include "system/configfile.h"
#include "util/strings.h"

#define PATIENCE  USEC_PER_SEC
#define WORDS_MAX 256

/* Only if it goes on as the word begins. */
static void print_word(const struct expect *expect, const char *word, const char *what)
{
	if (strncmp(word, expect->word, strlen(expect->word)))
		return;
	printf("%s%s%s%s\n", expect->prefix, word, what[0] ? "\t" : "", what);
}

static void print_verbs(const struct expect *expect)
{
	const struct verb *verb;

	for (unsigned i = 0; (verb = verb_at(i)); i++)
		if (!verb->hidden)
			print_word(expect, verb->name, verb->summary);
}

static void print_options(const struct expect *expect)
{
	struct argument_option option;

	for (unsigned i = 0; arguments_option(i, &option); i++) {
		const struct option_help *help = option_help(option.name);
		char word[64];

		if (!expect_takes(expect, &option))
			continue;
		snprintf(word, sizeof(word), "--%s%s", option.name,
			 option.value == ARGUMENT_VALUE ? "=" : "");
		print_word(expect, word, help ? help->text : "");
	}
}

static void print_words(const struct expect *expect, const char *words)
{
	char text[WORDS_MAX], *saved = NULL;

	snprintf(text, sizeof(text), "%s", words);
	for (char *word = strtok_r(text, "|", &saved); word; word = strtok_r(NULL, "|", &saved))
		print_word(expect, word, "");
}

static void print_services(const struct expect *expect)
{
	_cleanup_(strings_freep) char **services = NULL;

	if (expect->elsewhere || configfile_list(&services) < 0)
		return;
	for (size_t i = 0; services && services[i]; i++)
		print_word(expect, services[i], "");
}

static void print_slots(const struct expect *expect)
{
	char service[SERVICE_NAME_MAX], slot[16];
	struct config config;

	if (expect->elsewhere || !expect->service ||
	    name_from_template(expect->service, service) < 0)
		return;
	config_init(&config);
	/* settings that are wrong are told elsewhere */
	if (configfile_load(service, &config, NULL) == -ENOENT)
		return;
	for (unsigned i = 0; i < config.slots; i++) {
		snprintf(slot, sizeof(slot), "%u", i);
		print_word(expect, slot, "");
	}
}

static void print_scenarios(const struct expect *expect)
{
	for (unsigned i = 0; i < DRILL_SCENARIO_COUNT; i++)
		print_word(expect, drill_scenario_to_string(i), drill_scenario_help(i));
}

/* What systemd, or its machined, answers. NULL: nothing. */
static sd_bus_message *ask(sd_bus *bus, sd_bus_message *m)
{
	sd_bus_message *answer = NULL;

	if (sd_bus_message_set_auto_start(m, false) < 0 ||
	    sd_bus_call(bus, m, PATIENCE, NULL, &answer) < 0)
		return NULL;
	return answer;
}

static sd_bus_message *call_systemd(sd_bus *bus, const char *method)
{
	sd_bus_message *m = NULL;

	if (sd_bus_message_new_method_call(bus, &m, "org.freedesktop.systemd1",
					   "/org/freedesktop/systemd1",
					   "org.freedesktop.systemd1.Manager", method) < 0)
		return NULL;
	return m;
}

static void print_templates(const struct expect *expect)
{
	_cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *answer = NULL;
	const char *path, *name;

	if (expect->elsewhere || sd_bus_open_system(&bus) < 0)
		return;
	m = call_systemd(bus, "ListUnitFilesByPatterns");
	if (!m || sd_bus_message_append(m, "asas", 0, 1, "*@.service") < 0)
		return;
	answer = ask(bus, m);
	if (!answer || sd_bus_message_enter_container(answer, 'a', "(ss)") < 0)
		return;
	while (sd_bus_message_read(answer, "(ss)", &path, NULL) > 0) {
		name = strrchr(path, '/');
		print_word(expect, name ? name + 1 : path, "");
	}
}

static void print_units(const struct expect *expect)
{
	_cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *answer = NULL;
	const char *name, *what;

	if (expect->elsewhere || sd_bus_open_system(&bus) < 0)
		return;
	m = call_systemd(bus, "ListUnitsByPatterns");
	if (!m || sd_bus_message_append(m, "asas", 1, "active", 1, "*.service") < 0)
		return;
	answer = ask(bus, m);
	if (!answer || sd_bus_message_enter_container(answer, 'a', "(ssssssouso)") < 0)
		return;
	while (sd_bus_message_read(answer, "(ssssssouso)", &name, &what, NULL, NULL, NULL, NULL,
				   NULL, NULL, NULL, NULL) > 0)
		print_word(expect, name, what);
}

static void print_machines(const struct expect *expect)
{
	_cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *answer = NULL;
	const char *name, *class;

	if (sd_bus_open_system(&bus) < 0 ||
	    sd_bus_message_new_method_call(bus, &m, "org.freedesktop.machine1",
					   "/org/freedesktop/machine1",
					   "org.freedesktop.machine1.Manager", "ListMachines") < 0)
		return;
	answer = ask(bus, m);
	if (!answer || sd_bus_message_enter_container(answer, 'a', "(ssso)") < 0)
		return;
	while (sd_bus_message_read(answer, "(ssso)", &name, &class, NULL, NULL) > 0)
		if (!strcmp(class, "container"))
			print_word(expect, name, "");
}

static void print_command(const struct expect *expect)
{
	if (expect->command < 0)
		puts(":command");
	else
		printf(":command %d\n", expect->command);
}

static void print_offer(const struct expect *expect, enum offer_kind kind)
{
	static void (*const known[])(const struct expect *expect) = {
		[OFFER_VERBS] = print_verbs,	   [OFFER_OPTIONS] = print_options,
		[OFFER_SERVICES] = print_services, [OFFER_TEMPLATES] = print_templates,
		[OFFER_SLOTS] = print_slots,	   [OFFER_SCENARIOS] = print_scenarios,
		[OFFER_UNITS] = print_units,	   [OFFER_MACHINES] = print_machines,
		[OFFER_COMMAND] = print_command,
	};

	if (kind == OFFER_FILES)
		puts(":files");
	else if (kind == OFFER_HOSTS)
		puts(":hosts");
	else if (known[kind])
		known[kind](expect);
}

int verb_complete(const struct arguments *arguments)
{
	struct expect expect;
	int n = 0;

	while (arguments->command[n])
		n++;
	expect_next(&expect, n, arguments->command);
	for (unsigned i = 0; i < expect.n; i++) {
		if (expect.offers[i].kind == OFFER_WORDS)
			print_words(&expect, expect.offers[i].words);
		else
			print_offer(&expect, expect.offers[i].kind);
	}
	return EXIT_DONE;
}
