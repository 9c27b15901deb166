/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which units a service consists of. */
#pragma once

/* Of each slot the service and, where systemd makes its sockets, the socket units; then the alias,
 * if there is one. Where the settings are wrong, those that every service has. Negative errno; free
 * with strings_free(). */
int bundle_units(const char *service, char ***ret_units);
