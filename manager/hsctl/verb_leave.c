// SPDX-License-Identifier: GPL-2.0-or-later
/* leave: ExecStopPost= of an instance with AF_UNIX sockets, also after a crash: nothing in the
 * kernel leads their clients to another slot, and hsd may be away. */
#include <syslog.h>

#include "hsctl/hook.h"
#include "hsctl/verbs.h"
#include "plane/retire.h"
#include "system/configfile.h"

static void leave(struct hook *hook)
{
	_cleanup_(direct_close) struct direct direct = {0};
	struct problem sentence;
	unsigned to;

	if (!hook_open(hook, &direct) || !retire_gone(direct.plane, hook->slot, &to))
		return;
	problem_set(&sentence, 0, "%s: slot %u is lost; slot %u is active now", hook->service,
		    hook->slot, to);
	hook_tell(hook, JOURNAL_FAILOVER, LOG_NOTICE, &sentence);
}

int verb_leave(const struct arguments *arguments)
{
	struct config config;
	struct hook hook;

	if (hook_begin(&hook, arguments))
		return EXIT_USAGE;
	/* where there is no path the kernel does it */
	if (configfile_load(hook.service, &config, NULL) >= 0 && config.n_paths)
		leave(&hook);
	return hook_end(&hook);
}
