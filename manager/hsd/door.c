// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsd/door.h"

#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "core/contract.h"
#include "util/clock.h"
#include "util/macro.h"

/* All hooks of a machine that stops may come at once; each connection is a descriptor of ours. */
#define VISITORS_MAX 1024
/* Before the bus, and before what may wait: units do. */
#define PRIORITY (SD_EVENT_PRIORITY_NORMAL - 10)
/* When there is no descriptor or no memory for one: who knocks is there still. */
#define SHUT_FOR (100 * USEC_PER_MSEC)

struct visitor {
	struct door *door;
	sd_bus *bus;
	LIST_ENTRY(visitor) entry;
};

struct door {
	sd_event *event;
	door_publish_fn publish;
	void *userdata;
	int fd;
	sd_event_source *source;
	sd_event_source *reopening; /* off: it is open */
	LIST_HEAD(, visitor) visitors;
	unsigned n_visitors;
};

DEFINE_CLEANUP(struct door, door_close)

/* ---- one visitor ---- */

static struct visitor *visitor_free(struct visitor *visitor)
{
	if (!visitor)
		return NULL;
	if (visitor->door) {
		LIST_REMOVE(visitor, entry);
		visitor->door->n_visitors--;
	}
	sd_bus_detach_event(visitor->bus);
	sd_bus_close_unref(visitor->bus);
	free(visitor);
	return NULL;
}

DEFINE_CLEANUP(struct visitor, visitor_free)

static int on_gone(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	(void)m;
	(void)error;
	visitor_free(userdata);
	return 1;
}

/* Nobody but root is here: what the methods of the bus ask for is given. */
static int start(struct visitor *visitor, int *fd)
{
	sd_id128_t id;
	int r = sd_id128_randomize(&id);

	if (r >= 0)
		r = sd_bus_set_fd(visitor->bus, *fd, *fd);
	if (r < 0)
		return r;
	steal_fd(fd);
	r = sd_bus_set_server(visitor->bus, true, id);
	if (r >= 0)
		r = sd_bus_set_trusted(visitor->bus, true);
	if (r >= 0)
		r = sd_bus_negotiate_fds(visitor->bus, true);
	return r < 0 ? r : sd_bus_start(visitor->bus);
}

static int attach(struct visitor *visitor)
{
	const struct door *door = visitor->door;
	int r = door->publish(visitor->bus, door->userdata);

	if (r >= 0)
		r = sd_bus_match_signal_async(visitor->bus, NULL, "org.freedesktop.DBus.Local",
					      "/org/freedesktop/DBus/Local",
					      "org.freedesktop.DBus.Local", "Disconnected", on_gone,
					      NULL, visitor);
	return r < 0 ? r : sd_bus_attach_event(visitor->bus, door->event, PRIORITY);
}

static bool is_root(int fd)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	return !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) && peer.uid == 0;
}

static int let_in(struct door *door, int *fd)
{
	_cleanup_(visitor_freep) struct visitor *visitor = calloc(1, sizeof(*visitor));
	int r;

	if (!visitor)
		return -ENOMEM;
	r = sd_bus_new(&visitor->bus);
	if (r >= 0)
		r = start(visitor, fd);
	if (r < 0)
		return r;
	visitor->door = door;
	LIST_INSERT_HEAD(&door->visitors, visitor, entry);
	door->n_visitors++;
	r = attach(visitor);
	if (r >= 0)
		steal_ptr(&visitor);
	return r;
}

void door_emit_progress(const struct door *door, const char *service, const char *json)
{
	_cleanup_(freep) char *path = NULL;
	struct visitor *visitor;

	if (!door || LIST_EMPTY(&door->visitors) ||
	    sd_bus_path_encode(BUS_SERVICE_PATH, service, &path) < 0)
		return;
	/* there is no bus in between that would ask who wants to hear it */
	LIST_FOREACH (visitor, &door->visitors, entry)
		sd_bus_emit_signal(visitor->bus, path, BUS_SERVICE_INTERFACE, "Progress", "s",
				   json);
}

/* ---- the door ---- */

static int on_reopening(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct door *door = userdata;

	(void)source;
	(void)usec;
	return sd_event_source_set_enabled(door->source, SD_EVENT_ON);
}

/* Else who knocks would wake us without end, before anything else. */
static int shut_for_a_while(struct door *door)
{
	sd_event_source_set_time_relative(door->reopening, SHUT_FOR);
	sd_event_source_set_enabled(door->reopening, SD_EVENT_ONESHOT);
	return sd_event_source_set_enabled(door->source, SD_EVENT_OFF);
}

/* Who is not let in sees a connection that ends, and takes the bus, or does without us. */
static int on_knock(sd_event_source *source, int listener, uint32_t events, void *userdata)
{
	struct door *door = userdata;
	_cleanup_(close_fdp) int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)source;
	(void)events;
	if (fd < 0 && errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
		return shut_for_a_while(door);
	if (fd >= 0 && is_root(fd) && door->n_visitors < VISITORS_MAX)
		(void)let_in(door, &fd);
	return 0;
}

/* Nobody can connect before it listens. */
static int listen_at(int fd)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX, .sun_path = DOOR_PATH};

	if (unlink(DOOR_PATH) < 0 && errno != ENOENT)
		return -errno;
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 || chmod(DOOR_PATH, 0600) < 0 ||
	    listen(fd, SOMAXCONN) < 0)
		return -errno;
	return 0;
}

int door_open(sd_event *event, door_publish_fn publish, void *userdata, struct door **ret_door,
	      struct problem *problem)
{
	_cleanup_(door_closep) struct door *door = calloc(1, sizeof(*door));
	int r;

	if (!door)
		return problem_set(problem, -ENOMEM, "out of memory");
	door->event = event;
	door->publish = publish;
	door->userdata = userdata;
	door->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	r = door->fd < 0 ? -errno : listen_at(door->fd);
	if (r >= 0)
		r = sd_event_add_io(event, &door->source, door->fd, EPOLLIN, on_knock, door);
	if (r >= 0)
		r = sd_event_source_set_priority(door->source, PRIORITY);
	if (r >= 0)
		r = sd_event_add_time(event, &door->reopening, CLOCK_MONOTONIC, 0, USEC_PER_MSEC,
				      on_reopening, door);
	if (r >= 0)
		r = sd_event_source_set_enabled(door->reopening, SD_EVENT_OFF);
	if (r < 0)
		return problem_set(problem, r,
				   "cannot listen on " DOOR_PATH
				   ": %s; the hooks of units ask over the bus, as everybody does",
				   strerror(-r));
	*ret_door = steal_ptr(&door);
	return 0;
}

struct door *door_close(struct door *door)
{
	struct visitor *visitor;

	if (!door)
		return NULL;
	while ((visitor = LIST_FIRST(&door->visitors)))
		visitor_free(visitor);
	sd_event_source_disable_unref(door->reopening);
	sd_event_source_disable_unref(door->source);
	if (door->source)
		unlink(DOOR_PATH);
	close_fd(door->fd);
	free(door);
	return NULL;
}
