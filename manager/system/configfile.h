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

#include "core/config.h"

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
