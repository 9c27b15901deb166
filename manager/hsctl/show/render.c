// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsctl/show/render.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "core/name.h"
#include "hsctl/json.h"
#include "hsctl/show/render_fastpath.h"
#include "hsctl/show/render_front.h"
#include "hsctl/show/render_spread.h"
#include "hsctl/show/table.h"
#include "plane/act/foreign.h"
#include "util/clock.h"
#include "util/macro.h"

#define RED   "\033[31m"
#define BOLD  "\033[1m"
#define PLAIN "\033[0m"

/* ---- status ---- */

/* "2026-01-31T12:00:00.123Z" -> how long ago. */
static const char *ago(const struct render *render, const char *time, char *text, size_t size)
{
	struct tm tm = {0};
	char span[SPAN_TEXT_MAX];
	uint64_t then;

	if (!strptime(time, "%Y-%m-%dT%H:%M:%S", &tm))
		return "";
	then = (uint64_t)timegm(&tm) * USEC_PER_SEC;
	if (then > render->now_usec)
		then = render->now_usec;
	if (render->now_usec - then < USEC_PER_SEC)
		return "now";
	/* whole seconds: it is no stop-watch */
	span_format((render->now_usec - then) / USEC_PER_SEC * USEC_PER_SEC, span, sizeof(span));
	snprintf(text, size, "%s ago", span);
	return text;
}

static const char *state_color(const char *state)
{
	if (!strcmp(state, "ready"))
		return "green";
	if (!strcmp(state, "failed") || !strcmp(state, "not-adopted"))
		return "red";
	return "yellow";
}

/* Columns that are there only where they say something; 0 = not there. */
struct extra_columns {
	unsigned flows, health;
};

static const char *health_color(const char *health)
{
	if (!strcmp(health, "healthy"))
		return "green";
	return strcmp(health, "unhealthy") ? "yellow" : "red";
}

static void add_extra(const struct render *render, struct libscols_line *line,
		      const struct extra_columns *extra, json_object *slot)
{
	if (extra->health) {
		cell_set_text(line, extra->health, json_text(slot, "health"));
		cell_set_color(render, line, extra->health,
			       health_color(json_text(slot, "health")));
	}
	if (extra->flows)
		cell_set_number(line, extra->flows, json_number(slot, "flows", -1));
}

static void add_slot(const struct render *render, struct libscols_table *table,
		     const struct extra_columns *extra, json_object *slot)
{
	struct libscols_line *line = scols_table_new_line(table, NULL);
	const char *state = json_text(slot, "state"), *role = json_text(slot, "role");
	char text[SPAN_TEXT_MAX + 8] = "";

	if (!line)
		return;
	cell_set_number(line, 0, json_number(slot, "slot", -1));
	cell_set_text(line, 1, json_text(slot, "unit"));
	cell_set_text(line, 2, role);
	cell_set_text(line, 3, state);
	cell_set_number(line, 4, json_number(slot, "main_pid", -1));
	cell_set_number(line, 5, json_number(slot, "connections", -1));
	cell_set_waiting(line, 6, slot);
	cell_set_number(line, 7, json_number(slot, "chosen", -1));
	cell_set_number(line, 8, json_number(slot, "migrated_in", -1));
	cell_set_text(line, 9, ago(render, json_text(slot, "since"), text, sizeof(text)));
	add_extra(render, line, extra, slot);
	cell_set_color(render, line, 2, !strcmp(role, "active") ? "bold" : NULL);
	cell_set_color(render, line, 3, state_color(state));
}

static struct extra_columns extra_columns(struct libscols_table *table, json_object *slots)
{
	json_object *first = json_count(slots) ? json_object_array_get_idx(slots, 0) : NULL;
	struct extra_columns extra = {0};
	unsigned n = scols_table_get_ncols(table);

	if (first && json_text(first, "health")[0] && scols_table_new_column(table, "HEALTH", 0, 0))
		extra.health = n++;
	if (first && json_number(first, "flows", -1) >= 0 &&
	    scols_table_new_column(table, "FLOWS", 0, SCOLS_FL_RIGHT))
		extra.flows = n;
	return extra;
}

static void print_slots(const struct render *render, json_object *slots)
{
	static const struct column columns[] = {
		{"SLOT", true},	    {"UNIT", false},  {"ROLE", false},	{"STATE", false},
		{"PID", true},	    {"CONNS", true},  {"QUEUED", true}, {"CHOSEN", true},
		{"MIGRATED", true}, {"SINCE", false},
	};
	_cleanup_(scols_unref_tablep) struct libscols_table *table =
		table_new(render, columns, ARRAY_SIZE(columns));
	struct extra_columns extra;

	if (!table)
		return;
	extra = extra_columns(table, slots);
	for (size_t i = 0; i < json_count(slots); i++)
		add_slot(render, table, &extra, json_object_array_get_idx(slots, i));
	table_print(render, table);
}

/* "0.0.0.0:80", "0.0.0.0:53/udp" */
static const char *listener_text(json_object *listener, char *text, size_t size)
{
	bool udp = !strcmp(json_text(listener, "protocol"), "udp");

	snprintf(text, size, "%s%s", json_text(listener, "address"), udp ? "/udp" : "");
	return text;
}

static void print_listeners(const struct render *render, json_object *listeners)
{
	for (size_t i = 0; i < json_count(listeners); i++) {
		char text[128];

		fprintf(render->out, "%s%s", i ? ", " : "",
			listener_text(json_object_array_get_idx(listeners, i), text, sizeof(text)));
	}
	if (!json_count(listeners))
		fputs("no listener", render->out);
}

/* "canary slot 1 gets 5% of clients from 10.1.0.0/16, " */
static void print_canary(const struct render *render, json_object *status)
{
	json_object *from = json_array(status, "canary_from");
	int64_t canary = json_number(status, "canary", -1);

	if (canary < 0)
		return;
	fprintf(render->out, "canary slot %" PRId64 " gets %.4g%%", canary,
		100 * json_double(status, "canary_share"));
	if (!strcmp(json_text(status, "canary_by"), "client"))
		fputs(" of clients", render->out);
	for (size_t i = 0; i < json_count(from); i++)
		fprintf(render->out, "%s%s", i ? " and " : " from ",
			json_object_get_string(json_object_array_get_idx(from, i)));
	fputs(", ", render->out);
}

/* NULL: its slots are instances. */
static json_object *front_of(json_object *status)
{
	json_object *front = NULL;

	json_object_object_get_ex(status, "front", &front);
	return front;
}

static void print_header(const struct render *render, json_object *status)
{
	const char *by = json_text(status, "by");
	json_object *front = front_of(status);

	fprintf(render->out, "%s%s%s: policy %s%s%s, generation %" PRId64 ", ",
		render->color ? BOLD : "", json_text(status, "service"), render->color ? PLAIN : "",
		json_text(status, "policy"), by[0] ? " by " : "", by,
		json_number(status, "generation", 0));
	print_canary(render, status);
	if (front)
		render_front_mode(render, front);
	if (json_text(status, "intake")[0])
		fprintf(render->out, "intake %s, ", json_text(status, "intake"));
	if (json_text(status, "change")[0])
		fprintf(render->out, "%s under way, ", json_text(status, "change"));
	fputs(json_is_true(status, "manager") ? "hsd runs, " : "seen without hsd, ", render->out);
	print_listeners(render, json_array(status, "listeners"));
	fputc('\n', render->out);
}

static void print_problem(const struct render *render, const char *where, const char *what)
{
	if (what[0])
		fprintf(render->out, "%s!%s %s%s%s\n", render->color ? RED : "",
			render->color ? PLAIN : "", where, where[0] ? ": " : "", what);
}

/* What the probes say, but for "all is well". */
static void print_health(const struct render *render, const char *where, json_object *slot)
{
	const char *health = json_text(slot, "health"), *reason = json_text(slot, "health_reason");
	char text[512];

	if (!reason[0])
		return;
	snprintf(text, sizeof(text), "%s: %s", health, reason);
	if (strcmp(health, "healthy"))
		print_problem(render, where, text);
	else
		fprintf(render->out, "%s: %s\n", where, text);
}

/* "it runs an old /usr/sbin/nginx, which was replaced on the disk; since 3min ago" */
static void print_outdated(const struct render *render, const char *where, json_object *slot,
			   const char *service)
{
	json_object *outdated = NULL;
	char what[768], text[SPAN_TEXT_MAX + 8] = "";
	const char *since;

	if (!json_object_object_get_ex(slot, "outdated", &outdated) || !outdated)
		return;
	since = ago(render, json_text(outdated, "since"), text, sizeof(text));
	snprintf(what, sizeof(what), "outdated: %s%s%s%s; hsctl upgrade %s",
		 json_text(outdated, "text"), since[0] ? " (" : "",
		 !strcmp(since, "now") ? "just now" : since, since[0] ? ")" : "", service);
	print_problem(render, where, what);
}

/* Units whose connections go by TCP, unless all do. */
static void print_fastpath(const struct render *render, json_object *status)
{
	json_object *fastpath = json_object_object_get(status, "fastpath"), *units;
	const char *problem = json_text(fastpath, "problem");
	char where[sizeof("From=") + UNIT_NAME_MAX];

	print_problem(render, "fast path", problem);
	units = problem[0] ? NULL : json_array(fastpath, "units");
	for (size_t i = 0; i < json_count(units); i++) {
		json_object *unit = json_object_array_get_idx(units, i);

		snprintf(where, sizeof(where), "From=%s", json_text(unit, "unit"));
		print_problem(render, where, json_text(unit, "problem"));
	}
}

static void print_problems(const struct render *render, json_object *status)
{
	json_object *slots = json_array(status, "slots");
	char where[32];

	print_problem(render, "", json_text(status, "problem"));
	print_fastpath(render, status);
	for (size_t i = 0; i < json_count(slots); i++) {
		json_object *slot = json_object_array_get_idx(slots, i);

		snprintf(where, sizeof(where), "slot %" PRId64, json_number(slot, "slot", -1));
		print_problem(render, where, json_text(slot, "problem"));
		print_health(render, where, slot);
		print_outdated(render, where, slot, json_text(status, "service"));
	}
}

/* Others that listen where this service does. */
static void print_foreign(const struct render *render, json_object *foreign)
{
	char where[256];

	for (size_t i = 0; i < json_count(foreign); i++) {
		json_object *one = json_object_array_get_idx(foreign, i);
		const char *unit = json_text(one, "unit");

		if (json_number(one, "pid", -1) < 0)
			snprintf(where, sizeof(where),
				 "%s is also served by a process of which root is told more",
				 json_text(one, "address"));
		else
			snprintf(where, sizeof(where),
				 "%s is also served by process %" PRId64 " (%s%s%s)",
				 json_text(one, "address"), json_number(one, "pid", 0),
				 json_text(one, "comm"), unit[0] ? ", " : "", unit);
		print_problem(render, where, foreign_effect(json_is_true(one, "in_front")));
	}
}

static void print_evicted(const struct render *render, json_object *status)
{
	int64_t evicted = json_number(status, "flows_evicted", 0);

	if (evicted)
		fprintf(render->out,
			"%" PRId64 " UDP flow%s lost the place to newer ones before FlowTimeout=; "
			"see FlowMax=\n",
			evicted, evicted == 1 ? "" : "s");
}

static void print_unpacked(const struct render *render, json_object *status)
{
	json_object *unpacked;

	if (!json_object_object_get_ex(status, "unpacked", &unpacked) || !unpacked)
		return;
	if (!json_is_true(unpacked, "works")) {
		fprintf(render->out, "Decap=yes does not work: %s\n",
			json_text(unpacked, "problem"));
		return;
	}
	fprintf(render->out,
		"front: %" PRId64 " packets were unpacked, %" PRId64 " sent on to another host\n",
		json_number(unpacked, "packets", 0), json_number(unpacked, "passed_on", 0));
}

static void print_park(const struct render *render, json_object *status)
{
	int64_t parked = json_number(status, "parked", 0);
	bool held = json_is_true(status, "park"), is_known = !json_is_null(status, "parked");
	char number[24];

	snprintf(number, sizeof(number), "%" PRId64, parked);
	if (held || parked || !is_known)
		fprintf(render->out, "park: %s wait%s\n", is_known ? number : "?",
			held ? ", new connections are held on purpose: hsctl release" : "");
}

/* Whoever wants the port is told who has it. */
static void print_held(const struct render *render, json_object *held)
{
	size_t n = held ? json_object_array_length(held) : 0;

	for (size_t i = 0; i < n; i++)
		fprintf(render->out,
			"park: hsd keeps %s, which no slot serves: new connections wait there\n",
			json_object_get_string(json_object_array_get_idx(held, i)));
}

static void print_status(const struct render *render, json_object *status)
{
	print_header(render, status);
	if (front_of(status))
		render_hosts(render, json_array(status, "slots"));
	else
		print_slots(render, json_array(status, "slots"));
	render_shares(render, status);
	render_replay(render, status);
	if (front_of(status)) {
		render_kept(render, json_array(status, "slots"));
		render_front_counts(render, front_of(status));
	}
	print_unpacked(render, status);
	render_fastpath(render, status);
	print_evicted(render, status);
	print_park(render, status);
	print_held(render, json_array(status, "held"));
	print_problems(render, status);
	print_foreign(render, json_array(status, "foreign"));
}

void render_status(const struct render *render, json_object *status)
{
	if (!json_object_is_type(status, json_type_array)) {
		print_status(render, status);
		return;
	}
	for (size_t i = 0; i < json_count(status); i++) {
		if (i)
			fputc('\n', render->out);
		print_status(render, json_object_array_get_idx(status, i));
	}
	if (!json_count(status))
		fputs("no service is under hotstandby; put one under it: hsctl enable "
		      "NAME@.service\n",
		      render->out);
}

/* ---- list ---- */

static void addresses(json_object *listeners, char *text, size_t size)
{
	size_t length = 0;
	char one[128];

	text[0] = '\0';
	for (size_t i = 0; i < json_count(listeners) && length < size; i++)
		length += snprintf(
			text + length, size - length, "%s%s", i ? " " : "",
			listener_text(json_object_array_get_idx(listeners, i), one, sizeof(one)));
}

/* `outdated`: there is a column for it, as there is something to tell in it. */
static void add_service(const struct render *render, struct libscols_table *table,
			json_object *service, bool outdated)
{
	struct libscols_line *line = scols_table_new_line(table, NULL);
	int64_t ready = json_number(service, "ready", 0), slots = json_number(service, "slots", 0);
	int64_t full = json_number(service, "full", 0);
	bool unknown = json_number(service, "unknown", 0);
	char text[512], note[32] = "";

	if (!line)
		return;
	cell_set_text(line, 0, json_text(service, "service"));
	cell_set_text(line, 1, json_text(service, "policy"));
	cell_set_number(line, 2, json_number(service, "active", -1));
	if (full)
		snprintf(note, sizeof(note), ", %" PRId64 " full", full);
	snprintf(text, sizeof(text), "%" PRId64 "%s/%" PRId64 "%s", ready, unknown ? "?" : "",
		 slots, note);
	cell_set_text(line, 3, text);
	cell_set_number(line, 4, json_number(service, "connections", -1));
	cell_set_number(line, 5, json_number(service, "parked", -1));
	addresses(json_array(service, "listeners"), text, sizeof(text));
	cell_set_text(line, 6, text);
	if (outdated)
		cell_set_number(line, 7, json_number(service, "outdated", 0));
	cell_set_color(render, line, 3, ready > 1 ? "green" : ready || unknown ? "yellow" : "red");
}

void render_list(const struct render *render, json_object *list)
{
	static const struct column columns[] = {
		{"SERVICE", false}, {"POLICY", false}, {"ACTIVE", true},     {"READY", true},
		{"CONNS", true},    {"PARKED", true},  {"LISTENERS", false},
	};
	_cleanup_(scols_unref_tablep) struct libscols_table *table =
		table_new(render, columns, ARRAY_SIZE(columns));

	bool outdated = false;

	for (size_t i = 0; i < json_count(list); i++)
		outdated |= json_number(json_object_array_get_idx(list, i), "outdated", 0) > 0;
	if (table && outdated)
		outdated = scols_table_new_column(table, "OUTDATED", 0, SCOLS_FL_RIGHT);
	for (size_t i = 0; table && i < json_count(list); i++)
		add_service(render, table, json_object_array_get_idx(list, i), outdated);
	if (table)
		table_print(render, table);
}
