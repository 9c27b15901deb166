/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is wrong in files of settings: every line, not only the first. */
#pragma once

#include <json-c/json.h>

#include "system/configfile.h"

/* Adds {"file","line","problem"} of each fault to the array of `userdata`: on_fault() of a visitor.
 * "line" is null for what is wrong with the whole file. */
void check_on_fault(const char *path, unsigned line, const char *sentence, void *userdata);

/* The faults of these files. The caller owns it. */
json_object *check_files(const char *const *paths, unsigned n);

/* Those of all services, and how many services there are. Negative errno: the folders cannot be
 * read. */
int check_all(json_object **ret_faults, unsigned *ret_services);

/* "FILE:LINE: SENTENCE", or the sentence alone where it names the file. */
void check_complain(json_object *faults);
