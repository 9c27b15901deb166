// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsctl/room.h"

#include <string.h>

#include "hsctl/apart.h"
#include "plane/room.h"
#include "system/owner.h"
#include "system/units.h"
#include "util/macro.h"

struct room {
	const char *cgroup;
	const struct config *config;
	uid_t uid;
};

static int do_make(void *data)
{
	const struct room *room = data;

	return room_make(room->cgroup, room->config, room->uid);
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
	struct room room = {.cgroup = facts.control_group, .config = config};
	int r;

	problem_set(problem, 0, "%s", "");
	if (units_query(systemd, unit, &facts, NULL) < 0 || !facts.control_group[0] ||
	    !unit_lives(&facts))
		return 0;
	r = owner_of_slot(systemd, slot_unit, &room.uid);
	if (r >= 0)
		r = apart_run(do_make, &room, sizeof(room), problem);
	return r < 0 && !problem->text[0] ? problem_set(problem, r, "%s", strerror(-r)) : r;
}
