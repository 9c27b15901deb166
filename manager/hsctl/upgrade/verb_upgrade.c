// SPDX-License-Identifier: GPL-2.0-or-later
/* hsctl upgrade: one service, or all that run what was replaced on the disk. */
#include "hsctl/upgrade/upgrade.h"
#include "hsctl/verb/verb.h"
#include "hsctl/verb_functions.h"

int verb_upgrade(const struct arguments *arguments)
{
	char service[SERVICE_NAME_MAX];

	if (arguments->outdated)
		return upgrade_outdated(arguments);
	if (verb_service(arguments, service))
		return EXIT_USAGE;
	return upgrade_service(arguments, service, NULL);
}
