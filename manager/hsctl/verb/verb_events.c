// SPDX-License-Identifier: GPL-2.0-or-later
/* events: what the journal tells of us. */
#include <inttypes.h>
#include <string.h>
#include <syslog.h>
#include <time.h>

#include "hsctl/json.h"
#include "hsctl/verb/elsewhere.h"
#include "hsctl/verb/verb.h"
#include "hsctl/verb_functions.h"
#include "system/journal.h"
#include "util/macro.h"

#define LINES_DEFAULT  50
#define LINES_FOLLOWED 10

struct show {
	bool json, color;
	unsigned shown;
};

static void format_time(uint64_t usec, bool utc, char *text, size_t size)
{
	time_t seconds = usec / USEC_PER_SEC;
	char day[32];
	struct tm tm;

	text[0] = '\0';
	if (!(utc ? gmtime_r(&seconds, &tm) : localtime_r(&seconds, &tm)) ||
	    !strftime(day, sizeof(day), utc ? "%FT%T" : "%F %T", &tm))
		return;
	snprintf(text, size, "%s.%03u%s", day, (unsigned)(usec % USEC_PER_SEC / USEC_PER_MSEC),
		 utc ? "Z" : "");
}

static void add_text(json_object *object, const char *key, const char *text)
{
	json_object_object_add(object, key, text[0] ? json_object_new_string(text) : NULL);
}

static void print_json(const struct journal_entry *entry)
{
	_cleanup_(json_object_putp) json_object *object = json_object_new_object();
	char time[48];

	format_time(entry->time_usec, true, time, sizeof(time));
	add_text(object, "time", time);
	add_text(object, "service", entry->service);
	json_object_object_add(object, "slot",
			       entry->slot < 0 ? NULL : json_object_new_int(entry->slot));
	add_text(object, "event", entry->event);
	json_object_object_add(object, "priority", json_object_new_int(entry->priority));
	json_object_object_add(object, "pid", json_object_new_int64(entry->pid));
	add_text(object, "message", entry->message);
	puts(json_line(object));
}

/* Messages begin with the service where they have one, so it needs no column. */
static void print_text(const struct journal_entry *entry, bool color)
{
	const char *mark = entry->priority <= LOG_ERR ? "\033[31m" : "\033[33m";
	bool marked = color && entry->priority <= LOG_WARNING;
	char time[48];

	format_time(entry->time_usec, false, time, sizeof(time));
	printf("%s  %s%-12s%s  %s\n", time, marked ? mark : "", entry->event,
	       marked ? "\033[0m" : "", entry->message);
}

static int on_entry(const struct journal_entry *entry, void *userdata)
{
	struct show *show = userdata;

	show->shown++;
	if (show->json)
		print_json(entry);
	else
		print_text(entry, show->color);
	/* a reader at the other end of a pipe wants each line at once; without one we are done */
	return fflush(stdout) ? -EPIPE : 0;
}

static unsigned wanted_lines(const struct arguments *arguments)
{
	if (arguments->options & OPTION_LINES)
		return arguments->lines;
	if (arguments->texts[TEXT_SINCE])
		return 0;
	return arguments->follow ? LINES_FOLLOWED : LINES_DEFAULT;
}

int verb_events(const struct arguments *arguments)
{
	struct show show = {.json = arguments->json, .color = arguments->color};
	struct journal_query query;
	char name[SERVICE_NAME_MAX];
	const char *service = NULL;
	int r;

	if (arguments->n) {
		if (verb_service(arguments, name))
			return EXIT_USAGE;
		service = name;
	}
	if (arguments->host || arguments->machine)
		return elsewhere_run(arguments);
	query = (struct journal_query) {
		.service = service,
		.lines = wanted_lines(arguments),
		.follow = arguments->follow,
	};
	if (verb_since(arguments, &query.since_sec))
		return EXIT_USAGE;
	r = verb_end_of_journal(journal_read(&query, on_entry, &show));
	if (r)
		return r;
	if (!show.shown && geteuid())
		complain("nothing to see; who is not root must be in the group systemd-journal");
	return EXIT_DONE;
}
