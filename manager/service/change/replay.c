// SPDX-License-Identifier: GPL-2.0-or-later
#include "service/change/replay.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <string.h>
#include <syslog.h>

#include "plane/parts/table.h"
#include "plane/preview/preview.h"
#include "service/change/replay_helper.h"
#include "service/rules.h"
#include "system/journal.h"
#include "util/clock.h"
#include "util/macro.h"

/* More than that do not wait for one another. */
#define RUNS_MAX 8
/* How often it is looked whether what was sent has come. */
#define LOOK_EVERY (1 * USEC_PER_MSEC)
/* One that does not answer so often in a row is started anew. */
#define SILENCES_MAX 3

/* Of one change: the exporters that get another slot by it. They wait for one another. */
struct replay_run {
	struct replay_run *next;
	struct replay *replay;
	struct replay_order order;
	sd_event_source *deadline, *looking;
	struct hs_table_copy before, after;
	uint32_t id; /* of what hs-replay was asked; 0: nothing yet */
	bool has_rules;
	struct replay_send send;
	struct hs_preview_key keys[EXPORTERS_MAX]; /* of the rules, the first n_keys */
	unsigned n_keys;
	uint32_t datagrams; /* that were sent */
};

struct replay {
	struct service *service;
	struct replay_helper *helper;
	struct hs_preview_owner_id owner; /* this process */
	struct replay_run *runs;	  /* the first is under way */
	unsigned n_runs, silences;
	uint32_t last_id;
	uint64_t ahead; /* fingerprint of the table that all was sent for; 0 = none */
	struct hs_table_copy scratch;
	uint64_t sent, late;
};

static void begin(struct replay_run *run);

/* ---- the rules ---- */

static int begin_rules(struct replay_run *run)
{
	int r = run->has_rules ? 0 : rules_begin(run->replay->service);

	run->has_rules = !r;
	return r;
}

static void end_rules(struct replay_run *run)
{
	struct service *service = run->replay->service;

	for (unsigned i = 0; i < run->n_keys; i++)
		preview_remove(service->plane, &run->keys[i]);
	run->n_keys = 0;
	if (run->has_rules)
		rules_end(service);
	run->has_rules = false;
}

static void set_end(struct sockaddr_in6 *end, const uint8_t ip[16], uint16_t port)
{
	*end = (struct sockaddr_in6) {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	memcpy(&end->sin6_addr, ip, sizeof(end->sin6_addr));
}

/* One rule is enough for an exporter that is several, by its source ids. */
static int add_rule(struct replay_run *run, const struct exporter_ends *ends, unsigned slot)
{
	struct plane *plane = run->replay->service->plane;
	struct sockaddr_in6 source, dest;
	struct preview_ends both = {.source = (struct sockaddr *)&source,
				    .dest = (struct sockaddr *)&dest,
				    .protocol = IPPROTO_UDP};
	struct hs_preview_key *key = &run->keys[run->n_keys];
	struct preview_landing landing;
	int r = begin_rules(run);

	set_end(&source, ends->source, ends->source_port);
	set_end(&dest, ends->dest, ends->dest_port);
	if (!r)
		r = preview_key(&both, key);
	if (r < 0 || !preview_landed(plane, key, &landing))
		return r;
	r = preview_add(plane, key, slot, &run->replay->owner);
	run->n_keys += !r;
	return r;
}

/* ---- the end ---- */

static void run_free(struct replay_run *run)
{
	end_rules(run);
	sd_event_source_disable_unref(run->deadline);
	sd_event_source_disable_unref(run->looking);
	free(run);
}

static void tell(const struct replay_run *run, bool late)
{
	const struct service *service = run->replay->service;
	struct journal_scope scope = {service->name, -1, late ? LOG_WARNING : LOG_INFO};

	if (late)
		journal_log(JOURNAL_POLICY, &scope,
			    "%s: not all templates of exporters that move were sent within "
			    "%" PRIu64 " ms, and the change does not wait for them",
			    service->name, REPLAY_USEC / USEC_PER_MSEC);
	else if (run->datagrams)
		journal_log(JOURNAL_POLICY, &scope,
			    "%s: the templates of %u exporters that move were sent to their new "
			    "slots, %u datagrams",
			    service->name, run->send.n, run->datagrams);
}

/* The table is written while the rules are there still: nothing falls between, unless it has to
 * wait for its lock. */
static void finish(struct replay_run *run, bool late)
{
	struct replay *replay = run->replay;
	struct replay_run **link = &replay->runs;
	bool first = *link == run;

	while (*link != run)
		link = &(*link)->next;
	*link = run->next;
	replay->n_runs--;
	replay->late += late;
	tell(run, late);
	if (first && !late)
		replay->ahead = spread_fingerprint(&run->after);
	run->order.go(run->order.userdata, true);
	run_free(run);
	/* which may have had another one begin */
	if (first && replay->runs && !replay->runs->id)
		begin(replay->runs);
}

static int on_deadline(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct replay_run *run = userdata;
	struct replay *replay = run->replay;

	(void)source;
	(void)usec;
	if (run == replay->runs && ++replay->silences == SILENCES_MAX) {
		replay->silences = 0;
		replay_helper_give_up(replay->helper, "it does not answer in time");
	}
	finish(run, true);
	return 0;
}

/* ---- what comes back ---- */

/* The slot has a socket for it; until then, nothing comes there that it would have to decode. */
static bool can_take(const struct service *service, unsigned slot, uint16_t port)
{
	size_t n;
	struct listener **listeners = plane_listeners(service->plane, &n);

	for (size_t i = 0; i < n; i++)
		if (listeners[i]->address.udp && listeners[i]->address.port == port &&
		    listener_live_slots(listeners[i]) >> slot & 1)
			return true;
	return false;
}

static unsigned slot_by(const struct hs_table_copy *copy, const struct replay_place *place)
{
	return copy->spread.members ? spread_first(copy, place->ends.source, place->port)
				    : HS_SLOT_NONE;
}

/* One that cannot be led is left out: its templates would reach the slot that has them. */
static void take_place(struct replay_run *run, const struct replay_place *place)
{
	unsigned slot = slot_by(&run->after, place);

	if (slot >= HS_SLOTS_MAX || slot == slot_by(&run->before, place) ||
	    (run->order.slots && !(run->order.slots >> slot & 1)) || run->send.n == EXPORTERS_MAX ||
	    !can_take(run->replay->service, slot, place->ends.dest_port) ||
	    add_rule(run, &place->ends, slot) < 0)
		return;
	run->send.numbers[run->send.n++] = place->number;
}

static void send_all(struct replay_run *run)
{
	if (!run->send.n) {
		finish(run, false);
		return;
	}
	run->send.kind = REPLAY_SEND;
	run->send.id = run->id;
	/* if it cannot be told it is gone, of which we hear */
	(void)replay_helper_send(run->replay->helper, &run->send, replay_send_size(run->send.n));
}

static void take_places(struct replay_run *run, const struct replay_places *places)
{
	for (unsigned i = 0; i < places->n; i++)
		take_place(run, &places->places[i]);
	if (!places->more)
		send_all(run);
}

/* Look-ups of the selectors that met one of the rules. */
static uint64_t count_arrived(const struct replay_run *run)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < run->n_keys; i++) {
		struct preview_landing landing;

		if (!preview_landed(run->replay->service->plane, &run->keys[i], &landing))
			n += landing.hits + landing.misses;
	}
	return n;
}

static int on_look(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct replay_run *run = userdata;

	if (count_arrived(run) >= run->datagrams ||
	    sd_event_source_set_time(source, usec + LOOK_EVERY) < 0 ||
	    sd_event_source_set_enabled(source, SD_EVENT_ONESHOT) < 0)
		finish(run, false);
	return 0;
}

static void take_sent(struct replay_run *run, const struct replay_sent *sent)
{
	struct journal_scope scope = {run->replay->service->name, -1, LOG_WARNING};

	run->datagrams = sent->datagrams;
	run->replay->sent += sent->datagrams;
	if (sent->error)
		journal_log(JOURNAL_PROBLEM, &scope,
			    "%s: templates of exporters could not all be sent: %s",
			    run->replay->service->name, strerror(-sent->error));
	if (count_arrived(run) >= run->datagrams ||
	    sd_event_add_time_relative(run->replay->service->host->event, &run->looking,
				       CLOCK_MONOTONIC, LOOK_EVERY, 1, on_look, run) < 0)
		finish(run, false);
}

static void on_packet(enum replay_kind kind, const void *packet, void *userdata)
{
	struct replay *replay = userdata;
	struct replay_run *run = replay->runs;
	const struct replay_ask *head = packet; /* what both begin with */

	/* it may be of one that did not wait for it */
	if (!run || run->id != head->id)
		return;
	replay->silences = 0;
	if (kind == REPLAY_PLACES && !run->send.kind)
		take_places(run, packet);
	else if (kind == REPLAY_SENT && run->send.kind)
		take_sent(run, packet);
}

static void on_gone(void *userdata)
{
	struct replay *replay = userdata;

	while (replay->runs)
		finish(replay->runs, true);
}

/* ---- the beginning ---- */

static bool plan(struct replay_run *run)
{
	return run->order.plan(run->order.userdata, &run->before, &run->after) &&
	       replay_helper_is_ready(run->replay->helper);
}

static void ask(struct replay_run *run)
{
	struct replay_ask question = {REPLAY_ASK, ++run->replay->last_id};

	run->id = question.id;
	(void)replay_helper_send(run->replay->helper, &question, sizeof(question));
}

/* One that has waited for another. */
static void begin(struct replay_run *run)
{
	if (plan(run))
		ask(run);
	else
		finish(run, false);
}

static struct replay_run *run_new(struct replay *replay, const struct replay_order *order)
{
	struct replay_run *run = calloc(1, sizeof(*run));

	if (!run)
		return NULL;
	run->replay = replay;
	run->order = *order;
	if (sd_event_add_time_relative(replay->service->host->event, &run->deadline,
				       CLOCK_MONOTONIC, REPLAY_USEC, 1, on_deadline, run) >= 0)
		return run;
	run_free(run);
	return NULL;
}

static void append(struct replay *replay, struct replay_run *run)
{
	struct replay_run **link = &replay->runs;

	while (*link)
		link = &(*link)->next;
	*link = run;
	replay->n_runs++;
}

bool replay_ahead(struct service *service, const struct replay_order *order)
{
	struct replay *replay = service->replay;
	struct replay_run *run;

	if (!replay || !replay_helper_is_ready(replay->helper) || replay->n_runs == RUNS_MAX)
		return false;
	run = run_new(replay, order);
	if (!run)
		return false;
	if (!replay->runs && !plan(run)) {
		run_free(run);
		return false;
	}
	append(replay, run);
	if (replay->runs == run)
		ask(run);
	return true;
}

/* ---- behind a change ---- */

struct behind {
	struct service *service;
	struct hs_table_copy before;
};

static bool plan_behind(void *userdata, struct hs_table_copy *before, struct hs_table_copy *next)
{
	struct behind *behind = userdata;

	*before = behind->before;
	return plane_table_read(behind->service->plane, next);
}

static void end_behind(void *userdata, bool alive)
{
	(void)alive;
	free(userdata);
}

/* `before` = NULL: nobody was anywhere. */
static void send_behind(struct service *service, const struct hs_table_copy *before, uint32_t slots)
{
	struct behind *behind = malloc(sizeof(*behind));
	struct replay_order order = {
		.plan = plan_behind, .go = end_behind, .userdata = behind, .slots = slots};

	if (!behind)
		return;
	behind->service = service;
	if (before)
		behind->before = *before;
	else
		behind->before.spread.members = 0;
	if (!replay_ahead(service, &order))
		free(behind);
}

void replay_behind(struct service *service, const struct hs_table_copy *before)
{
	struct replay *replay = service->replay;
	uint64_t ahead;

	if (!replay)
		return;
	ahead = replay->ahead;
	replay->ahead = 0;
	if (plane_table_read(service->plane, &replay->scratch) &&
	    spread_fingerprint(&replay->scratch) != ahead)
		send_behind(service, before, 0);
}

void replay_again(struct service *service, unsigned slot)
{
	if (service->replay)
		send_behind(service, NULL, 1U << slot);
}

/* ---- its life ---- */

static struct replay *replay_new(struct service *service)
{
	static const struct replay_helper_calls calls = {on_packet, on_gone};
	struct replay *replay = calloc(1, sizeof(*replay));

	if (!replay)
		return NULL;
	replay->service = service;
	replay->helper = replay_helper_new(service, &calls, replay);
	if (!replay->helper || owner_of_process(0, &replay->owner) < 0)
		return replay_free(replay);
	return replay;
}

struct replay *replay_free(struct replay *replay)
{
	struct replay_run *run;

	if (!replay)
		return NULL;
	while ((run = replay->runs)) {
		replay->runs = run->next;
		run->order.go(run->order.userdata, false);
		run_free(run);
	}
	replay_helper_free(replay->helper);
	free(replay);
	return NULL;
}

void replay_follow(struct service *service)
{
	bool wanted = service->config.replay == CONFIG_REPLAY_TEMPLATES && service->plane &&
		      host_has(service->host, HOST_TENDS);

	if (!wanted)
		service->replay = replay_free(service->replay);
	else if (!service->replay)
		service->replay = replay_new(service);
	if (service->replay)
		replay_helper_follow(service->replay->helper);
}

bool replay_describe(const struct service *service, struct replay_report *ret_report)
{
	const struct replay *replay = service->replay;
	const struct exporters_counts *counts;

	if (!replay)
		return false;
	counts = replay_helper_counts(replay->helper);
	*ret_report = (struct replay_report) {
		.problem = replay_helper_problem(replay->helper),
		.exporters = counts->exporters,
		.templates = counts->templates,
		.bytes = counts->bytes,
		.forgotten = counts->forgotten,
		.sent = replay->sent,
		.late = replay->late,
	};
	return true;
}
