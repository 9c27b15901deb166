/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The files that put a template unit under hotstandby. Pure; writing them is hsctl/setup/enable.h.
 * The functions that return a text or path return NULL without memory, else the caller frees it. */
#pragma once

#include <stdbool.h>

#include "core/ini.h"

struct commands;
struct pathlist;

/* Sorts behind other drop-ins, so that ours is read last and sees their ExecStop= lines. */
#define DROPIN_NAME "zz-hotstandby.conf"

/* Where the drop-in of a template ("app@.service") stands. */
char *dropin_path(const char *template);

/* NAME.conf with every key at its default, as comments. */
char *dropin_config_text(const char *service);

/* What the drop-in of a service's template depends on. */
struct dropin {
	const char *service;
	char *const *sockets; /* its socket units' templates ("app@.socket"), NULL-terminated or
				 NULL */
	bool shares_pid_file; /* PIDFile= would be that of all slots */
	bool shares_runtime;  /* RuntimeDirectory= is that of all slots */
	const struct commands *commands; /* the unit's own; NULL = it has none */
	bool has_paths;			 /* it listens at paths, */
	const struct pathlist *paths;	 /* and binds these itself; NULL = none */
	const char *alias;		 /* see core/setup/alias.h; NULL = none */
	unsigned joined;		 /* slots that are to share a network namespace; 0 = none */
};
char *dropin_service_text(const struct dropin *dropin);

/* The drop-in of a socket unit's template. `settings`: the unit's own, for the paths among what it
 * listens at. */
char *dropin_socket_text(const char *service, const struct assignments *settings);

/* Adds the paths that a socket unit listens at and that are switched, see core/path.h. */
void dropin_socket_paths(const struct assignments *settings, struct pathlist *list);

/* The file with Paths=, among the settings of a service: NAME.conf.d/paths.conf. */
#define DROPIN_PATHS "paths.conf"
char *dropin_paths_text(const char *service, const struct pathlist *paths);

/* Reads the sockets back out of a service drop-in of ours, which this changes. Free with
 * strings_free(). */
int dropin_sockets(char *text, char ***ret_sockets);

/* The alias that it names; NULL = none, or no memory. Changes the text. The caller frees. */
char *dropin_alias(char *text);

/* True if this drop-in is read after ours, so that we do not see what it sets: in a folder "*.d",
 * with a name that sorts behind DROPIN_NAME. */
bool dropin_is_later(const char *path);

/* True if this is a drop-in of ours, whatever the folder. */
bool dropin_is_ours(const char *path);

/* The ExecStop= lines, or those of another list, that hold where our drop-in is read: an empty one
 * resets, ours and later files do not count. Free with strings_free(); NULL if there is none. */
int dropin_effective(const struct assignments *list, const char *section, const char *key,
		     char ***ret_values);
