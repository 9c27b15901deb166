// SPDX-License-Identifier: GPL-2.0-or-later
/* Where the listeners are whose sockets this process has not seen: by the processes that have them.
 */
#include <fcntl.h>
#include <sys/stat.h>

#include "plane/borrow/borrow.h"
#include "plane/plane.h"
#include "util/macro.h"

static bool is_lost(const struct listener *listener)
{
	return listener->address.netns && listener->netns.fd < 0;
}

/* Takes a copy of the namespace for each listener that belongs there. */
static void place_one(struct plane *plane, int fd, uint32_t inode)
{
	size_t n;
	struct listener **listeners = plane_listeners(plane, &n);

	for (size_t i = 0; i < n; i++)
		if (is_lost(listeners[i]) && listeners[i]->address.netns == inode)
			listeners[i]->netns = (struct netns) {fcntl(fd, F_DUPFD_CLOEXEC, 3), inode};
}

void plane_place(struct plane *plane, const int *namespaces, size_t n)
{
	struct stat st;

	for (size_t i = 0; i < n; i++)
		if (!fstat(namespaces[i], &st))
			place_one(plane, namespaces[i], (uint32_t)st.st_ino);
}

static bool has_lost(const struct plane *plane)
{
	size_t n;
	struct listener **listeners = plane_listeners(plane, &n);

	for (size_t i = 0; i < n; i++)
		if (is_lost(listeners[i]))
			return true;
	return false;
}

void plane_locate(struct plane *plane, const char *cgroup)
{
	struct netns namespaces[LEND_NAMESPACES_MAX];
	size_t n = 0;
	int blind;

	if (!has_lost(plane) || borrow_namespaces(cgroup, namespaces, &n, &blind) < 0)
		return;
	for (size_t i = 0; i < n; i++) {
		place_one(plane, namespaces[i].fd, namespaces[i].inode);
		close_fd(namespaces[i].fd);
	}
}
