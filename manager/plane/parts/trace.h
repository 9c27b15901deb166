/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tracing a service: its selectors tell what they decide while HS_FLAG_TRACE is set in the word
 * (struct hs_trace_record). Of one who traces at a time, who needs no hsd.
 *
 * Nothing depends on it, also when whoever traces is killed: a second process of it waits for its
 * end and takes the flag away. If that is killed as well, records are thrown away, at the rate that
 * was asked for, until the next one who traces, or hsd, finds nobody at the lock.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/address.h"
#include "hs_abi.h"
#include "util/problem.h"

struct plane;
struct trace;

#define TRACE_PER_SECOND 1000 /* decisions of each CPU that are told */

struct trace_order {
	const struct hs_prefix *from; /* only of these clients; NULL: of all */
	unsigned per_second;	      /* of each CPU; above 0 */
	/* of layout HS_TRACE_LAYOUT. Below 0: it wants no more for now */
	int (*on_record)(const struct hs_trace_record *record, void *userdata);
	void *userdata;
};

struct trace_counts {
	uint64_t matched; /* decisions about such clients, from begin to end */
	uint64_t skipped; /* of these: too many at a time */
	uint64_t lost;	  /* of these: nobody took them in time */
	uint64_t foreign; /* of these: told by a selector of another build, not understood */
};

/* -EBUSY: another process traces it; -ENOENT: it was made by a hotstandby that could not. With
 * every error there is a sentence. */
int trace_begin(struct plane *plane, const struct trace_order *order, struct trace **ret_trace,
		struct problem *problem);
/* Readable when there are records. */
int trace_fd(const struct trace *trace);
/* Calls on_record() for those that are there. What it returned, or -errno. */
int trace_consume(struct trace *trace);
/* No more of them come; those that are there can still be consumed, and all are counted. */
void trace_end(struct trace *trace, struct trace_counts *ret_counts);
/* Ends it if need be. Takes NULL. */
struct trace *trace_free(struct trace *trace);

/* Takes the flag away if nobody traces any more. True: it was there. */
bool trace_sweep(struct plane *plane);

/* hs_trace_record.listener of a listener. */
uint32_t trace_name(const struct address *address);

/* ---- for plane.c ---- */

/* As with plane_table_open() and so on. */
void plane_trace_open(struct plane *plane);
int plane_trace_prepare(struct plane *plane);
void plane_trace_close(struct plane *plane);
