// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/act/shed.h"

#include <sys/socket.h>

#include "plane/act/retire.h"
#include "plane/act/served.h"
#include "plane/claim.h"
#include "util/macro.h"

/* 1 = it was one of the service's. */
static int shed(struct plane *plane, unsigned slot, const struct held_socket *held)
{
	struct hs_tag tag = {.service_id = plane_id(plane), .slot = HS_SLOT_NONE};
	struct listener *listener = plane_find(plane, &held->socket.address);
	_cleanup_(close_fdp) int fd = -1;
	int r;

	if (!listener || scan_borrow(held, &fd) < 0 || claim_is_of_another(plane, fd))
		return 0;
	listener_take_out(listener, slot, held->socket.cookie);
	/* see bounce(); here nobody waits for connections but for himself */
	if (held->socket.queued && !held->socket.address.udp &&
	    (shutdown(fd, SHUT_RD) < 0 || listen(fd, held->socket.backlog) < 0))
		return -errno;
	listener_disown(listener, held->socket.cookie);
	r = plane_accounting(plane) ? accounting_tag(plane_accounting(plane), fd, &tag) : 0;
	return r < 0 ? r : 1;
}

int shed_sockets(struct plane *plane, unsigned slot, const char *cgroup)
{
	_cleanup_(freep) struct held_socket *held = NULL;
	int result, r, done = 0;
	size_t n = 0;

	result = served_sockets(plane, cgroup, &held, &n);
	for (size_t i = 0; result >= 0 && i < n; i++) {
		r = shed(plane, slot, &held[i]);
		done += r > 0;
		result = r < 0 ? r : result;
	}
	return result < 0 ? result : done;
}
