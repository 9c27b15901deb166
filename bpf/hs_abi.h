/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the kernel side and user space agree on: the layout of every pinned map, the routing word,
 * the reasons that are counted and the events that are sent. Whoever changes a layout raises
 * HS_ABI_VERSION; a manager refuses to adopt pins of another version and leaves them working.
 *
 * Fixed-width fields, host byte order unless a field says otherwise, padding written out.
 */
#pragma once

#include <linux/types.h>

#define HS_ABI_VERSION 1

#define HS_SLOTS_MAX  16
#define HS_SHARDS_MAX 64
/* index into the socket map of one listener: slot * HS_SHARDS_MAX + shard */
#define HS_SOCKETS_MAX (HS_SLOTS_MAX * HS_SHARDS_MAX)

/* "no slot" where a slot number is expected, in the word and in events */
#define HS_SLOT_NONE 0xff

/*
 * The routing word, read by one load and changed by one compare-and-swap:
 *
 *   bits  0-7   active slot          bits 8-15  canary slot (HS_SLOT_NONE = none)
 *   bits 16-31  canary share, in 1/65536 of new flows
 *   bits 32-35  enum hs_policy       bits 36-39 enum hs_word_flag
 *   bits 40-63  generation, +1 with every change, wraps
 */
#define HS_WORD_ACTIVE_SHIFT	 0
#define HS_WORD_CANARY_SHIFT	 8
#define HS_WORD_SHARE_SHIFT	 16
#define HS_WORD_POLICY_SHIFT	 32
#define HS_WORD_FLAGS_SHIFT	 36
#define HS_WORD_GENERATION_SHIFT 40

enum hs_policy {
	HS_POLICY_STANDBY = 0, /* the active slot, or the canary slot for its share */
	HS_POLICY_PARITY = 1,  /* client port even: slot 0, odd: slot 1 */
	HS_POLICY_HASH = 2,    /* keyed hash of the flow over all ready slots */
	HS_POLICY_COUNT
};

enum hs_word_flag {
	HS_FLAG_TRACE = 1 << 0,	   /* reserved: send an event for every choice */
	HS_FLAG_PREVIEW = 1 << 1,  /* reserved: preview rules are present */
	HS_FLAG_PARK_ALL = 1 << 2, /* reserved: all new connections wait in the park listener */
};

/* The one value of map "control" (array, one entry, mmapable). */
struct hs_control {
	/* the routing word. Writers: hsd and hsctl, by compare-and-swap only */
	__u64 word;
	/* key of the flow hash, random. Writer: whoever creates the map, once */
	__u64 hash_key;
	/* the word before the last switchover, 0 = none. Writer: whoever did the switchover */
	__u64 previous_word;
	/* cookie of one socket that the old slot had at the last switchover: tells whether the
	 * same instance still lives. Writer: as above */
	__u64 previous_cookie;
	/* HS_ABI_VERSION. Writer: the creator, last; 0 = half made */
	__u32 abi;
	/* kernel id of this service's counters map: names the service in a tag. Writer: the creator
	 */
	__u32 service_id;
	/* bit N: slot N has been retired, or was never adopted: it ended, if it ends, on purpose.
	 * Writers: retire sets, adoption clears, atomically */
	__u32 retired;
	__u32 pad;
};
_Static_assert(sizeof(struct hs_control) == 48, "layout of map control");
_Static_assert(__builtin_offsetof(struct hs_control, abi) == 32, "layout of map control");

/*
 * The one value of map "shards" (array, one entry, mmapable; one map per listener): which indices
 * of the socket map are worth trying. Bit N of live[S] = index S * HS_SHARDS_MAX + N holds, or
 * lately held, a socket. A hint: the socket map is the truth, and a set bit over an empty entry
 * costs one failed look-up. Writer: adoption and retire, by atomic or/and.
 */
struct hs_shards {
	__u64 live[HS_SLOTS_MAX];
	/* which build of the selector program is pinned beside it. Writer: whoever pins one */
	__u64 build;
};
_Static_assert(sizeof(struct hs_shards) == 136, "layout of map shards");

/*
 * Values of map "counters" (per-CPU array, HS_COUNTERS_MAX entries): one entry per slot, and
 * HS_COUNTERS_SERVICE for what belongs to no slot. All count since the map was made, wrap at 2^64,
 * and are written by BPF programs only. Live connections of a slot, summed over all CPUs: opened +
 * moved_in - moved_out - closed.
 */
struct hs_counters {
	__u64 chosen; /* look-ups answered with this slot (two per connection under SYN cookies) */
	__u64 fell_through;  /* look-ups that wanted another slot and got this one */
	__u64 migrated_in;   /* waiting connections and handshakes that the kernel moved here */
	__u64 select_failed; /* tries of one of this slot's sockets that the kernel refused */
	__u64 opened;	     /* connections established on this slot's sockets */
	__u64 closed;	     /* connections of this slot that ended */
	__u64 moved_in;	     /* established connections that migrated to this slot */
	__u64 moved_out;     /* established connections that migrated away */
};
_Static_assert(sizeof(struct hs_counters) == 64, "layout of map counters");

/* Entry HS_COUNTERS_SERVICE of the same map. */
struct hs_service_counters {
	__u64 nothing_to_choose; /* look-ups for which no slot had a socket; the kernel chose */
	__u64 events_lost;	 /* records that the full ring "events" refused */
	__u64 moves_missed; /* migrations not accounted for: the old slot keeps the connection */
	__u64 pad[5];
};
_Static_assert(sizeof(struct hs_service_counters) == sizeof(struct hs_counters), "one value size");

#define HS_COUNTERS_SERVICE HS_SLOTS_MAX
#define HS_COUNTERS_MAX	    (HS_SLOTS_MAX + 1)

/* Records of the ring buffer "events", one ring per service: the rare cases only. */
enum hs_event_kind {
	HS_EVENT_FELL_THROUGH =
		1,	       /* slot FROM was wanted but its sockets are gone; TO got the flow */
	HS_EVENT_MIGRATED = 2, /* a waiting connection or handshake moved from FROM to TO */
	HS_EVENT_NOTHING = 3,  /* no slot has a socket */
	HS_EVENT_COUNT
};

struct hs_event {
	__u64 time_ns;	 /* CLOCK_MONOTONIC */
	__u64 word;	 /* the routing word that was read */
	__u32 flow_hash; /* the kernel's hash of the 4-tuple */
	__u16 sport;	 /* client port, host byte order; 0 when not known */
	__u8 kind;	 /* enum hs_event_kind */
	__u8 from;	 /* slot, or HS_SLOT_NONE */
	__u8 to;	 /* slot, or HS_SLOT_NONE */
	__u8 pad[7];
};
_Static_assert(sizeof(struct hs_event) == 32, "layout of ring events");

/*
 * Accounting, shared by all services (pins below HS_PIN_ACCOUNTING).
 *
 * Value of map "tags" (socket storage with clone): set on a listener by user space, inherited by
 * every connection that is established on it.
 */
struct hs_tag {
	__u32 service_id; /* hs_control.service_id */
	__u16 slot;
	/* of a connection: 1 = it is in the count `opened`. Writer: the accounting program */
	__u16 counted;
};
_Static_assert(sizeof(struct hs_tag) == 8, "layout of map tags");

/*
 * Value of map "moved" (hash, key: SO_COOKIE of a connection): a connection that migrated while it
 * waited for accept(). Writer: selectors; the accounting program removes it at the connection's
 * end.
 */
struct hs_move {
	__u32 service_id;
	__u16 from; /* the slot that it left first */
	__u16 to;   /* the slot that has it now */
};
_Static_assert(sizeof(struct hs_move) == 8, "layout of map moved");

/* Records of the ring "listens": a socket somewhere on this machine began to listen, or ceased to.
 */
struct hs_listen {
	__u64 cookie; /* SO_COOKIE of the socket */
	__u16 port;   /* host byte order */
	__u8 family;  /* AF_INET, AF_INET6 */
	__u8 closed;  /* 1 = a tagged listener left TCP_LISTEN */
	__u32 pad;
};
_Static_assert(sizeof(struct hs_listen) == 16, "layout of ring listens");

/* Where things are pinned. bpffs allows no '.' in a name; '%' cannot occur in a unit name. */
#define HS_PIN_ROOT "/sys/fs/bpf/hotstandby"
/* ends with HS_ABI_VERSION: what another version has pinned is left alone */
#define HS_PIN_ACCOUNTING "%accounting-1"
