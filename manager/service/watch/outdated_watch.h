/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Do the slots run what is on the disk? It is looked once after each adoption; then the files that
 * they run are watched, and it is looked again when one of them is replaced. Nothing wakes up
 * meanwhile. Who asks waits for a look that is due, for a moment.
 */
#pragma once

#include <systemd/sd-event.h>

#include "service/request.h"
#include "service/service.h"

struct outdated_watch;

int outdated_watch_new(const struct host *host, struct outdated_watch **ret_watch);
/* Takes NULL. */
struct outdated_watch *outdated_watch_free(struct outdated_watch *watch);

/* Answers when no look is due any more of this service (NULL: of any), or it takes too long; at
 * once where nobody looks (`watch` NULL). */
void outdated_ask(struct outdated_watch *watch, struct service *service, struct request *request);

/* What is known of the run that a slot is in; `files` is 0 if nothing. */
void outdated_read(const struct service *service, unsigned slot, struct outdated *ret_outdated);
/* Nothing is looked at for it any more. */
void outdated_forget(struct service *service);
/* EVENT_ADOPTED: it is looked at when there is time, if it is not known what its slots run. */
void outdated_heard(struct service *service, const struct event *event);
