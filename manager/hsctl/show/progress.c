// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsctl/show/progress.h"

#include <string.h>

#include "hsctl/json.h"
#include "hsctl/wrap.h"

void progress_init(struct progress *progress, FILE *out)
{
	*progress = (struct progress) {
		.out = out,
		.terminal = out && isatty(fileno(out)),
		.from = -1,
		.to = -1,
	};
}

static void show(struct progress *progress, const char *step, const char *text)
{
	bool same = !strcmp(progress->step, step);

	snprintf(progress->step, sizeof(progress->step), "%s", step);
	if (!progress->out || !text[0])
		return;
	if (progress->terminal)
		fprintf(progress->out, "\r\033[K%.*s",
			wrap_fits(text, wrap_width(fileno(progress->out))), text);
	else if (!same)
		fprintf(progress->out, "%s\n", text);
	fflush(progress->out);
}

static bool is_end(const char *step)
{
	return !strcmp(step, "done") || !strcmp(step, "undone") || !strcmp(step, "failed");
}

int progress_on_step(const char *json, void *userdata)
{
	_cleanup_(json_object_putp) json_object *object = json_parse(json);
	struct progress *progress = userdata;
	const char *step = json_text(object, "step");

	if (!step[0])
		return 0;
	progress->from = json_number(object, "from", -1);
	progress->to = json_number(object, "to", -1);
	progress->exclusive = json_is_true(object, "exclusive");
	if (strcmp(step, "flip"))
		progress->flipped = true;
	/* how it ended is said by the answer */
	if (is_end(step))
		return 0;
	show(progress, step, json_text(object, "text"));
	return progress->until_flip && progress->flipped;
}

void progress_end(struct progress *progress)
{
	if (progress->terminal && progress->step[0]) {
		fputs("\r\033[K", progress->out);
		fflush(progress->out);
	}
}
