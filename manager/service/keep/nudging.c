// SPDX-License-Identifier: GPL-2.0-or-later
#include "service/keep/nudging.h"

#include <string.h>
#include <sys/epoll.h>
#include <syslog.h>

#include "plane/selftest/selftest.h"
#include "service/slot/instance.h"
#include "service/slot/orders.h"
#include "system/journal.h"
#include "util/macro.h"

/* A move is told just before the connection stands in the new queue. */
#define NUDGE_AFTER (2 * USEC_PER_MSEC)
/* The test itself takes milliseconds. */
#define TEST_TIME (5 * USEC_PER_SEC)

struct nudging_test {
	struct selftest *selftest;
	sd_event_source *end_source, *time_source;
	bool *needed;
};

struct nudging {
	struct service *service;
	sd_event_source *timer;
	uint32_t slots; /* bit N: connections have moved to slot N */
};

DEFINE_CLEANUP(struct nudging_test, nudging_test_free)
DEFINE_CLEANUP(struct nudging, nudging_free)

static const char *const mode_names[] = {
	[NUDGING_AUTO] = "auto",
	[NUDGING_ALWAYS] = "always",
	[NUDGING_NEVER] = "never",
};
_Static_assert(ARRAY_SIZE(mode_names) == NUDGING_MODE_COUNT, "a name for each mode");

int nudging_mode_from_string(const char *text, enum nudging_mode *ret_mode)
{
	for (unsigned i = 0; i < ARRAY_SIZE(mode_names); i++) {
		if (strcmp(mode_names[i], text))
			continue;
		*ret_mode = (enum nudging_mode)i;
		return 0;
	}
	return -EINVAL;
}

/* ---- the test ---- */

static void tell(const struct ability_result *result)
{
	struct journal_scope scope = {NULL, -1, LOG_NOTICE};

	if (result->verdict == ABILITY_FAILS) {
		journal_log(JOURNAL_MANAGER, &scope,
			    "This kernel lets a server sleep when connections move to it "
			    "(CVE-2026-46015); hsd wakes it after each move. An update of the "
			    "kernel makes that unnecessary.");
		return;
	}
	scope.priority = LOG_INFO;
	journal_log(JOURNAL_MANAGER, &scope,
		    "Whether this kernel wakes a server when connections move to it could not be "
		    "tested (%s); hsd wakes it after each move.",
		    result->detail);
}

static int end_test(struct nudging_test *test)
{
	const struct ability_result *result = &selftest_finish(test->selftest, 0)[ABILITY_WAKEUP];

	test->end_source = sd_event_source_disable_unref(test->end_source);
	test->time_source = sd_event_source_disable_unref(test->time_source);
	*test->needed = result->verdict != ABILITY_WORKS;
	if (*test->needed)
		tell(result);
	test->selftest = selftest_free(test->selftest);
	return 0;
}

static int on_test_ended(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	(void)source;
	(void)fd;
	(void)events;
	return end_test(userdata);
}

static int on_test_late(sd_event_source *source, uint64_t usec, void *userdata)
{
	(void)source;
	(void)usec;
	return end_test(userdata);
}

int nudging_test_new(sd_event *event, enum nudging_mode mode, bool *needed,
		     struct nudging_test **ret_test)
{
	_cleanup_(nudging_test_freep) struct nudging_test *test = NULL;
	int r;

	*needed = mode != NUDGING_NEVER;
	if (mode != NUDGING_AUTO)
		return 0;
	test = calloc(1, sizeof(*test));
	if (!test)
		return -ENOMEM;
	test->needed = needed;
	r = selftest_start(1U << ABILITY_WAKEUP, &test->selftest);
	if (r >= 0)
		r = sd_event_add_io(event, &test->end_source, selftest_fd(test->selftest), EPOLLIN,
				    on_test_ended, test);
	if (r >= 0)
		r = sd_event_add_time_relative(event, &test->time_source, CLOCK_MONOTONIC,
					       TEST_TIME, USEC_PER_MSEC, on_test_late, test);
	if (r < 0)
		return r;
	*ret_test = steal_ptr(&test);
	return 0;
}

struct nudging_test *nudging_test_free(struct nudging_test *test)
{
	if (!test)
		return NULL;
	sd_event_source_disable_unref(test->end_source);
	sd_event_source_disable_unref(test->time_source);
	selftest_free(test->selftest);
	free(test);
	return NULL;
}

/* ---- after a move ---- */

static int on_due(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct nudging *nudging = userdata;
	struct service *service = nudging->service;
	uint32_t slots = nudging->slots;

	(void)source;
	(void)usec;
	nudging->slots = 0;
	for (unsigned slot = 0; slot < service->n_slots; slot++) {
		struct work_order order = {.kind = WORK_NUDGE};

		if (slots & (1U << slot))
			instance_order(service->instances[slot], &order, NULL, NULL, NULL);
	}
	return 0;
}

void nudging_on_moved(struct nudging *nudging, unsigned slot)
{
	bool pending;

	if (!nudging || slot >= HS_SLOTS_MAX || !*nudging->service->host->nudge)
		return;
	pending = nudging->slots;
	nudging->slots |= 1U << slot;
	/* a timer that is put off with each connection would never be due */
	if (pending)
		return;
	if (sd_event_source_set_time_relative(nudging->timer, NUDGE_AFTER) < 0 ||
	    sd_event_source_set_enabled(nudging->timer, SD_EVENT_ONESHOT) < 0)
		nudging->slots = 0;
}

bool nudging_waits(const struct nudging *nudging)
{
	return nudging && nudging->slots;
}

void nudging_heard(struct service *service, const struct event *event)
{
	nudging_on_moved(service->nudging, event->slot);
}

int nudging_new(struct service *service, struct nudging **ret_nudging)
{
	_cleanup_(nudging_freep) struct nudging *nudging = calloc(1, sizeof(*nudging));
	int r;

	if (!nudging)
		return -ENOMEM;
	nudging->service = service;
	r = sd_event_add_time_relative(service->host->event, &nudging->timer, CLOCK_MONOTONIC,
				       NUDGE_AFTER, 1, on_due, nudging);
	if (r >= 0)
		r = sd_event_source_set_enabled(nudging->timer, SD_EVENT_OFF);
	if (r < 0)
		return r;
	*ret_nudging = steal_ptr(&nudging);
	return 0;
}

struct nudging *nudging_free(struct nudging *nudging)
{
	if (!nudging)
		return NULL;
	sd_event_source_disable_unref(nudging->timer);
	free(nudging);
	return NULL;
}
