/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Secrets in a line: values of what is called one, users of the web, tokens. Pure. */
#pragma once

#include <stdio.h>

#include "hsctl/bundle/redaction.h"

#define LEFT_OUT "[left out]"

/* What a line that ends in a backslash leaves to the next one. */
enum carried {
	CARRIED_NOTHING,
	CARRIED_VALUE, /* its first word is a secret */
	CARRIED_USER,  /* its first word is "user:password" */
	CARRIED_TEXT   /* all of it is, and of those behind it as long as they go on */
};

/* Writes the line without them. */
enum carried redact_secrets(struct redact *redact, const char *line, enum carried carried,
			    FILE *out);
