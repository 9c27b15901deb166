// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsctl/hsctl.h"

#include <stdarg.h>
#include <stdio.h>

#include "hsctl/wrap.h"
#include "util/files.h"
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
	_cleanup_(freep) char *sentence = NULL, *line = NULL;
	va_list args;

	/* after what was said before it */
	fflush(stdout);
	va_start(args, template);
	if (vasprintf(&sentence, template, args) < 0)
		sentence = NULL;
	va_end(args);
	line = sentence ? format("hsctl: %s\n", sentence) : NULL;
	wrap_print(stderr, line ?: "hsctl: out of memory\n");
}
