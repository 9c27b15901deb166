// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Objects of BPF programs pass the verifier of this kernel: one test for each file that is given
 * (objects that other compilers made of the same source), or that this build has; and their stack
 * is small enough for older kernels. Then what is said when one does not pass.
 *
 *   test_objects [OBJECT.bpf.o]...
 */
#include "cases.h"

#include <bpf/libbpf.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>

#include "plane/bpf/load.h"
#include "refused.skel.h"

#define OWN_OBJECTS "/../../bpf/*.bpf.o"
#define REFUSED	    "refused.bpf.o"

DEFINE_CLEANUP(struct refused_bpf, refused_bpf__destroy)

static bool has_iterators(struct bpf_object *object)
{
	struct bpf_program *program;

	bpf_object__for_each_program(program, object) if (bpf_program__type(program) ==
							  BPF_PROG_TYPE_TRACING) return true;
	return false;
}

/* ---- the stack ----
 *
 * All functions of a call chain share 512 bytes, and some kernels (6.1) take 32 of them for one
 * that needs a byte, where others (6.18) take 16: what this kernel lets through may be too much for
 * those (Linux, check_max_stack_depth()). So it is added up here as they do.
 */

#define STACK_MAX     512
#define STACK_STEP    32
#define FUNCTIONS_MAX 64

struct functions {
	const struct bpf_insn *code;
	size_t size, n;
	size_t starts[FUNCTIONS_MAX]; /* in order */
};

static bool is_call(const struct bpf_insn *insn)
{
	return insn->code == (BPF_JMP | BPF_CALL) && insn->src_reg == BPF_PSEUDO_CALL;
}

static int compare(const void *a, const void *b)
{
	size_t left = *(const size_t *)a, right = *(const size_t *)b;

	return left < right ? -1 : left > right;
}

static void find_functions(struct functions *f)
{
	f->n = 1;
	for (size_t i = 0; i < f->size; i++) {
		size_t target = i + 1 + f->code[i].imm, k = 0;

		if (!is_call(&f->code[i]))
			continue;
		while (k < f->n && f->starts[k] != target)
			k++;
		assert_true(target < f->size && k < FUNCTIONS_MAX);
		f->starts[k] = target;
		f->n = k == f->n ? k + 1 : f->n;
	}
	qsort(f->starts, f->n, sizeof(f->starts[0]), compare);
}

/* How far below its frame an instruction reaches. `copy`: the register that the frame's address was
 * copied to just before. */
static int reach(const struct bpf_insn *insn, int *copy)
{
	int class = BPF_CLASS(insn->code);
	bool in_frame = (class == BPF_LDX && insn->src_reg == BPF_REG_10) ||
			((class == BPF_STX || class == BPF_ST) && insn->dst_reg == BPF_REG_10);

	if (insn->code == (BPF_ALU64 | BPF_MOV | BPF_X) && insn->src_reg == BPF_REG_10)
		*copy = insn->dst_reg;
	else if (insn->code == (BPF_ALU64 | BPF_ADD | BPF_K) && insn->dst_reg == *copy)
		return -insn->imm;
	return in_frame ? -insn->off : 0;
}

static int deepest(const struct functions *f, size_t start)
{
	size_t end = f->size;
	int own = 1, below = 0, copy = -1;

	for (size_t i = 0; i < f->n; i++)
		if (f->starts[i] > start)
			end = MIN(end, f->starts[i]);
	for (size_t i = start; i < end; i++) {
		own = MAX(own, reach(&f->code[i], &copy));
		if (is_call(&f->code[i]))
			below = MAX(below, deepest(f, i + 1 + f->code[i].imm));
	}
	return (own + STACK_STEP - 1) / STACK_STEP * STACK_STEP + below;
}

static void assert_stack_is_small(struct bpf_program *program)
{
	struct functions functions = {
		.code = bpf_program__insns(program),
		.size = bpf_program__insn_cnt(program),
	};
	int bytes;

	find_functions(&functions);
	bytes = deepest(&functions, 0);
	if (bytes > STACK_MAX)
		fail_msg("%s and what it calls take %d bytes of the stack, and older kernels give "
			 "%d",
			 bpf_program__name(program), bytes, STACK_MAX);
	print_message("# %s: %d bytes of the stack\n", bpf_program__name(program), bytes);
}

static void it_is_loaded(void **state)
{
	struct bpf_program *program;
	struct bpf_object *object = bpf_object__open(*state);
	struct problem problem;

	assert_non_null(object);
	if (has_iterators(object))
		case_needs_iterators();
	if (load_object(object, "it", &problem) < 0)
		fail_msg("%s: %s", (char *)*state, problem.text);
	bpf_object__for_each_program(program, object) assert_stack_is_small(program);
	bpf_object__close(object);
}

/* Of objects that nobody lets through the name says so. */
static bool is_to_load(const char *path)
{
	const char *base = strrchr(path, '/');

	return strcmp(base ? base + 1 : path, REFUSED) != 0;
}

static void a_refused_program_has_the_verifiers_words(void **state)
{
	_cleanup_(refused_bpf__destroyp) struct refused_bpf *skel = refused_bpf__open();
	struct problem problem = {0};

	(void)state;
	assert_non_null(skel);
	assert_int_equal(load_object(skel->obj, "a bad program", &problem), -ENOEXEC);
	print_message("# %s\n", problem.text);
	assert_non_null(strstr(problem.text, "verifier refuses hs_refused of a bad program"));
	assert_non_null(strstr(problem.text, "invalid access to packet"));
	assert_null(strstr(problem.text, "CAP_"));
}

/* The program's own folder is in that of the build. */
static int find_own(const char *program, glob_t *ret_paths)
{
	char folder[256], pattern[sizeof(folder) + sizeof(OWN_OBJECTS)];
	const char *slash = strrchr(program, '/');

	snprintf(folder, sizeof(folder), "%.*s", slash ? (int)(slash - program) : 1,
		 slash ? program : ".");
	snprintf(pattern, sizeof(pattern), "%s" OWN_OBJECTS, folder);
	return glob(pattern, 0, NULL, ret_paths);
}

int main(int argc, char **argv)
{
	glob_t found = {0};
	char **paths = argv + 1;
	size_t n_paths = argc - 1, n = 0;
	struct CMUnitTest *tests;

	if (!n_paths && !find_own(argv[0], &found)) {
		paths = found.gl_pathv;
		n_paths = found.gl_pathc;
	}
	tests = calloc(n_paths + 1, sizeof(*tests));
	if (!tests)
		return 1;
	for (size_t i = 0; i < n_paths; i++)
		if (is_to_load(paths[i]))
			tests[n++] =
				(struct CMUnitTest) {paths[i], it_is_loaded, NULL, NULL, paths[i]};
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(a_refused_program_has_the_verifiers_words);
	return n < 2 ? 1 : !!_cmocka_run_group_tests("objects", tests, n, NULL, NULL);
}
