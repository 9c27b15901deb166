/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How long the connections in an accept queue have waited, known from nothing but its length,
 * looked at now and then: the queue is first in, first out, and nothing leaves it but from its
 * head. So whatever made it longer since the last look came after that look. Times are never too
 * early: who is due has waited at least as long, and at most the span between two looks longer.
 */
#pragma once

#include <stdint.h>

#define QUEUE_LOOKS_MAX 64

struct queue_look {
	uint64_t first, last; /* microseconds: when its connections were first, and last, seen */
	uint64_t arrived;     /* how many had ever arrived at `last` */
};

struct queue_age {
	struct queue_look looks[QUEUE_LOOKS_MAX]; /* oldest first */
	unsigned n;
	uint64_t arrived, left; /* ever */
};

/* `waiting` are in the queue now. `grain`: arrivals within this span may be taken as one. */
void queue_age_look(struct queue_age *age, uint64_t now, unsigned waiting, uint64_t grain);
/* The first `n` have been taken out. */
void queue_age_take(struct queue_age *age, unsigned n);
/* How many have waited for `timeout` or longer. */
unsigned queue_age_due(const struct queue_age *age, uint64_t now, uint64_t timeout);
/* When the first one will be due; USEC_INFINITY when none waits. */
uint64_t queue_age_wake(const struct queue_age *age, uint64_t timeout);
