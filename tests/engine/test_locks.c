// SPDX-License-Identifier: GPL-2.0-or-later
/* Another process has a lock of pins and keeps it: no turn of the loop waits for it, who asks hears
 * of it, and what could not be done is done when it is released. */
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "../plane/cases.h"
#include "engine.h"
#include "plane/bpf/pins.h"
#include "plane/front/decap.h"
#include "plane/parts/table.h"
#include "plane/preview/preview.h"
#include "service/change/spread.h"
#include "service/later.h"
#include "service/rules.h"
#include "service/slot/states.h"
#include "service/whole/assembly.h"
#include "service/whole/calls.h"
#include "service/whole/calls_spread.h"

#define QUICK "Settle=1ms\nDrain=0\n"

/* Who waited would wait for a second. */
#define TURN_MAX (400 * USEC_PER_MSEC)

static uint64_t longest;

static void turn(struct engine *engine)
{
	uint64_t begun = now_usec();

	engine_turn(engine);
	longest = MAX(longest, now_usec() - begun);
}

static void turn_until_answered(struct engine *engine, const struct asked *asked)
{
	uint64_t end = now_usec() + RIG_DEADLINE_USEC;

	while (!asked->answered && now_usec() < end)
		turn(engine);
	assert_true(asked->answered);
}

static void turn_for(struct engine *engine, uint64_t usec)
{
	uint64_t end = now_usec() + usec;

	while (now_usec() < end)
		turn(engine);
}

/* Of another open description, which is as good as another process. */
static int keep(const char *folder)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
	return fd;
}

static int keep_rules(void)
{
	return keep(pin_path("%s/" HS_PIN_PREVIEW, pin_service_path("web").text).text);
}

static struct engine *begin_started(const char *settings)
{
	struct engine *engine = engine_begin(settings);

	actor_start_all(engine);
	engine_until(engine, engine_rests(engine));
	longest = 0;
	return engine;
}

static void end_quick(struct engine *engine)
{
	assert_in_range(longest, 0, TURN_MAX);
	engine_until(engine, engine_rests(engine));
	engine_end(engine);
}

/* ---- who asks ---- */

static void ask_canary(struct engine *engine, struct request *request)
{
	const struct canary_call call = {
		.share = 0x4000, .to = GATE_STANDBY, .by = "connection", .from = ""};

	call_set_canary(engine->service, &call, request);
}

static void ask_hash(struct engine *engine, struct request *request)
{
	call_set_hash(engine->service, "client", request);
}

static void ask_weight(struct engine *engine, struct request *request)
{
	call_set_weight(engine->service, 1, 50, request);
}

static void ask_pin(struct engine *engine, struct request *request)
{
	call_set_pinned(engine->service, "10.0.0.0/8", 0, request);
}

static void ask_slots(struct engine *engine, struct request *request)
{
	call_set_slots(engine->service, 1, request);
}

/* Refused when there is no end of it, and done when there is. */
static void ask_twice(struct engine *engine,
		      void (*ask_for)(struct engine *engine, struct request *request))
{
	struct asked *in_vain = engine_ask(engine), *again = engine_ask(engine);
	uint64_t begun = now_usec();
	int lock = keep_rules();

	ask_for(engine, &in_vain->request);
	assert_false(in_vain->answered);
	turn_until_answered(engine, in_vain);
	assert_true(now_usec() - begun >= LATER_PATIENCE);
	assert_false(in_vain->done);
	if (!strstr(in_vain->text, "another process") || !strstr(in_vain->text, "try again"))
		fail_msg("\"%s\"", in_vain->text);
	ask_for(engine, &again->request);
	turn_for(engine, 50 * USEC_PER_MSEC);
	assert_false(again->answered);
	close(lock);
	turn_until_answered(engine, again);
	if (!again->done)
		fail_msg("\"%s\"", again->text);
}

static void who_asks_is_refused_after_a_second(void **state)
{
	struct engine *engine = begin_started(QUICK);

	(void)state;
	ask_twice(engine, ask_canary);
	assert_int_equal(hs_word_share(plane_word(engine->service->plane)), 0x4000);
	ask_twice(engine, ask_hash);
	ask_twice(engine, ask_weight);
	ask_twice(engine, ask_pin);
	ask_twice(engine, ask_slots);
	end_quick(engine);
}

static void who_still_asks_when_the_service_goes_is_answered(void **state)
{
	struct engine *engine = begin_started(QUICK);
	struct asked *canary = engine_ask(engine), *hash = engine_ask(engine);
	int lock = keep_rules();

	(void)state;
	ask_canary(engine, &canary->request);
	ask_hash(engine, &hash->request);
	turn(engine);
	assert_false(canary->answered || hash->answered);
	/* which sees to it that all are answered */
	engine_leave(engine);
	close(lock);
	engine_manage(engine);
	end_quick(engine);
}

/* ---- what nobody asks for ---- */

static uint32_t members(const struct engine *engine)
{
	struct hs_spread spread;

	assert_true(plane_table_spread(engine->service->plane, &spread));
	return spread.members;
}

static uint32_t held(const struct engine *engine)
{
	struct hs_spread spread;

	assert_true(plane_table_spread(engine->service->plane, &spread));
	return spread.held;
}

static void the_table_follows_when_it_can(void **state)
{
	struct engine *engine = begin_started(QUICK "Policy=hash\nBy=client\n");
	int lock;

	(void)state;
	assert_int_equal(members(engine), 3);
	lock = keep_rules();
	actor_order(engine, 1, UNIT_STOP);
	while (engine->actors[1].play != PLAY_DOWN)
		turn(engine);
	turn_for(engine, 100 * USEC_PER_MSEC);
	assert_int_equal(members(engine), 3);
	close(lock);
	engine_until(engine, members(engine) == 1);
	actor_order(engine, 1, UNIT_START);
	engine_until(engine, members(engine) == 3);
	end_quick(engine);
}

static void settings_hold_when_they_can(void **state)
{
	struct engine *engine = begin_started(QUICK);
	int lock = keep_rules();

	(void)state;
	engine_configure(QUICK "Policy=hash\nBy=client\n");
	service_reload(engine->service);
	turn_for(engine, 50 * USEC_PER_MSEC);
	assert_false(plane_is_spread(engine->service->plane));
	/* nobody has refused them */
	assert_string_equal(engine->service->unsettled.problem.text, "");
	close(lock);
	engine_until(engine, plane_is_spread(engine->service->plane));
	engine_until(engine, !engine->service->unsettled.parts);
	assert_string_equal(engine->service->unsettled.problem.text, "");
	end_quick(engine);
}

static void settings_do_not_overrule_what_is_said_meanwhile(void **state)
{
	struct engine *engine = begin_started(QUICK);
	int lock = keep_rules();
	struct asked *asked;

	(void)state;
	engine_configure(QUICK "Policy=hash\nBy=client\n");
	service_reload(engine->service);
	turn_for(engine, 20 * USEC_PER_MSEC);
	asked = engine_ask(engine);
	call_set_policy(engine->service, "standby", &asked->request);
	assert_true(asked->done);
	close(lock);
	turn_for(engine, 250 * USEC_PER_MSEC);
	assert_false(plane_is_spread(engine->service->plane));
	assert_int_equal(engine->service->unsettled.parts, 0);
	end_quick(engine);
}

static void of_what_is_said_of_a_slot_meanwhile_the_last_counts(void **state)
{
	struct engine *engine = begin_started(QUICK "Policy=hash\nBy=client\n");
	struct problem problem = {0};
	int lock = keep_rules();

	(void)state;
	assert_int_equal(spread_hold(engine->service, 0, true, &problem), 0);
	turn_for(engine, 50 * USEC_PER_MSEC);
	assert_int_equal(spread_hold(engine->service, 1, true, &problem), 0);
	assert_int_equal(spread_hold(engine->service, 0, false, &problem), 0);
	turn_for(engine, 50 * USEC_PER_MSEC);
	assert_int_equal(held(engine), 0);
	close(lock);
	engine_until(engine, held(engine) == 2);
	assert_int_equal(spread_hold(engine->service, 1, false, &problem), 0);
	assert_int_equal(held(engine), 0);
	end_quick(engine);
}

static void rules_do_not_stay_for_good(void **state)
{
	struct engine *engine = begin_started(QUICK);
	struct service *service = engine->service;
	struct hs_preview_owner_id owner;
	int lock;

	(void)state;
	assert_int_equal(owner_of_process(0, &owner), 0);
	lock = keep_rules();
	assert_int_equal(rules_begin(service), -EBUSY);
	assert_int_equal(service->ruled, 0);
	close(lock);
	assert_int_equal(rules_begin(service), 0);
	assert_int_equal(rules_begin(service), 0);
	lock = keep_rules();
	rules_end(service);
	rules_end(service);
	turn_for(engine, 50 * USEC_PER_MSEC);
	assert_true(preview_has_begun(service->plane, &owner));
	close(lock);
	engine_until(engine, !preview_has_begun(service->plane, &owner));
	assert_false(plane_has_preview(service->plane));
	end_quick(engine);
}

static void rules_that_are_wanted_anew_stay(void **state)
{
	struct engine *engine = begin_started(QUICK);
	struct service *service = engine->service;
	struct hs_preview_owner_id owner;
	int lock;

	(void)state;
	assert_int_equal(owner_of_process(0, &owner), 0);
	assert_int_equal(rules_begin(service), 0);
	lock = keep_rules();
	rules_end(service);
	close(lock);
	assert_int_equal(rules_begin(service), 0);
	engine_until(engine, !service->laters);
	assert_true(preview_has_begun(service->plane, &owner));
	rules_end(service);
	assert_false(preview_has_begun(service->plane, &owner));
	end_quick(engine);
}

static void a_host_unpacks_when_it_can(void **state)
{
	struct engine *engine;
	struct decap_totals totals;
	uint32_t id;
	int lock;

	(void)state;
	engine = begin_started(QUICK "[Front]\nDecap=yes\n");
	id = plane_id(engine->service->plane);
	assert_int_equal(decap_totals(id, &totals), 0);
	lock = keep(HS_PIN_ROOT);
	engine_configure(QUICK);
	service_reload(engine->service);
	turn_for(engine, 50 * USEC_PER_MSEC);
	assert_int_equal(decap_totals(id, &totals), 0);
	close(lock);
	engine_until(engine, decap_totals(id, &totals) == -ENOENT);
	end_quick(engine);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_asks_is_refused_after_a_second),
		cmocka_unit_test(who_still_asks_when_the_service_goes_is_answered),
		cmocka_unit_test(the_table_follows_when_it_can),
		cmocka_unit_test(settings_hold_when_they_can),
		cmocka_unit_test(settings_do_not_overrule_what_is_said_meanwhile),
		cmocka_unit_test(of_what_is_said_of_a_slot_meanwhile_the_last_counts),
		cmocka_unit_test(rules_do_not_stay_for_good),
		cmocka_unit_test(rules_that_are_wanted_anew_stay),
		cmocka_unit_test(a_host_unpacks_when_it_can),
	};

	return cases_run("locks", tests);
}
