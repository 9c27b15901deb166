/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The unit of the plain name, app.service, for those who go on saying it: package scripts, hooks of
 * certificates and logs, people. It has no process; start, stop, reload and restart of it do what
 * is meant to the slots. Pure. Texts and paths are NULL without memory, else the caller frees them.
 */
#pragma once

#include <stdbool.h>

/* In the template's drop-in, section [Unit]; systemd passes over what begins with "X-". */
#define ALIAS_KEY "X-HotstandbyAlias"
/* Behind the path of a unit file that stood where the alias's stands. */
#define ALIAS_SAVED ".before-hotstandby"
/* How its commands tell each other what is meant: a file in here. */
#define ALIAS_FOLDER  "/run/hotstandby-alias-"
#define ALIAS_RESTART "restart" /* its stop is a part of a restart */
#define ALIAS_LEAVE   "leave"	/* the slots go on */

/* "app.service": a unit that is no template and no instance. */
bool alias_is_possible(const char *unit);
/* A generator makes the file of a unit anew at each boot: of a script in /etc/init.d, say. */
bool alias_is_generated(const char *fragment);
/* Where its file stands, and where another one is kept. */
char *alias_path(const char *unit, const char *suffix);
char *alias_marker(const char *service, const char *marker);

/* Its file. `reloads`: the slots can be. */
char *alias_text(const char *service, bool reloads);
/* Its drop-in, where others stand beside it that were meant for a server: what they set is undone.
 */
char *alias_dropin_text(const char *service, bool reloads);
/* True if the text is that of an alias of this service (NULL: of any). */
bool alias_is_ours(const char *text, const char *service);

struct commands;

/* For the time in which the plain unit is stopped beside the slots: what might reach them is left
 * out, and what they share stays. */
char *alias_stop_text(const char *service, const struct commands *commands);
