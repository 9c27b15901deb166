/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One errand under way. For the files that make up hs-probe alone. */
#pragma once

#include <systemd/sd-event.h>

#include "core/wire/errand.h"
#include "util/macro.h"

struct asking {
	sd_event *event;
	int fd;			  /* to hsd */
	struct http_client *http; /* NULL: nothing was asked by HTTP yet */
};

struct tcp_ask;
struct http_ask;
struct plain_ask;

struct ask {
	struct asking *asking;
	struct errand errand;
	int fd;			/* the connection; -1 when curl has it */
	uint64_t limit_usec;	/* of what is waited for now */
	uint64_t until_usec;	/* of all of it */
	sd_event_source *timer; /* the timeout, or the end that is already known */
	sd_event_source *io;	/* until the connection is made; of a TCP probe also later */
	bool ended;
	struct errand_end end;
	sd_event_source *grace; /* of a TCP probe */
	struct http_ask *http;
	struct plain_ask *plain;
};

/* The errand has ended like this; hsd is told from the event loop. The first one counts. */
_printf_(3, 4) void ask_end(struct ask *ask, enum probe_verdict verdict, const char *template, ...);
/* "connection refused" */
const char *ask_error_words(int error);

/* ---- ask_tcp.c, ask_http.c, ask_plain.c, ask_agent.c ---- */

/* The connection is made: what follows. */
void tcp_ask_connected(struct ask *ask);
void agent_ask_connected(struct ask *ask);
void http_ask_connected(struct ask *ask);
void plain_ask_connected(struct ask *ask);
struct plain_ask *plain_ask_free(struct plain_ask *plain);
struct http_ask *http_ask_free(struct http_ask *http);
struct http_client *http_client_free(struct http_client *client);
