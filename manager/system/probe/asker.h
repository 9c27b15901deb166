/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A process that speaks to servers for us and has nothing: a transient unit of systemd with a user
 * of its own, no capability and a sandbox, and a socket pair between it and us as its standard
 * input. It ends with us, and everything that it has started with it. See core/wire/errand.h.
 */
#pragma once

#include <stdbool.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "core/wire/errand.h"
#include "system/probe/confined.h"

struct asker;

/* From the event loop. Only on_gone() may free the asker. */
struct asker_calls {
	/* It can be sent something. */
	void (*on_ready)(void *userdata);
	/* A packet; not looked at. */
	void (*on_packet)(const void *packet, size_t size, void *userdata);
	/* It has ended, or could not be started: is to be freed, here or later. Once. */
	void (*on_gone)(const char *why, void *userdata);
};

int asker_new(sd_event *event, sd_bus *bus, const struct confined_order *order,
	      const struct asker_calls *calls, void *userdata, struct asker **ret_asker);
/* Ends it, without waiting and without a callback. */
struct asker *asker_free(struct asker *asker);

/* It is of no more use: on_gone() follows from the event loop, with this reason unless there was
 * one already. */
void asker_give_up(struct asker *asker, const char *why);

bool asker_is_ready(const struct asker *asker);
/* Its control group, as systemd names it; valid once it is ready. */
const char *asker_cgroup(const struct asker *asker);
/* With a copy of `fd`, unless that is -1. -EAGAIN: it has not read what it was sent before. */
int asker_send(struct asker *asker, const void *packet, size_t size, int fd);
