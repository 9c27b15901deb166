/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the verbs have in common: whom to ask, and how to end. */
#pragma once

#include <json-c/json.h>

#include "hsctl/arguments.h"
#include "hsctl/client.h"
#include "hsctl/hsctl.h"
#include "hsctl/show/render.h"
#include "service/report/connections.h"

/* How long an answer may take where nothing has to be waited for. */
#define VERB_TIMEOUT (25 * USEC_PER_SEC)

/* --timeout, or what stands for it. */
uint64_t verb_timeout(const struct arguments *arguments, uint64_t otherwise);

/* True if hsd was not there and the work can be done here: on this machine. Else reply has the
 * sentence. */
bool verb_may_do_directly(const struct arguments *arguments, enum client_answer answer);
/* Tells on stderr that it was done without hsd, if it was done. */
void verb_tell_direct(const struct arguments *arguments, const struct reply *reply);

/* The service that is meant; 0, or EXIT_USAGE after a complaint. */
int verb_service(const struct arguments *arguments, char ret_service[SERVICE_NAME_MAX]);

/* --since, if it is given; 0, or EXIT_USAGE after a complaint. */
int verb_since(const struct arguments *arguments, uint64_t *ret_seconds);

/* What journal_read() has returned, if it is an error. Complains, and returns the exit code. */
int verb_end_of_journal(int r);

/* Shows the answer of a change: its JSON, or the sentence in it. Complains when it went wrong.
 * Returns the exit code, and frees the reply. */
int verb_end(const struct arguments *arguments, struct reply *reply);

/* --no-block: it has begun, and hsd goes on by itself. Shows the sentence, or `what`, the fields
 * that say which change it is, as JSON; `what` is freed. Returns the exit code. */
_printf_(3, 4) int verb_tell_under_way(const struct arguments *arguments, json_object *what,
				       const char *template, ...);

/* Shows on stdout, in colour if that is wanted, as of now. */
struct render verb_render(const struct arguments *arguments);

/* How long hsd lets somebody wait for a look, and somewhat more. */
#define VERB_LOOK_PATIENCE (1500 * USEC_PER_MSEC)
/* Has hsd look whether the service (NULL: any) runs what is on the disk, if that is due. */
void verb_look(const struct arguments *arguments, const char *service);

/* Status object of a service, or an array of all (NULL): from hsd, or made here; then *ret_direct.
 * The caller frees the reply. Returns the exit code. */
int verb_describe(const struct arguments *arguments, const char *service, struct reply *ret_reply,
		  bool *ret_direct);

/* What is listed of all (report_to_row()): likewise. */
int verb_ask_list(const struct arguments *arguments, struct reply *ret_reply, bool *ret_direct);

/* What connections_report() makes of a service: likewise. */
int verb_inspect(const struct arguments *arguments, const char *service,
		 const struct connections_query *query, struct reply *ret_reply, bool *ret_direct);

/* Has hsd read the settings again. False if there is no hsd, which is no error; other failures are
 * complained about. */
bool verb_tell_manager(const struct arguments *arguments);
