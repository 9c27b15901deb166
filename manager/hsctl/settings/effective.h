/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The settings of a service as they hold, and which line of which file each is from. */
#pragma once

#include <json-c/json.h>

#include "util/problem.h"

/* {"service","files":[{"path","masked"}],"settings":[{"section","key","value","text","default",
 * "from":[{"file","line"}],"implied_by"}]}: all settings, in the order of the manual; "from" is
 * empty for a default. -ENOENT: there is no such service; else as configfile_load(). The caller
 * owns it. */
int effective_read(const char *service, json_object **ret_object, struct problem *problem);
