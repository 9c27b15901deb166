// SPDX-License-Identifier: GPL-2.0-or-later
/* Where the listeners are whose sockets this process has not seen: by the processes that have them.
 */
#include <fcntl.h>

#include "plane/cgroup.h"
#include "plane/plane.h"
#include "util/macro.h"

/* Takes a copy of the namespace for each listener that belongs there. */
static int locate_listeners(pid_t pid, void *userdata)
{
	struct netns netns;
	size_t n;
	struct listener **listeners = plane_listeners(userdata, &n);

	if (netns_of_process(pid, &netns) < 0 || netns.fd < 0)
		return 0;
	for (size_t i = 0; i < n; i++)
		if (listeners[i]->address.netns == netns.inode && listeners[i]->netns.fd < 0)
			listeners[i]->netns =
				(struct netns) {fcntl(netns.fd, F_DUPFD_CLOEXEC, 3), netns.inode};
	close_fd(netns.fd);
	return 0;
}

void plane_locate(struct plane *plane, const char *cgroup)
{
	size_t n;
	struct listener **listeners = plane_listeners(plane, &n);

	for (size_t i = 0; i < n; i++) {
		if (!listeners[i]->address.netns || listeners[i]->netns.fd >= 0)
			continue;
		cgroup_each_process(cgroup, locate_listeners, plane);
		return;
	}
}
