/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the kernel side and user space agree on about a front: a service whose slots are hosts. Maps
 * of its own, beside those of hs_abi.h, which a front has as any service; a layout of its own,
 * HS_FRONT_LAYOUT.
 *
 *   %front/DEVICE/link       the program hs_front_dev on this device
 *   %front/DEVICE/programs   program array: by a service's index, its program hs_front_fwd
 *   %front/DEVICE/ports      what is for which service, struct hs_front_port
 *   %front/DEVICE/fragments  ports of packets whose first fragment was seen
 *   %front/DEVICE/state      struct hs_front_device
 *   %front/DEVICE/counts     struct hs_front_device_counts
 *
 *   NAME/front/front         struct hs_front
 *   NAME/front/flows         which host a flow is with, of those that last; LRU
 *   NAME/front/young         the same of those that may not; LRU
 *   NAME/front/fresh         the same of those that have not gone beyond their SYN; LRU
 *   NAME/front/traffic       struct hs_front_traffic
 *   NAME/front/pace          struct hs_front_pace
 *   NAME/front/program       hs_front_fwd
 *
 * Fixed-width fields, host byte order unless a field says otherwise, padding written out. Addresses
 * are 16 bytes in network byte order, IPv4 as ::ffff:a.b.c.d.
 */
#pragma once

#include "hs_abi.h"

#define HS_FRONT_LAYOUT	       1
#define HS_FRONT_ADDRESSES_MAX 16
#define HS_FRONT_INDICES_MAX   64   /* services on one device */
#define HS_FRONT_PORTS_MAX     8192 /* on one device, addresses times ports */
#define HS_FRONT_FRAGMENTS_MAX 4096

/* pins below HS_PIN_ROOT, and below a service's folder */
#define HS_PIN_FRONTS "%front"
#define HS_PIN_FRONT  "front"
/* of fresh flows, and of young ones, there is room for one in so many of the others */
#define HS_FRONT_FRESH_PART 8
#define HS_FRONT_YOUNG_PART 2

/* How a packet comes to its host. */
enum hs_front_mode {
	HS_FRONT_DSR = 1,  /* as it is, to the host's MAC address; the host has the address */
	HS_FRONT_IPIP = 2, /* in a packet to the host; the host has the address */
	HS_FRONT_NAT = 3,  /* to the host's own address; answers come back through the front */
	HS_FRONT_MODE_COUNT
};

enum hs_front_host_flag {
	HS_FRONT_CONFIGURED = 1 << 0,
	HS_FRONT_REACHED = 1 << 1, /* its next hop answers to its address */
};

/* A MAC address in one number, so that it is written by one store: byte 0 of the address is the
 * lowest one. 0 = not known. */
#define HS_FRONT_MAC_BYTES 6

struct hs_front_host {
	__u8 ip[16];
	__u8 outer[16]; /* of ipip: source of the outer header */
	__u64 next_mac; /* of the next hop. 0: bpf_fib_lookup() is asked for each packet */
	__u64 own_mac;	/* of the device that leads there */
	__u32 ifindex;	/* that device; what is on a VLAN of the front's device has the latter's */
	__u32 mtu;	/* of the way there */
	__u32 flags;	/* enum hs_front_host_flag */
	__u16 vlan;	/* on the front's device, 0 = none */
	__u8 epoch;	/* another one when the number gets another address */
	__u8 pad;
	__u64 run; /* how often it began to take flows. Writer: who sets its bit in `taking` */
};
_Static_assert(sizeof(struct hs_front_host) == 72, "layout of map front/front");

/* The one value of map "front/front" (array, one entry, mmapable). Writers: hsd and hsctl. */
struct hs_front {
	__u32 layout; /* HS_FRONT_LAYOUT. Written last */
	__u32 mode;   /* enum hs_front_mode */
	/* bit N: host N gets flows that begin. Writers change their bit atomically */
	__u32 taking;
	__u32 n_addresses;
	/* a flow is remembered in `cost_ns` on average, and after a pause as many at once as fit
	 * into `span_ns`; cost 0: all are */
	__u64 cost_ns, span_ns;
	__u64 hash;  /* of what two fronts must have alike */
	__u64 build; /* of the program, see load_build() */
	__u32 index; /* in the device's map "programs" */
	/* bit N: host N is among those that take flows though it is not well, as none is. Writer:
	 * hsd; the program does not ask */
	__u32 kept;
	__u8 device[16]; /* its name, NUL behind it; "" = none yet */
	/* each stays in its place, which flows go by; zero: none */
	__u8 addresses[HS_FRONT_ADDRESSES_MAX][16];
	struct hs_front_host hosts[HS_SLOTS_MAX];
};
_Static_assert(sizeof(struct hs_front) == 72 + 256 + 72 * HS_SLOTS_MAX,
	       "layout of map front/front");

/* Key of the maps "front/flows", "front/young" and "front/fresh". */
struct hs_front_flow_key {
	__u8 client[16] __attribute__((aligned(8)));
	__u16 client_port, port; /* network byte order; of the client, of the service */
	__u8 address;		 /* index into hs_front.addresses */
	__u8 protocol;		 /* IPPROTO_TCP, IPPROTO_UDP */
	__u8 pad[2];
};
_Static_assert(sizeof(struct hs_front_flow_key) == 24, "layout of map front/flows");

enum hs_front_flow_mark {
	HS_FRONT_ESTABLISHED = 1 << 0, /* the client has answered the host */
	HS_FRONT_CLOSING = 1 << 1,     /* FIN or RST was seen: a SYN begins another one */
	HS_FRONT_ANSWERED = 1 << 2,    /* of nat: the host has gone beyond its SYN */
};

/*
 * Writers: the service's program. A flow stays with its host for as long as that is configured and
 * of the same epoch, taking or not.
 */
struct hs_front_flow {
	__u64 begun_ns; /* CLOCK_MONOTONIC, as the coarse clock tells it */
	__u32 seen;	/* in units of 2^HS_FLOW_TICK_SHIFT ns of it, modulo 2^32 */
	__u8 host;
	__u8 epoch; /* of the host */
	__u8 marks; /* enum hs_front_flow_mark */
	__u8 pad;
	/* of nat: where the client's packets come from, which is where answers go; as in struct
	 * hs_front_host */
	__u64 client_mac;
};
_Static_assert(sizeof(struct hs_front_flow) == 24, "layout of map front/flows");

/* TCP: a SYN that is sent again goes where the first went, when that was seen within so many ticks:
 * 129 s, and the last one that Linux sends comes 64 s after another. If the host does not take any
 * more, it does only within 2.1 s of the flow's begin. */
#define HS_FRONT_AGAIN_TICKS 480
#define HS_FRONT_KEPT_TICKS  8

/* A flow lasts when it is seen 1.6 s after its begin. Of these a part in HS_FRONT_LASTING_SECONDS
 * of what there is room for is let in each second: so who was heard of within that time is not
 * pushed out, whatever others send. */
#define HS_FRONT_LASTING_TICKS	 6
#define HS_FRONT_LASTING_SECONDS 64

/* A value of map "front/traffic" (per-CPU array): of each host, and behind them
 * HS_FRONT_TRAFFIC_SERVICE for what belongs to none. All count since the map was made. */
struct hs_front_traffic {
	__u64 packets, bytes; /* that were sent to the host; of nat its answers are not in it */
	__u64 flows;	      /* that began */
	__u64 recent;	      /* no count: flows that began lately, see hs_recent.h */
	__u64 back_packets, back_bytes; /* of nat: the answers */
	__u64 pad[2];
};

struct hs_front_counts {
	__u64 unknown;	      /* no SYN, and no flow is known: by word and table */
	__u64 unremembered;   /* flows that began and were not remembered, by the budget */
	__u64 fragments_lost; /* whose first one was not seen, left to the kernel */
	__u64 too_big;	      /* of ipip; the client was told */
	__u64 no_host;	      /* no host takes flows; left to the kernel */
	__u64 no_way;	      /* there was no way to the host: a flow's packets are dropped, others
			       * left to the kernel */
	__u64 told_tick; /* no count: when this CPU last told of a flow that fell through, or found
			  * no host */
	__u64 passed;	 /* not for a host after all: left to the kernel */
};
_Static_assert(sizeof(struct hs_front_counts) == sizeof(struct hs_front_traffic), "one value size");

#define HS_FRONT_TRAFFIC_SERVICE HS_SLOTS_MAX
#define HS_FRONT_TRAFFIC_MAX	 (HS_SLOTS_MAX + 1)

/* The one value of map "front/pace" (per-CPU array): the time. Writer: the service's program. */
struct hs_front_pace {
	__u64 unused;
	/* to ask for the time costs as much as to read a packet: it is asked anew when this number
	 * of the kernel's has changed */
	__u64 period;
	__u32 tick; /* as in struct hs_front_flow */
	__u32 pad;
};
_Static_assert(sizeof(struct hs_front_pace) == 24, "layout of map front/pace");

/* ---- of the device ---- */

enum hs_front_direction {
	HS_FRONT_TO_HOST = 0,	/* the destination of the packet is a service's */
	HS_FRONT_FROM_HOST = 1, /* the source is a host's: answers, of nat */
};

/*
 * Key of map "%front/DEVICE/ports" (hash); value: __u32, the service's index. Port and protocol 0
 * stand for an address of a service, whatever the port: the index is HS_FRONT_INDEX_MANY when
 * several services have it.
 */
#define HS_FRONT_INDEX_MANY 0xffffffffU

struct hs_front_port {
	__u8 ip[16];
	__u16 port; /* network byte order */
	__u8 protocol;
	__u8 direction; /* enum hs_front_direction */
};
_Static_assert(sizeof(struct hs_front_port) == 20, "layout of map ports");

/* Key and value of map "%front/DEVICE/fragments" (LRU). Writer: the device's program, with each
 * first fragment that is for an address of a service. */
struct hs_front_fragment {
	__u8 source[16], dest[16];
	__u32 id; /* network byte order */
	__u8 protocol;
	__u8 pad[3];
};
_Static_assert(sizeof(struct hs_front_fragment) == 40, "layout of map fragments");

struct hs_front_fragment_ports {
	__u16 source_port, dest_port; /* network byte order */
};

/* The one value of map "%front/DEVICE/state" (array, mmapable). */
struct hs_front_device {
	__u32 layout;  /* HS_FRONT_LAYOUT. Written last */
	__u32 ifindex; /* where the program is */
	__u64 build;   /* of the program, see load_build() */
	__u32 answers; /* how many of map "ports" are of answers that come back */
	__u32 native;  /* 1: in the driver; 0: generic */
	__u32 users[HS_FRONT_INDICES_MAX]; /* service id of each index, 0 = free */
};
_Static_assert(sizeof(struct hs_front_device) == 24 + 4 * HS_FRONT_INDICES_MAX,
	       "layout of map state");

/* The one value of map "%front/DEVICE/counts" (per-CPU array). */
struct hs_front_device_counts {
	__u64 malformed; /* headers that are short or lie: left to the kernel */
	__u64 fragments_lost;
	__u64 unserved; /* the program of the service was not there: left to the kernel */
	/* for an address of a service, on a port that is none's: left to the kernel. 0 in what an
	 * earlier build has made */
	__u64 other_ports;
};

/*
 * Led connections: those that the front's own machine begins and that are to reach a chosen host.
 * In ipip, a packet without a flow names a second host in its outer header, which the first one
 * passes it on to when it has no socket for it:
 *
 *   IPv4: an option of 8 bytes, HS_SECOND_OPTION, length, two bytes of 0, the address;
 *   IPv6: a destination options header of 24 bytes, with an option HS_SECOND_OPTION6 of 16 bytes,
 *   the address, and padding.
 *
 * Both are for experiments (RFC 4727): the first is copied into fragments; the second is skipped by
 * who does not know it.
 */
#define HS_SECOND_OPTION      0x9e
#define HS_SECOND_OPTION_SIZE 8
#define HS_SECOND_OPTION6     0x1e
#define HS_SECOND_HEADER6     24
