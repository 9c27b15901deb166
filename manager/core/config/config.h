/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The settings of a service: keys, ranges, defaults. Pure; reading the files is
 * system/configfile.h. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/address.h"
#include "core/change/switchover.h"
#include "core/config/config_fastpath.h"
#include "core/config/config_front.h"
#include "core/config/config_health.h"
#include "core/config/config_ports.h"
#include "core/role.h"
#include "core/setting.h"
#include "hs_abi.h"
#include "util/problem.h"

#define CONFIG_SECTION	     "Service"
#define CONFIG_SLOTS_MIN     2
#define CONFIG_LISTENERS_MAX 64 /* addresses that a service may have */
#define CONFIG_CGROUP_MAX    256
#define CONFIG_HASH_KEY_MAX  256
/* What people do not expect of UDP with Flow=connection. */
#define CONFIG_FLOW_STAYS                                                                         \
	"a sender that keeps one port (syslog, statsd, traps, tunnels) stays with the slot that " \
	"it began on for as long as it sends, over switchovers, and a canary shows nothing of "   \
	"it; Flow=none has each datagram go to the active slot"
/* bounds of the spans, microseconds: every wait ends */
#define CONFIG_SETTLE_MAX UINT64_C(600000000)	 /* 10 min */
#define CONFIG_DRAIN_MAX  UINT64_C(604800000000) /* 7 days */

#define CONFIG_FLOW_TIMEOUT_MIN	  UINT64_C(1000000)	/* 1 s */
#define CONFIG_FLOW_TIMEOUT_MAX	  UINT64_C(86400000000) /* 1 day */
#define CONFIG_PARK_TIMEOUT_MAX	  UINT64_C(3600000000)	/* 1 h */
#define CONFIG_PARK_MAX		  65535U
#define CONFIG_QUIC_SLOT_BYTE_MAX 19U			/* an id has at most 20 bytes */
#define CONFIG_HOLD_MAX		  UINT64_C(86400000000) /* 1 day */
#define CONFIG_STALL_MIN	  UINT64_C(100000)	/* 100 ms */
#define CONFIG_STALL_MAX	  UINT64_C(600000000)	/* 10 min */

/* How the instances' sockets come to have SO_REUSEPORT. */
enum config_intake {
	INTAKE_AUTO,   /* enable finds out */
	INTAKE_SOCKET, /* a socket unit makes them */
	INTAKE_OWN,    /* the server sets it */
	INTAKE_FORCED, /* a BPF program sets it as the server binds */
	INTAKE_COUNT
};
/* Sockets of MPTCP, between which no program can choose. */
enum config_mptcp {
	MPTCP_NO,   /* are refused: the server takes plain TCP */
	MPTCP_KEEP, /* one slot at a time */
	MPTCP_COUNT
};
enum config_failover { FAILOVER_AUTO, FAILOVER_MANUAL, FAILOVER_COUNT };
/* What happens to connections that are left at the deadline of a drain. */
enum config_drain_end { DRAIN_END_STOP, DRAIN_END_RESET, DRAIN_END_KEEP, DRAIN_END_COUNT };
/* What an instance means that connects to its service over the loopback device. */
enum config_self {
	SELF_OWN,    /* itself */
	SELF_ACTIVE, /* the service; itself only while it starts and stops */
	SELF_COUNT
};
/* How new connections are spread over the slots from the start. */
enum config_policy {
	CONFIG_POLICY_KEEP, /* as hsctl policy has said; else standby */
	CONFIG_POLICY_STANDBY,
	CONFIG_POLICY_PARITY,
	CONFIG_POLICY_HASH,
	CONFIG_POLICY_COUNT
};
enum config_by { CONFIG_BY_CONNECTION, CONFIG_BY_CLIENT, CONFIG_BY_COUNT };
/* What is sent to a slot once more before clients move there. */
enum config_replay { CONFIG_REPLAY_NO, CONFIG_REPLAY_TEMPLATES, CONFIG_REPLAY_COUNT };
enum config_on_hang { ON_HANG_RESTART, ON_HANG_KEEP, ON_HANG_COUNT };

struct config {
	unsigned slots;	  /* Slots=: 2 to 16 */
	unsigned n_ports; /* Ports=: 0 = whatever the instances listen on */
	struct config_port ports[CONFIG_PORTS_MAX]; /* ascending, each once */
	char cgroup[CONFIG_CGROUP_MAX];		    /* Cgroup=: see config_cgroup() */
	enum config_policy policy;		    /* Policy= */
	enum config_by by;			    /* By= */
	char hash_key[CONFIG_HASH_KEY_MAX];	    /* HashKey=: a file; "" = none */
	enum config_replay replay;		    /* Replay= */
	enum config_intake intake;		    /* Intake= */
	enum config_mptcp mptcp;		    /* MPTCP= */
	enum config_self self;			    /* Self= */
	uint64_t settle_usec;			    /* Settle= */
	uint64_t drain_usec;			    /* Drain= */
	enum switchover_then then;		    /* Then= */
	enum config_drain_end drain_end;	    /* DrainEnd= */
	bool restart_on_crash;			    /* RestartOnCrash= */
	bool exclusive;		       /* Exclusive=: two instances must never run together */
	bool park;		       /* Park= */
	bool park_always;	       /* also when all slots were stopped on purpose */
	unsigned park_max;	       /* ParkMax=: connections; 0 = the listener's backlog */
	uint64_t park_timeout_usec;    /* ParkTimeout= */
	enum hs_flow_mode flow;	       /* Flow= */
	uint64_t flow_timeout_usec;    /* FlowTimeout= */
	unsigned flow_max;	       /* FlowMax=: UDP flows remembered */
	unsigned quic_slot_byte;       /* QuicSlotByte= */
	enum config_failover failover; /* Failover= */
	uint64_t stall_usec;	       /* Stall=: 0 = hangs are not looked for */
	enum config_on_hang on_hang;   /* OnHang= */
	uint64_t failover_hold_usec;   /* FailoverHold= */
	struct role_action roles[ROLE_CHANGES]; /* OnDemote=, OnPromote= */
	struct config_health health;		/* section [Health] */
	struct config_front front;		/* section [Front] */
	struct config_fastpath fastpath;	/* section [FastPath] */

	/* Paths=: of AF_UNIX sockets, each once */
	unsigned n_paths;
	char paths[HS_PATHS_MAX][HS_PATH_MAX];
};

/* Every key at its default. */
void config_init(struct config *config);

/* Takes over one assignment: the last one of a key counts, an empty value is the default again. A
 * NULL or empty section is "before any section". -EINVAL: not taken over, and `problem` (may be
 * NULL) says in one sentence the key, the value, the reason and what is allowed, in printable ASCII
 * whatever stood in the file. */
int config_set(struct config *config, const char *section, const char *key, const char *value,
	       struct problem *problem);

/* Behind the last assignment, of the service of this name: what one setting means for others.
 * -EINVAL and a sentence: they do not go together. */
int config_settle(struct config *config, const char *service, struct problem *problem);

/* What a key is set to, of the type that its kind says; nothing useful of SETTING_OTHER. */
const void *config_field(const struct config *config, const struct setting *key);
/* The key by which this one holds whatever its own value says, see config_settle(); or NULL. */
const char *config_implied_by(const struct config *config, const struct setting *key);

/* -EINVAL and a sentence unless this is a section of the file: also one without settings can be a
 * mistake. */
int config_check_section(const char *section, struct problem *problem);

/* The keys in the order of the manual, section by section, each with its default as text and one
 * line of help; NULL behind the last. */
const struct setting *config_key(size_t index);

/* True if a listener on this port (host byte order) is to be adopted. */
bool config_has_port(const struct config *config, uint16_t port, bool udp);

/* Whether clients of the service can mean this address. Not so what Ports= leaves out, and of UDP
 * not what a server has to ask others or to hear all: a port that the kernel chose
 * (`is_ephemeral`), while Ports= says nothing, and an address for many. */
bool config_serves(const struct config *config, const struct address *address, bool is_ephemeral);

/* "auto", "socket", "own", "forced" / "no", "keep" / "auto", "manual". */
const char *config_intake_to_string(enum config_intake intake);
const char *config_mptcp_to_string(enum config_mptcp mptcp);
const char *config_failover_to_string(enum config_failover failover);

/* Of Policy=, which is not to be CONFIG_POLICY_KEEP; and of By=. */
enum hs_policy config_policy(const struct config *config);
enum hs_by config_by(const struct config *config);

/* Where the processes of a slot are, if not in the control group of its unit. False: they are. */
bool config_cgroup(const struct config *config, unsigned slot, char ret_cgroup[CONFIG_CGROUP_MAX]);
/* Whether `cgroup` is that of a slot (any, below `slots`), or below it. */
bool config_is_cgroup(const struct config *config, const char *cgroup);
