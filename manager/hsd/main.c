// SPDX-License-Identifier: GPL-2.0-or-later
/* hsd(8), the daemon: sets up the event loop and lets the manager work. */
#include <bpf/libbpf.h>
#include <getopt.h>
#include <signal.h>
#include <systemd/sd-daemon.h>
#include <syslog.h>

#include "hsd/manager.h"
#include "util/macro.h"

DEFINE_CLEANUP(struct manager, manager_free)

static int on_reload(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
	(void)source;
	(void)info;
	sd_notify(0, "RELOADING=1");
	manager_reload(userdata);
	sd_notify(0, "READY=1");
	return 0;
}

/* libbpf's own complaints would be told twice: what matters is in our error texts. */
static int ignore_libbpf(enum libbpf_print_level level, const char *template, va_list args)
{
	(void)level, (void)template, (void)args;
	return 0;
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
		r = sd_event_set_watchdog(event, true);
	if (r < 0)
		return r;
	*ret_event = steal_ptr(&event);
	return 0;
}

static int run(enum nudging_mode nudging)
{
	_cleanup_(sd_event_unrefp) sd_event *event = NULL;
	_cleanup_(manager_freep) struct manager *manager = NULL;
	struct problem problem = {0};
	int r = set_up_loop(&event);

	if (r >= 0)
		r = manager_new(event, nudging, &manager, &problem);
	if (r >= 0)
		r = sd_event_add_signal(event, NULL, SIGHUP, on_reload, manager);
	if (r >= 0) {
		sd_notifyf(0, "READY=1\nSTATUS=%zu services", manager->n_services);
		r = sd_event_loop(event);
		sd_notify(0, "STOPPING=1");
	}
	if (r < 0)
		fprintf(stderr, SD_ERR "hsd: %s\n",
			problem.text[0] ? problem.text : "the event loop failed");
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int usage(FILE *to, int code)
{
	fputs("usage: hsd [--help|--version]\n\n"
	      "The daemon of hotstandby, started by systemd (systemctl start hsd). See hsd(8).\n",
	      to);
	return code;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"help", no_argument, NULL, 'h'},
						{"version", no_argument, NULL, 'V'},
						{"nudge", required_argument, NULL, 'n'},
						{0}};
	enum nudging_mode nudging = NUDGING_AUTO;
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (c == 'V')
			return puts("hsd " HS_VERSION) < 0;
		if (c == 'h')
			return usage(stdout, EXIT_SUCCESS);
		if (c != 'n' || nudging_mode_from_string(optarg, &nudging) < 0)
			return usage(stderr, 2);
	}
	if (optind < argc)
		return usage(stderr, 2);
	libbpf_set_print(ignore_libbpf);
	/* TLS libraries write to sockets whose other end may be gone */
	signal(SIGPIPE, SIG_IGN);
	return run(nudging);
}
