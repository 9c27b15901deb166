// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/wire/errand.h"

#include <string.h>

#define LINE_MAX_SHOWN 200

bool errand_check_hello(const void *packet, size_t size)
{
	struct errand_hello hello;

	if (size != sizeof(hello))
		return false;
	memcpy(&hello, packet, sizeof(hello));
	return hello.version == ERRAND_VERSION;
}

bool errand_check_end(struct errand_end *end, size_t size)
{
	if (size != sizeof(*end) || end->verdict >= PROBE_VERDICT_COUNT)
		return false;
	end->words[sizeof(end->words) - 1] = '\0';
	return true;
}

bool errand_check_plugin_end(const struct errand_plugin_end *end, size_t size)
{
	return size == sizeof(*end) && end->size <= sizeof(end->output);
}

void errand_first_line(const char *text, size_t size, struct problem *ret_line)
{
	char line[LINE_MAX_SHOWN + 1];
	size_t n = 0;

	for (size_t i = 0; i < size && n < LINE_MAX_SHOWN && text[i] && text[i] != '\n'; i++)
		if (text[i] != '\r')
			line[n++] = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
	while (n && line[n - 1] == ' ')
		n--;
	line[n] = '\0';
	problem_set(ret_line, 0, "%s", line);
}
