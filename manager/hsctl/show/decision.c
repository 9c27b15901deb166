// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsctl/show/decision.h"

#include <inttypes.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "hsctl/json.h"
#include "util/macro.h"

/* time, client, listener, bucket, slot, why */
#define LINE "%-15s  %-21s  %-20s  %6s  %4s  %s\n"

/* For programs; and what is said to people instead, where that is more. */
static const struct {
	const char *name, *sentence;
} whys[] = {
	[0] = {"unknown", "for a reason that this hsctl does not know"},
	[HS_WHY_ACTIVE] = {"active", NULL},
	[HS_WHY_CANARY] = {"canary", NULL},
	[HS_WHY_PARITY] = {"parity", NULL},
	[HS_WHY_HASH] = {"hash", NULL},
	[HS_WHY_FIRST] = {"table", NULL},
	[HS_WHY_SECOND] = {"table-second", "table, the second"},
	[HS_WHY_PINNED] = {"pinned", NULL},
	[HS_WHY_FLOW] = {"known-flow", "known flow"},
	[HS_WHY_QUIC] = {"quic-id", "QUIC id"},
	[HS_WHY_PREVIEW] = {"preview-rule", "preview rule"},
	[HS_WHY_OWN] = {"own-way", "own way"},
	[HS_WHY_FELL] = {"fell-through", "fell through"},
	[HS_WHY_PARK_ALL] = {"park-all", "all wait in the park"},
	[HS_WHY_PARK] = {"park", "no slot has a socket, so it waits in the park"},
	[HS_WHY_NOTHING] = {"nothing", "no slot has a socket, so the kernel chose"},
	[HS_WHY_REFUSED] = {"refused", "refused: an instance asked itself, and has no socket"},
};
_Static_assert(ARRAY_SIZE(whys) == HS_WHY_COUNT, "a name for each reason");

const char *decision_why(uint32_t why)
{
	return whys[why < HS_WHY_COUNT ? why : 0].name;
}

static const char *sentence_of(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(whys); i++)
		if (!strcmp(name, whys[i].name))
			return whys[i].sentence ?: name;
	return name;
}

/* ---- for programs ---- */

static struct address address_of(const uint8_t ip[16], uint16_t port)
{
	bool four = IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)ip);
	struct address address = {
		.family = four ? AF_INET : AF_INET6,
		.v6only = false,
		.port = port,
	};

	memcpy(address.ip, four ? ip + 12 : ip, four ? 4 : 16);
	return address;
}

static void add_address(json_object *object, const char *key, const struct address *address)
{
	char text[ADDRESS_TEXT_MAX];

	json_object_object_add(object, key,
			       address ? json_object_new_string(address_format(address, text))
				       : NULL);
}

static void add_slot(json_object *object, const char *key, uint8_t slot)
{
	json_object_object_add(object, key, slot < HS_SLOTS_MAX ? json_object_new_int(slot) : NULL);
}

static void add_flag(json_object *object, const char *key, bool on)
{
	json_object_object_add(object, key, json_object_new_boolean(on));
}

static void add_time(json_object *object, uint64_t usec)
{
	time_t seconds = usec / USEC_PER_SEC;
	char day[32], text[48];
	struct tm tm;

	if (!gmtime_r(&seconds, &tm) || !strftime(day, sizeof(day), "%FT%T", &tm))
		return;
	snprintf(text, sizeof(text), "%s.%06uZ", day, (unsigned)(usec % USEC_PER_SEC));
	json_object_object_add(object, "time", json_object_new_string(text));
}

static void add_ends(json_object *object, const struct hs_trace_record *record,
		     const struct address *listener)
{
	struct address client = address_of(record->client, record->client_port);
	struct address local = address_of(record->local, record->local_port);

	add_address(object, "client", &client);
	add_address(object, "local", &local);
	add_address(object, "listener", listener);
	json_object_object_add(
		object, "protocol",
		json_object_new_string(record->protocol == IPPROTO_UDP ? "udp" : "tcp"));
}

json_object *decision_to_json(const struct hs_trace_record *record, const struct address *listener,
			      uint64_t usec)
{
	bool has_bucket = record->marks & HS_TRACE_BUCKET;
	json_object *object = json_object_new_object();

	add_time(object, usec);
	add_ends(object, record, listener);
	json_object_object_add(object, "bucket",
			       has_bucket ? json_object_new_int(record->bucket) : NULL);
	add_slot(object, "slot", record->slot);
	add_flag(object, "parked", record->slot == HS_SLOT_PARK);
	json_object_object_add(object, "why", json_object_new_string(decision_why(record->why)));
	add_slot(object, "wanted", record->wanted);
	add_flag(object, "moved", record->marks & HS_TRACE_MOVED);
	add_slot(object, "from", record->from);
	add_flag(object, "from_park", record->from == HS_SLOT_PARK);
	return object;
}

/* ---- for people ---- */

struct cell {
	char text[160];
};

static struct cell number(json_object *decision, const char *key)
{
	int64_t value = json_number(decision, key, -1);
	struct cell cell = {"-"};

	if (value >= 0)
		snprintf(cell.text, sizeof(cell.text), "%" PRId64, value);
	return cell;
}

static struct cell place(json_object *decision)
{
	struct cell cell = {"park"};

	return json_is_true(decision, "parked") ? cell : number(decision, "slot");
}

/* Where it was, for one that had been told before. */
static void append_moved(json_object *decision, struct cell *cell)
{
	size_t length = strlen(cell->text);
	char *end = cell->text + length;
	int64_t from = json_number(decision, "from", -1);

	if (!json_is_true(decision, "moved"))
		return;
	if (from >= 0)
		snprintf(end, sizeof(cell->text) - length, "; moved from slot %" PRId64, from);
	else
		snprintf(end, sizeof(cell->text) - length, "; moved from %s",
			 json_is_true(decision, "from_park") ? "the park"
							     : "a listener that is gone");
}

/* Who would have been it. */
static bool tells_wanted(const char *why)
{
	return !strcmp(why, decision_why(HS_WHY_SECOND)) || !strcmp(why, decision_why(HS_WHY_FELL));
}

static struct cell reason(json_object *decision)
{
	const char *why = json_text(decision, "why"), *sentence = sentence_of(why);
	int64_t wanted = json_number(decision, "wanted", -1);
	struct cell cell;

	if (!tells_wanted(why))
		snprintf(cell.text, sizeof(cell.text), "%s", sentence);
	else if (wanted >= 0)
		snprintf(cell.text, sizeof(cell.text), "%s: slot %" PRId64 " has no socket",
			 sentence, wanted);
	else
		snprintf(cell.text, sizeof(cell.text), "%s: no slot is active", sentence);
	append_moved(decision, &cell);
	return cell;
}

/* Of one that is not known any more, where it was asked. */
static struct cell listener(json_object *decision)
{
	const char *text = json_text(decision, "listener");
	struct cell cell;

	snprintf(cell.text, sizeof(cell.text), "%s/%s",
		 text[0] ? text : json_text(decision, "local"), json_text(decision, "protocol"));
	return cell;
}

void decision_print(const struct render *render, const char *time, json_object *decision)
{
	fprintf(render->out, LINE, time, json_text(decision, "client"), listener(decision).text,
		number(decision, "bucket").text, place(decision).text, reason(decision).text);
}

void decision_print_head(const struct render *render)
{
	fprintf(render->out, LINE, "TIME", "CLIENT", "LISTENER", "BUCKET", "SLOT", "WHY");
}

/* ---- pairs of the fast path ---- */

#define SERVER_END "server-end"

json_object *decision_pair_to_json(const struct hs_fast_pair *pair, unsigned side, uint64_t usec)
{
	struct address client = address_of(pair->end.remote, pair->end.remote_port);
	struct address local = address_of(pair->end.local, pair->end.local_port);
	const char *why = side == HS_FAST_SERVER ? SERVER_END : "client-end";
	json_object *object = json_object_new_object();

	add_time(object, usec);
	add_address(object, "client", &client);
	add_address(object, "local", &local);
	add_address(object, "listener", NULL);
	json_object_object_add(object, "protocol", json_object_new_string("tcp"));
	json_object_object_add(object, "bucket", NULL);
	add_slot(object, "slot", (uint8_t)MIN(pair->slot, (uint32_t)UINT8_MAX));
	add_flag(object, "parked", pair->slot == HS_SLOT_PARK);
	json_object_object_add(object, "why", json_object_new_string(why));
	return object;
}

/* From which end to which. */
void decision_pair_print(const struct render *render, const char *time, json_object *end)
{
	bool server = !strcmp(json_text(end, "why"), SERVER_END);
	char to[ADDRESS_TEXT_MAX + 8];

	snprintf(to, sizeof(to), "%s/tcp", json_text(end, server ? "client" : "local"));
	fprintf(render->out, LINE, time, json_text(end, server ? "local" : "client"), to, "-",
		place(end).text,
		server ? "fast path, the server's end" : "fast path, the client's end");
}
