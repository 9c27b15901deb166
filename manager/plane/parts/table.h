/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The table of a service with policy hash (struct hs_table), in the kernel: made when it is needed
 * first, read by whoever looks, and changed by one compare-and-swap of the routing word. What it is
 * filled with is core/spread/spread.h.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/spread/spread.h"

struct plane;

/* Whether the service has a table, and it is of a layout that we know. It may be there without
 * being in use: under another policy nobody looks at it. */
bool plane_has_table(const struct plane *plane);
/* Whether connections are led by it. */
bool plane_is_spread(const struct plane *plane);

/* -EPROTO and a sentence without the service's name: there is one, and it cannot be worked with,
 * for it is of another layout or damaged. */
int plane_table_check(const struct plane *plane, struct problem *problem);

/* What holds now, copied. False: there is no table, or none that can be worked with. */
bool plane_table_read(const struct plane *plane, struct hs_table_copy *ret_copy);
/* The same without the buckets. */
bool plane_table_spread(const struct plane *plane, struct hs_spread *ret_spread);
/* Of one bucket: its place in `hits`, see struct hs_table. Mapped; NULL without a table. */
uint32_t *plane_table_hits(const struct plane *plane);

/* Changes what the table is made from; see core/spread/spread.h. -EINVAL and a sentence: nothing.
 */
typedef int table_edit(struct hs_spread *spread, void *userdata, struct problem *problem);

struct table_change {
	table_edit *edit; /* NULL: only who is in service may have changed */
	void *userdata;
	uint32_t in_service; /* the slots that can take clients, as a bit mask; 0: as before */
	bool take_policy;    /* the policy is hash from then on */
	/* of a table that has to be made */
	enum hs_by by;
	unsigned slots;
};

/* What came of it. */
struct table_outcome {
	bool changed; /* anything at all */
	/* buckets that have another first slot than before; 0 also where clients are in other
	 * buckets now, so that it would say nothing */
	uint32_t moved;
};

/*
 * Changes the table, or makes one if take_policy is set and there is none. All at once, or nothing:
 * who reads meanwhile has the one before or the one behind. -EINVAL: the edit said no; -EPROTO: the
 * table is of another version, or damaged; -ENOENT: there is none; -EBUSY: another process does so
 * just now; -errno of the maps. With each `problem` is set.
 */
int plane_table_change(struct plane *plane, const struct table_change *change,
		       struct table_outcome *ret_outcome, struct problem *problem);

/* What plane_table_change() would have hold; nothing changes. -ENOENT: there is no table yet,
 * whatever would be made; else as that. */
int plane_table_plan(const struct plane *plane, const struct table_change *change,
		     struct hs_table_copy *ret_next, struct problem *problem);

/* Writes the copy that does not hold and has it hold; for plane_table_change(), and for tests that
 * fill it by themselves. With plane_preview_lock(). */
int plane_table_publish(struct plane *plane, const struct hs_table_copy *copy, bool take_policy);

/* A key that nobody knows. -EIO. */
int plane_table_random_key(uint64_t *ret_key);

/* ---- for plane.c and plane_listeners.c ---- */

/* Opens what is pinned of it. */
void plane_table_open(struct plane *plane);
/* And makes the maps that are not, also for a service that an earlier hotstandby has made; the
 * table comes when it is wanted. Before selectors are loaded, which hold on to them. */
int plane_table_prepare(struct plane *plane);
void plane_table_close(struct plane *plane);
