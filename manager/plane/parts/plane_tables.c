// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/parts/plane_tables.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <sys/mman.h>

#include "core/ledger.h"
#include "plane/bpf/accounting.h"
#include "plane/bpf/load.h"
#include "plane/parts/plane_state.h"
#include "util/macro.h"

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

struct ledger *plane_ledger(const struct plane *plane)
{
	return plane->ledger;
}

void plane_close_ledger(struct plane *plane)
{
	if (plane->ledger)
		munmap(plane->ledger, sizeof(*plane->ledger));
	plane->ledger = NULL;
}

static struct pin_path ledger_path(const struct plane *plane)
{
	return pin_path("%s/" HS_PIN_LEDGER, plane->folder.text);
}

void plane_open_ledger(struct plane *plane)
{
	_cleanup_(close_fdp) int fd = -1;

	if (plane->ledger || pin_open(ledger_path(plane).text, &fd) < 0)
		return;
	plane->ledger = load_memory(fd, sizeof(*plane->ledger));
	if (plane->ledger && plane->ledger->layout != LEDGER_LAYOUT)
		plane_close_ledger(plane);
}

void plane_make_ledger(struct plane *plane)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);
	const struct ledger fresh = {.layout = LEDGER_LAYOUT};
	_cleanup_(close_fdp) int fd = -1;
	uint32_t key = 0;

	plane_open_ledger(plane);
	if (plane->ledger)
		return;
	fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "hs_ledger", sizeof(key), sizeof(fresh), 1, &opts);
	/* not by pin_object(), which would put it in the place of one that others count in */
	if (fd >= 0 && !bpf_map_update_elem(fd, &key, &fresh, BPF_ANY))
		(void)bpf_obj_pin(fd, ledger_path(plane).text);
	plane_open_ledger(plane);
}
