// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/setup/signalname.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "util/parse.h"

/* "RTMIN", "RTMIN+1", "RTMAX-2" */
static int realtime_number(const char *name)
{
	bool first = !strncasecmp(name, "RTMIN", 5), last = !strncasecmp(name, "RTMAX", 5);
	uint64_t range = (uint64_t)(SIGRTMAX - SIGRTMIN), by = 0;

	if (!first && !last)
		return -1;
	if (name[5] &&
	    (name[5] != (first ? '+' : '-') || parse_unsigned(name + 6, 0, range, &by) < 0))
		return -1;
	return first ? SIGRTMIN + (int)by : SIGRTMAX - (int)by;
}

static int named_number(const char *name)
{
	char known[SIGNALNAME_MAX];

	for (int number = 1; number < SIGRTMIN; number++)
		if (signalname_write(number, known) && !strcasecmp(name, known))
			return number;
	return realtime_number(name);
}

int signalname_number(const char *text, size_t length)
{
	char name[sizeof("SIG") + SIGNALNAME_MAX];
	uint64_t number;

	if (!length || length >= sizeof(name))
		return -1;
	memcpy(name, text, length);
	name[length] = '\0';
	if (parse_unsigned(name, 0, (uint64_t)SIGRTMAX, &number) >= 0)
		return (int)number;
	return named_number(strncasecmp(name, "SIG", 3) ? name : name + 3);
}

bool signalname_write(int number, char ret_name[SIGNALNAME_MAX])
{
	const char *name = number > 0 ? sigabbrev_np(number) : NULL;
	bool realtime = number >= SIGRTMIN && number <= SIGRTMAX;

	if (name)
		snprintf(ret_name, SIGNALNAME_MAX, "%s", name);
	else if (realtime && number == SIGRTMIN)
		snprintf(ret_name, SIGNALNAME_MAX, "RTMIN");
	else if (realtime)
		snprintf(ret_name, SIGNALNAME_MAX, "RTMIN+%u", (unsigned)(number - SIGRTMIN) % 100);
	return name || realtime;
}
