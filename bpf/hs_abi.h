/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the kernel side and user space agree on: the layout of every pinned map, the routing word,
 * the reasons that are counted and the events that are sent. Whoever changes a layout raises
 * HS_ABI_VERSION, and has plane/bpf/handover.c take over what the version before has pinned, and
 * write it back. A manager refuses pins of any other version and leaves them working.
 *
 * Fixed-width fields, host byte order unless a field says otherwise, padding written out.
 */
#pragma once

#include <linux/types.h>

/*
 * 3  as release 0.1 had it
 * 4  map "room" of each service, with which it is told what a manager has to know
 */
#define HS_ABI_VERSION 4
#define HS_ABI_BEFORE  3

#define HS_SLOTS_MAX  16
#define HS_SHARDS_MAX 64
/* Places that connections can be sent to: the slots, and behind them the park, where they wait when
 * no slot can take them. */
#define HS_SLOT_PARK  HS_SLOTS_MAX
#define HS_PLACES_MAX (HS_SLOTS_MAX + 1)
/* index into the socket map of one listener: place * HS_SHARDS_MAX + shard */
#define HS_SOCKETS_MAX (HS_PLACES_MAX * HS_SHARDS_MAX)

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
	HS_POLICY_HASH = 2,    /* as the service's table says (struct hs_table); without one a keyed
				* hash of the flow over all ready slots */
	HS_POLICY_COUNT
};

enum hs_word_flag {
	HS_FLAG_TRACE = 1 << 0, /* somebody traces: see struct hs_trace_record */
	HS_FLAG_COPY = 1 << 1,	/* the second copy of the service's table holds, else the first */
	HS_FLAG_PARK_ALL =
		1 << 2, /* all new TCP connections wait in the park, where there is one */
	HS_FLAG_EXCLUSIVE = 1 << 3, /* a change of a service whose slots must not run together is
				     * under way: whoever finds it without one undoes it */
};

/* in hs_control.upgrade */
#define HS_UPGRADE_NOTED (1ULL << 63)
#define HS_DRAIN_NOTED	 (1ULL << 62)

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
	 * Bit 16 + N: it was drained, and is to stay out of service, also for the next hsd.
	 * Writers: retire and drain set, adoption clears both, a new run the latter; atomically */
	__u32 retired;
	/* bit N: slot N hangs: it is no standby until it serves again or is a new instance.
	 * Writers: hsd sets; hsd and adoption clear, atomically */
	__u32 suspect;
	/* bits 4N to 4N+3: which occupation of slot N this is, modulo 16. UDP flows that began with
	 * an earlier one belong to nobody. Writer: adoption of a new instance, atomically */
	__u64 epochs;
	/* enum hs_flow_mode. These three: from the settings; writer: hsd */
	__u8 flow_mode;
	/* where in a QUIC connection id the server puts its slot's number: byte 0 is the id's first
	 */
	__u8 quic_slot_byte;
	/* 1 while somebody may have preview rules: selectors look there only then. Not a flag of
	 * the word: it comes and goes with every probe, and must not make a switchover's
	 * compare-and-swap fail. Writers: who holds the lock of the folder "preview" */
	__u8 preview;
	/* enum hs_canary_mode. Writer: who changes the canary, while the word has none */
	__u8 canary_mode;
	/* how long a flow may be idle, in units of 2^HS_FLOW_TICK_SHIFT ns; at least 1 */
	__u32 flow_idle;
	/* a change that is under way and that the next hsd goes on with; 0 = none. An upgrade: bits
	 * 0-7 its state, 8-15 the old slot, 16-23 the new one, 24-55 the user who asked for it, all
	 * ones = nobody, and HS_UPGRADE_NOTED. A drain: bits 0-3 its slot, 4-28 its deadline in
	 * seconds of CLOCK_MONOTONIC, modulo 2^25, 29-60 the user, and HS_DRAIN_NOTED. Writers:
	 * hsd; of a drain hsctl, too */
	__u64 upgrade;
};
_Static_assert(sizeof(struct hs_control) == 72, "layout of map control");
_Static_assert(__builtin_offsetof(struct hs_control, flow_mode) == 56, "layout of map control");
_Static_assert(__builtin_offsetof(struct hs_control, abi) == 32, "layout of map control");
_Static_assert(2 * HS_SLOTS_MAX <= 32, "room in hs_control.retired");

/*
 * The one value of map "room" (array, one entry, mmapable, one map per service): what comes to be
 * stored beside the word gets its place here, so that it is no new version. Selectors of this
 * version do not look at it.
 *
 * A manager that has never heard of a field leaves it as it is. One that must not work with the
 * service without knowing of it finds a bit of `needs` that it does not know, and refuses.
 */
struct hs_room {
	/* how much of this its maker has heard of; what is behind is 0. Writer: who makes the map,
	 * before hs_control.abi */
	__u32 size;
	/* enum hs_need. Writer: who begins to use what it is about; before that */
	__u32 needs;
	/* 1: this host takes no new clients of the service, and tells balancers so. Writer: hsctl
	 * leave and join */
	__u64 left;
	/* low HS_SLOTS_MAX bits: slots whose probes said last that they are not well; above: when
	 * that was noted, ms of CLOCK_MONOTONIC. One store. Writer: hsd */
	__u64 ill;
	__u64 reserved[509];
};
#define HS_ILL_SLOTS ((1U << HS_SLOTS_MAX) - 1)
_Static_assert(sizeof(struct hs_room) == 4096, "layout of map room");
#define HS_ROOM_SIZE __builtin_offsetof(struct hs_room, reserved)

enum hs_need {
	HS_NEEDS_KNOWN = 0, /* all bits of this version */
};

/* What a datagram follows, when its service has UDP listeners. */
enum hs_flow_mode {
	HS_FLOW_CONNECTION = 0, /* its 4-tuple's first datagram, until idle or the slot is gone */
	HS_FLOW_NONE = 1,	/* the routing word, each by itself */
	HS_FLOW_QUIC = 2,	/* long headers as CONNECTION; short headers the slot in their id */
	HS_FLOW_COUNT
};

/*
 * Map "flows" (array, mmapable, one map per service, made with its first UDP listener): a value is
 * one bucket of HS_FLOW_WAYS flows. A flow is one word, written by one store:
 *
 *   bits  0-3   slot              bits 4-7   its epoch (hs_control.epochs)
 *   bits  8-27  last seen, in units of 2^HS_FLOW_TICK_SHIFT ns of CLOCK_MONOTONIC, modulo 2^20
 *   bits 28-63  fingerprint, never 0: keyed with hs_control.hash_key. A word of 0 is a free place
 *
 * The bucket is chosen by other bits of the same keyed hash. Writers: UDP selectors only.
 */
#define HS_FLOW_WAYS	       8
#define HS_FLOW_TICK_SHIFT     28 /* 268 ms */
#define HS_FLOW_BUCKETS_MIN    128
#define HS_FLOW_BUCKETS_MAX    524288
#define HS_FLOW_SLOT_SHIFT     0
#define HS_FLOW_EPOCH_SHIFT    4
#define HS_FLOW_TICK_POSITION  8
#define HS_FLOW_PRINT_POSITION 28
#define HS_FLOW_TICK_MASK      0xfffffU

struct hs_flow_bucket {
	__u64 flows[HS_FLOW_WAYS];
};
_Static_assert(sizeof(struct hs_flow_bucket) == 64, "layout of map flows");

/*
 * Map "paths" (array, mmapable, one map per service, made with its first path listener): entry
 * slot * HS_PATHS_MAX + N is the AF_UNIX socket that the slot has at a public path; the entry stays
 * when the socket has gone, for the kernel tells by cookie whether it lives. Not read by any BPF
 * program: which slot gets the connections says a link on disk, see core/path.h. Writers: adoption,
 * the cookie last, and as 0 before the rest; retire sets, and adoption clears, `aside`.
 */
#define HS_PATHS_MAX 8
#define HS_PATH_MAX  108 /* sun_path */

struct hs_path {
	__u64 cookie;		/* 0 = no socket yet */
	__u32 inode;		/* of the socket: sock_diag finds it by this */
	__u32 file_device;	/* of the file that it is bound to, as sock_diag tells it, */
	__u32 file_inode;	/* likewise */
	__u32 aside;		/* 1: it is not the slot's any more for those who come anew */
	char path[HS_PATH_MAX]; /* the public one, NUL behind it */
	__u8 pad[4];
};
_Static_assert(sizeof(struct hs_path) == 136, "layout of map paths");

/*
 * The one value of map "shards" (array, one entry, mmapable; one map per listener): which indices
 * of the socket map are worth trying. Bit N of live[S] = index S * HS_SHARDS_MAX + N holds, or
 * lately held, a socket. A hint: the socket map is the truth, and a set bit over an empty entry
 * costs one failed look-up. Writer: adoption and retire, by atomic or/and.
 */
struct hs_shards {
	__u64 live[HS_PLACES_MAX];
	/* which build of the selector program is pinned beside it. Writer: whoever pins one */
	__u64 build;
};
_Static_assert(sizeof(struct hs_shards) == 144, "layout of map shards");

/*
 * Values of map "counters" (per-CPU array, HS_COUNTERS_MAX entries): one entry per place, and
 * HS_COUNTERS_SERVICE for what belongs to none. All count since the map was made, wrap at 2^64, and
 * are written by BPF programs only. Live connections of a place, summed over all CPUs: opened +
 * moved_in - moved_out - closed. Datagrams are counted as look-ups only.
 */
struct hs_counters {
	/* look-ups answered with this slot: two per connection under SYN cookies, and one for each
	 * late packet of a connection that is no more */
	__u64 chosen;
	__u64 fell_through;  /* look-ups that wanted another slot and got this one */
	__u64 migrated_in;   /* waiting connections and handshakes that the kernel moved here */
	__u64 select_failed; /* tries of one of this slot's sockets that the kernel refused */
	__u64 opened;	     /* connections established on this slot's sockets */
	__u64 closed;	     /* connections of this slot that ended */
	__u64 moved_in;	     /* established connections that migrated to this slot */
	__u64 moved_out;     /* established connections that migrated away */
	/* no count: connections established lately, see hs_recent.h. Written without a lock: what
	 * one CPU does at two levels at once may miss one */
	__u64 recent;
};
_Static_assert(sizeof(struct hs_counters) == 72, "layout of map counters");

/* Entry HS_COUNTERS_SERVICE of the same map. */
struct hs_service_counters {
	__u64 nothing_to_choose; /* look-ups for which no slot had a socket; the kernel chose */
	__u64 events_lost;	 /* records that the full ring "events" refused */
	__u64 moves_missed;  /* migrations not accounted for: the old slot keeps the connection */
	__u64 flows_evicted; /* UDP flows that lost their place to newer ones before they were idle
			      */
	__u64 told_tick; /* no count: when this CPU's UDP selectors last sent an event (hs_flow.h)
			  */
	__u64 previewed; /* look-ups that a preview rule sent to its slot */
	__u64 preview_misses; /* look-ups with a preview rule whose slot had no live socket */
	__u64 traffic_tick;   /* no count: when this CPU last had traffic (hs_listen.service_id) */
	__u64 placed;	      /* look-ups that a table was asked for, by client */
};
_Static_assert(sizeof(struct hs_service_counters) == sizeof(struct hs_counters), "one value size");

#define HS_COUNTERS_SERVICE HS_PLACES_MAX
#define HS_COUNTERS_MAX	    (HS_PLACES_MAX + 1)

/*
 * Preview: single connections go to a chosen slot, whatever the word says: probes, and what a
 * command under `hsctl exec` opens. The slot need not be active or ready, nor serve the service's
 * other listeners; it needs a live socket on this one. Without that the connection goes where it
 * would have gone, and the rule counts a miss.
 *
 * Map "preview/rules" (hash, one map per service): the key is one connection, by both of its ends.
 * The source alone would not do: the kernel gives one ephemeral port to several connections with
 * different destinations, of different processes. It is written before the first packet leaves, by
 * or for the process that holds the socket, and removed when the socket is closed.
 *
 * Nobody else can get there. On this machine the kernel gives no second socket the same two ends
 * (but for SO_REUSEPORT, which is for sockets of one user only, or with CAP_NET_RAW). From outside,
 * a packet would have to carry an address of this machine as its source: IPv4 drops those as
 * martians (unless accept_local is set); both drop loopback addresses that come in from a network.
 * An IPv6 packet may get through, and would have to hit the port while the rule is there; a TCP
 * handshake cannot be finished like that, as the answer goes to the real holder of the address; a
 * single UDP datagram can reach the slot. It could have reached the service anyway, so a slot in
 * preview must not trust a source address more than an active one does.
 */
#define HS_PREVIEW_MAX 8192

struct hs_preview_key {
	__u8 source[16], dest[16];    /* network byte order; IPv4 as ::ffff:a.b.c.d */
	__u16 source_port, dest_port; /* network byte order */
	/* with a loopback address as `dest`: hs_preview_key is of the network namespace with this
	 * inode, 0 = the manager's own; else 0: such addresses are what namespaces share most */
	__u32 netns;
	__u8 protocol; /* IPPROTO_TCP, IPPROTO_UDP; 0 = not a connection, but an owner (below) */
	__u8 pad[3];
};
_Static_assert(sizeof(struct hs_preview_key) == 44, "layout of map preview/rules");

/* Who made a rule, and takes it away; what dead owners leave, the next manager takes away. */
enum hs_preview_owner {
	HS_PREVIEW_PROCESS = 1, /* id: pid << 32 | start time in clock ticks, modulo 2^32 */
	HS_PREVIEW_CGROUP = 2,	/* id: of a cgroup2 group; lives while a process is in it */
	HS_PREVIEW_COUNT
};

/* An owner that may make rules at any time has one entry more, with `protocol` 0 and its kind and
 * id in the first bytes of `source` (struct hs_preview_owner_id). */
struct hs_preview_owner_id {
	__u64 id;
	__u32 kind; /* enum hs_preview_owner */
	__u32 pad;
};

struct hs_preview_rule {
	struct hs_preview_owner_id owner;
	/* look-ups that got the slot, and that did not. Writer: selectors. More than one hit is
	 * nothing special: SYN cookies, repeated SYNs, datagrams */
	__u32 hits, misses;
	__u8 slot;
	/* 1: also to sockets that were set aside: before the slot is adopted, or since it was
	 * retired */
	__u8 aside;
	/* 1: to the slot or to nobody: without a socket of it the connection is refused */
	__u8 only;
	__u8 pad[5];
};
_Static_assert(sizeof(struct hs_preview_rule) == 32, "layout of map preview/rules");

/*
 * `hsctl exec`: programs on the cgroup of a command write a rule for each connection that it
 * begins. The one value of their map "counts" (array, one entry, mmapable; not pinned). Writers:
 * these programs.
 */
struct hs_exec_counts {
	__u64 begun; /* rules that were made: connections, and pairs of ends that exchanged
		      * datagrams */
	/* of those that have ended: */
	__u64 arrived; /* they got the slot */
	__u64 missed;  /* the slot had no live socket for them */
	__u64 unseen;  /* they came to no selector of this service */
	/* packets held back because there was no room for a rule: rather than elsewhere they go
	 * nowhere. TCP sends them again later, for datagrams the sender sees EPERM */
	__u64 blocked;
	/* 1: of a front (hs_led.h). Then those that have `arrived` were answered by the host, those
	 * `missed` were not, those `unseen` left by another way; and what is `blocked` was refused
	 * with EPERM, or lost packets that could not be led. Writer: who makes the map */
	__u64 front;
	__u64 pad[2];
};
_Static_assert(sizeof(struct hs_exec_counts) == 64, "layout of map counts");

/* What the command's sockets may be sent to: key of their map "ports". */
struct hs_exec_port {
	__u16 port;    /* network byte order */
	__u8 protocol; /* IPPROTO_TCP, IPPROTO_UDP */
	__u8 pad;
};

/*
 * The own way: what an instance sends to a port of its service over the loopback device, which is
 * how everything goes that does not leave the machine, reaches its own slot or is refused, as it
 * would if the instance were alone: its checks of itself, from its start to its end.
 *
 * A program on the cgroups of all instances writes a rule for each such connection or pair of ends
 * into the service's map "preview/rules", with HS_PREVIEW_OWN as the key's network namespace: rules
 * of that kind are of the sender's and the listener's, which are one. Selectors look there for
 * flows only whose source port is marked.
 */
#define HS_PREVIEW_OWN 0xffffffffU

/*
 * Map "own-marks" of accounting (array, mmapable): how many rules there are for source ports that
 * are N modulo HS_OWN_MARKS, and behind these how many services have whose ids are N modulo
 * HS_OWN_SERVICES: as a rule there are none, and that is all that a selector reads. Writers: who
 * makes and removes rules, atomically.
 */
#define HS_OWN_MARKS	 4096
#define HS_OWN_SERVICES	 256
#define HS_OWN_MARKS_MAX (HS_OWN_MARKS + HS_OWN_SERVICES)

/* How many such rules a slot may have: beyond that its connections go where all others go. */
#define HS_OWN_RULES_MAX 1024

/* Key of map "own-ports" of accounting (hash). Writer: whoever opens a listener. */
#define HS_OWN_PORTS_MAX 65536

struct hs_own_port {
	__u32 service_id; /* hs_control.service_id */
	__u16 port;	  /* network byte order */
	__u8 protocol;	  /* IPPROTO_TCP, IPPROTO_UDP */
	__u8 pad;
};
_Static_assert(sizeof(struct hs_own_port) == 8, "layout of map own-ports");

/* Value of map "own" of accounting (storage of cgroups): whose cgroup it is. */
struct hs_own {
	__u32 service_id; /* 0 = nobody's yet. Writer of these: who attaches the program */
	__u8 slot;
	__u8 on; /* 0: what it sends goes where all others go */
	__u8 pad[2];
	__s32 rules; /* that sockets of it have now, about. Writer: the programs */
	__u32 pad2;
};
_Static_assert(sizeof(struct hs_own) == 16, "layout of map own");

/* Who may become a canary flow, and what the share is taken of. Flags. */
enum hs_canary_mode {
	HS_CANARY_BY_CLIENT = 1 << 0, /* clients, by their address; else connections */
	HS_CANARY_FROM = 1 << 1,      /* only clients in one of the prefixes; else all */
};

/* Key of map "prefixes" (LPM trie, one map per service): clients that the canary is for. */
#define HS_PREFIXES_MAX 64

struct hs_prefix {
	__u32 length; /* in bits of `ip`: an IPv4 prefix /N is 96 + N */
	__u8 ip[16];  /* network byte order; IPv4 as ::ffff:a.b.c.d */
};
_Static_assert(sizeof(struct hs_prefix) == 20, "layout of map prefixes");

/*
 * Spread: under HS_POLICY_HASH all slots are at work, and each client, or each connection, belongs
 * to one of HS_BUCKETS buckets by a keyed hash of its address (hs_spread.h), which all listeners of
 * the service share. The table names a first and a second slot for each bucket: the latter is for
 * as long as the first has no socket. How it is filled says core/spread/spread.h.
 *
 * Map "tables" (array of maps, one entry, one per service) holds the table of the service, an array
 * of one entry, mmapable; nothing as long as the service has had no need of one. Map "pinned" (LPM
 * trie, one per service) holds the clients that belong to a slot whatever their bucket.
 *
 * Of both there are two copies. Which one holds says HS_FLAG_COPY in the routing word, so all that
 * a change touches is changed by one compare-and-swap. What a change wants is in the copy, too:
 * who dies before it has changed nothing.
 */
#define HS_BUCKETS	     65536
#define HS_PINNED_MAX	     64
#define HS_MOVED_MAX	     512
#define HS_TABLE_LAYOUT	     1
#define HS_HITS_SHIFT	     3
#define HS_RECALL_BITS	     12
#define HS_RECALL_MAX	     (1 << HS_RECALL_BITS)
#define HS_RECALL_EPOCH_BITS 12
#define HS_WEIGHT_DEFAULT    100 /* percent */
#define HS_WEIGHT_MAX	     1000

/* What stays together. */
enum hs_by {
	HS_BY_CLIENT = 1,     /* all that comes from one address */
	HS_BY_CONNECTION = 2, /* all that comes from one address and port */
	HS_BY_COUNT
};

/* Key and value of map "pinned". */
struct hs_pinned_key {
	__u32 length; /* in bits of what follows: an IPv4 prefix /N is 8 + 96 + N */
	__u8 copy;    /* 0 or 1 */
	__u8 ip[16];  /* network byte order; IPv4 as ::ffff:a.b.c.d */
	__u8 pad[3];
};
_Static_assert(sizeof(struct hs_pinned_key) == 24, "layout of map pinned");

/* A prefix that was pinned. */
struct hs_pinned {
	__u8 ip[16];
	__u8 length; /* in bits of `ip` */
	__u8 slot;
	__u8 pad[2];
};

/* A bucket that rebalancing has given to another slot than its hash names. */
struct hs_moved_bucket {
	__u16 bucket;
	__u8 slot;
	__u8 pad;
};

/* What a table is made from, beside the slots that take part. Writer: who changes the table, in
 * the copy that does not hold. */
struct hs_spread {
	__u64 key;		     /* of the hash; random, or out of HashKey= */
	__u64 made_ns;		     /* CLOCK_MONOTONIC */
	__u32 by;		     /* enum hs_by */
	__u32 slots;		     /* those below this take part */
	__u32 members;		     /* of these, the ones that do now, as a bit mask */
	__u32 key_given;	     /* 1 = by HashKey= */
	__u16 weights[HS_SLOTS_MAX]; /* percent, 0 to HS_WEIGHT_MAX */
	__u32 n_pinned, n_moved;
	__u32 held; /* those that get no clients for now though they are ready, as a bit mask */
	__u32 pinned_live; /* how many of map "pinned" belong to this copy */
	/* another one whenever `key` or `by` is, modulo 2^HS_RECALL_EPOCH_BITS; never 0 */
	__u32 epoch;
	__u32 pad;
	struct hs_pinned pinned[HS_PINNED_MAX];
	struct hs_moved_bucket moved[HS_MOVED_MAX];
};

struct hs_table_copy {
	struct hs_spread spread;
	/* bits 0-3: the first slot, bits 4-7: the second; the same twice: there is no other */
	__u8 buckets[HS_BUCKETS];
};

struct hs_table {
	__u32 layout; /* HS_TABLE_LAYOUT. Writer: who makes it, last */
	__u32 pad[15];
	struct hs_table_copy copies[2];
	/* of the look-ups that went by each bucket, by client, one in 2^HS_HITS_SHIFT. Writer:
	 * selectors; who rebalances sets them to 0 */
	__u32 hits[HS_BUCKETS];
	/* buckets of senders of datagrams, see hs_spread.h. Writer: selectors */
	__u64 recall[HS_RECALL_MAX];
};
_Static_assert(sizeof(struct hs_table_copy) % 8 == 0, "layout of map tables");
_Static_assert(sizeof(struct hs_spread) == 88 + 20 * HS_PINNED_MAX + 4 * HS_MOVED_MAX,
	       "layout of map tables");

/* Records of the ring buffer "events", one ring per service: the rare cases only. What goes into
 * the park and comes out of it is counted, not told. */
enum hs_event_kind {
	HS_EVENT_FELL_THROUGH =
		1,	       /* slot FROM was wanted but its sockets are gone; TO got the flow */
	HS_EVENT_MIGRATED = 2, /* a waiting connection or handshake moved from FROM to TO */
	HS_EVENT_NOTHING = 3,  /* no slot has a socket, and there is no park */
	HS_EVENT_COUNT
};

struct hs_event {
	__u64 time_ns;	 /* CLOCK_MONOTONIC */
	__u64 word;	 /* the routing word that was read */
	__u32 flow_hash; /* the kernel's hash of the 4-tuple */
	__u16 sport;	 /* client port, host byte order; 0 when not known */
	__u8 kind;	 /* enum hs_event_kind */
	__u8 from;	 /* slot, HS_SLOT_PARK or HS_SLOT_NONE */
	__u8 to;	 /* likewise */
	__u8 pad[7];
};
_Static_assert(sizeof(struct hs_event) == 32, "layout of ring events");

/*
 * Trace: while HS_FLAG_TRACE is set, selectors tell what they have decided, and why; at most so
 * often, and about some clients only, if so wanted. What is decided does not depend on it.
 *
 * Below HS_PIN_TRACE, a folder of a service that is the lock of whoever traces it: map "rings"
 * (array of maps, one entry) holds the ring of the one who does, nothing as long as nobody does;
 * map "terms" (per-CPU array, one entry) says what is told. The flag is taken away by whoever has
 * set it, or by the next one who gets the lock.
 */
#define HS_TRACE_LAYOUT	    1
#define HS_TRACE_RING_BYTES (1024 * 1024)

/* Each CPU has its own; they count without the others. */
struct hs_trace_terms {
	/* a client is told of if its address, IPv4 as ::ffff:a.b.c.d, is these bits under this
	 * mask, the first byte highest. Writer of all down to `span_ns`: who traces, before the
	 * flag is set */
	__u64 mask_high, mask_low, high, low;
	/* one decision is told in `cost_ns` on average, and after a pause as many at once as fit
	 * into `span_ns`, at least one */
	__u64 cost_ns, span_ns;
	/* until when it is paid for what was told. Writers from here on: selectors; who traces sets
	 * them to 0 */
	__u64 paid_ns;
	__u64 matched; /* decisions about such clients */
	__u64 skipped; /* of these: there were too many at a time */
	__u64 lost;    /* of these: the ring was full */
};
_Static_assert(sizeof(struct hs_trace_terms) == 80, "layout of map terms");

/* Why a place was chosen. */
enum hs_trace_why {
	HS_WHY_ACTIVE = 1,    /* policy standby: the active slot */
	HS_WHY_CANARY = 2,    /* policy standby: it is of the canary's share */
	HS_WHY_PARITY = 3,    /* policy parity: by the client's port */
	HS_WHY_HASH = 4,      /* policy hash without a table */
	HS_WHY_FIRST = 5,     /* the first slot of its bucket */
	HS_WHY_SECOND = 6,    /* the second one: the one that was wanted has no socket */
	HS_WHY_PINNED = 7,    /* the client is pinned to it */
	HS_WHY_FLOW = 8,      /* its flow is known there */
	HS_WHY_QUIC = 9,      /* its connection id names it */
	HS_WHY_PREVIEW = 10,  /* a preview rule */
	HS_WHY_OWN = 11,      /* a preview rule of the instance's own */
	HS_WHY_FELL = 12,     /* it fell through: the one that was wanted has no socket */
	HS_WHY_PARK_ALL = 13, /* all connections are to wait */
	HS_WHY_PARK = 14,     /* no slot has a socket: it waits */
	HS_WHY_NOTHING = 15,  /* nor is there a park: the kernel chose */
	HS_WHY_REFUSED = 16,  /* an instance that asks itself and has no socket there */
	HS_WHY_COUNT
};

/* What a record says beside that. */
enum hs_trace_mark {
	HS_TRACE_MOVED = 1 << 0,  /* it waited already, and has moved away from `from` */
	HS_TRACE_BUCKET = 1 << 1, /* a table was asked: `bucket` holds */
};

/* Records of such a ring. */
struct hs_trace_record {
	__u64 time_ns;		       /* CLOCK_MONOTONIC */
	__u8 client[16], local[16];    /* network byte order; IPv4 as ::ffff:a.b.c.d */
	__u16 client_port, local_port; /* host byte order */
	__u32 listener;		       /* names its address, see plane/parts/trace.h */
	__u16 bucket;
	__u8 layout; /* HS_TRACE_LAYOUT: a selector may be of another build than who reads */
	__u8 why;    /* enum hs_trace_why */
	__u8 slot;   /* these three: or HS_SLOT_PARK, or HS_SLOT_NONE */
	__u8 wanted; /* where it would have gone, had there been a socket */
	__u8 from;
	__u8 marks;    /* enum hs_trace_mark */
	__u8 protocol; /* IPPROTO_TCP, IPPROTO_UDP */
	__u8 pad[7];
};
_Static_assert(sizeof(struct hs_trace_record) == 64, "layout of ring trace");

/*
 * Accounting, shared by all services (pins below HS_PIN_ACCOUNTING).
 *
 * Value of map "tags" (socket storage with clone): set on a listener by user space, inherited by
 * every connection that is established on it.
 */
struct hs_tag {
	__u32 service_id; /* hs_control.service_id */
	__u16 slot;	  /* or HS_SLOT_PARK */
	/* of a connection: 1 = it is in the count `opened`. Writer: the accounting program */
	__u16 counted;
	/* of a connection that is counted: when it was established, CLOCK_MONOTONIC as the coarse
	 * clock tells it. Writer: as above */
	__u64 begun_ns;
};
_Static_assert(sizeof(struct hs_tag) == 16, "layout of map tags");

/*
 * Value of map "moved" (hash, key: SO_COOKIE of a connection): a connection that migrated while it
 * waited for accept(). Writer: selectors; the accounting program removes it at the connection's
 * end.
 */
struct hs_move {
	__u32 service_id;
	__u16 from; /* the place that it left first */
	__u16 to;   /* the place that has it now */
};
_Static_assert(sizeof(struct hs_move) == 8, "layout of map moved");

/*
 * Census: what the connections of one service are doing, added up by an iterator. The one value of
 * its map (array, one entry, mmapable; not pinned). Who asks writes the question and zeroes the
 * places; the program writes the places. Ticks are the kernel's jiffies.
 */
struct hs_census_place {
	__u64 connections;
	__u64 half_open; /* handshakes under way on its listeners */
	__u64 idle;	 /* connections without data in either direction for idle_ticks */
	__u64 oldest_ns; /* hs_tag.begun_ns of the oldest connection; 0 = there is none */
	__u64 idlest_ticks;
};

struct hs_census {
	__u32 service_id; /* hs_control.service_id */
	__u32 idle_ticks;
	struct hs_census_place places[HS_PLACES_MAX];
};
_Static_assert(sizeof(struct hs_census) == 8 + 40 * HS_PLACES_MAX, "layout of the census");

/*
 * One connection of a service, as another iterator tells it who asks for each of them. IPv4
 * addresses fill the first four bytes, and the rest is zero; IP addresses are in network byte
 * order, the rest in the host's.
 */
struct hs_connection {
	__u64 cookie; /* SO_COOKIE; 0 = nobody has asked for it */
	struct hs_tag tag;
	__u8 local_ip[16], peer_ip[16];
	__u32 netns;			  /* the inode of its network namespace */
	__u32 ifindex;			  /* of the device that it is bound to; 0 = none */
	__u32 received_ticks, sent_ticks; /* since data last came, and went */
	__u16 local_port, peer_port;
	__u16 family;
	__u8 state; /* TCP_ESTABLISHED, ... */
	__u8 held;  /* 0 = no process has it: it waits for accept(2), or was closed */
};
_Static_assert(sizeof(struct hs_connection) == 80, "layout of a connection");

/* The kernel's ticks wrap at 2^32; more than this ago is not ago, but ahead by a little. */
#define HS_CENSUS_TICKS_MAX 0xf0000000U

/*
 * Queues: one record for each of our listening sockets on which somebody waits, as an iterator
 * writes them (not pinned).
 */
struct hs_queue {
	__u64 cookie; /* SO_COOKIE of the listening socket */
	/* names the connection that is accepted next: as long as it is the same, nobody has
	 * accepted. 0 = not known */
	__u64 head;
	__u32 service_id; /* these two: of its tag */
	__u32 slot;
	__u32 queued; /* at least 1 */
	__u32 pad;
};
_Static_assert(sizeof(struct hs_queue) == 32, "layout of the queues");

/*
 * Motion: what moves on the accepted connections of one service, added up by an iterator. The one
 * value of its map (array, one entry, mmapable; not pinned). Who asks writes the question and
 * zeroes the places; the program writes the places.
 */
struct hs_motion_place {
	__u64 accepted; /* connections that a process has */
	/* those with received data of which nothing is read, and none to be sent */
	__u64 unread;
	__u64 mark; /* a sum of what the server has read, written and was acknowledged */
};

struct hs_motion {
	__u32 service_id; /* hs_control.service_id */
	__u32 pad;
	struct hs_motion_place places[HS_PLACES_MAX];
};
_Static_assert(sizeof(struct hs_motion) == 8 + 24 * HS_PLACES_MAX, "layout of the motion");

/* Traffic is told, by each CPU, when it comes after a pause of one to two times 2^this ns. */
#define HS_TRAFFIC_TICK_SHIFT 28 /* 268 ms */

/*
 * Records of the ring "listens": a socket of a managed unit, or on a port that a service listens
 * on, began to listen, or ceased to; or, with `service_id`, that service got a connection after a
 * pause.
 */
struct hs_listen {
	__u64 cookie;	  /* SO_COOKIE of the socket; of traffic: of the connection */
	__u16 port;	  /* host byte order */
	__u8 family;	  /* AF_INET, AF_INET6 */
	__u8 closed;	  /* 1 = a tagged listener left TCP_LISTEN */
	__u32 service_id; /* hs_control.service_id; 0 = this is about a listener */
};
_Static_assert(sizeof(struct hs_listen) == 16, "layout of ring listens");

/* How many listens each CPU tells in one tick (HS_TRAFFIC_TICK_SHIFT), whoever listens how often.
 */
#define HS_LISTENS_MAX 64

/* Value of map "telling" (per-CPU array, one entry). Writer: the accounting programs. */
struct hs_telling {
	__u64 tick, told; /* of listens, in this tick */
	__u64 lost;	  /* listens that were not told: too many of them, or a full ring */
};
_Static_assert(sizeof(struct hs_telling) == 24, "layout of map telling");

/* Map "ports" of accounting (hash): which ports, in host byte order, services have listened on.
 * Only a filter: what is there too long costs a look. Writer: whoever opens a listener. */
#define HS_WATCHED_PORTS_MAX 65536

/*
 * Key of map "guarded" of accounting (hash; value: hs_control.service_id): where nobody but us may
 * attach or detach the program of a group of sockets. Writer: whoever attaches the selector there.
 */
#define HS_GUARDED_MAX 65536

struct hs_guarded {
	__u64 netns_cookie; /* SO_NETNS_COOKIE of the socket */
	__u16 port;	    /* host byte order */
	__u8 udp;	    /* 1: datagrams; 0: streams */
	__u8 pad[5];
};
_Static_assert(sizeof(struct hs_guarded) == 16, "layout of map guarded");

/*
 * The one value of map "ports" (array, one entry, mmapable; one map per service): where the bind
 * programs set SO_REUSEPORT. Bit N % 64 of tcp[N / 64] is TCP port N; udp likewise. Writers of the
 * bits: hsd and hsctl, from the settings; of the counts: the programs.
 */
struct hs_ports {
	__u32 abi; /* HS_ABI_VERSION. Writer: the creator, last; 0 = half made */
	/* hs_control.service_id: what carries another one's tag is not to be joined; 0 = not known,
	 * nothing is looked at. Writers: hsd and hsctl */
	__u32 service_id;
	__u64 build;   /* which build of the programs is pinned beside it. Writer: whoever pins */
	__u64 had;     /* sockets on such ports that had the option already */
	__u64 forced;  /* that it was set on */
	__u64 refused; /* on which the kernel would not set it */
	__u64 pad2[3];
	__u64 tcp[1024];
	__u64 udp[1024];
};
_Static_assert(sizeof(struct hs_ports) == 64 + 16384, "layout of map ports");
_Static_assert(__builtin_offsetof(struct hs_ports, tcp) == 64, "layout of map ports");

/* Where things are pinned. bpffs allows no '.' in a name; '%' cannot occur in a unit name. */
#define HS_PIN_ROOT "/sys/fs/bpf/hotstandby"
/* ends with HS_ABI_VERSION: an older manager that is started by mistake finds nothing there */
#define HS_PIN_ACCOUNTING "%accounting-4"
/* ends with HS_ABI_BEFORE */
#define HS_PIN_ACCOUNTING_BEFORE "%accounting-3"
/* folder in a service's, with the map "rules" */
#define HS_PIN_PREVIEW "preview"
/* likewise, with the maps "rings" and "terms" */
#define HS_PIN_TRACE "trace"
/* Folder of a service for map "told" (array, one entry, made when it is needed): a word of user
 * space, see core/role.h. Writer: who holds the lock of the folder */
#define HS_PIN_ROLE "role"
/* Map of a service (array, one entry, mmapable, made when it is needed): counts of user space, see
 * core/ledger.h, which has the number of its layout. Writers: who ends a change, atomically */
#define HS_PIN_LEDGER "ledger"
