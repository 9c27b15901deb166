// SPDX-License-Identifier: GPL-2.0-or-later
/* prepare: ExecStartPre= of an instance, and ExecCondition= where it has commands of its own. */
#include <string.h>
#include <syslog.h>

#include "hsctl/direct.h"
#include "hsctl/verb/hook.h"
#include "hsctl/verb/room.h"
#include "hsctl/verb_functions.h"
#include "plane/kernel/cgroup.h"
#include "service/whole/calls_slot.h"
#include "system/configfile.h"
#include "util/files.h"
#include "util/macro.h"

/* How long hsd has to answer: it may wait for another slot that has just been started. */
#define ASK_TIME (4 * USEC_PER_SEC)

/* Told by the tree of control groups: in most starts there is none, and nobody has to be asked.
 * Where it would be: beside the slot, or where systemd puts what names no slice. */
static bool plain_runs(const char *plain)
{
	char own[PATH_MAX] = "", beside[2 * PATH_MAX], usual[UNIT_NAME_MAX + 32];
	char *last;

	if (cgroup_of_process(getpid(), own) >= 0 && (last = strrchr(own, '/')))
		*last = '\0';
	snprintf(beside, sizeof(beside), "%s/%s", own, plain);
	snprintf(usual, sizeof(usual), "/system.slice/%s", plain);
	return cgroup_is_populated(beside) || cgroup_is_populated(usual);
}

/* The server as it was before may run still, by the service's plain name: at a boot that has begun
 * with it, or in the middle of the move. Only one at a time may run of an exclusive one. */
static void share_with_plain(const struct hook *hook)
{
	_cleanup_(freep) char *plain = format("%s.service", hook->service);
	_cleanup_(sd_bus_close_unrefp) sd_bus *systemd = NULL;
	struct problem sentence, problem = {0};
	struct config config;
	int n;

	if (!plain || !plain_runs(plain) || configfile_load(hook->service, &config, NULL) < 0 ||
	    config.exclusive)
		return;
	systemd = direct_systemd();
	if (!systemd)
		return;
	n = room_in_unit(systemd, plain, hook->unit, &config, &problem);
	if (n < 0)
		problem_set(&sentence, n,
			    "%s: slot %u may find its address taken by %s, which runs: %.300s",
			    hook->service, hook->slot, plain, problem.text);
	else
		problem_set(&sentence, 0,
			    "%s: %s runs as well; it shares %d socket%s now, so that slot %u can "
			    "start beside it. New connections go to the slots; stop it",
			    hook->service, plain, n, n == 1 ? "" : "s", hook->slot);
	if (n)
		hook_note(hook, JOURNAL_PREPARE, n < 0 ? LOG_WARNING : LOG_NOTICE, &sentence);
}

/* The processes come into it later, by another's hand: what is attached to it is there before. */
static void make_cgroup(const struct hook *hook)
{
	char cgroup[CONFIG_CGROUP_MAX], mount[PATH_MAX];
	_cleanup_(freep) char *path = NULL;
	struct config config;

	if (configfile_load(hook->service, &config, NULL) < 0 ||
	    !config_cgroup(&config, hook->slot, cgroup) || cgroup_mount(mount, sizeof(mount)) < 0)
		return;
	path = format("%s%s", mount, cgroup);
	if (path && make_folders(path, 0755) < 0)
		complain("the control group %s cannot be made: %m", cgroup);
}

int verb_prepare(const struct arguments *arguments)
{
	struct hook hook;

	if (hook_begin(&hook, arguments))
		return EXIT_USAGE;
	hook_make_paths(&hook, true);
	make_cgroup(&hook);
	share_with_plain(&hook);
	hook_do(&hook, "Prepare", ASK_TIME, call_prepare);
	return hook_end(&hook);
}
