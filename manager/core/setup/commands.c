// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/setup/commands.h"

#include <ctype.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "core/setup/dropin_file.h"
#include "core/setup/signalname.h"
#include "util/files.h"
#include "util/macro.h"
#include "util/strings.h"

/* What stands between the words of a command line, a shell's too. */
#define SEPARATORS " \t\"'`;&|(){}=,"

static const char *const names[] = {
	[COMMANDS_CONDITION] = "ExecCondition",
	[COMMANDS_START_PRE] = "ExecStartPre",
	[COMMANDS_START_POST] = "ExecStartPost",
	[COMMANDS_RELOAD] = "ExecReload",
	[COMMANDS_STOP] = "ExecStop",
	[COMMANDS_STOP_POST] = "ExecStopPost",
};
_Static_assert(ARRAY_SIZE(names) == COMMANDS_COUNT, "a name for each list");

/* Programs that send a signal to whom they find. */
static const struct killer {
	const char *name;
	const char *options; /* a signal follows behind one of these, in any way to write it */
	bool by_dash;	     /* "-hup", "-1" */
	bool is_gentle;	     /* without any it is SIGTERM */
} killers[] = {
	{"kill", " -s -n --signal ", true, true},
	{"killall", " -s --signal ", true, true},
	{"pkill", " --signal ", true, true},
	{"killall5", "", true, true},
	{"skill", "", true, true},
	{"killproc", "", true, true},
	{"start-stop-daemon", " -s --signal -R --retry ", false, true},
	/* "-4" is no signal there, and what it sends without is no reload */
	{"fuser", "", false, false},
};

/* Programs that find a running copy of themselves by its PID file, and send it a signal. */
static const struct {
	const char *before, *word, *signal;
} orders[] = {
	{"-s", "reload", "HUP"},
	{"-s", "reopen", "USR1"},
	{"-s", "quit", "QUIT"},
	{"-s", "stop", "TERM"},
	{"-k", "graceful", "USR1"},
	{"-k", "graceful-stop", "WINCH"},
	{"-k", "restart", "HUP"},
	{"-k", "stop", "TERM"},
	{"apachectl", "graceful", "USR1"},
	{"apachectl", "graceful-stop", "WINCH"},
	{"apachectl", "restart", "HUP"},
	{"apachectl", "stop", "TERM"},
	{"apache2ctl", "graceful", "USR1"},
	{"apache2ctl", "graceful-stop", "WINCH"},
	{"apache2ctl", "restart", "HUP"},
	{"apache2ctl", "stop", "TERM"},
};

const char *command_list_to_string(enum command_list list)
{
	return list < COMMANDS_COUNT ? names[list] : "unknown";
}

void commands_done(struct commands *commands)
{
	for (unsigned i = 0; i < COMMANDS_COUNT; i++)
		strings_free(commands->lines[i]);
	*commands = (struct commands) {0};
}

/* ---- words ---- */

struct word {
	const char *text;
	size_t length;
};

/* The next word behind `*place`; false at the end. */
static bool next_word(const char **place, struct word *ret_word)
{
	ret_word->text = *place + strspn(*place, SEPARATORS);
	ret_word->length = strcspn(ret_word->text, SEPARATORS);
	*place = ret_word->text + ret_word->length;
	return ret_word->length;
}

static bool word_is(const struct word *word, const char *text)
{
	return strlen(text) == word->length && !memcmp(word->text, text, word->length);
}

/* Without its folder, and without what systemd puts in front of a command: "-+/bin/kill". */
static struct word program_of(struct word word)
{
	for (size_t i = word.length; i > 0; i--)
		if (strchr("/@-:+!", word.text[i - 1]) &&
		    (word.text[i - 1] == '/' || strspn(word.text, "@-:+!") >= i))
			return (struct word) {word.text + i, word.length - i};
	return word;
}

static const struct killer *killer_of(struct word word)
{
	struct word program = program_of(word);

	for (size_t i = 0; i < ARRAY_SIZE(killers); i++)
		if (word_is(&program, killers[i].name))
			return &killers[i];
	return NULL;
}

/* ---- signals ---- */

static struct word without_dashes(struct word word)
{
	while (word.length && *word.text == '-')
		word = (struct word) {word.text + 1, word.length - 1};
	return word;
}

static bool is_option_of(const struct killer *killer, const struct word *word)
{
	_cleanup_(freep) char *option = format(" %.*s ", (int)word->length, word->text);

	return word->length && option && strstr(killer->options, option);
}

/* In capitals it is one wherever it stands. Other ways to write it are other things elsewhere: a
 * time, a family of addresses, a verb. */
static bool is_in_capitals(struct word word)
{
	return strspn(word.text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-/") >= word.length &&
	       !isdigit((unsigned char)*word.text);
}

/* "QUIT/5" is QUIT, too. */
static int number_of(struct word word)
{
	const char *slash = memchr(word.text, '/', word.length);

	return signalname_number(word.text, slash ? (size_t)(slash - word.text) : word.length);
}

/* "-sHUP" */
static int number_behind_letter(const struct killer *killer, struct word bare)
{
	char option[] = {'-', bare.length ? *bare.text : '-', '\0'};

	return is_option_of(killer, &(struct word) {option, 2})
		       ? number_of((struct word) {bare.text + 1, bare.length - 1})
		       : -1;
}

/* A schedule may begin with a time: "5", "QUIT/5", "-3/5". */
static bool is_time(const struct word *before, struct word word)
{
	return (word_is(before, "-R") || word_is(before, "--retry")) &&
	       isdigit((unsigned char)*word.text);
}

/* Which signal there is in the word; -1: none. */
static int signal_at(const struct killer *killer, const struct word *before, struct word word)
{
	struct word bare = without_dashes(word);
	int number;

	if (killer && is_option_of(killer, before))
		return is_time(before, word) ? -1 : number_of(bare);
	if (is_in_capitals(bare))
		return number_of(bare);
	if (!killer || !killer->by_dash || *word.text != '-')
		return -1;
	number = number_of(bare);
	return number < 0 ? number_behind_letter(killer, bare) : number;
}

/* What a program has its running copy told; NULL = nothing of the kind. */
static const char *order_in(const char *command)
{
	struct word word, before = {"", 0}, program = before;

	for (; next_word(&command, &word); before = word, program = program_of(word))
		for (size_t i = 0; i < ARRAY_SIZE(orders); i++)
			if ((word_is(&before, orders[i].before) ||
			     word_is(&program, orders[i].before)) &&
			    word_is(&word, orders[i].word))
				return orders[i].signal;
	return NULL;
}

/* The first one that is sent, as graceful ones come first: the one that is named, or, without, the
 * program's own. 0 only asks whether there is somebody. False: nobody can tell. */
static bool signal_in(const char *command, char ret_name[SIGNALNAME_MAX])
{
	const char *order = order_in(command);
	struct word word, before = {"", 0};
	const struct killer *killer = NULL, *next;
	int number = order ? signalname_number(order, strlen(order)) : -1;

	for (; number < 1 && next_word(&command, &word); before = word) {
		next = killer_of(word);
		if (next && killer && killer->is_gentle)
			break;
		killer = next ?: killer;
		number = signal_at(killer, &before, word);
		if (!number)
			killer = NULL;
	}
	if (number < 1 && killer && killer->is_gentle)
		number = SIGTERM;
	return signalname_write(number, ret_name);
}

/* ---- one command ---- */

/* Sends signals to whom it finds by a file, a name or a port that is not the slot's own, or names
 * `pid_file`. */
static bool reaches_all(const char *command, const char *pid_file)
{
	bool reaches = order_in(command);
	struct word word;

	if (lint_depends_on_slot(command) || strstr(command, "MAINPID") ||
	    strstr(command, "HOTSTANDBY_SLOT"))
		return false;
	while (next_word(&command, &word)) {
		/* start-stop-daemon can do the contrary, too */
		if (word_is(&word, "--start"))
			return false;
		reaches |= killer_of(word) || (pid_file && word_is(&word, pid_file));
	}
	return reaches;
}

/* Variables that differ from slot to slot may be in it: "$A", "${A}", but not "$(cat file)". */
static bool knows_by_variable(const struct lint_unit *service, const char *command)
{
	const char *dollar = strchr(command, '$');

	while (dollar && dollar[1] == '(')
		dollar = strchr(dollar + 1, '$');
	return dollar && lint_has_own_environment(service);
}

/* Only what is meant to reach the server is judged by the file: to remove a stale one is no harm.
 */
static const char *file_for(enum command_list list, const char *pid_file)
{
	return list == COMMANDS_RELOAD || list == COMMANDS_STOP ? pid_file : NULL;
}

/* A reload by another signal than the server's own may end it, so systemd is given it only where
 * the signal is known. To stop is what systemd does anyway. */
bool command_is_replaced(const char *command, enum command_list list, const char *pid_file)
{
	char signal[SIGNALNAME_MAX];

	return reaches_all(command, file_for(list, pid_file)) &&
	       (list != COMMANDS_RELOAD || signal_in(command, signal));
}

/* ---- the unit ---- */

static int add_line(struct commands *commands, enum command_list list, const char *line)
{
	return strings_add(&commands->lines[list], line);
}

/* systemd itself knows the slot's process: it sends the same signal to that. */
static int replace(struct commands *commands, enum command_list list, const char *line)
{
	char signal[SIGNALNAME_MAX] = "";
	bool known = signal_in(line, signal);
	int privileged = line[strspn(line, "-")] == '+';

	commands->replaced[list] = true;
	if (list == COMMANDS_RELOAD)
		return strings_take(&commands->lines[list],
				    format("%skill -s %s $MAINPID", privileged ? "+" : "", signal));
	if (list == COMMANDS_STOP && known && strcmp(signal, "TERM") != 0)
		snprintf(commands->kill_signal, sizeof(commands->kill_signal), "SIG%s", signal);
	return 0;
}

static int read_list(struct commands *commands, enum command_list list,
		     const struct lint_unit *service, const char *pid_file)
{
	_cleanup_(strings_freep) char **lines = NULL;
	int r = dropin_effective(&service->settings, "Service", names[list], &lines);

	for (char **line = lines; r >= 0 && line && *line; line++) {
		if (!knows_by_variable(service, *line) &&
		    command_is_replaced(*line, list, pid_file))
			r = replace(commands, list, *line);
		else
			r = add_line(commands, list, *line);
	}
	return r;
}

int commands_read(struct commands *ret_commands, const struct lint_unit *service,
		  const char *pid_file)
{
	struct commands commands = {0};
	int r = 0;

	for (unsigned i = 0; r >= 0 && i < COMMANDS_COUNT; i++)
		r = read_list(&commands, i, service, pid_file);
	if (r < 0) {
		commands_done(&commands);
		return r;
	}
	*ret_commands = commands;
	return 0;
}

bool commands_fit(const struct commands *a, const struct commands *b)
{
	for (unsigned i = 0; i < COMMANDS_COUNT; i++) {
		/* what stops is always written anew, behind ours; see also commands_share() */
		bool written = i == COMMANDS_STOP || a->replaced[i] || b->replaced[i];

		if (written && !strings_equal(a->lines[i], b->lines[i]))
			return false;
	}
	return !strcmp(a->kill_signal, b->kill_signal);
}

void commands_share(struct commands *commands, const struct commands *others)
{
	static const enum command_list lists[] = {COMMANDS_CONDITION, COMMANDS_START_POST};

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		char ***lines = &commands->lines[lists[i]];

		if (strings_equal(*lines, others->lines[lists[i]]))
			continue;
		strings_free(*lines);
		*lines = NULL;
	}
}
