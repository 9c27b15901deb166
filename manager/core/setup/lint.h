/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a template unit and its socket units must not be set up like if instances of it are to be
 * switched. Pure: the caller reads the files. Every finding names the line, the reason and the
 * remedy.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "core/ini.h"

#define LINT_FINDINGS_MAX 32
#define LINT_TEXT_MAX	  2048

struct lint_finding {
	bool refuses;	  /* it cannot work; else worth knowing */
	const char *file; /* NULL = none in particular. Belongs, like `why`, to the caller of the
			     rule */
	unsigned line;	  /* 0 = the file as a whole: something is missing */
	char what[544];	  /* "Accept=yes" */
	const char *why;
	char remedy[256];
};

struct lint_report {
	struct lint_finding items[LINT_FINDINGS_MAX];
	size_t n;
	bool refused; /* at least one finding refuses, listed or beyond LINT_FINDINGS_MAX */
};

/* One unit as it is set up for one slot. The settings: its own file, then its drop-ins in reading
 * order. */
struct lint_unit {
	const char *name;     /* "app@0.socket" */
	const char *fragment; /* path of its own file */
	struct assignments settings;
	char *const
		*stopped_by; /* units whose stop stops this one, as systemd sees it; may be NULL */
};

/* Adds a finding unless the same one (place and `what`) is there: the slots of a template share
 * files. */
void lint_add(struct lint_report *report, const struct lint_finding *finding);

/* A finding about one assignment. `why` as in the finding; `remedy` is copied. */
void lint_line(struct lint_report *report, bool refuses, const struct assignment *a,
	       const char *why, const char *remedy);

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

/* Of these, those about what would let another than root say what our commands are: what the unit
 * puts in the place of the root, or over the folders that they come from. */
void lint_root(struct lint_report *report, const struct lint_unit *service);

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

/* True if a specifier in the value stands for the slot. */
bool lint_depends_on_slot(const char *value);

/* True if commands may know the slot by a variable that the unit sets. */
bool lint_has_own_environment(const struct lint_unit *service);

/* "FILE:LINE: WHAT: WHY. REMEDY." Returns `text`. */
const char *lint_format(const struct lint_finding *finding, char text[LINT_TEXT_MAX]);
