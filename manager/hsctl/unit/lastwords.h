/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a unit has said last, and systemd of it: for who has to find out why it failed. */
#pragma once

#include <stdint.h>

struct lastwords {
	const char *unit;	/* NULL: of an identifier */
	const char *identifier; /* SYSLOG_IDENTIFIER= */
	uint64_t since_usec;	/* CLOCK_REALTIME; nothing older */
	unsigned lines;		/* at most */
};

/* Also of a unit with a journal of its own. Calls `each` for each line, the oldest first, with
 * nothing in it that a terminal would obey. Returns how many, or -errno. Waits up to a second for
 * journald to have written what it has got.
 */
int lastwords_read(const struct lastwords *wanted, void (*each)(const char *line, void *userdata),
		   void *userdata);
