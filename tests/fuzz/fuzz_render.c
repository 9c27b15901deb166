/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What hsctl shows of the JSON that hsd of another version, host or container sends. */
#include <string.h>

#include "fuzz.h"
#include "hsctl/json.h"
#include "hsctl/show/progress.h"
#include "hsctl/show/render.h"
#include "util/macro.h"
#include "util/parse.h"

static void fuzz_steps(const char *text, FILE *out)
{
	struct progress progress;

	progress_init(&progress, out);
	(void)progress_on_step(text, &progress);
	progress_end(&progress);
}

/* A terminal does what it is told by control characters: none may come through. */
static void check_shown(const char *text)
{
	for (; *text; text++)
		check(*text == '\n' || *text == '\t' || (unsigned char)*text >= ' ');
}

static void fuzz_shown(json_object *object, FILE *out)
{
	struct render render = {.out = out, .now_usec = 1700000000 * USEC_PER_SEC};

	render_status(&render, object);
	render_connections(&render, object);
	render_list(&render, object);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(json_object_putp) json_object *object = NULL;
	_cleanup_(freep) char *text = malloc(size + 1), *shown = NULL;
	size_t length;
	FILE *out;

	check(text);
	memcpy(text, data, size);
	text[size] = 0;
	out = open_memstream(&shown, &length);
	check(out);
	object = json_parse(text);
	fuzz_shown(object, out);
	fuzz_steps(text, out);
	fclose(out);
	check_shown(shown);
	return 0;
}
