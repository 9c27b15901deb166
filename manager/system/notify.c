// SPDX-License-Identifier: GPL-2.0-or-later
#include "system/notify.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>

#include "util/fdpass.h"
#include "util/macro.h"

/* Before whatever else is to be done: the watchdog has no patience. */
#define PRIORITY (SD_EVENT_PRIORITY_IMPORTANT - 20)

#define ALIVE "WATCHDOG=1"

/* At the end, for a systemd that has just begun to read again. */
#define PATIENCE_MS 100

struct news {
	TAILQ_ENTRY(news) entry;
	char *text;
	int fd;
};

/* There is one systemd, and one who is told about. */
static TAILQ_HEAD(, news) waiting = TAILQ_HEAD_INITIALIZER(waiting);
static sd_event *loop;
static sd_event_source *room, *watchdog;
static uint64_t alive_usec;

static struct news *news_free(struct news *news)
{
	if (!news)
		return NULL;
	close_fd(news->fd);
	free(news->text);
	free(news);
	return NULL;
}

DEFINE_CLEANUP(struct news, news_free)

static void drop(struct news *news)
{
	TAILQ_REMOVE(&waiting, news, entry);
	news_free(news);
}

static int keep(const char *text, int fd)
{
	_cleanup_(news_freep) struct news *news = calloc(1, sizeof(*news));

	if (!news)
		return -ENOMEM;
	news->fd = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (fd >= 0 && news->fd < 0)
		return -errno;
	news->text = strdup(text);
	if (!news->text)
		return -ENOMEM;
	TAILQ_INSERT_TAIL(&waiting, news, entry);
	steal_ptr(&news);
	return 0;
}

/* ---- the socket ---- */

/* -ENOENT: nobody is to be told. */
static int reach(int *ret_fd)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	_cleanup_(close_fdp) int fd = -1;
	size_t length = path ? strlen(path) : 0;

	if (!length)
		return -ENOENT;
	if (length >= sizeof(to.sun_path))
		return -ENAMETOOLONG;
	memcpy(to.sun_path, path, length);
	if (path[0] == '@')
		to.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&to,
			      offsetof(struct sockaddr_un, sun_path) + length) < 0)
		return -errno;
	*ret_fd = steal_fd(&fd);
	return 0;
}

static int send_to(int to, const char *text, int fd)
{
	return fdpass_send(to, text, strlen(text), &fd, fd >= 0, 0);
}

/* ---- later ---- */

/* As far as there is room. */
static void send_waiting(int fd)
{
	struct news *news;

	while ((news = TAILQ_FIRST(&waiting)) && send_to(fd, news->text, news->fd) != -EAGAIN)
		drop(news);
}

static int on_room(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	(void)events;
	(void)userdata;
	send_waiting(fd);
	if (TAILQ_EMPTY(&waiting))
		room = sd_event_source_disable_unref(source);
	return 0;
}

static int await_room(int *socket)
{
	int r = sd_event_add_io(loop, &room, *socket, EPOLLOUT, on_room, NULL);

	if (r < 0)
		return r;
	sd_event_source_set_priority(room, PRIORITY);
	sd_event_source_set_io_fd_own(room, true);
	steal_fd(socket);
	return 0;
}

int notify_send(const char *text, int fd)
{
	_cleanup_(close_fdp) int socket = -1;
	int r;

	if (room)
		return keep(text, fd);
	r = reach(&socket);
	if (!r)
		r = send_to(socket, text, fd);
	if (r == -ENOENT)
		return 0;
	if (r != -EAGAIN || !loop)
		return r;
	r = keep(text, fd);
	return r < 0 ? r : await_room(&socket);
}

bool notify_recall(const char *text)
{
	struct news *news;

	TAILQ_FOREACH(news, &waiting, entry)
	{
		if (strcmp(news->text, text))
			continue;
		drop(news);
		return true;
	}
	return false;
}

/* ---- the watchdog ---- */

static int on_alive(sd_event_source *source, uint64_t usec, void *userdata)
{
	(void)usec;
	(void)userdata;
	/* who has not heard the last one need not hear two */
	(void)notify_recall(ALIVE);
	(void)notify_send(ALIVE, -1);
	sd_event_source_set_time_relative(source, alive_usec);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

int notify_begin(sd_event *event)
{
	int r = sd_watchdog_enabled(0, &alive_usec);

	loop = event;
	if (r <= 0)
		return r;
	alive_usec /= 3;
	r = sd_event_add_time_relative(event, &watchdog, CLOCK_MONOTONIC, 0, alive_usec / 10,
				       on_alive, NULL);
	return r < 0 ? r : sd_event_source_set_priority(watchdog, PRIORITY);
}

void notify_end(void)
{
	struct pollfd ready = {.fd = room ? sd_event_source_get_io_fd(room) : -1,
			       .events = POLLOUT};
	struct news *news;

	while (!TAILQ_EMPTY(&waiting) && poll(&ready, 1, PATIENCE_MS) > 0)
		send_waiting(ready.fd);
	watchdog = sd_event_source_disable_unref(watchdog);
	room = sd_event_source_disable_unref(room);
	loop = NULL;
	while ((news = TAILQ_FIRST(&waiting)))
		drop(news);
}
