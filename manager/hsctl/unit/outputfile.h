/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Files that a unit writes to instead of the journal (StandardOutput=, StandardError= with file:,
 * append: or truncate:), and what has been written there since. */
#pragma once

#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-bus.h>

#define OUTPUT_FILES_MAX 2

struct output_files {
	struct output_file {
		char *path;
		uint64_t size; /* when it was looked at; 0 = it was not there, or begins anew */
	} files[OUTPUT_FILES_MAX];
	unsigned n;
};

/* By the unit's own files. What cannot be found out, or has other specifiers than %i, %n, %p and
 * %%, is left out. */
void output_files_find(sd_bus *systemd, const char *unit, struct output_files *ret_files);
void output_files_done(struct output_files *files);

/* Calls `each` for each of the last `lines` lines that were written to the file since it was looked
 * at, the oldest first, with nothing in it that a terminal would obey. Returns how many, or -errno:
 * -EINVAL when it is no plain file. */
int output_file_tail(const struct output_file *file, unsigned lines,
		     void (*each)(const char *line, void *userdata), void *userdata);
