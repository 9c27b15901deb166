/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sockets that are no instance's and yet stand where the service listens: a second copy on the same
 * address, which the selector never chooses, and a socket on a more specific address, which the
 * kernel prefers to the whole group.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "plane/kernel/diag.h"
#include "plane/kernel/holder.h"
#include "plane/plane.h"

#define FOREIGN_MAX 16

struct foreign {
	struct address address;
	uint64_t cookie;
	uint32_t inode;
	bool in_front;	      /* it takes connections away; else it gets none */
	struct holder holder; /* one process that has it; pid 0 = nobody was found */
};

struct foreign_list {
	struct foreign found[FOREIGN_MAX];
	unsigned n;
};

/* Of a service's own: whoever asks knows its units. */
struct foreign_scope {
	/* cgroups of the slots, NULL or "" where there is none */
	const char *cgroups[HS_SLOTS_MAX];
	unsigned n_slots;
	bool activated; /* it has socket units: what only PID 1 holds may be a slot's */
};

/*
 * Finds them, at most FOREIGN_MAX. /proc is looked through only where there is a socket that is in
 * no slot's cgroup and not in the selector's map. A listener that serves no more counts only when
 * the whole service is down.
 */
int foreign_find(const struct plane *plane, const struct foreign_scope *scope,
		 struct foreign_list *ret_list);

/* "process 12 (nginx, nginx.service) listens on 10.0.0.1:80", for sentences. */
#define FOREIGN_TEXT_MAX 448
const char *foreign_describe(const struct foreign *foreign, char text[FOREIGN_TEXT_MAX]);
/* "it gets no connection ...; stop it, or ...": what follows from it, and what to do. */
const char *foreign_effect(bool in_front);
