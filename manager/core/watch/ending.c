// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/watch/ending.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

static const char *describe_signal(int signal, char *text)
{
	const char *name = sigabbrev_np(signal);

	snprintf(text, ENDING_TEXT_MAX, "killed by signal %d%s%s%s", signal, name ? " (" : "",
		 name ?: "", name ? ")" : "");
	return text;
}

const char *ending_describe(const struct ending *ending, char *text)
{
	text[0] = '\0';
	if (!strcmp(ending->result, "watchdog"))
		snprintf(text, ENDING_TEXT_MAX,
			 "ended by systemd's watchdog: no sign of life for WatchdogSec=");
	else if (!strcmp(ending->result, "oom-kill"))
		snprintf(text, ENDING_TEXT_MAX, "killed because memory ran out");
	else if (ending->code == CLD_KILLED || ending->code == CLD_DUMPED)
		describe_signal(ending->status, text);
	else if (ending->code == CLD_EXITED)
		snprintf(text, ENDING_TEXT_MAX, "exit status %d", ending->status);
	return text;
}
