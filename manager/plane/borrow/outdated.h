/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Looks which files the processes of an instance run (core/outdated.h). It looks into processes:
 * with the privileges for that, see plane/borrow/lend.h; others ask by borrow_outdated(). */
#pragma once

#include <stddef.h>

#include "core/outdated.h"

/* A server that runs more different files than this is not looked through (-E2BIG). */
#define OUTDATED_FILES_MAX 1024
/* So many of them are watched. */
#define OUTDATED_WATCHES_MAX 256

/*
 * The files that processes in the cgroup run, each once; the caller frees. With an inotify(7)
 * descriptor (else -1) those that are in their place are watched through it, so that the next
 * change of what is told here shows there as an event, once: `watch` says which. -ENOENT: the
 * cgroup is gone; -E2BIG: it has too many processes, or files.
 */
int outdated_look(const char *cgroup, int inotify_fd, struct outdated_file **ret_files,
		  size_t *ret_n);
