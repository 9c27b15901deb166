// SPDX-License-Identifier: GPL-2.0-or-later
/* Connections: a line for each slot and for the park, and, if they were asked for, one for each
 * connection. */
#include <inttypes.h>
#include <string.h>

#include "hsctl/json.h"
#include "hsctl/show/render.h"
#include "hsctl/show/render_fastpath.h"
#include "hsctl/show/table.h"
#include "util/clock.h"

enum {
	SLOT,
	ROLE,
	CONNS,
	QUEUED,
	HALF_OPEN,
	RATE,
	OLDEST,
	IDLE,
	LONGEST,
	FLOWS,
	FLOWS_IDLE,
	CLIENTS
};

static void set_rate(struct libscols_line *line, json_object *place)
{
	json_object *rate;
	char text[32] = "";

	if (json_object_object_get_ex(place, "opened_per_s", &rate) && rate)
		snprintf(text, sizeof(text), "%.1f/s", json_double(place, "opened_per_s"));
	cell_set_text(line, RATE, text);
}

static void add_place(struct libscols_table *table, json_object *place, const char *name)
{
	struct libscols_line *line = scols_table_new_line(table, NULL);

	if (!line)
		return;
	cell_set_text(line, SLOT, name);
	cell_set_text(line, ROLE, json_text(place, "role"));
	cell_set_number(line, CONNS, json_number(place, "connections", -1));
	cell_set_waiting(line, QUEUED, place);
	cell_set_number(line, HALF_OPEN, json_number(place, "half_open", -1));
	set_rate(line, place);
	cell_set_span(line, OLDEST, json_number(place, "oldest_ms", -1));
	cell_set_number(line, IDLE, json_number(place, "idle", -1));
	cell_set_span(line, LONGEST, json_number(place, "longest_idle_ms", -1));
	if (scols_table_get_ncols(table) <= FLOWS)
		return;
	cell_set_number(line, FLOWS, json_number(place, "flows", -1));
	cell_set_span(line, FLOWS_IDLE, json_number(place, "flows_longest_idle_ms", -1));
	cell_set_number(line, CLIENTS, json_number(place, "udp_clients", -1));
}

/* Of UDP there is something to tell. */
static bool has_flows(json_object *slots)
{
	json_object *first = json_count(slots) ? json_object_array_get_idx(slots, 0) : NULL;

	return first &&
	       (json_number(first, "flows", -1) >= 0 || json_number(first, "udp_clients", -1) >= 0);
}

static void print_places(const struct render *render, json_object *connections)
{
	char idle[SPAN_TEXT_MAX + 16] = "IDLE", span[SPAN_TEXT_MAX];
	const struct column columns[] = {
		[SLOT] = {"SLOT", true},	   [ROLE] = {"ROLE", false},
		[CONNS] = {"CONNS", true},	   [QUEUED] = {"QUEUED", true},
		[HALF_OPEN] = {"HALF-OPEN", true}, [RATE] = {"RATE", true},
		[OLDEST] = {"OLDEST", true},	   [IDLE] = {idle, true},
		[LONGEST] = {"LONGEST", true},	   [FLOWS] = {"FLOWS", true},
		[FLOWS_IDLE] = {"LONGEST", true},  [CLIENTS] = {"CLIENTS", true},
	};
	json_object *slots = json_array(connections, "slots"), *park;
	int64_t after = json_number(connections, "idle_after_ms", -1);
	_cleanup_(scols_unref_tablep) struct libscols_table *table = NULL;
	char name[16];

	if (after >= 0)
		snprintf(idle, sizeof(idle), "IDLE>=%s",
			 span_format(after * USEC_PER_MSEC, span, sizeof(span)));
	table = table_new(render, columns, has_flows(slots) ? ARRAY_SIZE(columns) : FLOWS);
	if (!table)
		return;
	for (size_t i = 0; i < json_count(slots); i++) {
		json_object *slot = json_object_array_get_idx(slots, i);

		snprintf(name, sizeof(name), "%" PRId64, json_number(slot, "slot", -1));
		add_place(table, slot, name);
	}
	if (json_object_object_get_ex(connections, "park", &park) && park)
		add_place(table, park, "park");
	table_print(render, table);
}

static void add_connection(struct libscols_table *table, json_object *connection, bool ways)
{
	char text[FASTPATH_WAYS_MAX];
	struct libscols_line *line = scols_table_new_line(table, NULL);
	int64_t slot = json_number(connection, "slot", -1);
	bool waits = json_object_object_get(connection, "accepted") &&
		     !json_is_true(connection, "accepted");

	if (!line)
		return;
	cell_set_number(line, 0, slot);
	cell_set_text(line, 1, json_text(connection, "peer"));
	cell_set_text(line, 2, json_text(connection, "local"));
	cell_set_text(line, 3, waits ? "queued" : json_text(connection, "state"));
	cell_set_span(line, 4, json_number(connection, "age_ms", -1));
	cell_set_span(line, 5, json_number(connection, "idle_ms", -1));
	if (ways)
		cell_set_text(line, 6, render_fastpath_ways(connection, text));
}

/* The column is there where there is something to tell in it. */
static bool has_pairs(json_object *each)
{
	for (size_t i = 0; i < json_count(each); i++)
		if (json_object_object_get(json_object_array_get_idx(each, i), "fastpath"))
			return true;
	return false;
}

static void print_connections(const struct render *render, json_object *connections)
{
	static const struct column columns[] = {{"SLOT", true},	  {"PEER", false}, {"LOCAL", false},
						{"STATE", false}, {"AGE", true},   {"IDLE", true},
						{"WAY", false}};
	bool ways = has_pairs(connections);
	_cleanup_(scols_unref_tablep) struct libscols_table *table =
		table_new(render, columns, ARRAY_SIZE(columns) - !ways);

	for (size_t i = 0; table && i < json_count(connections); i++)
		add_connection(table, json_object_array_get_idx(connections, i), ways);
	if (table)
		table_print(render, table);
}

void render_connections(const struct render *render, json_object *connections)
{
	json_object *each = json_array(connections, "connections");

	print_places(render, connections);
	if (json_text(connections, "problem")[0])
		fprintf(render->out, "! %s\n", json_text(connections, "problem"));
	if (json_is_true(connections, "withheld"))
		fputs("Who connects is told to root and to members of the group hotstandby: run it "
		      "with sudo\n",
		      render->out);
	if (!each)
		return;
	fputc('\n', render->out);
	if (json_count(each))
		print_connections(render, each);
	else
		fputs("no connection\n", render->out);
	if (json_is_true(connections, "truncated"))
		fprintf(render->out,
			"There are more: the first %zu are listed, what is counted above are all\n",
			json_count(each));
}
