// SPDX-License-Identifier: GPL-2.0-or-later
/* leave: ExecStopPost= of an instance with AF_UNIX sockets, also after a crash: nothing in the
 * kernel leads their clients to another slot, and hsd may be away. */
#include <syslog.h>

#include "hsctl/direct.h"
#include "hsctl/path/pathleave.h"
#include "hsctl/verb/hook.h"
#include "hsctl/verb/verb.h"
#include "hsctl/verb/verb_join.h"
#include "hsctl/verb_functions.h"
#include "plane/act/retire.h"
#include "system/configfile.h"

static void leave(struct hook *hook)
{
	_cleanup_(direct_close) struct direct direct = {0};
	struct problem sentence;
	unsigned to;
	int r = direct_open(hook->service, &direct, &sentence);

	if (r < 0 && r != -ENOENT) {
		complain("%s", sentence.text);
		hook->exit = EXIT_FAILED;
	}
	if (r < 0 || !retire_gone(direct.plane, hook->slot, &to))
		return;
	problem_set(&sentence, 0, "%s: slot %u is lost; slot %u is active now", hook->service,
		    hook->slot, to);
	hook_note(hook, JOURNAL_FAILOVER, LOG_NOTICE, &sentence);
}

/* Of a service that was taken out: see hsctl/path/pathleave.h. */
static void leave_alone(struct hook *hook, const char *text)
{
	_cleanup_(sd_bus_close_unrefp) sd_bus *systemd = direct_systemd();
	struct problem problem = {0};
	struct pathlist paths = {0};
	int r = pathlist_split(text, &paths, &problem);

	if (r >= 0)
		r = pathleave_slot(hook->service, hook->slot, &paths, &problem);
	if (!r && systemd)
		pathleave_end(systemd, hook->service);
	if (r < 0) {
		complain("%s", problem.text);
		hook->exit = EXIT_FAILED;
	}
}

int verb_leave(const struct arguments *arguments)
{
	const char *paths = arguments->texts[TEXT_PATH];
	struct config config;
	struct hook hook;

	unsigned slot;
	int r;

	if (!arguments->n || name_from_unit(arguments->given[0], hook.service, &slot))
		return leave_host(arguments);
	if (hook_begin(&hook, arguments))
		return EXIT_USAGE;
	r = configfile_load(hook.service, &config, NULL);
	if (r == -ENOENT && paths)
		leave_alone(&hook, paths);
	/* where there is no path the kernel does it */
	else if (r >= 0 && config.n_paths && !paths)
		leave(&hook);
	return hook_end(&hook);
}
