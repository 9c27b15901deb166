/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Replay=templates: what exporters of NetFlow v9 and IPFIX have said of the form of their flows is
 * sent to a slot before they are led to it, which may never have heard it.
 *
 * A process of its own remembers it (replay_helper.h, replay/replaying.h). Before a table is
 * written, those of its exporters that get another slot by it are looked for; a preview rule for
 * each leads what is about to be sent in its name to the slot that is to get it, while its flows go
 * by the table as before; hs-replay sends; and when it all has come to the selector the table is
 * written. Nobody waits for that longer than REPLAY_USEC. Where clients have moved already, because
 * their slot is gone, the table is written at once, and templates are sent behind.
 */
#pragma once

#include "hs_abi.h"
#include "service/service.h"

#define REPLAY_USEC (200 * USEC_PER_MSEC)

/* What is about to change. */
struct replay_order {
	/* The table that holds, and the one that is to. `before->spread.members` = 0: there is
	 * none. False: nothing will change. */
	bool (*plan)(void *userdata, struct hs_table_copy *before, struct hs_table_copy *next);
	/* It may be done now; or (`alive` is false) the service is about to go. Once, from the
	 * event loop. */
	void (*go)(void *userdata, bool alive);
	void *userdata;
	uint32_t slots; /* only those that get one of these, as a bit mask; 0: whichever */
};

/* As the settings say: made, or freed. Then, and when listeners have come or gone. */
void replay_follow(struct service *service);
struct replay *replay_free(struct replay *replay);

/* True: go() will be called. False: nothing has to be sent before, or it cannot be. */
bool replay_ahead(struct service *service, const struct replay_order *order);
/* The table has changed, and held this before: what was not sent ahead of that is sent now. */
void replay_behind(struct service *service, const struct hs_table_copy *before);

/* A new instance serves in the slot, and its clients are led to it by the table that holds: all
 * that they have said is sent to it. */
void replay_again(struct service *service, unsigned slot);

struct replay_report {
	const char *problem; /* why it does not work; "": it does */
	uint32_t exporters, templates, bytes;
	uint64_t forgotten; /* templates, for want of room */
	uint64_t sent;	    /* datagrams */
	uint64_t late;	    /* changes that did not wait until all was sent */
};

/* False: Replay=no. */
bool replay_describe(const struct service *service, struct replay_report *ret_report);
