/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a template unit and its socket units must not be set up like if instances of it are to be
 * switched. Pure: the caller reads the files. Every finding names the line, the reason and the
 * remedy.
 */
#pragma once

#include <stdbool.h>

#include "core/setup/lint_report.h"
#include "core/setup/lint_unit.h"

/* What the user gave is no template: an instance, a plain unit, a socket. Returns true if it is
 * fine. */
bool lint_name(struct lint_report *report, const char *text);

enum lint_load {
	LINT_NOT_FOUND, /* there is no such unit file */
	LINT_PLAIN, /* there is none, but one of the same name that is no template; `fragment` is
		       that */
	LINT_MASKED,
	LINT_BROKEN,	 /* systemd cannot read it */
	LINT_OTHER_NAME, /* an alias; `detail` is the unit's own name */
	LINT_OK,
};

/* The template unit cannot be used. `template`: "app@.service". `detail`: systemd's message, NULL
 * if there is none. LINT_OK adds nothing. */
void lint_load(struct lint_report *report, enum lint_load load, const char *template,
	       const char *fragment, const char *detail);

/* The rules for the service of one slot. `sockets`: the names of its socket units ("app@0.socket"),
 * NULL- terminated. */
void lint_service(struct lint_report *report, const struct lint_unit *service,
		  const char *const *sockets);

/* The unit of one slot beside `plain` ("app.service"), which it is to take over from, or which is
 * to stand for all slots: a stop of one must not be a stop of the other. */
void lint_plain(struct lint_report *report, const struct lint_unit *unit, const char *plain);

/* Whether the service's unit has a network namespace made for it, and the line that says so. */
bool lint_has_own_network(const struct lint_unit *service, const struct assignment **ret_line);

/* Why a path that the service's server binds is not the one that clients know, or is seen by nobody
 * outside, and the line that says so. NULL = it is. */
const char *lint_hides_paths(const struct lint_unit *service, const struct assignment **ret_line);

/* The rules for a socket unit of the slot whose service is `service` ("app@0.service"). */
void lint_socket(struct lint_report *report, const struct lint_unit *socket, const char *service);

/* The one rule for a socket unit without instances ("app.socket"): with Accept=yes it starts an
 * instance of the template for each connection, so the template is made for that. */
void lint_per_connection(struct lint_report *report, const struct lint_unit *socket);
