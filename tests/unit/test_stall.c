// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Who hangs and who is only slow. Tables for single steps; simulated servers with random habits for
 * the promises: no verdict against one that has accepted within the window, and always one against
 * one that has stopped, in time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/watch/ending.h"
#include "core/watch/stall.h"
#include "util/macro.h"

#define MS     USEC_PER_MSEC
#define WINDOW (1000 * MS)
#define OFTEN  (20 * MS)

/* ---- single steps, by the count ---- */

struct step {
	unsigned at; /* ms */
	uint32_t queued;
	unsigned given, given_after; /* 0 = the same */
	enum stall_verdict verdict;
	unsigned waited; /* ms, unless STALL_FINE */
};

static void run_steps(const struct step *steps, size_t n)
{
	struct stall stall = {0};

	for (size_t i = 0; i < n; i++) {
		struct stall_sample sample = {
			.now = 1000000 + steps[i].at * MS,
			.queued = steps[i].queued,
			.counted = true,
			.given_before = steps[i].given,
			.given_after = steps[i].given_after ?: steps[i].given,
		};
		struct stall_answer answer = stall_step(&stall, &sample, WINDOW);

		if (answer.verdict != steps[i].verdict)
			fail_msg("step %zu: verdict %d", i, answer.verdict);
		if (answer.verdict != STALL_FINE)
			assert_int_equal(stall.evidence.waited, steps[i].waited * MS);
	}
	stall_done(&stall);
}

#define STEPS(...)                                    \
	do {                                          \
		struct step s[] = {__VA_ARGS__};      \
		run_steps(s, sizeof(s) / sizeof(*s)); \
	} while (0)

static void waits_from_the_first_one_on(void **state)
{
	(void)state;
	STEPS({0, 0, 5, 0, STALL_FINE, 0}, {100, 1, 6, 0, STALL_WAITING, 0},
	      {1000, 3, 8, 0, STALL_WAITING, 900}, {1099, 3, 8, 0, STALL_WAITING, 999},
	      {1100, 3, 8, 0, STALL_STALLED, 1000}, {1200, 3, 8, 0, STALL_STALLED, 1100});
}

static void one_accept_begins_it_anew(void **state)
{
	(void)state;
	STEPS({0, 0, 5, 0, STALL_FINE, 0}, {100, 9, 14, 0, STALL_WAITING, 0},
	      {1000, 8, 14, 0, STALL_WAITING, 0}, {1999, 8, 14, 0, STALL_WAITING, 999},
	      {2000, 8, 14, 0, STALL_STALLED, 1000});
}

static void a_full_queue_hides_no_accept(void **state)
{
	(void)state;
	/* the queue looks the same each time, as another has come for the one accepted */
	STEPS({0, 9, 9, 0, STALL_WAITING, 0}, {900, 9, 10, 0, STALL_WAITING, 0},
	      {1800, 9, 11, 0, STALL_WAITING, 0}, {2700, 9, 12, 0, STALL_WAITING, 0});
}

static void an_empty_queue_is_no_hang(void **state)
{
	(void)state;
	STEPS({0, 1, 1, 0, STALL_WAITING, 0}, {900, 0, 1, 0, STALL_FINE, 0},
	      {5000, 1, 2, 0, STALL_WAITING, 0}, {5999, 1, 2, 0, STALL_WAITING, 999});
}

static void what_comes_during_the_look_proves_nothing(void **state)
{
	(void)state;
	/* one came: was it counted before the queue was looked at, or has one been accepted? */
	STEPS({0, 0, 5, 0, STALL_FINE, 0}, {100, 1, 6, 0, STALL_WAITING, 0},
	      {1200, 4, 8, 9, STALL_STALLED, 1100}, {1300, 4, 9, 10, STALL_WAITING, 1200},
	      {1400, 5, 10, 0, STALL_STALLED, 1300});
}

static void accepted_is_never_thought_too_much_for_long(void **state)
{
	(void)state;
	/* counted before it stood in the queue (Fast Open), then one was accepted */
	STEPS({0, 4, 10, 0, STALL_WAITING, 0}, {20, 5, 10, 0, STALL_WAITING, 20},
	      {900, 4, 10, 0, STALL_WAITING, 0}, {1100, 4, 10, 0, STALL_WAITING, 200});
}

static void the_oldest_tells_since_when(void **state)
{
	struct stall stall = {0};
	struct stall_sample sample = {.now = 1000 * MS, .counted = true, .given_before = 3};

	(void)state;
	sample.given_after = 3;
	assert_int_equal(stall_step(&stall, &sample, WINDOW).verdict, STALL_FINE);
	sample = (struct stall_sample) {
		.now = 2000 * MS,
		.counted = true,
		.given_before = 4,
		.given_after = 4,
		.queued = 1,
		.oldest_age = 400 * MS,
	};
	assert_int_equal(stall_step(&stall, &sample, WINDOW).wake, 2600 * MS);
	assert_int_equal(stall.evidence.waited, 400 * MS);
	stall_done(&stall);
}

/* What is proven is looked at as everything else: one that is full may stay so for long. */
static void a_verdict_is_no_hurry(void **state)
{
	const struct stall_queue queue = {.socket = 1, .head = 7, .queued = 3};
	struct stall stall = {0};
	struct stall_sample sample = {.counted = true, .given_before = 9, .given_after = 9};

	(void)state;
	sample.queued = 3;
	for (unsigned by_heads = 0; by_heads < 2; by_heads++) {
		sample.heads_known = by_heads;
		sample.queues = &queue;
		sample.n_queues = by_heads;
		sample.now = 1000 * MS;
		assert_int_equal(stall_step(&stall, &sample, WINDOW).wake, 2000 * MS);
		sample.now = 2000 * MS;
		assert_int_equal(stall_step(&stall, &sample, WINDOW).verdict, STALL_STALLED);
		sample.now = 2030 * MS;
		assert_int_equal(stall_step(&stall, &sample, WINDOW).wake, USEC_INFINITY);
		stall_done(&stall);
		stall = (struct stall) {0};
	}
}

static void other_sockets_begin_it_anew(void **state)
{
	struct stall stall = {0};
	struct stall_sample sample = {.now = 1, .queued = 2, .sockets_mark = 1, .counted = true};

	(void)state;
	stall_step(&stall, &sample, WINDOW);
	sample.now += 900 * MS;
	sample.sockets_mark = 2;
	stall_step(&stall, &sample, WINDOW);
	sample.now += 900 * MS;
	assert_int_equal(stall_step(&stall, &sample, WINDOW).verdict, STALL_WAITING);
	/* so do connections that are moved there */
	sample.migrated_in = 1;
	stall_step(&stall, &sample, WINDOW);
	sample.now += 900 * MS;
	assert_int_equal(stall_step(&stall, &sample, WINDOW).verdict, STALL_WAITING);
	stall_done(&stall);
}

/* ---- a simulated slot ---- */

#define SOCKETS	   4
#define CAPACITY   64
#define NO_ACCEPTS UINT64_MAX

struct connection {
	uint64_t cookie, came;
	bool reset;
};

struct queue {
	struct connection waiting[CAPACITY];
	unsigned n, backlog;
	uint64_t next_accept, pause, last_accept, nonempty_since;
};

struct slot {
	struct queue queues[SOCKETS];
	unsigned sockets;
	uint64_t given, cookies, now, due;
	bool counted, heads, lines;
	unsigned reset_chance; /* of 1000 in a millisecond */
};

/* What was made of its queues for the last look. */
static uint32_t names_in_line[SOCKETS][CAPACITY];
static struct line lines[SOCKETS];

static const struct line *line_of(const struct queue *queue, unsigned socket)
{
	for (unsigned i = 0; i < queue->n; i++)
		names_in_line[socket][i] =
			queue->waiting[i].reset ? 0 : (uint32_t)queue->waiting[i].cookie;
	lines[socket] = (struct line) {names_in_line[socket], queue->n,
				       queue->n > queue->backlog || queue->n == CAPACITY};
	return &lines[socket];
}

static unsigned roll(unsigned below)
{
	return (unsigned)random() % below;
}

static void arrive(struct slot *slot)
{
	struct queue *queue = &slot->queues[roll(slot->sockets)];

	if (queue->n > queue->backlog || queue->n == CAPACITY)
		return;
	if (!queue->n)
		queue->nonempty_since = slot->now;
	queue->waiting[queue->n++] = (struct connection) {++slot->cookies, slot->now, false};
	slot->given++;
}

static void accept_one(struct slot *slot, struct queue *queue)
{
	if (!queue->n || slot->now < queue->next_accept)
		return;
	memmove(queue->waiting, queue->waiting + 1, --queue->n * sizeof(*queue->waiting));
	queue->last_accept = slot->now;
	queue->next_accept = slot->now + queue->pause;
}

static void reset_some(struct slot *slot, struct queue *queue)
{
	for (unsigned i = 0; i < queue->n; i++)
		if (roll(1000) < slot->reset_chance)
			queue->waiting[i].reset = true;
}

static struct stall_names names_of(const struct slot *slot)
{
	struct stall_names names = {calloc(SOCKETS * CAPACITY, sizeof(uint64_t)), 0};

	/* ascending: they are numbered as they come, so by a scan for each */
	for (unsigned s = 0; s < slot->sockets; s++)
		for (unsigned i = 0; i < slot->queues[s].n; i++)
			if (!slot->queues[s].waiting[i].reset)
				names.cookies[names.n++] = slot->queues[s].waiting[i].cookie;
	for (size_t i = 1; i < names.n; i++)
		for (size_t k = i; k > 0 && names.cookies[k - 1] > names.cookies[k]; k--) {
			uint64_t swap = names.cookies[k];

			names.cookies[k] = names.cookies[k - 1];
			names.cookies[k - 1] = swap;
		}
	return names;
}

static struct stall_sample sample_of(const struct slot *slot, const struct stall *stall,
				     struct stall_queue queues[SOCKETS])
{
	struct stall_sample sample = {
		.now = slot->now,
		.due = slot->due,
		.heads_known = slot->heads,
		.queues = queues,
		.sockets_mark = 7,
		.counted = slot->counted,
		.given_before = slot->given,
		.given_after = slot->given,
	};
	unsigned nonempty = 0;

	for (unsigned s = 0; s < slot->sockets; s++) {
		sample.queued += slot->queues[s].n;
		if (slot->queues[s].n)
			queues[sample.n_queues++] = (struct stall_queue) {
				s + 1, slot->queues[s].waiting[0].cookie, slot->queues[s].n,
				slot->lines ? line_of(&slot->queues[s], s) : NULL};
		if (slot->queues[s].n && !nonempty++)
			sample.sole = s + 1;
		if (stall_watched(stall) == s + 1)
			sample.watched_queued = slot->queues[s].n;
	}
	if (nonempty != 1)
		sample.sole = 0;
	return sample;
}

/* One look as the driver does it. True: it is said to hang. */
static bool look(struct slot *slot, struct stall *stall)
{
	struct stall_queue queues[SOCKETS];
	struct stall_sample sample = sample_of(slot, stall, queues);
	struct stall_answer answer = stall_step(stall, &sample, WINDOW);
	struct stall_names names;
	bool stalled = answer.verdict == STALL_STALLED;

	slot->due = slot->now + OFTEN;
	assert_true(!slot->heads || answer.ask == STALL_ASK_NOTHING);
	if (answer.ask == STALL_ASK_NOTHING)
		return stalled;
	names = names_of(slot);
	if (answer.ask == STALL_ASK_CHECK)
		stalled |= stall_check(stall, slot->now, &names, WINDOW);
	else if (names.n >= sample.queued)
		stall_name(stall, sample.sole, slot->now, &names);
	free(names.cookies);
	return stalled;
}

/* Whether some socket has had a queue for the window, and was not accepted from. */
static bool truly_hangs(const struct slot *slot)
{
	for (unsigned s = 0; s < slot->sockets; s++) {
		const struct queue *queue = &slot->queues[s];

		if (queue->n && slot->now - queue->nonempty_since >= WINDOW &&
		    slot->now - queue->last_accept >= WINDOW)
			return true;
	}
	return false;
}

/* What is known of a slot: counts, or who is first, or all who wait, or some of these, or nothing.
 */
enum { COUNTED = 1 << 0, HEADS = 1 << 1, LINES = 1 << 2, ALL_KINDS = 8 };

static void make_slot(struct slot *slot, unsigned kind)
{
	static const uint64_t pauses[] = {0, 1, 10, 100, 500, 900, 990};

	*slot = (struct slot) {
		.sockets = 1 + roll(SOCKETS),
		.counted = kind & COUNTED,
		.heads = kind & (HEADS | LINES),
		.lines = kind & LINES,
		.now = WINDOW,
	};
	slot->reset_chance = roll(3) ? 0 : roll(20);
	for (unsigned s = 0; s < slot->sockets; s++) {
		slot->queues[s].backlog = roll(2) ? 1 : roll(CAPACITY);
		slot->queues[s].pause = pauses[roll(ARRAY_SIZE(pauses))] * MS;
	}
}

static void pass_millisecond(struct slot *slot, unsigned load)
{
	slot->now += MS;
	for (unsigned i = roll(3); i > 0; i--)
		if (roll(1000) < load)
			arrive(slot);
	for (unsigned s = 0; s < slot->sockets; s++) {
		accept_one(slot, &slot->queues[s]);
		reset_some(slot, &slot->queues[s]);
	}
}

static void run_alive(unsigned kind)
{
	struct stall stall = {0};
	struct slot slot;
	unsigned load = 1 + roll(1000);

	make_slot(&slot, kind);
	for (unsigned i = 0; i < 8000; i++) {
		pass_millisecond(&slot, load);
		if (i % (OFTEN / MS) == 0 && look(&slot, &stall) && !truly_hangs(&slot))
			fail_msg("a server that serves is said to hang");
	}
	stall_done(&stall);
}

static void who_accepts_is_never_said_to_hang(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 400; seed++) {
		srandom(seed);
		run_alive(seed % ALL_KINDS);
	}
}

static bool anybody_waits(const struct slot *slot)
{
	for (unsigned s = 0; s < slot->sockets; s++)
		if (slot->queues[s].n)
			return true;
	return false;
}

static void run_stopped(unsigned kind)
{
	struct stall stall = {0};
	struct slot slot;
	unsigned load = 20 + roll(980), stop = roll(3000), i;
	uint64_t since = 0;
	bool found = false;

	make_slot(&slot, kind);
	/* by name, those who go while they wait keep it from being proven, and so do those in a
	 * line who go at once */
	slot.reset_chance = kind && !(kind & LINES) ? slot.reset_chance : 0;
	slot.sockets = kind ? slot.sockets : 1;
	for (i = 0; i < 8000 && !found; i++) {
		for (unsigned s = 0; i == stop && s < slot.sockets; s++)
			slot.queues[s].next_accept = NO_ACCEPTS;
		pass_millisecond(&slot, load);
		if (i >= stop && !since && anybody_waits(&slot))
			since = slot.now;
		if (i % (OFTEN / MS) == 0)
			found = look(&slot, &stall);
	}
	assert_true(found && since);
	/* by name, an accept is noticed only when it is asked again */
	assert_true(slot.now - since <= (kind ? 1 : 2) * WINDOW + 2 * OFTEN);
	stall_done(&stall);
}

static void who_has_stopped_is_found_in_time(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 400; seed++) {
		srandom(seed);
		run_stopped(seed % ALL_KINDS);
	}
}

/* One of several sockets is stuck, the others serve at once. */
static void one_stuck_socket_is_found(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 200; seed++) {
		struct stall stall = {0};
		struct slot slot;
		bool found = false;
		unsigned i;

		srandom(seed);
		/* that the others serve is known by the count */
		make_slot(&slot, seed % 3 ? seed % ALL_KINDS : COUNTED | HEADS);
		slot.sockets = 2 + roll(SOCKETS - 1);
		slot.reset_chance = 0;
		for (unsigned s = 0; s < slot.sockets; s++)
			slot.queues[s].pause = 0;
		slot.queues[1].next_accept = NO_ACCEPTS;
		for (i = 0; i < 4000 && !found; i++) {
			pass_millisecond(&slot, 200);
			if (i % (OFTEN / MS) == 0)
				found = look(&slot, &stall);
		}
		assert_true(found && (stall.evidence.one_socket || !slot.counted));
		assert_true(slot.now - slot.queues[1].nonempty_since <= WINDOW + 10 * OFTEN);
		stall_done(&stall);
	}
}

/* ---- single steps, by the head ---- */

static enum stall_verdict look_at_heads(struct stall *stall, unsigned ms, uint64_t head,
					uint64_t other)
{
	struct stall_queue queues[2] = {{7, head, 3, NULL}, {8, other, 1, NULL}};
	struct stall_sample sample = {
		.now = 1000000 + ms * MS,
		.queued = other ? 4 : 3,
		.heads_known = true,
		.queues = queues,
		.n_queues = other ? 2 : 1,
		/* the other one serves ten in a second */
		.counted = true,
	};

	sample.given_before = sample.given_after = 1000 + ms / 100 + sample.queued;
	return stall_step(stall, &sample, WINDOW).verdict;
}

static void another_head_begins_it_anew(void **state)
{
	struct stall stall = {0};

	(void)state;
	assert_int_equal(look_at_heads(&stall, 0, 1, 0), STALL_WAITING);
	assert_int_equal(look_at_heads(&stall, 900, 2, 0), STALL_WAITING);
	assert_int_equal(look_at_heads(&stall, 1899, 2, 0), STALL_WAITING);
	assert_int_equal(look_at_heads(&stall, 1900, 2, 0), STALL_STALLED);
	assert_int_equal(stall.evidence.waited, 1000 * MS);
	/* one that is not known, as it goes just now */
	assert_int_equal(look_at_heads(&stall, 2000, 0, 0), STALL_WAITING);
	assert_int_equal(look_at_heads(&stall, 3500, 0, 0), STALL_WAITING);
	stall_done(&stall);
}

static void it_takes_all_sockets_on_which_somebody_waits(void **state)
{
	struct stall stall = {0};

	(void)state;
	for (unsigned ms = 0; ms < 2000; ms += 200)
		assert_int_equal(look_at_heads(&stall, ms, 1, ms + 1), STALL_WAITING);
	/* as soon as nobody waits on the one that moves */
	assert_int_equal(look_at_heads(&stall, 2000, 1, 0), STALL_STALLED);
	/* that it serves is known, however often it was the first that came last */
	assert_true(stall.evidence.one_socket);
	stall_done(&stall);
}

/* ---- by the line: clients that give up ---- */

struct lines_case {
	uint32_t before[6], now[6]; /* GONE = no name; 0 = the end */
	bool full;
	enum line_news news;
	bool brief;
};

#define GONE UINT32_MAX

static struct line line_in(const uint32_t *text, uint32_t *names)
{
	struct line line = {.names = names};

	for (; line.n < 6 && text[line.n]; line.n++)
		names[line.n] = text[line.n] == GONE ? 0 : text[line.n];
	return line;
}

static void what_becomes_of_a_line(void **state)
{
	static const struct lines_case cases[] = {
		{{1, 2}, {1, 2}, false, LINE_STAYS, false},
		{{1, 2}, {1, 2, 3}, true, LINE_STAYS, false},
		{{1, 2}, {GONE, 2, 3}, false, LINE_STAYS, false},
		{{1, 2}, {GONE, 2, GONE}, false, LINE_STAYS, true},
		{{GONE, 2}, {GONE, 2}, false, LINE_STAYS, false},
		{{1, 2}, {2}, false, LINE_MOVES, false},
		{{1, 2}, {2, 3}, false, LINE_MOVES, false},
		{{1, 2, 3}, {GONE, 3, 4, 5}, false, LINE_MOVES, false},
		/* the one who was the second, and two who have given up at once */
		{{1, 2}, {2, GONE, GONE}, false, LINE_MOVES, true},
		{{1, GONE}, {GONE, 3}, false, LINE_MOVES, false},
		{{GONE, GONE}, {GONE, 3}, false, LINE_MOVES, false},
		{{GONE, GONE}, {GONE}, false, LINE_MOVES, false},
		/* one client after the other */
		{{1}, {GONE}, false, LINE_SEEMS, false},
		{{1}, {GONE, 2}, false, LINE_SEEMS, false},
		{{GONE}, {GONE, 2}, false, LINE_SEEMS, false},
		{{GONE, 2}, {GONE, GONE, 3}, false, LINE_SEEMS, false},
		{{GONE, 2}, {GONE, GONE, GONE}, false, LINE_VAGUE, true},
		{{GONE, 2}, {GONE, GONE, GONE, 4}, false, LINE_VAGUE, true},
		{{1, 2}, {GONE, GONE}, true, LINE_VAGUE, false},
		{{0}, {1}, false, LINE_VAGUE, false},
	};
	uint32_t before_names[6], now_names[6];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct line before = line_in(cases[i].before, before_names);
		struct line now = line_in(cases[i].now, now_names);

		now.full = cases[i].full;
		if (line_compare(&before, &now) != cases[i].news ||
		    line_was_brief(&before, &now) != cases[i].brief)
			fail_msg("case %zu: %d", i, line_compare(&before, &now));
	}
}

/* How clients come to one socket, and when they give up. */
struct habit {
	unsigned every_ms, lives_ms;
	unsigned accepts_ms; /* one each so often; 0 = none at all */
};

static void expire(struct slot *slot, unsigned lives_ms)
{
	struct queue *queue = &slot->queues[0];

	for (unsigned i = 0; i < queue->n; i++)
		queue->waiting[i].reset |= slot->now - queue->waiting[i].came >= lives_ms * MS;
}

/* When it is said to hang, in milliseconds; 0 = never. */
static unsigned hangs_after(const struct habit *habit)
{
	struct slot slot = {.sockets = 1, .heads = true, .lines = true, .now = WINDOW};
	struct stall stall = {0};
	unsigned ms;
	bool hangs = false;

	slot.queues[0] = (struct queue) {.backlog = CAPACITY,
					 .pause = habit->accepts_ms * MS,
					 .next_accept = habit->accepts_ms ? 0 : NO_ACCEPTS};
	for (ms = 0; ms < 6000 && !hangs; ms++) {
		slot.now += MS;
		accept_one(&slot, &slot.queues[0]);
		expire(&slot, habit->lives_ms);
		if (ms % habit->every_ms == 0)
			arrive(&slot);
		if (ms % (OFTEN / MS) == 0)
			hangs = look(&slot, &stall);
	}
	stall_done(&stall);
	return hangs ? ms : 0;
}

/* Whether several wait or one after the other, with a pause between or none. */
static void who_hangs_is_found_though_clients_give_up(void **state)
{
	static const struct habit one_stays[] = {{100, 500, 0}, {200, 600, 0}},
				  none_stays[] = {{500, 500, 0}, {400, 100, 0}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(one_stays); i++)
		assert_in_range(hangs_after(&one_stays[i]), 1, (WINDOW + 3 * OFTEN) / MS);
	/* that nobody has come into the place of who is gone is no proof for ever */
	for (size_t i = 0; i < ARRAY_SIZE(none_stays); i++)
		assert_in_range(hangs_after(&none_stays[i]), WINDOW / MS,
				(2 * WINDOW + 3 * OFTEN) / MS);
}

static void who_accepts_slowly_does_not_hang_though_clients_give_up(void **state)
{
	static const struct habit habits[] = {{100, 500, 900}, {300, 250, 900}, {450, 450, 900},
					      {100, 5, 900},   {7, 3, 900},	{50, 45, 300}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(habits); i++)
		assert_int_equal(hangs_after(&habits[i]), 0);
}

/* So one that hangs is not said to accept again because its clients give up. */
static void that_it_is_not_known_is_no_accept(void **state)
{
	static const struct {
		uint32_t names[4];
		bool full, unproven;
	} looks[] = {{{1, 2}, true, true},
		     {{GONE, GONE}, true, true},
		     {{GONE, 3}, true, false},
		     {{GONE, 3}, true, false}};
	struct stall stall = {0};
	uint32_t names[6];

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(looks); i++) {
		struct line line = line_in(looks[i].names, names);
		struct stall_queue queue = {.socket = 1, .queued = 2, .line = &line};
		struct stall_sample sample = {.now = WINDOW + i * OFTEN,
					      .queued = 2,
					      .heads_known = true,
					      .queues = &queue,
					      .n_queues = 1};

		line.full = looks[i].full;
		assert_int_equal(stall_step(&stall, &sample, WINDOW).verdict, STALL_WAITING);
		assert_int_equal(stall.evidence.unproven, looks[i].unproven);
	}
	stall_done(&stall);
}

/* ---- who did not look cannot tell ---- */

static void the_time_that_a_look_is_late_is_left_out(void **state)
{
	(void)state;
	for (unsigned kind = 0; kind < ALL_KINDS; kind++) {
		struct stall stall = {0};
		struct slot slot = {.sockets = 1,
				    .counted = kind & COUNTED,
				    .heads = kind & (HEADS | LINES),
				    .lines = kind & LINES};

		slot.now = WINDOW;
		slot.queues[0] = (struct queue) {.backlog = 1, .next_accept = NO_ACCEPTS};
		arrive(&slot);
		for (unsigned pause = 0; pause < 5; pause++) {
			assert_false(look(&slot, &stall));
			slot.now += 2500 * MS; /* nobody ran */
			assert_false(look(&slot, &stall));
			slot.now += OFTEN;
		}
		/* a little late is nothing */
		for (unsigned i = 0; i < 12; i++) {
			look(&slot, &stall);
			slot.now += OFTEN + STALL_LATE_MAX;
		}
		assert_true(look(&slot, &stall));
		stall_done(&stall);
	}
}

/* Where all others run before us, again and again: who hangs is found there, too. */
static void a_busy_machine_hides_no_hang(void **state)
{
	(void)state;
	for (unsigned kind = 0; kind < ALL_KINDS; kind++) {
		struct stall stall = {0};
		struct slot slot = {.sockets = 1,
				    .counted = kind & COUNTED,
				    .heads = kind & (HEADS | LINES),
				    .lines = kind & LINES};
		bool hangs = false;

		slot.now = WINDOW;
		slot.queues[0] = (struct queue) {.backlog = 1, .next_accept = NO_ACCEPTS};
		arrive(&slot);
		for (unsigned i = 0; i < 12; i++) {
			hangs = look(&slot, &stall);
			slot.now += OFTEN + 500 * MS;
		}
		assert_true(hangs);
		stall_done(&stall);
	}
}

/* The machine stands still now and then, for longer than the window. */
static void a_machine_that_pauses_is_no_hang(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 100; seed++) {
		struct stall stall = {0};
		struct slot slot;

		srandom(seed);
		make_slot(&slot, seed % ALL_KINDS);
		for (unsigned s = 0; s < slot.sockets; s++)
			slot.queues[s].pause = MIN(slot.queues[s].pause, 100 * MS);
		slot.sockets = 1;
		for (unsigned i = 0; i < 4000; i++) {
			pass_millisecond(&slot, 900);
			if (!roll(300))
				slot.now += 2500 * MS;
			if (i % (OFTEN / MS) == 0)
				assert_false(look(&slot, &stall));
		}
		stall_done(&stall);
	}
}

/* ---- how a process ended ---- */

static void endings(void **state)
{
	static const struct {
		struct ending ending;
		const char *text;
	} cases[] = {
		{{"", 0, 0}, ""},
		{{"success", 0, 0}, ""},
		{{"exit-code", 1, 3}, "exit status 3"},
		{{"success", 1, 0}, "exit status 0"},
		{{"signal", 2, 9}, "killed by signal 9 (KILL)"},
		{{"core-dump", 3, 11}, "killed by signal 11 (SEGV)"},
		{{"signal", 2, 63}, "killed by signal 63"},
		{{"oom-kill", 2, 9}, "killed because memory ran out"},
		{{"watchdog", 3, 6},
		 "ended by systemd's watchdog: no sign of life for WatchdogSec="},
	};
	char text[ENDING_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_string_equal(ending_describe(&cases[i].ending, text), cases[i].text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(waits_from_the_first_one_on),
		cmocka_unit_test(one_accept_begins_it_anew),
		cmocka_unit_test(a_full_queue_hides_no_accept),
		cmocka_unit_test(an_empty_queue_is_no_hang),
		cmocka_unit_test(what_comes_during_the_look_proves_nothing),
		cmocka_unit_test(accepted_is_never_thought_too_much_for_long),
		cmocka_unit_test(the_oldest_tells_since_when),
		cmocka_unit_test(a_verdict_is_no_hurry),
		cmocka_unit_test(other_sockets_begin_it_anew),
		cmocka_unit_test(who_accepts_is_never_said_to_hang),
		cmocka_unit_test(who_has_stopped_is_found_in_time),
		cmocka_unit_test(one_stuck_socket_is_found),
		cmocka_unit_test(another_head_begins_it_anew),
		cmocka_unit_test(it_takes_all_sockets_on_which_somebody_waits),
		cmocka_unit_test(what_becomes_of_a_line),
		cmocka_unit_test(who_hangs_is_found_though_clients_give_up),
		cmocka_unit_test(who_accepts_slowly_does_not_hang_though_clients_give_up),
		cmocka_unit_test(that_it_is_not_known_is_no_accept),
		cmocka_unit_test(the_time_that_a_look_is_late_is_left_out),
		cmocka_unit_test(a_busy_machine_hides_no_hang),
		cmocka_unit_test(a_machine_that_pauses_is_no_hang),
		cmocka_unit_test(endings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
