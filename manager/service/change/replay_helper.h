/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The process of hs-replay that remembers templates for a service: started as long as there is
 * something to remember, started again when it ends, and told which addresses the service has. What
 * it remembers goes with it, and comes again with what exporters send.
 */
#pragma once

#include "core/wire/replay.h"
#include "service/service.h"

struct replay_helper;

struct replay_helper_calls {
	/* It has answered: REPLAY_PLACES or REPLAY_SENT. */
	void (*on_packet)(enum replay_kind kind, const void *packet, void *userdata);
	/* What was sent to it is not answered any more. */
	void (*on_gone)(void *userdata);
};

/* NULL: there is no memory for it. */
struct replay_helper *replay_helper_new(struct service *service,
					const struct replay_helper_calls *calls, void *userdata);
struct replay_helper *replay_helper_free(struct replay_helper *helper);

/* Listeners have come or gone, or the policy has changed. */
void replay_helper_follow(struct replay_helper *helper);
bool replay_helper_is_ready(const struct replay_helper *helper);
/* -errno; it is of no use then. */
int replay_helper_send(struct replay_helper *helper, const void *packet, size_t size);
/* It does not answer: another one is started. */
void replay_helper_give_up(struct replay_helper *helper, const char *why);

/* What it remembers, as it has said. */
const struct exporters_counts *replay_helper_counts(const struct replay_helper *helper);
/* Why nothing is remembered; "": it is. */
const char *replay_helper_problem(const struct replay_helper *helper);
