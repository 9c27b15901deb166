// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsctl/hsctl.h"

#include <stdarg.h>
#include <stdio.h>

#include "util/macro.h"
#include "util/text.h"

void reply_done(struct reply *reply)
{
	free(reply->text);
	reply->text = NULL;
}

int reply_fail(struct reply *reply, int exit_code, const char *template, ...)
{
	va_list args;

	va_start(args, template);
	vsnprintf(reply->problem.text, sizeof(reply->problem.text), template, args);
	va_end(args);
	text_tame(reply->problem.text);
	reply->exit = exit_code;
	return exit_code;
}

void complain(const char *template, ...)
{
	_cleanup_(freep) char *text = NULL;
	va_list args;
	int n;

	va_start(args, template);
	n = vasprintf(&text, template, args);
	va_end(args);
	if (n < 0)
		text = NULL;
	fflush(stdout);
	fprintf(stderr, "hsctl: %s\n", text ? text_tame(text) : "out of memory");
}
