// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/setup/mention.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "core/name.h"
#include "util/macro.h"

static bool is_name_char(char c)
{
	return isalnum((unsigned char)c) || (c && strchr("_-.@:\\", c));
}

/* Behind the word, which no longer name contains; NULL = it is not there. A path may end with it.
 */
static const char *after_word(const char *text, const char *word)
{
	size_t length = strlen(word);

	for (const char *p = text; (p = strstr(p, word)); p++)
		if ((p == text || !is_name_char(p[-1])) && !is_name_char(p[length]))
			return p + length;
	return NULL;
}

static bool has_word(const char *text, const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (after_word(text, words[i]))
			return true;
	return false;
}

/* What systemd does for a unit, whoever asks: also the old scripts leave it to systemd. */
static bool has_verb(const char *text)
{
	static const char *const verbs[] = {
		"start",
		"stop",
		"restart",
		"reload",
		"try-restart",
		"condrestart",
		"reload-or-restart",
		"reload-or-try-restart",
		"try-reload-or-restart",
		"force-reload",
		"force-restart",
	};

	return has_word(text, verbs, ARRAY_SIZE(verbs));
}

static bool calls_it(const char *line, const char *name)
{
	static const char *const callers[] = {"systemctl", "service", "invoke-rc.d",
					      "deb-systemd-invoke", "rc-service"};
	char script[UNIT_NAME_MAX + 16];

	snprintf(script, sizeof(script), "/etc/init.d/%s", name);
	return after_word(line, script) ||
	       (has_word(line, callers, ARRAY_SIZE(callers)) && after_word(line, name));
}

static bool names_file(const char *line, const char *name)
{
	char file[2 * UNIT_NAME_MAX + 16];

	snprintf(file, sizeof(file), "/run/%s.pid", name);
	if (strstr(line, file))
		return true;
	snprintf(file, sizeof(file), "/run/%s/%s.pid", name, name);
	return strstr(line, file);
}

enum mention mention_in(const char *line, const char *unit, const char *pid_file)
{
	char name[UNIT_NAME_MAX];
	const char *tail = strstr(unit, ".service");

	line += strspn(line, " \t");
	snprintf(name, sizeof(name), "%.*s", tail ? (int)(tail - unit) : (int)strlen(unit), unit);
	if (*line == '#' || !name[0])
		return MENTION_NONE;
	if (names_file(line, name) || (pid_file && *pid_file && strstr(line, pid_file)))
		return MENTION_OTHER;
	if (!after_word(line, unit) && !calls_it(line, name))
		return MENTION_NONE;
	return has_verb(line) ? MENTION_UNIT : MENTION_OTHER;
}
