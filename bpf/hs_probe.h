/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the programs of a self-test (plane/selftest/selftest.h) share with it. Nothing of it
 * outlives the test. */
#pragma once

#include <linux/types.h>

struct hs_probe {
	__u64 selected;	      /* look-ups that were answered with the socket that was wanted */
	__u64 moved;	      /* of these, of connections and handshakes that lost their listener */
	__u64 opened, closed; /* connections that inherited the storage of their listener */
	__u32 want;	      /* index of the socket that is wanted. Writer: the test */
	__u32 pad;
};
_Static_assert(sizeof(struct hs_probe) == 40, "layout of the probes' state");
