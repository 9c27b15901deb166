// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsctl/verb/since.h"

#include <errno.h>

#include "util/macro.h"
#include "util/parse.h"

int since_parse(const char *text, time_t now, uint64_t *ret_seconds)
{
	static const char *const forms[] = {"%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d"};
	uint64_t usec;

	if (*text == '@')
		return parse_unsigned(text + 1, 0, (uint64_t)now, ret_seconds) < 0 ? -EINVAL : 0;
	if (!parse_span(text, &usec) && usec / USEC_PER_SEC <= (uint64_t)now) {
		*ret_seconds = (uint64_t)now - usec / USEC_PER_SEC;
		return 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		struct tm tm = {.tm_isdst = -1};
		const char *end = strptime(text, forms[i], &tm);
		time_t time = end && !*end ? mktime(&tm) : -1;

		if (time < 0)
			continue;
		*ret_seconds = (uint64_t)time;
		return 0;
	}
	return -EINVAL;
}
