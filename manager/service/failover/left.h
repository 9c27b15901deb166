/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An instance that accepts nothing and was taken out of service, from then on until it stands by
 * again or is restarted. What it has in work goes on to its end. Only one that was stopped by a
 * signal, or has stood still for long, is restarted (core/watch/standstill.h), and drained before.
 */
#pragma once

#include "service/failover/standing.h"
#include "service/slot/instance.h"

typedef void (*left_fn)(void *userdata);

/* One for each slot. The fields are its own, but for `standing` and `in_part`. */
struct left {
	struct service *service;
	unsigned slot;
	left_fn on_back;
	void *userdata;
	struct standing standing; /* is begun before it is left */
	bool in_part;		  /* it accepts on other sockets of the same address */
	char run[33];		  /* of the unit that was left */
	sd_event_source *watch;	  /* always there: for want of memory nobody stays left */
	uint64_t drained_since; /* it is to be restarted, when its connections have ended; 0 = no */
	struct work *reset;	/* its connections are being reset, before that */
	uint64_t restarted, pause; /* when it was last, 0 = never; and how long until the next */
	struct unit_job *job;
	struct recovery *recovery; /* it may come back */
};

/* `on_back`: it accepts again, and is to stand by. */
int left_init(struct left *left, struct service *service, unsigned slot, left_fn on_back,
	      void *userdata);
/* Also of one that is zero. */
void left_done(struct left *left);

/* It is this run of the unit that is about to be left. */
void left_note_run(struct left *left);
bool left_is_of_this_run(const struct left *left);
/* It is out of service, and no more can come into its queue. */
void left_begin(struct left *left);
/* Another instance occupies the slot. */
void left_forget(struct left *left);
/* There is no such slot any more; what was asked of systemd is nobody's. */
void left_end(struct left *left);

/* By what was seen of it since it is out of service. */
bool left_looks_full(const struct left *left);
/* What will become of it, for people. */
void left_describe_future(const struct left *left, enum standstill_kind kind,
			  struct problem *ret_text);
