/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The unit of an asker: what it may not. systemd makes it; none of it depends on what we may. */
#pragma once

#include <stdbool.h>
#include <systemd/sd-bus.h>

#include "system/unit/units.h"

#define CONFINED_PLUGIN_PREFIX "hotstandby-plugin-"
#define CONFINED_PROBE_PREFIX  "hotstandby-probe-"
#define CONFINED_REPLAY_PREFIX "hotstandby-replay-"

#define CONFINED_PROBES "probes of hotstandby"

struct confined_order {
	const char *prefix; /* of the unit's name: one of the above */
	const char *description;
	const char *program; /* below the folder of our own programs */
	const char *service; /* NULL: of all */
	const char *user;    /* "" = one that exists only as long as it does */
	/* where its network is, a path; NULL: it has none and uses the sockets that it is given */
	const char *network;
	bool runs_others; /* a program that is not ours: it may use the network, and start more */
	bool raw; /* it hears and sends datagrams as they are: this machine's network, CAP_NET_RAW
		   */
};

/* Begins to start it with `input_fd` as its standard input. */
int confined_start(sd_bus *bus, const char *unit, const struct confined_order *order, int input_fd,
		   unit_job_fn on_end, void *userdata, struct unit_job **ret_job);
/* Asks for its control group: the answer is a variant with a text. */
int confined_place(sd_bus *bus, const char *unit, sd_bus_message_handler_t on_answer,
		   void *userdata, sd_bus_slot **ret_call);
/* Kills all that is in it; does not wait. One that is not there is no matter. */
void confined_stop(sd_bus *bus, const char *unit);
