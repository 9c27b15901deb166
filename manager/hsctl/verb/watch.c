// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsctl/verb/watch.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "hsctl/verb/verb.h"
#include "hsctl/wrap.h"
#include "util/clock.h"
#include "util/macro.h"

#define PAINT_EVERY USEC_PER_SEC

/* Nobody sits in front of a screen that stands still, and Ctrl-C waits for this, too. */
#define PATIENCE (2 * USEC_PER_SEC)

/* Another screen, no cursor, no wrapping of long lines; and back. */
#define SCREEN_ENTER "\033[?1049h\033[?25l\033[?7l"
#define SCREEN_LEAVE "\033[?7h\033[?25h\033[?1049l"
#define SCREEN_HOME  "\033[H"
#define LINE_END     "\033[K"
#define SCREEN_END   "\033[J"

static volatile sig_atomic_t stopped;

static void on_signal(int number)
{
	stopped = number;
}

static void catch_signals(void)
{
	struct sigaction action = {.sa_handler = on_signal};

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
}

/* Sleeps till then, or till a signal that came at any time since the signals were blocked. */
static void sleep_until(uint64_t usec, const sigset_t *unblocked)
{
	uint64_t now = now_usec(), left = usec > now ? usec - now : 0;
	struct timespec span = {
		.tv_sec = left / USEC_PER_SEC,
		.tv_nsec = left % USEC_PER_SEC * NSEC_PER_USEC,
	};

	ppoll(NULL, 0, &span, unblocked);
}

static void print_time(FILE *out)
{
	char text[32];
	time_t now = time(NULL);
	struct tm tm;

	if (localtime_r(&now, &tm) && strftime(text, sizeof(text), "%F %T", &tm))
		fprintf(out, "%s\n", text);
}

static void paint(const char *picture)
{
	fputs(SCREEN_HOME, stdout);
	for (; *picture; picture++) {
		if (*picture == '\n')
			fputs(LINE_END, stdout);
		putchar(*picture);
	}
	fputs(SCREEN_END, stdout);
}

static int show(const struct arguments *arguments, const struct watched *watched, bool screen)
{
	_cleanup_(freep) char *picture = NULL, *wrapped = NULL;
	size_t size;
	FILE *out = open_memstream(&picture, &size);

	if (!out)
		return -ENOMEM;
	if (!arguments->json)
		print_time(out);
	watched->draw(arguments, watched->service, out);
	if (!arguments->json && !screen)
		fputc('\n', out);
	if (fclose(out))
		return -ENOMEM;
	wrapped = wrap_text(picture, screen ? wrap_width(STDOUT_FILENO) : 0);
	if (screen)
		paint(wrapped ?: picture);
	else
		fputs(picture, stdout);
	return fflush(stdout) ? -errno : 0;
}

int watch(const struct arguments *arguments, const struct watched *watched)
{
	bool screen = !arguments->json && isatty(STDOUT_FILENO);
	struct arguments patient = *arguments;
	uint64_t next = now_usec();
	sigset_t block, before;
	int r = 0;

	patient.timeout_usec = MIN(arguments->timeout_usec, PATIENCE);
	sigemptyset(&block);
	sigaddset(&block, SIGINT);
	sigaddset(&block, SIGTERM);
	sigaddset(&block, SIGHUP);
	sigprocmask(SIG_BLOCK, &block, &before);
	catch_signals();
	if (screen)
		fputs(SCREEN_ENTER, stdout);
	while (!r && !stopped) {
		r = show(&patient, watched, screen);
		next = MAX(next + PAINT_EVERY, now_usec());
		sleep_until(next, &before);
	}
	if (screen)
		fputs(SCREEN_LEAVE, stdout);
	return r < 0 ? EXIT_FAILED : EXIT_DONE;
}
