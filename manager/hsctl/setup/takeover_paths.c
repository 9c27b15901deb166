// SPDX-License-Identifier: GPL-2.0-or-later
#include <string.h>

#include "core/path.h"
#include "hsctl/path/pathsetup.h"
#include "hsctl/setup/takeover_steps.h"
#include "hsctl/verb/verb.h"
#include "system/configfile.h"
#include "system/unit/units.h"

static void find_paths(sd_bus *systemd, const char *plain, const struct pathlist *paths,
		       struct plainpaths *ret_paths, char ret_other[HS_PATH_MAX])
{
	_cleanup_(unit_facts_done) struct unit_facts facts = {0};

	(void)units_query(systemd, plain, &facts, NULL);
	plainpaths_find(facts.control_group, paths, ret_paths, ret_other);
}

bool takeover_has_other_paths(sd_bus *systemd, const struct enable_plan *plan,
			      const struct plainunit *plain, struct problem *ret_why)
{
	_cleanup_(plainpaths_done) struct plainpaths paths = {0};
	char other[HS_PATH_MAX];
	const char *shared;

	find_paths(systemd, plain->name, &plan->paths, &paths, other);
	if (!other[0] || paths.n || plain->n_addresses)
		return false;
	shared = path_shared_folder(other);
	problem_set(ret_why, 0, "it listens at %s, where the slots cannot listen beside it%s%s",
		    other,
		    shared ? ": " : "; let them take it: hsctl enable --path=", shared ?: other);
	return true;
}

int takeover_look_at_paths(struct takeover *t)
{
	char other[HS_PATH_MAX];

	if (configfile_load(t->plan->service, &t->settings, NULL) < 0)
		config_init(&t->settings);
	find_paths(t->systemd, t->plain.name, &t->plan->paths, &t->paths, other);
	return t->paths.n ? pathsetup_keep(&t->settings, &t->problem) : 0;
}

static void tell_if(const struct takeover *t, int r, const struct problem *problem)
{
	if (r < 0)
		complain("%s: %s", t->plan->service, problem->text);
}

/* It may remove its path as it stops, which is the link to the slots by now. */
int takeover_stop_beside_links(struct takeover *t)
{
	struct pathhold hold = PATHHOLD_NONE;
	struct problem problem;
	int r;

	tell_if(t, pathsetup_drop(&t->settings, &problem), &problem);
	tell_if(t, pathhold_begin(&t->settings, false, &hold, &problem), &problem);
	r = takeover_stop_plain(t);
	pathhold_end(&hold);
	tell_if(t, pathsetup_links(t->plan->service, &t->settings, &problem), &problem);
	/* that its path could not be removed is what it may have ended with */
	if (r >= 0 && t->settings.n_paths)
		units_reset_failed(t->systemd, t->plain.name);
	return r;
}

/* The slots that live still are not to have them once more. */
void takeover_give_back_paths(struct takeover *t, struct pathhold *ret_hold)
{
	struct problem problem;

	tell_if(t, pathhold_begin(&t->settings, true, ret_hold, &problem), &problem);
}
