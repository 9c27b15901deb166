/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hs-example-server: what its two halves share. example-server.c has the sockets, the signals and
 * the loop; example-http.c has the connections and what is answered on them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LISTEN_MAX  16
#define VERSION_MAX 64

struct server;
struct connection;

/* Something that epoll watches; its data.ptr points here. */
struct source {
	int fd;
	/* May free this source, but no other one: others may be in the same batch of events. */
	void (*on_event)(struct server *server, struct source *source);
};

struct listener {
	struct source source;
	struct listener *next;
	bool extra; /* from --extra-listen=: opened and closed by SIGHUP */
};

struct settings {
	const char *slot;
	char version[VERSION_MAX];
	const char *listen[LISTEN_MAX];
	size_t n_listen;
	const char *extra_listen[LISTEN_MAX];
	size_t n_extra_listen;
	uint64_t bind_delay_ms;
	uint64_t idle_grace_ms; /* how long a stopping server waits for one more request */
	unsigned int shards;	/* sockets per address */
	int backlog;
	bool reuseport;
	bool mptcp;
};

struct server {
	struct settings settings;
	int epoll_fd;
	struct source signals;
	struct listener *listeners;
	struct connection *connections;
	/* the earliest time at which something is due, in now_ms(); UINT64_MAX = nothing. May be
	 * too early, never too late. */
	uint64_t next_due;
	uint64_t bind_due;   /* when to open the sockets of --listen=, 0 = done */
	uint64_t resume_due; /* accepting is paused until then for want of file descriptors, 0 = it
				is not */
	bool stop;	     /* SIGTERM came */
	bool toggle_extra;   /* SIGHUP came */
	bool stopping;	     /* the listening sockets are closed, the connections are not */
};

/* CLOCK_MONOTONIC in milliseconds. */
uint64_t now_ms(void);

/* What is due is looked at by then. */
void server_want_due(struct server *server, uint64_t due);

/* A file descriptor has become free: accept again, if that was the obstacle. */
void server_resume_soon(struct server *server);

/* Changes what epoll reports for a source that it watches. Returns 0 or -errno. */
int source_watch(struct server *server, struct source *source, uint32_t events);

/* Takes over an accepted, non-blocking socket; closes it if it cannot. */
void connection_new(struct server *server, int fd);

/* Does what is due by `now` on all connections and asks for the next time. */
void connections_run_due(struct server *server, uint64_t now);

/* The server is stopping: whoever has no request running gets the grace time for one more. */
void connections_stop(struct server *server);
