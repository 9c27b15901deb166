/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The fast path: what one process of this machine sends to a service's instance, and the other way
 * round, is put into the receiver's queue, past the TCP stack, on connections that began with both
 * ends known. All else of a connection is TCP's: its begin, its end, resets, windows.
 *
 * All services of the machine share these programs and maps; they are pinned below HS_PIN_FAST.
 *
 * The rule that says which way a message goes is below, for programs and tests alike. It rests on
 * two things that the kernel does:
 *
 *   Order. A reader takes what was put into its queue first, and what came by TCP when there is
 *   none of that. So a direction may go from the fast way over to TCP at any time, and never back:
 *   it decides at its first byte.
 *
 *   Flow. What is put into the queue asks for no window. So what waits there is looked at before:
 *   beyond a share of the receive buffer the direction goes over to TCP for good, which has a
 *   window and makes the writer wait. It does so when the queue is empty, if it comes to be before
 *   the buffer is full. Else what goes by TCP is held back at the sender until the queue is empty
 *   (hs_fast_hold): readers by edge take a read that is shorter than they asked for to be the last
 *   for now, and what is behind it must come as news.
 */
#pragma once

#include "hs_abi.h"

#define HS_FAST_LAYOUT	     1
#define HS_PIN_FAST	     "%fast"
#define HS_FAST_PAIRS_MAX    65536
#define HS_FAST_ENDS_MAX     (2 * HS_FAST_PAIRS_MAX)
#define HS_FAST_OFFERS_MAX   8192
#define HS_FAST_SERVICES_MAX 4096
#define HS_FAST_PORTS_MAX    65536
/* HS_PLACES_MAX for each service */
#define HS_FAST_COUNTS_MAX 16384

/* Key of the maps "peers" and "offers": a connection as one of its ends has it. */
struct hs_fast_end {
	__u64 netns_cookie;	       /* SO_NETNS_COOKIE */
	__u8 local[16], remote[16];    /* network byte order; IPv4 as ::ffff:a.b.c.d */
	__u16 local_port, remote_port; /* host byte order */
	__u32 pad;
};
_Static_assert(sizeof(struct hs_fast_end) == 48, "layout of map fast/peers");

/* Key of map "services" (hash; value: __u32): which clients' connections a service lets on the fast
 * path. Writer: user space, which raises hs_fast_state.turn whenever it takes one away. */
struct hs_fast_client {
	__u64 client; /* names the unit, see plane/fast/fast.h */
	__u32 service_id;
	__u32 pad;
};
_Static_assert(sizeof(struct hs_fast_client) == 16, "layout of map fast/services");

/* Key of map "ports" (hash): what a client's connections may be to; a filter, and the same for all
 * services. Writer: user space. */
struct hs_fast_port {
	__u64 client;
	__u32 port; /* host byte order */
	__u32 pad;
};
_Static_assert(sizeof(struct hs_fast_port) == 16, "layout of map fast/ports");

/* Key of map "wants" (hash): which service has them there. */
struct hs_fast_want {
	struct hs_fast_port port;
	__u32 service_id;
	__u32 pad;
};
_Static_assert(sizeof(struct hs_fast_want) == 24, "layout of map fast/wants");

/* Value of map "clients" (storage of control groups). Writer: who attaches the program. */
struct hs_fast_group {
	__u64 client; /* 0 = nobody's yet */
};

/* Value of map "offers" (LRU hash): a client's end that might become one of a pair. */
struct hs_fast_offer {
	__u64 client;
	__u64 cookie;  /* SO_COOKIE */
	__u64 address; /* of the kernel's socket: to look at, never to change */
};

/* Why a direction goes by TCP. Each once it has been found so; the first one stays. */
enum hs_fast_why {
	HS_FAST_WHY_NONE = 0,	 /* it does not: the fast way */
	HS_FAST_WHY_EARLY = 1,	 /* its first byte came before the other end was known */
	HS_FAST_WHY_FULL = 2,	 /* the reader did not keep up */
	HS_FAST_WHY_TLS = 3,	 /* TLS begins, which the kernel may be about to do itself */
	HS_FAST_WHY_CLOSED = 4,	 /* the service does not let this client any more */
	HS_FAST_WHY_GONE = 5,	 /* the other end is gone, or not what it was */
	HS_FAST_WHY_ENDED = 6,	 /* this end sends no more */
	HS_FAST_WHY_STARTED = 7, /* TCP has sent something already, past the program */
	HS_FAST_WHY_COUNT
};

/* The two directions, and the ends that send in them. */
enum hs_fast_side { HS_FAST_CLIENT = 0, HS_FAST_SERVER = 1, HS_FAST_SIDES };

enum hs_fast_way {
	HS_FAST_UNDECIDED = 0, /* no byte yet */
	HS_FAST_FAST = 1,
	HS_FAST_TCP = 2, /* for good */
};

/* One direction of a pair. Writer: the sender's program. */
struct hs_fast_direction {
	__u64 fast_bytes, tcp_bytes;
	__u64 last_ns; /* CLOCK_MONOTONIC, coarse: when something was last sent; 0 = never */
	__u8 way;      /* enum hs_fast_way */
	__u8 why;      /* enum hs_fast_why */
	__u8 pad[6];
};

/*
 * Value of map "pairs" (hash; key: SO_COOKIE of the client's end): a connection both ends of which
 * are known. Writer: the program at the server's end, once, but for the directions; removed at the
 * end of either end.
 */
struct hs_fast_pair {
	struct hs_fast_end end; /* as the server's end has it */
	__u64 client;
	__u64 client_cookie, server_cookie;
	__u64 client_address, server_address; /* as hs_fast_offer.address */
	__u64 begun_ns;			      /* CLOCK_MONOTONIC, coarse */
	__u32 service_id;		      /* these two: of the tag */
	__u32 slot;
	struct hs_fast_direction directions[HS_FAST_SIDES];
};
_Static_assert(sizeof(struct hs_fast_pair) == 168, "layout of map fast/pairs");

/* Key of map "counts" (per-CPU hash). User space makes the entries of a service. */
struct hs_fast_place {
	__u32 service_id;
	__u32 slot; /* or HS_SLOT_PARK */
};

/* Value of the same. Writer: the programs; all count since the entry was made. */
struct hs_fast_counts {
	__u64 begun, ended;		 /* pairs */
	__u64 refused;			 /* connections that could not become one: no room */
	__u64 fast_bytes[HS_FAST_SIDES]; /* sent on the fast way, by side */
	__u64 tcp_bytes[HS_FAST_SIDES];	 /* sent by TCP on connections that are pairs */
	__u64 why[HS_FAST_WHY_COUNT];	 /* directions that went by TCP, by reason */
	__u64 reserved[3];
};
_Static_assert(sizeof(struct hs_fast_counts) == 144, "layout of map fast/counts");

/* The one value of map "state" (array). Writer: user space. */
struct hs_fast_state {
	__u32 layout; /* HS_FAST_LAYOUT */
	/* another one whenever a client is taken away from a service: pairs then ask again */
	__u32 turn;
	__u32 tags; /* id of the map of tags that the programs look into */
	__u32 pad;
};
_Static_assert(sizeof(struct hs_fast_state) == 16, "layout of map fast/state");

/* ---- the rule ---- */

/* When more than this waits in the reader's queue, the direction leaves the fast way as soon as
 * nothing does. */
#define HS_FAST_SHARE(buffer) ((buffer) / 2)
/* Where it is not sure that nobody else is just sending, a direction stays on the fast way for as
 * long as no more than this waits. */
#define HS_FAST_BUFFERS_MAX 8
/* What the kernel has beside each message that waits, however small it is: it is counted in no
 * buffer, and charged to nobody. */
#define HS_FAST_OVERHEAD 1024
/* Messages and what is beside them: as many times the buffer where it is sure, and where not. */
#define HS_FAST_MEMORY_MAX(buffer)   (8 * (buffer))
#define HS_FAST_MEMORY_LIMIT(buffer) (32 * (buffer))
/* Who has sent nothing for so long is not just sending. */
#define HS_FAST_QUIET_NS 1000000000ULL

/*
 * The first record of a handshake of TLS: what comes after it the kernel may be told to take apart.
 * Of a message that is shorter, or was cut in two, what there is of it. `n`: how many of the first
 * bytes there are.
 */
#define HS_FAST_HELLO 10

static inline int hs_fast_is_hello(const __u8 bytes[HS_FAST_HELLO], unsigned n)
{
	return n >= 2 && bytes[0] == 0x16 && bytes[1] == 3 && (n < 3 || bytes[2] <= 4) &&
	       (n < 6 || bytes[5] == 1 || bytes[5] == 2) && (n < 7 || !bytes[6]) &&
	       (n < 10 || bytes[9] == 3);
}

/* What is looked at before a message is sent. */
struct hs_fast_look {
	__u64 size;	/* of the message */
	__u64 queued;	/* bytes that wait in the reader's queue, by whatever way */
	__u64 buffer;	/* its receive buffer */
	__u64 smallest; /* message that may wait there; 0 = not known */
	__u64 since;	/* messages since nothing did, with this one */
	__u64 quiet_ns; /* since another thread has sent something here; all ones: none ever has */
	__u8 way;	/* enum hs_fast_way, so far */
	__u8 paired;	/* both ends are known, and in the map */
	__u8 started;	/* TCP has sent in this direction, or is about to */
	__u8 open;	/* this end may still send */
	__u8 allowed;	/* the service still lets this client */
	__u8 peer;	/* the other end is what it was */
	__u8 tls;	/* a TLS handshake begins, or the kernel does TLS on either end */
	__u8 alone;	/* no other thread is in the middle of a call on this end */
};

/* For tests alone: what happens without the one or the other. */
enum hs_fast_without {
	HS_FAST_WITHOUT_ORDER = 1 << 0,
	HS_FAST_WITHOUT_FLOW = 1 << 1,
	HS_FAST_WITHOUT_CARE = 1 << 2, /* for threads */
	HS_FAST_WITHOUT_HOLD = 1 << 3, /* of what goes by TCP */
};

/* With as many messages as what waits can be, as a rule far fewer than if all were as small as the
 * smallest. */
static inline __u64 hs_fast_memory(const struct hs_fast_look *look)
{
	__u64 messages = look->smallest ? look->queued / look->smallest : 0;

	if (messages > look->since)
		messages = look->since;
	return look->queued + messages * HS_FAST_OVERHEAD;
}

/*
 * Two threads that send at the same moment have their messages whole, as TCP has it. One of them
 * that was let onto the fast way may not have come to put its message into the queue: were the
 * other one's to go by TCP now, it could be read in part before the first one's. A thread by itself
 * cannot be overtaken.
 */
static inline int hs_fast_may_leave(const struct hs_fast_look *look)
{
	return look->alone || look->quiet_ns >= HS_FAST_QUIET_NS ||
	       look->queued > HS_FAST_BUFFERS_MAX * look->buffer ||
	       hs_fast_memory(look) > HS_FAST_MEMORY_LIMIT(look->buffer);
}

/* More than there is room for, in the buffer or beside it; or more than is good, and nothing has to
 * be held back. */
static inline int hs_fast_is_full(const struct hs_fast_look *look)
{
	__u64 queued = look->queued + look->size;

	return queued > look->buffer || hs_fast_memory(look) > HS_FAST_MEMORY_MAX(look->buffer) ||
	       (!look->queued && queued > HS_FAST_SHARE(look->buffer));
}

/* Which way the next message of a direction goes. HS_FAST_WHY_NONE: the fast way; else by TCP, it
 * and all that come after it. */
static inline enum hs_fast_why hs_fast_decide(const struct hs_fast_look *look, unsigned without)
{
	if (!look->paired)
		return HS_FAST_WHY_EARLY;
	if (!(without & HS_FAST_WITHOUT_ORDER) && look->started)
		return HS_FAST_WHY_STARTED;
	if (!look->open)
		return HS_FAST_WHY_ENDED;
	if (!look->peer)
		return HS_FAST_WHY_GONE;
	if (look->tls)
		return HS_FAST_WHY_TLS;
	if (look->way == HS_FAST_FAST && !(without & HS_FAST_WITHOUT_CARE) &&
	    !hs_fast_may_leave(look))
		return HS_FAST_WHY_NONE;
	if (!look->allowed && (look->way != HS_FAST_FAST || !look->queued))
		return HS_FAST_WHY_CLOSED;
	if (!(without & HS_FAST_WITHOUT_FLOW) && hs_fast_is_full(look))
		return HS_FAST_WHY_FULL;
	return HS_FAST_WHY_NONE;
}
