// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/config/config_fastpath.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "util/macro.h"

#define BLANKS	   " \t\r\n"
#define UNIT_CHARS "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ:-_.\\@"
#define UNITS_ARE  "it takes full names of units, like haproxy.service pgbouncer.service."

static bool ends_with(const char *text, const char *suffix)
{
	size_t length = strlen(text), n = strlen(suffix);

	return length > n && !strcmp(text + length - n, suffix);
}

static bool is_template(const char *unit)
{
	const char *at = strchr(unit, '@');

	return at && (at[1] == '.' && !strchr(at + 2, '.'));
}

/* What has processes of its own, and not those of others. */
static int check_unit(const struct setting_text *text, const char *unit)
{
	if (strspn(unit, UNIT_CHARS) != strlen(unit) || *unit == '@' || *unit == '.')
		return setting_refuse(text, "has a word that is no unit; " UNITS_ARE);
	if (ends_with(unit, ".slice"))
		return setting_refuse(text,
				      "has a slice, in which may be whatever there is; " UNITS_ARE);
	if (!ends_with(unit, ".service") && !ends_with(unit, ".scope"))
		return setting_refuse(
			text, "has a word that does not end in .service or .scope; " UNITS_ARE);
	if (is_template(unit))
		return setting_refuse(text, "has a template; it takes its instances, like "
					    "proxy@0.service proxy@1.service.");
	return 0;
}

bool config_fastpath_has(const struct config_fastpath *fastpath, const char *unit)
{
	for (unsigned i = 0; i < fastpath->n_units; i++)
		if (!strcmp(fastpath->units[i], unit))
			return true;
	return false;
}

static int add_unit(struct config_fastpath *fastpath, const struct setting_text *text,
		    const char *unit, size_t length)
{
	char name[UNIT_NAME_MAX];
	int r;

	if (length >= sizeof(name))
		return setting_refuse(text, "has a word that is too long for a unit; " UNITS_ARE);
	memcpy(name, unit, length);
	name[length] = '\0';
	r = check_unit(text, name);
	if (r < 0 || config_fastpath_has(fastpath, name))
		return r;
	if (fastpath->n_units == CONFIG_FASTPATH_UNITS_MAX)
		return setting_refuse(text, "is one too many; allowed are up to %u units.",
				      CONFIG_FASTPATH_UNITS_MAX);
	memcpy(fastpath->units[fastpath->n_units++], name, sizeof(name));
	return 0;
}

static int add_units(void *object, const struct setting_text *text)
{
	struct config_fastpath *fastpath = object, before = *fastpath;
	int r = 0;

	if (!*text->value)
		memset(fastpath, 0, sizeof(*fastpath));
	for (const char *p = text->value; !r && *(p += strspn(p, BLANKS));) {
		size_t length = strcspn(p, BLANKS);

		r = add_unit(fastpath, text, p, length);
		p += length;
	}
	if (r < 0)
		*fastpath = before;
	return r;
}

static const struct setting settings[] = {
	{CONFIG_FASTPATH_SECTION, "From", "",
	 "Units of this machine whose connections to the service go past the TCP stack. May stand "
	 "several times.",
	 .kind = SETTING_OTHER, .parse = add_units, .form = "units", .list = true},
};

const struct setting *config_fastpath_key(size_t index)
{
	return index < ARRAY_SIZE(settings) ? &settings[index] : NULL;
}

int config_fastpath_check(const struct config_fastpath *fastpath, const char *service,
			  struct problem *problem)
{
	char name[SERVICE_NAME_MAX];
	unsigned slot;

	for (unsigned i = 0; i < fastpath->n_units; i++)
		if (!name_from_unit(fastpath->units[i], name, &slot) && !strcmp(name, service))
			return problem_set(problem, -EINVAL,
					   "From=%s is a slot of the service itself; it takes the "
					   "units of its clients.",
					   fastpath->units[i]);
	return 0;
}
