/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which hosts of a front get new connections though they are not well, as none is. When all seem to
 * have failed at once, what is wrong is as a rule what asks them, or what they all ask: those that
 * were well until a moment ago are more likely to serve than nobody is. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct floor_host {
	bool given;	/* there is one of this number */
	bool bad;	/* by its probes */
	bool takes;	/* gets new connections, */
	bool kept;	/* but as one of these only */
	bool aside;	/* on purpose: it says down or drain, or is drained */
	uint64_t ended; /* when it was well last, of those that are bad now; 0: it never was */
};

/* As a bit mask; 0 as long as one that is not known to be bad takes connections, or may. Of those
 * that are bad the last one that was well, and who was within `window` before that. */
uint32_t floor_keep(const struct floor_host *hosts, unsigned n, uint64_t window);
