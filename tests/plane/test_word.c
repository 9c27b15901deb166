// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The one writer of the routing word: several at a time lose no edit, rollback knows the word that
 * its edit found, and what would break the word is not written.
 */
#include "cases.h"

#include <bpf/bpf.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "util/clock.h"

#define EDITS	20000
#define COOKIE	4711
#define EDITORS 4

/* A view of its own, as another process has it. */
static struct plane *open_view(void)
{
	struct plane *plane;

	assert_int_equal(plane_open("web", NULL, &plane, NULL), 0);
	return plane;
}

/* ---- several at a time ---- */

struct editor {
	pthread_t thread;
	struct plane *plane;
	word_edit *edit;
	struct word_args args[2]; /* in turn */
	unsigned changed;
};

static void *edit_often(void *userdata)
{
	struct editor *editor = userdata;

	for (unsigned i = 0; i < EDITS; i++)
		editor->changed +=
			plane_edit_word(editor->plane, editor->edit, &editor->args[i % 2], NULL);
	return NULL;
}

static void run_all(struct editor editors[EDITORS], void *(*run)(void *))
{
	for (unsigned i = 0; i < EDITORS; i++) {
		editors[i].plane = open_view();
		assert_int_equal(pthread_create(&editors[i].thread, NULL, run, &editors[i]), 0);
	}
	for (unsigned i = 0; i < EDITORS; i++) {
		assert_int_equal(pthread_join(editors[i].thread, NULL), 0);
		plane_free(editors[i].plane);
	}
}

/* Each has a field of its own, which ends as it wrote it last; and each edit is a generation. */
static void no_edit_is_lost(void **state)
{
	struct rig *rig = *state;
	struct editor editors[EDITORS] = {
		{.edit = word_activate, .args = {{.to = 0}, {.to = 1}}},
		{.edit = word_set_canary,
		 .args = {{.to = 2, .share = 1}, {.to = 3, .share = 65535}}},
		{.edit = word_set_policy,
		 .args = {{.policy = HS_POLICY_PARITY}, {.policy = HS_POLICY_HASH}}},
		{.edit = word_park, .args = {{.on = false}, {.on = true}}},
	};
	unsigned changed = 0;
	uint64_t word;

	run_all(editors, edit_often);
	word = plane_word(rig->plane);
	assert_int_equal(hs_word_active(word), 1);
	assert_int_equal(hs_word_canary(word), 3);
	assert_int_equal(hs_word_share(word), 65535);
	assert_int_equal(hs_word_policy(word), HS_POLICY_HASH);
	assert_int_equal(hs_word_flags(word), HS_FLAG_PARK_ALL);
	for (unsigned i = 0; i < EDITORS; i++)
		changed += editors[i].changed;
	assert_int_equal(word_generation(word), changed);
	/* the first "no park" changes nothing */
	assert_int_equal(changed, EDITORS * EDITS - 1);
}

/* Of several that want the same, one has done it. */
static void one_of_many_changes_it(void **state)
{
	struct rig *rig = *state;
	struct editor editors[EDITORS];
	unsigned changed = 0;

	for (unsigned i = 0; i < EDITORS; i++)
		editors[i] = (struct editor) {
			.edit = word_leave,
			.args = {{.from = HS_SLOT_NONE, .to = i}, {.from = HS_SLOT_NONE, .to = i}}};
	run_all(editors, edit_often);
	for (unsigned i = 0; i < EDITORS; i++) {
		changed += editors[i].changed;
		if (editors[i].changed)
			assert_int_equal(hs_word_active(plane_word(rig->plane)), i);
	}
	assert_int_equal(changed, 1);
}

/* ---- what rollback needs ---- */

/* Parks in the middle of the edit, by another view: the first try of the edit finds another word
 * than it was told. */
static struct plane *meanwhile;

static uint64_t activate_while_another_parks(uint64_t word, const struct word_args *args)
{
	if (!(hs_word_flags(word) & HS_FLAG_PARK_ALL))
		plane_edit_word(meanwhile, word_park, WORD_ARGS(.on = true), NULL);
	return word_activate(word, args);
}

static void assert_previous(const struct plane *plane, uint64_t word, uint64_t cookie)
{
	uint64_t found, of;

	plane_previous(plane, &found, &of);
	assert_int_equal(found, word);
	assert_int_equal(of, cookie);
}

static void rollback_knows_the_word_that_was_found(void **state)
{
	struct rig *rig = *state;
	struct plane_undo undo = {.cookie = COOKIE};
	uint64_t word;

	meanwhile = open_view();
	plane_remember(rig->plane, 17, 18);
	assert_true(plane_edit_word(rig->plane, activate_while_another_parks, WORD_ARGS(.to = 1),
				    &undo));
	word = plane_word(rig->plane);
	assert_int_equal(hs_word_active(word), 1);
	assert_int_equal(hs_word_flags(word), HS_FLAG_PARK_ALL);
	assert_int_equal(word_generation(word), 2);
	assert_int_equal(hs_word_flags(undo.word), HS_FLAG_PARK_ALL);
	assert_int_equal(word_generation(undo.word), 1);
	assert_previous(rig->plane, undo.word, COOKIE);
	assert_int_equal(undo.previous_word, 17);
	assert_int_equal(undo.previous_cookie, 18);
	plane_free(meanwhile);
}

static uint64_t activate_if_nobody_parks(uint64_t word, const struct word_args *args)
{
	uint64_t next = activate_while_another_parks(word, args);

	return hs_word_flags(word) & HS_FLAG_PARK_ALL ? word : next;
}

/* Also when there was something to change at first, and another was faster. */
static void an_edit_that_changes_nothing_is_not_to_be_undone(void **state)
{
	struct rig *rig = *state;
	struct plane_undo undo = {.cookie = COOKIE};

	meanwhile = open_view();
	plane_remember(rig->plane, 17, 18);
	assert_false(
		plane_edit_word(rig->plane, activate_if_nobody_parks, WORD_ARGS(.to = 1), &undo));
	assert_int_equal(undo.word, 0);
	assert_previous(rig->plane, 17, 18);
	/* nor is one that leaves nothing to come back to */
	undo.cookie = 0;
	assert_true(plane_edit_word(rig->plane, word_activate, WORD_ARGS(.to = 1), &undo));
	assert_previous(rig->plane, 0, 0);
	plane_free(meanwhile);
}

/* ---- what would break it ---- */

static uint64_t forget_the_generation(uint64_t word, const struct word_args *args)
{
	(void)args;
	return word ^ 1;
}

static uint64_t active_and_canary(uint64_t word, const struct word_args *args)
{
	uint64_t next = word_activate(word, args);

	return next | 1ULL << HS_WORD_SHARE_SHIFT;
}

static void assert_not_written(struct plane *plane, word_edit edit)
{
	uint64_t word = plane_word(plane);
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		/* what assert() says is meant, and no core file is wanted */
		setrlimit(RLIMIT_CORE, &(struct rlimit) {0, 0});
		if (!freopen("/dev/null", "w", stderr))
			_exit(1);
		signal(SIGABRT, SIG_DFL);
		plane_edit_word(plane, edit, WORD_ARGS(.to = 2), NULL);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	assert_int_equal(plane_word(plane), word);
}

/* The word stays, and who wanted to break it ends: hsd is started again, and nothing needs it. */
static void what_would_break_the_word_is_not_written(void **state)
{
	struct rig *rig = *state;

	rig_flip(rig, 0);
	assert_not_written(rig->plane, forget_the_generation);
	assert_not_written(rig->plane, active_and_canary);
}

/* As a manager of another version does, or somebody with bpftool; `upgrade` as in hs_control. */
static void write_by_hand(uint64_t word, uint64_t upgrade)
{
	int fd = bpf_obj_get(HS_PIN_ROOT "/web/control");
	struct hs_control control;
	uint32_t key = 0;

	assert_true(fd >= 0);
	assert_int_equal(bpf_map_lookup_elem(fd, &key, &control), 0);
	control.word = word;
	control.upgrade = upgrade;
	assert_int_equal(bpf_map_update_elem(fd, &key, &control, BPF_ANY), 0);
	close(fd);
}

/* It is no defect of ours, so it ends nobody. */
static void what_another_has_left_there_is_put_in_order(void **state)
{
	struct rig *rig = *state;

	/* slot 200 is active, slot 1 the canary without a share, and there is a flag of later */
	write_by_hand(9ULL << HS_WORD_GENERATION_SHIFT | 2ULL << HS_WORD_FLAGS_SHIFT |
			      1ULL << HS_WORD_CANARY_SHIFT | 200,
		      0);
	assert_false(plane_edit_word(rig->plane, word_leave, WORD_ARGS(.from = 0, .to = 1), NULL));
	assert_true(plane_edit_word(rig->plane, word_park, WORD_ARGS(.on = true), NULL));
	assert_int_equal(plane_word(rig->plane), 10ULL << HS_WORD_GENERATION_SHIFT |
							 6ULL << HS_WORD_FLAGS_SHIFT |
							 (WORD_INITIAL & 0xffff));
}

/* There was one, of slots that there are not: nobody is to take it up. */
static void a_note_of_an_upgrade_that_cannot_be_is_none(void **state)
{
	static const uint64_t noted = 1ULL << 63 | 0xffffffffULL << 24;
	struct rig *rig = *state;
	struct plane_upgrade upgrade = {.state = 5, .from = 1, .to = 2, .uid = 77}, got;

	assert_false(plane_upgrade(rig->plane, &got));
	plane_set_upgrade(rig->plane, &upgrade);
	assert_true(plane_upgrade(rig->plane, &got));
	assert_memory_equal(&got, &upgrade, sizeof(got));
	write_by_hand(WORD_INITIAL, noted | 1 << 16 | HS_SLOTS_MAX << 8);
	assert_false(plane_upgrade(rig->plane, &got));
	write_by_hand(WORD_INITIAL, noted | 0xff << 16 | 1 << 8);
	assert_false(plane_upgrade(rig->plane, &got));
	write_by_hand(WORD_INITIAL, noted | 1 << 16 | 1 << 8);
	assert_false(plane_upgrade(rig->plane, &got));
	plane_set_upgrade(rig->plane, NULL);
	assert_false(plane_upgrade(rig->plane, &got));
}

static void a_drain_is_noted_where_an_upgrade_would_be(void **state)
{
	struct rig *rig = *state;
	uint64_t now = now_usec() / USEC_PER_SEC;
	struct plane_drain drain = {.slot = 15, .deadline_sec = now + 604800, .uid = UINT32_MAX};
	struct plane_drain other = {.slot = 1, .deadline_sec = now, .uid = 0}, got;
	struct plane_upgrade upgrade = {.state = 5, .from = 1, .to = 2, .uid = 77};

	assert_false(plane_drain(rig->plane, &got));
	plane_note_drain(rig->plane, &drain);
	assert_true(plane_drain(rig->plane, &got));
	assert_int_equal(got.slot, drain.slot);
	assert_int_equal(got.deadline_sec, drain.deadline_sec);
	assert_int_equal(got.uid, drain.uid);
	assert_true(plane_is_noted(rig->plane, &drain));
	assert_false(plane_upgrade(rig->plane, &upgrade));
	/* nobody was there for long */
	drain.deadline_sec = now > 1000000 ? now - 1000000 : 0;
	plane_note_drain(rig->plane, &drain);
	assert_true(plane_drain(rig->plane, &got));
	assert_int_equal(got.deadline_sec, drain.deadline_sec);
	/* another one is */
	plane_forget_drain(rig->plane, &other);
	assert_true(plane_is_noted(rig->plane, &drain));
	plane_set_upgrade(rig->plane, &upgrade);
	assert_false(plane_drain(rig->plane, &got));
	plane_forget_drain(rig->plane, &drain);
	assert_true(plane_upgrade(rig->plane, &upgrade));
	plane_note_drain(rig->plane, &drain);
	plane_forget_drain(rig->plane, &drain);
	assert_false(plane_drain(rig->plane, &got));
}

static void a_drained_slot_is_so_until_it_is_not_retired(void **state)
{
	struct rig *rig = *state;

	plane_set_retired(rig->plane, 15, true);
	assert_false(plane_is_drained(rig->plane, 15));
	plane_set_drained(rig->plane, 15, true);
	plane_set_drained(rig->plane, 0, true);
	assert_true(plane_is_drained(rig->plane, 15) && plane_is_retired(rig->plane, 15));
	plane_set_retired(rig->plane, 15, false);
	assert_false(plane_is_drained(rig->plane, 15) || plane_is_retired(rig->plane, 15));
	assert_true(plane_is_drained(rig->plane, 0));
	plane_set_drained(rig->plane, 0, false);
	assert_false(plane_is_drained(rig->plane, 0));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(no_edit_is_lost),
		CASE(one_of_many_changes_it),
		CASE(rollback_knows_the_word_that_was_found),
		CASE(an_edit_that_changes_nothing_is_not_to_be_undone),
		CASE(what_would_break_the_word_is_not_written),
		CASE(what_another_has_left_there_is_put_in_order),
		CASE(a_note_of_an_upgrade_that_cannot_be_is_none),
		CASE(a_drain_is_noted_where_an_upgrade_would_be),
		CASE(a_drained_slot_is_so_until_it_is_not_retired),
	};

	return cases_run("word", tests);
}
