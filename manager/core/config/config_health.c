// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/config/config_health.h"

#include <string.h>

#include "util/macro.h"
#include "util/parse.h"

#define BLANKS	   " \t\r\n"
#define HEALTH	   CONFIG_HEALTH_SECTION
#define STATUS_MIN 100
#define STATUS_END 599

static const char *const proxy_words[] = {
	[PROXY_NO] = "no",
	[PROXY_V1] = "v1",
	[PROXY_V2] = "v2",
};
_Static_assert(ARRAY_SIZE(proxy_words) == PROXY_HEADER_COUNT, "a word for each");

static int add_probe(void *object, const struct setting_text *text)
{
	struct config_health *health = object;
	struct problem problem = {0};
	struct probe_spec spec;

	if (!*text->value) {
		memset(health->probes, 0, sizeof(health->probes));
		health->n_probes = 0;
		return 0;
	}
	if (probe_parse(text->value, &spec, &problem) < 0)
		return setting_refuse(text, "%s", problem.text);
	if (health->n_probes == CONFIG_PROBES_MAX)
		return setting_refuse(text,
				      "is one too many; allowed are up to %u, and an empty "
				      "Probe= takes back those before it.",
				      CONFIG_PROBES_MAX);
	health->probes[health->n_probes++] = spec;
	return 0;
}

/* It goes into a header line and into the handshake of TLS: a name, as in DNS, or an address. */
static int set_host(void *object, const struct setting_text *text)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789-._";
	struct config_health *health = object;

	if (strlen(text->value) >= sizeof(health->host) ||
	    text->value[strspn(text->value, allowed)])
		return setting_refuse(text, "is not a host name; allowed are letters, digits, "
					    "- . and _, or nothing for the address itself.");
	memset(health->host, 0, sizeof(health->host));
	strcpy(health->host, text->value);
	return 0;
}

/* As systemd takes them; not by number, so that what is allowed can be seen. */
static int set_user(void *object, const struct setting_text *text)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789-_";
	struct config_health *health = object;
	const char *user = text->value;

	if (!strcmp(user, "root"))
		return setting_refuse(text, "is not for plugins, which speak to servers; allowed "
					    "is any other user, or nothing for one of their own.");
	if (strlen(user) >= sizeof(health->user) || user[strspn(user, allowed)] ||
	    (user[0] && strchr("0123456789-", user[0])))
		return setting_refuse(text, "is not the name of a user; allowed are letters, "
					    "digits, - and _, a letter or _ first.");
	memset(health->user, 0, sizeof(health->user));
	strcpy(health->user, user);
	return 0;
}

static int set_text(void *object, const struct setting_text *text)
{
	struct config_health *health = object;

	if (strlen(text->value) >= sizeof(health->text))
		return setting_refuse(text,
				      "is too long; allowed are %u bytes, or nothing for any "
				      "answer.",
				      CONFIG_TEXT_MAX - 1);
	memset(health->text, 0, sizeof(health->text));
	strcpy(health->text, text->value);
	return 0;
}

/* "204", "200-399". */
static int parse_range(char *word, struct status_range *ret_range)
{
	char *dash = strchr(word, '-');
	uint64_t from, to;

	if (dash)
		*dash = '\0';
	if (parse_unsigned(word, STATUS_MIN, STATUS_END, &from) < 0 ||
	    parse_unsigned(dash ? dash + 1 : word, from, STATUS_END, &to) < 0)
		return -EINVAL;
	*ret_range = (struct status_range) {(uint16_t)from, (uint16_t)to};
	return 0;
}

static int set_status(void *object, const struct setting_text *text)
{
	struct config_health *health = object;
	struct status_range parsed[CONFIG_STATUS_MAX] = {0};
	unsigned n = 0;

	for (const char *p = text->value + strspn(text->value, BLANKS ","); *p;) {
		size_t length = strcspn(p, BLANKS ",");
		char word[8] = "";

		/* what is longer than any range stays empty and so is none */
		if (length < sizeof(word))
			memcpy(word, p, length);
		if (n == CONFIG_STATUS_MAX || parse_range(word, &parsed[n]) < 0)
			return setting_refuse(text,
					      "is not a list of HTTP status numbers; allowed are "
					      "up to %u, such as 204 or 200-399, from %u to %u, "
					      "with blanks between.",
					      CONFIG_STATUS_MAX, STATUS_MIN, STATUS_END);
		n++;
		p += length;
		p += strspn(p, BLANKS ",");
	}
	if (!n)
		return setting_refuse(text,
				      "is empty; allowed are numbers such as 204 or 200-399.");
	memcpy(health->status, parsed, sizeof(parsed));
	health->n_status = n;
	return 0;
}

bool status_is_good(const struct status_range *ranges, unsigned n_ranges, unsigned status)
{
	for (unsigned i = 0; i < n_ranges; i++)
		if (status >= ranges[i].from && status <= ranges[i].to)
			return true;
	return false;
}

bool config_health_takes(const struct config_health *health, unsigned status)
{
	return status_is_good(health->status, health->n_status, status);
}

#define PLACE(member)		.offset = offsetof(struct config_health, member)
#define FIELD(type, member)	.kind = SETTING_##type, PLACE(member)
#define SPAN(field, from, to)	FIELD(SPAN, field), .min = from, .max = to
#define NUMBER(field, from, to) FIELD(NUMBER, field), .min = from, .max = to
#define OTHER(function, what)	.kind = SETTING_OTHER, .parse = function, .form = what

/* The keys in the order of the manual. */
static const struct setting settings[] = {
	{HEALTH, "Probe", "",
	 "tcp, http:/PATH, https:/PATH or exec:PLUGIN. May stand several times. Empty: none.",
	 OTHER(add_probe, "probe"), .list = true},
	{HEALTH, "Interval", "1s", "How often each instance is asked.",
	 SPAN(interval_usec, CONFIG_INTERVAL_MIN, CONFIG_INTERVAL_MAX)},
	{HEALTH, "Timeout", "1s", "How long an answer may take.",
	 SPAN(timeout_usec, CONFIG_TIMEOUT_MIN, CONFIG_TIMEOUT_MAX)},
	{HEALTH, "Fall", "3", "Failures in a row that make an instance unhealthy.",
	 NUMBER(rule.fall, 1, CONFIG_ROUNDS_MAX)},
	{HEALTH, "Rise", "2", "Good answers in a row that make it healthy.",
	 NUMBER(rule.rise, 1, CONFIG_ROUNDS_MAX)},
	{HEALTH, "Proxy", "no",
	 "tcp and HTTP: the header of the PROXY protocol that the server expects: no, v1 or v2.",
	 FIELD(WORD, proxy), .words = proxy_words, .n_words = ARRAY_SIZE(proxy_words)},
	{HEALTH, "Host", "", "HTTP: whom to ask for (Host: and TLS SNI). Empty: the address.",
	 OTHER(set_host, "name")},
	{HEALTH, "Status", "200-399", "HTTP: which status is good, like \"200-299 404\".",
	 OTHER(set_status, "numbers")},
	{HEALTH, "Text", "", "HTTP: must occur in the first 64 KiB of the answer. Empty: any.",
	 OTHER(set_text, "text")},
	{HEALTH, "User", "", "exec: whom plugins run as. Empty: a user of their own.",
	 OTHER(set_user, "user")},
};

const struct setting *config_health_key(size_t index)
{
	return index < ARRAY_SIZE(settings) ? &settings[index] : NULL;
}
