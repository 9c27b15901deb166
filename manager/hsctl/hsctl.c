// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsctl/hsctl.h"

#include <stdarg.h>
#include <stdio.h>

#include "util/macro.h"

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
	reply->exit = exit_code;
	return exit_code;
}

void complain(const char *template, ...)
{
	va_list args;

	fflush(stdout);
	fputs("hsctl: ", stderr);
	va_start(args, template);
	vfprintf(stderr, template, args);
	va_end(args);
	fputc('\n', stderr);
}
