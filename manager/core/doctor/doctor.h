/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The judgement of hsctl doctor: from facts about the machine and a service to checks, each with a
 * stable id. Pure: the caller gathers the facts. What is as it is on a healthy machine with default
 * settings must be no finding.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/address.h"
#include "core/change/slot.h"
#include "core/config/config.h"
#include "core/doctor/ability.h"
#include "core/name.h"
#include "core/outdated.h"
#include "core/setup/lint.h"

#define DOCTOR_CHECKS_MAX 192
#define DOCTOR_WORD_MAX	  24

enum doctor_status {
	DOCTOR_OK,
	DOCTOR_FINDING,
	DOCTOR_SKIPPED, /* `why` says what was missing */
	DOCTOR_STATUS_COUNT
};

/* "ok", "finding", "skipped" */
const char *doctor_status_to_string(enum doctor_status status);

struct doctor_check {
	const char *id; /* "kernel.migration": a contract, static */
	enum doctor_status status;
	char service[SERVICE_NAME_MAX]; /* "" = the machine */
	char what[640];
	char why[512];	  /* why it matters; "" when it is in order */
	char remedy[512]; /* "" likewise, and when there is none */
};

struct doctor_report {
	const char *service; /* that checks are added for; NULL = the machine */
	struct doctor_check items[DOCTOR_CHECKS_MAX];
	size_t n;
	size_t findings; /* also those beyond DOCTOR_CHECKS_MAX */
};

/* ---- the machine ---- */

/* A finding, and false, when the kernel (`release`, as uname(2) has it) is of no use at all. */
bool doctor_fitness(struct doctor_report *report, const struct ability_result *abilities,
		    const char *release);
/* What the kernel can do: one check for each ability. */
void doctor_kernel(struct doctor_report *report, const struct ability_result *abilities);

/* What it makes of the fast path: likewise, FAST_ABILITY_COUNT of them. */
void doctor_fastpath(struct doctor_report *report, const struct ability_result *results);

/* Sysctls that can hurt, each a number. */
enum doctor_sysctl {
	SYSCTL_MIGRATE_REQ,
	SYSCTL_ABORT_ON_OVERFLOW,
	SYSCTL_SYNCOOKIES,
	SYSCTL_MAX_SYN_BACKLOG,
	SYSCTL_SOMAXCONN,
	SYSCTL_BPF_JIT,
	DOCTOR_SYSCTL_COUNT
};

/* "net/ipv4/tcp_migrate_req": below /proc/sys. */
const char *doctor_sysctl_path(enum doctor_sysctl sysctl);

/* Of one network namespace. */
struct doctor_sysctls {
	int64_t values[DOCTOR_SYSCTL_COUNT]; /* -1 = this kernel or namespace has none */
	uint16_t ports_from, ports_to;	     /* ip_local_port_range; 0 = not known */
	char reserved[1024];		     /* ip_local_reserved_ports: "80,8000-8010" */
};

void doctor_sysctls(struct doctor_report *report, const struct doctor_sysctls *sysctls);

enum doctor_cgroups { CGROUPS_NONE, CGROUPS_HYBRID, CGROUPS_UNIFIED };

struct doctor_machine {
	char capabilities[160]; /* those that this process lacks; "" = none */
	bool no_proc, no_sys;	/* as in a chroot where nobody mounted them */
	bool bpffs;		/* on /sys/fs/bpf */
	enum doctor_cgroups cgroups;
	char cgroup_mount[64];
	unsigned systemd; /* its version; 0 = it cannot be asked */
	bool hsd_absent;  /* systemd has no such unit */
	bool hsd_ends;	  /* it was started, and ended by itself: the last words are */
	char hsd_status[PROBLEM_TEXT_MAX];
	bool hsd_runs;	  /* as systemd sees it, */
	bool hsd_halted;  /* its process was stopped by a signal, or its control group frozen */
	bool hsd_answers; /* and on the bus */
	/* its fd store, where parks are kept */
	unsigned store_max, store_used;
};

void doctor_machine(struct doctor_report *report, const struct doctor_machine *machine);
/* What of it concerns every service. */
void doctor_hsd(struct doctor_report *report, const struct doctor_machine *machine);

/* ---- a service ---- */

/* Options that connections inherit, or that decide on what becomes of a handshake. */
enum doctor_option {
	SOCKOPT_FASTOPEN,
	SOCKOPT_DEFER_ACCEPT,
	SOCKOPT_SAVE_SYN,
	SOCKOPT_KEEPALIVE,
	SOCKOPT_KEEPIDLE,
	SOCKOPT_KEEPINTVL,
	SOCKOPT_KEEPCNT,
	SOCKOPT_USER_TIMEOUT,
	SOCKOPT_NODELAY,
	SOCKOPT_MAXSEG,
	SOCKOPT_WINDOW_CLAMP,
	SOCKOPT_CONGESTION,
	SOCKOPT_RCVBUF,
	SOCKOPT_SNDBUF,
	SOCKOPT_PRIORITY,
	SOCKOPT_MARK,
	SOCKOPT_TOS,
	SOCKOPT_TCLASS,
	SOCKOPT_TRANSPARENT,
	DOCTOR_OPTION_COUNT
};

const char *doctor_option_to_string(enum doctor_option option);

/* A socket that an instance serves. */
struct doctor_socket {
	unsigned slot;
	struct address address;
	uint32_t backlog, uid;
	bool borrowed; /* what follows was read */
	bool reuseport, mptcp;
	char options[DOCTOR_OPTION_COUNT][DOCTOR_WORD_MAX]; /* as text; "" = it has none */
};

enum doctor_boot { BOOT_UNKNOWN, BOOT_NO, BOOT_YES };

struct doctor_slot {
	char unit[UNIT_NAME_MAX];
	enum slot_state state;
	struct problem problem; /* why it is not ready, where that is known */
	enum doctor_boot boot;	/* whether something starts it at boot */
	char kill_mode[DOCTOR_WORD_MAX];
	struct outdated outdated;   /* what it runs that was replaced on the disk */
	uint64_t timeout_stop_usec; /* 0 = not known; USEC_INFINITY */
};

struct doctor_foreign {
	bool in_front;	     /* it takes connections away; else it gets none */
	struct problem text; /* who, and where */
};

struct doctor_service {
	struct config config;
	struct problem config_problem; /* what is wrong with the settings; empty = nothing */
	struct problem unsettled;      /* what of them hsd could not have hold; empty = nothing */
	unsigned active;	       /* slot, or HS_SLOT_NONE */
	struct doctor_slot slots[HS_SLOTS_MAX];
	const struct doctor_socket *sockets;
	size_t n_sockets;
	bool unparked;		     /* a TCP listener that a slot serves has no park, */
	struct address without_park; /* such as this one */
	bool filtered;		     /* its units filter addresses, so none is opened */
	const struct doctor_foreign *foreign;
	size_t n_foreign;
	struct problem plain; /* a unit that is no slot and has the port, and what it does; empty =
				 none */
	const char *plain_why, *plain_unit;
	char held[HS_PATH_MAX]; /* a path from whose folder nothing can be removed, as a hsctl that
				   was killed has left it so; "" = none */
	const struct lint_report *lint; /* what enable says of the units; NULL = not known */
	bool replays;			/* hsd has told of Replay=; how it does: */
	struct problem replay_problem;	/* why it does not work; empty = it does */
	uint32_t replay_exporters;	/* that are remembered */
	bool fast_told;			/* hsd has told of From=; how it does: */
	struct problem fast_problem;	/* why connections go by TCP; empty = they need not */
	unsigned pending;		/* files that are not as enable writes them */
	bool needs_reload;		/* systemd has not read the newest files */
	struct doctor_sysctls sysctls;	/* where its listeners are */
};

void doctor_service(struct doctor_report *report, const struct doctor_service *service);

/* ---- for the rules ---- */

/* Of the settings: what is wrong in the files, and what of them is refused; empty = nothing. `why`:
 * what the former leads to. */
void doctor_settings(struct doctor_report *report, const struct problem *wrong,
		     const struct problem *unsettled, const char *why);
/* Adds a check of `id`; why and remedy may be NULL, or "". `what` is printf-like. */
struct doctor_advice {
	const char *id, *why, *remedy;
};
void doctor_add(struct doctor_report *report, enum doctor_status status,
		const struct doctor_advice *advice, const char *what, ...)
	__attribute__((format(printf, 4, 5)));
