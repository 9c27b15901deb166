// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsctl/doctor/examine_front.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "core/doctor/doctor_front.h"
#include "core/spread/spread.h"
#include "hsctl/client.h"
#include "hsctl/doctor/front_trial.h"
#include "hsctl/json.h"
#include "hsctl/verb/elsewhere.h"
#include "plane/front/route.h"
#include "plane/plane_front.h"
#include "service/whole/status.h"
#include "system/configfile.h"
#include "util/clock.h"
#include "util/files.h"
#include "util/macro.h"

#define HSD_TIME   (20 * USEC_PER_SEC)
#define ANSWER_MAX (1024 * 1024)
/* So long it is looked whether packets find no way. */
#define WAY_MS 1000

/* What hsd says, which knows of probes; else what can be seen without it. NULL: nothing. */
static json_object *own_status(const struct arguments *arguments, struct service *service)
{
	struct client_call call = {
		.service = service->name, .method = "Describe", .timeout_usec = HSD_TIME};
	_cleanup_(reply_done) struct reply reply = {0};

	if (client_ask(arguments, &call, &reply, "") == CLIENT_ANSWERED)
		return json_parse(reply.text);
	return service_to_json(service, true);
}

/* The same for the same pins in any order. */
static uint64_t sum_pinned(json_object *pinned, uint32_t members)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < json_count(pinned); i++) {
		json_object *one = json_object_array_get_idx(pinned, i);
		uint64_t slot = (uint64_t)json_number(one, "slot", HS_SLOTS_MAX), hash = slot;

		for (const char *p = json_text(one, "prefix"); *p; p++)
			hash = hs_mix64(hash ^ (uint8_t)*p);
		if (slot < HS_SLOTS_MAX && members >> slot & 1)
			sum += hash;
	}
	return sum;
}

static void read_table(json_object *status, struct doctor_alike *ret_alike)
{
	json_object *slots = json_array(status, "slots"), *pinned = json_array(status, "pinned");

	ret_alike->told = pinned;
	for (size_t i = 0; i < json_count(slots) && i < HS_SLOTS_MAX; i++) {
		json_object *slot = json_object_array_get_idx(slots, i);

		ret_alike->members |= (uint32_t)json_is_true(slot, "in_service") << i;
		ret_alike->weights[i] = (unsigned)json_number(slot, "weight", 0);
	}
	ret_alike->pinned = sum_pinned(pinned, ret_alike->members);
	ret_alike->moved = (unsigned)json_number(status, "moved_buckets", 0);
}

static void read_alike(json_object *status, struct doctor_alike *ret_alike)
{
	json_object *front = NULL;

	json_object_object_get_ex(status, "front", &front);
	snprintf(ret_alike->hash, sizeof(ret_alike->hash), "%s", json_text(front, "hash"));
	snprintf(ret_alike->policy, sizeof(ret_alike->policy), "%s", json_text(status, "policy"));
	ret_alike->active = (int)json_number(status, "active", -1);
	snprintf(ret_alike->by, sizeof(ret_alike->by), "%s", json_text(status, "by"));
	snprintf(ret_alike->fingerprint, sizeof(ret_alike->fingerprint), "%s",
		 json_text(status, "fingerprint"));
	read_table(status, ret_alike);
}

static enum slot_state read_state(const char *text)
{
	for (enum slot_state state = 0; state < SLOT_STATE_COUNT; state++)
		if (!strcmp(slot_state_to_string(state), text))
			return state;
	return SLOT_UNKNOWN;
}

static void read_hosts(json_object *status, struct doctor_front *facts)
{
	json_object *slots = json_array(status, "slots");

	for (size_t i = 0; i < json_count(slots) && i < HS_SLOTS_MAX; i++) {
		json_object *slot = json_object_array_get_idx(slots, i);
		struct doctor_host *host = &facts->hosts[i];

		snprintf(host->address, sizeof(host->address), "%s", json_text(slot, "host"));
		host->given = host->address[0];
		host->state = read_state(json_text(slot, "state"));
		host->reached = json_is_true(slot, "reached");
		problem_set(&host->reason, 0, "%s", json_text(slot, "health_reason"));
	}
}

static void read_own(json_object *status, struct doctor_front *facts)
{
	json_object *front = NULL;

	json_object_object_get_ex(status, "front", &front);
	problem_set(&facts->unsettled, 0, "%s", json_text(status, "unsettled"));
	/* one of them is the service's problem if there is no other */
	if (strcmp(json_text(status, "problem"), facts->unsettled.text) != 0)
		problem_set(&facts->problem, 0, "%s", json_text(status, "problem"));
	snprintf(facts->device, sizeof(facts->device), "%s", json_text(front, "device"));
	facts->native = json_is_true(front, "native");
	read_hosts(status, facts);
	read_alike(status, &facts->own);
}

/* ---- the kernel side ---- */

static uint64_t wayless(const struct front *front)
{
	struct front_totals totals = {0};

	(void)front_totals(front, &totals);
	return totals.no_way;
}

/* What was once, as the machine began, is over. Waits a moment only where there was any. */
static uint64_t count_wayless(const struct front *front)
{
	uint64_t before = wayless(front);

	if (!before)
		return 0;
	(void)poll(NULL, 0, WAY_MS);
	return wayless(front) - before;
}

static void read_kernel_side(const struct front *front, struct doctor_front *facts)
{
	struct front_host_view view;

	facts->merges = front_merges(front);
	if (!front_lacks_tags(front, facts->untagged))
		facts->untagged[0] = '\0';
	for (unsigned i = 0; i < HS_SLOTS_MAX; i++)
		facts->hosts[i].vlan = front_host(front, i, &view) ? view.vlan : 0;
	facts->no_way = count_wayless(front);
	facts->tried = facts->device[0];
	if (facts->tried)
		front_trial(front, facts->mode, &facts->place, facts->results);
}

static void read_addresses(const struct config_front *front, struct doctor_front *facts)
{
	for (unsigned i = 0; i < front->n_addresses && !facts->unrouted[0]; i++)
		if (!route_is_known(front->addresses[i].ip))
			front_address_format(front->addresses[i].ip, facts->unrouted);
}

/* ---- the other one ---- */

/* NULL: a sentence says why. */
static json_object *ask_peer(const char *peer, const char *service, struct problem *problem)
{
	const char *const status[] = {"hsctl", "status", service, "--json"};
	_cleanup_(freep) char *there = elsewhere_quote(status, ARRAY_SIZE(status));
	const char *const words[] = {"--", peer, there};
	_cleanup_(freep) char *quoted = there ? elsewhere_quote(words, ARRAY_SIZE(words)) : NULL;
	_cleanup_(freep) char *line =
		quoted ? format("%s -xT %s", getenv("SYSTEMD_SSH") ?: "ssh", quoted) : NULL;
	_cleanup_(freep) char *answer = calloc(1, ANSWER_MAX);
	FILE *in = line && answer ? popen(line, "re") : NULL;
	json_object *object = NULL;

	if (!in) {
		problem_set(problem, 0, "%s", strerror(errno));
		return NULL;
	}
	(void)!fread(answer, 1, ANSWER_MAX - 1, in);
	if (pclose(in))
		problem_set(problem, 0, "hsctl status %s failed there; its words stand above",
			    service);
	else
		object = json_parse(answer);
	if (!object && !problem->text[0])
		problem_set(problem, 0, "its answer is none of hsctl's");
	return object;
}

static void read_peer(const struct arguments *arguments, const char *service,
		      struct doctor_front *facts)
{
	_cleanup_(json_object_putp) json_object *status = NULL;

	facts->peer = arguments->texts[TEXT_PEER];
	if (!facts->peer)
		return;
	status = ask_peer(facts->peer, service, &facts->peer_problem);
	read_alike(status, &facts->other);
	if (status && !facts->other.hash[0])
		problem_set(&facts->peer_problem, 0, "%s is no front there", service);
}

void examine_front(const struct arguments *arguments, struct service *service,
		   struct doctor_report *report)
{
	_cleanup_(json_object_putp) json_object *status = own_status(arguments, service);
	struct doctor_front facts = {.mode = service->config.front.mode};
	struct config config;

	(void)configfile_load(service->name, &config, &facts.config_problem);
	read_own(status, &facts);
	if (service->plane && plane_is_front(service->plane))
		read_kernel_side(plane_front(service->plane), &facts);
	read_addresses(&service->config.front, &facts);
	read_peer(arguments, service->name, &facts);
	doctor_front(report, &facts);
}
