/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Questions to polkit, whether somebody may have done what they ask for. Nobody waits for the
 * answer but who asks: it may be a person who is looking for a password. There are few questions at
 * a time, fewer of one user, and each has an end; when who asks has left the bus, so has the
 * question.
 */
#pragma once

#include "core/right.h"
#include "system/journal.h"

#include <systemd/sd-bus.h>

#define POLKIT_QUESTIONS_MAX	 64
#define POLKIT_QUESTIONS_OF_USER 4

struct polkit;

/* What is asked, and for whom. */
struct polkit_case {
	sd_bus_message *message; /* polkit is asked about its sender */
	enum right right;
	const char *verb, *service; /* for its rules and for people; service "" = none */
	int slot;		    /* -1 = none */
	uid_t uid;		    /* as whom the sender runs */
	struct journal_actor by;
};

/* Called once, unless who asks has left the bus meanwhile, or the question was dropped. `detail`:
 * what polkit has said, "" = nothing. */
typedef void (*polkit_fn)(const struct polkit_case *asked, enum right_answer answer,
			  const char *detail, void *userdata);

/* On `bus` polkit is asked. */
int polkit_new(sd_bus *bus, polkit_fn on_answer, void *userdata, struct polkit **ret_polkit);
/* What was asked is dropped. */
struct polkit *polkit_free(struct polkit *polkit);

/* A password may be asked for if the message says so. -EBUSY: there are too many questions already,
 * of this user or of all. */
int polkit_ask(struct polkit *polkit, const struct polkit_case *asked);
