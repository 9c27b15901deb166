/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Files and folders that the unit of every slot names alike, as a template does that was made of a
 * plain unit by copying it. Our drop-in makes good what a drop-in can; the rest is noted. Pure.
 */
#pragma once

#include "core/setup/lint.h"

/* Free with shared_done(). */
struct shared {
	const char *pid_file; /* PIDFile=; NULL = none, or one for each slot. It belongs to the unit
				 that was looked at first */
	char **runtime_directories; /* those of RuntimeDirectory= that every slot has, which need
				       not be all */
};
void shared_done(struct shared *shared);

/* Looks at the units of slots 0, 1, ... in turn, beginning with all NULL. -ENOMEM. */
int shared_look(struct shared *shared, const struct lint_unit *service, unsigned slot);

/* Notes what a drop-in cannot make good: commands that may reach a process by something that is not
 * the slot's own, and a server that is known by the common file alone. */
void shared_lint(const struct shared *shared, struct lint_report *report,
		 const struct lint_unit *service);
