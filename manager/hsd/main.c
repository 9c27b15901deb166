// SPDX-License-Identifier: GPL-2.0-or-later
/* hsd(8), the daemon: sets up the event loop and lets the manager work. */
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/stat.h>
#include <syslog.h>
#include <systemd/sd-daemon.h>

#include "hsd/giveback.h"
#include "hsd/manager.h"
#include "hsd/services.h"
#include "hsd/state.h"
#include "hsd/turns.h"
#include "plane/bpf/load.h"
#include "plane/path/unixask.h"
#include "plane/selftest/selftest.h"
#include "system/machine.h"
#include "system/notify.h"
#include "system/startlog.h"
#include "system/work/work.h"
#include "util/clock.h"
#include "util/files.h"
#include "util/macro.h"

/* hsd.service does not restart after this one: EX_UNAVAILABLE of sysexits.h. */
#define EXIT_UNFIT 69

DEFINE_CLEANUP(struct manager, manager_free)

#define BARRIER_USEC (100 * USEC_PER_MSEC)

/* Who starts hsd and then asks it is not to hear that it knows nothing yet; but a systemd that is
 * slow to answer is not to hold the start up. */
#define KNOWN_LOOK_USEC (5 * USEC_PER_MSEC)
#define KNOWN_WAIT_USEC (2 * USEC_PER_SEC)

struct start {
	struct manager *manager;
	sd_event_source *source;
	uint64_t deadline;
};

static int on_reload(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
	(void)source;
	(void)info;
	(void)notify_send("RELOADING=1", -1);
	services_reload(userdata);
	(void)notify_send("READY=1", -1);
	return 0;
}

static int on_known_look(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct start *start = userdata;
	char ready[64];

	if (!services_are_known(start->manager) && usec < start->deadline) {
		sd_event_source_set_time_relative(source, KNOWN_LOOK_USEC);
		return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
	}
	start->source = sd_event_source_disable_unref(source);
	snprintf(ready, sizeof(ready), "READY=1\nSTATUS=%zu services", start->manager->n_services);
	(void)notify_send(ready, -1);
	return 0;
}

/* Ready is told when systemd has told about all slots, or has had the time to. */
static int tell_ready(sd_event *event, struct start *start)
{
	start->deadline = now_usec() + KNOWN_WAIT_USEC;
	return sd_event_add_time(event, &start->source, CLOCK_MONOTONIC, 0, 1, on_known_look,
				 start);
}

static int set_up_loop(sd_event **ret_event)
{
	_cleanup_(sd_event_unrefp) sd_event *event = NULL;
	sigset_t signals;
	int r = sd_event_default(&event);

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &signals, NULL) < 0)
		return -errno;
	if (r >= 0)
		r = sd_event_add_signal(event, NULL, SIGTERM, NULL, NULL);
	if (r >= 0)
		r = sd_event_add_signal(event, NULL, SIGINT, NULL, NULL);
	if (r >= 0)
		r = notify_begin(event);
	if (r < 0)
		return r;
	*ret_event = steal_ptr(&event);
	return 0;
}

/* The journal takes a priority off the line again; a terminal would show it. */
static bool is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	uintmax_t device, inode;
	struct stat status;

	return stream && sscanf(stream, "%ju:%ju", &device, &inode) == 2 &&
	       !fstat(STDERR_FILENO, &status) && status.st_dev == device && status.st_ino == inode;
}

/* What ends it: to who started it, and to hsctl doctor by way of systemd, which has to have read it
 * before this process is gone. */
static void tell_end(const char *text)
{
	_cleanup_(freep) char *status = format("STATUS=%s", text);

	fprintf(stderr, "%shsd: %s\n", is_journal() ? SD_ERR : "", text);
	startlog_fail(text);
	if (status && !notify_send(status, -1))
		sd_notify_barrier(0, BARRIER_USEC);
}

static void tell_wait(const struct startlog *log, uint64_t delay)
{
	const char *words = log->last_words.text[0] ? log->last_words.text : "it crashed";
	_cleanup_(freep) char *status =
		format("STATUS=ended %u times in a row, waits before it tries again: %s", log->ends,
		       words);
	char span[SPAN_TEXT_MAX];

	span_format(delay, span, sizeof(span));
	fprintf(stderr, "%shsd: ended %u times in a row soon after its start; waits %s now\n",
		is_journal() ? SD_WARNING : "", log->ends, span);
	if (status)
		(void)notify_send(status, -1);
}

/* A start that fails, and fails again, must not keep the machine busy. False = told to end. */
static bool wait_before_start(void)
{
	struct startlog log;
	uint64_t delay = startlog_begin(&log);
	struct timespec span = {.tv_sec = delay / USEC_PER_SEC,
				.tv_nsec = delay % USEC_PER_SEC * NSEC_PER_USEC};
	sigset_t signals;

	if (!delay)
		return true;
	tell_wait(&log, delay);
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	if (sigtimedwait(&signals, NULL, &span) < 0)
		return true;
	startlog_end();
	return false;
}

/* To be active where nothing can be done would help nobody; to be started again would not either.
 */
static bool is_refused(void)
{
	struct problem refusal;

	if (!machine_check_mounts(&refusal) && !selftest_refuses(&refusal))
		return false;
	tell_end(refusal.text);
	return true;
}

static int run(struct manager_options *options)
{
	_cleanup_(sd_event_unrefp) sd_event *event = NULL;
	_cleanup_(manager_freep) struct manager *manager = NULL;
	struct problem problem = {0};
	struct start start = {0};
	/* while there is nothing open that its children should not have */
	int r = work_host_new(true, 0, &options->work_host);

	/* without it the loop asks for itself */
	if (r >= 0 && unixask_is_needed())
		(void)unixask_begin();
	if (r >= 0)
		r = set_up_loop(&event);
	if (r >= 0)
		r = manager_new(event, options, &manager, &problem);
	if (r >= 0)
		r = sd_event_add_signal(event, NULL, SIGHUP, on_reload, manager);
	start.manager = manager;
	if (r >= 0) {
		manager->starts = startlog_count();
		r = tell_ready(event, &start);
	}
	if (r >= 0) {
		r = turns_loop(event, options->debug, &manager->turns);
		(void)notify_send("STOPPING=1", -1);
	}
	sd_event_source_disable_unref(start.source);
	notify_end();
	/* not on a signal: the bus has made an end of it */
	if (r > 0)
		r = problem_set(&problem, -ENOTCONN,
				"the connection to the system bus is gone; traffic goes on, and "
				"systemd starts hsd anew");
	if (r < 0)
		tell_end(problem.text[0] ? problem.text : "the event loop failed");
	else if (!r)
		startlog_end();
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int start(struct manager_options *options)
{
	if (!wait_before_start())
		return EXIT_SUCCESS;
	return is_refused() ? EXIT_UNFIT : run(options);
}

static int usage(FILE *to, int code)
{
	fputs("usage: hsd [--debug|--hand-over=VERSION|--help|--version]\n\n"
	      "The daemon of hotstandby, started by systemd (systemctl start hsd). See hsd(8).\n",
	      to);
	return code;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"help", no_argument, NULL, 'h'},
						{"version", no_argument, NULL, 'V'},
						{"nudge", required_argument, NULL, 'n'},
						{"debug", no_argument, NULL, 'd'},
						{"hand-over", required_argument, NULL, 'o'},
						{0}};
	struct manager_options manager = {.nudging = NUDGING_AUTO, .work_host = -1};
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (c == 'V')
			return puts("hsd " HS_VERSION) < 0;
		if (c == 'h')
			return usage(stdout, EXIT_SUCCESS);
		if (c == 'o')
			return giveback_ask(optarg);
		manager.debug |= c == 'd';
		if (c == 'd')
			continue;
		if (c != 'n' || nudging_mode_from_string(optarg, &manager.nudging) < 0)
			return usage(stderr, 2);
	}
	if (optind < argc)
		return usage(stderr, 2);
	load_quietly();
	/* the folders of pins are for root's group as well, whatever the unit says of files */
	umask(0027);
	signal(SIGPIPE, SIG_IGN);
	c = start(&manager);
	giveback_end();
	return c;
}
