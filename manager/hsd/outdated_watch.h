/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Do the slots run what is on the disk? It is looked once after each adoption; then the files that
 * they run are watched, and it is looked again when one of them is replaced. Nothing wakes up
 * meanwhile. Who asks waits for a look that is due, for a moment.
 */
#pragma once

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "hsd/service.h"

struct manager;
struct outdated_watch;

int outdated_watch_new(struct manager *manager, struct outdated_watch **ret_watch);
/* Takes NULL. */
struct outdated_watch *outdated_watch_free(struct outdated_watch *watch);

/* A slot was adopted; `fresh`: it has opened sockets. If it is not known what the slots run they
 * are looked at when there is time. */
void outdated_on_adopted(struct service *service, bool fresh);
/* Answers when no look is due any more of this service (NULL: of any), or it takes too long. */
int outdated_ask(struct outdated_watch *watch, struct service *service, sd_bus_message *message);

/* What is known of the run that a slot is in; `files` is 0 if nothing. */
void outdated_read(const struct service *service, unsigned slot, struct outdated *ret_outdated);
/* Nothing is looked at for it any more. */
void outdated_forget(struct service *service);
