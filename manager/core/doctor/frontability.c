// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/doctor/frontability.h"

#include <stdio.h>

#include "util/macro.h"

static const struct {
	const char *id, *what, *why;
} abilities[] = {
	[FRONT_SENDS] = {"front.sends", "Packets of clients come out as they have to be",
			 "Hosts do not take them, and clients get no answer"},
	[FRONT_CHECKSUMS] = {"front.checksums",
			     "So do those whose checksum the sender has left to a card",
			     "Hosts drop them; whether senders leave them so cannot be seen from "
			     "here"},
	[FRONT_IN_DRIVER] = {"front.driver", "So do those that are sent on in the driver",
			     "Hosts do not take them, and clients get no answer"},
};
_Static_assert(ARRAY_SIZE(abilities) == FRONT_ABILITY_COUNT, "words for each");

const char *front_ability_to_string(enum front_ability ability)
{
	return abilities[ability].id;
}

const char *front_ability_what(enum front_ability ability)
{
	return abilities[ability].what;
}

const char *front_ability_why(enum front_ability ability)
{
	return abilities[ability].why;
}

const char *front_ability_remedy(enum front_ability ability, const struct front_place *place,
				 char text[PROBLEM_TEXT_MAX])
{
	if (ability == FRONT_CHECKSUMS)
		snprintf(text, PROBLEM_TEXT_MAX,
			 "Have those that send by %s, clients and hosts, make their checksums: "
			 "ethtool -K DEVICE tx off; or use Mode=dsr or ipip",
			 place->device);
	else if (ability == FRONT_IN_DRIVER)
		snprintf(text, PROBLEM_TEXT_MAX,
			 "Use another kernel, another Mode=, or a Device= whose driver takes no "
			 "XDP program");
	else
		snprintf(text, PROBLEM_TEXT_MAX, "Use another kernel, or another Mode= than %s",
			 front_mode_to_string(place->mode));
	return text;
}

bool front_ability_counts(enum front_ability ability, const struct front_place *place)
{
	switch (ability) {
	case FRONT_SENDS:
		return !place->native;
	case FRONT_CHECKSUMS:
		return !place->native && place->is_pair;
	default:
		return place->native;
	}
}

bool front_ability_is_wrong(const struct ability_result *results, const struct front_place *place,
			    struct problem *ret_sentence)
{
	char remedy[PROBLEM_TEXT_MAX];

	for (enum front_ability i = 0; i < FRONT_ABILITY_COUNT; i++) {
		if (i == FRONT_CHECKSUMS || !front_ability_counts(i, place) ||
		    results[i].verdict != ABILITY_FAILS)
			continue;
		problem_set(ret_sentence, 0,
			    "what the front on %s makes of packets with Mode=%s is wrong here, as "
			    "a trial shows: %.200s. %s. %.200s",
			    place->device, front_mode_to_string(place->mode), results[i].detail,
			    abilities[i].why, front_ability_remedy(i, place, remedy));
		return true;
	}
	return false;
}
