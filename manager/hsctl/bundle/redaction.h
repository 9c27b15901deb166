/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is left out of a text, and what has been so far. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct redact {
	bool keep_environment; /* what Environment= says, but for what is secret by its name */
	bool keep_addresses;
	/* addresses of this machine stay; may be NULL */
	char *const *own;

	/* what has been left out so far */
	unsigned n_environment, n_secrets, n_addresses;
	/* the same address has the same number everywhere, so that what belongs together can still
	 * be seen */
	void *known;
	size_t n_known;
};
