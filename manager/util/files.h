/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whole files and folders. 0 on success, negative errno on failure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Reads a whole file of at most `max` bytes into a NUL-terminated buffer that the caller frees. A
 * larger file is -EFBIG, one with a NUL byte inside is -EBADMSG: it is not text. Never blocks on a
 * FIFO. */
int file_read(const char *path, size_t max, char **ret_text);

/* Replaces `path` by a file with this text and mode, complete or not at all (temporary file, fsync,
 * rename). The mode is set as given, whatever the umask. A symbolic link is replaced, not followed.
 */
int file_write(const char *path, const char *text, mode_t mode);

/* mkdir -p; folders that exist are left as they are, new ones get exactly this mode, whatever the
 * umask. -ENOTDIR when something else is in the way. */
int make_folders(const char *path, mode_t mode);

/* Whether there is such a command in $PATH. */
bool program_is_installed(const char *program);

/* asprintf that returns NULL on failure and nothing undefined. The caller frees. */
char *format(const char *template, ...) __attribute__((format(printf, 1, 2)));
