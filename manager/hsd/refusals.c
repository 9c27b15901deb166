// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsd/refusals.h"

#include "util/clock.h"
#include "util/macro.h"

#define LATE (REFUSALS_LATE_MS * USEC_PER_MSEC)
/* Those of so much time are told together. */
#define TOGETHER (20 * USEC_PER_MSEC)

struct refusal {
	sd_bus_message *answer;
	uint64_t due_usec;
};

/* A ring, the oldest at `first`: all are kept for the same time. */
struct refusals {
	sd_event_source *timer;
	struct refusal ring[REFUSALS_MAX];
	unsigned first, n;
};

DEFINE_CLEANUP(struct refusals, refusals_free)

static void tell_first(struct refusals *refusals)
{
	struct refusal *refusal = &refusals->ring[refusals->first];

	sd_bus_send(NULL, refusal->answer, NULL);
	refusal->answer = sd_bus_message_unref(refusal->answer);
	refusals->first = (refusals->first + 1) % REFUSALS_MAX;
	refusals->n--;
}

static void set_timer(struct refusals *refusals)
{
	if (sd_event_source_set_time(refusals->timer,
				     refusals->ring[refusals->first].due_usec + TOGETHER) >= 0)
		sd_event_source_set_enabled(refusals->timer, SD_EVENT_ONESHOT);
}

static int on_due(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct refusals *refusals = userdata;

	(void)source;
	while (refusals->n && refusals->ring[refusals->first].due_usec <= usec)
		tell_first(refusals);
	if (refusals->n)
		set_timer(refusals);
	return 0;
}

/* The answer is made now: the call may be long. */
void refusals_add(struct refusals *refusals, sd_bus_message *m, const char *sentence)
{
	struct refusal refusal = {.due_usec = now_usec() + LATE};

	if (sd_bus_message_new_method_errorf(m, &refusal.answer, SD_BUS_ERROR_LIMITS_EXCEEDED, "%s",
					     sentence) < 0)
		return;
	if (refusals->n == REFUSALS_MAX)
		tell_first(refusals);
	refusals->ring[(refusals->first + refusals->n) % REFUSALS_MAX] = refusal;
	if (!refusals->n++)
		set_timer(refusals);
}

int refusals_new(sd_event *event, struct refusals **ret_refusals)
{
	_cleanup_(refusals_freep) struct refusals *refusals = calloc(1, sizeof(*refusals));
	int r;

	if (!refusals)
		return -ENOMEM;
	r = sd_event_add_time(event, &refusals->timer, CLOCK_MONOTONIC, 0, USEC_PER_MSEC, on_due,
			      refusals);
	if (r >= 0)
		r = sd_event_source_set_enabled(refusals->timer, SD_EVENT_OFF);
	if (r < 0)
		return r;
	*ret_refusals = steal_ptr(&refusals);
	return 0;
}

struct refusals *refusals_free(struct refusals *refusals)
{
	if (!refusals)
		return NULL;
	while (refusals->n)
		tell_first(refusals);
	sd_event_source_disable_unref(refusals->timer);
	free(refusals);
	return NULL;
}
