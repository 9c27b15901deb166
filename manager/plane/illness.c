// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/illness.h"

#include <sys/mman.h>

#include "plane/parts/plane_state.h"
#include "util/clock.h"
#include "util/macro.h"

void plane_note_ill(struct plane *plane, uint32_t slots)
{
	uint64_t now_msec = now_usec() / USEC_PER_MSEC;
	struct hs_room *room;

	if (plane_open_room(plane, &room))
		return;
	__atomic_store_n(&room->ill, now_msec << HS_SLOTS_MAX | (slots & HS_ILL_SLOTS),
			 __ATOMIC_SEQ_CST);
	munmap(room, sizeof(*room));
}

uint32_t plane_noted_ill(const struct plane *plane, uint64_t *ret_usec)
{
	struct hs_room *room;
	uint64_t ill;

	*ret_usec = 0;
	if (plane_open_room(plane, &room))
		return 0;
	ill = __atomic_load_n(&room->ill, __ATOMIC_SEQ_CST);
	munmap(room, sizeof(*room));
	*ret_usec = (ill >> HS_SLOTS_MAX) * USEC_PER_MSEC;
	return ill & HS_ILL_SLOTS;
}
