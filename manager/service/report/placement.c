// SPDX-License-Identifier: GPL-2.0-or-later
#include "service/report/placement.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "core/canary.h"
#include "hs_forward.h"
#include "plane/plane_front.h"
#include "util/macro.h"
#include "util/parse.h"

#define CLIENT_TEXT_MAX 64

static void add_text(json_object *object, const char *key, const char *text)
{
	json_object_object_add(object, key, json_object_new_string(text));
}

static void add_number(json_object *object, const char *key, uint64_t number)
{
	json_object_object_add(object, key, json_object_new_uint64(number));
}

static void add_real(json_object *object, const char *key, double real)
{
	json_object_object_add(object, key, json_object_new_double(real));
}

static json_object *begin(const struct plane *plane)
{
	json_object *object = json_object_new_object();
	uint64_t word = plane_word(plane);

	add_text(object, "service", plane_service(plane));
	add_text(object, "policy", policy_to_string(hs_word_policy(word)));
	add_number(object, "generation", word_generation(word));
	return object;
}

/* ---- the table ---- */

/* What each slot has got by its buckets, and the sum of that: of what was counted. */
static uint64_t sum_hits(const struct plane *plane, const uint8_t buckets[HS_BUCKETS],
			 uint64_t got[HS_SLOTS_MAX])
{
	const uint32_t *hits = plane_table_hits(plane);
	uint64_t total = 0;

	memset(got, 0, HS_SLOTS_MAX * sizeof(got[0]));
	for (unsigned bucket = 0; hits && bucket < HS_BUCKETS; bucket++) {
		got[hs_bucket_first(buckets[bucket])] += hits[bucket];
		total += hits[bucket];
	}
	return total;
}

struct shares {
	const struct hs_table_copy *copy;
	uint32_t counts[HS_SLOTS_MAX];
	uint64_t got[HS_SLOTS_MAX], total;
};

static void read_shares(const struct plane *plane, const struct hs_table_copy *copy,
			struct shares *ret_shares)
{
	*ret_shares = (struct shares) {.copy = copy};
	spread_count(copy->buckets, ret_shares->counts);
	ret_shares->total = sum_hits(plane, copy->buckets, ret_shares->got);
}

static void format_pinned(const struct hs_pinned *pinned, char text[PREFIX_TEXT_MAX])
{
	struct hs_prefix prefix = {.length = pinned->length};

	memcpy(prefix.ip, pinned->ip, sizeof(prefix.ip));
	prefix_format(&prefix, text);
}

static json_object *pinned_json(const struct hs_spread *spread)
{
	json_object *array = json_object_new_array();
	char text[PREFIX_TEXT_MAX];

	for (unsigned i = 0; i < spread->n_pinned; i++) {
		json_object *object = json_object_new_object();

		format_pinned(&spread->pinned[i], text);
		add_text(object, "prefix", text);
		add_number(object, "slot", spread->pinned[i].slot);
		json_object_array_add(array, object);
	}
	return array;
}

/* What a table is made of, beside its slots. */
static void add_making(json_object *object, const struct hs_spread *spread, bool withheld)
{
	json_object_object_add(object, "shared_key", json_object_new_boolean(spread->key_given));
	json_object_object_add(object, "pinned", withheld ? NULL : pinned_json(spread));
	add_number(object, "moved_buckets", spread->n_moved);
}

static void add_shares(const struct shares *shares, unsigned slot, json_object *object)
{
	const struct hs_spread *spread = &shares->copy->spread;

	json_object_object_add(object, "in_service",
			       json_object_new_boolean(spread->members >> slot & 1));
	add_number(object, "weight", spread->weights[slot]);
	add_real(object, "share", (double)shares->counts[slot] / HS_BUCKETS);
	if (shares->total)
		add_real(object, "share_got", (double)shares->got[slot] / (double)shares->total);
}

static json_object *slots_json(const struct shares *shares)
{
	const struct hs_spread *spread = &shares->copy->spread;
	json_object *array = json_object_new_array();

	for (unsigned slot = 0; slot < spread->slots; slot++) {
		json_object *object = json_object_new_object();

		add_number(object, "slot", slot);
		add_number(object, "buckets", shares->counts[slot]);
		add_shares(shares, slot, object);
		json_object_array_add(array, object);
	}
	return array;
}

static void add_fingerprint(json_object *object, const struct hs_table_copy *copy)
{
	char text[17];

	snprintf(text, sizeof(text), "%016" PRIx64, spread_fingerprint(copy));
	add_text(object, "fingerprint", text);
}

static struct hs_table_copy *read_copy(const struct plane *plane)
{
	struct hs_table_copy *copy = malloc(sizeof(*copy));

	if (copy && plane_table_read(plane, copy))
		return copy;
	free(copy);
	return NULL;
}

json_object *placement_json(const struct plane *plane, const char *message)
{
	_cleanup_(freep) struct hs_table_copy *copy = read_copy(plane);
	struct shares shares;
	json_object *object;

	if (!copy)
		return NULL;
	read_shares(plane, copy, &shares);
	object = begin(plane);
	add_text(object, "by", spread_by_to_string(copy->spread.by));
	add_fingerprint(object, copy);
	json_object_object_add(object, "slots", slots_json(&shares));
	add_making(object, &copy->spread, false);
	if (message)
		add_text(object, "message", message);
	return object;
}

void placement_add(const struct plane *plane, json_object *service, json_object *slots,
		   bool withheld)
{
	_cleanup_(freep) struct hs_table_copy *copy =
		plane_is_spread(plane) ? read_copy(plane) : NULL;
	struct shares shares;
	size_t n = json_object_array_length(slots);

	if (!copy)
		return;
	read_shares(plane, copy, &shares);
	add_text(service, "by", spread_by_to_string(copy->spread.by));
	add_fingerprint(service, copy);
	add_making(service, &copy->spread, withheld);
	for (size_t slot = 0; slot < n && slot < HS_SLOTS_MAX; slot++)
		add_shares(&shares, (unsigned)slot, json_object_array_get_idx(slots, slot));
}

/* ---- one client ---- */

struct client {
	uint8_t ip[16];
	bool has_port;
	uint16_t port;
};

/* "[ADDRESS]:PORT", "IPV4:PORT" or an address alone. */
static int parse_client(const char *text, struct client *ret_client)
{
	char address[CLIENT_TEXT_MAX], *end;
	struct client client = {0};
	struct hs_prefix prefix;
	uint64_t port;

	if (strlen(text) >= sizeof(address) || strchr(text, '/'))
		return -EINVAL;
	strcpy(address, text);
	end = text[0] == '[' ? strchr(address, ']') : strchr(address, ':');
	/* more than one colon without brackets: an IPv6 address */
	if (text[0] != '[' && end && strchr(end + 1, ':'))
		end = NULL;
	if (text[0] == '[' && (!end || (end[1] && end[1] != ':')))
		return -EINVAL;
	if (end && (text[0] != '[' || end[1])) {
		const char *number = text[0] == '[' ? end + 2 : end + 1;

		if (parse_unsigned(number, 1, UINT16_MAX, &port) < 0)
			return -EINVAL;
		client.has_port = true;
		client.port = (uint16_t)port;
	}
	if (end)
		*end = '\0';
	if (prefix_parse(text[0] == '[' ? address + 1 : address, &prefix) < 0)
		return -EINVAL;
	memcpy(client.ip, prefix.ip, sizeof(client.ip));
	*ret_client = client;
	return 0;
}

/* Where it is, and why. */
struct place_found {
	unsigned slot, wanted;
	int bucket; /* -1 = of none */
	char why[PREFIX_TEXT_MAX + 64];
};

static bool is_live(uint32_t live, unsigned slot)
{
	return slot < HS_SLOTS_MAX && live >> slot & 1;
}

/* What the kernel goes by. */
struct standing {
	uint64_t word;
	uint32_t live;
	bool front;
};

static unsigned next_slot(const struct standing *standing, unsigned wanted, unsigned second)
{
	if (standing->front)
		return hs_taking_host(standing->live, wanted, second);
	return is_live(standing->live, second) ? second
					       : hs_next_slot(standing->word, standing->live);
}

/* As the selector, or the front's program, goes on when the slot that was wanted has no socket, or
 * the host takes nothing. */
static void fall(const struct standing *standing, struct place_found *found, unsigned second)
{
	char why[sizeof(found->why)];

	found->slot = found->wanted;
	if (is_live(standing->live, found->wanted))
		return;
	memcpy(why, found->why, sizeof(why));
	found->slot = next_slot(standing, found->wanted, second);
	if (found->slot == HS_SLOT_NONE)
		snprintf(found->why, sizeof(found->why), "%s",
			 standing->front ? "no host takes new connections"
					 : "no slot has a socket");
	else
		snprintf(found->why, sizeof(found->why), "%.60s, but %s %u %s", why,
			 standing->front ? "host" : "slot", found->wanted,
			 standing->front ? "takes none" : "has no socket");
}

static void find_by_table(const struct hs_table_copy *copy, const struct client *client,
			  const struct standing *standing, struct place_found *ret_found)
{
	const struct hs_spread *spread = &copy->spread;
	struct hs_client numbers = hs_client_of(client->ip);
	const struct hs_pinned *pinned = spread_pinned(spread, spread->members, client->ip);
	unsigned bucket =
		hs_bucket(spread->key, &numbers, spread->by == HS_BY_CONNECTION ? client->port : 0);
	unsigned first = hs_bucket_first(copy->buckets[bucket]);
	struct place_found found = {.wanted = first, .bucket = (int)bucket};
	char prefix[PREFIX_TEXT_MAX];

	snprintf(found.why, sizeof(found.why), "its bucket's first slot");
	if (pinned) {
		format_pinned(pinned, prefix);
		found.wanted = pinned->slot;
		snprintf(found.why, sizeof(found.why), "pinned by %s", prefix);
	}
	fall(standing, &found, pinned ? first : hs_bucket_second(copy->buckets[bucket]));
	*ret_found = found;
}

/* Under another policy. Of a canary it can be said only by the connection itself. */
static int find_by_word(const struct plane *plane, const struct client *client,
			const struct standing *standing, struct place_found *ret_found,
			struct problem *ret_refusal)
{
	struct place_found found = {.bucket = -1};
	uint64_t word = standing->word;

	if (hs_word_policy(word) == HS_POLICY_PARITY) {
		if (!client->has_port)
			return problem_set(ret_refusal, -EINVAL,
					   "%s: by policy parity the port decides; say it, too: "
					   "192.0.2.7:4711",
					   plane_service(plane));
		found.wanted = client->port & 1;
		snprintf(found.why, sizeof(found.why), "its port is %s",
			 client->port & 1 ? "odd" : "even");
	} else if (hs_word_policy(word) == HS_POLICY_HASH) {
		return problem_set(
			ret_refusal, -EINVAL,
			"%s: it has no table, so where a connection goes only the kernel "
			"knows; hsctl policy %s hash --by=client",
			plane_service(plane), plane_service(plane));
	} else {
		found.wanted = hs_word_active(word);
		snprintf(found.why, sizeof(found.why), "the active slot%s",
			 hs_word_share(word) ? ", unless it falls to the canary" : "");
	}
	fall(standing, &found, HS_SLOT_NONE);
	*ret_found = found;
	return 0;
}

static int find(const struct plane *plane, const struct client *client,
		struct place_found *ret_found, struct problem *ret_refusal)
{
	struct problem strange = {0};
	_cleanup_(freep) struct hs_table_copy *copy =
		plane_is_spread(plane) ? read_copy(plane) : NULL;
	struct standing standing = {.word = plane_word(plane),
				    .live = plane_live_slots(plane),
				    .front = plane_is_front(plane)};

	if (!copy && hs_word_policy(standing.word) == HS_POLICY_HASH &&
	    plane_table_check(plane, &strange) < 0)
		return problem_set(ret_refusal, -EPROTO, "%s: %.400s", plane_service(plane),
				   strange.text);
	if (!copy)
		return find_by_word(plane, client, &standing, ret_found, ret_refusal);
	if (copy->spread.by == HS_BY_CONNECTION && !client->has_port)
		return problem_set(ret_refusal, -EINVAL,
				   "%s: it is spread by connection, so the client's port decides; "
				   "say it, too: 192.0.2.7:4711 or [2001:db8::7]:4711",
				   plane_service(plane));
	find_by_table(copy, client, &standing, ret_found);
	return 0;
}

static void describe(const struct plane *plane, const char *client, const struct place_found *found,
		     struct problem *ret_message)
{
	char bucket[32] = "";

	if (found->bucket >= 0)
		snprintf(bucket, sizeof(bucket), "bucket %d, ", found->bucket);
	if (found->slot < HS_SLOTS_MAX)
		problem_set(ret_message, 0, "%s: %s goes to slot %u: %s%s.", plane_service(plane),
			    client, found->slot, bucket, found->why);
	else
		problem_set(ret_message, 0, "%s: %s goes to no slot: %s%s.", plane_service(plane),
			    client, bucket, found->why);
}

int placement_check_client(const char *text, struct problem *ret_problem)
{
	struct client client;

	return parse_client(text, &client) < 0
		       ? problem_set(
				 ret_problem, -EINVAL,
				 "\"%.60s\" is no client; it takes an address, with a port where "
				 "that counts: 192.0.2.7, 192.0.2.7:4711, 2001:db8::7 or "
				 "[2001:db8::7]:4711",
				 text)
		       : 0;
}

int placement_where(const struct plane *plane, const char *client, json_object **ret_answer,
		    struct problem *ret_refusal)
{
	struct problem message;
	struct place_found found;
	struct client parsed;
	json_object *object;
	int r;

	r = parse_client(client, &parsed);
	if (r < 0)
		return problem_set(ret_refusal, r, "%s: \"%.60s\" is no client",
				   plane_service(plane), client);
	r = find(plane, &parsed, &found, ret_refusal);
	if (r < 0)
		return r;
	describe(plane, client, &found, &message);
	object = begin(plane);
	add_text(object, "client", client);
	json_object_object_add(object, "slot",
			       found.slot < HS_SLOTS_MAX ? json_object_new_int((int)found.slot)
							 : NULL);
	json_object_object_add(object, "bucket",
			       found.bucket >= 0 ? json_object_new_int(found.bucket) : NULL);
	add_text(object, "why", found.why);
	add_text(object, "message", message.text);
	*ret_answer = object;
	return 0;
}

/* ---- rebalancing ---- */

json_object *placement_rebalance(const struct plane *plane, const struct rebalance *plan,
				 bool dry_run, const char *message)
{
	json_object *object = begin(plane), *slots = json_object_new_array();
	double total = plan->total ? (double)plan->total : 1;

	json_object_object_add(object, "dry_run", json_object_new_boolean(dry_run));
	add_number(object, "moved_buckets", plan->moved);
	add_real(object, "fullest_before", plan->worst_before);
	add_real(object, "fullest_after", plan->worst_after);
	for (unsigned slot = 0; slot < HS_SLOTS_MAX; slot++) {
		json_object *one;

		if (plan->wanted[slot] <= 0 && !plan->before[slot])
			continue;
		one = json_object_new_object();
		add_number(one, "slot", slot);
		add_real(one, "share_wanted", plan->wanted[slot] / total);
		add_real(one, "share_before", (double)plan->before[slot] / total);
		add_real(one, "share_after", (double)plan->after[slot] / total);
		json_object_array_add(slots, one);
	}
	json_object_object_add(object, "slots", slots);
	add_text(object, "message", message);
	return object;
}
