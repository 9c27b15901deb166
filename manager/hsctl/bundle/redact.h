/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Leaves secrets and addresses out of text that goes to others: of units, journals, command lines.
 * What is secret is told by its name, so it is what can be known, not all that there may be. Pure.
 */
#pragma once

#include "hsctl/bundle/redaction.h"

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
