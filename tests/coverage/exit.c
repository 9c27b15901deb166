// SPDX-License-Identifier: GPL-2.0-or-later
/* scripts/coverage: what ends by _exit(2), as workers and children of tests do, tells first which
 * lines it has reached. Linked in place of _exit(). */
#include <gcov.h>

void __real__exit(int code);
void __wrap__exit(int code);

void __wrap__exit(int code)
{
	__gcov_dump();
	__real__exit(code);
}
