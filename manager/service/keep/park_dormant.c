// SPDX-License-Identifier: GPL-2.0-or-later
#include "service/keep/park_place.h"

#include "plane/act/park.h"
#include "service/slot/orders.h"
#include "util/clock.h"
#include "util/macro.h"

static void on_spare(struct work_answer *answer, void *userdata)
{
	struct park_place *place = userdata;
	struct park *park = place->park;
	uint64_t now = now_usec();

	place->spare = NULL;
	/* one has been started meanwhile */
	if (!park->put_down_since)
		return;
	if (answer->n_fds && park->n_dormant < ARRAY_SIZE(park->dormant))
		park->dormant[park->n_dormant++] = (struct park_dormant) {
			.address = place->address,
			.fd = steal_fd(&answer->fds[0]),
			.max = park_max(place->fd),
		};
	park_place_close(park, place, park_waiting(place->fd));
	park_look_soon(park, now, now);
}

bool park_place_put_down(struct park *park, struct park_place *place)
{
	return place->spare || park_order_twin(park, place, true, on_spare, &place->spare) >= 0;
}

/* Its group is empty by now, and has no selector. */
static void rouse(struct park *park, struct park_dormant *dormant)
{
	struct listener *listener = park_listener(park, &dormant->address);
	_cleanup_(close_fdp) int fd = steal_fd(&dormant->fd);

	/* another has the address now: its server will tell */
	if (!listener || park_place_find(park, &dormant->address) ||
	    park_bind(&dormant->address, fd) < 0 ||
	    park_set_max(fd, -1, park_room(park, dormant->max)) < 0 ||
	    listener_attach(listener, fd) < 0)
		return;
	if (park_open_at(park, &dormant->address, fd, park_room(park, dormant->max)) >= 0)
		park_place_add(park, &dormant->address, steal_fd(&fd));
}

void park_rouse(struct park *park)
{
	bool wanted = park_is_wanted(park);

	while (park->n_dormant) {
		struct park_dormant *dormant = &park->dormant[--park->n_dormant];

		if (wanted)
			rouse(park, dormant);
		close_fd(dormant->fd);
	}
}
