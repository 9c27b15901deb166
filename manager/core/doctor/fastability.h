/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What programs may do with a connection on the fast path, and how that came out when it was tried
 * (plane/selftest/selftest_fast.h). Some of it is vital: where it fails nobody may have the fast
 * path. The rest is what some programs do and most do not: where it fails they must not be on it.
 */
#pragma once

#include "core/doctor/ability.h"

enum fast_ability {
	/* vital */
	FAST_ORDER,	 /* bytes arrive in order, whichever way each of them goes */
	FAST_FIN,	 /* the end comes behind the last byte */
	FAST_RST,	 /* a reset is told, and what came before it can be read */
	FAST_STALL,	 /* who does not read stops the writer, and then gets all of it */
	FAST_NAMESPACES, /* the same addresses and ports in two network namespaces */
	FAST_EDGE,	 /* a reader by edge is told of what comes behind */
	/* the rest */
	FAST_HALF_CLOSE, /* one end sends no more, the other one does */
	FAST_MOVED,	 /* a connection moves to another listener before it is accepted */
	FAST_DESTROY,	 /* connections can be ended by SOCK_DESTROY */
	FAST_STAMPS,	 /* it is known when something was last sent */
	FAST_TLS,	 /* what may be TLS of the kernel goes by TCP */
	FAST_MPTCP,	 /* and so does MPTCP */
	FAST_TIMES,	 /* SO_RCVTIMEO, SO_SNDTIMEO */
	FAST_EPOLL,	 /* level and edge */
	FAST_PEEK,	 /* MSG_PEEK */
	FAST_SENDFILE,
	FAST_BLOCKING, /* a read that waits, while the same socket gets room to write */
	FAST_WAITALL,  /* MSG_WAITALL */
	FAST_LOWAT,    /* SO_RCVLOWAT */
	FAST_FIONREAD, /* how much can be read */
	FAST_SPLICE,   /* readers by splice(2) */
	FAST_ZEROCOPY, /* MSG_ZEROCOPY */
	FAST_URGENT,   /* MSG_OOB */
	FAST_UNREAD,   /* who closes with unread data resets the connection */
	FAST_LARGE,    /* more than 4 GiB on one connection */
	FAST_ABILITY_COUNT
};

/* "fast.order", as hsctl doctor has it. */
const char *fast_ability_to_string(enum fast_ability ability);
/* Bit mask of those that are vital. */
uint32_t fast_ability_vital(void);
/* What works, and what does not where it fails: "Bytes arrive in order", "..."; and what to do. */
const char *fast_ability_what(enum fast_ability ability);
const char *fast_ability_why(enum fast_ability ability);
const char *fast_ability_remedy(enum fast_ability ability);

/*
 * Whether nobody may have the fast path on this kernel: one of the vital fails, or could not be
 * tried. Then the sentence says which. `release` is the kernel's, as uname(2) has it.
 */
bool fast_ability_refuses(const struct ability_result *results, const char *release,
			  struct problem *ret_sentence);
