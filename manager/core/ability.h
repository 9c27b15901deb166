/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a kernel may be able to do, and how that came out when it was tried (plane/selftest.h). */
#pragma once

enum ability {
	ABILITY_SELECT,	    /* a program chooses the listener of a connection */
	ABILITY_MIGRATION,  /* a queue moves when its listener closes */
	ABILITY_WAKEUP,	    /* and the server that got it is woken (not with CVE-2026-46015) */
	ABILITY_HANDSHAKES, /* half-open handshakes move, too */
	ABILITY_UDP,	    /* a program chooses the socket of a datagram */
	ABILITY_COOKIES,    /* SYN cookies pass through the program */
	ABILITY_MMAP,	    /* a map's memory is shared with user space */
	ABILITY_RING,	    /* ring buffers */
	ABILITY_COUNTS,	    /* connections inherit socket storage, and sock_ops counts them */
	ABILITY_BIND,	    /* cgroup programs can set SO_REUSEPORT at bind(2) */
	ABILITY_GETFD,	    /* pidfd_getfd(2) */
	ABILITY_FCHOWN,	    /* fchown(2) of a socket changes the uid that its group asks for */
	ABILITY_SETNS,	    /* network namespaces can be entered */
	ABILITY_CENSUS,	    /* an iterator sees what connections are doing */
	ABILITY_COUNT
};

enum ability_verdict {
	ABILITY_UNKNOWN, /* it could not be tried; `detail` says what stood against it */
	ABILITY_WORKS,
	ABILITY_FAILS, /* `detail` says at which step */
};

struct ability_result {
	enum ability_verdict verdict;
	char detail[160]; /* "" when it works */
};
