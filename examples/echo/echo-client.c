// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * hs-echo-client: opens connections to an hs-echo-server, or sends it datagrams, and prints of each
 * both ends and who answered:
 *
 *   tcp 192.0.2.7:41234 -> 192.0.2.1:7777 slot=2 0.214 ms
 *
 * Each try has a socket of its own. At the end it tells how many each slot has answered, and what
 * had no answer; the status is 1 if there was such a one.
 */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "echo-address.h"

#define AT_ONCE_MAX 512
#define SLOTS_MAX   64
#define BYTES_MAX   60000
#define SLOT_MAX    33

struct sources {
	union address first;
	uint64_t n; /* 0: the kernel chooses */
};

struct tally {
	char slot[SLOT_MAX];
	unsigned long answers;
};

struct
try {
	int fd;
	bool sent;
	uint64_t began;
	char own[ADDRESS_TEXT_MAX];
};

struct client {
	union address to;
	char to_text[ADDRESS_TEXT_MAX];
	int type;
	struct sources from;
	uint64_t from_port, from_ports; /* the first, and how many; 0: the kernel chooses */
	uint64_t count, rate, at_once, timeout_ms, bytes;
	bool quiet;
	struct try tries[AT_ONCE_MAX];
	size_t n_tries;
	uint64_t begun; /* how many tries were begun */
	unsigned long answered, unanswered;
	struct tally tallies[SLOTS_MAX];
	size_t n_tallies;
};

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* --- the end of a try
 * ----------------------------------------------------------------------------- */

static const char *protocol(const struct client *client)
{
	return client->type == SOCK_STREAM ? "tcp" : "udp";
}

static void try_close(struct client *client, struct try *try)
{
	struct linger reset = {.l_onoff = 1};

	/* a port of our choice is wanted again at once, and not after TIME_WAIT */
	if (client->type == SOCK_STREAM && client->from_ports)
		setsockopt(try->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	if (try->fd >= 0)
		close(try->fd);
	*try = client->tries[--client->n_tries];
}

static void try_failed(struct client *client, struct try *try, const char *why)
{
	client->unanswered++;
	if (!client->quiet)
		printf("%s %s -> %s no answer: %s\n", protocol(client), try->own, client->to_text,
		       why);
	try_close(client, try);
}

static void count(struct client *client, const char *slot)
{
	size_t i;

	for (i = 0; i < client->n_tallies && strcmp(client->tallies[i].slot, slot); i++)
		;
	if (i == SLOTS_MAX)
		return;
	if (i == client->n_tallies)
		snprintf(client->tallies[client->n_tallies++].slot, SLOT_MAX, "%s", slot);
	client->tallies[i].answers++;
}

/* The answer: "slot=2 from=ADDRESS to=ADDRESS bytes=12". Where the server sees another end than
 * ours, something between changes addresses, and that is said. */
static void try_answered(struct client *client, struct try *try, const char *answer)
{
	char slot[SLOT_MAX], from[ADDRESS_TEXT_MAX], to[ADDRESS_TEXT_MAX];
	double ms = (double)(now_us() - try->began) / 1000;

	if (sscanf(answer, "slot=%32s from=%95s to=%95s bytes=", slot, from, to) != 3) {
		try_failed(client, try, "what came is no answer of hs-echo-server");
		return;
	}
	client->answered++;
	count(client, slot);
	if (!client->quiet) {
		printf("%s %s -> %s slot=%s %.3f ms", protocol(client), try->own, client->to_text,
		       slot, ms);
		if (strcmp(from, try->own) || strcmp(to, client->to_text))
			printf(", seen there as %s -> %s", from, to);
		putchar('\n');
	}
	try_close(client, try);
}

/* --- the beginning of a try
 * ----------------------------------------------------------------------- */

static int bind_source(const struct client *client, int fd)
{
	union address from = client->from.first;
	int on = 1;

	if (!client->from.n && !client->from_ports)
		return 0;
	if (client->from.n)
		address_add(&from, (uint32_t)(client->begun % client->from.n));
	else
		from.any.sa_family = client->to.any.sa_family;
	if (client->from_ports) {
		/* each address with each port, when all addresses have been there */
		uint64_t turn = client->from.n ? client->begun / client->from.n : client->begun;

		address_set_port(&from, (uint16_t)(client->from_port + turn % client->from_ports));
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	} else {
		/* else no more than one of the ephemeral ports serves all destinations */
		setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
	}
	return bind(fd, &from.any, address_size(&from)) < 0 ? -errno : 0;
}

static int try_open(struct client *client, struct try *try)
{
	union address own = {.any.sa_family = client->to.any.sa_family};
	socklen_t length = sizeof(own);
	int r = 0;

	try->fd = socket(client->to.any.sa_family, client->type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (try->fd < 0)
		return -errno;
	r = bind_source(client, try->fd);
	if (r == 0 && connect(try->fd, &client->to.any, address_size(&client->to)) < 0 &&
	    errno != EINPROGRESS)
		r = -errno;
	if (getsockname(try->fd, &own.any, &length) == 0)
		address_text(&own, try->own);
	return r;
}

static void try_begin(struct client *client)
{
	struct try *try = &client->tries[client->n_tries++];
	int r;

	*try = (struct try) {.fd = -1, .began = now_us(), .own = "?"};
	r = try_open(client, try);
	client->begun++;
	if (r < 0)
		try_failed(client, try, strerror(-r));
}

/* --- its course
 * ----------------------------------------------------------------------------------- */

static void try_send(struct client *client, struct try *try)
{
	static char bytes[BYTES_MAX];

	if (send(try->fd, bytes, client->bytes, MSG_NOSIGNAL) < 0)
		try_failed(client, try, strerror(errno));
	else
		try->sent = true;
}

static void try_receive(struct client *client, struct try *try)
{
	char answer[1024];
	ssize_t received = recv(try->fd, answer, sizeof(answer) - 1, 0);

	if (received < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (received < 0)
		try_failed(client, try, strerror(errno));
	else if (received == 0 && client->type == SOCK_STREAM)
		try_failed(client, try, "the connection was closed");
	else {
		answer[received] = '\0';
		try_answered(client, try, answer);
	}
}

/* Microseconds until the next try may begin; UINT64_MAX: not before another has ended, or none. */
static uint64_t next_begin(const struct client *client, uint64_t start)
{
	uint64_t due, now = now_us();

	if (client->begun == client->count || client->n_tries == client->at_once)
		return UINT64_MAX;
	if (!client->rate)
		return 0;
	due = start + client->begun * 1000000 / client->rate;
	return due > now ? due - now : 0;
}

static void wait_for_events(struct client *client, uint64_t at_most_us)
{
	struct pollfd polls[AT_ONCE_MAX];
	uint64_t now = now_us(), limit = client->timeout_ms * 1000;
	struct timespec timeout;
	size_t i;

	for (i = 0; i < client->n_tries; i++) {
		const struct try *try = &client->tries[i];
		uint64_t due = try->began + limit;

		polls[i] = (struct pollfd) {.fd = try->fd, .events = try->sent ? POLLIN : POLLOUT};
		if (due <= now)
			at_most_us = 0;
		else if (due - now < at_most_us)
			at_most_us = due - now;
	}
	timeout = (struct timespec) {.tv_sec = (time_t)(at_most_us / 1000000),
				     .tv_nsec = (long)(at_most_us % 1000000) * 1000};
	ppoll(polls, client->n_tries, &timeout, NULL);
	now = now_us();
	/* backwards: the end of one puts the last into its place */
	for (i = client->n_tries; i-- > 0;) {
		struct try *try = &client->tries[i];

		if (polls[i].revents && try->sent)
			try_receive(client, try);
		else if (polls[i].revents)
			try_send(client, try);
		else if (now - try->began >= limit)
			try_failed(client, try, "time is up");
	}
}

static void run(struct client *client)
{
	uint64_t start = now_us(), wait_us;

	while (client->begun < client->count || client->n_tries) {
		wait_us = next_begin(client, start);
		if (wait_us == 0)
			try_begin(client);
		/* with a rate those that are due come first */
		if (wait_us || !client->rate)
			wait_for_events(client, wait_us);
	}
}

static int by_slot(const void *a, const void *b)
{
	const struct tally *one = a, *other = b;

	return strverscmp(one->slot, other->slot);
}

static int summary(struct client *client)
{
	size_t i;

	qsort(client->tallies, client->n_tallies, sizeof(client->tallies[0]), by_slot);
	printf("%lu %s: %lu answered, %lu without an answer\n",
	       client->answered + client->unanswered,
	       client->type == SOCK_STREAM ? "connections" : "datagrams", client->answered,
	       client->unanswered);
	for (i = 0; i < client->n_tallies; i++)
		printf("slot %s: %lu\n", client->tallies[i].slot, client->tallies[i].answers);
	return client->unanswered ? 1 : 0;
}

/* --- settings
 * ------------------------------------------------------------------------------------- */

static const char usage[] =
	"hs-echo-client [OPTION...] ADDRESS:PORT\n"
	"\n"
	"Opens connections to an hs-echo-server, or sends it datagrams, and prints both ends and\n"
	"who answered. Status: 0 all had an answer, 1 some had none, 2 usage.\n"
	"\n"
	"  --udp                  datagrams instead of connections\n"
	"  --count=N              how many (default: 1)\n"
	"  --rate=N               so many in a second (default: each after the one before)\n"
	"  --at-once=N            so many may wait for their answer (default: 1; with --rate, "
	"512)\n"
	"  --from=ADDRESS[+N]     source address; +N: so many from it on, in turn\n"
	"  --from-port=PORT[+N]   source port, likewise\n"
	"  --bytes=N              of each message (default: 12)\n"
	"  --timeout=MS           without an answer after that (default: 1000)\n"
	"  --quiet                the summary alone\n";

enum option_id {
	OPTION_UDP = 256,
	OPTION_COUNT,
	OPTION_RATE,
	OPTION_AT_ONCE,
	OPTION_FROM,
	OPTION_FROM_PORT,
	OPTION_BYTES,
	OPTION_TIMEOUT,
	OPTION_QUIET,
	OPTION_HELP,
};

static const struct option options[] = {{"udp", no_argument, NULL, OPTION_UDP},
					{"count", required_argument, NULL, OPTION_COUNT},
					{"rate", required_argument, NULL, OPTION_RATE},
					{"at-once", required_argument, NULL, OPTION_AT_ONCE},
					{"from", required_argument, NULL, OPTION_FROM},
					{"from-port", required_argument, NULL, OPTION_FROM_PORT},
					{"bytes", required_argument, NULL, OPTION_BYTES},
					{"timeout", required_argument, NULL, OPTION_TIMEOUT},
					{"quiet", no_argument, NULL, OPTION_QUIET},
					{"help", no_argument, NULL, OPTION_HELP},
					{}};

/* Cuts "+N" off. */
static int split_many(char *text, uint64_t max, uint64_t *ret_n)
{
	char *plus = strchr(text, '+');

	*ret_n = 1;
	if (!plus)
		return 0;
	*plus = '\0';
	return number_parse(plus + 1, 1, max, ret_n);
}

static int set_from(struct client *client, char *value)
{
	if (split_many(value, 65536, &client->from.n) < 0)
		return -EINVAL;
	if (address_parse(value, &client->from.first) == 0)
		return 0;
	fprintf(stderr, "'%s' is not an address\n", value);
	return -EINVAL;
}

static int set_from_port(struct client *client, char *value)
{
	if (split_many(value, 65535, &client->from_ports) < 0)
		return -EINVAL;
	return number_parse(value, 1, 65536 - client->from_ports, &client->from_port);
}

/* Returns 0, or 1 if there is nothing more to do, or -EINVAL. */
static int set_option(struct client *client, int option, char *value)
{
	switch (option) {
	case OPTION_UDP:
		client->type = SOCK_DGRAM;
		return 0;
	case OPTION_COUNT:
		return number_parse(value, 1, 1000000000, &client->count);
	case OPTION_RATE:
		return number_parse(value, 1, 1000000, &client->rate);
	case OPTION_AT_ONCE:
		return number_parse(value, 1, AT_ONCE_MAX, &client->at_once);
	case OPTION_FROM:
		return set_from(client, value);
	case OPTION_FROM_PORT:
		return set_from_port(client, value);
	case OPTION_BYTES:
		return number_parse(value, 1, BYTES_MAX, &client->bytes);
	case OPTION_TIMEOUT:
		return number_parse(value, 1, 600000, &client->timeout_ms);
	case OPTION_QUIET:
		client->quiet = true;
		return 0;
	case OPTION_HELP:
		fputs(usage, stdout);
		return 1;
	default:
		return -EINVAL;
	}
}

static int set_destination(struct client *client, int argc, char **argv)
{
	if (optind + 1 != argc || address_parse(argv[optind], &client->to) < 0 ||
	    address_port(&client->to) == 0) {
		fputs("one destination is wanted, of the form ADDRESS:PORT\n", stderr);
		return -EINVAL;
	}
	if (client->from.n && client->from.first.any.sa_family != client->to.any.sa_family) {
		fputs("--from= and the destination are not of one family: both IPv4, or both "
		      "IPv6\n",
		      stderr);
		return -EINVAL;
	}
	address_text(&client->to, client->to_text);
	if (!client->at_once)
		client->at_once = client->rate ? AT_ONCE_MAX : 1;
	return 0;
}

int main(int argc, char **argv)
{
	static struct client client = {
		.type = SOCK_STREAM, .count = 1, .timeout_ms = 1000, .bytes = 12};
	int option, r = 0;

	while (r == 0 && (option = getopt_long(argc, argv, "", options, NULL)) >= 0)
		r = set_option(&client, option, optarg);
	if (r == 0)
		r = set_destination(&client, argc, argv);
	if (r != 0)
		return r < 0 ? 2 : 0;
	run(&client);
	return summary(&client);
}
