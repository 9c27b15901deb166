// SPDX-License-Identifier: GPL-2.0-or-later
#include "probe/ask.h"

#include <stdarg.h>
#include <string.h>

const char *ask_error_words(int error)
{
	switch (error) {
	case ECONNREFUSED:
		return "connection refused";
	case ECONNRESET:
	case EPIPE:
		return "the connection was reset";
	case ETIMEDOUT:
		return "no answer";
	default:
		return strerror(error);
	}
}

void ask_end(struct ask *ask, enum probe_verdict verdict, const char *template, ...)
{
	va_list list;

	if (ask->ended)
		return;
	ask->ended = true;
	ask->end.verdict = verdict;
	va_start(list, template);
	vsnprintf(ask->end.words, sizeof(ask->end.words), template, list);
	va_end(list);
	if (ask->io)
		sd_event_source_set_enabled(ask->io, SD_EVENT_OFF);
	sd_event_source_set_time(ask->timer, 0);
}
