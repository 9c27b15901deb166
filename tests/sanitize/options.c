// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How the sanitizers are to behave in programs made with SANITIZE=1. In the environment it would be
 * lost: hs-hook hands none on, and units have none. What is here is called by the sanitizers'
 * libraries, the options before any function that they stand in for can be called.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Each unit may write here, whatever its sandbox; tests/system/lib/rig.bash looks here. */
#define REPORT "/dev/shm/sanitizer"

#define COMMON	"quarantine_size_mb=16:detect_stack_use_after_return=1:disable_coredump=0"
#define TO_FILE ":log_exe_name=1:log_path=" REPORT

const char *__asan_default_options(void);
const char *__ubsan_default_options(void);
int __lsan_is_turned_off(void);
void __ubsan_on_report(void);
void __ubsan_get_current_report_data(const char **kind, const char **message, const char **file,
				     unsigned *line, unsigned *column, char **address);

/* Of the program's name, the letter behind "hs-"; by hand, for strcmp(3) is one of those functions.
 */
static char letter_of_helper(void)
{
	char name[16] = "";

	syscall(SYS_prctl, PR_GET_NAME, name, 0, 0, 0);
	return name[0] == 'h' && name[1] == 's' && name[2] == '-' ? name[3] : 0;
}

/* Room for what has been freed is bounded, for so is the memory of hs-probe. */
const char *__asan_default_options(void)
{
	switch (letter_of_helper()) {
	case 'p':
		/* the files of a user that systemd made up go with it: these tell the journal */
		return COMMON;
	case 'e':
		/* tests send hs-example-server this signal, and look for what systemd says */
		return COMMON ":handle_segv=0" TO_FILE;
	}
	return COMMON TO_FILE;
}

const char *__ubsan_default_options(void)
{
	return "print_stacktrace=1";
}

/* Only what runs for long has anything to leak. */
int __lsan_is_turned_off(void)
{
	return strcmp(program_invocation_short_name, "hsd") != 0;
}

/* The whole report follows on the standard error output, whatever log_path= says with gcc; there a
 * test may not look for it. */
void __ubsan_on_report(void)
{
	const char *kind, *message, *file;
	char text[512], path[64], *address;
	unsigned line, column;
	int fd;

	__ubsan_get_current_report_data(&kind, &message, &file, &line, &column, &address);
	snprintf(path, sizeof(path), REPORT ".%d", getpid());
	snprintf(text, sizeof(text), "%s: %s:%u:%u: runtime error: %s\n",
		 program_invocation_short_name, file, line, column, message);
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		fputs(text, stderr);
	if (fd >= 0)
		close(fd);
}
