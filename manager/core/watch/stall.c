// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/watch/stall.h"

#include <stdlib.h>

/* Who waits is asked for again early: a proof that is broken is begun anew at once, and not after
 * its whole time. */
#define FIRST_CHECK(window) ((window) / 8)

/* Clients come and give up between two looks until none was seen to for so long. */
#define BRIEF_LASTS(window) (10 * (window))

static void forget_names(struct stall *stall)
{
	free(stall->names.cookies);
	stall->names = (struct stall_names) {0};
	stall->watched = 0;
}

static void forget_heads(struct stall *stall)
{
	for (size_t i = 0; i < stall->n_heads; i++)
		line_done(&stall->heads[i].line);
	free(stall->heads);
	stall->heads = NULL;
	stall->n_heads = 0;
}

void stall_done(struct stall *stall)
{
	forget_names(stall);
	forget_heads(stall);
}

uint64_t stall_watched(const struct stall *stall)
{
	return stall->watched;
}

/* ---- by the count ---- */

static void set_anchor(struct stall *stall, uint64_t now, uint64_t accepted, uint64_t migrated_in)
{
	stall->anchored = true;
	stall->anchor_time = now;
	stall->anchor_accepted = accepted;
	stall->migrated_in = migrated_in;
}

/*
 * True when it is proven that nobody has accepted since the anchor. What arrives while the queue
 * and the counts are read makes the number uncertain: it lies between the two.
 */
static bool nothing_accepted(struct stall *stall, const struct stall_sample *sample)
{
	int64_t at_least = (int64_t)(sample->given_before - sample->queued);
	int64_t at_most = (int64_t)(sample->given_after - sample->queued);
	int64_t before = (int64_t)stall->anchor_accepted;

	if (!stall->anchored || stall->migrated_in != sample->migrated_in) {
		set_anchor(stall, sample->now, at_least, sample->migrated_in);
		return at_most == at_least;
	}
	if (at_least > before) {
		stall->last_accept = sample->now;
		set_anchor(stall, sample->now, at_least, sample->migrated_in);
		return at_most == at_least;
	}
	/* it was less at the anchor than was thought: it never goes back */
	if (at_most < before)
		stall->anchor_accepted = at_most;
	return at_most <= before;
}

/* What is proven needs no hurry any more: it is seen at the next look, which comes anyway, whether
 * it is still so. */
static struct stall_answer verdict_at(uint64_t now, uint64_t due)
{
	if (now >= due)
		return (struct stall_answer) {STALL_STALLED, USEC_INFINITY, STALL_ASK_NOTHING};
	return (struct stall_answer) {STALL_WAITING, due, STALL_ASK_NOTHING};
}

static struct stall_answer judge_count(struct stall *stall, const struct stall_sample *sample,
				       uint64_t window)
{
	struct stall_answer answer = {STALL_WAITING, USEC_INFINITY, STALL_ASK_NOTHING};
	bool proven = nothing_accepted(stall, sample);
	uint64_t since = MAX(stall->nonempty_since, stall->anchor_time);

	stall->evidence.waited = sample->now - since;
	/* not proven: at the next look, which comes anyway */
	if (!proven)
		return answer;
	return verdict_at(sample->now, since + window);
}

/* ---- by the head ---- */

static const struct stall_queue *queue_of(const struct stall_sample *sample, uint64_t socket)
{
	for (size_t i = 0; i < sample->n_queues; i++)
		if (sample->queues[i].socket == socket)
			return &sample->queues[i];
	return NULL;
}

static const struct stall_head *head_at(const struct stall *stall, uint64_t socket)
{
	for (size_t i = 0; i < stall->n_heads; i++)
		if (stall->heads[i].socket == socket)
			return &stall->heads[i];
	return NULL;
}

/* The look before was just now: who has come and gone since is brief. */
static bool is_close(const struct stall *stall, const struct stall_sample *sample)
{
	return stall->looked && sample->now - stall->looked <= STALL_LATE_MAX;
}

static void note_brief(struct stall *stall, const struct stall_sample *sample)
{
	static const struct line empty;

	for (size_t i = 0; is_close(stall, sample) && i < sample->n_queues; i++) {
		const struct stall_queue *queue = &sample->queues[i];
		const struct stall_head *head = head_at(stall, queue->socket);

		if (queue->line && line_was_brief(head ? &head->line : &empty, queue->line))
			stall->brief = sample->now;
	}
}

/* What has become of a queue since the last look. */
static enum line_news news_of(const struct stall *stall, const struct stall_head *head,
			      const struct stall_queue *queue, const struct stall_sample *sample)
{
	enum line_news news;

	if (!queue->line)
		return queue->head && queue->head == head->head ? LINE_STAYS : LINE_MOVES;
	news = line_compare(&head->line, queue->line);
	if (news == LINE_SEEMS && (!is_close(stall, sample) || stall->brief))
		return LINE_VAGUE;
	return news;
}

/* One on which nobody waits any more was accepted from. */
static void note_emptied(struct stall *stall, const struct stall_sample *sample)
{
	for (size_t i = 0; i < stall->n_heads; i++)
		if (!queue_of(sample, stall->heads[i].socket))
			stall->head_gone = sample->now;
}

/* What is known of a queue: since when nobody has accepted there. */
static struct stall_head follow(struct stall *stall, const struct stall_queue *queue,
				const struct stall_sample *sample)
{
	const struct stall_head *before = head_at(stall, queue->socket);
	enum line_news news = before ? news_of(stall, before, queue, sample) : LINE_VAGUE;
	struct stall_head head = {.socket = queue->socket,
				  .head = queue->head,
				  .since = sample->now,
				  .accepted = sample->given_after - sample->queued};

	if (news == LINE_STAYS || news == LINE_SEEMS) {
		head.since = before->since;
		head.accepted = before->accepted;
		head.seems = before->seems || news == LINE_SEEMS;
	} else if (news == LINE_MOVES) {
		stall->head_gone = sample->now;
	} else if (before) {
		stall->head_lost = sample->now;
	}
	/* without memory it is not known what becomes of it */
	if (queue->line)
		(void)line_copy(queue->line, &head.line);
	return head;
}

/* The first and the last since when nobody has accepted from a socket. */
struct heads_range {
	uint64_t oldest, youngest;
	bool seems; /* of any of them */
};

static struct heads_range note_heads(struct stall *stall, const struct stall_sample *sample)
{
	struct stall_head *heads = calloc(sample->n_queues + 1, sizeof(*heads));
	struct heads_range range = {sample->now, heads ? 0 : sample->now, false};

	note_emptied(stall, sample);
	for (size_t i = 0; heads && i < sample->n_queues; i++) {
		heads[i] = follow(stall, &sample->queues[i], sample);
		range.seems |= heads[i].seems;
		range.oldest = MIN(range.oldest, heads[i].since);
		range.youngest = MAX(range.youngest, heads[i].since);
	}
	forget_heads(stall);
	stall->heads = heads;
	stall->n_heads = heads ? sample->n_queues : 0;
	return range;
}

/* Whether others were accepted since, on other sockets: where somebody is the first since then. */
static bool others_accept(const struct stall *stall, const struct stall_sample *sample,
			  uint64_t since)
{
	for (size_t i = 0; sample->counted && i < stall->n_heads; i++)
		if (stall->heads[i].since == since)
			return (int64_t)(sample->given_before - sample->queued -
					 stall->heads[i].accepted) > 0;
	return false;
}

static struct stall_answer judge_heads(struct stall *stall, const struct stall_sample *sample,
				       uint64_t window)
{
	struct heads_range range;
	uint64_t since;

	if (stall->brief && sample->now - stall->brief >= BRIEF_LASTS(window))
		stall->brief = 0;
	note_brief(stall, sample);
	range = note_heads(stall, sample);
	since = MIN(range.youngest, MAX(range.oldest, MAX(stall->head_gone, stall->head_lost)));
	stall->evidence.waited = sample->now - since;
	stall->evidence.unproven = !stall->head_gone || sample->now - stall->head_gone >= window;
	stall->evidence.one_socket = others_accept(stall, sample, since);
	/* it was noticed only when the counts were read again */
	if (stall->evidence.last_accept && !stall->evidence.one_socket)
		stall->evidence.last_accept =
			MAX(stall->evidence.last_accept, stall->evidence.waited);
	/* what only seems so has to seem so for twice as long */
	return verdict_at(sample->now, since + (range.seems ? 2 * window : window));
}

/* ---- by name ---- */

static struct stall_answer judge_names(struct stall *stall, const struct stall_sample *sample,
				       uint64_t window)
{
	struct stall_answer answer = {STALL_WAITING, USEC_INFINITY, STALL_ASK_NOTHING};
	uint64_t due;

	if (stall->watched && sample->watched_queued < stall->watched_queued)
		forget_names(stall);
	if (!stall->watched) {
		if (sample->sole)
			answer.ask = STALL_ASK_NAMES;
		return answer;
	}
	stall->watched_queued = sample->watched_queued;
	due = stall->named_time +
	      (stall->checked_time == stall->named_time ? FIRST_CHECK(window) : window);
	if (sample->now >= due)
		answer.ask = STALL_ASK_CHECK;
	else
		answer.wake = due;
	return answer;
}

void stall_name(struct stall *stall, uint64_t socket, uint64_t now, struct stall_names *names)
{
	forget_names(stall);
	if (!names->n)
		return;
	stall->names = *names;
	*names = (struct stall_names) {0};
	stall->watched = socket;
	stall->watched_queued = 0;
	stall->named_time = stall->checked_time = now;
}

/* Whether all of `some` are in `all`. */
static bool contains(const struct stall_names *all, const struct stall_names *some)
{
	size_t k = 0;

	for (size_t i = 0; i < some->n; i++) {
		while (k < all->n && all->cookies[k] < some->cookies[i])
			k++;
		if (k == all->n || all->cookies[k] != some->cookies[i])
			return false;
	}
	return true;
}

bool stall_check(struct stall *stall, uint64_t now, const struct stall_names *names,
		 uint64_t window)
{
	if (!stall->watched || !contains(names, &stall->names)) {
		forget_names(stall);
		return false;
	}
	stall->checked_time = now;
	if (now - stall->named_time < window)
		return false;
	stall->evidence.queued = stall->watched_queued;
	stall->evidence.waited = now - stall->named_time;
	stall->evidence.one_socket = true;
	return true;
}

/* ---- both ---- */

static void note_queue(struct stall *stall, const struct stall_sample *sample)
{
	if (!sample->queued)
		stall->nonempty_since = 0;
	else if (!stall->nonempty_since)
		stall->nonempty_since = sample->now - sample->oldest_age;
	stall->evidence = (struct stall_evidence) {
		.queued = sample->queued,
		.last_accept = stall->last_accept ? sample->now - stall->last_accept : 0,
	};
}

uint64_t stall_unseen(uint64_t now, uint64_t due)
{
	return due && now > due + STALL_LATE_MAX ? now - due - STALL_LATE_MAX : 0;
}

/* What was seen up to the last look is as if it had been seen later. */
static void leave_out(struct stall *stall, uint64_t unseen, uint64_t now)
{
	uint64_t *const times[] = {&stall->anchor_time, &stall->nonempty_since,
				   &stall->head_gone,	&stall->head_lost,
				   &stall->named_time,	&stall->checked_time};

	for (size_t i = 0; i < ARRAY_SIZE(times); i++)
		*times[i] = *times[i] ? MIN(*times[i] + unseen, now) : 0;
	for (size_t i = 0; i < stall->n_heads; i++)
		stall->heads[i].since = MIN(stall->heads[i].since + unseen, now);
}

/* What was proven of other sockets proves nothing. */
static void begin_anew(struct stall *stall, const struct stall_sample *sample)
{
	if (stall->begun && stall->sockets_mark == sample->sockets_mark) {
		leave_out(stall, stall_unseen(sample->now, sample->due), sample->now);
		return;
	}
	stall_done(stall);
	*stall = (struct stall) {
		.begun = true,
		.sockets_mark = sample->sockets_mark,
		.last_accept = stall->last_accept,
	};
}

static struct stall_answer judge_by_names_too(struct stall *stall,
					      const struct stall_sample *sample,
					      struct stall_answer by_count, uint64_t window)
{
	struct stall_answer answer = judge_names(stall, sample, window);

	if (by_count.verdict == STALL_STALLED)
		answer.verdict = STALL_STALLED;
	answer.wake = MIN(answer.wake, by_count.wake);
	return answer;
}

static struct stall_answer judge(struct stall *stall, const struct stall_sample *sample,
				 uint64_t window)
{
	struct stall_answer fine = {STALL_FINE, USEC_INFINITY, STALL_ASK_NOTHING}, answer = fine;

	/* with heads, too: it tells when the last accept was */
	if (sample->counted)
		answer = judge_count(stall, sample, window);
	else
		stall->anchored = false;
	if (!sample->queued) {
		forget_names(stall);
		forget_heads(stall);
		return fine;
	}
	if (sample->heads_known)
		return judge_heads(stall, sample, window);
	return judge_by_names_too(stall, sample, answer, window);
}

struct stall_answer stall_step(struct stall *stall, const struct stall_sample *sample,
			       uint64_t window)
{
	struct stall_answer answer;

	begin_anew(stall, sample);
	note_queue(stall, sample);
	answer = judge(stall, sample, window);
	stall->looked = sample->now;
	return answer;
}
