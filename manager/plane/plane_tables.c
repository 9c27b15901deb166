// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/plane_tables.h"

#include <errno.h>

#include "plane/bpf/accounting.h"
#include "plane/plane_state.h"

struct own *plane_own(const struct plane *plane)
{
	return plane->accounting ? accounting_own(plane->accounting) : NULL;
}

/* Also when another process has made it since. */
int plane_open_flows(struct plane *plane)
{
	int r = plane->flows.fd < 0 ? flows_open(plane->folder.text, &plane->flows) : 0;

	return r == -ENOENT ? 0 : r;
}

int plane_make_flows(struct plane *plane)
{
	int r = plane->flows.fd < 0 ? flows_create(plane->folder.text, plane->flow_max) : 0;

	return r ? r : plane_open_flows(plane);
}

int plane_open_paths(struct plane *plane)
{
	int r = plane->paths.entries ? 0 : paths_open(plane->folder.text, &plane->paths);

	return r == -ENOENT ? 0 : r;
}

int plane_paths_get(struct plane *plane, struct paths **ret_paths)
{
	int r = plane_open_paths(plane);

	if (!r && !plane->paths.entries) {
		r = paths_create(plane->folder.text);
		/* somebody else was faster */
		if (!r || r == -EEXIST)
			r = plane_open_paths(plane);
	}
	*ret_paths = &plane->paths;
	return r;
}
