// SPDX-License-Identifier: GPL-2.0-or-later
/* Work that hsctl has done in a process of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdalign.h>

#include "hsctl/apart.h"
#include "util/problem.h"

struct sample {
	max_align_t wide;
	uintptr_t place;
	int number;
};

static int work(void *data)
{
	struct sample *sample = data;

	sample->place = (uintptr_t)data;
	sample->number *= 2;
	return 7;
}

/* What is left in the copy comes back; the copy is aligned for whatever it may be. */
static void test_copy(void **state)
{
	struct sample sample = {.number = 21};
	struct problem problem = {0};

	(void)state;
	assert_int_equal(apart_run(work, &sample, sizeof(sample), &problem), 7);
	assert_int_equal(sample.number, 42);
	assert_int_equal(sample.place % alignof(max_align_t), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_copy),
	};

	return cmocka_run_group_tests_name("apart", tests, NULL, NULL);
}
