/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The services of the manager: which they are, as they are enabled and disabled. */
#pragma once

#include <stdbool.h>

struct manager;

/* Takes up services that were enabled and forgets those that were disabled. */
int services_reload(struct manager *manager);
/* Systemd has been asked about the slots of all of them. */
bool services_are_known(const struct manager *manager);
/* Frees those that it has; they stay enabled. */
void services_free(struct manager *manager);
