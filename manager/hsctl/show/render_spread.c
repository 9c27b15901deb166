// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsctl/show/render_spread.h"

#include <inttypes.h>

#include "hsctl/json.h"
#include "hsctl/show/table.h"
#include "util/macro.h"

/* What was not counted is not there. */
static bool has(json_object *slot, const char *key)
{
	return json_object_object_get_ex(slot, key, NULL);
}

static void set_percent(struct libscols_line *line, unsigned column, json_object *slot,
			const char *key)
{
	char text[32] = "-";

	if (has(slot, key))
		snprintf(text, sizeof(text), "%.1f%%", 100 * json_double(slot, key));
	cell_set_text(line, column, text);
}

/* ---- table ---- */

static void add_slot(struct libscols_table *table, json_object *slot)
{
	struct libscols_line *line = scols_table_new_line(table, NULL);
	char weight[16];

	if (!line)
		return;
	snprintf(weight, sizeof(weight), "%" PRId64 "%%", json_number(slot, "weight", 0));
	cell_set_number(line, 0, json_number(slot, "slot", -1));
	cell_set_text(line, 1, json_is_true(slot, "in_service") ? "yes" : "no");
	cell_set_text(line, 2, weight);
	set_percent(line, 3, slot, "share");
	set_percent(line, 4, slot, "share_got");
	cell_set_number(line, 5, json_number(slot, "buckets", -1));
}

void render_pinned(const struct render *render, json_object *table)
{
	json_object *pinned = json_array(table, "pinned");

	for (size_t i = 0; i < json_count(pinned); i++) {
		json_object *one = json_object_array_get_idx(pinned, i);

		fprintf(render->out, "%s is pinned to slot %" PRId64 "\n", json_text(one, "prefix"),
			json_number(one, "slot", -1));
	}
	if (!json_count(pinned))
		fprintf(render->out, "%s: nobody is pinned; hsctl pin %s PREFIX SLOT pins\n",
			json_text(table, "service"), json_text(table, "service"));
}

void render_table(const struct render *render, json_object *table)
{
	static const struct column columns[] = {
		{"SLOT", true},	 {"IN SERVICE", false}, {"WEIGHT", true},
		{"SHARE", true}, {"GOT", true},		{"BUCKETS", true},
	};
	_cleanup_(scols_unref_tablep) struct libscols_table *cells =
		table_new(render, columns, ARRAY_SIZE(columns));
	json_object *slots = json_array(table, "slots");

	if (!cells)
		return;
	fprintf(render->out, "%s: policy hash by %s, fingerprint %s, %s key\n",
		json_text(table, "service"), json_text(table, "by"),
		json_text(table, "fingerprint"),
		json_is_true(table, "shared_key") ? "a given" : "a random");
	for (size_t i = 0; i < json_count(slots); i++)
		add_slot(cells, json_object_array_get_idx(slots, i));
	table_print(render, cells);
	if (json_number(table, "moved_buckets", 0))
		fprintf(render->out, "%" PRId64 " buckets were moved by rebalancing\n",
			json_number(table, "moved_buckets", 0));
	if (json_count(json_array(table, "pinned")))
		render_pinned(render, table);
}

/* ---- rebalance ---- */

void render_rebalance(const struct render *render, json_object *answer)
{
	static const struct column columns[] = {
		{"SLOT", true}, {"WANTED", true}, {"GOT", true}, {"THEN", true}};
	_cleanup_(scols_unref_tablep) struct libscols_table *cells =
		table_new(render, columns, ARRAY_SIZE(columns));
	json_object *slots = json_array(answer, "slots");

	if (!cells)
		return;
	for (size_t i = 0; i < json_count(slots); i++) {
		json_object *slot = json_object_array_get_idx(slots, i);
		struct libscols_line *line = scols_table_new_line(cells, NULL);

		if (!line)
			return;
		cell_set_number(line, 0, json_number(slot, "slot", -1));
		set_percent(line, 1, slot, "share_wanted");
		set_percent(line, 2, slot, "share_before");
		set_percent(line, 3, slot, "share_after");
	}
	table_print(render, cells);
	fprintf(render->out, "%s\n", json_text(answer, "message"));
	if (json_is_true(answer, "dry_run") && json_number(answer, "moved_buckets", 0))
		fprintf(render->out, "Nothing was done; hsctl rebalance %s does it.\n",
			json_text(answer, "service"));
}

/* ---- status ---- */

void render_replay(const struct render *render, json_object *status)
{
	json_object *replay;

	if (!json_object_object_get_ex(status, "replay", &replay))
		return;
	if (!json_is_true(replay, "works")) {
		fprintf(render->out, "! replay: %s\n", json_text(replay, "problem"));
		return;
	}
	fprintf(render->out,
		"replay: %" PRId64 " templates of %" PRId64 " exporters are remembered, %" PRId64
		" datagrams were sent ahead of changes",
		json_number(replay, "templates", 0), json_number(replay, "exporters", 0),
		json_number(replay, "sent", 0));
	if (json_number(replay, "late", 0))
		fprintf(render->out, "; %" PRId64 " changes did not wait for all",
			json_number(replay, "late", 0));
	if (json_number(replay, "forgotten", 0))
		fprintf(render->out, "; %" PRId64 " templates were forgotten for want of room",
			json_number(replay, "forgotten", 0));
	fputc('\n', render->out);
}

void render_shares(const struct render *render, json_object *status)
{
	json_object *slots = json_array(status, "slots");
	bool any = false;

	if (!json_text(status, "by")[0])
		return;
	fputs("shares: ", render->out);
	for (size_t i = 0; i < json_count(slots); i++) {
		json_object *slot = json_object_array_get_idx(slots, i);

		if (!has(slot, "share"))
			continue;
		fprintf(render->out, "%sslot %" PRId64 " %.1f%%", any ? ", " : "",
			json_number(slot, "slot", -1), 100 * json_double(slot, "share"));
		if (has(slot, "share_got"))
			fprintf(render->out, " (got %.1f%%)", 100 * json_double(slot, "share_got"));
		if (json_number(slot, "drops", 0) > 0)
			fprintf(render->out, " (%" PRId64 " datagrams dropped)",
				json_number(slot, "drops", 0));
		any = true;
	}
	fputc('\n', render->out);
}
