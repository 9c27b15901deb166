// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsctl/show/render_front.h"

#include <inttypes.h>
#include <string.h>

#include "hsctl/json.h"
#include "hsctl/show/table.h"
#include "util/macro.h"

void render_front_mode(const struct render *render, json_object *front)
{
	const char *device = json_text(front, "device");

	fprintf(render->out, "mode %s", json_text(front, "mode"));
	if (device[0])
		fprintf(render->out, " on %s%s", device,
			json_is_true(front, "native") ? "" : " (generic)");
	fputs(", ", render->out);
}

static void set_amount(struct libscols_line *line, unsigned column, int64_t amount)
{
	char text[AMOUNT_TEXT_MAX];

	cell_set_text(line, column, amount >= 0 ? amount_format(amount, text) : "");
}

static const char *color_of(const char *state)
{
	return !strcmp(state, "ready") ? "green" : !strcmp(state, "down") ? "red" : "yellow";
}

static void add_host(const struct render *render, struct libscols_table *table, json_object *slot)
{
	struct libscols_line *line = scols_table_new_line(table, NULL);
	const char *state = json_text(slot, "state"), *role = json_text(slot, "role");
	char rate[32];

	if (!line)
		return;
	cell_set_number(line, 0, json_number(slot, "slot", -1));
	cell_set_text(line, 1, json_text(slot, "host"));
	cell_set_text(line, 2, role);
	cell_set_text(line, 3, state);
	cell_set_text(line, 4, json_text(slot, "health"));
	cell_set_number(line, 5, json_number(slot, "connections", -1));
	cell_set_number(line, 6, json_number(slot, "flows", -1));
	snprintf(rate, sizeof(rate), "%.1f", json_double(slot, "new_flows_per_s"));
	cell_set_text(line, 7, rate);
	set_amount(line, 8, json_number(slot, "packets", -1));
	set_amount(line, 9, json_number(slot, "bytes", -1));
	cell_set_color(render, line, 2, !strcmp(role, "active") ? "bold" : NULL);
	cell_set_color(render, line, 3, color_of(state));
}

void render_hosts(const struct render *render, json_object *slots)
{
	static const struct column columns[] = {
		{"SLOT", true},	   {"HOST", false}, {"ROLE", false}, {"STATE", false},
		{"HEALTH", false}, {"CONNS", true}, {"FLOWS", true}, {"NEW/S", true},
		{"PACKETS", true}, {"BYTES", true},
	};
	_cleanup_(scols_unref_tablep) struct libscols_table *table =
		table_new(render, columns, ARRAY_SIZE(columns));

	for (size_t i = 0; table && i < json_count(slots); i++) {
		json_object *slot = json_object_array_get_idx(slots, i);

		/* a number that no host has */
		if (json_text(slot, "host")[0])
			add_host(render, table, slot);
	}
	if (table)
		table_print(render, table);
}

void render_kept(const struct render *render, json_object *slots)
{
	const char *between = "no host is well; new connections go on to those that were last: ";

	for (size_t i = 0; i < json_count(slots); i++) {
		json_object *slot = json_object_array_get_idx(slots, i);

		if (!json_is_true(slot, "kept"))
			continue;
		fprintf(render->out, "%s%s", between, json_text(slot, "host"));
		between = ", ";
	}
	if (between[0] == ',')
		fputc('\n', render->out);
}

void render_front_counts(const struct render *render, json_object *front)
{
	static const struct {
		const char *key, *text;
	} counts[] = {
		{"no_host", "packets found no host that takes new connections"},
		{"no_way", "packets found no way to their host"},
		{"unremembered", "flows began beyond NewFlows= and are not remembered"},
		{"too_big", "packets were too big to be encapsulated; their senders were told"},
		{"fragments_lost", "fragments came without the first one"},
		{"other_ports", "packets came for ports of its addresses that no Ports= names"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(counts); i++)
		if (json_number(front, counts[i].key, 0) > 0)
			fprintf(render->out, "%" PRId64 " %s\n",
				json_number(front, counts[i].key, 0), counts[i].text);
}
