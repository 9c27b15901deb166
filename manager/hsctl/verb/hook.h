/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What prepare, adopt and retire share: a unit calls them as it starts and stops, so they never
 * fail it and never hold it up for more than HOOK_TIME in all, whatever hangs. Somebody who calls
 * them by hand has the exit codes of the other verbs.
 */
#pragma once

#include <systemd/sd-bus.h>

#include "core/name.h"
#include "hsctl/arguments.h"
#include "service/request.h"
#include "service/service.h"
#include "system/journal.h"

#define HOOK_TIME (UINT64_C(4800000)) /* microseconds */

struct hook {
	const struct arguments *arguments;
	const char *unit;
	char service[SERVICE_NAME_MAX];
	unsigned slot;
	uint64_t begun; /* microseconds, now_usec() */
	int exit;	/* enum exit_code, of a call by hand */
};

/* Reads the unit's name and sets the alarm that ends it all. 0, or EXIT_USAGE after a complaint. */
int hook_begin(struct hook *hook, const struct arguments *arguments);
/* What to end with. */
int hook_end(const struct hook *hook);

typedef void (*hook_fn)(struct service *service, unsigned slot, struct request *request);
/* Asks hsd for it by that method, and tells its answer. Where there is no hsd, or it has not come
 * to the end within `timeout_usec`, `deed` is done here: with what is pinned for the service, or is
 * made. Not for one that is not enabled. */
void hook_do(struct hook *hook, const char *method, uint64_t timeout_usec, hook_fn deed);

/* The slot's folders (with `folders`) and the links for the service's public paths, see
 * hsctl/path/pathsetup.h: by root, which hsd is not in all respects. What fails is told. */
void hook_make_paths(const struct hook *hook, bool folders);

/* Something besides that hsd is not asked for: told on stdout and in the journal. */
void hook_note(const struct hook *hook, enum journal_kind kind, int priority,
	       const struct problem *sentence);
