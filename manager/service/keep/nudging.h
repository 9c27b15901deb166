/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * On kernels that let a server sleep when connections move to it (plane/act/nudge.h), hsd wakes it
 * after each move. Whether this kernel is one of them is found out once, by a test in a child;
 * until that has ended, and where it cannot be done, hsd does it to be on the safe side.
 */
#pragma once

#include "service/service.h"

enum nudging_mode { NUDGING_AUTO, NUDGING_ALWAYS, NUDGING_NEVER, NUDGING_MODE_COUNT };

/* "auto", "always", "never". -EINVAL: none of these. */
int nudging_mode_from_string(const char *text, enum nudging_mode *ret_mode);

/* ---- for the daemon ---- */

struct nudging_test;

/* Starts the test if the mode asks for it. `needed` is set at once, and again at its end. */
int nudging_test_new(sd_event *event, enum nudging_mode mode, bool *needed,
		     struct nudging_test **ret_test);
struct nudging_test *nudging_test_free(struct nudging_test *test);

/* ---- for each service ---- */

struct nudging;

int nudging_new(struct service *service, struct nudging **ret_nudging);
struct nudging *nudging_free(struct nudging *nudging);

/* EVENT_MOVED. */
void nudging_heard(struct service *service, const struct event *event);
/* Orders for that are about to be given. NULL: none. */
bool nudging_waits(const struct nudging *nudging);
/* The same, of a move that the kernel does not tell of. `nudging` may be NULL. */
void nudging_on_moved(struct nudging *nudging, unsigned slot);
