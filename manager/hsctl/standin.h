/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hsctl as the host of a service (service/host.h), where there is no hsd: the engine runs here for
 * as long as one call takes. It does what it is asked for, and keeps nothing: it has no parks,
 * watches no probes and nobody who hangs, adopts and restarts nothing by itself, and makes pins for
 * the hooks of units only.
 *
 * Safe beside a hsd that comes meanwhile: the word is changed by compare-and-swap, and a change
 * holds the lock of the service.
 */
#pragma once

#include <signal.h>

#include "hsctl/hsctl.h"
#include "service/report/connections.h"
#include "service/request.h"
#include "service/service.h"
#include "util/macro.h"

struct standin;

/* Takes the service up alone, and waits until systemd has told about its slots. NULL: then the
 * reply says why, such as that nothing is pinned for it, or that this needs root. */
struct standin *standin_new(const char *service, struct reply *ret_reply);
struct standin *standin_free(struct standin *standin);
DEFINE_CLEANUP(struct standin, standin_free)

struct service *standin_service(const struct standin *standin);

/* Several: none at first; -errno and a sentence. The facts of all are waited for together. */
int standin_open(struct standin **ret_standin, struct problem *problem);
/* For a hook: what is not there it makes. `until`, `resumes`: see struct host. */
int standin_open_hook(uint64_t until, bool resumes, struct standin **ret_standin,
		      struct problem *problem);
/* One without a kernel side, too: it says why. */
int standin_add(struct standin *standin, const char *name, struct service **ret_service);
/* Of a systemd that is silent for so long nothing is waited for any more. */
void standin_await_facts(struct standin *standin, uint64_t patience_usec);
/* systemd answers at once, or something is wrong with it. */
#define STANDIN_PATIENCE (5 * USEC_PER_SEC)
struct service *const *standin_services(const struct standin *standin, size_t *ret_n);

/* ---- one call ---- */

/* For the last argument of a call_X(), one at a time: `reply`, which was that of standin_new(), is
 * filled as hsd would have answered.
 */
struct request *standin_ask(struct standin *standin, struct reply *reply);
/* Called with the text of each step (JSON); see client_progress_fn. */
void standin_on_progress(struct standin *standin, int (*on_progress)(const char *, void *),
			 void *userdata);

/* Runs until that is answered; ends before when `interrupted` (may be NULL) is set by a signal, or
 * at `deadline` (monotonic microseconds, USEC_INFINITY = never). False: it is not answered. What
 * was begun is left as it is then. */
bool standin_wait(struct standin *standin, const volatile sig_atomic_t *interrupted,
		  uint64_t deadline);
/* What nobody goes on with once we are gone: waits for orders that were given, and until the slots
 * have been told their roles; in a hook, which units wait for, until systemd has taken that. */
void standin_settle(struct standin *standin);

/* ---- looking ---- */

/* Status objects: of one service, or an array of all (service NULL). These return the exit code. */
int standin_describe(const char *service, struct reply *ret_reply);
/* What `hsctl list` shows of each; see report_to_row(). */
int standin_list(struct reply *ret_reply);
int standin_connections(const char *service, const struct connections_query *query,
			struct reply *ret_reply);
