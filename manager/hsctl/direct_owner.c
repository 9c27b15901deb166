// SPDX-License-Identifier: GPL-2.0-or-later
/* What service/slot/ownership.c does, without hsd. Of slots that start at the same time the one
 * with the lower number goes first. */
#include "hsctl/direct.h"

#include <string.h>
#include <time.h>

#include "hsctl/apart.h"
#include "plane/act/owners.h"
#include "system/unit/owner.h"
#include "util/clock.h"
#include "util/macro.h"

#define LOOK_EVERY (20 * USEC_PER_MSEC)

/* A slot before this one that is starting and has no sockets yet. */
static bool must_wait(const struct direct *direct, unsigned slot, const char *user)
{
	bool wait = false;

	for (unsigned i = 0; !wait && i < slot; i++) {
		struct unit_facts facts = {0};

		direct_unit(direct, i, &facts);
		wait = (facts.state == UNIT_STARTING || facts.state == UNIT_START_POST) &&
		       strcmp(facts.user, user) && !plane_slot_sockets(direct->plane, i);
		unit_facts_done(&facts);
	}
	return wait;
}

static void wait_for_others(const struct direct *direct, unsigned slot, const char *user,
			    uint64_t patience_usec)
{
	static const struct timespec pause = {.tv_nsec = LOOK_EVERY * NSEC_PER_USEC};
	uint64_t deadline = now_usec() + patience_usec;

	while (must_wait(direct, slot, user) && now_usec() < deadline) {
		nanosleep(&pause, NULL);
		plane_refresh(direct->plane);
	}
}

struct gift {
	struct plane *plane;
	const char *cgroup;
	uid_t uid;
};

static int do_give(void *data)
{
	const struct gift *gift = data;

	return owners_give(gift->plane, gift->cgroup, gift->uid);
}

static int give(const struct direct *direct, uid_t uid, bool activated, struct problem *problem)
{
	struct gift gift = {.plane = direct->plane, .uid = uid};
	int changed = 0, r = 0;

	if (!owners_differ(direct->plane, uid))
		return 0;
	for (unsigned i = 0; r >= 0 && i < direct->config.slots; i++) {
		struct unit_facts facts = {0};

		direct_unit(direct, i, &facts);
		/* see service/slot/ownership.c: root's servers may have taken another user for
		 * themselves */
		gift.cgroup = facts.control_group;
		if (uid || !owner_is_root(&facts))
			r = apart_run(do_give, &gift, sizeof(gift), problem);
		changed += MAX(r, 0);
		unit_facts_done(&facts);
	}
	if (r >= 0 && uid && !activated)
		r = owners_give_park(direct->plane, uid);
	return r < 0 ? r : changed;
}

int direct_give(const struct direct *direct, unsigned slot, uint64_t patience_usec,
		struct problem *problem)
{
	struct unit_facts facts = {0};
	uid_t uid = 0;
	int r;

	problem_set(problem, 0, "%s", "");
	direct_unit(direct, slot, &facts);
	r = owner_of(&facts, &uid);
	if (r == -EINPROGRESS)
		r = direct->systemd ? owner_ask(direct->systemd, &facts, &uid) : -ENOTCONN;
	if (r == -ENOLINK)
		r = owner_find(facts.user, &uid);
	if (!r) {
		wait_for_others(direct, slot, facts.user, patience_usec);
		r = give(direct, uid, unit_has_socket(&facts), problem);
	}
	unit_facts_done(&facts);
	return r < 0 && !problem->text[0] ? problem_set(problem, r, "%s", strerror(-r)) : r;
}
