/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What joins the rig to cmocka: include it in a test program, list the tests with CASE(), and
 * return cases_run() from main(). Each test gets its own rig as *state. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "client.h"
#include "plane/act/retire.h"
#include "plane/bpf/pins.h"
#include "plane/selftest/selftest.h"
#include "rig.h"
#include "server.h"
#include "util/macro.h"
#include "wire.h"

static inline void case_failed(const char *file, int line, const char *text)
{
	print_error("%s\n", text);
	_fail(file, line);
}

/* Skips the test on a kernel that cannot do this, and names it as hsctl doctor does. Found out by
 * trying, once in a program. */
static inline void case_needs(enum ability ability)
{
	static struct ability_result results[ABILITY_COUNT];
	static uint32_t tried;

	if (!(tried & 1U << ability)) {
		struct selftest *selftest;

		assert_int_equal(selftest_start(1U << ability, &selftest), 0);
		results[ability] =
			selftest_finish(selftest, RIG_DEADLINE_USEC / USEC_PER_MSEC)[ability];
		selftest_free(selftest);
		tried |= 1U << ability;
	}
	if (results[ability].verdict != ABILITY_FAILS)
		return;
	print_message("# needs %s: %s\n", ability_to_string(ability), results[ability].detail);
	skip();
}

/* Whether this kernel lets root load a program, an empty one, that goes through the sockets of a
 * map: it may not describe itself, and one (6.18.44, as a cloud has built it) refuses all iterators
 * over the elements of maps with EPERM, before its verifier looks at a single instruction, where
 * those over tasks or TCP sockets load. Without any code of ours, which may be what is wrong. */
static inline bool case_has_iterators(void)
{
	static const struct bpf_insn return_0[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0},
		{.code = BPF_JMP | BPF_EXIT},
	};
	LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = BPF_TRACE_ITER);
	int id = libbpf_find_vmlinux_btf_id("bpf_sk_storage_map", BPF_TRACE_ITER), fd;

	options.attach_btf_id = id > 0 ? id : 0;
	fd = bpf_prog_load(BPF_PROG_TYPE_TRACING, "nothing", "GPL", return_0, 2, &options);
	if (fd < 0)
		return false;
	close(fd);
	return true;
}

static inline void case_needs_iterators(void)
{
	if (case_has_iterators())
		return;
	print_message("# needs a kernel that lets root load BPF iterators over maps\n");
	skip();
}

/* Only namespaces and the cgroup. */
static inline int case_begin_bare(void **state)
{
	*state = rig_begin();
	return 0;
}

/* With accounting and the plane of a service "web". */
static inline int case_begin(void **state)
{
	struct rig *rig = rig_begin();

	*state = rig;
	rig_planes(rig);
	return 0;
}

static inline int case_end(void **state)
{
	rig_end(*state);
	return 0;
}

#define CASE(test)	cmocka_unit_test_setup_teardown(test, case_begin, case_end)
#define BARE_CASE(test) cmocka_unit_test_setup_teardown(test, case_begin_bare, case_end)

struct cases {
	const char *name;
	const struct CMUnitTest *tests;
	size_t n;
};

static inline int cases_run_child(void *userdata)
{
	const struct cases *cases = userdata;

	rig_on_failure = case_failed;
	libbpf_set_print(NULL);
	return !!_cmocka_run_group_tests(cases->name, cases->tests, cases->n, NULL, NULL);
}

#define cases_run(name, tests) \
	rig_keep(cases_run_child, &(struct cases) {name, tests, ARRAY_SIZE(tests)})

/* Two servers, A in slot 0 and B in slot 1, that listen on the address; adopted, A active. */
struct pair {
	struct server *a, *b;
};

static inline struct server *start_adopted(struct rig *rig, unsigned slot,
					   const struct address *address)
{
	struct server *server = server_start(rig, slot);

	assert_int_equal(server_listen(server, address, 0), 0);
	assert_int_equal(rig_adopt(rig, server), 1);
	return server;
}

static inline struct pair start_pair(struct rig *rig, const struct address *address)
{
	struct pair pair = {start_adopted(rig, 0, address), start_adopted(rig, 1, address)};

	assert_int_equal(hs_word_active(plane_word(rig->plane)), 0);
	return pair;
}

static inline void serve_pair(const struct pair *pair)
{
	server_serve(pair->a, true);
	server_serve(pair->b, true);
}
