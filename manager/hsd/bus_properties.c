// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsd/bus_properties.h"

#include <string.h>

#include "core/word.h"
#include "service/change/run.h"
#include "service/slot/states.h"
#include "service/whole/resume.h"
#include "util/macro.h"

static uint64_t word_of(const struct service *service)
{
	return service->plane ? plane_word(service->plane) : WORD_INITIAL;
}

/* ---- getters ---- */

/* As `change` of its status. */
static const char *change_of(const struct service *service)
{
	enum service_work work = service_busy(service);

	if (work == SERVICE_RESUMING)
		return resume_verb(service);
	return work == SERVICE_IDLE ? "" : service->runs[work]->verb;
}

int bus_get_text(sd_bus *bus, const char *path, const char *interface, const char *property,
		 sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	const struct service *service = userdata;
	const char *text = service->name;

	(void)bus, (void)path, (void)interface, (void)error;
	if (!strcmp(property, "Policy"))
		text = policy_to_string(hs_word_policy(word_of(service)));
	else if (!strcmp(property, "Change"))
		text = change_of(service);
	return sd_bus_message_append(reply, "s", text);
}

int bus_get_number(sd_bus *bus, const char *path, const char *interface, const char *property,
		   sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	uint64_t word = word_of(userdata);
	uint32_t number = hs_word_active(word);

	(void)bus, (void)path, (void)interface, (void)error;
	if (!strcmp(property, "Generation"))
		number = word_generation(word);
	else if (!strcmp(property, "Canary"))
		number = hs_word_canary(word);
	else if (!strcmp(property, "CanaryShare"))
		number = hs_word_share(word);
	return sd_bus_message_append(reply, "u", number);
}

static bool is_held(uint64_t word)
{
	return hs_word_flags(word) & HS_FLAG_PARK_ALL;
}

int bus_get_held(sd_bus *bus, const char *path, const char *interface, const char *property,
		 sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	(void)bus, (void)path, (void)interface, (void)property, (void)error;
	return sd_bus_message_append(reply, "b", (int)is_held(word_of(userdata)));
}

int bus_get_slots(sd_bus *bus, const char *path, const char *interface, const char *property,
		  sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	struct bus_told now;
	int r = sd_bus_message_open_container(reply, 'a', "(uss)");

	(void)bus, (void)path, (void)interface, (void)property, (void)error;
	bus_look(userdata, &now);
	for (unsigned i = 0; r >= 0 && i < now.n_slots; i++)
		r = sd_bus_message_append(reply, "(uss)", i,
					  slot_role_to_string(slot_role_of(now.word, i)),
					  slot_state_to_string(now.states[i]));
	return r < 0 ? r : sd_bus_message_close_container(reply);
}

/* ---- news ---- */

void bus_look(const struct service *service, struct bus_told *ret_told)
{
	*ret_told = (struct bus_told) {.word = word_of(service), .n_slots = service->n_slots};
	service_states(service, ret_told->states);
}

static bool same_slots(const struct bus_told *a, const struct bus_told *b)
{
	if (a->n_slots != b->n_slots)
		return false;
	for (unsigned i = 0; i < a->n_slots; i++)
		if (a->states[i] != b->states[i] ||
		    slot_role_of(a->word, i) != slot_role_of(b->word, i))
			return false;
	return true;
}

void bus_compare(const struct bus_told *before, const struct bus_told *now,
		 const char *ret_names[BUS_PROPERTIES_MAX])
{
	uint64_t a = before->word, b = now->word;
	const struct {
		const char *name;
		bool differs;
	} all[] = {
		{"Active", hs_word_active(a) != hs_word_active(b)},
		{"Canary", hs_word_canary(a) != hs_word_canary(b)},
		{"CanaryShare", hs_word_share(a) != hs_word_share(b)},
		{"Generation", word_generation(a) != word_generation(b)},
		{"Held", is_held(a) != is_held(b)},
		{"Policy", hs_word_policy(a) != hs_word_policy(b)},
		{"Slots", !same_slots(before, now)},
	};
	size_t n = 0;

	_Static_assert(ARRAY_SIZE(all) < BUS_PROPERTIES_MAX, "and NULL");
	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		if (all[i].differs)
			ret_names[n++] = all[i].name;
	ret_names[n] = NULL;
}
