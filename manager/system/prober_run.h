/* SPDX-License-Identifier: GPL-2.0-or-later */
/* For the files that make up the prober: prober.c (what all have in common), prober_tcp.c,
 * prober_http.c and prober_exec.c. */
#pragma once

#include <sys/socket.h>

#include "plane/preview.h"
#include "system/prober.h"

struct prober {
	sd_event *event;
	struct hs_preview_owner_id owner; /* this process */
	struct http_client *http;	  /* NULL: nothing was asked by HTTP yet */
	struct plugin_group *groups;
};

/* What a kind of probe has of its own. */
struct tcp_probe;
struct http_probe;
struct exec_probe;

struct probe_run {
	struct prober *prober;
	struct probe_target target;
	probe_fn on_end;
	void *userdata;
	sd_event_source *timer; /* the timeout, or the end that is already known */
	struct probe_result result;
	bool ended;

	/* of the connection, if it is one */
	int fd; /* bound, not yet connected; -1 when somebody else has it */
	struct sockaddr_storage dest;
	struct hs_preview_key key;
	bool has_rule;

	struct tcp_probe *tcp;
	struct http_probe *http;
	struct exec_probe *exec;
};

/* Each begins what it does, or ends the run with probe_end(). */
void tcp_probe_start(struct probe_run *run);
void http_probe_start(struct probe_run *run);
void exec_probe_start(struct probe_run *run);
struct tcp_probe *tcp_probe_free(struct tcp_probe *tcp);
struct http_probe *http_probe_free(struct http_probe *http);
struct exec_probe *exec_probe_free(struct exec_probe *exec);

/* The run has ended like this; the callback follows from the event loop. The first one counts. */
_printf_(3, 4) void probe_end(struct probe_run *run, enum probe_verdict verdict,
			      const char *template, ...);

/* The listener that is meant: of the port in Probe=, or as probe_port_rank() has it; where the
 * slot has a socket.
 * Ends the run and returns NULL when there is none. */
const struct listener *probe_find_listener(struct probe_run *run, bool udp);
/* Opens the socket of a connection to the slot, in the listener's network, with its preview rule:
 * sets `fd` and `dest`. Ends the run and returns -errno when that is not possible. */
int probe_open_socket(struct probe_run *run);
/* "connection refused" */
const char *probe_error_words(int error);
/* Copies the first line of `size` bytes, in printable ASCII. */
void probe_first_line(const char *text, size_t size, struct problem *ret_line);

struct http_client *http_client_free(struct http_client *client);
void plugin_groups_free(struct prober *prober, const struct plane *plane);
