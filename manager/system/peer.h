/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who is at the other end of a message: what the bus has from the kernel, and what systemd knows of
 * that process. Nothing is looked up in a user database, which may be on another machine, and
 * nothing is believed that the process itself could say.
 */
#pragma once

#include <stdbool.h>
#include <systemd/sd-bus.h>

#include "core/name.h"
#include "util/problem.h"

struct peer {
	pid_t pid;
	int pidfd; /* of it: the number may be another's later. Closed after the callback */
	uid_t uid;
	char unit[UNIT_NAME_MAX];  /* "session-2.scope", "app@0.service"; "" = of none */
	char slice[UNIT_NAME_MAX]; /* "user-1000.slice", "system.slice"; likewise */
};

struct peer_question;
/* NULL, and why, when that cannot be known, or the process has ended. Called once; the question is
 * freed after the call. */
typedef void (*peer_fn)(const struct peer *peer, const struct problem *problem, void *userdata);

int peer_question_new(sd_bus *bus, sd_bus_message *message, peer_fn on_answer, void *userdata,
		      struct peer_question **ret_question);
struct peer_question *peer_question_free(struct peer_question *question);

/* It is in a session of its own user, or in what that user's systemd runs: where it is gives it
 * nothing that leaving takes away. */
bool peer_is_in_session(const struct peer *peer);

/* The process of the descriptor has not ended. */
bool peer_lives(int pidfd);
