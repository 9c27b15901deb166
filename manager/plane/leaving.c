// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/leaving.h"

#include <sys/mman.h>

#include "plane/bpf/load.h"
#include "plane/parts/plane_state.h"
#include "plane/parts/table.h"
#include "plane/plane.h"
#include "plane/plane_front.h"
#include "util/macro.h"

int plane_open_room(const struct plane *plane, struct hs_room **ret_room)
{
	_cleanup_(close_fdp) int fd = -1;
	int r = pin_open(pin_path("%s/room", plane->folder.text).text, &fd);

	if (r)
		return r;
	*ret_room = load_memory(fd, sizeof(**ret_room));
	return *ret_room ? 0 : -errno;
}

bool plane_has_left(const struct plane *plane)
{
	struct hs_room *room;
	bool left;

	if (plane_open_room(plane, &room))
		return false;
	left = __atomic_load_n(&room->left, __ATOMIC_SEQ_CST);
	munmap(room, sizeof(*room));
	return left;
}

int plane_set_left(struct plane *plane, bool left)
{
	struct hs_room *room;
	int r = plane_open_room(plane, &room);

	if (r)
		return r;
	__atomic_store_n(&room->left, left, __ATOMIC_SEQ_CST);
	munmap(room, sizeof(*room));
	return 0;
}

/* Where all slots are at work, what is missing is missing; else any one serves all. A front is none
 * the less of a front when a host is missing, and keepalived takes all but 0 for its end. */
static unsigned weight_of(const struct plane *plane, uint32_t live)
{
	struct hs_spread spread;
	unsigned all = 0, there = 0;

	if (plane_is_front(plane) || !plane_is_spread(plane) || !plane_table_spread(plane, &spread))
		return 100;
	for (unsigned slot = 0; slot < spread.slots; slot++) {
		all += spread.weights[slot];
		there += live >> slot & 1 ? spread.weights[slot] : 0;
	}
	return all ? (100 * there + all / 2) / all : 100;
}

struct presence plane_presence(const struct plane *plane, unsigned slots)
{
	uint32_t live = plane_live_slots(plane);
	unsigned flags = hs_word_flags(plane_word(plane));
	struct presence_facts facts = {
		.left = plane_has_left(plane),
		/* not while an exclusive change has them wait for a moment */
		.held = flags & HS_FLAG_PARK_ALL && !(flags & HS_FLAG_EXCLUSIVE),
		.live = hs_popcount(live),
		.kept = plane_is_front(plane) ? hs_popcount(front_kept(plane_front(plane))) : 0,
		.slots = slots,
		.weight = weight_of(plane, live),
	};

	for (unsigned slot = 0; slot < slots; slot++)
		facts.retired += plane_is_retired(plane, slot);
	return presence_judge(&facts);
}
