// SPDX-License-Identifier: GPL-2.0-or-later
#include "replay/replaying.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/wire/errand.h"
#include "replay/hearing.h"
#include "replay/sending.h"
#include "util/clock.h"
#include "util/macro.h"

/* What has changed is told that often at the most. */
#define COUNTS_EVERY (1 * USEC_PER_SEC)
/* Of one look at a socket: hsd has its turn. */
#define READ_MAX 64

struct replaying {
	int fd; /* hsd */
	int ears[2];
	struct replay_watch watch;
	struct exporters exporters;
	struct sending sending;
	uint64_t counts_at; /* when they may be told again */
	bool counts_due;
	uint8_t buffer[HEARING_SIZE];
};

/* ---- hearing ---- */

static int open_ears(struct replaying *replaying)
{
	int failed = 0;

	for (unsigned ipv6 = 0; ipv6 < 2; ipv6++) {
		int fd = hearing_open(&replaying->watch, ipv6);

		close_fd(replaying->ears[ipv6]);
		replaying->ears[ipv6] = MAX(fd, -1);
		/* a machine without IPv6 has no such socket */
		if (fd < 0 && fd != -ENOENT && !(ipv6 && fd == -EAFNOSUPPORT))
			failed = fd;
	}
	return failed;
}

static void hear(struct replaying *replaying, unsigned ipv6)
{
	struct exporter_ends seen, ends;
	const uint8_t *data;
	ssize_t n = 0;

	for (unsigned i = 0; i < READ_MAX && n >= 0; i++) {
		n = hearing_read(replaying->ears[ipv6], ipv6, replaying->buffer, &seen, &data);
		if (n > 0 && replay_ends(&replaying->watch, &seen, &ends) &&
		    exporters_hear(&replaying->exporters, &seen, data, (size_t)n))
			replaying->counts_due = true;
	}
}

/* ---- hsd ---- */

static int say(const struct replaying *replaying, const void *packet, size_t size)
{
	return send(replaying->fd, packet, size, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static int tell_counts(struct replaying *replaying)
{
	struct replay_counts packet = {.kind = REPLAY_COUNTS,
				       .counts = replaying->exporters.counts};

	if (!replaying->counts_due || now_usec() < replaying->counts_at)
		return 0;
	replaying->counts_due = false;
	replaying->counts_at = now_usec() + COUNTS_EVERY;
	return say(replaying, &packet, sizeof(packet));
}

static int send_part(const struct replaying *replaying, struct replay_places *part, bool more)
{
	part->more = more;
	return say(replaying, part, replay_places_size(part->n));
}

static int tell_places(struct replaying *replaying, const struct replay_ask *ask)
{
	struct exporters *exporters = &replaying->exporters;
	struct replay_places part = {.kind = REPLAY_PLACES, .id = ask->id};
	int r = 0;

	exporters_sort(exporters);
	for (unsigned i = 0; !r && i < exporters->counts.exporters; i++) {
		const struct exporter *exporter = exporters->list[i];
		struct replay_place *place = &part.places[part.n];

		place->number = exporter->number;
		place->port = exporter->ends.source_port;
		/* the listener may be gone since */
		if (!exporter->n_records ||
		    !replay_ends(&replaying->watch, &exporter->ends, &place->ends))
			continue;
		if (++part.n < REPLAY_PART)
			continue;
		r = send_part(replaying, &part, true);
		part.n = 0;
	}
	return r ? r : send_part(replaying, &part, false);
}

static int send_again(struct replaying *replaying, const struct replay_send *order)
{
	struct replay_sent answer = {.kind = REPLAY_SENT, .id = order->id};
	struct sending *sending = &replaying->sending;

	sending->datagrams = 0;
	sending->error = 0;
	for (unsigned i = 0; i < order->n; i++) {
		const struct exporter *exporter =
			exporters_find(&replaying->exporters, order->numbers[i]);
		struct exporter_ends ends;

		if (exporter && replay_ends(&replaying->watch, &exporter->ends, &ends))
			sending_send(sending, exporter, &ends);
	}
	answer.datagrams = sending->datagrams;
	answer.error = sending->error;
	return say(replaying, &answer, sizeof(answer));
}

static int do_as_told(struct replaying *replaying, const void *packet, size_t size)
{
	uint32_t kind;

	memcpy(&kind, packet, sizeof(kind));
	if (kind == REPLAY_WATCH && size == sizeof(replaying->watch)) {
		memcpy(&replaying->watch, packet, size);
		return open_ears(replaying);
	}
	if (kind == REPLAY_ASK && size == sizeof(struct replay_ask))
		return tell_places(replaying, packet);
	if (kind == REPLAY_SEND && size >= replay_send_size(0) &&
	    size == replay_send_size(((const struct replay_send *)packet)->n))
		return send_again(replaying, packet);
	return -EPROTO;
}

/* 1 = it goes on, 0 = hsd is gone, -errno. */
static int listen_to_hsd(struct replaying *replaying)
{
	_Alignas(8) char packet[ERRAND_PACKET_MAX];
	ssize_t n = recv(replaying->fd, packet, sizeof(packet), 0);
	int r;

	if (n < 0 && errno == EINTR)
		return 1;
	if (n < (ssize_t)sizeof(uint32_t))
		return n < 0 ? -errno : 0;
	r = do_as_told(replaying, packet, (size_t)n);
	return r < 0 ? r : 1;
}

/* ---- the loop ---- */

static int patience_ms(const struct replaying *replaying)
{
	uint64_t now = now_usec();

	if (!replaying->counts_due)
		return -1;
	return replaying->counts_at > now ? (int)((replaying->counts_at - now) / USEC_PER_MSEC) + 1
					  : 0;
}

/* As listen_to_hsd(). */
static int turn(struct replaying *replaying)
{
	struct pollfd wait[] = {
		{.fd = replaying->fd, .events = POLLIN},
		{.fd = replaying->ears[0], .events = POLLIN},
		{.fd = replaying->ears[1], .events = POLLIN},
	};

	if (poll(wait, ARRAY_SIZE(wait), patience_ms(replaying)) < 0 && errno != EINTR)
		return -errno;
	for (unsigned i = 0; i < 2; i++)
		if (wait[1 + i].revents)
			hear(replaying, i);
	return wait[0].revents ? listen_to_hsd(replaying) : 1;
}

int replaying_run(int fd)
{
	static struct replaying replaying = {.ears = {-1, -1}};
	struct errand_hello hello = {ERRAND_VERSION};
	/* as root: then systemd has not done what it was told to */
	int r = geteuid() ? 1 : -EPERM;

	replaying.fd = fd;
	sending_init(&replaying.sending);
	if (r > 0 && say(&replaying, &hello, sizeof(hello)) < 0)
		r = 0;
	while (r > 0) {
		r = turn(&replaying);
		if (r > 0 && tell_counts(&replaying) < 0)
			r = 0;
	}
	/* hsd is gone: nothing is wrong here */
	if (r == -EPIPE || r == -ECONNRESET)
		r = 0;
	exporters_done(&replaying.exporters);
	return r;
}
