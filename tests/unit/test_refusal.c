// SPDX-License-Identifier: GPL-2.0-or-later
/* What is said of a program that the kernel did not load, from libbpf's log. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/refusal.h"
#include "util/macro.h"

#define HEAD                                                                         \
	"libbpf: prog 'hs_select_udp': BPF program load failed: Permission denied\n" \
	"libbpf: prog 'hs_select_udp': -- BEGIN PROG LOAD LOG --\n"
#define TAIL                                                           \
	"processed 1431 insns (limit 1000000) max_states_per_insn 4\n" \
	"-- END PROG LOAD LOG --\n"                                    \
	"libbpf: prog 'hs_select_udp': failed to load: -13\n"          \
	"libbpf: failed to load object 'selector_udp_bpf'\n"
#define WAY                                                                         \
	"; return named_slot(data[UDP_HEADER], *place); @ selector_udp.bpf.c:217\n" \
	"341: (71) r1 = *(u8 *)(r2 +0)        ; R1_w=scalar() R2_w=pkt(r=0)\n"      \
	"R0=inv(id=0) R1_w=inv0 R10=fp0 fp-8=mmmmmmmm\n"                            \
	"from 338 to 341: R0=1 R6=ctx()\n"
#define WORDS                                                          \
	"invalid access to packet, off=0 size=1, R2(id=5,off=0,r=0)\n" \
	"R2 offset is outside of the packet\n"
#define IN_ONE                                                                                     \
	"invalid access to packet, off=0 size=1, R2(id=5,off=0,r=0); R2 offset is outside of the " \
	"packet"

static const char *described(int error, const char *log, bool perfmon)
{
	static struct problem sentence;

	refusal_describe("the selector for UDP", error, log, perfmon, &sentence);
	return sentence.text;
}

static void test_the_verifiers_last_words_are_told(void **state)
{
	static const char *const logs[] = {
		HEAD WAY WORDS TAIL,
		/* what came before is lost */
		"ter id=5)\n" WAY WORDS TAIL,
		WORDS TAIL,
		HEAD WAY WORDS "verification time 312 usec\nstack depth 120+0\n" TAIL,
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(logs); i++) {
		const char *text = described(-EACCES, logs[i], true);

		assert_int_equal(refusal_of(-EACCES, logs[i], true), REFUSAL_VERIFIER);
		assert_non_null(strstr(text, IN_ONE));
		assert_non_null(strstr(text, "the kernel's verifier refuses hs_select_udp of the "
					     "selector for UDP"));
		assert_null(strstr(text, "CAP_"));
		assert_null(strstr(text, "processed"));
		assert_null(strstr(text, "341:"));
	}
}

static void test_only_what_was_said_last(void **state)
{
	(void)state;
	assert_null(strstr(described(-EINVAL, HEAD "func#0 @0\n" WAY WORDS TAIL, true), "func#0"));
	/* a word in the middle of the way is no last word */
	assert_null(strstr(described(-EINVAL, HEAD "warning\n" WAY WORDS TAIL, true), "warning"));
	assert_non_null(strstr(
		described(-E2BIG,
			  HEAD WAY "BPF program is too large. Processed 1000001 insn\n" TAIL, true),
		": BPF program is too large"));
	/* no words at all: the errno's */
	assert_non_null(strstr(described(-EACCES, HEAD WAY TAIL, true), "Permission denied"));
}

static void test_a_missing_privilege_is_none_of_the_verifiers(void **state)
{
	(void)state;
	assert_int_equal(refusal_of(-EPERM, "", true), REFUSAL_PRIVILEGE);
	assert_non_null(
		strstr(described(-EPERM, "", true), "no permission to load the selector for UDP"));
	assert_non_null(strstr(described(-EPERM, "", true), "CAP_BPF"));
	/* without CAP_PERFMON the verifier refuses what else is in order */
	assert_int_equal(refusal_of(-EACCES, HEAD WAY WORDS TAIL, false), REFUSAL_PRIVILEGE);
	assert_non_null(strstr(described(-EACCES, HEAD WAY WORDS TAIL, false), "CAP_PERFMON"));
	assert_non_null(strstr(described(-EACCES, HEAD WAY WORDS TAIL, false), IN_ONE));
}

static void test_what_nobody_may_load(void **state)
{
	static const char log[] =
		"libbpf: prog 'hs_census': BPF program load failed: Operation not permitted\n"
		"libbpf: permission error while running as root; try raising 'ulimit -l'?\n"
		"libbpf: prog 'hs_census': -- BEGIN PROG LOAD LOG --\n"
		"func#0 @0\nverification time 206 usec\nstack depth 0\n"
		"processed 0 insns (limit 1000000) max_states_per_insn 0\n"
		"-- END PROG LOAD LOG --\n"
		"libbpf: prog 'hs_census': failed to load: -1\n";
	const char *text = described(-EPERM, log, true);

	(void)state;
	assert_int_equal(refusal_of(-EPERM, log, true), REFUSAL_FORBIDDEN);
	assert_non_null(strstr(text, "the kernel lets nobody load hs_census of "));
	assert_non_null(strstr(text, "kernel_lockdown(7)"));
	assert_null(strstr(text, "clang"));
	assert_null(strstr(text, "ulimit"));
	/* who may not anyway */
	assert_int_equal(refusal_of(-EPERM, log, false), REFUSAL_PRIVILEGE);
	/* the verifier's own refusal has a reason */
	assert_int_equal(refusal_of(-EPERM, HEAD WAY WORDS TAIL, true), REFUSAL_VERIFIER);
}

static void test_what_the_kernel_does_not_know(void **state)
{
	static const char program[] =
		"libbpf: prog 'hs_select': BPF program load failed: Invalid argument\n"
		"libbpf: prog 'hs_select': failed to load: -22\n";
	static const char map[] =
		"libbpf: Error in bpf_create_map_xattr(hs_events):Invalid argument(-22). Retrying "
		"without BTF.\n"
		"libbpf: map 'hs_events': failed to create: Invalid argument(-22)\n";

	(void)state;
	assert_int_equal(refusal_of(-EINVAL, program, true), REFUSAL_OTHER);
	assert_non_null(strstr(described(-EINVAL, program, true),
			       ": Invalid argument: prog 'hs_select': BPF program load failed"));
	assert_non_null(strstr(described(-EINVAL, map, true), "hs_events"));
	assert_string_equal(
		described(-ENOMEM, "", true),
		"the kernel does not load the selector for UDP: Cannot allocate memory");
}

/* Whatever the log is, and wherever it is cut. */
static void test_every_cut_is_harmless(void **state)
{
	static const char log[] = HEAD WAY WORDS TAIL;

	(void)state;
	for (size_t i = 0; i < sizeof(log); i++) {
		char *cut = strndup(log, i);

		assert_true(described(-EACCES, cut, true)[0]);
		free(cut);
		assert_true(described(-EACCES, log + i, true)[0]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_verifiers_last_words_are_told),
		cmocka_unit_test(test_only_what_was_said_last),
		cmocka_unit_test(test_a_missing_privilege_is_none_of_the_verifiers),
		cmocka_unit_test(test_what_nobody_may_load),
		cmocka_unit_test(test_what_the_kernel_does_not_know),
		cmocka_unit_test(test_every_cut_is_harmless),
	};

	return cmocka_run_group_tests_name("refusal", tests, NULL, NULL);
}
