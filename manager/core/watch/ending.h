/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How a unit's main process ended, in words. */
#pragma once

#include <stddef.h>

#define ENDING_TEXT_MAX 96

/* Result, ExecMainCode and ExecMainStatus of systemd's org.freedesktop.systemd1.Service. */
struct ending {
	char result[32]; /* "success", "exit-code", "signal", "watchdog", ...; "" = not known */
	int code;	 /* CLD_EXITED, ... of waitid(2); 0 = it has not ended */
	int status;	 /* exit status, or signal */
};

/* "exit status 3", "killed by signal 9 (KILL)", "ended by systemd's watchdog ...". "" when it is
 * not known. Returns `text`, of ENDING_TEXT_MAX bytes. */
const char *ending_describe(const struct ending *ending, char *text);
