/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What somebody has asked for: who that is, and where the answer goes. It is answered once, with
 * the outcome or with why there is none; that, or freeing it, is its end. So whoever is handed a
 * request sees to it that it is answered, now or later, however it comes out.
 *
 * A NULL request is of nobody: whatever is done is done without being asked for.
 */
#pragma once

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

#include "system/journal.h"
#include "system/peer.h"

enum request_failure {
	REQUEST_REFUSED,    /* by a gate: nothing has changed */
	REQUEST_UNDONE,	    /* traffic is back where it was */
	REQUEST_NO_SERVICE, /* it is about one that there is not */
	REQUEST_INVALID,    /* it makes no sense */
	REQUEST_FAILED,
	REQUEST_LEFT,	/* nobody here goes on with it: who asks may do it without us */
	REQUEST_DENIED, /* not to who asks, whatever right they have */
	REQUEST_FAILURE_COUNT
};

struct request;

/* Of whoever makes requests. `done` and `fail` free the request. */
struct request_ops {
	/* `json`: the outcome, NULL if there is nothing to say; `fd` goes along and stays the
	 * caller's, -1 = none. */
	void (*done)(struct request *request, const char *json, int fd);
	void (*fail)(struct request *request, enum request_failure failure, const char *sentence);
	/* As far as it is known. Asks nobody. */
	void (*actor)(const struct request *request, struct journal_actor *ret_actor);
	/* Who connects, and what processes of others are called. */
	bool (*may_see)(const struct request *request);
	bool (*is_root)(const struct request *request);
	/* Of the process that asks; see system/peer.h. */
	int (*ask_peer)(struct request *request, peer_fn on_answer, void *userdata,
			struct peer_question **ret_question);
};

struct request {
	const struct request_ops *ops;
};

/* All of these end it, and return NULL. `outcome` (may be NULL) is taken. */
struct request *request_done(struct request *request, json_object *outcome);
struct request *request_done_with(struct request *request, json_object *outcome, int fd);
struct request *request_fail(struct request *request, enum request_failure failure,
			     const char *template, ...) __attribute__((format(printf, 3, 4)));
/* For want of memory, say: nothing that has a sentence of its own. */
struct request *request_fail_errno(struct request *request, int error);
/* Nobody goes on with it. */
struct request *request_free(struct request *request);

void request_actor(const struct request *request, struct journal_actor *ret_actor);
bool request_may_see(const struct request *request);
bool request_is_root(const struct request *request);
/* From now on the caller sees to it. `request` may be NULL, too. */
struct request *request_take(struct request **request);

/* ---- several that wait for the same ---- */

#define REQUESTS_MAX 8

struct requests {
	struct request *waiting[REQUESTS_MAX];
	unsigned n;
};

/* False: too many wait already, and this one has been told so. NULL is fine. */
bool requests_add(struct requests *requests, struct request *request);
/* Answers all with {"service","slot","message"}. */
void requests_done(struct requests *requests, const char *service, unsigned slot,
		   const char *message);
/* None has what it wants. */
void requests_fail(struct requests *requests, const char *sentence);
/* What they wait for will not be done here. */
void requests_leave(struct requests *requests);
