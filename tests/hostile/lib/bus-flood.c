// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * bus-flood SECONDS CONNECTIONS PENDING PATH INTERFACE METHOD [TYPES VALUE...]: calls a method of
 * hsd's without pause, with so many calls unanswered on each connection. Speaks D-Bus by itself, so
 * that hardly anything is slower than what is flooded. Values: of type t, b, u and s.
 *
 * Prints how many calls were answered, and how many refused.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define MESSAGE_MAX 4096
#define INPUT_MAX   65536

struct message {
	unsigned char bytes[MESSAGE_MAX];
	size_t n;
};

struct client {
	int fd;
	uint32_t pending;
	unsigned char input[INPUT_MAX];
	size_t n;	  /* bytes of the input */
	uint64_t to_skip; /* of a message that is longer */
};

static volatile sig_atomic_t stopped;
static uint64_t answered, refused;
static char last[256]; /* refusal */

static void on_signal(int number)
{
	stopped = number;
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* ---- messages ---- */

static void pad(struct message *m, size_t to)
{
	while (m->n % to)
		m->bytes[m->n++] = 0;
}

static void put(struct message *m, const void *data, size_t n)
{
	memcpy(m->bytes + m->n, data, n);
	m->n += n;
}

static void put_number(struct message *m, uint32_t number)
{
	pad(m, 4);
	put(m, &number, sizeof(number));
}

static void put_text(struct message *m, const char *text)
{
	put_number(m, (uint32_t)strlen(text));
	put(m, text, strlen(text) + 1);
}

static void put_signature(struct message *m, const char *types)
{
	unsigned char n = (unsigned char)strlen(types);

	put(m, &n, 1);
	put(m, types, n + 1U);
}

static void put_field(struct message *m, unsigned char code, const char *type, const char *text)
{
	pad(m, 8);
	put(m, &code, 1);
	put_signature(m, type);
	if (*type == 'g')
		put_signature(m, text);
	else
		put_text(m, text);
}

static void put_value(struct message *m, char type, const char *text)
{
	uint64_t number = strtoull(text, NULL, 0);

	if (type == 's') {
		put_text(m, text);
	} else if (type == 't') {
		pad(m, 8);
		put(m, &number, sizeof(number));
	} else {
		put_number(m, (uint32_t)number);
	}
}

/* argv: PATH INTERFACE METHOD [TYPES VALUE...] */
static void make_call(struct message *m, const char *destination, char **argv)
{
	static const unsigned char head[] = {'l', 1, 0, 1};
	const char *types = argv[3] ? argv[3] : "";
	struct message body = {.n = 0};
	uint32_t length;

	for (size_t i = 0; types[i]; i++)
		put_value(&body, types[i], argv[4 + i]);
	m->n = 0;
	put(m, head, sizeof(head));
	put_number(m, (uint32_t)body.n);
	put_number(m, 1); /* the serial */
	put_number(m, 0);
	put_field(m, 1, "o", argv[0]);
	put_field(m, 2, "s", argv[1]);
	put_field(m, 3, "s", argv[2]);
	put_field(m, 6, "s", destination);
	if (*types)
		put_field(m, 8, "g", types);
	length = (uint32_t)m->n - 16;
	memcpy(m->bytes + 12, &length, sizeof(length));
	pad(m, 8);
	put(m, body.bytes, body.n);
}

/* ---- clients ---- */

static int say(int fd, const char *text, char *answer, size_t size)
{
	ssize_t n;

	if (write(fd, text, strlen(text)) < 0)
		return -1;
	n = read(fd, answer, size - 1);
	if (n <= 0)
		return -1;
	answer[n] = '\0';
	return 0;
}

static int greet(int fd)
{
	char *hello[] = {"/org/freedesktop/DBus", "org.freedesktop.DBus", "Hello", NULL};
	char text[128], answer[512], uid[16];
	struct message m;
	int n;

	snprintf(uid, sizeof(uid), "%u", (unsigned)getuid());
	n = snprintf(text, sizeof(text), "AUTH EXTERNAL ");
	for (const char *p = uid; *p; p++)
		n += snprintf(text + n, sizeof(text) - (size_t)n, "%02x", (unsigned)*p);
	snprintf(text + n, sizeof(text) - (size_t)n, "\r\n");
	if (write(fd, "", 1) < 0 || say(fd, text, answer, sizeof(answer)) < 0 ||
	    strncmp(answer, "OK", 2) != 0 || write(fd, "BEGIN\r\n", 7) < 0)
		return -1;
	make_call(&m, "org.freedesktop.DBus", hello);
	return write(fd, m.bytes, m.n) < 0 || read(fd, answer, sizeof(answer)) <= 0 ? -1 : 0;
}

static int connect_bus(void)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX, .sun_path = "/run/dbus/system_bus_socket"};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	if (connect(fd, (struct sockaddr *)&at, sizeof(at)) < 0 || greet(fd) < 0) {
		close(fd);
		return -1;
	}
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

static void count(struct client *client, unsigned char type)
{
	if (type == 2)
		answered++;
	else if (type == 3)
		refused++;
	else
		return;
	if (client->pending)
		client->pending--;
}

/* Its sentence is the first text of the body. */
static void remember(const unsigned char *body, uint32_t size)
{
	if (size > 4 && size <= sizeof(last))
		snprintf(last, sizeof(last), "%.*s", (int)size - 4, (const char *)body + 4);
}

/* Takes one message from the input. 0 = there is none. */
static int take(struct client *client)
{
	uint32_t body, fields;
	uint64_t size;

	if (client->n < 16)
		return 0;
	memcpy(&body, client->input + 4, 4);
	memcpy(&fields, client->input + 12, 4);
	size = 16 + ((fields + 7ULL) & ~7ULL) + body;
	count(client, client->input[1]);
	if (size > client->n) {
		client->to_skip = size - client->n;
		client->n = 0;
		return 0;
	}
	if (client->input[1] == 3)
		remember(client->input + size - body, body);
	client->n -= size;
	memmove(client->input, client->input + size, client->n);
	return 1;
}

static int receive(struct client *client)
{
	ssize_t n = read(client->fd, client->input + client->n, INPUT_MAX - client->n);
	size_t skip;

	if (n <= 0)
		return n < 0 && errno == EAGAIN ? 0 : -1;
	skip = client->to_skip < (uint64_t)n ? (size_t)client->to_skip : (size_t)n;
	client->to_skip -= skip;
	memmove(client->input + client->n, client->input + client->n + skip, (size_t)n - skip);
	client->n += (size_t)n - skip;
	while (take(client))
		;
	return 0;
}

static int work(struct client *client, struct message *m, uint32_t depth)
{
	static uint32_t serial = 1;

	while (client->pending < depth) {
		ssize_t n;

		serial++;
		memcpy(m->bytes + 8, &serial, sizeof(serial));
		n = write(client->fd, m->bytes, m->n);

		if (n < 0)
			break;
		/* the socket is full in the middle of a message: a flood may wait for that */
		for (size_t done = (size_t)n; done<m->n; done += n> 0 ? (size_t)n : 0)
			n = write(client->fd, m->bytes + done, m->n - done);
		client->pending++;
	}
	return receive(client);
}

static void flood(struct client *clients, size_t n, struct message *m, uint32_t depth, double end)
{
	struct pollfd polls[256];

	while (now() < end && !stopped) {
		for (size_t i = 0; i < n; i++) {
			if (clients[i].fd >= 0 && work(&clients[i], m, depth) < 0) {
				close(clients[i].fd);
				clients[i].fd = -1;
			}
			polls[i] = (struct pollfd) {.fd = clients[i].fd, .events = POLLIN};
		}
		poll(polls, n, 100);
	}
}

int main(int argc, char **argv)
{
	size_t n = argc > 6 ? (size_t)atol(argv[2]) : 0, opened = 0;
	struct client *clients = calloc(n, sizeof(*clients));
	struct message m;

	if (!n || n > 256 || !clients)
		return 2;
	signal(SIGTERM, on_signal);
	for (size_t i = 0; i < n; i++) {
		clients[i].fd = connect_bus();
		opened += clients[i].fd >= 0;
	}
	make_call(&m, "org.hotstandby1", argv + 4);
	flood(clients, n, &m, (uint32_t)atol(argv[3]), now() + atof(argv[1]));
	printf("%zu connections, %lu answered, %lu refused: %s\n", opened, (unsigned long)answered,
	       (unsigned long)refused, last);
	return 0;
}
