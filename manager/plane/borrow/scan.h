/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which serving sockets a unit's processes hold, and borrowing one of them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "plane/borrow/lend.h"
#include "plane/kernel/diag.h"

struct held_socket {
	struct listening_socket socket;
	pid_t pid; /* one process that holds it, */
	int fd;	   /* and its number there */
};

/* Which of them are looked for. */
struct scan_among {
	const struct address *addresses; /* that are known */
	size_t n_addresses;
	bool known_only; /* none but on these: whatever else there is on the machine costs nothing
			  */
};

/*
 * The listening TCP sockets and the bound UDP sockets that processes in the cgroup hold, each once,
 * whoever made it: of our own network namespace and of those that the processes are in. The caller
 * frees the array. Sockets come in no particular order. A process that ends meanwhile is
 * passed over. `ret_blind`: 0, or the -errno for which a namespace could not be
 * looked into; what is elsewhere is found all the same. -E2BIG: see lend_find().
 *
 * Where a namespace has more than DIAG_LISTENING_MAX of such sockets, whoever has them, `ret_blind`
 * is -EOVERFLOW, and of that namespace it is those that were made in the cgroup as it is now, by
 * PID 1 or by the unit's socket unit, and those on the known addresses.
 */
int scan_cgroup(const char *cgroup, struct held_socket **ret_held, size_t *ret_n);
int scan_cgroup_among(const char *cgroup, const struct scan_among *among,
		      struct held_socket **ret_held, size_t *ret_n, int *ret_blind);

/*
 * Duplicates the socket (pidfd_getfd(2), needs CAP_SYS_PTRACE) for as short as possible: while the
 * caller has it open the instance is not its sole owner. -ESTALE when the process has closed it or
 * ended.
 */
int scan_borrow(const struct held_socket *held, int *ret_fd);
/* `tell` is called with each socket before it is borrowed: whoever does something with it may not
 * come back, and should have said with which. NULL = nobody. */
void scan_on_borrow(void (*tell)(const struct held_socket *held));
/* Has it called once more, where what is done with the socket next may take as long again. */
void scan_tell(const struct held_socket *held);

/* The sum over a set of sockets differs when the set does. */
uint64_t scan_mark(const struct held_socket *held);

/* Whether a socket that processes in the cgroup hold was made by another one, and root: by PID 1
 * for a socket unit. */
bool scan_is_passed_in(const struct listening_socket *socket, const char *cgroup);
/* The same for a socket of which only the kernel's view is known: looks through all processes. */
int scan_borrow_unknown(const struct listening_socket *socket, int *ret_fd);
