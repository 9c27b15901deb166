// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * hotstandby-exporter(8): started by its socket when Prometheus comes, with no privilege at all,
 * and ends when nobody has come for a while. It asks hsd over the bus as any user may.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>

#include "exporter/web.h"
#include "util/clock.h"

/* More than the minute between two scrapes that is usual: then it is the same process. */
#define IDLE_USEC (90 * USEC_PER_SEC)
/* ListenStream= may be there several times. */
#define SOCKETS_MAX 8

struct exporter {
	struct web *webs[SOCKETS_MAX];
	unsigned n;
	bool quiesced;
	unsigned long served;
	uint64_t since; /* since when nobody has come */
};

static int open_sockets(struct exporter *exporter)
{
	int n = sd_listen_fds(1);

	if (n <= 0 || n > SOCKETS_MAX) {
		fprintf(stderr,
			"hotstandby-exporter: started with %d sockets; it takes 1 to %d from "
			"systemd: systemctl start hotstandby-exporter.socket\n",
			MAX(n, 0), SOCKETS_MAX);
		return -EINVAL;
	}
	for (int i = 0; i < n; i++) {
		int fd = SD_LISTEN_FDS_START + i;
		int r = sd_is_socket(fd, AF_UNSPEC, SOCK_STREAM, 1);

		if (r > 0)
			r = web_new(fd, &exporter->webs[exporter->n]);
		else
			r = r ?: -ENOTSOCK;
		if (r < 0) {
			fprintf(stderr, "hotstandby-exporter: cannot serve on socket %d: %s\n", i,
				strerror(-r));
			return r;
		}
		exporter->n++;
	}
	return 0;
}

/* How long to wait at most: milliseconds. */
static int patience(const struct exporter *exporter, uint64_t now)
{
	uint64_t until = exporter->since + IDLE_USEC;
	int least = until > now ? (int)((until - now) / USEC_PER_MSEC) + 1 : 0;

	/* then only what is still connected is waited for */
	if (exporter->quiesced)
		least = 1000;
	for (unsigned i = 0; i < exporter->n; i++) {
		int timeout = web_timeout(exporter->webs[i]);

		least = timeout >= 0 ? MIN(least, timeout) : least;
	}
	return least;
}

static bool is_busy(const struct exporter *exporter)
{
	bool busy = false;

	for (unsigned i = 0; i < exporter->n; i++)
		busy |= web_is_busy(exporter->webs[i]);
	return busy;
}

static void run_once(struct exporter *exporter)
{
	struct pollfd polls[SOCKETS_MAX];
	unsigned long served = 0;

	for (unsigned i = 0; i < exporter->n; i++)
		polls[i] = (struct pollfd) {.fd = web_fd(exporter->webs[i]), .events = POLLIN};
	(void)poll(polls, exporter->n, patience(exporter, now_usec()));
	for (unsigned i = 0; i < exporter->n; i++) {
		web_run(exporter->webs[i]);
		served += web_served(exporter->webs[i]);
	}
	/* as long as anybody is connected it is not idle, however little it has to say */
	if (served != exporter->served || is_busy(exporter))
		exporter->since = now_usec();
	exporter->served = served;
}

/* Who comes from then on waits on the socket, for the next one. */
static void quiesce(struct exporter *exporter)
{
	for (unsigned i = 0; i < exporter->n; i++)
		web_quiesce(exporter->webs[i]);
	exporter->quiesced = true;
}

/* Prometheus keeps its connection open from one scrape to the next. A connection that says nothing
 * is ended by then, so there is an end. */
static void serve(struct exporter *exporter)
{
	exporter->since = now_usec();
	while (!exporter->quiesced || is_busy(exporter)) {
		run_once(exporter);
		if (!exporter->quiesced && now_usec() >= exporter->since + IDLE_USEC &&
		    !is_busy(exporter))
			quiesce(exporter);
	}
}

static int usage(FILE *to, int code)
{
	fputs("usage: hotstandby-exporter [--help|--version]\n\n"
	      "Metrics of hotstandby for Prometheus, started by hotstandby-exporter.socket. See "
	      "hotstandby-exporter(8).\n",
	      to);
	return code;
}

int main(int argc, char **argv)
{
	struct exporter exporter = {0};
	int r;

	if (argc == 2 && !strcmp(argv[1], "--version"))
		return puts("hotstandby-exporter " HS_VERSION) < 0;
	if (argc > 1)
		return !strcmp(argv[1], "--help") ? usage(stdout, EXIT_SUCCESS) : usage(stderr, 2);
	signal(SIGPIPE, SIG_IGN);
	r = open_sockets(&exporter);
	if (r >= 0)
		serve(&exporter);
	for (unsigned i = 0; i < exporter.n; i++)
		web_free(exporter.webs[i]);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
