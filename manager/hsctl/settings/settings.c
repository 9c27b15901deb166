// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsctl/settings/settings.h"

#include "hsctl/hsctl.h"
#include "system/configfile.h"
#include "util/files.h"
#include "util/macro.h"

int settings_missing(const char *service)
{
	_cleanup_(freep) char *path = configfile_path(service, "");

	if (path && configfile_is_masked(path))
		complain("%s is masked: %s is a link to /dev/null", service, path);
	else
		complain("%s is not managed by hotstandby; enable it: hsctl enable %s@.service",
			 service, service);
	return EXIT_FAILED;
}
