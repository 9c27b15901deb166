/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Before an instance's server runs: ExecStartPre= asks, and is answered once the unit's facts are
 * fresh and plane/act/prepare.h has done its work. */
#pragma once

#include "service/slot/instance.h"

/* Whoever asks (may be NULL) is answered, at the latest when the instance is forgotten. */
void instance_prepare(struct instance *instance, struct request *request);

/* Whether the sockets that the instance binds are given SO_REUSEPORT. */
bool preparation_is_forced(const struct instance *instance, const struct unit_facts *facts);
/* Does what is missing: see prepare_slot(). The facts are fresh. */
int preparation_make(struct instance *instance, const struct unit_facts *facts,
		     struct problem *ret_sentence);
/* The facts are fresh: answers those who wait. */
void preparation_run(struct instance *instance, const struct unit_facts *facts);
/* It failed before it could be adopted: says so, if what it was refused may be the reason. */
void preparation_explain_failure(struct instance *instance);
/* EVENT_MAY_PREPARE. */
void preparation_heard(struct service *service, const struct event *event);
