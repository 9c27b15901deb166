// SPDX-License-Identifier: GPL-2.0-or-later
#include "system/probe/asker.h"

#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "core/name.h"
#include "system/probe/confined.h"
#include "system/unit/units.h"
#include "util/fdpass.h"
#include "util/macro.h"

/* systemd may be busy; a probe that waits for it says nothing of a slot. */
#define START_USEC (10 * USEC_PER_SEC)

/* Of one look at the socket: other sources have their turn. */
#define PACKETS_MAX 64

struct asker {
	sd_bus *bus;
	char unit[UNIT_NAME_MAX], cgroup[PATH_MAX];
	const struct asker_calls *calls;
	void *userdata;
	struct unit_job *job;
	sd_event_source *io, *timer, *gone; /* `gone`: it is to be told */
	struct problem why;
	sd_bus_slot *question; /* where it is */
	bool greeted, placed, ready;
};

DEFINE_CLEANUP(struct asker, asker_free)

/* ---- the end ---- */

struct asker *asker_free(struct asker *asker)
{
	if (!asker)
		return NULL;
	/* closes the socket: it ends by itself, unless it hangs */
	sd_event_source_disable_unref(asker->io);
	sd_event_source_disable_unref(asker->timer);
	sd_event_source_disable_unref(asker->gone);
	unit_job_free(asker->job);
	sd_bus_slot_unref(asker->question);
	confined_stop(asker->bus, asker->unit);
	free(asker);
	return NULL;
}

static int on_gone(sd_event_source *source, void *userdata)
{
	struct asker *asker = userdata;

	(void)source;
	asker->calls->on_gone(asker->why.text, asker->userdata);
	return 0;
}

void asker_give_up(struct asker *asker, const char *why)
{
	if (asker->why.text[0])
		return;
	problem_set(&asker->why, 0, "%s", why);
	asker->ready = false;
	sd_event_source_set_enabled(asker->io, SD_EVENT_OFF);
	if (asker->timer)
		sd_event_source_set_enabled(asker->timer, SD_EVENT_OFF);
	sd_event_source_set_enabled(asker->gone, SD_EVENT_ONESHOT);
}

/* ---- what it says ---- */

static void become_ready(struct asker *asker)
{
	if (asker->ready || !asker->greeted || !asker->placed || asker->why.text[0])
		return;
	asker->ready = true;
	asker->calls->on_ready(asker->userdata);
}

static void greet(struct asker *asker, const void *packet, size_t size)
{
	if (asker->greeted || !errand_check_hello(packet, size)) {
		asker_give_up(asker, "the program beside hsd is of another version: restart hsd");
		return;
	}
	asker->greeted = true;
	become_ready(asker);
}

static bool take_packet(struct asker *asker, int fd)
{
	_Alignas(8) char packet[ERRAND_PACKET_MAX];
	/* not recvmsg(2): descriptors that it may send along are dropped */
	ssize_t n = recv(fd, packet, sizeof(packet), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0)
		asker_give_up(asker, "it has ended");
	else if (asker->ready)
		asker->calls->on_packet(packet, (size_t)n, asker->userdata);
	else
		greet(asker, packet, (size_t)n);
	return true;
}

static int on_io(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct asker *asker = userdata;

	(void)source;
	(void)events;
	for (unsigned i = 0; i < PACKETS_MAX && !asker->why.text[0]; i++)
		if (!take_packet(asker, fd))
			break;
	return 0;
}

/* ---- the beginning ---- */

static int on_late(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct asker *asker = userdata;

	(void)source;
	(void)usec;
	if (!asker->ready)
		asker_give_up(asker, "systemd did not start it in time");
	return 0;
}

/* Rules of connections hang on it: systemd says where it is, not the process. */
static int on_place(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct asker *asker = userdata;
	const char *cgroup = "";
	int r = sd_bus_message_is_method_error(m, NULL) ? -EIO
							: sd_bus_message_read(m, "v", "s", &cgroup);

	(void)error;
	if (r < 0 || !cgroup[0] || strlen(cgroup) >= sizeof(asker->cgroup)) {
		asker_give_up(asker, "systemd does not say where it is");
		return 0;
	}
	strcpy(asker->cgroup, cgroup);
	asker->placed = true;
	become_ready(asker);
	return 0;
}

static void on_job(const char *result, const struct problem *problem, void *userdata)
{
	struct asker *asker = userdata;
	struct problem why;

	asker->job = NULL; /* frees itself */
	if (!strcmp(result, "done")) {
		if (confined_place(asker->bus, asker->unit, on_place, asker, &asker->question) < 0)
			asker_give_up(asker, "out of memory");
		return;
	}
	problem_set(&why, 0, "systemd cannot start it: %s; see journalctl -u %s",
		    problem ? problem->text : result, asker->unit);
	asker_give_up(asker, why.text);
}

static int watch(struct asker *asker, sd_event *event, int fd)
{
	int r = sd_event_add_io(event, &asker->io, fd, EPOLLIN, on_io, asker);

	if (r < 0) {
		close_fd(fd);
		return r;
	}
	sd_event_source_set_io_fd_own(asker->io, true);
	r = sd_event_add_defer(event, &asker->gone, on_gone, asker);
	if (r >= 0)
		r = sd_event_source_set_enabled(asker->gone, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_add_time_relative(event, &asker->timer, CLOCK_MONOTONIC, START_USEC,
					       USEC_PER_MSEC, on_late, asker);
	return r;
}

/* Names are never used twice: one that is on its way out does not stand in the way. */
static int choose_name(struct asker *asker, const struct confined_order *order)
{
	uint32_t number;

	if (getrandom(&number, sizeof(number), 0) != sizeof(number))
		return -errno;
	snprintf(asker->unit, sizeof(asker->unit), "%s%.180s%s%08" PRIx32 ".service", order->prefix,
		 order->service ? order->service : "", order->service ? "-" : "", number);
	return 0;
}

int asker_new(sd_event *event, sd_bus *bus, const struct confined_order *order,
	      const struct asker_calls *calls, void *userdata, struct asker **ret_asker)
{
	struct asker *asker = calloc(1, sizeof(*asker));
	_cleanup_(close_fdp) int theirs = -1;
	int pair[2], r;

	if (!asker)
		return -ENOMEM;
	asker->bus = bus;
	asker->calls = calls;
	asker->userdata = userdata;
	r = choose_name(asker, order);
	if (r >= 0 && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		r = -errno;
	if (r >= 0) {
		theirs = pair[1];
		r = watch(asker, event, pair[0]);
	}
	if (r >= 0)
		r = confined_start(bus, asker->unit, order, theirs, on_job, asker, &asker->job);
	if (r < 0) {
		asker_free(asker);
		return r;
	}
	*ret_asker = asker;
	return 0;
}

/* ---- while it runs ---- */

bool asker_is_ready(const struct asker *asker)
{
	return asker && asker->ready;
}

const char *asker_cgroup(const struct asker *asker)
{
	return asker->cgroup;
}

int asker_send(struct asker *asker, const void *packet, size_t size, int fd)
{
	return fdpass_send(sd_event_source_get_io_fd(asker->io), packet, size, &fd, fd >= 0,
			   MSG_DONTWAIT);
}
