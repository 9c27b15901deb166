/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Asking hsd over the bus: this machine's, another host's or a container's. */
#pragma once

#include <signal.h>
#include <systemd/sd-bus.h>

#include "hsctl/arguments.h"
#include "hsctl/hsctl.h"

enum client_answer {
	CLIENT_ANSWERED,    /* reply->text holds JSON, if the method gives any */
	CLIENT_REFUSED,	    /* hsd said no, or a signal came before it was asked: reply->exit and
			     * reply->problem say how */
	CLIENT_ABSENT,	    /* there is no hsd, or no bus: nothing was asked */
	CLIENT_LOST,	    /* hsd went away before it answered */
	CLIENT_TIMEOUT,	    /* no answer in time; hsd may still be at it */
	CLIENT_INTERRUPTED, /* the wait was ended by a signal; hsd goes on with it */
};

/* Called with the text of each Progress signal of the service (JSON). A value other than 0 ends the
 * wait: the answer is then CLIENT_ANSWERED without text. */
typedef int (*client_progress_fn)(const char *json, void *userdata);

struct client_call {
	const char *service; /* NULL: a method of the manager */
	const char *method;
	uint64_t timeout_usec;		/* for all of it, also for reaching the bus */
	bool may_ask_people;		/* for a password, where polkit wants one */
	client_progress_fn on_progress; /* may be NULL */
	void *userdata;
	int *ret_fd; /* NULL, or for the descriptor that comes with the answer: the caller's */
	/* when this is set by a signal, that method of the service is called, once, and the wait
	 * goes on; without a method it ends. May be NULL. `on_refusal` is told the sentence if hsd
	 * does not do that */
	const volatile sig_atomic_t *interrupted;
	const char *cancel_method;
	void (*on_refusal)(const char *sentence, void *userdata);
};

#define CLIENT_NO_SSH                                                                             \
	"-H reaches %s by ssh, which is not installed here; install it (openssh-client), or run " \
	"hsctl there"

/* Opens the bus that the arguments mean. Negative errno, and a sentence. */
int client_open(const struct arguments *arguments, sd_bus **ret_bus, struct problem *problem);

/* Calls the method with these arguments (sd_bus_message_append(3)) and waits. With every answer but
 * CLIENT_ANSWERED there is a sentence and an exit code in `ret_reply`. */
enum client_answer client_call(sd_bus *bus, const struct client_call *call, struct reply *ret_reply,
			       const char *types, ...);

/* Both in one; no bus is CLIENT_ABSENT here, too. With --direct nobody is asked. */
enum client_answer client_ask(const struct arguments *arguments, const struct client_call *call,
			      struct reply *ret_reply, const char *types, ...);
