// SPDX-License-Identifier: GPL-2.0-or-later
/* __complete: what may come next, for the shells: a line for each word, with a tab and what it is
 * behind it; or a line with ':' in front for what the shell knows by itself. Nothing is waited for
 * longer than a second, and nothing is complained about. */
#include <string.h>
#include <systemd/sd-bus.h>

#include "core/drill.h"
#include "hsctl/complete/expect.h"
#include "system/configfile.h"
#include "system/unit/unitask.h"
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
	const struct option_row *option;

	for (unsigned i = 0; (option = option_at(i)); i++) {
		char word[64];

		if (!expect_takes(expect, option))
			continue;
		snprintf(word, sizeof(word), "--%s%s", option->name,
			 option->value == OPTION_VALUE ? "=" : "");
		print_word(expect, word, option->text);
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

/* On the bus of this machine. NULL: nothing. */
static sd_bus *open_bus(void)
{
	sd_bus *bus = NULL;

	if (sd_bus_open_system(&bus) < 0)
		return NULL;
	sd_bus_set_method_call_timeout(bus, PATIENCE);
	return bus;
}

static int print_name(const char *name, const char *what, void *userdata)
{
	print_word(userdata, name, what);
	return 0;
}

static void print_templates(const struct expect *expect)
{
	_cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = expect->elsewhere ? NULL : open_bus();

	if (bus)
		(void)unitask_templates(bus, print_name, (void *)expect);
}

static void print_units(const struct expect *expect)
{
	_cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = expect->elsewhere ? NULL : open_bus();

	if (bus)
		(void)unitask_services(bus, print_name, (void *)expect);
}

static void print_machines(const struct expect *expect)
{
	_cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = open_bus();

	if (bus)
		(void)unitask_containers(bus, print_name, (void *)expect);
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
