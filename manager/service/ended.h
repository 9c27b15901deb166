/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What has come to its end in the middle of what it, or another, was doing: a change, an upgrade.
 * It stays until EVENT_CHANGE_ENDED is heard, so that no function frees the object of whoever has
 * called it; who waits for its end is told then. Until then nobody finds it in the service, and it
 * does nothing any more.
 */
#pragma once

#include "service/service.h"

/* A member of it. */
struct ended {
	struct ended *next;
	/* frees it, and tells whoever waits, if it was `heard`: else the service goes */
	void (*on_heard)(struct ended *ended, bool heard);
};

void ended_add(struct service *service, struct ended *ended,
	       void (*on_heard)(struct ended *ended, bool heard));
/* EVENT_CHANGE_ENDED. */
void ended_heard(struct service *service, const struct event *event);
/* Those that were not heard of go without a word. */
void ended_drop(struct service *service);
