/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hs_abi.h"
#include "util/clock.h"
#include "util/macro.h"
#include "util/parse.h"

#define BLANKS	   " \t\r\n"
#define QUOTED_MAX 64

bool config_has_port(const struct config *config, uint16_t port)
{
	for (unsigned i = 0; i < config->n_ports; i++)
		if (config->ports[i] == port)
			return true;
	return config->n_ports == 0;
}

/* What a message quotes from a file: printable ASCII and not endless. */
static const char *quote(const char *text, char quoted[QUOTED_MAX])
{
	size_t n = 0;

	for (; text[n] && n < QUOTED_MAX - 4; n++)
		quoted[n] = text[n] >= ' ' && text[n] <= '~' ? text[n] : '?';
	strcpy(quoted + n, text[n] ? "..." : "");
	return quoted;
}

/* The problem of "KEY=VALUE": the assignment, cut to size, then the reason. Returns -EINVAL. */
_printf_(4, 5) static int refuse(struct problem *problem, const char *key, const char *value,
				 const char *template, ...)
{
	char quoted_key[QUOTED_MAX], quoted_value[QUOTED_MAX], reason[192];
	va_list list;

	va_start(list, template);
	vsnprintf(reason, sizeof(reason), template, list);
	va_end(list);
	return problem_set(problem, -EINVAL, "%s=%s %s", quote(key, quoted_key),
			   quote(value, quoted_value), reason);
}

static int set_slots(struct config *config, const char *key, const char *value,
		     struct problem *problem)
{
	uint64_t slots;
	int r;

	r = parse_unsigned(value, CONFIG_SLOTS_MIN, HS_SLOTS_MAX, &slots);
	if (r < 0)
		return refuse(problem, key, value, "%s; allowed is a whole number from %u to %u.",
			      r == -ERANGE ? "is out of range" : "is not a number",
			      CONFIG_SLOTS_MIN, HS_SLOTS_MAX);
	config->slots = (unsigned)slots;
	return 0;
}

static int compare_ports(const void *a, const void *b)
{
	return *(const uint16_t *)a - *(const uint16_t *)b;
}

/* Adds one port, once. -E2BIG when there is no room. */
static int add_port(struct config *config, uint16_t port)
{
	if (config->n_ports > 0 && config_has_port(config, port))
		return 0;
	if (config->n_ports == CONFIG_PORTS_MAX)
		return -E2BIG;
	config->ports[config->n_ports++] = port;
	return 0;
}

static int set_ports(struct config *config, const char *key, const char *value,
		     struct problem *problem)
{
	struct config parsed = {};

	for (const char *p = value; *p;) {
		size_t length = strcspn(p, BLANKS ",");
		char word[8] = "";
		uint64_t port = 0;

		/* what is longer than any port stays empty and so is no number */
		if (length < sizeof(word))
			memcpy(word, p, length);
		if (length && parse_unsigned(word, 1, UINT16_MAX, &port) < 0)
			return refuse(problem, key, value,
				      "is not a list of TCP ports; allowed are numbers from 1 to "
				      "65535 with blanks between, or nothing for all ports.");
		if (length && add_port(&parsed, (uint16_t)port) < 0)
			return refuse(problem, key, value,
				      "has too many ports; allowed are up to %u, or nothing for "
				      "all ports.",
				      CONFIG_PORTS_MAX);
		p += length;
		p += strspn(p, BLANKS ",");
	}

	qsort(parsed.ports, parsed.n_ports, sizeof(parsed.ports[0]), compare_ports);
	memcpy(config->ports, parsed.ports, sizeof(parsed.ports));
	config->n_ports = parsed.n_ports;
	return 0;
}

static int set_span(uint64_t *span, uint64_t max, const char *const assignment[2],
		    struct problem *problem)
{
	char longest[SPAN_TEXT_MAX];
	uint64_t usec = 0;
	int r;

	r = parse_span(assignment[1], &usec);
	if (r == 0 && usec > max)
		r = -ERANGE;
	if (r < 0)
		return refuse(problem, assignment[0], assignment[1],
			      "%s; allowed is 0 to %s, written like 50ms, 1.5s or \"2min 30s\".",
			      r == -ERANGE ? "is too long" : "is not a time span",
			      span_format(max, longest, sizeof(longest)));
	*span = usec;
	return 0;
}

static int set_settle(struct config *config, const char *key, const char *value,
		      struct problem *problem)
{
	return set_span(&config->settle_usec, CONFIG_SETTLE_MAX, (const char *[]) {key, value},
			problem);
}

static int set_drain(struct config *config, const char *key, const char *value,
		     struct problem *problem)
{
	return set_span(&config->drain_usec, CONFIG_DRAIN_MAX, (const char *[]) {key, value},
			problem);
}

static int set_then(struct config *config, const char *key, const char *value,
		    struct problem *problem)
{
	enum switchover_then then = switchover_then_from_string(value);

	if (then == THEN_COUNT)
		return refuse(problem, key, value,
			      "is not known; allowed is keep, stop or restart.");
	config->then = then;
	return 0;
}

static int set_restart_on_crash(struct config *config, const char *key, const char *value,
				struct problem *problem)
{
	if (parse_bool(value, &config->restart_on_crash) < 0)
		return refuse(problem, key, value, "is not known; allowed is yes or no.");
	return 0;
}

typedef int config_setter(struct config *config, const char *key, const char *value,
			  struct problem *problem);

/* The keys in the order of the manual. The default is text: an empty assignment is read as that. */
static const struct key {
	struct config_key public;
	config_setter *set;
} keys[] = {
	{{"Slots", "2", "How many instances the service may have, 2 to 16."}, set_slots},
	{{"Ports", "",
	  "TCP ports to switch, like \"80 443\". Empty: all that the instances listen on."},
	 set_ports},
	{{"Settle", "50ms", "Pause behind each flip, for handshakes that are under way."},
	 set_settle},
	{{"Drain", "30s", "How long the old instance may finish its connections."}, set_drain},
	{{"Then", "keep", "What happens to the old instance then: keep, stop or restart."},
	 set_then},
	{{"RestartOnCrash", "yes", "Start an instance that died again, as the new standby."},
	 set_restart_on_crash},
};

const struct config_key *config_key(size_t index)
{
	return index < ARRAY_SIZE(keys) ? &keys[index].public : NULL;
}

void config_init(struct config *config)
{
	*config = (struct config) {};
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		(void)keys[i].set(config, keys[i].public.name, keys[i].public.value, NULL);
}

/* Names the keys that there are. */
static int refuse_key(const char *key, struct problem *problem)
{
	char quoted[QUOTED_MAX], known[128] = "";
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(keys) && n < sizeof(known); i++)
		n += (size_t)snprintf(known + n, sizeof(known) - n, "%s%s=", i ? ", " : "",
				      keys[i].public.name);
	return problem_set(problem, -EINVAL,
			   "%s= is not a setting of section [%s]; allowed are %s.",
			   quote(key, quoted), CONFIG_SECTION, known);
}

int config_check_section(const char *section, struct problem *problem)
{
	char quoted[QUOTED_MAX];

	if (!section || !*section)
		return problem_set(
			problem, -EINVAL,
			"A setting stands before the first section; write [%s] above it.",
			CONFIG_SECTION);
	if (strcmp(section, CONFIG_SECTION) != 0)
		return problem_set(problem, -EINVAL,
				   "[%s] is not a section of this file; the only one is [%s].",
				   quote(section, quoted), CONFIG_SECTION);
	return 0;
}

int config_set(struct config *config, const char *section, const char *key, const char *value,
	       struct problem *problem)
{
	int r;

	r = config_check_section(section, problem);
	if (r < 0)
		return r;
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (strcmp(key, keys[i].public.name) == 0)
			return keys[i].set(config, key, *value ? value : keys[i].public.value,
					   problem);
	return refuse_key(key, problem);
}
