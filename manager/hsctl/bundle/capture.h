/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a command says, within a time and a size. */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

struct capture {
	char *text;	/* what it wrote; the end of it is cut off where that was too much */
	char *errors;	/* to stderr: the first of it. Neither is NULL when 0 was returned */
	bool cut, late; /* it was too much; it took too long, and was killed */
	int status;	/* as a shell has it; 127: there is no such command */
};

void capture_done(struct capture *capture);

/* Negative errno: no process could be made, or -EINTR, as *interrupted was set meanwhile. */
int capture_run(const char *const *command, uint64_t timeout_usec,
		const volatile sig_atomic_t *interrupted, struct capture *ret_capture);
