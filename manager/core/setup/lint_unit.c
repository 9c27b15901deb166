// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/setup/lint_unit.h"

#include <string.h>

#include "core/setup/dropin_file.h"

bool lint_depends_on_slot(const char *value)
{
	for (const char *p = value; (p = strchr(p, '%')) && p[1]; p += 2)
		if (strchr("iInNf", p[1]))
			return true;
	return false;
}

bool lint_has_own_environment(const struct lint_unit *service)
{
	for (size_t i = 0; i < service->settings.n; i++) {
		const struct assignment *a = &service->settings.items[i];

		if (!strcmp(a->section, "Service") && !strncmp(a->key, "Environment", 11) &&
		    !dropin_is_ours(a->file) && lint_depends_on_slot(a->value))
			return true;
	}
	return false;
}
