// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Objects of BPF programs pass the verifier of this kernel: one test for each file that is given
 * (objects that other compilers made of the same source), or that this build has. Then what is said
 * when one does not pass.
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

static void it_is_loaded(void **state)
{
	struct bpf_object *object = bpf_object__open(*state);
	struct problem problem;

	assert_non_null(object);
	if (has_iterators(object))
		case_needs_iterators();
	if (load_object(object, "it", &problem) < 0)
		fail_msg("%s: %s", (char *)*state, problem.text);
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
