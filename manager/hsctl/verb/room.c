// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsctl/verb/room.h"

#include <string.h>
#include <time.h>

#include "hsctl/apart.h"
#include "plane/act/room.h"
#include "system/unit/owner.h"
#include "system/unit/units.h"
#include "util/macro.h"

/* A unit waits for it as it starts. */
#define SETTLE_MAX (2 * USEC_PER_SEC)

struct room {
	const char *service, *cgroup;
	const struct config *config;
	uid_t uid;
	struct problem problem;
};

DEFINE_CLEANUP(struct plane, plane_free)

static int do_make(void *data)
{
	struct room *room = data;
	_cleanup_(plane_freep) struct plane *plane = NULL;
	uint64_t usec = MIN(room->config->settle_usec, SETTLE_MAX);
	struct timespec settle = {.tv_sec = usec / USEC_PER_SEC,
				  .tv_nsec = usec % USEC_PER_SEC * NSEC_PER_USEC};
	struct accounting *accounting = NULL;
	struct room_helpers helpers = {0};
	struct problem problem;
	int r;

	(void)accounting_look(&accounting);
	(void)plane_open(room->service, accounting, &plane, &problem);
	r = room_make(plane, room->cgroup, room->config, room->uid, &helpers, &room->problem);
	apart_pause();
	if (helpers.n)
		nanosleep(&settle, NULL);
	room_helpers_done(&helpers);
	plane = plane_free(plane);
	accounting_free(accounting);
	return r;
}

/* Of a dynamic user nothing is known before the slot starts: it is found out as it does. */
static int owner_of_slot(sd_bus *systemd, const char *slot_unit, uid_t *ret_uid)
{
	_cleanup_(unit_facts_done) struct unit_facts facts = {0};
	int r = units_query(systemd, slot_unit, &facts, NULL);

	*ret_uid = 0;
	/* what systemd opens is root's */
	if (r < 0 || unit_has_socket(&facts))
		return r;
	r = owner_of(&facts, ret_uid);
	if (r == -EINPROGRESS)
		r = owner_ask(systemd, &facts, ret_uid);
	return r == -ENOLINK ? owner_find(facts.user, ret_uid) : r;
}

int room_in_unit(sd_bus *systemd, const char *unit, const char *slot_unit,
		 const struct config *config, struct problem *problem)
{
	_cleanup_(unit_facts_done) struct unit_facts facts = {0};
	char service[SERVICE_NAME_MAX];
	struct room room = {.service = service, .cgroup = facts.control_group, .config = config};
	unsigned slot;
	int r;

	problem_set(problem, 0, "%s", "");
	if (units_query(systemd, unit, &facts, NULL) < 0 || !facts.control_group[0] ||
	    !unit_lives(&facts))
		return 0;
	r = name_from_unit(slot_unit, service, &slot);
	if (!r)
		r = owner_of_slot(systemd, slot_unit, &room.uid);
	/* servers of root's may take another user for themselves, and then both do */
	if (!r && !room.uid && owner_is_root(&facts))
		room.uid = ROOM_OWNER_STAYS;
	if (r >= 0)
		r = apart_run(do_make, &room, sizeof(room), problem);
	if (r < 0 && room.problem.text[0])
		*problem = room.problem;
	return r < 0 && !problem->text[0] ? problem_set(problem, r, "%s", strerror(-r)) : r;
}
