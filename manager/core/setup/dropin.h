/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The files that put a template unit under hotstandby. Pure; writing them is hsctl/setup/enable.h.
 * The functions that return a text or path return NULL without memory, else the caller frees it. */
#pragma once

#include <stdbool.h>

#include "core/config/ini.h"
#include "core/setup/dropin_file.h"

struct commands;
struct pathlist;

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
