/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the kernel tells about AF_UNIX sockets of our network namespace through sock_diag
 * (sock_diag(7)). Nothing is borrowed or held, and no socket is waited for; but before Linux 6.9
 * others who ask are, so a daemon calls unixask_begin() first, and all of these may return -ETIME
 * then. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/watch/line.h"
#include "hs_abi.h"

/* The file that a socket is bound to, as the kernel tells it. */
struct unix_file {
	uint32_t device, inode;
};

/* One that listens for streams or packets. */
struct unix_listener {
	uint64_t cookie;
	uint32_t inode;
	struct unix_file file;	/* 0, 0 = none: an abstract name */
	uint32_t queued;	/* connections that wait for accept() */
	char name[HS_PATH_MAX]; /* as it was bound, perhaps in another mount namespace; "" =
				 * abstract
				 */
};

/* All of them. The caller frees the array. */
int unixdiag_listening(struct unix_listener **ret_listeners, size_t *ret_n);

/* One, by its inode number and cookie, without its name. -ENOENT: it listens no more, or is gone.
 */
int unixdiag_get(uint32_t inode, uint64_t cookie, struct unix_listener *ret_listener);

/* Who waits on one that listens. */
struct unix_waiting {
	uint32_t queued;
	struct line line;
};

/* The caller ends the line. -ENOENT as above. */
int unixdiag_waiting(uint32_t inode, uint64_t cookie, struct unix_waiting *ret_waiting);

/* Whether this is the file (O_PATH) that a socket is bound to. On file systems that tell another
 * device of a file than their own (btrfs, overlayfs) the inode number decides. */
bool unixdiag_is_bound_to(const struct unix_file *bound, int file_fd);

/* Whether somebody listens at the file (O_PATH). What cannot be asked is taken to be so. */
bool unixdiag_is_listened_at(int file_fd);

/* How many connections that were accepted on sockets bound to these files are open: counts[i] for
 * files[i]. Those that wait for accept() are not among them. All of the machine's are gone through,
 * and everybody may have very many: -ETIME if that takes more than `patience_usec` of the CPU. */
int unixdiag_connections(const struct unix_file *files, size_t n, uint64_t patience_usec,
			 uint64_t *counts);

/* What the kernel calls the device of a file that stat(2) has told. */
uint32_t unixdiag_device(uint64_t device);
