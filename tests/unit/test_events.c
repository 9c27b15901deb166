// SPDX-License-Identifier: GPL-2.0-or-later
/* Who hears of what, in which order, and when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "service/ended.h"
#include "service/service.h"
#include "util/macro.h"

struct rig {
	struct host host;
	struct service service;
};

/* What was heard: a letter for each feature, and the slot. */
static char heard[256], lines[512];

static void note(char feature, const struct event *event)
{
	size_t length = strlen(heard);

	snprintf(heard + length, sizeof(heard) - length, "%c%d%s ", feature,
		 event->slot == HS_SLOT_NONE ? -1 : (int)event->slot, event->anew ? "!" : "");
}

static void on_first(struct service *service, const struct event *event)
{
	(void)service;
	note('a', event);
}

/* What is posted while something is heard comes behind all that was posted before. */
static void on_second(struct service *service, const struct event *event)
{
	note('b', event);
	if (event->kind == EVENT_ADOPTED)
		service_post(service, EVENT_LOST, event->slot, false);
}

static void on_line(const char *line)
{
	strncat(lines, line, sizeof(lines) - strlen(lines) - 1);
	strncat(lines, "\n", sizeof(lines) - strlen(lines) - 1);
}

static const struct feature features[] = {
	{HEARS(EVENT_CHANGE_ENDED), ended_heard},
	{HEARS(EVENT_ADOPTED) | HEARS(EVENT_LOST), on_first},
	{HEARS(EVENT_ADOPTED) | HEARS(EVENT_VERDICT) | HEARS(EVENT_LOST), on_second},
};

static int set_up(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	heard[0] = lines[0] = '\0';
	assert_int_equal(sd_event_new(&rig->host.event), 0);
	rig->host.debug = on_line;
	rig->service.host = &rig->host;
	rig->service.n_slots = 2;
	strcpy(rig->service.name, "app");
	rig->service.events = (struct events) {
		.host = &rig->host,
		.service = &rig->service,
		.name = rig->service.name,
		.n_slots = &rig->service.n_slots,
		.features = features,
		.n_features = ARRAY_SIZE(features),
	};
	assert_int_equal(events_init(&rig->service.events), 0);
	*state = rig;
	return 0;
}

static int tear_down(void **state)
{
	struct rig *rig = *state;

	ended_drop(&rig->service);
	events_done(&rig->service.events);
	sd_event_unref(rig->host.event);
	free(rig);
	return 0;
}

/* Until nothing is left to be done. */
static void run(struct rig *rig)
{
	while (sd_event_run(rig->host.event, 0) > 0)
		;
}

static void heard_later_in_order(void **state)
{
	struct rig *rig = *state;

	service_post(&rig->service, EVENT_ADOPTED, 1, true);
	service_post(&rig->service, EVENT_VERDICT, 0, false);
	assert_string_equal(heard, "");
	run(rig);
	assert_string_equal(heard, "a1! b1! b0 a1 b1 ");
	assert_string_equal(lines, "app: slot 1: adopted, anew\n"
				   "app: slot 0: verdict\n"
				   "app: slot 1: lost\n");
}

static void two_of_a_kind_are_one(void **state)
{
	struct rig *rig = *state;

	service_post(&rig->service, EVENT_VERDICT, 0, false);
	service_post(&rig->service, EVENT_VERDICT, 1, false);
	service_post(&rig->service, EVENT_VERDICT, 0, true);
	run(rig);
	assert_string_equal(heard, "b0! b1 ");
	/* heard once, it may come again */
	service_post(&rig->service, EVENT_VERDICT, 0, false);
	run(rig);
	assert_string_equal(heard, "b0! b1 b0 ");
}

static void nobody_hears_of_a_slot_that_is_gone(void **state)
{
	struct rig *rig = *state;

	service_post(&rig->service, EVENT_VERDICT, 1, false);
	rig->service.n_slots = 1;
	run(rig);
	assert_string_equal(heard, "");
}

/* As many as there can be. */
static void there_is_room_for_all(void **state)
{
	struct rig *rig = *state;

	for (int round = 0; round < 3; round++) {
		for (unsigned kind = 0; kind < EVENT_KIND_COUNT; kind++)
			for (unsigned slot = 0; slot < HS_SLOTS_MAX; slot++)
				service_post(&rig->service, kind, slot, false);
		service_post(&rig->service, EVENT_CHANGE_ENDED, HS_SLOT_NONE, false);
		assert_int_equal(rig->service.events.n, EVENT_KIND_COUNT * HS_SLOTS_MAX + 1);
		run(rig);
		assert_int_equal(rig->service.events.n, 0);
	}
}

static void what_is_not_heard_is_forgotten(void **state)
{
	struct rig *rig = *state;

	service_post(&rig->service, EVENT_VERDICT, 0, false);
	events_done(&rig->service.events);
	run(rig);
	assert_string_equal(heard, "");
	assert_int_equal(events_init(&rig->service.events), 0);
}

/* ---- what has ended ---- */

struct thing {
	struct ended ended;
	struct service *service;
	struct thing *follows; /* ends when it hears of this end */
	char name;
};

static void on_thing(struct ended *ended, bool was_heard)
{
	struct thing *thing = container_of(ended, struct thing, ended);
	size_t length = strlen(heard);

	snprintf(heard + length, sizeof(heard) - length, "%c%s ", thing->name,
		 was_heard ? "" : "-");
	if (was_heard && thing->follows)
		ended_add(thing->service, &thing->follows->ended, on_thing);
	free(thing);
}

static struct thing *thing_new(struct rig *rig, char name, struct thing *follows)
{
	struct thing *thing = calloc(1, sizeof(*thing));

	*thing = (struct thing) {.service = &rig->service, .name = name, .follows = follows};
	return thing;
}

static void an_end_is_heard_later(void **state)
{
	struct rig *rig = *state;
	struct thing *upgrade = thing_new(rig, 'u', NULL);
	struct thing *change = thing_new(rig, 'c', upgrade), *other = thing_new(rig, 'o', NULL);

	ended_add(&rig->service, &change->ended, on_thing);
	ended_add(&rig->service, &other->ended, on_thing);
	assert_string_equal(heard, "");
	assert_int_equal(change->name, 'c'); /* it is there still */
	run(rig);
	assert_string_equal(heard, "c o u ");
	assert_null(rig->service.ended);
}

static void an_end_goes_with_its_service(void **state)
{
	struct rig *rig = *state;
	struct thing *change = thing_new(rig, 'c', NULL);

	ended_add(&rig->service, &change->ended, on_thing);
	ended_drop(&rig->service);
	assert_string_equal(heard, "c- ");
	run(rig);
	assert_string_equal(heard, "c- ");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(heard_later_in_order),
		CASE(two_of_a_kind_are_one),
		CASE(nobody_hears_of_a_slot_that_is_gone),
		CASE(there_is_room_for_all),
		CASE(what_is_not_heard_is_forgotten),
		CASE(an_end_is_heard_later),
		CASE(an_end_goes_with_its_service),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
