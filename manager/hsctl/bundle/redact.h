/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Leaves secrets and addresses out of text that goes to others: of units, journals, command lines.
 * What is secret is told by its name, so it is what can be known, not all that there may be. Pure.
 */
#pragma once

#include <arpa/inet.h>
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

void redact_done(struct redact *redact);

/*
 * The text without
 *   - what Environment=, SetCredential= and SetCredentialEncrypted= of a unit say, also in comments
 *     and where systemd tells that it cannot read it,
 *   - values of what is called a password, secret, token, key, credential, cookie or authorization,
 *     as "NAME=VALUE", "NAME: VALUE", "NAME => VALUE" or "--NAME VALUE", also on the next line of
 *     one that goes on; user:PASSWORD@ and USER@ in addresses of the web, and user:PASSWORD behind
 *     -u and --user,
 *   - what is behind Bearer and Basic, tokens that are known by how they begin, and blocks of PEM,
 *   - addresses, but for those that every machine has and `own`: whatever stands around them, and
 *     also with %3A for a colon.
 * NULL without memory. Free it.
 */
char *redact_text(struct redact *redact, const char *text);
