// SPDX-License-Identifier: GPL-2.0-or-later
/* connections: who holds on, and are they doing anything? */
#include <inttypes.h>
#include <string.h>

#include "hsctl/json.h"
#include "hsctl/verb/verb.h"
#include "hsctl/verb/watch.h"
#include "hsctl/verb_functions.h"
#include "util/macro.h"
#include "util/parse.h"

#define ALL_PLACES -1

struct order {
	struct connections_query query;
	int place; /* a slot, HS_SLOT_PARK or ALL_PLACES */
};

static int read_order(const struct arguments *arguments, struct order *order)
{
	const char *place = arguments->texts[TEXT_SLOT], *idle = arguments->texts[TEXT_IDLE];
	uint64_t slot;

	*order = (struct order) {
		.query = {.idle_usec = CONNECTIONS_IDLE_USEC, .list = arguments->list},
		.place = ALL_PLACES,
	};
	if (place && !strcmp(place, "park")) {
		order->place = HS_SLOT_PARK;
	} else if (place && parse_unsigned(place, 0, HS_SLOTS_MAX - 1, &slot) < 0) {
		complain("\"%.40s\" is no value for --slot; it takes the number of a slot, 0 to "
			 "%u, or park",
			 place, HS_SLOTS_MAX - 1);
		return EXIT_USAGE;
	} else if (place) {
		order->place = slot;
	}
	if (idle && (parse_span(idle, &order->query.idle_usec) < 0 ||
		     order->query.idle_usec > CONFIG_DRAIN_MAX)) {
		complain("\"%.40s\" is no value for --idle; it takes a time of at most 7d, such as "
			 "30s or 5min",
			 idle);
		return EXIT_USAGE;
	}
	return 0;
}

/* ---- one slot of all ---- */

static bool is_of(json_object *object, int place)
{
	int64_t slot = json_number(object, "slot", HS_SLOT_PARK);

	return slot == place;
}

/* Leaves those of the place in an array. */
static void keep(json_object *object, const char *key, int place)
{
	json_object *all = json_array(object, key), *kept;

	if (!all)
		return;
	kept = json_object_new_array();
	for (size_t i = 0; i < json_count(all); i++) {
		json_object *one = json_object_array_get_idx(all, i);

		if (is_of(one, place))
			json_object_array_add(kept, json_object_get(one));
	}
	json_object_object_add(object, key, kept);
}

/* False after a sentence: there is no such place. */
static bool choose(json_object *connections, const char *service, int place,
		   struct problem *problem)
{
	if (place == ALL_PLACES)
		return true;
	keep(connections, "slots", place);
	keep(connections, "connections", place);
	if (place == HS_SLOT_PARK) {
		if (json_object_object_get(connections, "park"))
			return true;
		problem_set(problem, 0, "%s has no park, and nobody waits there", service);
		return false;
	}
	json_object_object_add(connections, "park", NULL);
	if (json_count(json_array(connections, "slots")))
		return true;
	problem_set(problem, 0, "%s has no slot %d; see hsctl status %s", service, place, service);
	return false;
}

/* ---- looking ---- */

/* NULL, and a sentence in the reply. */
static json_object *look(const struct arguments *arguments, const char *service,
			 struct reply *reply, bool *ret_direct)
{
	_cleanup_(json_object_putp) json_object *connections = NULL;
	struct order order;

	if (read_order(arguments, &order) ||
	    verb_inspect(arguments, service, &order.query, reply, ret_direct))
		return NULL;
	connections = json_parse(reply->text);
	if (!connections) {
		reply_fail(reply, EXIT_FAILED, "hsd's answer is not understood");
		return NULL;
	}
	if (!choose(connections, service, order.place, &reply->problem)) {
		reply->exit = EXIT_REFUSED;
		return NULL;
	}
	return steal_ptr(&connections);
}

static void show(const struct arguments *arguments, json_object *connections, FILE *out)
{
	struct render render = verb_render(arguments);

	render.out = out;
	if (arguments->json)
		fprintf(out, "%s\n", json_line(connections));
	else
		render_connections(&render, connections);
}

static void draw(const struct arguments *arguments, const char *service, FILE *out)
{
	_cleanup_(json_object_putp) json_object *connections = NULL;
	_cleanup_(reply_done) struct reply reply = {0};
	bool direct;

	connections = look(arguments, service, &reply, &direct);
	if (connections)
		show(arguments, connections, out);
	else
		fprintf(out, "%s\n", reply.problem.text);
}

int verb_connections(const struct arguments *arguments)
{
	_cleanup_(json_object_putp) json_object *connections = NULL;
	_cleanup_(reply_done) struct reply reply = {0};
	char service[SERVICE_NAME_MAX];
	struct order order;
	bool direct;

	if (verb_service(arguments, service) || read_order(arguments, &order))
		return EXIT_USAGE;
	if (arguments->watch)
		return watch(arguments, &(struct watched) {service, draw});
	connections = look(arguments, service, &reply, &direct);
	if (!connections) {
		complain("%s", reply.problem.text);
		return reply.exit;
	}
	if (direct)
		verb_tell_direct(arguments, &reply);
	show(arguments, connections, stdout);
	return EXIT_DONE;
}
