// SPDX-License-Identifier: GPL-2.0-or-later
/* history: what was done, by whom, how long it took and how it ended. The journal knows. */
#include <inttypes.h>
#include <libsmartcols/libsmartcols.h>
#include <pwd.h>
#include <string.h>
#include <time.h>

#include "hsctl/json.h"
#include "hsctl/verb/elsewhere.h"
#include "hsctl/verb/verb.h"
#include "hsctl/verb_functions.h"
#include "system/journal.h"
#include "util/clock.h"
#include "util/macro.h"

#define LINES_DEFAULT 50

DEFINE_CLEANUP(struct libscols_table, scols_unref_table)

enum column { TIME, SERVICE, WHAT, SLOTS, BY, TOOK, OUTCOME, RIGHT, COLUMN_COUNT };

struct show {
	struct libscols_table *table; /* NULL: JSON, a line each */
	unsigned shown;
};

static void format_time(uint64_t usec, bool utc, char text[48])
{
	time_t seconds = usec / USEC_PER_SEC;
	struct tm tm;

	text[0] = '\0';
	if (utc ? gmtime_r(&seconds, &tm) : localtime_r(&seconds, &tm))
		strftime(text, 48, utc ? "%FT%TZ" : "%F %T", &tm);
}

/* A user's name, where there is one; "hsd" for what it did by itself. */
static const char *who(uint32_t uid, char text[64])
{
	const struct passwd *user = uid == JOURNAL_UID_NONE ? NULL : getpwuid(uid);

	if (uid == JOURNAL_UID_NONE)
		snprintf(text, 64, "hsd");
	else if (user)
		snprintf(text, 64, "%.63s", user->pw_name);
	else
		snprintf(text, 64, "%" PRIu32, uid);
	return text;
}

/* The actions of polkit that are ours begin all alike. */
static const char *shorten(const char *right)
{
	size_t n = strlen(BUS_NAME ".");

	return strncmp(right, BUS_NAME ".", n) ? right : right + n;
}

static void add_slot(json_object *object, const char *key, int slot)
{
	json_object_object_add(object, key, slot < 0 ? NULL : json_object_new_int(slot));
}

static void add_text(json_object *object, const char *key, const char *text)
{
	json_object_object_add(object, key, text[0] ? json_object_new_string(text) : NULL);
}

static void print_json(const struct journal_entry *entry)
{
	_cleanup_(json_object_putp) json_object *object = json_object_new_object();
	const struct journal_deed *deed = &entry->deed;
	char time[48], name[64];

	format_time(entry->time_usec, true, time);
	add_text(object, "time", time);
	add_text(object, "service", entry->service);
	add_text(object, "verb", deed->verb);
	add_slot(object, "from", deed->from);
	add_slot(object, "to", deed->to);
	add_text(object, "by", who(deed->by.uid, name));
	json_object_object_add(
		object, "uid",
		deed->by.uid == JOURNAL_UID_NONE ? NULL : json_object_new_uint64(deed->by.uid));
	add_text(object, "right", deed->by.right);
	add_text(object, "unit", deed->by.unit);
	json_object_object_add(object, "duration_us", json_object_new_uint64(deed->duration_usec));
	add_text(object, "outcome", deed->outcome);
	add_text(object, "message", entry->message);
	puts(json_line(object));
}

static void add_line(struct libscols_table *table, const struct journal_entry *entry)
{
	struct libscols_line *line = scols_table_new_line(table, NULL);
	const struct journal_deed *deed = &entry->deed;
	char text[64];

	if (!line)
		return;
	format_time(entry->time_usec, false, text);
	scols_line_set_data(line, TIME, text);
	scols_line_set_data(line, SERVICE, entry->service);
	scols_line_set_data(line, WHAT, deed->verb);
	if (deed->from >= 0 && deed->to >= 0) {
		snprintf(text, sizeof(text), "%d to %d", deed->from, deed->to);
		scols_line_set_data(line, SLOTS, text);
	}
	scols_line_set_data(line, BY, who(deed->by.uid, text));
	scols_line_set_data(line, TOOK, span_format(deed->duration_usec, text, sizeof(text)));
	scols_line_set_data(line, OUTCOME, deed->outcome);
	scols_line_set_data(line, RIGHT, shorten(deed->by.right));
}

static int on_entry(const struct journal_entry *entry, void *userdata)
{
	struct show *show = userdata;

	show->shown++;
	if (show->table)
		add_line(show->table, entry);
	else
		print_json(entry);
	return 0;
}

static struct libscols_table *new_table(void)
{
	static const char *const names[COLUMN_COUNT] = {
		[TIME] = "TIME", [SERVICE] = "SERVICE", [WHAT] = "WHAT",       [SLOTS] = "SLOTS",
		[BY] = "BY",	 [TOOK] = "TOOK",	[OUTCOME] = "OUTCOME", [RIGHT] = "RIGHT",
	};
	struct libscols_table *table = scols_new_table();

	for (unsigned i = 0; table && i < COLUMN_COUNT; i++)
		scols_table_new_column(table, names[i], 0, i == TOOK ? SCOLS_FL_RIGHT : 0);
	return table;
}

int verb_history(const struct arguments *arguments)
{
	_cleanup_(scols_unref_tablep) struct libscols_table *table =
		arguments->json ? NULL : new_table();
	struct show show = {.table = table};
	struct journal_query query = {.lines = LINES_DEFAULT, .deeds = true};
	char name[SERVICE_NAME_MAX];
	int r;

	if (arguments->n) {
		if (verb_service(arguments, name))
			return EXIT_USAGE;
		query.service = name;
	}
	if (arguments->host || arguments->machine)
		return elsewhere_run(arguments);
	if (verb_since(arguments, &query.since_sec))
		return EXIT_USAGE;
	if (arguments->texts[TEXT_SINCE])
		query.lines = 0;
	if (arguments->options & OPTION_LINES)
		query.lines = arguments->lines;
	r = journal_read(&query, on_entry, &show);
	if (r < 0)
		return verb_end_of_journal(r);
	if (table && show.shown)
		scols_print_table(table);
	else if (table)
		complain("nothing was done yet%s", geteuid() ? ", or the journal is not yours to "
							       "read: who is not root must be in "
							       "the group systemd-journal"
							     : "");
	return EXIT_DONE;
}
