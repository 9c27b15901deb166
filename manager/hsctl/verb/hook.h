/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What prepare, adopt and retire share: a unit calls them as it starts and stops, so they never
 * fail it and never hold it up for more than HOOK_TIME in all, whatever hangs. Somebody who calls
 * them by hand has the exit codes of the other verbs.
 */
#pragma once

#include <systemd/sd-bus.h>

#include "core/name.h"
#include "hsctl/client.h"
#include "hsctl/direct.h"
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
/* How much of the first `usec` microseconds is left. */
uint64_t hook_left(const struct hook *hook, uint64_t usec);

/* What to end with. */
int hook_end(const struct hook *hook);

/* Asks hsd. CLIENT_ANSWERED: it is settled, and the sentence told. CLIENT_ABSENT: nobody was asked.
 * With the others hsd may have begun and not come to the end. */
enum client_answer hook_ask(struct hook *hook, const char *method, uint64_t timeout_usec);
/* Opens what is pinned for the service, or makes it. False if it is not enabled, has no
 * such slot or cannot be opened, and then that is told. */
bool hook_open(struct hook *hook, struct direct *ret_direct);

/* The slot's folders (with `folders`) and the links for the service's public paths, see
 * hsctl/path/pathsetup.h: by root, which hsd is not in all respects. What fails is told. */
void hook_make_paths(const struct hook *hook, bool folders);

/* Something besides that was done before hsd is asked. */
void hook_note(const struct hook *hook, int priority, const struct problem *sentence);
/* The end of the work that was done here: one sentence, on stdout and in the journal. */
void hook_tell(const struct hook *hook, enum journal_kind kind, int priority,
	       const struct problem *sentence);
