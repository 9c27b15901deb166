/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The listening TCP sockets of a network namespace, or the accept queues of all services, asked
 * from the kernel once for many who want them at the same moment: who describes hundreds of
 * services asks not hundreds of times.
 */
#pragma once

#include <stdbool.h>

#include "plane/bpf/accounting.h"
#include "plane/kernel/diag.h"

/* From here on to the matching snapshot_end() each namespace is asked once, and is as it was then.
 * Nothing else happens in between: the event loop does not run on. */
void snapshot_begin(void);
void snapshot_end(void);
/* Whether that is asked for more than who has begun it last. */
bool snapshot_is_shared(void);

/* Those on a port, host byte order; between the two above, and valid until the next call. As
 * diag_listening(). */
int snapshot_at(const struct netns *netns, uint16_t port,
		const struct listening_socket **ret_sockets, size_t *ret_n);

/* The queues on which somebody waits, likewise. -ENODATA: nobody has had them loaded
 * (accounting_load_queues()). */
int snapshot_queues(struct accounting *accounting, const struct hs_queue **ret_queues,
		    size_t *ret_n);
