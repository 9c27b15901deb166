/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where on this machine somebody speaks of a plain unit (core/setup/mention.h): logrotate, certbot,
 * cron.
 */
#pragma once

#include "core/setup/lint.h"
#include "util/macro.h"

struct mentions {
	struct lint_finding *items; /* their files are in `texts` */
	size_t n;
	char **texts;
};

/*
 * Notes for what is found, at most MENTIONS_MAX. With `alias` the unit stands for all slots, and
 * only what that does not reach is worth a note. `service`: whose slots are meant.
 */
#define MENTIONS_MAX 16
int mentions_find(const char *unit, const char *service, const char *pid_file, bool alias,
		  struct mentions *ret_mentions);
void mentions_done(struct mentions *mentions);
