// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * hs-hook prepare|adopt|retire|leave UNIT: what the drop-in of a service runs as root, before
 * hsctl.
 *
 * systemd gives a command of a unit the unit's environment, also one with '+' in front, and who may
 * write an EnvironmentFile= need not be root: LD_PRELOAD= would be root for the asking. So nothing
 * here reads the environment: there is no dynamic loader, which obeys LD_*, and no C library, which
 * even in a static program obeys GLIBC_TUNABLES. hsctl is then run with an environment of ours, and
 * with nothing else of the unit's: folder, umask, input, descriptors.
 */
#include <asm/unistd.h>
#include <linux/fcntl.h>
#include <stddef.h>

#include "core/contract.h"
#include "hook/syscall.h"

#define HSCTL	 HS_PREFIX "/bin/hsctl"
#define PATH	 "PATH=" HS_PREFIX "/sbin:" HS_PREFIX "/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define FD_FIRST 3
#define FD_LAST	 (~0U)
#define UMASK	 0027

#define SAY(text) system_call(__NR_write, 2, (long)(text), sizeof(text) - 1)

_Noreturn void hook_start(const long *stack);

_Noreturn static void end(int code)
{
	while (1)
		system_call(__NR_exit_group, code, 0, 0);
}

static int is_same(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return *a == *b;
}

static int is_verb(const char *word)
{
	return is_same(word, "prepare") || is_same(word, "adopt") || is_same(word, "retire") ||
	       is_same(word, "leave");
}

/* What came with the unit is not for hsctl; its output is, for that is what systemd shows. */
static void leave_unit(void)
{
	long null = system_call(__NR_openat, AT_FDCWD, (long)"/dev/null", O_RDONLY);

	if (null > 0)
		system_call(__NR_dup3, null, 0, 0);
	system_call(__NR_close_range, FD_FIRST, FD_LAST, 0);
	system_call(__NR_chdir, (long)"/", 0, 0);
	system_call(__NR_umask, UMASK, 0, 0);
}

_Noreturn void hook_start(const long *stack)
{
	static char *const environment[] = {PATH, NULL};
	char *const *given = (char *const *)(stack + 1);
	/* by this name it knows that a unit waits for it, and not somebody who wants an exit code
	 */
	char *const command[] = {"hs-hook", stack[0] == 3 ? given[1] : "", "--", given[2], NULL};

	if (stack[0] != 3 || !is_verb(given[1])) {
		SAY("usage: hs-hook prepare|adopt|retire|leave UNIT\n");
		end(EXIT_USAGE);
	}
	leave_unit();
	system_call(__NR_execve, (long)HSCTL, (long)command, (long)environment);
	SAY("hs-hook: cannot run " HSCTL "; is it installed?\n");
	end(EXIT_DONE);
}
