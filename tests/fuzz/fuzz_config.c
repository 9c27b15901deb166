/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Everything that takes apart a text from a file or a command line: grammar, settings, spans,
 * names, lint. */
#include <stdlib.h>
#include <string.h>

#include "core/config/config.h"
#include "core/name.h"
#include "core/setup/commands.h"
#include "core/setup/dropin.h"
#include "core/setup/lint.h"
#include "fuzz.h"
#include "util/clock.h"
#include "util/parse.h"
#include "util/strings.h"

#define ITEMS_MAX 256

/* Whatever is accepted must be within its bounds. */
static void fuzz_config(const char *section, const char *key, const char *value)
{
	struct problem problem = {};
	struct config config;
	int r;

	config_init(&config);
	r = config_set(&config, section, key, value, &problem);
	check(r == 0 || *problem.text);
	for (const char *p = problem.text; *p; p++)
		check(*p >= ' ' && *p <= '~');
	check(config.slots >= 2 && config.slots <= 16);
	check(config.n_ports <= CONFIG_PORTS_MAX);
	for (unsigned i = 0; i < config.n_ports; i++)
		check(config.ports[i].port &&
		      (!i || config.ports[i].port > config.ports[i - 1].port));
	check(config.settle_usec <= CONFIG_SETTLE_MAX && config.drain_usec <= CONFIG_DRAIN_MAX);
	check((unsigned)config.then < THEN_COUNT);
	check(config.health.n_probes <= CONFIG_PROBES_MAX);
	check(config.health.n_status > 0 && config.health.n_status <= CONFIG_STATUS_MAX);
	check(config.health.rule.fall > 0 && config.health.rule.rise > 0);
}

static void fuzz_values(const char *text)
{
	const struct setting *key;
	char span[SPAN_TEXT_MAX];
	uint64_t number = 0;
	uint32_t share = 0;
	bool flag = false;

	if (parse_unsigned(text, 3, 1000, &number) == 0)
		check(number >= 3 && number <= 1000);
	if (parse_span(text, &number) == 0)
		check(number != UINT64_MAX);
	check(strlen(span_format(number, span, sizeof(span))) < sizeof(span) - 1);
	if (parse_percent(text, &share) == 0)
		check(share <= 65535);
	(void)parse_bool(text, &flag);
	for (size_t i = 0; (key = config_key(i)); i++)
		fuzz_config(key->section, key->name, text);
}

/* What is a name stays one on every way there and back. */
static void fuzz_name(const char *text)
{
	char service[SERVICE_NAME_MAX], back[SERVICE_NAME_MAX], unit[UNIT_NAME_MAX];
	char pin[PIN_NAME_MAX];
	unsigned slot = 0;

	(void)name_guess(text, back);
	if (name_from_pin(text, service) == 0) {
		check(name_to_pin(service, pin, sizeof(pin)) == 0);
		check(!strcmp(pin, text));
	}
	if (name_from_unit(text, service, &slot) == 0) {
		check(slot < 16 && name_unit(service, slot, unit, sizeof(unit)) == 0);
		check(!strcmp(unit, text));
	}
	if (name_from_template(text, service) < 0)
		return;
	check(name_is_valid(service));
	check(name_to_pin(service, pin, sizeof(pin)) == 0 && !strchr(pin, '.'));
	check(name_from_pin(pin, back) == 0 && !strcmp(service, back));
}

static void fuzz_lint(const struct assignments *settings)
{
	static const char *const sockets[] = {"app@0.socket", NULL};
	struct lint_unit unit = {.name = "app@0.service", .fragment = "f", .settings = *settings};
	struct lint_report report = {};
	char text[LINT_TEXT_MAX];
	struct commands commands = {};

	lint_service(&report, &unit, sockets);
	unit.name = sockets[0];
	lint_socket(&report, &unit, "app@0.service");
	check(report.n <= LINT_FINDINGS_MAX);
	for (size_t i = 0; i < report.n; i++)
		check(strlen(lint_format(&report.items[i], text)) < LINT_TEXT_MAX);

	/* what our drop-in repeats reads back as the same */
	if (commands_read(&commands, &unit, "/run/a.pid") == 0) {
		char *written = dropin_service_text(
			&(struct dropin) {.service = "app", .commands = &commands});

		free(written);
	}
	commands_done(&commands);
}

static void fuzz_text(char *text)
{
	static struct assignment items[ITEMS_MAX];
	struct assignments list = {items, 0};
	enum ini_kind kind;
	struct ini ini;

	ini_init(&ini, text);
	while ((kind = ini_next(&ini)) != INI_END) {
		check(ini.line > 0 && ini.line < ini.next_line);
		if (kind != INI_ASSIGNMENT)
			continue;
		check(*ini.key);
		fuzz_config(ini.section, ini.key, ini.value);
		if (list.n < ITEMS_MAX)
			items[list.n++] = (struct assignment) {"f.d/a", ini.line, ini.section,
							       ini.key, ini.value};
	}
	fuzz_lint(&list);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	char **sockets = NULL;

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = 0;
	fuzz_values(text);
	fuzz_name(text);
	fuzz_text(text);

	memcpy(text, data, size);
	(void)dropin_sockets(text, &sockets);
	strings_free(sockets);
	free(text);
	return 0;
}
