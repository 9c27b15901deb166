/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What Probe= says, and what a probe's outcome means for a slot. Pure: carrying probes out is
 * system/probe/prober.h. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "util/problem.h"

#define PROBE_TEXT_MAX 512

enum probe_kind {
	PROBE_TCP,   /* the connection is accepted by the kernel, and not ended at once */
	PROBE_HTTP,  /* GET: status, and text if asked for */
	PROBE_HTTPS, /* the same in TLS; the certificate is not verified: it is asked of a slot */
	PROBE_EXEC,  /* a Nagios plugin */
	PROBE_AGENT, /* the agent of a host says what it thinks: its line are the words */
	PROBE_KIND_COUNT
};

/* One Probe=, which is not PROBE_AGENT. */
struct probe_spec {
	enum probe_kind kind;
	uint16_t port;		   /* of the listener to ask; 0 = see probe_port_rank() */
	char text[PROBE_TEXT_MAX]; /* HTTP: the path; exec: the command line */
};

/*
 * "tcp", "tcp:8443"; "http:/healthz", "http:8080/healthz", "https:/"; "exec:/usr/lib/...
 * ARGUMENTS". -EINVAL: `problem` says what is allowed.
 */
int probe_parse(const char *text, struct probe_spec *ret_spec, struct problem *problem);
const char *probe_kind_to_string(enum probe_kind kind);

/* Which of a service's ports a probe without one asks, the smallest rank: 443 for https, 80 for
 * http, else the lowest. */
unsigned probe_port_rank(const struct probe_spec *spec, uint16_t port);

#define PROBE_WORDS_MAX 32
/* The command line of an exec probe, cut into words as a shell does it: at blanks, unless '', "" or
 * a \ holds them together; nothing else means anything. The words are in `storage`, NULL behind the
 * last. -EINVAL: a quote is not closed; -E2BIG: too many words. */
int probe_split(const char *line, char storage[PROBE_TEXT_MAX], char *ret_words[PROBE_WORDS_MAX]);

enum probe_verdict {
	PROBE_GOOD, /* its words may say something besides: a plugin's warning */
	PROBE_BAD,
	PROBE_VOID, /* it could not be carried out: says nothing of the slot */
	PROBE_VERDICT_COUNT
};

/* How many outcomes in a row change the verdict. */
struct health_rule {
	unsigned fall, rise;
};

enum health_state {
	HEALTH_UNKNOWN, /* not asked often enough since it became ready */
	HEALTH_GOOD,
	HEALTH_BAD,
	HEALTH_STATE_COUNT
};

/* The health of one slot. All its probes count as one: the round is good when each was. */
struct health {
	enum health_state state;
	unsigned in_a_row;     /* rounds that spoke against `state`, */
	bool failing;	       /* and what they said */
	uint64_t since;	       /* of the state: microseconds, the driver's clock */
	struct problem reason; /* of the last round that failed, in the probe's own words */
};

void health_init(struct health *health, uint64_t now);
/* One round has ended: `failure` is NULL when it was good. True when the state has changed. */
bool health_note(struct health *health, const struct health_rule *rule, const char *failure,
		 uint64_t now);

/* When a front's host is asked, and how long it may take to answer a SYN. */
struct health_pace {
	uint64_t every_usec;   /* from one round to the next */
	uint64_t connect_usec; /* 0: as long as a probe may take at all */
};

/* Between two rounds of a host that was well and has failed once. */
#define HEALTH_HURRIED_USEC UINT64_C(50000)
/* What a host gets at least: where it is alive the kernel answers at once. */
#define HEALTH_CONNECT_MIN UINT64_C(100000)
/* Less than that and the pace cannot be kept. */
#define HEALTH_FRONT_MIN (HEALTH_CONNECT_MIN + HEALTH_HURRIED_USEC)

/* So that one that is gone is left within `fall` intervals: to what is left until the next round
 * come as many that fail, one behind the other. */
struct health_pace health_front_pace(uint64_t interval_usec, unsigned fall);
const char *health_state_to_string(enum health_state state);
