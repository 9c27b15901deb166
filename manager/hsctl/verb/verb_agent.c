// SPDX-License-Identifier: GPL-2.0-or-later
/* agent: what this host says of itself to balancers, once or to all who connect to a socket; by
 * what is pinned alone, so that it works without hsd. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "hsctl/direct.h"
#include "hsctl/verb/verb.h"
#include "hsctl/verb_functions.h"
#include "plane/leaving.h"
#include "util/clock.h"
#include "util/macro.h"

/* Who asks has so long to ask, and to take the answer. */
#define PATIENCE    (2 * USEC_PER_SEC)
#define CLIENTS_MAX 64
/* Who asks so soon after another gets what that one got: however many ask, it costs the machine
 * little. */
#define KEPT (100 * USEC_PER_MSEC)

static struct presence look(const char *service, struct problem *problem)
{
	_cleanup_(direct_close) struct direct direct = {0};
	const struct presence_facts unknown = {.unknown = true};

	if (direct_open_pins(service, &direct, problem) < 0)
		return presence_judge(&unknown);
	problem->text[0] = '\0';
	return plane_presence(direct.plane, direct.config.slots);
}

/* ---- all who connect ---- */

struct client {
	int fd; /* -1 = none */
	bool answered;
	uint64_t until;
};

struct desk {
	const char *service;
	bool http;
	int listener;
	struct presence presence;
	uint64_t looked; /* when that was so; 0 = nobody has asked yet */
	struct client clients[CLIENTS_MAX];
};

static void drop(struct client *client)
{
	client->fd = close_fd(client->fd);
}

static void look_again(struct desk *desk)
{
	struct problem problem = {0};
	uint64_t now = now_usec();

	if (desk->looked && now - desk->looked < KEPT)
		return;
	desk->looked = now;
	desk->presence = look(desk->service, &problem);
}

static void answer(struct desk *desk, struct client *client)
{
	char text[PRESENCE_TEXT_MAX];

	look_again(desk);
	if (desk->http)
		presence_http(&desk->presence, text);
	else
		presence_line(&desk->presence, text);
	(void)send(client->fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT);
	/* the end is theirs: a connection that is closed with something unread is reset */
	shutdown(client->fd, SHUT_WR);
	client->answered = true;
}

/* A request by HTTP is not looked at: whatever is asked for, this is the answer. */
static void hear(struct desk *desk, struct client *client)
{
	char text[4096];
	ssize_t n = recv(client->fd, text, sizeof(text), MSG_DONTWAIT);

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		drop(client);
	else if (n > 0 && !client->answered)
		answer(desk, client);
}

static struct client *free_place(struct desk *desk)
{
	struct client *oldest = &desk->clients[0];

	for (size_t i = 0; i < ARRAY_SIZE(desk->clients); i++) {
		if (desk->clients[i].fd < 0)
			return &desk->clients[i];
		if (desk->clients[i].until < oldest->until)
			oldest = &desk->clients[i];
	}
	drop(oldest);
	return oldest;
}

static void receive(struct desk *desk)
{
	int fd = accept4(desk->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct client *client;

	if (fd < 0)
		return;
	client = free_place(desk);
	*client = (struct client) {.fd = fd, .until = now_usec() + PATIENCE};
	if (!desk->http)
		answer(desk, client);
}

static void end_late(struct desk *desk)
{
	uint64_t now = now_usec();

	for (size_t i = 0; i < ARRAY_SIZE(desk->clients); i++)
		if (desk->clients[i].fd >= 0 && now >= desk->clients[i].until)
			drop(&desk->clients[i]);
}

static void serve_once(struct desk *desk)
{
	struct pollfd fds[CLIENTS_MAX + 1] = {{.fd = desk->listener, .events = POLLIN}};
	bool any = false;

	for (size_t i = 0; i < CLIENTS_MAX; i++) {
		fds[i + 1] = (struct pollfd) {.fd = desk->clients[i].fd, .events = POLLIN};
		any |= desk->clients[i].fd >= 0;
	}
	if (poll(fds, CLIENTS_MAX + 1, any ? (int)(PATIENCE / USEC_PER_MSEC / 4) : -1) < 0)
		return;
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		if (fds[i + 1].revents)
			hear(desk, &desk->clients[i]);
	end_late(desk);
	if (fds[0].revents)
		receive(desk);
}

static int serve(const char *service, bool http)
{
	struct desk desk = {.service = service, .http = http, .listener = SD_LISTEN_FDS_START};

	if (sd_listen_fds(1) != 1) {
		complain("--serve takes the one socket that systemd hands over, as by "
			 "hotstandby-agent@%s.socket",
			 service);
		return EXIT_USAGE;
	}
	for (size_t i = 0; i < ARRAY_SIZE(desk.clients); i++)
		desk.clients[i].fd = -1;
	for (;;)
		serve_once(&desk);
}

/* ---- once ---- */

int verb_agent(const struct arguments *arguments)
{
	char service[SERVICE_NAME_MAX], text[PRESENCE_TEXT_MAX];
	struct problem problem = {0};
	struct presence presence;

	if (verb_service(arguments, service))
		return EXIT_USAGE;
	if (arguments->serve)
		return serve(service, arguments->http);
	presence = look(service, &problem);
	if (problem.text[0])
		complain("%s", problem.text);
	if (arguments->http)
		presence_http(&presence, text);
	else
		presence_line(&presence, text);
	fputs(text, stdout);
	/* else that it could be said is success */
	return arguments->by_exit ? presence_exit(&presence) : EXIT_DONE;
}
