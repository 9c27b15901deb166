/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Files and folders that are watched for all services by one inotify(7) descriptor: a user may have
 * 128 of them on the whole machine, and those that we have are root's.
 *
 * The watches are added by a worker, which is given the descriptor and tells which they are. Each
 * tells of one change (IN_ONESHOT) and ends with it, so who may change a file wakes nobody more
 * often than it is looked at.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>
#include <systemd/sd-event.h>

struct filewatch;

int filewatch_new(sd_event *event, struct filewatch **ret_filewatch);
/* Takes NULL. Nobody may be watching any more. */
struct filewatch *filewatch_free(struct filewatch *filewatch);
/* For who adds watches; belongs to it. -1 for NULL. */
int filewatch_fd(const struct filewatch *filewatch);

#define WATCHED_MISSED_MAX 8

/* What one of them watches. Others may watch the same. */
struct watched {
	struct filewatch *filewatch;
	void (*on_changed)(void *userdata);
	void *userdata;
	int *watches;
	size_t n;
	bool looking; /* it is being looked; what changes meanwhile may be watched already: */
	int missed[WATCHED_MISSED_MAX];
	size_t n_missed; /* more than there is room for: they may have been any */
	LIST_ENTRY(watched) entry;
};

/* `filewatch` NULL: nothing is ever watched. */
void watched_init(struct watched *watched, struct filewatch *filewatch,
		  void (*on_changed)(void *userdata), void *userdata);
/* Also without watched_init(), if it is zero. */
void watched_done(struct watched *watched);
/* A worker is about to look, and to add watches. */
void watched_begin(struct watched *watched);
/* It has: these hold from now on, and no others. NULL: it could not, and those from before hold.
 * Takes the array over. Calls on_changed() if one has changed since it was added. */
void watched_end(struct watched *watched, int *watches, size_t n);
