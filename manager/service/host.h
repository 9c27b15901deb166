/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a service needs of whoever hosts it: an event loop, the bus to systemd, somebody who does
 * what may hang, and somebody who is told. hsd hosts all services of a machine, hsctl one for as
 * long as it works without hsd. All of it outlives the services.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "system/work/work.h"

struct accounting;
struct fdstore;
struct filewatch;
struct hang_watch;
struct host;
struct outdated_watch;
struct prober;
struct service;

/* ---- work that may never come back ---- */

/* `answer` is the caller's to read and to take from; what is left is freed. A result < 0 always has
 * its sentence. */
typedef void (*work_fn)(struct work_answer *answer, void *userdata);

/* An order on its way. A member of what the host knows of it. */
struct work {
	work_fn on_done; /* NULL: nobody waits for it */
	void *userdata;
};

/* `on_done` will not be called. Takes NULL, returns it. */
struct work *work_forget(struct work *work);

/* ---- the host ---- */

struct host_ops {
	/* See host_order() and what follows; and service/service.h. */
	int (*order)(const struct host *host, const struct work_order *order, const int *fds,
		     size_t n_fds, const struct work *work, struct work **ret_work);
	unsigned (*busy)(const struct host *host);
	void (*changed)(const struct service *service);
	void (*progress)(const struct service *service, const char *json);
	struct service *const *(*services)(const struct host *host, size_t *ret_n);
};

/* What a host wants of a service beyond what it is asked for. hsd keeps services, and wants all of
 * it; hsctl looks at one, or does one thing with it, and goes. */
enum host_part {
	HOST_ANY = 0,		/* what each of them needs */
	HOST_MAKES = 1U << 0,	/* pins and programs that are not there yet */
	HOST_PARKS = 1U << 1,	/* places where connections wait */
	HOST_WATCHES = 1U << 2, /* hangs, probes, events of the selectors, files, others' sockets */
	HOST_TENDS = 1U << 3,	/* does what is due without having been asked, and tells of it */
	HOST_ALL = HOST_MAKES | HOST_PARKS | HOST_WATCHES | HOST_TENDS
};

struct host {
	const struct host_ops *ops;
	unsigned parts; /* enum host_part */
	sd_event *event;
	sd_bus *bus;			 /* to systemd; NULL: it cannot be asked */
	struct accounting *accounting;	 /* NULL: this kernel has none */
	struct hang_watch *hangs;	 /* NULL: hangs are not looked for */
	struct filewatch *filewatch;	 /* NULL: no file is watched */
	struct outdated_watch *outdated; /* NULL: nobody looks whether files were replaced */
	struct prober *prober;		 /* carries out the probes of all services */
	const bool *nudge;		 /* servers are to be woken when connections move to them */
	uint64_t *next_revisit;		 /* see service/slot/lifecycle.c */
	/* what the hsd before has left, until all services have taken what is theirs; then NULL */
	struct fdstore *fdstore;
	void (*debug)(const char *line); /* NULL: nobody looks on */
	/* 0; or it goes at this time (now_usec()), and whoever asks has had an answer by then */
	uint64_t until;
	/* another one was asked before, and may have begun what this one is asked for */
	bool resumes;
};

/*
 * Gives an order: `on_done` (may be NULL) is called later, once, also when it fails; `*ret_work`
 * (may be NULL) is for work_forget() and is not valid from that call on. `fds`: see
 * system/work/work.h; copies are taken.
 */
int host_order(const struct host *host, const struct work_order *order, const int *fds,
	       size_t n_fds, work_fn on_done, void *userdata, struct work **ret_work);
/* How many orders wait or are carried out; those given up are not among them. */
unsigned host_busy(const struct host *host);
/* `usec` from now on, or sooner, so that `spare_usec` are left before the host goes. May be over.
 */
uint64_t host_time(const struct host *host, uint64_t usec, uint64_t spare_usec);
/* All services that it hosts. */
struct service *const *host_services(const struct host *host, size_t *ret_n);

static inline bool host_has(const struct host *host, enum host_part part)
{
	return host->parts & part;
}

/* For who looks for a fault in us: a line for each event of a service. */
void host_debug(const struct host *host, const char *template, ...)
	__attribute__((format(printf, 2, 3)));
