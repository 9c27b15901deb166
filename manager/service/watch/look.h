/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the kernel shows of accept queues during one look at all services: our own queues, where it
 * tells of them (plane/bpf/queues.h); else a list of the sockets on our addresses in the namespaces
 * in question (plane/kernel/diag.h), for which all of these are passed by: that costs everybody on
 * the machine something.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "plane/bpf/queues.h"
#include "plane/kernel/netns.h"
#include "plane/plane.h"

struct look;

struct look *look_new(void);
struct look *look_free(struct look *look);

/* From now on there may be sockets that are not known yet. */
void look_forget_sockets(struct look *look);

/* `accounting` may be NULL: then they are listed. What was seen before is forgotten, and whom it is
 * about. */
void look_begin(struct look *look, struct accounting *accounting);
/* It is about this service, too: to be said before anything is listed. */
void look_want(struct look *look, const struct plane *plane);
void look_end(struct look *look);

/* Whether the kernel tells of our own, this time; then those of a slot on which somebody waits. */
bool look_is_own(const struct look *look);
size_t look_own(const struct look *look, uint32_t service_id, unsigned slot,
		const struct hs_queue **ret_first);

/* Else what waits on one socket, of a service that the look is about: listed when it is first asked
 * for. 0 also when it is not known. */
uint32_t look_listed(struct look *look, const struct netns *netns, uint64_t cookie);
/* It is to be listed anew. */
void look_forget_listed(struct look *look);
