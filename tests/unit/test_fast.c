// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which way a message goes on the fast path: the rule by itself, and on a model of a reader that
 * takes what was put into its queue before what came by TCP.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "hs_fast.h"

#define BUFFER 131072

/* What may go the fast way. */
static struct hs_fast_look fine(void)
{
	return (struct hs_fast_look) {
		.size = 1000,
		.buffer = BUFFER,
		.since = UINT16_MAX,
		.quiet_ns = ~0ULL,
		.paired = 1,
		.open = 1,
		.allowed = 1,
		.peer = 1,
	};
}

static void fine_is_fast(void **state)
{
	struct hs_fast_look look = fine();

	(void)state;
	assert_int_equal(hs_fast_decide(&look, 0), HS_FAST_WHY_NONE);
	look.way = HS_FAST_FAST;
	assert_int_equal(hs_fast_decide(&look, 0), HS_FAST_WHY_NONE);
}

#define CHANGED(...)                                \
	({                                          \
		struct hs_fast_look look_ = fine(); \
		__VA_ARGS__;                        \
		hs_fast_decide(&look_, 0);          \
	})

static void each_reason(void **state)
{
	(void)state;
	assert_int_equal(CHANGED(look_.paired = 0), HS_FAST_WHY_EARLY);
	assert_int_equal(CHANGED(look_.started = 1), HS_FAST_WHY_STARTED);
	assert_int_equal(CHANGED(look_.open = 0), HS_FAST_WHY_ENDED);
	assert_int_equal(CHANGED(look_.peer = 0), HS_FAST_WHY_GONE);
	assert_int_equal(CHANGED(look_.tls = 1), HS_FAST_WHY_TLS);
	assert_int_equal(CHANGED(look_.allowed = 0), HS_FAST_WHY_CLOSED);
	assert_int_equal(CHANGED(look_.queued = BUFFER), HS_FAST_WHY_FULL);
	/* garbage of a socket that is no more, as large as it may be */
	assert_int_equal(CHANGED(look_.queued = 0xffffffff, look_.size = 0xffffffff),
			 HS_FAST_WHY_FULL);
	assert_int_equal(CHANGED(look_.buffer = 0), HS_FAST_WHY_FULL);
}

/* It leaves with an empty queue, if it can. */
static void when_it_is_full(void **state)
{
	(void)state;
	assert_int_equal(CHANGED(look_.size = BUFFER / 2), HS_FAST_WHY_NONE);
	assert_int_equal(CHANGED(look_.size = BUFFER / 2 + 1), HS_FAST_WHY_FULL);
	assert_int_equal(CHANGED(look_.queued = 1, look_.size = BUFFER / 2 + 1), HS_FAST_WHY_NONE);
	assert_int_equal(CHANGED(look_.queued = BUFFER - 1000), HS_FAST_WHY_NONE);
	assert_int_equal(CHANGED(look_.queued = BUFFER - 999), HS_FAST_WHY_FULL);
	/* so does one that is not let any more */
	assert_int_equal(CHANGED(look_.way = HS_FAST_FAST, look_.allowed = 0, look_.queued = 1),
			 HS_FAST_WHY_NONE);
	assert_int_equal(CHANGED(look_.way = HS_FAST_FAST, look_.allowed = 0), HS_FAST_WHY_CLOSED);
	assert_int_equal(CHANGED(look_.allowed = 0, look_.queued = 1), HS_FAST_WHY_CLOSED);
}

/* What is beside a message is far more than a byte. */
static void small_messages_take_room(void **state)
{
	const unsigned many = HS_FAST_MEMORY_MAX(BUFFER) / HS_FAST_OVERHEAD;

	(void)state;
	assert_int_equal(CHANGED(look_.size = 1, look_.smallest = 1, look_.queued = many - 1),
			 HS_FAST_WHY_NONE);
	assert_int_equal(CHANGED(look_.size = 1, look_.smallest = 1, look_.queued = many),
			 HS_FAST_WHY_FULL);
	assert_int_equal(CHANGED(look_.smallest = 1000, look_.queued = BUFFER - 1000),
			 HS_FAST_WHY_NONE);
	/* there are no more of them than were sent */
	assert_int_equal(CHANGED(look_.size = 1, look_.smallest = 1, look_.queued = many,
				 look_.since = many - 1),
			 HS_FAST_WHY_NONE);
	/* as long as it is not sure that nobody else is just sending, more of them */
	assert_int_equal(CHANGED(look_.way = HS_FAST_FAST, look_.quiet_ns = 5, look_.smallest = 1,
				 look_.queued = 3 * many),
			 HS_FAST_WHY_NONE);
	assert_int_equal(CHANGED(look_.way = HS_FAST_FAST, look_.quiet_ns = 5, look_.smallest = 1,
				 look_.queued = 4 * many),
			 HS_FAST_WHY_FULL);
}

/* Another thread may be about to put its message into the queue. */
static void threads_are_not_overtaken(void **state)
{
	(void)state;
	assert_int_equal(
		CHANGED(look_.way = HS_FAST_FAST, look_.quiet_ns = 5, look_.queued = BUFFER),
		HS_FAST_WHY_NONE);
	assert_int_equal(CHANGED(look_.way = HS_FAST_FAST, look_.quiet_ns = 5, look_.allowed = 0),
			 HS_FAST_WHY_NONE);
	assert_int_equal(CHANGED(look_.way = HS_FAST_FAST, look_.quiet_ns = 5,
				 look_.queued = BUFFER, look_.alone = 1),
			 HS_FAST_WHY_FULL);
	assert_int_equal(CHANGED(look_.way = HS_FAST_FAST, look_.quiet_ns = HS_FAST_QUIET_NS,
				 look_.queued = BUFFER),
			 HS_FAST_WHY_FULL);
	/* but not without end */
	assert_int_equal(CHANGED(look_.way = HS_FAST_FAST, look_.quiet_ns = 5,
				 look_.queued = HS_FAST_BUFFERS_MAX * BUFFER + 1),
			 HS_FAST_WHY_FULL);
	/* what has not begun has overtaken nobody */
	assert_int_equal(CHANGED(look_.quiet_ns = 5, look_.queued = BUFFER), HS_FAST_WHY_FULL);
}

static void hellos(void **state)
{
	static const __u8 client[HS_FAST_HELLO] = {0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3};
	static const __u8 server[HS_FAST_HELLO] = {0x16, 3, 3, 0, 122, 2, 0, 0, 118, 3};
	static const __u8 other[HS_FAST_HELLO] = {0x16, 3, 1, 2, 0, 7, 0, 1, 0xfc, 3};

	(void)state;
	for (unsigned n = 2; n <= HS_FAST_HELLO; n++) {
		assert_true(hs_fast_is_hello(client, n));
		assert_true(hs_fast_is_hello(server, n));
		assert_int_equal(hs_fast_is_hello(other, n), n < 6);
	}
	assert_false(hs_fast_is_hello(client, 1));
	assert_false(hs_fast_is_hello((const __u8 *)"GET / HTTP", HS_FAST_HELLO));
}

/* ---- the model ---- */

#define MESSAGES 2000

struct model {
	uint32_t random;
	struct hs_fast_look look;
	unsigned fast[MESSAGES], tcp[MESSAGES]; /* numbers of messages that wait */
	unsigned fast_begin, fast_end, tcp_begin, tcp_end;
	unsigned read; /* so many, in order */
	uint64_t queued_max;
	int wrong;
};

static uint32_t draw(struct model *model, uint32_t n)
{
	model->random = model->random * 1664525 + 1013904223;
	return (model->random >> 8) % n;
}

/* As hs_fast_send() does: what is by TCP stays there, and otherwise the rule is asked. */
static void send_one(struct model *model, unsigned number, unsigned without)
{
	struct hs_fast_look *look = &model->look;

	look->queued = (model->fast_end - model->fast_begin + model->tcp_end - model->tcp_begin) *
		       look->size;
	if (look->way != HS_FAST_TCP || without)
		look->way = hs_fast_decide(look, without) ? HS_FAST_TCP : HS_FAST_FAST;
	if (look->way == HS_FAST_FAST) {
		model->fast[model->fast_end++] = number;
		if (look->queued + look->size > model->queued_max)
			model->queued_max = look->queued + look->size;
	} else {
		model->tcp[model->tcp_end++] = number;
		look->started = 1;
	}
}

static void read_one(struct model *model)
{
	unsigned number;

	if (model->fast_begin < model->fast_end)
		number = model->fast[model->fast_begin++];
	else if (model->tcp_begin < model->tcp_end)
		number = model->tcp[model->tcp_begin++];
	else
		return;
	model->wrong |= number != model->read;
	model->read++;
}

static struct model run_model(uint32_t seed, unsigned without)
{
	struct model model = {.random = seed, .look = fine()};
	unsigned sent = 0;

	model.look.paired = (uint8_t)draw(&model, 4);
	while (sent < MESSAGES) {
		uint32_t what = draw(&model, 100);

		if (what < 55)
			send_one(&model, sent++, without);
		else
			read_one(&model);
		/* the server's end comes late; the service may go */
		if (what == 99)
			model.look.paired = 1;
		if (what == 98 && !draw(&model, 50))
			model.look.allowed = 0;
	}
	while (model.read < sent)
		read_one(&model);
	return model;
}

static void any_order_of_events(void **state)
{
	unsigned wrong = 0, over = 0;

	(void)state;
	for (uint32_t seed = 0; seed < 2000; seed++) {
		struct model model = run_model(seed, 0);

		assert_int_equal(model.wrong, 0);
		assert_true(model.queued_max <= BUFFER);
		wrong += run_model(seed, HS_FAST_WITHOUT_ORDER).wrong != 0;
		over += run_model(seed, HS_FAST_WITHOUT_FLOW | HS_FAST_WITHOUT_ORDER).queued_max >
			BUFFER;
	}
	/* without the rules it does happen */
	assert_true(wrong > 100);
	assert_true(over > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fine_is_fast),
		cmocka_unit_test(each_reason),
		cmocka_unit_test(when_it_is_full),
		cmocka_unit_test(small_messages_take_room),
		cmocka_unit_test(threads_are_not_overtaken),
		cmocka_unit_test(hellos),
		cmocka_unit_test(any_order_of_events),
	};

	return cmocka_run_group_tests_name("fast", tests, NULL, NULL);
}
