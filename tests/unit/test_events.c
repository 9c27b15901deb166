// SPDX-License-Identifier: GPL-2.0-or-later
/* Who hears of what, in which order, and when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "service/change/run.h"
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

/* Of a part that this host does not have. */
static void on_part(struct service *service, const struct event *event)
{
	(void)service;
	note('c', event);
}

static void on_line(const char *line)
{
	strncat(lines, line, sizeof(lines) - strlen(lines) - 1);
	strncat(lines, "\n", sizeof(lines) - strlen(lines) - 1);
}

static const struct feature features[] = {
	{HEARS(EVENT_CHANGE_ENDED), run_ended_heard, HOST_ANY},
	{HEARS(EVENT_ADOPTED) | HEARS(EVENT_LOST), on_first, HOST_ANY},
	{HEARS(EVENT_ADOPTED) | HEARS(EVENT_VERDICT) | HEARS(EVENT_LOST), on_second, HOST_ANY},
	{HEARS(EVENT_ADOPTED), on_part, HOST_TENDS},
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

	run_drop_all(&rig->service);
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

#define DO_END 1

static void note_run(const char *what, const struct run *run)
{
	size_t length = strlen(heard);

	snprintf(heard + length, sizeof(heard) - length, "%s %s, ", run->verb, what);
}

static uint64_t wake(const struct run *run, uint64_t now)
{
	(void)run;
	(void)now;
	return UINT64_MAX;
}

static unsigned carry_out(struct run *run, unsigned actions)
{
	(void)run;
	(void)actions;
	return 0;
}

static enum run_result describe(struct run *run, struct problem *ret_sentence)
{
	(void)ret_sentence;
	note_run("ends", run);
	return RUN_DONE;
}

static unsigned on_part_ended(struct run *run, struct run *part)
{
	note_run("was there still", part);
	note_run("hears", run);
	return DO_END;
}

static void done(struct run *run)
{
	note_run("is freed", run);
}

static const struct run_kind part_kind = {
	.work = SERVICE_CHANGE,
	.size = sizeof(struct run),
	.do_end = DO_END,
	.wake = wake,
	.carry_out = carry_out,
	.describe = describe,
	.done = done,
};
static const struct run_kind whole_kind = {
	.work = SERVICE_UPGRADE,
	.size = sizeof(struct run),
	.do_end = DO_END,
	.wake = wake,
	.carry_out = carry_out,
	.part_ended = on_part_ended,
	.describe = describe,
	.done = done,
};

static struct run *begin(struct rig *rig, const struct run_kind *kind, const char *verb)
{
	struct run *run;

	assert_int_equal(run_new(kind, &rig->service, &run), 0);
	run->verb = verb;
	run->of_upgrade = kind == &part_kind;
	run_begin(run, NULL, 0);
	assert_ptr_equal(rig->service.runs[kind->work], run);
	return run;
}

static void an_end_is_heard_later(void **state)
{
	struct rig *rig = *state;
	struct run *part;

	begin(rig, &whole_kind, "upgrade");
	part = begin(rig, &part_kind, "change");
	assert_int_equal(service_busy(&rig->service), SERVICE_UPGRADE);
	run_go_on(part, DO_END);
	assert_string_equal(heard, "change ends, ");
	assert_null(rig->service.runs[SERVICE_CHANGE]);
	run(rig);
	assert_string_equal(heard, "change ends, change was there still, upgrade hears, upgrade "
				   "ends, change is freed, upgrade is freed, ");
	assert_null(rig->service.ended);
	assert_int_equal(service_busy(&rig->service), SERVICE_IDLE);
}

static void an_end_goes_with_its_service(void **state)
{
	struct rig *rig = *state;

	begin(rig, &whole_kind, "upgrade");
	run_go_on(begin(rig, &part_kind, "change"), DO_END);
	run_drop_all(&rig->service);
	assert_string_equal(heard, "change ends, change is freed, upgrade is freed, ");
	run(rig);
	assert_string_equal(heard, "change ends, change is freed, upgrade is freed, ");
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
