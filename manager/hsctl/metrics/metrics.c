// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsctl/metrics/metrics.h"

#include <inttypes.h>
#include <string.h>

#include "core/change/slot.h"
#include "core/ledger.h"
#include "hsctl/json.h"
#include "hsctl/metrics/families.h"
#include "util/macro.h"

#define LABELS_MAX 8

/* What is being written of. */
struct writer {
	struct exposition exposition;
	const struct metrics_facts *facts;
	const struct metric *metric; /* begun with its first sample */
	bool begun;
	char slot[16];	     /* text of a label */
	json_object *bounds; /* of durations, of the service at hand */
	struct label labels[LABELS_MAX];
	unsigned n_labels;
};

/* ---- one metric ---- */

static void set_metric(struct writer *writer, const struct metric *metric)
{
	writer->metric = metric;
	writer->begun = false;
}

static void begin(struct writer *writer)
{
	if (!writer->begun)
		exposition_begin(&writer->exposition, writer->metric);
	writer->begun = true;
}

static void add_label(struct writer *writer, const char *name, const char *value)
{
	writer->labels[writer->n_labels++] = (struct label) {name, value};
	writer->labels[writer->n_labels] = (struct label) {0};
}

/* From there on. */
static void drop_labels(struct writer *writer, unsigned n)
{
	writer->n_labels = n;
	writer->labels[n] = (struct label) {0};
}

static void put(struct writer *writer, double value)
{
	begin(writer);
	exposition_sample(&writer->exposition, "", writer->labels, value);
}

/* ---- over all services and slots ---- */

typedef void (*object_fn)(struct writer *writer, json_object *object, const void *data);

static void each_service(struct writer *writer, object_fn each, const void *data)
{
	json_object *services = writer->facts->services;

	for (size_t i = 0; i < json_count(services); i++) {
		json_object *service = json_object_array_get_idx(services, i);

		add_label(writer, "service", json_text(service, "service"));
		each(writer, service, data);
		drop_labels(writer, 0);
	}
}

struct of_slots {
	object_fn each;
	const void *data;
};

static void each_slot_of(struct writer *writer, json_object *service, const void *data)
{
	const struct of_slots *of = data;
	json_object *slots = json_array(service, "slots");

	for (size_t i = 0; i < json_count(slots); i++) {
		json_object *slot = json_object_array_get_idx(slots, i);

		snprintf(writer->slot, sizeof(writer->slot), "%" PRId64,
			 json_number(slot, "slot", (int64_t)i));
		add_label(writer, "slot", writer->slot);
		of->each(writer, slot, of->data);
		drop_labels(writer, 1);
	}
}

static void each_slot(struct writer *writer, object_fn each, const void *data)
{
	each_service(writer, each_slot_of, &(struct of_slots) {each, data});
}

/* ---- what is one value ---- */

static void put_family(struct writer *writer, json_object *object, const void *data)
{
	double value;

	if (family_read(data, object, &value))
		put(writer, value);
}

static void put_families(struct writer *writer, const struct family *families,
			 void (*all)(struct writer *writer, object_fn each, const void *data),
			 object_fn each)
{
	for (; families->key; families++) {
		set_metric(writer, &families->metric);
		all(writer, each, families);
	}
}

/* hsd is one. */
static void the_manager(struct writer *writer, object_fn each, const void *data)
{
	each(writer, writer->facts->manager, data);
}

/* ---- hsd ---- */

static void put_manager(struct writer *writer)
{
	static const struct metric up = {"hotstandby_up", METRIC_GAUGE, NULL,
					 "Whether hsd answers."};
	static const struct metric build = {"hotstandby_build_info", METRIC_GAUGE, NULL,
					    "The version of hsd that runs."};
	const char *version = json_text(writer->facts->manager, "version");

	set_metric(writer, &up);
	put(writer, writer->facts->up);
	set_metric(writer, &build);
	if (version[0]) {
		add_label(writer, "version", version);
		put(writer, 1);
		drop_labels(writer, 0);
	}
	put_families(writer, families_of_manager, the_manager, put_family);
}

/* ---- services ---- */

static void put_info(struct writer *writer, json_object *service, const void *data)
{
	(void)data;
	add_label(writer, "policy", json_text(service, "policy"));
	add_label(writer, "failover", json_text(service, "failover"));
	add_label(writer, "intake", json_text(service, "intake"));
	add_label(writer, "exclusive", json_is_true(service, "exclusive") ? "yes" : "no");
	put(writer, 1);
}

/* What a switchover may go to, and the active one. */
static void put_ready(struct writer *writer, json_object *service, const void *data)
{
	json_object *slots = json_array(service, "slots");
	unsigned n = 0;

	(void)data;
	for (size_t i = 0; i < json_count(slots); i++) {
		json_object *slot = json_object_array_get_idx(slots, i);

		n += !strcmp(json_text(slot, "state"), slot_state_to_string(SLOT_READY)) &&
		     strcmp(json_text(slot, "health"), health_state_to_string(HEALTH_BAD)) != 0;
	}
	put(writer, n);
}

static void put_services(struct writer *writer)
{
	static const struct metric info = {"hotstandby_service_info", METRIC_GAUGE, NULL,
					   "How the service is set up."};
	static const struct metric ready = {"hotstandby_service_ready_slots", METRIC_GAUGE, NULL,
					    "Slots that are ready and not unhealthy."};

	set_metric(writer, &info);
	each_service(writer, put_info, NULL);
	set_metric(writer, &ready);
	each_service(writer, put_ready, NULL);
	put_families(writer, families_of_service, each_service, put_family);
}

/* ---- changes ---- */

static void each_verb_of(struct writer *writer, json_object *service, const void *data)
{
	const struct of_slots *of = data;
	json_object *changes = NULL, *verbs;

	json_object_object_get_ex(service, "changes", &changes);
	verbs = json_array(changes, "verbs");
	writer->bounds = json_array(changes, "bounds_us");
	for (size_t i = 0; i < json_count(verbs); i++) {
		json_object *verb = json_object_array_get_idx(verbs, i);

		add_label(writer, "verb", json_text(verb, "verb"));
		of->each(writer, verb, of->data);
		drop_labels(writer, 1);
	}
}

static void each_verb(struct writer *writer, object_fn each, const void *data)
{
	each_service(writer, each_verb_of, &(struct of_slots) {each, data});
}

/* Also those that are 0, so that the first one is seen as a rise. */
static void put_ended(struct writer *writer, json_object *verb, const void *data)
{
	(void)data;
	for (unsigned i = 0; i < LEDGER_OUTCOME_COUNT; i++) {
		const char *outcome = ledger_outcome_to_string(i);

		add_label(writer, "outcome", outcome);
		put(writer, json_double(verb, outcome));
		drop_labels(writer, 2);
	}
}

static uint64_t sum_ended(json_object *verb)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < LEDGER_OUTCOME_COUNT; i++)
		n += json_number(verb, ledger_outcome_to_string(i), 0);
	return n;
}

static void put_bucket(struct writer *writer, const char *bound, uint64_t n)
{
	add_label(writer, "le", bound);
	exposition_count(&writer->exposition, "_bucket", writer->labels, n);
	drop_labels(writer, 2);
}

/* Only of what there was: for what is not done twelve zeros would say nothing. */
static void put_durations(struct writer *writer, json_object *verb, const void *data)
{
	json_object *within = json_array(verb, "within"), *bounds = writer->bounds;
	uint64_t n = sum_ended(verb);
	char bound[32];

	(void)data;
	if (!n || json_count(within) != json_count(bounds))
		return;
	begin(writer);
	for (size_t i = 0; i < json_count(within); i++) {
		snprintf(bound, sizeof(bound), "%.15g",
			 json_object_get_double(json_object_array_get_idx(bounds, i)) /
				 USEC_PER_SEC);
		put_bucket(writer, bound,
			   json_object_get_int64(json_object_array_get_idx(within, i)));
	}
	put_bucket(writer, "+Inf", n);
	exposition_sample(&writer->exposition, "_sum", writer->labels,
			  json_double(verb, "duration_us") / USEC_PER_SEC);
	exposition_count(&writer->exposition, "_count", writer->labels, n);
}

static void put_longest(struct writer *writer, json_object *verb, const void *data)
{
	(void)data;
	if (sum_ended(verb))
		put(writer, json_double(verb, "longest_us") / USEC_PER_SEC);
}

static void put_changes(struct writer *writer)
{
	static const struct metric ended = {"hotstandby_changes", METRIC_COUNTER, NULL,
					    "Changes that ended, as hsctl history has them."};
	static const struct metric took = {"hotstandby_change_duration_seconds", METRIC_HISTOGRAM,
					   "seconds", "How long changes took."};
	static const struct metric longest = {"hotstandby_change_longest_seconds", METRIC_GAUGE,
					      "seconds", "The longest change."};

	set_metric(writer, &ended);
	each_verb(writer, put_ended, NULL);
	set_metric(writer, &took);
	each_verb(writer, put_durations, NULL);
	set_metric(writer, &longest);
	each_verb(writer, put_longest, NULL);
}

/* ---- drills ---- */

static void put_verdicts(struct writer *writer, json_object *service, const void *data)
{
	json_object *drills = NULL;

	(void)data;
	json_object_object_get_ex(service, "drills", &drills);
	for (unsigned i = 0; drills && i < DRILL_VERDICT_COUNT; i++) {
		const char *verdict = drill_verdict_to_string(i);

		add_label(writer, "verdict", verdict);
		put(writer, json_double(drills, verdict));
		drop_labels(writer, 1);
	}
}

static void put_drills(struct writer *writer)
{
	static const struct metric drills = {"hotstandby_drills", METRIC_COUNTER, NULL,
					     "Scenarios of drills by verdict."};

	set_metric(writer, &drills);
	each_service(writer, put_verdicts, NULL);
}

/* ---- slots ---- */

/* A word out of a few: a sample for each, and 1 is the one that it is. */
struct word_set {
	struct metric metric;
	const char *key, *label;
	unsigned n;
	const char *(*word)(unsigned number);
};

static const char *role_word(unsigned number)
{
	return slot_role_to_string(number);
}

static const char *state_word(unsigned number)
{
	return slot_state_to_string(number);
}

static const char *health_word(unsigned number)
{
	return health_state_to_string(number);
}

static const struct word_set word_sets[] = {
	{{"hotstandby_slot_role", METRIC_GAUGE, NULL, "1 for the role that the slot has."},
	 "role",
	 "role",
	 ROLE_COUNT,
	 role_word},
	{{"hotstandby_slot_state", METRIC_GAUGE, NULL, "1 for the state that the slot is in."},
	 "state",
	 "state",
	 SLOT_STATE_COUNT,
	 state_word},
	{{"hotstandby_slot_health", METRIC_GAUGE, NULL,
	  "1 for what the probes say of the slot, if there are any."},
	 "health",
	 "health",
	 HEALTH_STATE_COUNT,
	 health_word},
};

static void put_words(struct writer *writer, json_object *slot, const void *data)
{
	const struct word_set *set = data;
	const char *is = json_text(slot, set->key);

	for (unsigned i = 0; is[0] && i < set->n; i++) {
		add_label(writer, set->label, set->word(i));
		put(writer, !strcmp(is, set->word(i)));
		drop_labels(writer, 2);
	}
}

/* Only of a service that has nothing but UDP is each look-up a datagram. */
static void put_datagrams(struct writer *writer, json_object *service, const void *data)
{
	static const struct family chosen = {.key = "chosen", .source = FAMILY_NUMBER};
	json_object *listeners = json_array(service, "listeners");

	(void)data;
	for (size_t i = 0; i < json_count(listeners); i++)
		if (strcmp(json_text(json_object_array_get_idx(listeners, i), "protocol"), "udp"))
			return;
	if (json_count(listeners))
		each_slot_of(writer, service, &(struct of_slots) {put_family, &chosen});
}

static void put_slots(struct writer *writer)
{
	static const struct metric datagrams = {
		"hotstandby_slot_datagrams", METRIC_COUNTER, NULL,
		"Datagrams that the slot was chosen for, of a service with UDP alone."};

	for (size_t i = 0; i < ARRAY_SIZE(word_sets); i++) {
		set_metric(writer, &word_sets[i].metric);
		each_slot(writer, put_words, &word_sets[i]);
	}
	put_families(writer, families_of_slot, each_slot, put_family);
	set_metric(writer, &datagrams);
	each_service(writer, put_datagrams, NULL);
}

void metrics_write(FILE *out, enum metrics_form form, const struct metrics_facts *facts)
{
	struct writer writer = {
		.exposition = {.out = out, .openmetrics = form == METRICS_OPENMETRICS},
		.facts = facts,
	};

	put_manager(&writer);
	put_services(&writer);
	put_changes(&writer);
	put_drills(&writer);
	put_slots(&writer);
	exposition_end(&writer.exposition);
}
