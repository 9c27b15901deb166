// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsctl/setup/takeover_steps.h"

#include <stdio.h>
#include <time.h>

void takeover_step(const struct takeover *t, const char *name, const char *text)
{
	if (t->arguments->json)
		return;
	printf("%s: %s\n", name, text);
	fflush(stdout);
}

void takeover_pause(uint64_t usec)
{
	struct timespec pause = {.tv_sec = usec / USEC_PER_SEC,
				 .tv_nsec = usec % USEC_PER_SEC * NSEC_PER_USEC};

	nanosleep(&pause, NULL);
}
