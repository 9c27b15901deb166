/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A probe while it runs: what those by TCP and HTTP (prober_net.h) and those by plugins
 * (prober_exec.h) have in common. For the files that make up the prober alone. */
#pragma once

#include <sys/socket.h>

#include "plane/preview/leading.h"
#include "plane/preview/preview.h"
#include "system/probe/asker.h"
#include "system/probe/probing.h"

/* When a process that could not be started, or has ended, is tried again. */
struct retry {
	uint64_t at, delay; /* 0: at once */
	struct problem why;
};

struct prober {
	sd_event *event;
	sd_bus *bus;
	struct hs_preview_owner_id owner; /* this process */
	struct led *led;		  /* of fronts; NULL: not needed yet */
	uint64_t last_id;
	struct net_group *net_groups;
	struct plugin_group *groups;
};

/* How a probe is carried out. */
struct probe_way {
	/* Begins, or ends the run with probe_end(). */
	void (*start)(struct probe_run *run);
	/* Nobody has answered in time. */
	void (*late)(struct probe_run *run);
	/* Takes back what is under way. */
	void (*done)(struct probe_run *run);
};

struct exec_probe;

struct probe_run {
	struct prober *prober;
	const struct probe_way *way;
	struct probe_target target;
	probe_fn on_end;
	void *userdata;
	sd_event_source *timer; /* nobody has answered, or the end that is already known */
	struct probe_result result;
	bool ended;
	uint64_t id; /* of what was sent to an asker; 0 = nothing yet */

	/* of the connection, if it is one */
	struct net_group *group; /* NULL: it is in none */
	struct probe_run *next, *previous;
	int fd; /* whoever else has it: with it we can end the connection. -1: none */
	bool answered;
	struct sockaddr_storage dest;
	struct sockaddr_storage asked; /* the service's address; of a front the host's is `dest` */
	struct hs_preview_key key;
	bool has_rule;
	bool is_led; /* noted as a led connection */

	struct exec_probe *exec;
};

/* One that has not begun. -errno: nothing of the target was taken over. */
int probe_run_new(struct prober *prober, const struct probe_target *target, probe_fn on_end,
		  void *userdata, const struct probe_way *way, struct probe_run **ret_run);

/* The asker has it from now on, who ends it in time; else it is void a little later. */
void probe_sent(struct probe_run *run);
/* The run has ended like this; the callback follows from the event loop. The first one counts. */
_printf_(3, 4) void probe_end(struct probe_run *run, enum probe_verdict verdict,
			      const char *template, ...);

/* The listener that is meant: of the port in Probe=, or as probe_port_rank() has it; where the
 * slot has a socket.
 * Ends the run and returns NULL when there is none. */
const struct listener *probe_find_listener(struct probe_run *run, bool udp);

/* The port of a front that is meant, likewise, if `udp` is not asked for by TCP only. 0: the run
 * was ended. */
uint16_t probe_find_port(struct probe_run *run, bool udp);
/* What leads connections to hosts is ready. Else the run was ended. */
bool probe_can_lead(struct probe_run *run);

/* One has failed: later each time, up to RETRY_MAX. */
void retry_later(struct retry *retry, const char *why);
bool retry_is_due(const struct retry *retry);
void retry_reset(struct retry *retry);
