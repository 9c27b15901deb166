/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Addresses in text, wherever they stand: behind letters, before ports, in brackets, written for
 * the web or for JSON. Pure. */
#pragma once

#include <stdio.h>

#include "hsctl/bundle/redaction.h"

/* Writes the line with numbers instead of addresses, but for those that every machine has and
 * `own`. Without memory nothing is written. */
void redact_addresses(struct redact *redact, const char *line, FILE *out);
/* The numbers of all addresses. */
void redact_forget(struct redact *redact);
