// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsctl/show/render_fastpath.h"

#include <inttypes.h>
#include <string.h>

#include "hsctl/json.h"
#include "hsctl/show/table.h"

/* " (early 3, full 1)" */
static void print_reasons(const struct render *render, json_object *reasons)
{
	const char *before = " (";

	json_object_object_foreach(reasons, why, number)
	{
		int64_t n = json_object_get_int64(number);

		if (!n)
			continue;
		fprintf(render->out, "%s%s %" PRId64, before, why, n);
		before = ", ";
	}
	if (before[0] == ',')
		fputc(')', render->out);
}

void render_fastpath(const struct render *render, json_object *status)
{
	char texts[4][AMOUNT_TEXT_MAX];
	json_object *fastpath, *reasons;
	int64_t pairs;

	if (!json_object_object_get_ex(status, "fastpath", &fastpath) || !fastpath)
		return;
	pairs = json_number(fastpath, "pairs", 0);
	fprintf(render->out,
		"fast path: %" PRId64
		" connection%s; received %s past TCP and %s by TCP, sent %s and "
		"%s",
		pairs, pairs == 1 ? "" : "s",
		amount_format(json_number(fastpath, "received_fast_bytes", 0), texts[0]),
		amount_format(json_number(fastpath, "received_tcp_bytes", 0), texts[1]),
		amount_format(json_number(fastpath, "sent_fast_bytes", 0), texts[2]),
		amount_format(json_number(fastpath, "sent_tcp_bytes", 0), texts[3]));
	if (json_object_object_get_ex(fastpath, "by_tcp", &reasons) &&
	    json_object_is_type(reasons, json_type_object))
		print_reasons(render, reasons);
	fputc('\n', render->out);
}

/* "fast", "tcp (early)" */
static void format_way(json_object *direction, char *text, size_t size)
{
	const char *way = json_text(direction, "way"), *why = json_text(direction, "why");

	snprintf(text, size, "%s%s%s%s", way, why[0] ? " (" : "", why, why[0] ? ")" : "");
}

const char *render_fastpath_ways(json_object *connection, char text[FASTPATH_WAYS_MAX])
{
	json_object *pair, *received = NULL, *sent = NULL;
	char ways[2][FASTPATH_WAYS_MAX / 2];

	text[0] = '\0';
	if (!json_object_object_get_ex(connection, "fastpath", &pair) || !pair)
		return text;
	json_object_object_get_ex(pair, "received", &received);
	json_object_object_get_ex(pair, "sent", &sent);
	format_way(received, ways[0], sizeof(ways[0]));
	format_way(sent, ways[1], sizeof(ways[1]));
	snprintf(text, FASTPATH_WAYS_MAX, "%s%s%s", ways[0], strcmp(ways[0], ways[1]) ? "/" : "",
		 strcmp(ways[0], ways[1]) ? ways[1] : "");
	return text;
}
