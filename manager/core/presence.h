/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a host says of itself to whoever shares out traffic among several: whether it takes new
 * clients of a service. One truth for every kind of balancer. Pure.
 *
 * What is stopped on purpose, held by `hsctl park`, or has no slot with a socket is not up, though
 * a connection may wait in the park: it would wait here, while another host could serve it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "util/problem.h"

enum presence_state {
	PRESENCE_UP,
	PRESENCE_DRAIN, /* it leaves: what is there goes on, nothing new */
	PRESENCE_DOWN,
};

struct presence_facts {
	bool unknown;	  /* nothing is pinned for it */
	bool left;	  /* `hsctl leave` */
	bool held;	  /* `hsctl park` */
	unsigned live;	  /* slots that serve */
	unsigned kept;	  /* of a front: hosts among these that are not well, as none is */
	unsigned retired; /* slots that ended, or were drained, on purpose */
	unsigned slots;	  /* in all */
	unsigned weight;  /* how much of all slots' weight serves, percent; 100 where one serves all
			   */
};

struct presence {
	enum presence_state state;
	unsigned weight;    /* percent, 1 to 100 while it is up */
	const char *reason; /* "" while it is up; static */
};

struct presence presence_judge(const struct presence_facts *facts);

#define PRESENCE_TEXT_MAX 512

/* What the line of an agent says, by the words that HAProxy knows: "up", "ready", "drain", "maint",
 * "down", "fail", "stopped", a weight in percent, and #words, `ret_reason`. False: it says nothing
 * of the kind, or nothing of the state. */
bool presence_read(const char *line, enum presence_state *ret_state, struct problem *ret_reason);

/* For HAProxy's agent-check: "up ready 100%", "up drain", "down #no slot is ready"; with a line
 * end. */
void presence_line(const struct presence *presence, char text[PRESENCE_TEXT_MAX]);
/* A whole answer by HTTP/1.1: 200, or 503 with the reason. */
void presence_http(const struct presence *presence, char text[PRESENCE_TEXT_MAX]);
/* For keepalived: 0 up, 1 down; as MISC_CHECK with misc_dynamic has it 2 + weight, 2 = none. */
int presence_exit(const struct presence *presence);
