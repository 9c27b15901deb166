// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/setup/dropin_file.h"

#include <string.h>

#include "util/macro.h"
#include "util/strings.h"

/* The last part of a path. */
static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

bool dropin_is_later(const char *path)
{
	const char *base = base_name(path);

	return base - path > 3 && memcmp(base - 3, ".d/", 3) == 0 && strcmp(base, DROPIN_NAME) > 0;
}

bool dropin_is_ours(const char *path)
{
	return !strcmp(base_name(path), DROPIN_NAME);
}

int dropin_effective(const struct assignments *list, const char *section, const char *key,
		     char ***ret_values)
{
	_cleanup_(strings_freep) char **values = NULL;
	int r;

	for (size_t i = 0; i < list->n; i++) {
		const struct assignment *a = &list->items[i];

		if (!assignment_is(a, section, key) || dropin_is_ours(a->file) ||
		    dropin_is_later(a->file))
			continue;
		if (!*a->value) {
			strings_free(values);
			values = NULL;
			continue;
		}
		r = strings_add(&values, a->value);
		if (r < 0)
			return r;
	}
	*ret_values = steal_ptr(&values);
	return 0;
}
