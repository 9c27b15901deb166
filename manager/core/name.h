/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names: a service, its template unit, its slots' units, its pin. All functions are pure; on
 * failure they return -EINVAL and leave their outputs alone. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Buffer sizes, NUL included. A service name is short enough for every name made from it (template
 * drop-in folder, configuration file, pin) to fit into 255 bytes. */
#define SERVICE_NAME_MAX 240
#define UNIT_NAME_MAX	 256
#define PIN_NAME_MAX	 256

/* What a user may give where a service is meant. */
enum name_kind {
	NAME_SERVICE,  /* "app" */
	NAME_TEMPLATE, /* "app@" or "app@.service" */
	NAME_INSTANCE, /* "app@0.service" or "app@0", whatever the instance */
	NAME_PLAIN,    /* "nginx.service": a service unit, but no template */
	NAME_SOCKET,   /* "app@.socket", "app@0.socket", "app.socket" */
	NAME_INVALID,
};

/* Tells the kinds apart, so that an error can name the remedy. */
enum name_kind name_kind(const char *text);

/* A service name: digits, letters, ":-_.\" as in unit names; not empty, not too long, no dot in
 * front, and no ".service" or ".socket" behind (that would be a unit). */
bool name_is_valid(const char *service);

/* "app@0.service" -> "app", 0. The slot is decimal, 0 to 15, without leading zeros. */
int name_from_unit(const char *unit, char ret_service[SERVICE_NAME_MAX], unsigned *ret_slot);

/* "app@.service", "app@", "app" -> "app". */
int name_from_template(const char *text, char ret_service[SERVICE_NAME_MAX]);

/* The service of any kind but NAME_PLAIN and NAME_INVALID; "app@blue.service" -> "app". For
 * messages: what the user may have meant. */
int name_guess(const char *text, char ret_service[SERVICE_NAME_MAX]);

/* "app", 0 -> "app@0.service" / "app@0.socket". -EINVAL also when `size` is too small
 * (UNIT_NAME_MAX is enough) or the slot too large. */
int name_unit(const char *service, unsigned slot, char *ret_unit, size_t size);
int name_socket_unit(const char *service, unsigned slot, char *ret_unit, size_t size);

/* The folder of the service's pins. bpffs allows no '.' in a name, so '.' is "%2E"; '%' cannot
 * occur in a unit name. `size`: PIN_NAME_MAX is enough. */
int name_to_pin(const char *service, char *ret_pin, size_t size);

/* The way back. Refuses what name_to_pin() cannot have made, so that other folders there are left
 * alone. */
int name_from_pin(const char *pin, char ret_service[SERVICE_NAME_MAX]);
