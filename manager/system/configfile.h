/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where the settings of a service stand, each file adding to those before:
 *
 *   /usr/lib/hotstandby/NAME.conf              the vendor's
 *   /etc/hotstandby/NAME.conf                  the administrator's
 *   /{usr/lib,etc}/hotstandby/NAME.conf.d/ *.conf   drop-ins, by file name; a name in /etc hides
 * the same in /usr/lib
 *
 * A service is configured if one of the first two is there. A link to /dev/null in /etc masks:
 * NAME.conf the whole service, a drop-in the vendor's one of that name.
 */
#pragma once

#include <stdbool.h>

#include "core/config/config.h"
#include "core/config/ini.h"

/* Who looks on while settings are read. Each function may be NULL. */
struct configfile_visitor {
	/* each file that is there, in the order in which they count */
	void (*on_file)(const char *path, bool masked, void *userdata);
	/* each assignment that was taken over */
	void (*on_assignment)(const struct assignment *assignment, void *userdata);
	/* what is wrong; line 0: the whole file. Reading goes on behind it */
	void (*on_fault)(const char *path, unsigned line, const char *sentence, void *userdata);
	/* this file has this text, whatever is on the disk */
	const char *trial_path, *trial_text;
	void *userdata;
};

/* As configfile_load(), while somebody looks on. */
int configfile_read(const char *service, const struct configfile_visitor *visitor,
		    struct config *ret, struct problem *problem);
/* One file by itself, wherever it stands: what is wrong in it. -ENOENT, with a sentence, when it is
 * not there. */
int configfile_check(const char *path, const struct configfile_visitor *visitor,
		     struct problem *problem);

/* Reads them all. 0; -ENOENT if the service is not configured; -EINVAL if anything in them is
 * wrong: then nothing of them holds. With every error but -ENOENT `problem` (may be NULL) says
 * file, line, reason and remedy. */
int configfile_load(const char *service, struct config *ret, struct problem *problem);

/* A number that differs when files of these settings have been changed, made or removed. 0: it is
 * not known, as when one was changed a moment ago and might be changed again in the same instant of
 * the file system's clock. */
uint64_t configfile_stamp(const char *service);

/* Where NAME.conf of the administrator and of the vendor stand; what follows ".conf" is `suffix`.
 * Free it. */
char *configfile_path(const char *service, const char *suffix);
char *configfile_vendor_path(const char *service);

/* True if this is a link to /dev/null. */
bool configfile_is_masked(const char *path);

/* The names of all configured services, sorted, whether their settings are right or not. NULL if
 * there is none. Free with strings_free(). */
int configfile_list(char ***ret_services);

/* Looks for everything below another folder, "" for none: for tests. The string must stay. */
void configfile_set_root(const char *root);
