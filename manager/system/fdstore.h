/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * systemd's store of descriptors: sockets that outlive this process. They are known by their cookie
 * (SO_COOKIE), never by the name they were stored under.
 */
#pragma once

#include <stdint.h>

struct fdstore;

/* Takes over what systemd has kept for us. Once, before anybody asks. */
int fdstore_open(struct fdstore **ret_store);
/* Closes what was not taken; systemd keeps its copies. */
struct fdstore *fdstore_free(struct fdstore *store);

/* Calls `each` with the cookie of every socket that has not been taken; it is taken, and the
 * caller's, when `each` returns non-zero. `each` may keep `fd` only then. */
void fdstore_claim(struct fdstore *store, int (*each)(int fd, uint64_t cookie, void *userdata),
		   void *userdata);
/* What nobody has taken is shut down, so that what waits there may go elsewhere, and dropped from
 * the store. Returns how many. */
unsigned fdstore_drop_rest(struct fdstore *store);

/* Stores a copy of a socket, and drops that copy again. Not being run by systemd is no error: then
 * nothing is stored. */
int fdstore_put(int fd, uint64_t cookie);
void fdstore_remove(uint64_t cookie);

int fdstore_cookie(int fd, uint64_t *ret_cookie);
