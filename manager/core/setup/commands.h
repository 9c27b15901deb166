/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The commands of a unit that is made a template by copying it: some reach "the" server by its PID
 * file, its name or its port, and with several slots that is any of them. What a drop-in sets
 * instead. Pure.
 */
#pragma once

#include "core/setup/lint_unit.h"

enum command_list {
	COMMANDS_CONDITION,
	COMMANDS_START_PRE,
	COMMANDS_START_POST,
	COMMANDS_RELOAD,
	COMMANDS_STOP,
	COMMANDS_STOP_POST,
	COMMANDS_COUNT
};

/* "ExecStop" */
const char *command_list_to_string(enum command_list list);

/* The lines of one slot. Free with commands_done(). */
struct commands {
	char **lines[COMMANDS_COUNT];  /* those that hold, without what may reach another slot */
	bool replaced[COMMANDS_COUNT]; /* there was such a line: the list must be written anew */
	char kill_signal[16];	       /* what a line left out of ExecStop= has sent: "SIGQUIT";
					  "" = nothing special */
};
void commands_done(struct commands *commands);

/* True if what a drop-in sets does without the command, as it sends signals to whom it finds by a
 * file, a name or a port that is not the slot's own, or names `pid_file`, the one of all slots,
 * which may be NULL. A reload that does so by a signal that cannot be told stays. */
bool command_is_replaced(const char *command, enum command_list list, const char *pid_file);

/* Looks at the unit of one slot. `pid_file` as above. -ENOMEM. */
int commands_read(struct commands *ret_commands, const struct lint_unit *service,
		  const char *pid_file);

/* Whether one drop-in of the template can say it for both. */
bool commands_fit(const struct commands *a, const struct commands *b);
/* Leaves out ExecCondition= and ExecStartPost= where slots that fit have different lines: then each
 * keeps its own, in front of ours. */
void commands_share(struct commands *commands, const struct commands *others);
