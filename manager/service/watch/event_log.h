/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From the selector's event ring to the journal. A crash under load makes thousands of events: they
 * are counted for a moment and told as one line. */
#pragma once

#include "service/service.h"

int event_log_new(struct service *service, struct event_log **ret_log);
/* Tells what has been counted so far. */
struct event_log *event_log_free(struct event_log *log);
