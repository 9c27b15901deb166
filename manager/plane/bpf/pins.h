/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Pinned objects: where they are, how they come to be there, and taking them away. */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "util/problem.h"

/* Text of a path below the pin root: printf-like, at most PATH_MAX. */
struct pin_path {
	char text[PATH_MAX];
};

struct pin_path pin_path(const char *template, ...) __attribute__((format(printf, 1, 2)));
/* Folder of a service, with its name made fit for bpffs. */
struct pin_path pin_service_path(const char *service);

/* Makes HS_PIN_ROOT (mode 0750) if it is missing. -ENODEV when /sys/fs/bpf is not a bpffs: says how
 * to mount it. Else as pins_check(). */
int pins_prepare(struct problem *problem);

/* That nobody but root could have moved or made what is below HS_PIN_ROOT: -EPERM and what to do,
 * when it is another's or others may write there. */
int pins_check(struct problem *problem);

/* Exclusive lock of a pin folder (flock): ends with the descriptor, also when its holder dies.
 * -EBUSY when another process has it; with `wait` only after a second. -ENOENT when there is no
 * such folder, or none any more. */
int pins_lock(const char *folder, int wait, int *ret_fd);
/* Says why the lock of HS_PIN_ROOT was not had, and returns `error`. */
int pins_explain_lock(int error, struct problem *problem);
/* From here on this process waits for none, whatever is said, nor do those that it forks then: an
 * event loop would stand still meanwhile. Who is told -EBUSY tries again later. */
void pins_set_waiting(bool waiting);

/* pins_prepare(), and the lock of HS_PIN_ROOT, which another process may just be removing because
 * nothing is in it. As pins_lock() with `wait`; says what is wrong. */
int pins_enter(int *ret_lock, struct problem *problem);

/* Opens a pinned map or program. -ENOENT when it is not there. */
int pin_open(const char *path, int *ret_fd);

/* Pins; an object pinned there before is replaced. */
int pin_object(int fd, const char *path);

/* Removes a pin folder with all that is in it. 0 also when there is none. */
int pins_remove(const char *folder);

/* Calls `each` for every folder in `folder`, until it returns non-zero, which is returned. */
int pins_each_folder(const char *folder, int (*each)(const char *name, void *userdata),
		     void *userdata);
